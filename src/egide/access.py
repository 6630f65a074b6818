"""Who may do what in a served register: roles, their permissions, and the keys that carry them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from egide.errors import BankMissing, Forbidden

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime


class Role(StrEnum):
    """What a key is for."""

    MATCHER = "matcher"
    """A platform's upload path: asks whether something matches, says what became of it."""
    PARTNER = "partner"
    """Another register or a platform that follows changes; may read fingerprints."""
    CURATOR = "curator"
    """A helpline: registers and withdraws."""
    MODERATOR = "moderator"
    """A reviewer: confirms, disputes, finds false positives, and is the second person."""
    ADMIN = "admin"
    """Runs the register."""


class Permission(StrEnum):
    """One thing that a request needs."""

    STATUS = "status"
    MATCH = "match"
    COMPARE = "compare"
    FEEDBACK = "feedback"
    READ_BANKS = "read-banks"
    READ_CHANGES = "read-changes"
    """Entries with their fingerprints; what partners follow."""
    READ_ENTRIES = "read-entries"
    """Entries without their fingerprints, and what partners said of them."""
    REGISTER = "register"
    WITHDRAW = "withdraw"
    JUDGE = "judge"
    """Confirm, dispute, tombstone."""
    APPROVE = "approve"
    """Be the second person."""
    EXPORT = "export"
    MANAGE_BANKS = "manage-banks"
    MANAGE_KEYS = "manage-keys"
    MANAGE_WEBHOOKS = "manage-webhooks"
    MANAGE_UPSTREAMS = "manage-upstreams"
    READ_LOG = "read-log"


_MATCHER = frozenset({Permission.STATUS, Permission.MATCH, Permission.COMPARE, Permission.FEEDBACK})
_CURATOR = _MATCHER | {
    Permission.READ_BANKS,
    Permission.READ_ENTRIES,
    Permission.REGISTER,
    Permission.WITHDRAW,
}
PERMISSIONS: dict[Role, frozenset[Permission]] = {
    Role.MATCHER: _MATCHER,
    Role.PARTNER: _MATCHER | {Permission.READ_BANKS, Permission.READ_CHANGES},
    Role.CURATOR: _CURATOR,
    Role.MODERATOR: _CURATOR | {Permission.JUDGE, Permission.APPROVE},
    Role.ADMIN: frozenset(Permission),
}


@dataclass(frozen=True, slots=True)
class Key:
    """A key without its secret.

    Attributes:
        id: the store's number of it.
        name: unique; what the log calls whoever used it.
        handle: the part of it that is no secret.
        holder: the person who has it; two keys of one holder are one person.
        banks: the names of those that it reaches, or None for all.
        per_second: fingerprints that it may ask about in a second, in the mean.
        per_day: fingerprints that it may ask about in a day of UTC.
        expires, revoked: UTC, or None.
    """

    id: int
    name: str
    handle: str
    role: Role
    holder: str
    banks: tuple[str, ...] | None
    per_second: int
    per_day: int
    created: datetime
    created_by: str
    expires: datetime | None
    revoked: datetime | None

    def live(self, now: datetime) -> bool:
        """Whether it opens anything at `now`, UTC."""
        return self.revoked is None and (self.expires is None or now < self.expires)

    def may(self, permission: Permission) -> bool:
        """Whether its role has a permission."""
        return permission in PERMISSIONS[self.role]

    def require(self, permission: Permission) -> None:
        """Refuse what its role may not do.

        Raises:
            Forbidden: naming the permission.
        """
        if not self.may(permission):
            raise Forbidden(role=self.role.value, permission=permission.value)

    def reaches(self, bank: str) -> bool:
        """Whether a bank is within its scope."""
        return self.banks is None or bank in self.banks

    def require_bank(self, bank: str) -> None:
        """Refuse a bank out of scope as if there were none, so that names cannot be guessed.

        Raises:
            BankMissing: it is out of scope.
        """
        if not self.reaches(bank):
            raise BankMissing(bank=bank)

    def scoped(self, banks: Collection[str] | None) -> tuple[str, ...] | None:
        """The banks to search: those asked for, else those in scope; None for all enabled ones.

        Raises:
            BankMissing: one that was asked for is out of scope.
        """
        if banks is None:
            return self.banks
        for bank in banks:
            self.require_bank(bank)
        return tuple(banks)
