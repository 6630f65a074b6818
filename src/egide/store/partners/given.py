"""Decide and record in one transaction which entries leave the store."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING

import sqlalchemy as sa

from egide.domain.model import State
from egide.store.entries.banks import get_bank
from egide.store.log import log
from egide.store.partners.reads import note_reads
from egide.store.tables.register import entries as entry_table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from egide.domain.access import Key
    from egide.domain.model import Entry
    from egide.store.database.interface import Database

_CHUNK = 2000


class Given:
    """Records entries before they are handed out; see `egide.usecases.export`."""

    def __init__(self, database: Database, identity_key: bytes, actor: str) -> None:
        self._database = database
        self._identity_key = identity_key
        self._actor = actor

    def entries(self, key: Key, entries: Sequence[Entry], *, way: str) -> frozenset[int]:
        """Record that a key is given entries with their fingerprints.

        Makes one record for each bank, and stores the time of the first reading for entries of
        cases. An entry that has ended since it was read is left out, as it must no longer leave.

        Args:
            key: the receiver.
            entries: active entries, as they were read.
            way: how they leave.

        Returns:
            the numbers of the entries that may leave.
        """
        if not entries:
            return frozenset()
        at = int(time.time())
        with self._database.write() as connection:
            active = _still_active(connection, [entry.id for entry in entries], at)
            given = [entry for entry in entries if entry.id in active]
            for bank, count in sorted(Counter(entry.bank for entry in given).items()):
                named = [entry.id for entry in given if entry.bank == bank]
                log.append(
                    connection,
                    at=at,
                    actor=self._actor,
                    action="hand-out",
                    bank=bank,
                    subjects=[log.entry_reference(self._identity_key, entry) for entry in named]
                    if count <= log.MAX_SUBJECTS
                    else (),
                    detail={"way": way, "entries": count},
                )
            note_reads(connection, key, given, at)
        return active

    def bank(self, name: str, detail: Mapping[str, str | int]) -> int:
        """Record that a bank is exported.

        Args:
            name: of the bank.
            detail: the way, the format, the approval.

        Returns:
            the number of its active entries: no more may leave.

        Raises:
            BankMissing: no bank has that name.
        """
        at = int(time.time())
        with self._database.write() as connection:
            count = int(
                connection.execute(
                    sa.select(sa.func.count())
                    .select_from(entry_table)
                    .where(entry_table.c.bank_id == get_bank(connection, name).id)
                    .where(_active(at))
                ).scalar_one()
            )
            log.append(
                connection,
                at=at,
                actor=self._actor,
                action="export",
                bank=name,
                detail={**detail, "entries": count},
            )
        return count


def _active(at: int) -> sa.ColumnElement[bool]:
    return sa.and_(
        entry_table.c.state == State.ACTIVE.value,
        sa.or_(entry_table.c.expires.is_(None), entry_table.c.expires > at),
    )


def _still_active(connection: sa.Connection, ids: Sequence[int], at: int) -> frozenset[int]:
    found: set[int] = set()
    for start in range(0, len(ids), _CHUNK):
        which = entry_table.c.id.in_(ids[start : start + _CHUNK])
        found.update(
            connection.execute(sa.select(entry_table.c.id).where(which).where(_active(at)))
            .scalars()
            .all()
        )
    return frozenset(found)
