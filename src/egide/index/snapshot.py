"""The search snapshot: all entries of a store that can match, in one searchable file.

`egide.index.snapshot_build` builds it. It opens in milliseconds and is shared by all processes that
map it. It never changes: a new revision of the store is a new file.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from egide.domain.model import DIGEST_SIGNALS, MAX_ANCHORED, SIGNAL_BYTES, BankKind, Signal, Trust
from egide.errors import SnapshotDamaged, SnapshotError
from egide.index.bands import layout_for
from egide.index.container import read_container
from egide.index.lists import BandLists
from egide.index.multi_index import MultiIndex

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path
    from types import TracebackType

    from numpy.typing import NDArray

    from egide.index.kernel import Hits

NEVER_US = np.iinfo(np.int64).max
"""The `expires_us` of an entry without an end."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class SnapshotBank:
    """A bank's state when the snapshot was built."""

    id: int
    name: str
    radius_bits: int
    enabled: bool
    kind: BankKind = BankKind.POSITIVE


@dataclass(frozen=True, slots=True)
class Entries:
    """The entries of a snapshot as columns; an *owner* below is a position in them.

    Attributes:
        id: int64[e], the entry's number in the store.
        bank: uint16[e], a position in `Snapshot.banks`.
        trust: uint8[e], a position in `Snapshot.trusts`.
        expires_us: int64[e], microseconds since 1970 UTC, or `NEVER_US`.
    """

    id: NDArray[np.int64]
    bank: NDArray[np.uint16]
    trust: NDArray[np.uint8]
    expires_us: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class DigestHits:
    """Entries that hold one of the requested digests, sorted by (query, owner).

    Attributes:
        query: int64[k], the position of the digest in its batch.
        owner: int64[k], a position in the snapshot's entries.
    """

    query: NDArray[np.int64]
    owner: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class SomeEntries:
    """What some entries are found by.

    Attributes:
        codes: uint8[n, 32].
        digests: of each of `DIGEST_SIGNALS`.
    """

    codes: NDArray[np.uint8]
    digests: dict[Signal, frozenset[bytes]]


@dataclass(frozen=True, slots=True)
class VideoFrames:
    """A registered video as it is searched.

    Attributes:
        codes: uint8[n, 32], of its frames.
        times: int64[n, 2], from when to when each is seen, in milliseconds.
        duration_ms: of the video.
    """

    codes: NDArray[np.uint8]
    times: NDArray[np.int64]
    duration_ms: int


@dataclass(frozen=True, slots=True)
class _Videos:
    """Which entries are videos, sorted by owner.

    Attributes:
        owner: uint32[v].
        row: int64[v], of the first of its codes.
        first: int64[v], of the first of its times in `times`; one for each of its codes.
        duration_ms: uint32[v].
        times: uint32[t, 2].
    """

    owner: NDArray[np.uint32]
    row: NDArray[np.int64]
    first: NDArray[np.int64]
    duration_ms: NDArray[np.uint32]
    times: NDArray[np.uint32]

    def places(self, owners: NDArray[np.int64]) -> NDArray[np.int64]:
        """The position of each owner among the videos, −1 of a picture."""
        if not len(self.owner):
            return np.full(len(owners), -1, np.int64)
        place = np.minimum(np.searchsorted(self.owner, owners), len(self.owner) - 1)
        return np.where(self.owner[place] == owners, place, -1)

    def fit(self, rows: int, entries: int) -> bool:
        """Whether each video has a time for each of its codes, and all of them exist."""
        ends = np.append(self.first[1:], len(self.times))
        return bool(
            (self.owner[1:] > self.owner[:-1]).all()
            and self.owner.max(initial=0) < max(entries, 1)
            and (self.first >= 0).all()
            and (self.first <= ends).all()
            and (self.row >= 0).all()
            and (self.row + ends - self.first <= rows).all()
        )


@dataclass(frozen=True, slots=True)
class _DigestTable:
    """Sorted digests; `prefix` is the first 8 bytes as a number, for binary search."""

    prefix: NDArray[np.uint64]
    digest: NDArray[np.uint8]
    owner: NDArray[np.uint32]


_VIDEO_COLUMNS = {"owner": "<u4", "row": "<i8", "first": "<i8", "duration_ms": "<u4"}
_NO_VIDEOS = _Videos(
    np.zeros(0, np.uint32),
    np.zeros(0, np.int64),
    np.zeros(0, np.int64),
    np.zeros(0, np.uint32),
    np.zeros((0, 2), np.uint32),
)


def _bank(values: dict[str, Any]) -> SnapshotBank:
    return SnapshotBank(**{**values, "kind": BankKind(values["kind"])})


class _Codes:
    """Codes of one kind, what searches them, and the entries that hold them."""

    def __init__(self, name: str, arrays: dict[str, NDArray[Any]], kind: str) -> None:
        codes, lists = arrays[kind], arrays.get(f"{kind}_lists")
        self.name = name
        self.rows = len(codes)
        self.owner = arrays[f"{kind}_owner"]
        if self.owner.dtype.str != "<u4" or self.owner.shape != (self.rows,):
            raise ValueError(kind)
        self.kernel = MultiIndex(
            codes, None if lists is None else BandLists(layout_for(self.rows), self.rows, lists)
        )

    def search(self, queries: NDArray[np.uint8], radius_bits: int) -> Hits:
        """Find every row within the radius."""
        try:
            return self.kernel.search(queries, radius_bits)
        except IndexError as error:
            raise SnapshotDamaged(name=self.name, reason="its index is wrong") from error


class Snapshot:
    """An open snapshot file.

    Attributes:
        path: the file.
        store_id: the store that it was built from.
        revision: the store's revision that it holds.
        created: when it was built, UTC.
        banks: all banks of the store, including disabled ones.
        trusts: the levels of trust, in the order of `Entries.trust`.
    """

    def __init__(
        self, path: Path, metadata: dict[str, Any], arrays: dict[str, NDArray[Any]]
    ) -> None:
        """Use `Snapshot.open`."""
        self.path = path
        self.store_id: str = metadata["store_id"]
        self.revision: int = metadata["revision"]
        self.created = datetime.fromisoformat(metadata["created"])
        self.banks = tuple(_bank(bank) for bank in metadata["banks"])
        self.trusts = tuple(Trust(trust) for trust in metadata["trusts"])
        self._entries: Entries | None = Entries(
            arrays["entry_id"],
            arrays["entry_bank"],
            arrays["entry_trust"],
            arrays["entry_expires_us"],
        )
        self._digests = {
            signal: _DigestTable(
                arrays[f"{signal}_prefix"], arrays[f"{signal}_digest"], arrays[f"{signal}_owner"]
            )
            for signal in DIGEST_SIGNALS
        }
        self._pdq = _Codes(str(path), arrays, "code")
        self._anchored = _Codes(str(path), arrays, "anchored")
        self._videos = _Videos(*(arrays[f"video_{name}"] for name in (*_VIDEO_COLUMNS, "times")))
        self.row_count = self._pdq.rows
        self.anchored_row_count = self._anchored.rows
        self.entry_count = len(arrays["entry_id"])
        self._check(arrays)

    @classmethod
    def open(cls, path: Path, *, verify: bool = False) -> Self:
        """Map the file at path.

        Args:
            path: of a file made by `build_snapshot`.
            verify: also compare the checksum of every section, which reads the whole file. The
                header's checksum and all sizes are always checked.

        Raises:
            SnapshotMissing: there is no such file.
            SnapshotVersion: another version of Egide wrote it in another format.
            SnapshotDamaged: the file is truncated or altered.
            SnapshotError: the file cannot be read or is another kind of file.
        """
        metadata, arrays = read_container(path, verify=verify)
        try:
            return cls(path, metadata, arrays)
        except (KeyError, TypeError, ValueError) as error:
            raise SnapshotDamaged(name=str(path), reason="its sections do not fit") from error

    def _check(self, arrays: dict[str, NDArray[Any]]) -> None:
        """Raise ValueError unless all arrays have consistent dtypes and lengths."""
        entries = self.entry_count
        expected: dict[str, tuple[str, tuple[int, ...]]] = {
            "entry_id": ("<i8", (entries,)),
            "entry_bank": ("<u2", (entries,)),
            "entry_trust": ("|u1", (entries,)),
            "entry_expires_us": ("<i8", (entries,)),
        }
        for signal in DIGEST_SIGNALS:
            count = len(arrays[f"{signal}_prefix"])
            expected[f"{signal}_prefix"] = ("<u8", (count,))
            expected[f"{signal}_digest"] = ("|u1", (count, SIGNAL_BYTES[signal]))
            expected[f"{signal}_owner"] = ("<u4", (count,))
        videos = len(arrays["video_owner"])
        for name, dtype in _VIDEO_COLUMNS.items():
            expected[f"video_{name}"] = (dtype, (videos,))
        expected["video_times"] = ("<u4", (len(arrays["video_times"]), 2))
        banks, trusts = arrays["entry_bank"], arrays["entry_trust"]
        if banks.max(initial=0) >= max(len(self.banks), 1) or trusts.max(initial=0) >= len(Trust):
            raise ValueError("entry_bank")
        for key, (dtype, shape) in expected.items():
            if arrays[key].dtype.str != dtype or arrays[key].shape != shape:
                raise ValueError(key)
        if not self._videos.fit(self.row_count, entries):
            raise ValueError("video_owner")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Release the file; it is unmapped once none of its arrays is in use."""
        self._entries = None
        self._digests = {}
        nothing: dict[str, NDArray[Any]] = {
            "code": np.zeros((0, 32), np.uint8),
            "code_owner": np.zeros(0, np.uint32),
        }
        self._pdq = self._anchored = _Codes(str(self.path), nothing, "code")
        self._videos = _NO_VIDEOS

    @property
    def entries(self) -> Entries:
        """The entries.

        Raises:
            SnapshotError: the snapshot was closed.
        """
        if self._entries is None:
            raise SnapshotError(name=str(self.path), reason="it was closed")
        return self._entries

    @property
    def lineage(self) -> object:
        """The snapshot itself, as it never changes."""
        return self

    @property
    def owner_count(self) -> int:
        """The number of entries, named as in a live view."""
        return self.entry_count

    @property
    def code_count(self) -> int:
        """The number of codes of either kind."""
        return self.row_count + self.anchored_row_count

    def count_entries(self) -> dict[int, int]:
        """The number of entries in each bank, by the bank's id."""
        counts = np.bincount(self.entries.bank, minlength=len(self.banks))
        return {bank.id: int(count) for bank, count in zip(self.banks, counts, strict=True)}

    def count_expired(self, now: datetime) -> int:
        """The number of entries that have expired by `now` but are still in the store."""
        return int(np.count_nonzero(self.entries.expires_us <= unix_us(now)))

    @property
    def kernel(self) -> str:
        """The name of the search kernel, for reports."""
        return self._pdq.kernel.name

    def signals_held(self, banks: Collection[SnapshotBank]) -> frozenset[Signal]:
        """The signals that any entry of these banks has: no other can lead to a match.

        Anchored hashes are not among them.

        Raises:
            SnapshotDamaged: an owner does not exist.
            SnapshotError: the snapshot was closed.
        """
        wanted = [place for place, bank in enumerate(self.banks) if bank in banks]
        of_bank = self.entries.bank
        return frozenset(
            signal
            for signal, owner in self.signal_owners().items()
            if np.isin(of_bank[self._checked(owner)], wanted).any()
        )

    def signal_owners(self) -> dict[Signal, NDArray[np.uint32]]:
        """The owners of each code and digest, by signal; anchored hashes are not among them.

        Raises:
            SnapshotError: the snapshot was closed.
        """
        _ = self.entries
        owners = {signal: table.owner for signal, table in self._digests.items()}
        return owners | {Signal.PDQ: self._pdq.owner}

    def digest_count(self, signal: Signal) -> int:
        """The number of digests of a kind."""
        _ = self.entries
        return len(self._digests[signal].owner)

    def search(self, queries: NDArray[np.uint8], radius_bits: int) -> Hits:
        """Find every row whose code is within radius_bits of each query.

        Args:
            queries: shape (q, 32).
            radius_bits: 0–63.

        Raises:
            RadiusInvalid: the radius is outside 0–63.
            SnapshotDamaged: the index contains a row number that does not exist.
            SnapshotError: the snapshot was closed.
        """
        _ = self.entries
        return self._pdq.search(queries, radius_bits)

    def owners(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """The owners, as positions, of the codes in these rows.

        Raises:
            SnapshotDamaged: an owner does not exist.
        """
        _ = self.entries
        return self._checked(self._pdq.owner[rows])

    def are_videos(self, owners: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which of these entries are videos."""
        found: NDArray[np.bool_] = self._videos.places(owners) >= 0
        return found

    def video_places(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """The positions of these rows among the codes of their videos; of a picture any."""
        place = self._videos.places(self.owners(rows))
        if not len(self._videos.owner):
            return place
        return rows - self._videos.row[place]

    def video_of(self, row: int) -> VideoFrames | None:
        """The video that holds the code in this row; None if it is a picture's.

        Raises:
            SnapshotError: the snapshot was closed.
        """
        _ = self.entries
        videos = self._videos
        place = int(videos.places(self.owners(np.array([row])))[0])
        if place < 0:
            return None
        first, following = int(videos.first[place]), place + 1
        end = int(videos.first[following]) if following < len(videos.first) else len(videos.times)
        start = int(videos.row[place])
        return VideoFrames(
            self._pdq.kernel.codes[start : start + end - first],
            videos.times[first:end].astype(np.int64),
            int(videos.duration_ms[place]),
        )

    def search_anchored(self, queries: NDArray[np.uint8], radius_bits: int) -> Hits:
        """Find every row of the anchored codes, as `search` does."""
        _ = self.entries
        return self._anchored.search(queries, radius_bits)

    def anchored_owners(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """The owners of these rows of the anchored codes, as `owners` gives them."""
        _ = self.entries
        return self._checked(self._anchored.owner[rows])

    def anchored_codes(self, row: int) -> NDArray[np.uint8]:
        """All anchored codes of the entry that holds the one in this row, shape (k, 32).

        Raises:
            SnapshotError: the snapshot was closed.
        """
        _ = self.entries
        return codes_beside(self._anchored.kernel.codes, self._anchored.owner, row)

    def anchored_entries(self) -> NDArray[np.int64]:
        """The owners that have anchored codes.

        Raises:
            SnapshotError: the snapshot was closed.
        """
        _ = self.entries
        owner = self._anchored.owner
        first = np.ones(len(owner), np.bool_)
        np.not_equal(owner[1:], owner[:-1], out=first[1:])
        return self._checked(owner[first])

    def columns(self, owners: NDArray[np.int64]) -> Entries:
        """The columns of these entries, in their order.

        Raises:
            SnapshotError: the snapshot was closed.
        """
        entries = self.entries
        return Entries(
            entries.id[owners],
            entries.bank[owners],
            entries.trust[owners],
            entries.expires_us[owners],
        )

    def present(self, owners: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which of these entries have not ended: all, as a snapshot never changes."""
        return np.ones(len(owners), np.bool_)

    def some(self, owners: NDArray[np.bool_]) -> SomeEntries:
        """The codes and digests of some entries, apart from all others.

        Args:
            owners: bool[e], which entries.

        Raises:
            SnapshotDamaged: an owner does not exist.
            SnapshotError: the snapshot was closed.
        """
        _ = self.entries
        return SomeEntries(
            self._pdq.kernel.codes[owners[self._checked(self._pdq.owner)]],
            {
                signal: frozenset(
                    digest.tobytes() for digest in table.digest[owners[self._checked(table.owner)]]
                )
                for signal, table in self._digests.items()
            },
        )

    def find_digests(self, signal: Signal, digests: Sequence[bytes]) -> DigestHits:
        """Find the entries that hold each digest.

        Args:
            signal: one of `DIGEST_SIGNALS`.
            digests: each of that signal's length.

        Raises:
            ValueError: a digest has another length.
            SnapshotDamaged: an owner does not exist.
            SnapshotError: the snapshot was closed.
        """
        _ = self.entries
        table = self._digests[signal]
        size = SIGNAL_BYTES[signal]
        if set(map(len, digests)) - {size}:
            reason = f"a {signal} digest has {size} bytes"
            raise ValueError(reason)
        wanted = np.frombuffer(b"".join(digests), np.uint8).reshape(-1, size)
        prefix = digest_prefix(wanted)
        first = np.searchsorted(table.prefix, prefix, "left")
        count = np.searchsorted(table.prefix, prefix, "right") - first
        query = np.repeat(np.arange(len(wanted)), count)
        place = np.arange(len(query)) - np.repeat(np.cumsum(count) - count, count) + first[query]
        same = (table.digest[place] == wanted[query]).all(axis=1)
        return DigestHits(query[same], self._checked(table.owner[place[same]]))

    def _checked(self, owners: NDArray[np.uint32]) -> NDArray[np.int64]:
        if len(owners) and int(owners.max()) >= self.entry_count:
            raise SnapshotDamaged(name=str(self.path), reason="an entry number is wrong")
        return owners.astype(np.int64)


def codes_beside(
    codes: NDArray[np.uint8], owner: NDArray[np.uint32], row: int
) -> NDArray[np.uint8]:
    """The codes of one entry, which stand side by side, at most `MAX_ANCHORED`.

    Args:
        codes: shape (n, 32).
        owner: uint32[n], the owner of each.
        row: of any of the entry's codes.
    """
    around = slice(max(row - MAX_ANCHORED + 1, 0), row + MAX_ANCHORED)
    own: NDArray[np.uint8] = codes[around][owner[around] == owner[row]]
    return own


def digest_prefix(digests: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """The first 8 bytes of each digest, shape (n, 16 or 32), as numbers that sort alike."""
    return np.ascontiguousarray(digests[:, :8]).view(">u8")[:, 0].astype(np.uint64)


def unix_us(moment: datetime | None) -> int:
    """Return microseconds since 1970 UTC, or NEVER_US for None."""
    if moment is None:
        return NEVER_US
    return (moment - _EPOCH) // timedelta(microseconds=1)
