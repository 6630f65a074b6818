"""Feedback: what partners say became of matches, kept for each entry and partner, dated."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import sqlalchemy as sa

from egide.domain.model import FeedbackKind
from egide.domain.partners import Feedback, UpstreamFeedback
from egide.errors import EntryMissing, UsageError
from egide.store.entries.banks import get_bank
from egide.store.entries.records import moment, unix_seconds
from egide.store.log import log
from egide.store.tables.register import MAX_ENTRY_ID, entries
from egide.store.tables.service import feedback, upstream_entries

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from egide.store.database.interface import Database

_CHUNK = 2000
_CLOCKS_DIFFER = timedelta(minutes=10)


class FeedbackRecords:
    """The feedback that a store holds. It stays when an entry is withdrawn: it names no person."""

    def __init__(self, database: Database, identity_key: bytes, actor: str) -> None:
        self._database = database
        self._identity_key = identity_key
        self._actor = actor

    def add_all(
        self,
        bank: str,
        items: Sequence[tuple[int, FeedbackKind, datetime]],
        *,
        partner: str,
    ) -> list[int]:
        """Keep what a partner says of entries of a bank, whatever their state; all or none.

        The same once more, as after an answer that was lost on the way, is kept once.

        Args:
            bank: the name of the bank.
            items: number of the entry, what became of the match, and when.
            partner: who says so; a key's name.

        Returns:
            the number of each.

        Raises:
            BankMissing, EntryMissing: there is no such bank, or no such entry in it.
            UsageError: a time lies in the future.
        """
        latest = datetime.now(UTC) + _CLOCKS_DIFFER
        if any(unix_seconds(at) > unix_seconds(latest) for _, _, at in items):
            raise UsageError(reason="feedback tells of what was, and a time lies in the future")
        with self._database.write() as connection:
            bank_id = get_bank(connection, bank).id
            named = {entry for entry, _, _ in items}
            known = _known(connection, bank_id, named)
            for entry, _, _ in items:
                if entry not in known:
                    raise EntryMissing(entry=entry, bank=bank)
            numbers: list[int] = []
            new: dict[int, None] = {}
            for entry, kind, at in items:
                number, is_new = _keep(connection, entry, partner, kind, unix_seconds(at))
                numbers.append(number)
                if is_new:
                    new[entry] = None
            if new:
                shown = list(new) if len(new) <= log.MAX_SUBJECTS else []
                log.append(
                    connection,
                    at=unix_seconds(datetime.now(UTC)),
                    actor=self._actor,
                    action="feedback",
                    bank=bank,
                    subjects=[log.entry_reference(self._identity_key, entry) for entry in shown],
                    detail={"entries": len(new), "partner": partner},
                )
        return numbers

    def of_entry(self, bank: str, entry_id: int) -> list[Feedback]:
        """All that was said of an entry, in the order of its arrival.

        Raises:
            BankMissing, EntryMissing: there is no such bank, or no such entry in it.
        """
        with self._database.read() as connection:
            _check_entry(connection, bank, entry_id)
            rows = connection.execute(
                sa.select(feedback).where(feedback.c.entry_id == entry_id).order_by(feedback.c.id)
            )
            return [
                Feedback(row.id, row.entry_id, row.partner, FeedbackKind(row.kind), moment(row.at))
                for row in rows
            ]

    def for_upstream(self, upstream_id: int, after: int, limit: int) -> list[UpstreamFeedback]:
        """What was said of entries that came from another register, in the order of arrival.

        Args:
            upstream_id: the number of that register in `upstreams`.
            after: only feedback of a greater number.
            limit: at most so many.
        """
        with self._database.read() as connection:
            rows = connection.execute(
                sa.select(
                    feedback.c.id,
                    upstream_entries.c.remote_entry,
                    feedback.c.kind,
                    feedback.c.at,
                )
                .join(upstream_entries, upstream_entries.c.entry_id == feedback.c.entry_id)
                .where(upstream_entries.c.upstream_id == upstream_id)
                .where(feedback.c.id > after)
                .order_by(feedback.c.id, upstream_entries.c.remote_entry)
                .limit(limit)
            )
            return [
                UpstreamFeedback(row.id, row.remote_entry, FeedbackKind(row.kind), moment(row.at))
                for row in rows
            ]


def _keep(
    connection: sa.Connection, entry: int, partner: str, kind: FeedbackKind, at: int
) -> tuple[int, bool]:
    """The number under which it stands, and whether it is new."""
    known = connection.execute(
        sa.select(feedback.c.id)
        .where(feedback.c.entry_id == entry)
        .where(feedback.c.partner == partner)
        .where(feedback.c.kind == kind.value)
        .where(feedback.c.at == at)
        .limit(1)
    ).scalar()
    if known is not None:
        return int(known), False
    made = connection.execute(
        sa.insert(feedback).values(entry_id=entry, partner=partner, kind=kind.value, at=at)
    ).inserted_primary_key
    assert made is not None
    return int(made[0]), True


def _check_entry(connection: sa.Connection, bank: str, entry_id: int) -> None:
    if not _known(connection, get_bank(connection, bank).id, [entry_id]):
        raise EntryMissing(entry=entry_id, bank=bank)


def _known(connection: sa.Connection, bank_id: int, entry_ids: Collection[int]) -> set[int]:
    """Those of the entries that the bank has."""
    possible = [entry for entry in entry_ids if 0 < entry <= MAX_ENTRY_ID]
    known: set[int] = set()
    for start in range(0, len(possible), _CHUNK):
        known.update(
            connection.execute(
                sa.select(entries.c.id)
                .where(entries.c.bank_id == bank_id)
                .where(entries.c.id.in_(possible[start : start + _CHUNK]))
            ).scalars()
        )
    return known
