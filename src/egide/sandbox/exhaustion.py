"""Recognise that the machine, or a limit on this process, is exhausted."""

from __future__ import annotations

import errno
import os
import sys
from typing import TYPE_CHECKING

from egide.errors import EgideError, OutOfMemory, TooManyFiles, TooManyProcesses

if TYPE_CHECKING:
    from collections.abc import Iterator

LEAST_FILES = 64
"""Open files that any command may need at once."""
_NUMBERS: dict[int, type[EgideError]] = {
    errno.EMFILE: TooManyFiles,
    errno.ENFILE: TooManyFiles,
    errno.ENOMEM: OutOfMemory,
}
# Messages of the dynamic loader and `threading`, which pass on no error number.
_WORDS: dict[str, type[EgideError]] = {
    os.strerror(errno.EMFILE): TooManyFiles,
    os.strerror(errno.ENFILE): TooManyFiles,
    os.strerror(errno.ENOMEM): OutOfMemory,
    "failed to map segment": OutOfMemory,
    "can't start new thread": TooManyProcesses,
}


def exhausted(error: BaseException) -> EgideError | None:
    """Return the matching error of ours if an error, or one of its causes, is exhaustion."""
    for one in _chain(error):
        if kind := _kind(one):
            return kind()
    return None


def require_files() -> None:
    """Check that this process may open as many files as a command needs.

    Raises:
        TooManyFiles: its limit is below `LEAST_FILES`.
    """
    if sys.platform != "win32":
        import resource

        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft != resource.RLIM_INFINITY and soft < LEAST_FILES:
            raise TooManyFiles


def _kind(error: BaseException) -> type[EgideError] | None:
    if isinstance(error, (TooManyFiles, OutOfMemory, TooManyProcesses)):
        return type(error)
    if isinstance(error, MemoryError):
        return OutOfMemory
    if isinstance(error, OSError):
        return _NUMBERS.get(error.errno or 0)
    if isinstance(error, (ImportError, RuntimeError)):
        return next((kind for words, kind in _WORDS.items() if words in str(error)), None)
    return None


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    one: BaseException | None = error
    while one is not None and id(one) not in seen:
        seen.add(id(one))
        yield one
        one = one.__cause__ or (None if one.__suppress_context__ else one.__context__)
