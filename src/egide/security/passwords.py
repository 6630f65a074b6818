"""PINs and passwords, kept as slow hashes: Argon2id."""

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
"""As the second choice of RFC 9106, section 4, for 64 MiB, but in one lane: others want cores."""
PASSES = 3
# More at a time need 64 MiB each and, on two cores, get no more done.
_AT_WORK = BoundedSemaphore(2)
# Whoever floods the sign-in must not take all of the server's threads.
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
    """Whether a text is the one of a hash.

    Args:
        text: what somebody gives.
        hash_: of `hash_password`; None where there is none to compare with. The answer is then
            False, after the same work, so that the time does not tell.

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
    """Keep a place for what this thread compares, before anything else is done for it.

    Whoever floods the sign-in is then sent away before the store has counted an attempt: 500 at
    once would otherwise hold up all that writes for half a minute.

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
    # JSON can hold lone surrogates, which are no PIN's but must not stop the comparing.
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
    """The hash of what nobody knows."""
    return hash_password(secrets.token_urlsafe())
