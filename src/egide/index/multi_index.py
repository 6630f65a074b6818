"""Multi-index hashing: exact search that examines a few thousand codes in a million.

Each band lists all rows in the order of the band's key, in buckets. Beside each row stands a filter
word: the next 16 bits of its code. A probe reads a bucket's filter words; only for those that pass
is the row read, and only for few of these the code. `egide.index.bands` explains why nothing is
missed, docs/decisions/0004-search.md and 0022-anchored-search.md have the measurements.

The lists are searched by `egide.index.numba_kernel` once it is compiled. Until then, and where
Numba is not installed, NumPy reads filter words in whole 64-byte lines, which it copies far faster
than single words; words of neighbouring buckets are discarded afterwards. Both give the same hits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from egide.compiled import SEARCH, compiled_module
from egide.index import reference
from egide.index.bands import FILTER_BITS, Layout, Plan, layout_for, plan, ring_bits, spare_bits
from egide.index.kernel import Hits, check_codes
from egide.index.lists import LINE_WORDS, BandLists, band_list, lists_shape

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from egide.index.kernel import Piece

MIN_INDEXED_ROWS = 1024
"""Below this, brute force is nearly as fast, and 4 MiB of offsets are not worth the memory."""

# 384 KiB of filter words fit the second-level cache; with 2048 lines a query takes a tenth longer.
_LINES_PER_STEP = 6144
# One step adds at most 196 608, each about 120 B while it is compared: 22 MiB.
_SURVIVORS_PER_CHECK = 1 << 14
# About 60 B a probe while a block is prepared: 15 MiB. A quarter of it costs 10 % in speed.
_PROBES_PER_BLOCK = 1 << 18
# The cost of a look-up in rows of brute force (10 ns each on one core); see
# docs/decisions/0004-search.md.
_PROBE_COST_ROWS = 3
_LINE_COST_ROWS = 5
_CALL_COST_ROWS = 20_000


class MultiIndex:
    """The multi-index kernel over a fixed set of codes."""

    def __init__(self, codes: NDArray[np.uint8], lists: BandLists | None) -> None:
        """Search codes by brute force, or with lists that were built from the same codes.

        Args:
            codes: shape (n, 32).
            lists: None for brute force only.
        """
        self.codes = check_codes(codes)
        self.lists = lists

    @property
    def name(self) -> str:
        """`numba` once it is compiled, else `numpy`."""
        return "numpy" if compiled_module(SEARCH) is None else "numba"

    @classmethod
    def build(
        cls,
        codes: NDArray[np.uint8],
        min_rows: int = MIN_INDEXED_ROWS,
        layout: Layout | None = None,
    ) -> MultiIndex:
        """Index codes, shape (n, 32); with fewer than min_rows, only brute force is used."""
        codes = check_codes(codes)
        if len(codes) < max(min_rows, 1):
            return cls(codes, None)
        layout = layout or layout_for(len(codes))
        words = np.empty(lists_shape(layout, len(codes)), np.uint32)
        for band in range(layout.bands):
            words[band] = band_list(codes, layout, band)
        return cls(codes, BandLists(layout, len(codes), words))

    def search(self, queries: NDArray[np.uint8], radius_bits: int) -> Hits:
        """Find every code within radius_bits of each query.

        Brute force answers the queries for which it is faster: a small bank, a wide radius, or
        (in NumPy) large buckets because many codes resemble each other and the query.

        Memory beyond the result stays under 32 MiB for any batch and codes.

        Args:
            queries: shape (q, 32).
            radius_bits: 0–63.

        Raises:
            RadiusInvalid: the radius is outside 0–63.
            IndexError: the lists are damaged.
        """
        queries = check_codes(queries)
        kernel = compiled_module(SEARCH)
        if kernel is not None:
            hits: Hits = kernel.search(self.codes, self.lists, queries, radius_bits)
            return hits
        rows = len(self.codes)
        if self.lists is None or rows * len(queries) < _CALL_COST_ROWS:
            return reference.search(self.codes, queries, radius_bits)
        probes = plan(self.lists.layout, radius_bits).probes
        if rows < probes * _PROBE_COST_ROWS:
            return reference.search(self.codes, queries, radius_bits)
        max_lines = (rows - probes * _PROBE_COST_ROWS) // _LINE_COST_ROWS
        return self.search_lists(queries, radius_bits, max_lines=max_lines)

    def search_lists(
        self, queries: NDArray[np.uint8], radius_bits: int, max_lines: int | None = None
    ) -> Hits:
        """Search through the band lists in NumPy.

        Args:
            queries: shape (q, 32), contiguous.
            radius_bits: 0–63.
            max_lines: brute force answers queries that would read more lines; None for no limit.
        """
        assert self.lists is not None
        probes = plan(self.lists.layout, radius_bits)
        per_block = max(1, _PROBES_PER_BLOCK // probes.probes)
        pieces: list[Piece] = []
        for first in range(0, len(queries), per_block):
            block = _Block(queries[first : first + per_block], probes, self.lists, len(self.codes))
            for query, row, distance in block.brute_force(self.codes, radius_bits, max_lines):
                pieces.append((query + first, row, distance))
            for query, row, distance in block.candidates(self.codes, radius_bits):
                pieces.append((query + first, row, distance))
        return Hits.of(pieces)


class _Block:
    """The look-ups of some queries: one bucket, and so one run of lines, for each probe.

    A probe belongs to a pair of a band and a query, numbered band × q + query.
    """

    def __init__(
        self, queries: NDArray[np.uint8], probes: Plan, lists: BandLists, rows: int
    ) -> None:
        self.queries = queries
        self.plan = probes
        self.lists = lists
        layout, words = lists.layout, queries.view("<u8")
        starts = layout.starts[:-1]
        filters = ring_bits(words, starts + layout.key_bits, FILTER_BITS)
        self.pair_filter = filters.astype(np.uint16).T.ravel()
        # Of each probe: where its bucket's offset stands in all words, its pair, and the most bits
        # in which the filter may differ.
        band = np.arange(layout.bands)[:, None]
        key = ring_bits(words, starts, layout.key_bits).T
        list_at = (band * lists.words.shape[1] + lists.offsets_at)[:, None]
        pair = (band * len(queries) + np.arange(len(queries))).astype(np.int32)
        buckets, pairs, limits = [], [], []
        for group in probes.groups:
            some = (key[group.bands, :, None] ^ group.masks).astype(np.intp)
            some += list_at[group.bands]
            buckets.append(some.ravel())
            pairs.append(pair[group.bands].repeat(len(group.masks)))
            limits.append(np.broadcast_to(group.limits, some.shape).ravel())
        bucket = np.concatenate(buckets)
        self.pair = np.concatenate(pairs)
        self.limit = np.concatenate(limits)
        self.start = lists.words.reshape(-1).take(bucket)
        self.end = lists.words.reshape(-1).take(bucket + 1)
        # A bucket that ends before it begins, or beyond its list, would be read as garbage.
        if (self.start > self.end).any() or self.end.max(initial=0) > rows:
            raise IndexError("bucket")
        first = (self.start // LINE_WORDS).astype(np.int64)
        lines = (self.end.astype(np.int64) + (LINE_WORDS - 1)) // LINE_WORDS - first
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
        lines_per_band = self.lists.lines_per_band
        ends = self.lines.cumsum()
        total = int(ends[-1])
        line_of = self.first_line - (ends - self.lines)
        line_of += self.pair // np.int64(len(self.queries)) * lines_per_band
        filters = self.pair_filter[self.pair]
        size = min(total, _LINES_PER_STEP)
        words = np.empty((size, LINE_WORDS), np.uint16)
        bits = np.empty((size, LINE_WORDS), np.uint8)
        waiting: list[tuple[NDArray[np.int64], NDArray[np.int64]]] = []
        waiting_rows = 0
        for begin in range(0, total, _LINES_PER_STEP):
            stop = min(begin + _LINES_PER_STEP, total)
            step, repeats = self._probes_between(ends, begin, stop)
            lines = line_of[step].repeat(repeats)
            lines += np.arange(begin, stop)
            read = words[: stop - begin]
            self.lists.lines.take(lines, axis=0, out=read, mode="clip")
            np.bitwise_xor(read, filters[step].repeat(repeats)[:, None], out=read)
            differing = np.bitwise_count(read, out=bits[: stop - begin])
            limit = self.limit[step].repeat(repeats)[:, None]
            survivors = (differing <= limit).ravel().nonzero()[0]
            if len(survivors):
                line = survivors // LINE_WORDS
                probe = ends.searchsorted(line + begin, "right")
                place = lines[line] % lines_per_band * LINE_WORDS + survivors % LINE_WORDS
                waiting.append((probe, place))
                waiting_rows += len(survivors)
            # Confirming at each step took a third of the time: 25 NumPy calls for a few rows.
            if waiting and (waiting_rows > _SURVIVORS_PER_CHECK or stop == total):
                probe, place = waiting.pop()
                if waiting:
                    probe = np.concatenate([*(each for each, _ in waiting), probe])
                    place = np.concatenate([*(each for _, each in waiting), place])
                    waiting.clear()
                waiting_rows = 0
                yield self._confirm(codes, radius_bits, probe, place)

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
        place: NDArray[np.int64],
    ) -> Piece:
        """Keep survivors that are in their bucket, within the radius and not yielded before."""
        inside = (self.start[probe] <= place) & (place < self.end[probe])
        pair = self.pair[probe[inside]].astype(np.int64)
        band = pair // len(self.queries)
        query = pair - band * len(self.queries)
        row_bits = np.uint32(32 - spare_bits(len(codes)))
        row = self.lists.words[band, self.lists.rows_at + place[inside]] & np.uint32(
            (1 << int(row_bits)) - 1
        )
        words, wanted = codes.view("<u8"), self.queries.view("<u8")
        distance = np.bitwise_count(words[row] ^ wanted[query]).sum(axis=1, dtype=np.uint16)
        near = distance <= radius_bits
        query, row, distance, band = query[near], row[near], distance[near], band[near]
        if len(row):
            kept = self._first_band(words[row] ^ wanted[query]) == band
            query, row, distance = query[kept], row[kept], distance[kept]
        return query, row.astype(np.int64), distance.astype(np.uint8)

    def _first_band(self, differing: NDArray[np.uint64]) -> NDArray[np.intp]:
        """The first band that is bound to find each row: up to all of them do, one counts."""
        starts = self.lists.layout.starts
        width_mask = (1 << np.diff(starts)) - 1
        bits = np.bitwise_count(ring_bits(differing, starts[:-1], 32) & width_mask).astype(np.int64)
        one, two, three = self.plan.chains
        band = np.arange(len(one))
        pairs = bits + bits[:, (band + 1) % len(band)]
        triples = pairs + bits[:, (band + 2) % len(band)]
        must = (bits <= one) & (pairs <= two) & (triples <= three)
        first: NDArray[np.intp] = must.argmax(axis=1)
        return first
