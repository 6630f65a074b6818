"""A helpline's workers: their accounts and sessions."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from datetime import datetime


@dataclass(frozen=True, slots=True)
class Staff:
    """A member of a helpline's staff.

    Attributes:
        id: their number in the store.
        name: unique, in small letters; they sign in with it.
        created: UTC.
        disabled: UTC, since when they cannot sign in; None while they can.
    """

    id: int
    name: str
    created: datetime
    disabled: datetime | None

    @property
    def actor(self) -> str:
        """Their name in the log; no key can have such a name."""
        return f"staff:{self.name}"


@dataclass(frozen=True, slots=True)
class Credentials:
    """The credentials that a sign-in is checked against.

    Attributes:
        password_hash: Argon2id, as `egide.security.passwords` makes it.
        totp_secret: shared with the account's app.
        last_step: step of the last accepted code; None before the first.
    """

    staff: Staff
    password_hash: str = field(repr=False)
    totp_secret: bytes = field(repr=False)
    last_step: int | None


SessionKind = Literal["case", "staff"]


@dataclass(frozen=True, slots=True)
class Session:
    """A session of somebody who is signed in.

    Attributes:
        kind: to a case, or as staff.
        subject_id: the number of the case, or of the member of staff.
        created: UTC.
        ends: UTC; the session ends then, however much it is used.
        idle_s: the session ends after this time without use.
    """

    kind: SessionKind
    subject_id: int
    created: datetime
    ends: datetime
    idle_s: int


SESSION_IDLE_S = 15 * 60
"""A worker who leaves the desk is signed out after a quarter of an hour."""
SESSION_LONGEST_S = 8 * 60 * 60
"""… and at the end of a working day."""
