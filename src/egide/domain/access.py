"""Who may do what in a served register: roles, their permissions, and the keys that carry them."""

from __future__ import annotations

import hmac
import re
import secrets
import unicodedata
from base64 import b32encode, urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import sha256
from typing import TYPE_CHECKING

from egide.errors import BankMissing, Forbidden

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from datetime import datetime


class Role(StrEnum):
    """What a key is for."""

    MATCHER = "matcher"
    """A platform's upload path: asks for matches and reports what was done about them."""
    PARTNER = "partner"
    """Another register or a platform that follows changes; may read fingerprints."""
    CURATOR = "curator"
    """A helpline: registers and withdraws."""
    MODERATOR = "moderator"
    """A reviewer: confirms, disputes, finds false positives, and is the second person."""
    ADMIN = "admin"
    """Runs the register; reads no fingerprint alone."""
    KEEPER = "keeper"
    """A moderation tool that keeps banks of its own through HMA, and reaches no other."""


class Permission(StrEnum):
    """One thing that a request needs."""

    STATUS = "status"
    MATCH = "match"
    COMPARE = "compare"
    FEEDBACK = "feedback"
    READ_BANKS = "read-banks"
    READ_CHANGES = "read-changes"
    """Read entries with their fingerprints, as partners do. No role that makes keys or approves
    has this permission: reading fingerprints in those roles takes two people."""
    READ_ENTRIES = "read-entries"
    """Read entries without their fingerprints, and partners' feedback on them."""
    REGISTER = "register"
    WITHDRAW = "withdraw"
    JUDGE = "judge"
    """Confirm, dispute, tombstone."""
    APPROVE = "approve"
    """Act as the second person."""
    EXPORT = "export"
    MANAGE_BANKS = "manage-banks"
    KEEP_BANKS = "keep-banks"
    """Make banks through HMA; read, fill, rename and delete these and no others."""
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
    Role.ADMIN: frozenset(Permission) - {Permission.READ_CHANGES},
    Role.KEEPER: _MATCHER | {Permission.KEEP_BANKS},
}

MADE_ALONE = frozenset({Role.MATCHER})
"""Roles whose keys one person may issue alone. The other roles read fingerprints, add them or
approve: a person who could issue such a key to an invented holder would count as two people."""


@dataclass(frozen=True, slots=True)
class Rate:
    """How many fingerprints a key may query: per second on average, and per UTC day."""

    per_second: int
    per_day: int


DEFAULT_RATES: dict[Role, Rate] = {
    # Eleven uploads a second round the clock, 100 in a burst. Hitting one of a million PDQs by
    # chance takes more than 10^30 queries, so the quota only bounds queries of known hashes.
    Role.MATCHER: Rate(100, 1_000_000),
    Role.PARTNER: Rate(100, 1_000_000),
    # People at a screen, who look up single pictures.
    Role.CURATOR: Rate(20, 50_000),
    Role.MODERATOR: Rate(20, 50_000),
    Role.ADMIN: Rate(100, 1_000_000),
    Role.KEEPER: Rate(100, 1_000_000),
}
"""The rates of a key that is made without any."""
NETWORK_RATE = Rate(10_000, 1_000_000_000)
"""The rate of a network without keys: HMA has none, and its users send 500 queries a second and
more. `max_requests_per_second` still bounds them."""


@dataclass(frozen=True, slots=True)
class Key:
    """A key without its secret.

    Attributes:
        id: its number in the store.
        name: unique; the log names the key's user by it.
        handle: its public part.
        holder: the person who has it; all keys of a holder count as one person.
        banks: names of the banks within its scope, or None for all.
        per_second: fingerprints that it may query per second, on average.
        per_day: fingerprints that it may query per UTC day.
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
        """Whether the key is valid at `now`, UTC."""
        return self.revoked is None and (self.expires is None or now < self.expires)

    def may(self, permission: Permission) -> bool:
        """Whether the key's role has a permission."""
        return permission in PERMISSIONS[self.role]

    def require(self, permission: Permission) -> None:
        """Check that the key's role has a permission.

        Raises:
            Forbidden: it does not; the message names the permission.
        """
        if not self.may(permission):
            raise Forbidden(role=self.role.value, permission=permission.value)

    def reaches(self, bank: str) -> bool:
        """Whether a bank is within the key's scope."""
        return self.banks is None or bank in self.banks

    def require_bank(self, bank: str) -> None:
        """Check that a bank is within scope.

        Raises:
            BankMissing: it is not; the same error as for a bank that does not exist, so that
                names cannot be guessed.
        """
        if not self.reaches(bank):
            raise BankMissing(bank=bank)

    def scoped(self, banks: Collection[str] | None) -> tuple[str, ...] | None:
        """The banks to search: the requested ones, else those in scope; None for all enabled ones.

        Raises:
            BankMissing: a requested bank is out of scope.
        """
        if banks is None:
            return self.banks
        for bank in banks:
            self.require_bank(bank)
        return tuple(banks)


_HANDLE_CHARS = 12
_SECRET_BYTES = 32
_TOKEN = re.compile(r"egide_([a-z2-7]{12})_([A-Za-z0-9_-]{43})", re.ASCII)


def new_token() -> tuple[str, bytes, str]:
    """Make the secret part of a key.

    Returns:
        the public handle (12 characters, 60 random bits); the SHA-256 of the secret, 32 bytes,
        which the store keeps; and the token, `egide_HANDLE_SECRET`, to be shown once. A plain hash
        is safe because the secret has 256 random bits.
    """
    handle = b32encode(secrets.token_bytes(8)).decode().lower()[:_HANDLE_CHARS]
    secret = secrets.token_bytes(_SECRET_BYTES)
    return handle, sha256(secret).digest(), f"egide_{handle}_{_encode(secret)}"


def parse_token(text: str) -> tuple[str, bytes] | None:
    """The handle and the secret, 32 bytes, of a token; None for anything else."""
    found = _TOKEN.fullmatch(text)
    if found is None:
        return None
    handle, encoded = found.groups()
    secret = urlsafe_b64decode(encoded + "=")
    # The last character has two bits to spare: only one of its four spellings is the token.
    return (handle, secret) if _encode(secret) == encoded else None


def secret_matches(secret: bytes, secret_hash: bytes) -> bool:
    """Whether a secret has that SHA-256, compared in constant time."""
    return hmac.compare_digest(sha256(secret).digest(), secret_hash)


def same_person(holder: str) -> str:
    """A holder's name in normal form, without case and extra spaces: equal forms are one person."""
    return " ".join(unicodedata.normalize("NFKC", holder).casefold().split())


def _encode(secret: bytes) -> str:
    return urlsafe_b64encode(secret).decode().rstrip("=")


CREATE_KEY = "create-key"
"""The action of a request for a key; its summary names the key as `key`."""


class ApprovalState(StrEnum):
    """The state of a request for a second person."""

    PENDING = "pending"
    APPROVED = "approved"
    REFUSED = "refused"
    USED = "used"
    EXPIRED = "expired"
    """Neither refused nor used in time."""


@dataclass(frozen=True, slots=True)
class Approval:
    """A request for a second person, and their answer.

    Attributes:
        action: the act that needs approval.
        bank: the bank that it concerns, or None.
        summary: what the second person is shown.
        digest: of the request, which must be repeated exactly.
        requested, decided, expires: UTC.
        requested_by, decided_by: names of keys.
    """

    id: int
    action: str
    bank: str | None
    summary: Mapping[str, str | int]
    digest: bytes = field(repr=False)
    state: ApprovalState
    requested: datetime
    requested_by: str
    decided: datetime | None
    decided_by: str | None
    expires: datetime
