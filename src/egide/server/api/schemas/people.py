"""Bodies of the routes about keys, approvals and the log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Self

from pydantic import Field

from egide.domain.access import ApprovalState, Role
from egide.domain.times import moment
from egide.server.api.schemas.common import (
    TEXT_PATTERN,
    Answer,
    GivenTime,
    Name,
    Request,
    ShownTime,
    Whole,
)
from egide.store.access.keys import MAX_HOLDER_CHARS, MAX_PER_DAY, MAX_PER_SECOND

if TYPE_CHECKING:
    from egide.domain.access import Approval, Key
    from egide.store.log.records import LogRecord

MAX_BANKS = 1000


class NewKey(Request):
    """A key to make."""

    name: Name = Field(description="The name of its user in the log; unique for ever.")
    role: Annotated[Role, Field(strict=False)]
    holder: Annotated[
        str, Field(min_length=1, max_length=MAX_HOLDER_CHARS, pattern=TEXT_PATTERN)
    ] = Field(
        description="The person who gets it: two keys of one holder count as one person.",
        examples=["Ada Lovelace"],
    )
    banks: (
        Annotated[list[Name], Field(min_length=1, max_length=MAX_BANKS, fail_fast=True)] | None
    ) = Field(
        default=None, description="Banks that it reaches; null for all that the maker's key does."
    )
    per_second: Annotated[int, Field(ge=1, le=MAX_PER_SECOND), Whole] | None = Field(
        default=None, description="Fingerprints that it may ask about per second, on average."
    )
    per_day: Annotated[int, Field(ge=1, le=MAX_PER_DAY), Whole] | None = Field(
        default=None, description="Fingerprints that it may ask about per UTC day."
    )
    expires: GivenTime | None = Field(default=None, description="From then on it opens nothing.")


class KeyShown(Answer):
    """A key without its secret."""

    name: str
    role: Role
    holder: str
    banks: list[str] | None = Field(description="Banks that it reaches; null for all.")
    per_second: int
    per_day: int
    created: ShownTime
    created_by: str
    expires: ShownTime | None
    revoked: ShownTime | None

    @classmethod
    def of(cls, key: Key) -> Self:
        """Show a key."""
        return cls(
            name=key.name,
            role=key.role,
            holder=key.holder,
            banks=None if key.banks is None else list(key.banks),
            per_second=key.per_second,
            per_day=key.per_day,
            created=key.created,
            created_by=key.created_by,
            expires=key.expires,
            revoked=key.revoked,
        )


class KeyMade(Answer):
    """A new key."""

    key: KeyShown
    token: str | None = Field(
        description="Sent as `Authorization: Bearer …`. It is not stored and shown only once; null "
        "if the request was repeated with its idempotency key."
    )

    def without_token(self) -> KeyMade:
        """The answer as it may be stored."""
        return KeyMade(key=self.key, token=None)


class KeysShown(Answer):
    """The keys that the caller's key may revoke, including expired and revoked ones."""

    keys: list[KeyShown]


class ApprovalShown(Answer):
    """A request for a second person's approval."""

    approval: int
    action: str
    bank: str | None
    summary: dict[str, str | int]
    state: ApprovalState
    requested: ShownTime
    requested_by: str
    decided: ShownTime | None
    decided_by: str | None
    expires: ShownTime

    @classmethod
    def of(cls, approval: Approval) -> Self:
        """Show a request."""
        return cls(
            approval=approval.id,
            action=approval.action,
            bank=approval.bank,
            summary=dict(approval.summary),
            state=approval.state,
            requested=approval.requested,
            requested_by=approval.requested_by,
            decided=approval.decided,
            decided_by=approval.decided_by,
            expires=approval.expires,
        )


class ApprovalsShown(Answer):
    """A page of requests for approval, oldest first."""

    approvals: list[ApprovalShown]
    next: int | None = Field(description="The cursor of the next page; null on the last one.")


class LogRecordShown(Answer):
    """One act; `hash` covers the whole record and the previous hash."""

    seq: int
    at: ShownTime
    actor: str
    action: str
    bank: str | None
    revision: int | None
    subjects: list[str] = Field(description="Keyed references of entries.")
    detail: dict[str, str | int]
    hash: str

    @classmethod
    def of(cls, record: LogRecord) -> Self:
        """Show a record."""
        return cls(
            seq=record.seq,
            at=moment(record.at),
            actor=record.actor,
            action=record.action,
            bank=record.bank,
            revision=record.revision,
            subjects=list(record.subjects),
            detail=dict(record.detail),
            hash=record.hash.hex(),
        )


class LogHead(Answer):
    """The last record. Noted elsewhere, it later proves that no earlier record was changed."""

    seq: int
    hash: str


class LogShown(Answer):
    """A page of the log."""

    records: list[LogRecordShown]
    next: int | None = Field(description="The cursor of the next page; null on the last one.")
    head: LogHead
