"""A helpline's workers: their accounts, and who is signed in."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from datetime import datetime


@dataclass(frozen=True, slots=True)
class Staff:
    """A member of a helpline's staff.

    Attributes:
        id: the store's number of them.
        name: unique, in small letters; they sign in with it.
        created: UTC.
        disabled: UTC; since then they cannot sign in. None while they can.
    """

    id: int
    name: str
    created: datetime
    disabled: datetime | None

    @property
    def actor(self) -> str:
        """What the log calls whoever acts as them; no key can have such a name."""
        return f"staff:{self.name}"


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a sign-in is checked against.

    Attributes:
        password_hash: Argon2id, as `egide.security.passwords` makes it.
        totp_secret: what the app of the account has too.
        last_step: of the last code that was accepted; None before the first.
    """

    staff: Staff
    password_hash: str = field(repr=False)
    totp_secret: bytes = field(repr=False)
    last_step: int | None


SessionKind = Literal["case", "staff"]


@dataclass(frozen=True, slots=True)
class Session:
    """That somebody is signed in.

    Attributes:
        kind: to a case, or as staff.
        subject_id: the number of the case, or of the member of staff.
        created: UTC.
        ends: UTC; then it is over, however much it is used.
        idle_s: so long without use, and it is over.
    """

    kind: SessionKind
    subject_id: int
    created: datetime
    ends: datetime
    idle_s: int
