"""Accounts of a helpline's workers, and signing in to them."""

from __future__ import annotations

import re
import secrets
import time
import unicodedata
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from egide.domain.names import folded
from egide.errors import StaffRefused
from egide.security import one_time_codes as totp
from egide.security.passwords import hash_password, place_in_line, verify_password

if TYPE_CHECKING:
    from collections.abc import Callable

    from egide.domain.staff import Credentials, Staff
    from egide.store import Store

DEFAULT_ISSUER = "Egide"

# Crockford's base 32 has no I, L, O or U. When read, I and L count as 1, and O as 0.
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_GROUPS = 4
_GROUP_CHARS = 4
_MISREAD = str.maketrans("ilo", "110")
_NO_SECRET = bytes(totp.SECRET_BYTES)


@dataclass(frozen=True, slots=True)
class NewAccount:
    """A worker's new credentials, to be shown once.

    Attributes:
        password: 80 random bits in four groups; the store keeps its Argon2id hash.
        uri: for the authenticator app; it contains the account's secret.
    """

    staff: Staff
    password: str = field(repr=False)
    uri: str = field(repr=False)


class Staffing:
    """The accounts of a store, and signing in to them."""

    def __init__(self, store: Store, clock: Callable[[], float] = time.time) -> None:
        self._store = store
        self._clock = clock

    def create(self, name: str, *, issuer: str = DEFAULT_ISSUER) -> NewAccount:
        """Make an account.

        Args:
            name: to sign in with, stored in lower case; the log writes `staff:NAME`.
            issuer: the name of this register in the worker's app.

        Raises:
            NameInvalid, StaffExists: the name is not acceptable.
        """
        password, secret = new_password(), totp.new_secret()
        staff = self._store.staff.create(name, _hashed(password), secret)
        return NewAccount(staff, password, _uri(staff, secret, issuer))

    def reset(self, name: str, *, issuer: str = DEFAULT_ISSUER) -> NewAccount:
        """Give an account another password and secret, and end its sessions.

        Raises:
            StaffMissing: there is no such account.
        """
        password, secret = new_password(), totp.new_secret()
        staff = self._store.staff.reset(name, _hashed(password), secret)
        return NewAccount(staff, password, _uri(staff, secret, issuer))

    def sign_in(self, name: str, password: str, code: str, *, origin: str) -> Staff:
        """Authenticate a worker.

        Whatever is wrong, the answer and the work are the same: one Argon2id hash, three codes.

        Args:
            name: of the account; case and surrounding spaces are ignored.
            password: as it was typed.
            code: from the worker's app; each is accepted once.
            origin: where the request comes from; only a keyed hash is kept.

        Raises:
            StaffRefused: the credentials are wrong, or the account is disabled.
            TooManyAttempts: too many recent attempts with this name or from this origin.
            Overloaded: too many sign in at once; it does not count as an attempt.
        """
        with place_in_line():
            # No case number has this form.
            attempt = self._store.attempts.begin(f"staff:{folded(name)[:64]}", origin)
            found = self._store.staff.credentials(name)
            step = self._accepted(found, password, code)
        if found is None or step is None or not self._store.staff.signed_in(found, step):
            raise StaffRefused
        self._store.attempts.succeed(attempt)
        return found.staff

    def _accepted(self, found: Credentials | None, password: str, code: str) -> int | None:
        """The time step of the code, if code and password are right and the account is enabled."""
        right = verify_password(read_back(password), None if found is None else found.password_hash)
        step = totp.accepted_step(
            _NO_SECRET if found is None else found.totp_secret,
            code,
            self._clock(),
            after=None if found is None else found.last_step,
        )
        if found is None or not right or found.staff.disabled is not None:
            return None
        return step


def new_password() -> str:
    """Make a password of 80 random bits: four groups of four, without look-alike letters."""
    return "-".join(
        "".join(secrets.choice(_ALPHABET) for _ in range(_GROUP_CHARS)) for _ in range(_GROUPS)
    )


def read_back(password: str) -> str:
    """Normalize a typed password: its 16 characters, with look-alikes replaced."""
    typed = unicodedata.normalize("NFKC", password).lower()
    return re.sub(r"[\s‐-―-]", "", typed).translate(_MISREAD)


def _hashed(password: str) -> str:
    return hash_password(read_back(password))


def _uri(staff: Staff, secret: bytes, issuer: str) -> str:
    return totp.app_uri(secret, account=staff.name, issuer=issuer)
