"""Open a path, and read its bytes within the size limit."""

from __future__ import annotations

import os
import stat
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO

from egide.errors import FileEmpty, FileMissing, FileTooLarge, FileUnreadable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from egide.domain.model import Limits


@contextmanager
def opened(path: Path, *, name: str) -> Iterator[tuple[BinaryIO, int]]:
    """Open a path that has to be a plain file; yield it with its size.

    Raises:
        FileMissing, FileUnreadable, also while it is read: each naming `name`.
    """
    try:
        # Without O_NONBLOCK, opening a named pipe would block for ever.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            found = os.fstat(descriptor)
            if stat.S_ISDIR(found.st_mode):
                raise FileUnreadable(name=name, reason="it is a folder")
            if not stat.S_ISREG(found.st_mode):
                raise FileUnreadable(name=name, reason="it is not a regular file")
            yield file, found.st_size
    except FileNotFoundError as error:
        raise FileMissing(name=name) from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "its path is not valid"
        raise FileUnreadable(name=name, reason=reason) from error


def read_bytes(path: Path, *, name: str, limits: Limits) -> bytes:
    """Read a whole file, after checking that it is a plain file of an allowed size.

    Raises:
        FileMissing, FileUnreadable, FileTooLarge, FileEmpty: each naming `name`.
    """
    with opened(path, name=name) as (file, size):
        check_size(size, name=name, limits=limits)
        return file.read()


def check_size(size: int, *, name: str, limits: Limits) -> None:
    """Refuse a file that is empty or over the limit.

    Raises:
        FileEmpty, FileTooLarge
    """
    if size == 0:
        raise FileEmpty(name=name)
    if size > limits.max_file_bytes:
        raise FileTooLarge(name=name, size=size, limit=limits.max_file_bytes)
