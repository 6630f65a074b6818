"""Hash and verify PINs and passwords with Argon2id."""

from __future__ import annotations

import secrets
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from threading import BoundedSemaphore, local
from typing import TYPE_CHECKING, Protocol

from egide.errors import Overloaded, ServerUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from argon2 import PasswordHasher

MEMORY_KIB = 64 * 1024
"""RFC 9106, section 4, second recommendation, but in one lane: others need the cores."""
PASSES = 3
AT_WORK = 2
"""Each hash needs 64 MiB, and on two cores more at a time are no faster."""
IN_LINE = 12
"""A flood of sign-ins must not take all of the server's threads."""
_RETRY_AFTER_S = 5
_own = local()


class Places(Protocol):
    """A semaphore, of this process or of several."""

    def acquire(self, blocking: bool = True) -> bool:
        """Take a place; return whether there was one."""

    def release(self) -> None:
        """Give a place back."""


@dataclass(slots=True)
class _Lanes:
    """The places of those whose password is hashed, and of those and all who wait for it."""

    at_work: Places
    in_line: Places


_lanes = _Lanes(BoundedSemaphore(AT_WORK), BoundedSemaphore(IN_LINE))


def share_lanes(at_work: Places, in_line: Places) -> None:
    """Hash passwords in places that this process shares with others.

    Args:
        at_work: `AT_WORK` of them.
        in_line: `IN_LINE` of them.
    """
    _lanes.at_work, _lanes.in_line = at_work, in_line


def hash_password(text: str) -> str:
    """Hash a PIN or a password.

    Returns:
        the hash with its salt and parameters, a PHC string of some 97 characters.

    Raises:
        Overloaded: a dozen others are waiting.
        ServerUnavailable: argon2-cffi is not installed.
    """
    with place_in_line(), _at_work():
        return _hasher().hash(_encoded(text))


def verify_password(text: str, hash_: str | None) -> bool:
    """Whether a PIN or password has this hash.

    Args:
        text: the PIN or password.
        hash_: from `hash_password`; None if there is no such account. The answer is then False,
            after the same work, so that the time reveals nothing.

    Raises:
        Overloaded: a dozen others are waiting; nothing was compared.
        ServerUnavailable: argon2-cffi is not installed.
    """
    nobodys = _nobodys_hash()
    from argon2.exceptions import VerifyMismatchError

    with place_in_line(), _at_work():
        try:
            _hasher().verify(nobodys if hash_ is None else hash_, _encoded(text))
        except VerifyMismatchError:
            return False
        return hash_ is not None


@contextmanager
def place_in_line() -> Iterator[None]:
    """Reserve a place for this thread's check before any other work for the sign-in.

    A flood is then refused before the store counts any attempt: counting 500 at once would block
    all writers for half a minute.

    Raises:
        Overloaded: a dozen others are waiting.
    """
    if getattr(_own, "in_line", False):
        yield
        return
    places = _lanes.in_line
    if not places.acquire(blocking=False):
        raise Overloaded(retry_after_s=_RETRY_AFTER_S)
    _own.in_line = True
    try:
        yield
    finally:
        _own.in_line = False
        places.release()


@contextmanager
def _at_work() -> Iterator[None]:
    places = _lanes.at_work
    places.acquire()
    try:
        yield
    finally:
        places.release()


def _encoded(text: str) -> bytes:
    # JSON can hold lone surrogates; no PIN has them, but they must not raise here.
    return text.encode(errors="surrogatepass")


@lru_cache(maxsize=1)
def _hasher() -> PasswordHasher:
    try:
        from argon2 import PasswordHasher
    except ImportError as error:
        raise ServerUnavailable from error
    return PasswordHasher(time_cost=PASSES, memory_cost=MEMORY_KIB, parallelism=1)


@lru_cache(maxsize=1)
def _nobodys_hash() -> str:
    """The hash of a random password that nobody knows."""
    return hash_password(secrets.token_urlsafe())
