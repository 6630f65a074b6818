"""Multi-index hashing in NumPy: exact search that examines a few thousand codes in a million.

Each band lists all rows in the order of the band's value, in buckets. Each row has one 32-bit
filter word in the same order: the next two bands of its code. A probe reads a bucket's filter words
in whole 64-byte lines, which NumPy copies far faster than single words; words of neighbouring
buckets are discarded afterwards. `egide.index.bands` explains why nothing is missed, and
docs/decisions/0004-search.md has the measurements.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from egide.index import reference
from egide.index.bands import BAND_BITS, BANDS, BUCKETS, Plan, plan
from egide.index.kernel import Hits, check_codes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from egide.index.kernel import Piece

MIN_INDEXED_ROWS = 1024
"""Below this, brute force is nearly as fast, and 4 MiB of offsets are not worth the memory."""
MAX_ROWS = (1 << 32) // BANDS - 1
"""Positions within a band list are 32-bit."""

_LINE_WORDS = 16
# 512 KiB of filter words a step fill the second-level cache: 27 µs a query, 33 with 2048 lines.
_LINES_PER_STEP = 8192
# One step adds at most 131 072, each about 200 B while it is compared: 30 MiB.
_SURVIVORS_PER_CHECK = 1 << 14
# About 60 B a probe while a block is prepared: 15 MiB. A quarter of it costs 10 % in speed.
_PROBES_PER_BLOCK = 1 << 18
# The cost of a look-up in rows of brute force (10 ns each on one core); see
# docs/decisions/0004-search.md.
_PROBE_COST_ROWS = 3
_LINE_COST_ROWS = 5
_CALL_COST_ROWS = 20_000

_FIRST_BUCKET = (np.arange(BANDS, dtype=np.uint32) << np.uint32(BAND_BITS))[:, None]


@dataclass(frozen=True, slots=True)
class BandLists:
    """The sixteen lists, concatenated.

    Attributes:
        filters: uint32[n, 16], the 16 n filter words viewed as n lines of 64 bytes.
        rows: uint32[16 n], the row of each filter word.
        offsets: uint32[16 × 65536 + 1], the start of each bucket; the next offset is its end.
    """

    filters: NDArray[np.uint32]
    rows: NDArray[np.uint32]
    offsets: NDArray[np.uint32]


def band_list(
    codes: NDArray[np.uint8], band: int
) -> tuple[NDArray[np.uint32], NDArray[np.uint32], NDArray[np.uint32]]:
    """Build one band's list.

    Args:
        codes: shape (n, 32).
        band: 0–15.

    Returns:
        filter words uint32[n] and rows uint32[n] in bucket order, and each bucket's end within
        the concatenation of all lists, uint32[65536].
    """
    halves = codes.view("<u2")
    value = np.ascontiguousarray(halves[:, band])
    order = np.argsort(value, kind="stable")
    low, high = (halves[order, (band + step) % BANDS].astype(np.uint32) for step in (1, 2))
    ends = band * len(codes) + np.cumsum(np.bincount(value, minlength=BUCKETS))
    return low | high << np.uint32(BAND_BITS), order.astype(np.uint32), ends.astype(np.uint32)


class MultiIndex:
    """The multi-index kernel over a fixed set of codes."""

    name = "numpy"

    def __init__(self, codes: NDArray[np.uint8], lists: BandLists | None) -> None:
        """Search codes by brute force, or with lists that were built from the same codes.

        Args:
            codes: shape (n, 32).
            lists: None for brute force only.
        """
        self.codes = check_codes(codes)
        self.lists = lists

    @classmethod
    def build(cls, codes: NDArray[np.uint8], min_rows: int = MIN_INDEXED_ROWS) -> MultiIndex:
        """Index codes, shape (n, 32); with fewer than min_rows, only brute force is used."""
        codes = check_codes(codes)
        if len(codes) < max(min_rows, 1):
            return cls(codes, None)
        built = [band_list(codes, band) for band in range(BANDS)]
        filters, rows, ends = (np.concatenate(parts) for parts in zip(*built, strict=True))
        start = np.zeros(1, np.uint32)
        lists = BandLists(filters.reshape(-1, _LINE_WORDS), rows, np.concatenate([start, ends]))
        return cls(codes, lists)

    def search(self, queries: NDArray[np.uint8], radius_bits: int) -> Hits:
        """Find every code within radius_bits of each query.

        Brute force answers the queries for which it is faster: a small bank, a wide radius, or
        large buckets because many codes resemble each other and the query.

        Memory beyond the result stays under 32 MiB (20 measured) for any batch and codes.

        Args:
            queries: shape (q, 32).
            radius_bits: 0–63.

        Raises:
            RadiusInvalid: the radius is outside 0–63.
        """
        queries = check_codes(queries)
        probes = plan(radius_bits)
        rows = len(self.codes)
        if (
            self.lists is None
            or rows * len(queries) < _CALL_COST_ROWS
            or rows < probes.probes * _PROBE_COST_ROWS
        ):
            return reference.search(self.codes, queries, radius_bits)
        max_lines = (rows - probes.probes * _PROBE_COST_ROWS) // _LINE_COST_ROWS
        return self.search_lists(queries, radius_bits, max_lines=max_lines)

    def search_lists(
        self, queries: NDArray[np.uint8], radius_bits: int, max_lines: int | None = None
    ) -> Hits:
        """Search like `search`, through the band lists.

        Args:
            queries: shape (q, 32), contiguous.
            radius_bits: 0–63.
            max_lines: brute force answers queries that would read more lines; None for no limit.
        """
        assert self.lists is not None
        probes = plan(radius_bits)
        per_block = max(1, _PROBES_PER_BLOCK // probes.probes)
        pieces: list[Piece] = []
        for first in range(0, len(queries), per_block):
            block = _Block(queries[first : first + per_block], probes, self.lists)
            for query, row, distance in block.brute_force(self.codes, radius_bits, max_lines):
                pieces.append((query + first, row, distance))
            for query, row, distance in block.candidates(self.codes, radius_bits):
                pieces.append((query + first, row, distance))
        return Hits.of(pieces)


class _Block:
    """The look-ups of some queries: one bucket, and so one run of lines, for each probe.

    A probe belongs to a pair of a band and a query, numbered band × q + query.
    """

    def __init__(self, queries: NDArray[np.uint8], probes: Plan, lists: BandLists) -> None:
        self.queries = queries
        self.plan = probes
        self.lists = lists
        halves = queries.view("<u2").T.astype(np.uint32)
        ring = np.concatenate([halves, halves[:2]])
        self.pair_filter = (ring[1:-1] | ring[2:] << np.uint32(BAND_BITS)).ravel()
        bucket = halves | _FIRST_BUCKET
        pair = np.arange(bucket.size, dtype=np.int32).reshape(bucket.shape)
        probed = [bucket[group.bands, :, None] ^ group.masks for group in probes.groups]
        buckets = np.concatenate([buckets.ravel() for buckets in probed]).astype(np.intp)
        self.pair = np.concatenate(
            [pair[group.bands].repeat(len(group.masks)) for group in probes.groups]
        )
        self.start = lists.offsets.take(buckets)
        self.end = lists.offsets[1:].take(buckets)
        first = (self.start // _LINE_WORDS).astype(np.int64)
        lines = (self.end.astype(np.int64) + (_LINE_WORDS - 1)) // _LINE_WORDS - first
        lines[self.start == self.end] = 0
        self.first_line = first
        self.lines = lines

    def brute_force(
        self, codes: NDArray[np.uint8], radius_bits: int, max_lines: int | None
    ) -> Iterator[Piece]:
        """Answer the queries that would read over max_lines, and drop their probes."""
        if max_lines is None or self.lines.sum() <= max_lines:
            return
        query = self.pair % len(self.queries)
        lines_of_query = np.bincount(query, self.lines, minlength=len(self.queries))
        crowded = lines_of_query > max_lines
        if crowded.any():
            self.lines[crowded[query]] = 0
            numbers = np.flatnonzero(crowded)
            hits = reference.search(codes, self.queries[numbers], radius_bits)
            yield numbers[hits.query], hits.row, hits.distance

    def candidates(self, codes: NDArray[np.uint8], radius_bits: int) -> Iterator[Piece]:
        """Read the lines in bounded steps; yield each code within the radius once."""
        ends = self.lines.cumsum()
        total = int(ends[-1])
        line_of = self.first_line - (ends - self.lines)
        filters = self.pair_filter[self.pair]
        size = min(total, _LINES_PER_STEP)
        words = np.empty((size, _LINE_WORDS), np.uint32)
        bits = np.empty((size, _LINE_WORDS), np.uint8)
        waiting: list[tuple[NDArray[np.int64], NDArray[np.int64]]] = []
        waiting_rows = 0
        for begin in range(0, total, _LINES_PER_STEP):
            stop = min(begin + _LINES_PER_STEP, total)
            step, repeats = self._probes_between(ends, begin, stop)
            lines = line_of[step].repeat(repeats)
            lines += np.arange(begin, stop)
            read = words[: stop - begin]
            self.lists.filters.take(lines, axis=0, out=read, mode="clip")
            np.bitwise_xor(read, filters[step].repeat(repeats)[:, None], out=read)
            differing = np.bitwise_count(read, out=bits[: stop - begin])
            survivors = (differing <= self.plan.filter_limit).ravel().nonzero()[0]
            if len(survivors):
                line = survivors // _LINE_WORDS
                probe = ends.searchsorted(line + begin, "right")
                waiting.append((probe, lines[line] * _LINE_WORDS + survivors % _LINE_WORDS))
                waiting_rows += len(survivors)
            # Confirming at each step took a third of the time: 25 NumPy calls for a few rows.
            if waiting and (waiting_rows > _SURVIVORS_PER_CHECK or stop == total):
                probe, position = waiting.pop()
                if waiting:
                    probe = np.concatenate([*(each for each, _ in waiting), probe])
                    position = np.concatenate([*(each for _, each in waiting), position])
                    waiting.clear()
                waiting_rows = 0
                yield self._confirm(codes, radius_bits, probe, position)

    def _probes_between(
        self, ends: NDArray[np.int64], begin: int, stop: int
    ) -> tuple[slice, NDArray[np.int64]]:
        """The probes with lines between begin and stop, and the number of these lines for each."""
        if begin == 0 and stop == ends[-1]:
            return slice(None), self.lines
        first = int(ends.searchsorted(begin, "right"))
        last = int(ends.searchsorted(stop, "left")) + 1
        step = slice(first, last)
        starts = ends[step] - self.lines[step]
        return step, np.minimum(ends[step], stop) - np.maximum(starts, begin)

    def _confirm(
        self,
        codes: NDArray[np.uint8],
        radius_bits: int,
        probe: NDArray[np.int64],
        position: NDArray[np.int64],
    ) -> Piece:
        """Keep survivors that are in their bucket, within the radius and not yielded before."""
        inside = (self.start[probe] <= position) & (position < self.end[probe])
        pair = self.pair[probe[inside]].astype(np.int64)
        row = self.lists.rows[position[inside]].astype(np.int64)
        band = pair // len(self.queries)
        query = pair - band * len(self.queries)
        band_bits = np.bitwise_count(codes.view("<u2")[row] ^ self.queries.view("<u2")[query])
        distance = band_bits.sum(axis=1, dtype=np.uint16)
        # A row within the radius is found in up to 16 bands; only the first one guaranteed to find
        # it counts.
        ring = np.concatenate([band_bits, band_bits[:, :2]], axis=1)
        chain = band_bits + ring[:, 1:-1] + ring[:, 2:]
        must = (band_bits <= self.plan.band_limit) & (chain <= self.plan.chain_limit)
        kept = (distance <= radius_bits) & (must.argmax(axis=1) == band)
        return query[kept], row[kept], distance[kept].astype(np.uint8)
