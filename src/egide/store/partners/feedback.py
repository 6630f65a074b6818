"""Partners' feedback on matches, with its time, for each entry and partner."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import sqlalchemy as sa

from egide.domain.model import FeedbackKind
from egide.domain.partners import Feedback, UpstreamFeedback
from egide.domain.times import moment, unix_seconds
from egide.errors import EntryMissing, UsageError
from egide.store.entries.banks import get_bank
from egide.store.log import log
from egide.store.tables.register import MAX_ENTRY_ID, entries
from egide.store.tables.service import feedback, upstream_entries

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from egide.store.database.interface import Database

_CHUNK = 2000
_CLOCKS_DIFFER = timedelta(minutes=10)


class FeedbackRecords:
    """The feedback in a store. It names no person, so it stays when an entry is withdrawn."""

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
        """Store a partner's feedback on entries of a bank in any state; all or none.

        Repeated feedback, as after a lost answer, is stored once.

        Args:
            bank: the name of the bank.
            items: entry number, kind of feedback, and time.
            partner: the name of the partner's key.

        Returns:
            the feedback's number for each item.

        Raises:
            BankMissing, EntryMissing: there is no such bank, or no such entry in it.
            UsageError: a time lies in the future.
        """
        latest = datetime.now(UTC) + _CLOCKS_DIFFER
        if any(unix_seconds(at) > unix_seconds(latest) for _, _, at in items):
            raise UsageError(reason="feedback is about the past, but a time is in the future")
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
        """All feedback on an entry, in order of arrival.

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
        """Feedback on entries from another register, in order of arrival.

        Args:
            upstream_id: that register's number in `upstreams`.
            after: only feedback with a greater number.
            limit: the most to return.
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
    """The feedback's number, and whether it is new."""
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
    """The entries among these that the bank has."""
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
