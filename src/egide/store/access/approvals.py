"""Approvals: one person requests an act, another person decides."""

from __future__ import annotations

import hmac
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from egide.domain.access import CREATE_KEY, Approval, ApprovalState, Permission, same_person
from egide.domain.times import CLOCKS_DIFFER_S, moment, unix_seconds
from egide.errors import ApprovalInvalid
from egide.store.log import log
from egide.store.log.records import canonical
from egide.store.tables.register import MAX_ENTRY_ID
from egide.store.tables.service import approvals, keys

if TYPE_CHECKING:
    from collections.abc import Mapping

    from egide.domain.access import Key
    from egide.store.database.interface import Database

_NONE = "there is none of that number"


class Approvals:
    """The requests for a second person in a store."""

    def __init__(self, database: Database, actor: str) -> None:
        self._database = database
        self._actor = actor

    def request(
        self,
        action: str,
        bank: str | None,
        summary: Mapping[str, str | int],
        digest: bytes,
        *,
        by: Key,
        ttl_s: int,
        now: datetime | None = None,
    ) -> Approval:
        """Ask for a second person; a repeated request returns the open one.

        Args:
            action: the act that needs approval.
            bank: the bank that it concerns, or None.
            summary: what the second person is shown; never a fingerprint.
            digest: of the request.
            by: the requester's key.
            ttl_s: how long it may be decided and used.
            now: the time to use; by default the present.
        """
        at = unix_seconds(now or datetime.now(UTC))
        person = same_person(by.holder)
        with self._database.write() as connection:
            standing = connection.execute(
                sa.select(approvals.c.id)
                .where(approvals.c.state.in_(("pending", "approved")))
                .where(sa.not_(_over(at)))
                .where(approvals.c.action == action)
                .where(approvals.c.digest == digest)
                .where(approvals.c.requested_holder == person)
                .where(approvals.c.bank.is_(None) if bank is None else approvals.c.bank == bank)
                .limit(1)
            ).scalar()
            if standing is not None:
                return _get(connection, standing, at)[0]
            result = connection.execute(
                sa.insert(approvals).values(
                    action=action,
                    bank=bank,
                    summary=canonical(dict(summary)),
                    digest=digest,
                    state=ApprovalState.PENDING.value,
                    requested=at,
                    requested_by=by.name,
                    requested_holder=person,
                    expires=at + ttl_s,
                )
            )
            made = result.inserted_primary_key
            assert made is not None
            approval, _ = _get(connection, int(made[0]), at)
            self._log(connection, "request-approval", approval, at)
        return approval

    def list(
        self,
        state: ApprovalState | None = None,
        *,
        by: Key | None = None,
        after: int = 0,
        limit: int | None = None,
        now: datetime | None = None,
    ) -> list[Approval]:
        """Requests, oldest first.

        Args:
            state: only requests in this state now.
            by: only requests within this key's banks.
            after: only requests with a greater number.
            limit: the most to return.
            now: the time to use; by default the present.
        """
        at = unix_seconds(now or datetime.now(UTC))
        query = sa.select(approvals).where(approvals.c.id > after).order_by(approvals.c.id)
        if by is not None and by.banks is not None:
            query = query.where(approvals.c.bank.in_(by.banks))
        if state in {ApprovalState.PENDING, ApprovalState.APPROVED}:
            query = query.where(approvals.c.state == state.value).where(sa.not_(_over(at)))
        elif state is ApprovalState.EXPIRED:
            query = query.where(_over(at)).where(approvals.c.state.in_(("pending", "approved")))
        elif state is not None:
            query = query.where(approvals.c.state == state.value)
        with self._database.read() as connection:
            return [_approval_of(row, at) for row in connection.execute(query.limit(limit))]

    def get(self, approval_id: int, *, now: datetime | None = None) -> Approval:
        """One request.

        Raises:
            ApprovalInvalid: no request has that number.
        """
        at = unix_seconds(now or datetime.now(UTC))
        with self._database.read() as connection:
            return _get(connection, approval_id, at)[0]

    def decide(
        self, approval_id: int, approve: bool, *, by: Key, now: datetime | None = None
    ) -> Approval:
        """Approve or refuse, as a person other than the requester.

        Args:
            approval_id: of the request.
            approve: True to approve, False to refuse.
            by: the decider's key.
            now: the time to use; by default the present.

        Raises:
            Forbidden: the key's role may not approve.
            ApprovalInvalid: no such request is within the key's banks, it was made by the same
                person or one of the two may have invented the other, it has expired, or it is
                decided already.
        """
        by.require(Permission.APPROVE)
        at = unix_seconds(now or datetime.now(UTC))
        person = same_person(by.holder)
        with self._database.write() as connection:
            approval, asked = _get(connection, approval_id, at)
            if by.banks is not None and approval.bank not in by.banks:
                raise ApprovalInvalid(approval=approval_id, reason=_NONE)
            if person == asked:
                raise ApprovalInvalid(
                    approval=approval_id,
                    reason="the requester cannot decide: another person must",
                )
            if _persons(connection, by.name) & _persons(connection, approval.requested_by):
                raise ApprovalInvalid(
                    approval=approval_id,
                    reason="this key and the requester's go back to one person: use a key from the "
                    "command line, or one that two people made",
                )
            if approval.state is not ApprovalState.PENDING:
                raise ApprovalInvalid(approval=approval_id, reason=f"it is {approval.state}")
            state = ApprovalState.APPROVED if approve else ApprovalState.REFUSED
            connection.execute(
                sa.update(approvals)
                .where(approvals.c.id == approval_id)
                .values(state=state.value, decided=at, decided_by=by.name, decided_holder=person)
            )
            approval, _ = _get(connection, approval_id, at)
            self._log(connection, "approve" if approve else "refuse", approval, at)
        return approval

    def use(
        self,
        approval_id: int,
        action: str,
        bank: str | None,
        digest: bytes,
        *,
        by: Key,
        now: datetime | None = None,
    ) -> None:
        """Use an approval, which works once.

        Args:
            approval_id: of the request.
            action: the act that is about to be done.
            bank: the bank that it concerns, or None.
            digest: of the repeated request.
            by: any key of the requester that nobody else could have invented.
            now: the time to use; by default the present.

        Raises:
            ApprovalInvalid: it is another person's or for another request, or it is not approved
                (any more).
        """
        at = unix_seconds(now or datetime.now(UTC))
        with self._database.write() as connection:
            approval, asked = _get(connection, approval_id, at)
            own = _persons(connection, by.name) <= _persons(connection, approval.requested_by)
            if asked != same_person(by.holder) or not own:
                raise ApprovalInvalid(approval=approval_id, reason=_NONE)
            same = (approval.action, approval.bank) == (action, bank)
            if not same or not hmac.compare_digest(approval.digest, digest):
                raise ApprovalInvalid(approval=approval_id, reason="it is for another request")
            if approval.state is not ApprovalState.APPROVED:
                raise ApprovalInvalid(approval=approval_id, reason=f"it is {approval.state}")
            connection.execute(
                sa.update(approvals)
                .where(approvals.c.id == approval_id)
                .values(state=ApprovalState.USED.value)
            )
            self._log(connection, "use-approval", approval, at)

    def _log(self, connection: sa.Connection, action: str, approval: Approval, at: int) -> None:
        log.append(
            connection,
            at=at,
            actor=self._actor,
            action=action,
            bank=approval.bank,
            detail={"approval": approval.id, "for": approval.action},
        )


def _get(connection: sa.Connection, approval_id: int, at: int) -> tuple[Approval, str]:
    """The request and its requester, in the form of `same_person`."""
    row = None
    if 0 < approval_id <= MAX_ENTRY_ID:
        row = connection.execute(
            sa.select(approvals).where(approvals.c.id == approval_id)
        ).one_or_none()
    if row is None:
        raise ApprovalInvalid(approval=approval_id, reason=_NONE)
    return _approval_of(row, at), row.requested_holder


def _persons(connection: sa.Connection, key_name: str) -> set[str]:
    """All persons who may be behind a key: its holder, its sole maker, that key's maker, and so on.

    A holder is only a name, which the maker of a key can invent. The chain ends at a key of the
    command line, or at one that was made with a second person's approval.
    """
    found: set[str] = set()
    name = key_name
    while True:
        row = connection.execute(
            sa.select(keys.c.holder, keys.c.created_by).where(keys.c.name == name)
        ).one_or_none()
        if row is None:  # `local`, or `egide`
            return found
        found.add(same_person(row.holder))
        if _made_by_two(connection, name):
            return found
        name = row.created_by


def _made_by_two(connection: sa.Connection, key_name: str) -> bool:
    summaries = connection.execute(
        sa.select(approvals.c.summary)
        .where(approvals.c.action == CREATE_KEY)
        .where(approvals.c.state == ApprovalState.USED.value)
    ).scalars()
    return any(json.loads(summary).get("key") == key_name for summary in summaries)


def _over(at: int) -> sa.ColumnElement[bool]:
    """Condition: expired, or made while the clock was ahead and so would last too long."""
    return sa.or_(approvals.c.expires <= at, approvals.c.requested > at + CLOCKS_DIFFER_S)


def _approval_of(row: sa.Row[Any], at: int) -> Approval:
    state = ApprovalState(row.state)
    over = row.expires <= at or row.requested > at + CLOCKS_DIFFER_S
    if state in {ApprovalState.PENDING, ApprovalState.APPROVED} and over:
        state = ApprovalState.EXPIRED
    return Approval(
        id=row.id,
        action=row.action,
        bank=row.bank,
        summary=json.loads(row.summary),
        digest=bytes(row.digest),
        state=state,
        requested=moment(row.requested),
        requested_by=row.requested_by,
        decided=None if row.decided is None else moment(row.decided),
        decided_by=row.decided_by,
        expires=moment(row.expires),
    )
