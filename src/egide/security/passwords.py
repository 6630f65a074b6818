"""Hash and verify PINs and passwords with Argon2id."""

from __future__ import annotations

import secrets
from contextlib import contextmanager
from functools import lru_cache
from threading import BoundedSemaphore, local
from typing import TYPE_CHECKING

from egide.errors import Overloaded, ServerUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from argon2 import PasswordHasher

MEMORY_KIB = 64 * 1024
"""RFC 9106, section 4, second recommendation, but in one lane: others need the cores."""
PASSES = 3
# Each hash needs 64 MiB, and on two cores more at a time are no faster.
_AT_WORK = BoundedSemaphore(2)
# A flood of sign-ins must not take all of the server's threads.
_IN_LINE = BoundedSemaphore(12)
_RETRY_AFTER_S = 5
_own = local()


def hash_password(text: str) -> str:
    """Hash a PIN or a password.

    Returns:
        the hash with its salt and parameters, a PHC string of some 97 characters.

    Raises:
        Overloaded: a dozen others are waiting.
        ServerUnavailable: argon2-cffi is not installed.
    """
    with place_in_line(), _AT_WORK:
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

    with place_in_line(), _AT_WORK:
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
    if not _IN_LINE.acquire(blocking=False):
        raise Overloaded(retry_after_s=_RETRY_AFTER_S)
    _own.in_line = True
    try:
        yield
    finally:
        _own.in_line = False
        _IN_LINE.release()


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
