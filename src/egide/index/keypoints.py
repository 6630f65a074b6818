"""Search the keypoints of many pictures, in memory only.

The index is in one nameless buffer, never in a file on disk: unsealed keypoints reveal too much of
a picture. On Linux the buffer is a memfd, which worker processes inherit and map, so that they
share one copy. Like any memory, the operating system may still swap it out.

Retrieval: a descriptor is looked up in six bands of 21 of its bits, also with one bit of each
changed. Rows in those buckets are compared by 32 other bits, then in full. The remaining pairs
vote, see `egide.index.keypoint_vote`. Nothing is proved here.
"""

from __future__ import annotations

import math
import os
import weakref
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from egide.domain.model import KEYPOINT_BYTES, KeypointSet
from egide.errors import KeypointsError, SnapshotDamaged
from egide.hashing.keypoint_set import KEYPOINT
from egide.index.container import read_container, write_sections
from egide.index.keypoint_bits import reorder, restore
from egide.index.keypoint_build import BANDS, LINE_WORDS, KeypointColumns
from egide.index.keypoint_common import COMMON_BITS, common, most_pictures
from egide.index.keypoint_vote import VOTE_BITS, Places, Votes, rank

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

    from egide.domain.model import KeypointQuery
    from egide.index.container import Section

MAX_CANDIDATES = 24
"""Pictures that one query proposes for proof, and so the most that it can find."""
_QUERY_KEYPOINTS = 1000
# For each side of the query, best first: with 600, 4 % more of small collage parts are missed.
_FILTER_BITS = 5
_FLIPPED_FILTER_BITS = 3
_LINES_PER_PROBE = 32
_LINES_PER_FLIPPED_PROBE = 4
# Enough of the bucket itself to recognise a common keypoint; of its neighbours a sample suffices.
_LINES_PER_STEP = 8192
_ROWS_PER_STEP = 16384
_SURVIVORS_PER_BAND = 512
_HITS_PER_KEYPOINT = 1024
# Bounds for one keypoint of a query, however many equal ones the bank holds.
_MIN_SCORE = 2.0
_STRONG_SCORE = 6.0
_CERTAIN_SCORE = 20.0
_CANDIDATES_IN_DOUBT = 16
_CANDIDATES_BESIDE_A_CERTAIN_ONE = 4
# Among ten thousand pictures the best unrelated one has a median score of 5; nine of ten true ones
# score over 20. Strong scores are always proposed, weak ones only if there are no better ones.


@dataclass(frozen=True, slots=True)
class Candidate:
    """A picture that may show the same as the query.

    Attributes:
        picture: its position in the index.
        mirrored: whether it resembles the mirrored query.
        score: weight of the votes that agree.
    """

    picture: int
    mirrored: bool
    score: float


@dataclass(frozen=True, slots=True)
class Candidates:
    """The result of a search.

    Attributes:
        found: best first, a picture at most once for each side of the query.
        usable: which keypoints of the query distinguish pictures, bool[n].
        usable_mirrored: the same for the mirrored query.
    """

    found: tuple[Candidate, ...]
    usable: NDArray[np.bool_]
    usable_mirrored: NDArray[np.bool_]


class KeypointIndex:
    """The keypoints of a bank's pictures. Entries with equal keypoints share one picture.

    Attributes:
        entry_id: int64[e], the store's numbers, sorted by picture.
        entry_picture: uint32[e].
        pictures: the number of pictures.
    """

    def __init__(
        self,
        metadata: dict[str, Any],
        arrays: dict[str, NDArray[Any]],
        descriptor: int | None = None,
    ) -> None:
        """Use the result of `read_container`; see `build` and `open`."""
        self._descriptor = descriptor
        self._take(int(metadata["key_bits"]), arrays)
        if descriptor is not None:
            self._release = weakref.finalize(self, os.close, descriptor)

    def _take(self, bits: int, arrays: dict[str, NDArray[Any]]) -> None:
        self.entry_id: NDArray[np.int64] = arrays["entry_id"]
        self.entry_picture: NDArray[np.uint32] = arrays["entry_picture"]
        self.nbytes = sum(array.nbytes for array in arrays.values())
        self._bits = bits
        self._size: NDArray[np.uint32] = arrays["size"]
        self._start: NDArray[np.int64] = arrays["start"]
        self._signs: NDArray[np.uint8] = arrays["signs"]
        self._keypoints: NDArray[np.uint8] = arrays["keypoint"]
        self._words: NDArray[np.uint32] = arrays["word"]
        self._bands: NDArray[np.uint32] = arrays["band"]
        self.pictures = len(self._size)
        rows = len(self._words)
        lines = -(-rows // LINE_WORDS) * LINE_WORDS
        if (
            self._bands.shape != (BANDS, (1 << self._bits) + 1 + rows + lines)
            or len(self._start) != self.pictures + 1
            or len(self._keypoints) != rows
        ):
            raise ValueError("the sections do not fit")

    @classmethod
    def build(cls, sets: Iterable[tuple[int, KeypointSet]]) -> Self:
        """Index the keypoints of entries, taken one by one.

        Building takes up to twice the memory that `nbytes` gives afterwards.

        Args:
            sets: each entry's number in the store and its keypoints.
        """
        columns = KeypointColumns()
        for entry, keypoints in sets:
            columns.add(entry, keypoints)
        metadata, sections = {"key_bits": columns.key_bits}, columns.sections()
        if not hasattr(os, "memfd_create"):
            return cls(metadata, _arrays(sections))
        descriptor = os.memfd_create("egide-patches")
        try:
            with os.fdopen(descriptor, "w+b", closefd=False) as file:
                write_sections(file, metadata, sections)
            content = read_container(Path(f"/dev/fd/{descriptor}"), verify=False)
            return cls(*content, descriptor)
        except BaseException:
            os.close(descriptor)
            raise

    @classmethod
    def open(cls, path: Path) -> Self:
        """Map the index that another process built.

        Args:
            path: `/dev/fd/N`, where N is the inherited descriptor from that process's `fileno`.

        Raises:
            SnapshotError: there is no index, or another version of Egide built it.
        """
        metadata, arrays = read_container(path, verify=False)
        try:
            return cls(metadata, arrays)
        except (KeyError, TypeError, ValueError) as error:
            raise SnapshotDamaged(name=str(path), reason="its sections do not fit") from error

    def fileno(self) -> int:
        """Return the descriptor of the buffer that `build` made.

        Raises:
            KeypointsError: the index is closed or came from `open`, or this system has no nameless
                files.
        """
        if self._descriptor is None:
            raise KeypointsError(reason="this system cannot share their index with other processes")
        return self._descriptor

    def close(self) -> None:
        """Release the buffer; its memory is freed once no process maps it."""
        if self._descriptor is not None:
            self._release()
            self._descriptor = None
        empty = KeypointColumns()
        self._take(empty.key_bits, _arrays(empty.sections()))

    def __len__(self) -> int:
        """The number of entries."""
        return len(self.entry_id)

    @property
    def bytes_per_picture(self) -> float:
        """The memory of the whole index divided by its number of pictures."""
        return self.nbytes / max(self.pictures, 1)

    def entries(self, picture: int) -> NDArray[np.int64]:
        """The positions of the entries with this picture's keypoints."""
        first, last = np.searchsorted(self.entry_picture, [picture, picture + 1])
        return np.arange(first, last)

    def keypoint_set(self, picture: int) -> KeypointSet:
        """The keypoints of one picture."""
        rows = slice(int(self._start[picture]), int(self._start[picture + 1]))
        return KeypointSet(
            width=int(self._size[picture, 0]),
            height=int(self._size[picture, 1]),
            keypoints=self._keypoints[rows].tobytes(),
            descriptors=restore(self._words[rows]).tobytes(),
            signs=self._signs[picture].tobytes(),
        )

    def candidates(
        self,
        query: KeypointQuery,
        *,
        limit: int = MAX_CANDIDATES,
        searched: NDArray[np.bool_] | None = None,
    ) -> Candidates:
        """Propose the pictures whose keypoints a query shows in one arrangement.

        Args:
            query: finds nothing if it has too little detail.
            limit: the most pictures to propose.
            searched: bool[pictures], the pictures to search; None for all.
        """
        sides = (query.straight, query.mirrored)
        ends = sides[0].count
        usable = np.ones(ends + sides[1].count, np.bool_)
        found: list[Candidate] = []
        if self.pictures and query.straight.searchable:
            descriptors = b"".join(side.descriptors for side in sides)
            words = reorder(np.frombuffer(descriptors, np.uint8).reshape(-1, KEYPOINT_BYTES))
            tried = np.r_[
                : min(ends, _QUERY_KEYPOINTS), ends : min(len(words), ends + _QUERY_KEYPOINTS)
            ]
            hits = self._hits(words, tried, searched)
            counted = self.pictures if searched is None else int(np.count_nonzero(searched))
            near = hits[hits["bits"] <= COMMON_BITS]
            most = most_pictures(counted)
            usable = ~common(near["picture"], near["patch"], len(words), most, self._signs)
            hits = hits[usable[hits["patch"]]]
            target = 2 * hits["picture"] + (hits["patch"] >= ends)
            order = np.argsort(target, kind="stable")
            hits, target = hits[order], target[order]
            votes = Votes(
                target,
                hits["bits"],
                _places(sides, hits["patch"]),
                self._places(hits["picture"], hits["row"]),
            )
            best, scores = rank(votes, limit)
            sure = scores.max(initial=0) >= _CERTAIN_SCORE
            few = _CANDIDATES_BESIDE_A_CERTAIN_ONE if sure else _CANDIDATES_IN_DOUBT
            found = [
                Candidate(one // 2, bool(one % 2), score)
                for place, (one, score) in enumerate(
                    zip(best.tolist(), scores.tolist(), strict=True)
                )
                if score >= (_MIN_SCORE if place < few else _STRONG_SCORE)
            ]
        return Candidates(tuple(found), usable[:ends], usable[ends:])

    def _hits(
        self,
        words: NDArray[np.uint32],
        active: NDArray[np.int64],
        searched: NDArray[np.bool_] | None,
    ) -> NDArray[np.void]:
        """For each query keypoint, the nearest one of each picture, if within `VOTE_BITS`."""
        whole = words.view(np.uint64)
        stored = self._words.view(np.uint64)
        total = np.zeros(len(words), np.int64)
        none = np.zeros(0, np.int64)
        parts = [(none, none, np.zeros(0, np.uint16))]
        for band in range(BANDS):
            keypoint, row = self._look_up(words, active, band)
            for first in range(0, len(row), _ROWS_PER_STEP):
                step = slice(first, first + _ROWS_PER_STEP)
                # `take` copies whole rows in a third of the time of indexing.
                apart = stored.take(row[step], axis=0) ^ whole.take(keypoint[step], axis=0)
                bits = np.bitwise_count(apart).sum(axis=1, dtype=np.uint16)
                near = np.flatnonzero(bits <= VOTE_BITS)
                mine = keypoint[step][near]
                parts.append((mine, row[step][near], bits[near]))
                total += np.bincount(mine, minlength=len(words))
            active = active[total[active] < _HITS_PER_KEYPOINT]
        keypoint, row, bits = (np.concatenate(column) for column in zip(*parts, strict=True))
        return self._nearest(keypoint, row, bits, searched)

    def _nearest(
        self,
        keypoint: NDArray[np.int64],
        row: NDArray[np.int64],
        bits: NDArray[np.uint16],
        searched: NDArray[np.bool_] | None,
    ) -> NDArray[np.void]:
        picture = np.searchsorted(self._start, row, "right") - 1
        if searched is not None:
            kept = np.flatnonzero(searched[picture])
            keypoint, row, bits, picture = keypoint[kept], row[kept], bits[kept], picture[kept]
        # Packed in one number: 13 bits keypoint, 6 bits distance, the rest picture and row in it.
        local = (row - self._start[picture]).astype(np.uint64)
        pair = (picture.astype(np.uint64) << np.uint64(13)) | keypoint.astype(np.uint64)
        key = np.sort((pair << np.uint64(18)) | (bits.astype(np.uint64) << np.uint64(12)) | local)
        key = key[np.flatnonzero(np.diff(key >> np.uint64(18), prepend=np.uint64(2**63)))]
        hits = np.zeros(len(key), _HIT)
        hits["picture"] = key >> np.uint64(31)
        hits["patch"] = (key >> np.uint64(18)) & np.uint64(0x1FFF)
        hits["bits"] = (key >> np.uint64(12)) & np.uint64(63)
        hits["row"] = self._start[hits["picture"]] + (key & np.uint64(4095)).astype(np.int64)
        return hits

    def _look_up(
        self, words: NDArray[np.uint32], active: NDArray[np.int64], band: int
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Pairs of keypoint and row whose bands differ in at most one bit, and the rest in few."""
        rows_of, buckets = len(self._words), 1 << self._bits
        offsets = self._bands[band, : buckets + 1]
        rows = self._bands[band, buckets + 1 : buckets + 1 + rows_of]
        lines = self._bands[band, buckets + 1 + rows_of :].reshape(-1, LINE_WORDS)
        flips = np.concatenate([[0], 1 << np.arange(self._bits)]).astype(np.uint32)
        keys = (words[active, band] >> np.uint32(32 - self._bits))[:, None] ^ flips
        start, end = offsets[keys].astype(np.int64), offsets[keys + np.uint32(1)].astype(np.int64)
        which, flip = np.nonzero(end > start)
        start, end = start[which, flip] // LINE_WORDS, (end[which, flip] - 1) // LINE_WORDS + 1
        most_lines = np.where(flip == 0, _LINES_PER_PROBE, _LINES_PER_FLIPPED_PROBE)
        counts = np.minimum(end - start, most_lines)
        probe = np.repeat(np.arange(len(counts)), counts)
        place = np.arange(len(probe)) - np.repeat(np.cumsum(counts) - counts, counts)
        # From a bucket with more lines than are read, take evenly spaced lines.
        line = start[probe] + place * (end - start)[probe] // counts[probe]
        keypoint = active[which[probe]]
        wanted = words[keypoint, band + 1]
        most = np.where(flip[probe] == 0, _FILTER_BITS, _FLIPPED_FILTER_BITS).astype(np.uint8)
        keypoints, found = [], []
        for first in range(0, len(line), _LINES_PER_STEP):
            step = slice(first, first + _LINES_PER_STEP)
            apart = np.bitwise_count(lines.take(line[step], axis=0) ^ wanted[step, None])
            place = np.flatnonzero(apart <= most[step, None])
            index = place // LINE_WORDS
            at = line[step][index] * LINE_WORDS + place % LINE_WORDS
            inside = at < rows_of
            keypoints.append(keypoint[step][index[inside]])
            found.append(at[inside])
        if not keypoints:
            return np.zeros(0, np.int64), np.zeros(0, np.int64)
        mine, at = np.concatenate(keypoints), np.concatenate(found)
        # Probes are sorted by keypoint, and so are survivors.
        few = _number(mine) < _SURVIVORS_PER_BAND
        return mine[few], rows[at[few]].astype(np.int64)

    def _places(self, picture: NDArray[np.int64], row: NDArray[np.int64]) -> Places:
        records = self._keypoints[row].view(KEYPOINT)[:, 0]
        return _normal(records, self._size[picture].astype(np.float32))


_HIT = np.dtype([("picture", np.int64), ("patch", np.int64), ("row", np.int64), ("bits", np.uint8)])
"""A keypoint of the query, and the most similar keypoint of a picture."""


def _arrays(sections: Mapping[str, Section]) -> dict[str, NDArray[Any]]:
    """Build the arrays that a container would hold."""
    return {
        name: np.concatenate([piece.reshape(-1) for piece in section.pieces()]).reshape(
            section.shape
        )
        for name, section in sections.items()
    }


def _places(sides: tuple[KeypointSet, KeypointSet], keypoint: NDArray[np.int64]) -> Places:
    """The positions of a query's keypoints, those of its mirrored side last."""
    records = np.frombuffer(sides[0].keypoints + sides[1].keypoints, KEYPOINT)[keypoint]
    size = np.array([sides[0].width, sides[0].height], np.float32)
    return _normal(records, np.broadcast_to(size, (len(keypoint), 2)))


def _normal(records: NDArray[np.void], size: NDArray[np.float32]) -> Places:
    unit = np.sqrt(size[:, 0] * size[:, 1])
    return Places(
        x=records["x"] * (size[:, 0] / unit / 65535),
        y=records["y"] * (size[:, 1] / unit / 65535),
        size=records["size"] * np.float32(math.log(2) / 16) - np.log(unit),
        angle=records["angle"] * np.float32(math.pi / 128),
    )


def _number(groups: NDArray[np.int64]) -> NDArray[np.int64]:
    """Number the members of each run of equal values from 0."""
    starts = np.flatnonzero(np.diff(groups, prepend=-1))
    return np.arange(len(groups)) - np.repeat(starts, np.diff(starts, append=len(groups)))
