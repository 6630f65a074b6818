"""Files that only their owner may read, whatever the umask: an audit says where matches are."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_FILE_MODE = 0o600
_FOLDER_MODE = 0o700


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """Write a private file so that it stands there whole or not at all."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with open_private(temporary) as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def open_private(path: Path) -> IO[bytes]:
    """Open a private file for writing; what it held is gone."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
    stream = open(os.open(path, flags, _FILE_MODE), "wb")  # noqa: PTH123, SIM115 - handed on
    os.fchmod(stream.fileno(), _FILE_MODE)  # it may stand there already, or the umask be odd
    return stream


def make_folder(path: Path, *, own: bool = False) -> None:
    """Make a private folder; one that stands there keeps its mode, unless it is our `own`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        path.mkdir(_FOLDER_MODE)
        own = True
    except FileExistsError:
        if not path.is_dir():
            raise
    if own:
        path.chmod(_FOLDER_MODE)


def remove_unfinished(path: Path) -> None:
    """Remove what writers of a file left behind that were killed."""
    for left in path.parent.glob(f".{path.name}.*.part"):
        left.unlink(missing_ok=True)
