"""Codes and digests of entries that changed after a snapshot: in memory, append-only.

One thread appends; others read what it has published. Codes go to a tail. A short tail is searched
by brute force; a long one becomes an indexed segment before it is published. Segments of similar
size are merged, so that there are few to search and a code is indexed only a few times.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from egide.domain.model import DIGEST_SIGNALS, PDQ_BYTES, Trust, digests_of
from egide.index.multi_index import MultiIndex
from egide.index.snapshot import unix_us

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from egide.domain.model import Entry, Signal

    VideoTimes = tuple[NDArray[np.int64], int]
    """From when to when each code is seen, shape (n, 2), and the video's duration, in ms."""

TAIL_ROWS = 2048
"""Brute force over this many takes 20 µs a query; indexing them takes 6 ms, 3 µs a code."""
_MERGED_RATIO = 8
# One query searches at most log₈(codes / 2048) segments, each in 0.1 to 0.2 ms. Each segment costs
# 4 MiB of offsets, however few codes it has.
_FIRST_CAPACITY = 1024
_NO_PREVIOUS = -1
_TRUSTS = tuple(Trust)

FOR_ALL_VIEWS = 1
"""The `gone_from` of an entry that has ended; views are numbered from 1."""

_OWNER = np.dtype(
    [
        ("id", np.int64),
        ("expires_us", np.int64),
        ("gone_from", np.uint32),
        ("previous", np.int32),
        ("bank", np.uint16),
        ("trust", np.uint8),
        ("video", np.bool_),
    ]
)
"""An entry's state after one of its changes. `gone_from` is the number of the first view without
it, 0 if there is none; `previous` is the owner of its previous state."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A fixed set of codes.

    Attributes:
        kernel: searches the codes.
        owner: uint32[n], the owner of each; the codes of one stand side by side, in its order.
        starts: int64[k], the rows of the first code of each owner.
    """

    kernel: MultiIndex
    owner: NDArray[np.uint32]
    starts: NDArray[np.int64]

    @classmethod
    def of(cls, kernel: MultiIndex, owner: NDArray[np.uint32]) -> Self:
        """Find where each owner's codes begin."""
        return cls(kernel, owner, np.flatnonzero(np.diff(owner, prepend=-1)))

    def first_rows(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """The row of the first code of each of these rows' owners."""
        found: NDArray[np.int64] = self.starts[np.searchsorted(self.starts, rows, "right") - 1]
        return found

    def codes_of(self, row: int) -> NDArray[np.uint8]:
        """All codes of the owner of the one in this row."""
        place = int(np.searchsorted(self.starts, row, "right"))
        end = self.starts[place] if place < len(self.starts) else len(self.owner)
        codes: NDArray[np.uint8] = self.kernel.codes[self.starts[place - 1] : end]
        return codes

    def __len__(self) -> int:
        return len(self.owner)


class GrownCodes:
    """Codes and their owners. One thread appends; views keep the segments that they were given.

    Attributes:
        rows: the number of codes.
    """

    def __init__(self) -> None:
        self.rows = 0
        self._segments: list[Segment] = []
        self._tail_codes = np.zeros((TAIL_ROWS, PDQ_BYTES), np.uint8)
        self._tail_owner = np.zeros(TAIL_ROWS, np.uint32)
        self._tail_rows = 0

    def add(self, codes: bytes, owner: int) -> None:
        """Append codes of 32 bytes each."""
        count = len(codes) // PDQ_BYTES
        first, self._tail_rows = self._tail_rows, self._tail_rows + count
        self.rows += count
        while self._tail_rows > len(self._tail_owner):
            self._tail_codes = np.concatenate([self._tail_codes, np.zeros_like(self._tail_codes)])
            self._tail_owner = np.concatenate([self._tail_owner, np.zeros_like(self._tail_owner)])
        self._tail_codes[first : self._tail_rows] = np.frombuffer(codes, np.uint8).reshape(
            -1, PDQ_BYTES
        )
        self._tail_owner[first : self._tail_rows] = owner

    def segments(self, owners: NDArray[np.void]) -> tuple[Segment, ...]:
        """The codes so far, in few segments; a short tail is the last and has no index.

        Args:
            owners: of the codes; what is gone is left out of what is indexed now. Views that still
                show it have their own segments.
        """
        if self._tail_rows >= TAIL_ROWS:
            self._index_tail(owners)
        if not self._tail_rows:
            return tuple(self._segments)
        codes, owner = self._tail_codes[: self._tail_rows], self._tail_owner[: self._tail_rows]
        return (*self._segments, Segment.of(MultiIndex(codes, None), owner))

    def _index_tail(self, owners: NDArray[np.void]) -> None:
        """Index the tail, merged with the last segments that are not much longer."""
        codes = [self._tail_codes[: self._tail_rows]]
        owner = [self._tail_owner[: self._tail_rows]]
        rows = self._tail_rows
        while self._segments and len(self._segments[-1]) <= _MERGED_RATIO * rows:
            last = self._segments.pop()
            codes.append(last.kernel.codes)
            owner.append(last.owner)
            rows += len(last)
        all_codes, all_owners = np.concatenate(codes), np.concatenate(owner)
        kept = owners["gone_from"][all_owners] == 0
        self.rows -= len(kept) - int(kept.sum())
        if kept.any():
            self._segments.append(Segment.of(MultiIndex.build(all_codes[kept]), all_owners[kept]))
        # Earlier views keep the arrays of this tail.
        self._tail_codes = np.zeros((TAIL_ROWS, PDQ_BYTES), np.uint8)
        self._tail_owner = np.zeros(TAIL_ROWS, np.uint32)
        self._tail_rows = 0


class Grown:
    """Entries that were added or changed since the snapshot. An owner is a position in `owners`.

    Attributes:
        owners: the owners so far, and room for more; replaced by a longer array when full.
        owner_count: the number of owners.
        newest: the last owner of each entry that has not ended, by its number.
        digests: the owners of each digest.
        pdq: the codes of frames.
        anchored: the codes of regions.
        videos: when the codes of each owner that is a video are seen.
    """

    def __init__(self) -> None:
        self.owners = np.zeros(_FIRST_CAPACITY, _OWNER)
        self.owner_count = 0
        self.newest: dict[int, int] = {}
        self.digests: dict[Signal, dict[bytes, tuple[int, ...]]] = {
            signal: {} for signal in DIGEST_SIGNALS
        }
        self.pdq = GrownCodes()
        self.anchored = GrownCodes()
        self.videos: dict[int, VideoTimes] = {}

    def add(self, entry: Entry, bank: int) -> None:
        """Append an active entry; the caller must `mark` its older owner, if any.

        Args:
            entry: with its fingerprints.
            bank: the position of its bank.
        """
        owner = self.owner_count
        if owner == len(self.owners):
            longer = np.zeros(2 * owner, _OWNER)
            longer[:owner] = self.owners
            self.owners = longer
        self.owners[owner] = (
            entry.id,
            unix_us(entry.expires),
            0,
            self.newest.get(entry.id, _NO_PREVIOUS),
            bank,
            _TRUSTS.index(entry.trust),
            entry.video is not None,
        )
        if entry.video is not None:
            times = np.array((entry.video.starts, entry.video.ends), np.int64).T
            self.videos[owner] = times, entry.video.duration_ms
        self.owner_count += 1
        self.newest[entry.id] = owner
        self.pdq.add(b"".join(entry.pdqs + entry.trimmed_pdqs), owner)
        if entry.anchored is not None:
            self.anchored.add(entry.anchored.codes, owner)
        for signal, digest in digests_of(entry):
            known = self.digests[signal]
            known[digest] = (*known.get(digest, ()), owner)

    def mark(self, entry_id: int, gone_from: int) -> None:
        """Hide an entry's owners from the view `gone_from` on, or `FOR_ALL_VIEWS`."""
        owner = self.newest.get(entry_id, _NO_PREVIOUS)
        column = self.owners["gone_from"]
        # A replaced owner stays only for older views; an entry that ended has no older owners left.
        while owner != _NO_PREVIOUS:
            known = column[owner]
            if known == FOR_ALL_VIEWS or (known and gone_from != FOR_ALL_VIEWS):
                break
            column[owner] = gone_from
            if gone_from == FOR_ALL_VIEWS:
                self.videos.pop(owner, None)
            owner = int(self.owners["previous"][owner])
        if gone_from == FOR_ALL_VIEWS:
            self.newest.pop(entry_id, None)

    def digest_owners(self, signal: Signal, owner_count: int) -> NDArray[np.int64]:
        """The owners below owner_count that hold digests of a kind."""
        # `list` copies at once, while another thread adds.
        held = list(self.digests[signal].values())
        owners = np.array([owner for each in held for owner in each], np.int64)
        return owners[owners < owner_count]

    def find_digests(
        self, signal: Signal, digests: Sequence[bytes], owner_count: int
    ) -> tuple[list[int], list[int]]:
        """Find owners below owner_count that hold digests.

        Returns:
            the digest's position and the owner for each hit, sorted.
        """
        known = self.digests[signal]
        query: list[int] = []
        found: list[int] = []
        if known:
            for position, digest in enumerate(digests):
                for owner in known.get(digest, ()):
                    if owner < owner_count:
                        query.append(position)
                        found.append(owner)
        return query, found
