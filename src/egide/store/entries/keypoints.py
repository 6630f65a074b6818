"""Keypoints of entries: rows sealed with a key that is not in the store."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

import sqlalchemy as sa

from egide.domain.model import State
from egide.domain.times import unix_seconds
from egide.errors import KeypointKeyMissing, KeypointKeyWrong
from egide.security.sealing import SealBroken
from egide.store.entries.banks import get_bank
from egide.store.entries.revisions import current_revision
from egide.store.tables.register import entries, keypoints

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from egide.domain.model import Bank, KeypointSet
    from egide.security.sealing import KeypointKey
    from egide.store.database.interface import Database
    from egide.store.entries.revisions import Change

_CHUNK = 100
# Rows of about 20 KB each: a hundred at a time are 2 MB.

# Not a join: SQLite would walk all entries of the bank instead of those with keypoints.
_bank_id = (
    sa.select(entries.c.bank_id)
    .where(entries.c.id == keypoints.c.entry_id)
    .correlate(keypoints)
    .scalar_subquery()
)
_key_ids = sa.select(keypoints.c.key_id).limit(1)


class Sealer(NamedTuple):
    """Seals and unseals the keypoints of one store.

    Attributes:
        store_id: of the store.
        shown: the store's URL for messages.
        key: None if the caller has none.
    """

    store_id: str
    shown: str
    key: KeypointKey | None


@dataclass(frozen=True, slots=True)
class SealedKeypoints:
    """The searchable keypoints at one moment; iterating unseals them.

    Yields entry and keypoints, by number, in constant memory; only once, while the view is open.

    Attributes:
        revision: the store's revision in this view.
        damaged: entries with unreadable keypoints, which the iteration leaves out; complete only
            after the iteration.
    """

    revision: int
    damaged: list[int]
    _sets: Iterator[tuple[int, KeypointSet]]

    def __iter__(self) -> Iterator[tuple[int, KeypointSet]]:
        return self._sets


class Keypoints:
    """The keypoints of a store's entries, sealed."""

    def __init__(self, database: Database, store_id: str, shown: str) -> None:
        self._database = database
        self._store_id = store_id
        self._shown = shown

    @contextmanager
    def read(
        self,
        key: KeypointKey,
        banks: Collection[str] | None = None,
        *,
        now: datetime | None = None,
    ) -> Iterator[SealedKeypoints]:
        """Revision and keypoints, all at one moment, to build a keypoint index from.

        Args:
            key: the key that sealed them.
            banks: names; None for all.
            now: entries that have expired by this time are left out; by default the present.

        Raises:
            BankMissing: no bank has that name.
            KeypointKeyWrong: another key sealed them; raised before any is read.
            KeypointsUnavailable: `cryptography` is not installed.
        """
        at = unix_seconds(now or datetime.now(UTC))
        with self._database.read(long=True) as connection:
            yield read(connection, self._sealer(key), banks=banks, now_unix_s=at)

    def held(self, banks: Collection[str] | None = None) -> bool:
        """Whether any entry of these banks, by default of all, has keypoints.

        Raises:
            BankMissing: no bank has that name.
        """
        with self._database.read() as connection:
            return held(connection, banks)

    def count(self, bank: str) -> int:
        """How many entries of a bank have keypoints.

        Raises:
            BankMissing: no bank has that name.
        """
        with self._database.read(long=True) as connection:
            return count(connection, get_bank(connection, bank))

    def entry_ids(self, bank: str, *, after: int = 0, limit: int | None = None) -> list[int]:
        """The numbers of the entries of a bank that have keypoints, in order.

        Args:
            bank: the name of the bank.
            after: only entries with a greater number.
            limit: the most to return.

        Raises:
            BankMissing: no bank has that name.
        """
        with self._database.read() as connection:
            found = get_bank(connection, bank)
            return entry_ids(connection, found, after=after, limit=limit)

    def key_id(self) -> bytes | None:
        """The `KeypointKey.key_id` that sealed the store's keypoints; None if it has none."""
        with self._database.read() as connection:
            return key_id(connection)

    def _sealer(self, key: KeypointKey | None) -> Sealer:
        return Sealer(self._store_id, self._shown, key)


def keep(
    change: Change,
    bank: Bank,
    sealer: Sealer,
    wanted: Mapping[bytes, KeypointSet],
    numbers: Mapping[bytes, int],
) -> int:
    """Seal and store the keypoints of entries, replacing old ones.

    Args:
        change: the transaction.
        bank: of all the entries.
        sealer: of this store.
        wanted: keypoints by the entry's identity.
        numbers: entries by their identity.

    Returns:
        how many entries were changed that this change had not touched yet.

    Raises:
        KeypointKeyMissing: the sealer has no key.
        KeypointKeyWrong: another key sealed the store's keypoints. With mixed keys, a part of them
            could never be searched, and nobody would notice.
        KeypointsUnavailable: `cryptography` is not installed.
    """
    key = _checked_key(change.connection, sealer)
    changed = 0
    pending = list(wanted.items())
    for start in range(0, len(pending), _CHUNK):
        part = {numbers[identity]: (identity, kept) for identity, kept in pending[start:][:_CHUNK]}
        changed += _keep_chunk(change, bank, key, sealer.store_id, part)
    return changed


def _keep_chunk(
    change: Change,
    bank: Bank,
    key: KeypointKey,
    store_id: str,
    wanted: Mapping[int, tuple[bytes, KeypointSet]],
) -> int:
    from egide.hashing.keypoint_set import pack

    held = sa.select(keypoints.c.entry_id, keypoints.c.sealed)
    old = {
        row.entry_id: row.sealed
        for row in change.connection.execute(held.where(keypoints.c.entry_id.in_(list(wanted))))
    }
    rows: list[dict[str, Any]] = []
    for entry, (identity, kept) in wanted.items():
        data = pack(kept)
        context = _context(store_id, bank.id, identity)
        if entry not in old or _opened(key, old[entry], context) != data:
            sealed = key.seal(data, context)
            rows.append({"entry_id": entry, "key_id": key.key_id, "sealed": sealed})
    if not rows:
        return 0
    change.erase_beside([row["entry_id"] for row in rows if row["entry_id"] in old], [keypoints])
    change.connection.execute(sa.insert(keypoints), rows)
    return change.mark([row["entry_id"] for row in rows])


def entry_ids(
    connection: sa.Connection, bank: Bank, *, after: int = 0, limit: int | None = None
) -> list[int]:
    """The entries of a bank that have keypoints, by number."""
    rows = connection.execute(
        _of(bank, keypoints.c.entry_id)
        .where(keypoints.c.entry_id > after)
        .order_by(keypoints.c.entry_id)
        .limit(limit)
    )
    return [row.entry_id for row in rows]


def count(connection: sa.Connection, bank: Bank) -> int:
    """How many entries of a bank have keypoints."""
    found: int = connection.execute(_of(bank, sa.func.count())).scalar_one()
    return found


def key_id(connection: sa.Connection) -> bytes | None:
    """The id of the key that sealed the store's keypoints, or None if it has none."""
    # PostgreSQL has no MAX for bytes before version 18.
    return connection.execute(_key_ids.order_by(keypoints.c.key_id.desc())).scalar()


def held(connection: sa.Connection, banks: Collection[str] | None) -> bool:
    """Whether any entry of these banks has keypoints; see `Keypoints.held`."""
    if banks is None:
        return key_id(connection) is not None
    chosen = [get_bank(connection, name) for name in banks]
    return any(entry_ids(connection, bank, limit=1) for bank in chosen)


def read(
    connection: sa.Connection,
    sealer: Sealer,
    *,
    banks: Collection[str] | None,
    now_unix_s: int,
) -> SealedKeypoints:
    """The keypoints of active entries, within the transaction; see `Keypoints.read`."""
    key = _checked_key(connection, sealer)
    chosen = None if banks is None else [get_bank(connection, name).id for name in banks]
    query = (
        sa.select(keypoints.c.entry_id, entries.c.bank_id, entries.c.identity, keypoints.c.sealed)
        .join(entries, entries.c.id == keypoints.c.entry_id)
        .where(entries.c.state == State.ACTIVE.value)
        .where(sa.or_(entries.c.expires.is_(None), entries.c.expires > now_unix_s))
        .order_by(keypoints.c.entry_id)
    )
    if chosen is not None:
        query = query.where(_bank_id.in_(chosen))
    damaged: list[int] = []
    return SealedKeypoints(
        revision=current_revision(connection),
        damaged=damaged,
        _sets=_unsealed(connection, query, sealer.store_id, key, damaged),
    )


def _unsealed(
    connection: sa.Connection,
    query: sa.Select[Any],
    store_id: str,
    key: KeypointKey,
    damaged: list[int],
) -> Iterator[tuple[int, KeypointSet]]:
    from egide.hashing.keypoint_set import unpack

    rows = connection.execution_options(yield_per=_CHUNK).execute(query)
    for page in rows.partitions():
        for entry, bank_id, identity, sealed in page:
            try:
                kept = unpack(key.unseal(sealed, _context(store_id, bank_id, identity)))
            except ValueError:
                damaged.append(entry)
            else:
                yield entry, kept


def _checked_key(connection: sa.Connection, sealer: Sealer) -> KeypointKey:
    """The sealer's key, checked against the keypoints in the store."""
    if sealer.key is None:
        raise KeypointKeyMissing
    # Two queries are one step in the index each; a single query would walk through the index.
    for order in (keypoints.c.key_id.asc(), keypoints.c.key_id.desc()):
        found = connection.execute(_key_ids.order_by(order)).scalar()
        if found not in {None, sealer.key.key_id}:
            raise KeypointKeyWrong(store=sealer.shown)
    return sealer.key


def _of(bank: Bank, column: sa.ColumnElement[int]) -> sa.Select[Any]:
    return sa.select(column).select_from(keypoints).where(_bank_id == bank.id)


def _opened(key: KeypointKey, sealed: bytes, context: bytes) -> bytes | None:
    try:
        return key.unseal(sealed, context)
    except SealBroken:
        return None


def _context(store_id: str, bank_id: int, identity: bytes) -> bytes:
    """The context that a row is bound to; it is unambiguous, since no part holds a slash."""
    return f"{store_id}/{bank_id}/{identity.hex()}".encode()
