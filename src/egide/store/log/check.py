"""Verify the log: its chain, and its agreement with the store's revisions and keys."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

import sqlalchemy as sa

from egide.errors import LogBroken
from egide.store.log.bank_names import former_bank_names, name_among
from egide.store.log.records import START, LogRecord, read_records
from egide.store.tables.register import banks, entries, revisions
from egide.store.tables.service import keys, log

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_CHUNK = 1000


@dataclass(frozen=True, slots=True)
class LogVerdict:
    """The result of a successful check.

    Attributes:
        records: the number of records, and so the number of the last one.
        head: the hash of the last record.
        first_revision: the first revision in the log; earlier ones were made by an Egide without
            a log. None if the log has no revision.
        anchored: whether a head that was noted elsewhere was given, and found in the chain.
    """

    records: int
    head: bytes
    first_revision: int | None
    anchored: bool


@dataclass(slots=True)
class _Walk:
    seq: int = 0
    hash: bytes = START
    first_revision: int | None = None
    last_revision: int = 0
    revisions: int = 0


def verify(
    connection: sa.Connection,
    *,
    expected_head: tuple[int, bytes] | None,
    on_progress: Callable[[int], None] | None,
) -> LogVerdict:
    """Check the log in one reading transaction; see `Log.verify`."""
    walk = _Walk()
    made: set[str] = set()
    before = former_bank_names(connection)
    records = read_records(connection)
    while chunk := list(islice(records, _CHUNK)):
        for record in chunk:
            _follow(walk, record)
            if expected_head is not None and record.seq == expected_head[0]:
                _compare(record.hash, expected_head)
            if record.action == "create-key":
                made.add(str(record.detail.get("key")))
        _check_revisions(connection, chunk, before)
        if on_progress is not None:
            on_progress(walk.seq)
    if expected_head is not None and expected_head[0] > walk.seq:
        raise LogBroken(seq=walk.seq + 1, reason="it is missing, and so are those after it")
    if expected_head is not None and expected_head[0] == 0:
        _compare(START, expected_head)
    _check_nothing_unlogged(connection, walk, made)
    return LogVerdict(walk.seq, walk.hash, walk.first_revision, expected_head is not None)


def _compare(found: bytes, expected_head: tuple[int, bytes]) -> None:
    if found != expected_head[1]:
        raise LogBroken(seq=expected_head[0], reason="it is not the one whose hash was noted")


def _follow(walk: _Walk, record: LogRecord) -> None:
    if record.seq != walk.seq + 1:
        raise LogBroken(seq=walk.seq + 1, reason="it is missing")
    if record.previous != walk.hash:
        raise LogBroken(seq=record.seq, reason="it does not follow the record before it")
    if record.hash != record.computed_hash():
        raise LogBroken(seq=record.seq, reason="its content does not match its hash")
    walk.seq, walk.hash = record.seq, record.hash
    if record.revision is None:
        return
    if record.revision <= walk.last_revision:
        raise LogBroken(seq=record.seq, reason="its revision is out of order")
    if walk.first_revision is None:
        walk.first_revision = record.revision
    walk.last_revision = record.revision
    walk.revisions += 1


def _check_revisions(
    connection: sa.Connection,
    chunk: Sequence[LogRecord],
    before: Mapping[int, Sequence[tuple[int, str]]],
) -> None:
    """Compare the revisions in some records with the store's, given the banks' former names."""
    logged = [record for record in chunk if record.revision is not None]
    if not logged:
        return
    rows = connection.execute(
        sa.select(
            revisions.c.id,
            revisions.c.at,
            revisions.c.action,
            banks.c.id,
            banks.c.name,
            revisions.c.entries,
        )
        .select_from(revisions.outerjoin(banks, banks.c.id == revisions.c.bank_id))
        .where(revisions.c.id.between(logged[0].revision, logged[-1].revision))
    )
    found = {
        revision: (at, action, name_among(before.get(bank, []), revision) or name, entries)
        for revision, at, action, bank, name, entries in rows
    }
    for record in logged:
        assert record.revision is not None
        if record.revision not in found:
            raise LogBroken(seq=record.seq, reason=f"the store has no revision {record.revision}")
        told = (record.at, record.action, record.bank, record.detail.get("entries"))
        if found[record.revision] != told:
            raise LogBroken(
                seq=record.seq, reason=f"revision {record.revision} of the store says otherwise"
            )


def _check_nothing_unlogged(connection: sa.Connection, walk: _Walk, made: set[str]) -> None:
    """Find revisions, entries, banks and keys without a record."""
    if walk.first_revision is not None:
        since = walk.first_revision
        total = connection.execute(
            sa.select(sa.func.count()).select_from(revisions).where(revisions.c.id >= since)
        ).scalar_one()
        if total != walk.revisions:
            unlogged = connection.execute(
                sa.select(sa.func.min(revisions.c.id))
                .where(revisions.c.id >= since)
                .where(~sa.exists().where(log.c.revision == revisions.c.id))
            ).scalar_one()
            raise LogBroken(
                seq=walk.seq + 1, reason=f"it is missing: no record has revision {unlogged}"
            )
    last = connection.execute(sa.select(sa.func.max(revisions.c.id))).scalar() or 0
    for table, what in ((entries, "an entry"), (banks, "a bank")):
        newest = connection.execute(sa.select(sa.func.max(table.c.revision))).scalar() or 0
        if newest > last:
            raise LogBroken(
                seq=walk.seq + 1, reason=f"it is missing: {what} changed at revision {newest}"
            )
    for name in connection.execute(sa.select(keys.c.name).order_by(keys.c.id)).scalars():
        if name not in made:
            raise LogBroken(
                seq=walk.seq + 1, reason=f"it is missing: no record tells who made the key {name}"
            )
