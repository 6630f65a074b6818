"""The live index: a mapped snapshot, and later changes in memory.

One thread applies changes, any number of threads search. A search uses a `LiveView`, which never
changes, with one exception: an entry that has ended vanishes at once from every view, even those
that a search already holds. An entry that changes otherwise (it is confirmed, say) is a new owner
in the next view and stays the old owner in earlier views, so that no search ever misses it.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from egide.domain.model import DIGEST_SIGNALS, Signal, State
from egide.errors import SnapshotError
from egide.index.grown import FOR_ALL_VIEWS, Grown
from egide.index.kernel import Hits
from egide.index.snapshot import DigestHits, Entries, SnapshotBank, VideoFrames, codes_beside

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    from numpy.typing import NDArray

    from egide.domain.model import Bank, Entry, Trust
    from egide.index.grown import Segment
    from egide.index.kernel import Piece
    from egide.index.snapshot import Snapshot

_ANCHORED_PER_CHANGE = 8
_OWNERS_AT_ONCE = 1 << 16


class LiveIndex:
    """A snapshot that follows its store. One thread may call the methods; all may use `view`.

    Attributes:
        base: the snapshot.
        view: the view to search now.
        erased_since_s: when an entry of the snapshot first ended, in seconds of `time.monotonic`:
            since then the file holds erased data. None while none has ended.
    """

    def __init__(self, base: Snapshot) -> None:
        """Begin with the snapshot's content.

        Args:
            base: built from a store; must stay open while this index is in use.

        Raises:
            SnapshotError: its entries are not in order, so no supported version wrote it.
        """
        ids = base.entries.id
        if (ids[1:] <= ids[:-1]).any():
            raise SnapshotError(name=str(base.path), reason="its entries are not in order")
        self.base = base
        self.erased_since_s: float | None = None
        self._base_ids = ids
        # Four bytes an entry; the system allocates only pages that are written.
        self._base_gone_from = np.zeros(len(ids), np.uint32)
        self._base_gone = 0
        self._grown = Grown()
        self._bank_position = {bank.name: place for place, bank in enumerate(base.banks)}
        self.view = LiveView(
            base, self._base_gone_from, self._grown, FOR_ALL_VIEWS, base.revision, base.banks
        )

    @property
    def entry_count(self) -> int:
        """The number of entries that can be found, including expired ones still in the store."""
        return len(self._base_ids) - self._base_gone + len(self._grown.newest)

    @property
    def held_changes(self) -> int:
        """The amount that a new snapshot would free: codes, entries and gone entries.

        An anchored code counts as an eighth: a picture has forty times as many of them.
        """
        grown = self._grown
        codes = grown.pdq.rows + grown.anchored.rows // _ANCHORED_PER_CHANGE
        return max(codes, grown.owner_count) + self._base_gone

    def apply(
        self, entries: Iterable[Entry], *, banks: Callable[[], Sequence[Bank]], revision: int
    ) -> None:
        """Apply changed entries; new views show all of them at once.

        If `entries` or `banks` raises, only ended entries have vanished; the same changes can be
        applied again.

        Args:
            entries: changed entries in their present state, from `Entries.changes`, with their
                anchored hashes.
            banks: called after the last entry; returns all banks of the store.
            revision: the store's revision that is then complete.
        """
        number = self.view.number + 1
        changed = False
        for entry in entries:
            changed = True
            ended = entry.state is not State.ACTIVE
            gone_from = FOR_ALL_VIEWS if ended else number
            self._mark_base(entry.id, gone_from)
            self._grown.mark(entry.id, gone_from)
            if not ended:
                place = self._bank_position.setdefault(entry.bank, len(self._bank_position))
                self._grown.add(entry, place)
        known = self._placed(banks())
        if changed or known != self.view.banks or revision != self.view.revision:
            self.view = LiveView(
                self.base, self._base_gone_from, self._grown, number, revision, known
            )

    def _mark_base(self, entry_id: int, gone_from: int) -> None:
        place = int(self._base_ids.searchsorted(entry_id))
        if place == len(self._base_ids) or self._base_ids[place] != entry_id:
            return
        known = self._base_gone_from[place]
        if not known:
            self._base_gone += 1
        if not known or gone_from == FOR_ALL_VIEWS:
            self._base_gone_from[place] = gone_from
        if gone_from == FOR_ALL_VIEWS and self.erased_since_s is None:
            self.erased_since_s = time.monotonic()

    def _placed(self, banks: Sequence[Bank]) -> tuple[SnapshotBank, ...]:
        """The banks in the order of their positions, which never change.

        A bank whose name is gone was deleted or renamed. It stays as it was: its entries are gone
        or come under the new name, and those that have not come yet are still found.
        """
        for bank in banks:
            self._bank_position.setdefault(bank.name, len(self._bank_position))
        by_name = {bank.name: bank for bank in self.view.banks} | {
            bank.name: SnapshotBank(bank.id, bank.name, bank.radius_bits, bank.enabled, bank.kind)
            for bank in banks
        }
        return tuple(map(by_name.__getitem__, self._bank_position))


@dataclass(frozen=True, slots=True)
class _Rows:
    """Codes of one kind: the snapshot's rows, then those of each segment."""

    search_base: Callable[[NDArray[np.uint8], int], Hits]
    owners_in_base: Callable[[NDArray[np.int64]], NDArray[np.int64]]
    base_rows: int
    base_entries: int
    segments: tuple[Segment, ...]

    def __len__(self) -> int:
        return self.base_rows + sum(map(len, self.segments))

    def search(self, queries: NDArray[np.uint8], radius_bits: int) -> Hits:
        hits = self.search_base(queries, radius_bits)
        pieces: list[Piece] = []
        first = self.base_rows
        for segment in self.segments:
            more = segment.kernel.search(queries, radius_bits)
            if len(more):
                pieces.append((more.query, more.row + first, more.distance))
            first += len(segment)
        if not pieces:
            return hits
        return Hits.of([(hits.query, hits.row, hits.distance), *pieces])

    def owners(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        first = self.base_rows
        grown = rows >= first
        if not grown.any():
            return self.owners_in_base(rows)
        owners = np.empty(len(rows), np.int64)
        owners[~grown] = self.owners_in_base(rows[~grown])
        for segment in self.segments:
            inside = (rows >= first) & (rows < first + len(segment))
            owners[inside] = segment.owner[rows[inside] - first]
            first += len(segment)
        owners[grown] += self.base_entries
        return owners


class LiveView:
    """The searchable state at one moment; see `egide.index.searched.Searched`.

    An owner is a position in the snapshot's entries followed by the grown ones.

    Attributes:
        number: from 1, one more for each view of a live index.
        revision: the store's revision that the view is complete for.
        banks: all banks, including disabled ones.
        trusts: the levels of trust, in the order of `Entries.trust`.
    """

    def __init__(
        self,
        base: Snapshot,
        base_gone_from: NDArray[np.uint32],
        grown: Grown,
        number: int,
        revision: int,
        banks: tuple[SnapshotBank, ...],
    ) -> None:
        """Use `LiveIndex.view`."""
        self.number = number
        self.revision = revision
        self.banks = banks
        self.trusts: tuple[Trust, ...] = base.trusts
        self._base = base
        self._base_entries = base.entry_count
        self._base_gone_from = base_gone_from
        self._grown = grown
        self._owner_count = grown.owner_count
        self._pdq = _Rows(
            base.search,
            base.owners,
            base.row_count,
            self._base_entries,
            grown.pdq.segments(grown.owners),
        )
        self._anchored = _Rows(
            base.search_anchored,
            base.anchored_owners,
            base.anchored_row_count,
            self._base_entries,
            grown.anchored.segments(grown.owners),
        )

    @property
    def lineage(self) -> object:
        """Identical for all views of one live index, in which owners keep their positions."""
        return self._base

    @property
    def owner_count(self) -> int:
        """The number of owners, including those of entries that are gone."""
        return self._base_entries + self._owner_count

    @property
    def code_count(self) -> int:
        """The number of codes of either kind, including those of entries that are gone."""
        return len(self._pdq) + len(self._anchored)

    def search(self, queries: NDArray[np.uint8], radius_bits: int) -> Hits:
        """Find every row within radius_bits of each query, including rows of gone entries.

        Args:
            queries: shape (q, 32).
            radius_bits: 0–63.

        Raises:
            RadiusInvalid: the radius is outside 0–63.
            SnapshotDamaged: the snapshot's content is wrong.
        """
        return self._pdq.search(queries, radius_bits)

    def owners(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """The entries that hold the codes in these rows.

        Raises:
            SnapshotDamaged: an owner does not exist.
        """
        return self._pdq.owners(rows)

    def are_videos(self, owners: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which of these entries are videos."""
        grown = owners >= self._base_entries
        if not grown.any():
            return self._base.are_videos(owners)
        found = np.empty(len(owners), np.bool_)
        found[~grown] = self._base.are_videos(owners[~grown])
        found[grown] = self._grown.owners["video"][owners[grown] - self._base_entries]
        return found

    def video_places(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """The positions of these rows among the codes of their videos; of a picture any."""
        first = self._pdq.base_rows
        inside = rows < first
        places = np.empty(len(rows), np.int64)
        places[inside] = self._base.video_places(rows[inside])
        for segment in self._pdq.segments:
            inside = (rows >= first) & (rows < first + len(segment))
            places[inside] = rows[inside] - first - segment.first_rows(rows[inside] - first)
            first += len(segment)
        return places

    def video_of(self, row: int) -> VideoFrames | None:
        """The video that holds the code in this row; None if it is a picture's, or has ended."""
        first = self._pdq.base_rows
        if row < first:
            return self._base.video_of(row)
        for segment in self._pdq.segments:
            if row < first + len(segment):
                known = self._grown.videos.get(int(segment.owner[row - first]))
                if known is None:
                    return None
                times, duration_ms = known
                return VideoFrames(segment.codes_of(row - first), times, duration_ms)
            first += len(segment)
        raise IndexError(row)

    def search_anchored(self, queries: NDArray[np.uint8], radius_bits: int) -> Hits:
        """Find every row of the anchored codes, as `search` does."""
        return self._anchored.search(queries, radius_bits)

    def anchored_owners(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """The entries that hold these rows of the anchored codes, as `owners` gives them."""
        return self._anchored.owners(rows)

    def anchored_codes(self, row: int) -> NDArray[np.uint8]:
        """All anchored codes of the entry that holds the one in this row, shape (k, 32)."""
        first = self._base.anchored_row_count
        if row < first:
            return self._base.anchored_codes(row)
        for segment in self._anchored.segments:
            if row < first + len(segment):
                return codes_beside(segment.kernel.codes, segment.owner, row - first)
            first += len(segment)
        raise IndexError(row)

    def find_digests(self, signal: Signal, digests: Sequence[bytes]) -> DigestHits:
        """Find the entries that hold each digest, including gone entries.

        Args:
            signal: one of `DIGEST_SIGNALS`.
            digests: each of that signal's length.

        Raises:
            ValueError: a digest has another length.
            SnapshotDamaged: an owner does not exist.
        """
        hits = self._base.find_digests(signal, digests)
        query, owner = self._grown.find_digests(signal, digests, self._owner_count)
        if not query:
            return hits
        queries = np.concatenate([hits.query, np.array(query, np.int64)])
        owners = np.concatenate([hits.owner, np.array(owner, np.int64) + self._base_entries])
        order = np.lexsort((owners, queries))
        return DigestHits(queries[order], owners[order])

    def signals_held(self, banks: Collection[SnapshotBank]) -> frozenset[Signal]:
        """The signals that any entry of these banks has: no other can lead to a match.

        Anchored hashes are not among them.
        """
        wanted = [place for place, bank in enumerate(self.banks) if bank in banks]
        owners = {
            signal: [owner.astype(np.int64)] for signal, owner in self._base.signal_owners().items()
        }
        for signal in DIGEST_SIGNALS:
            grown = self._grown.digest_owners(signal, self._owner_count)
            owners[signal].append(grown + self._base_entries)
        for segment in self._pdq.segments:
            owners[Signal.PDQ].append(segment.owner.astype(np.int64) + self._base_entries)
        return frozenset(
            signal
            for signal, some in owners.items()
            if any(self._any_of(owner, wanted) for owner in some)
        )

    def _any_of(self, owners: NDArray[np.int64], banks: Sequence[int]) -> bool:
        """Whether one of these entries is in one of these banks, and has not ended."""
        for first in range(0, len(owners), _OWNERS_AT_ONCE):
            some = owners[first : first + _OWNERS_AT_ONCE]
            if (np.isin(self.columns(some).bank, banks) & self.present(some)).any():
                return True
        return False

    def columns(self, owners: NDArray[np.int64]) -> Entries:
        """The columns of these entries, in their order."""
        grown = owners >= self._base_entries
        if not grown.any():
            return self._base.columns(owners)
        base = self._base.columns(owners[~grown])
        more = self._grown.owners[owners[grown] - self._base_entries]

        def joined(old: NDArray[np.generic], new: NDArray[np.generic]) -> NDArray[np.generic]:
            column = np.empty(len(owners), old.dtype)
            column[~grown] = old
            column[grown] = new
            return column

        return Entries(
            joined(base.id, more["id"]),  # type: ignore[arg-type]
            joined(base.bank, more["bank"]),  # type: ignore[arg-type]
            joined(base.trust, more["trust"]),  # type: ignore[arg-type]
            joined(base.expires_us, more["expires_us"]),  # type: ignore[arg-type]
        )

    def present(self, owners: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which of these entries have neither ended by now nor been replaced in this view."""
        gone_from = np.empty(len(owners), np.uint32)
        grown = owners >= self._base_entries
        gone_from[~grown] = self._base_gone_from[owners[~grown]]
        if grown.any():
            gone_from[grown] = self._grown.owners["gone_from"][owners[grown] - self._base_entries]
        present: NDArray[np.bool_] = (gone_from == 0) | (gone_from > self.number)
        return present
