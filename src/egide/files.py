"""Write private files, complete or not at all."""

from __future__ import annotations

import errno
import os
import tempfile
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from glob import escape
from pathlib import Path
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_FILE_MODE = 0o600
_FOLDER_MODE = 0o700
_SUFFIX = ".part"
_SUFFIXES = {_SUFFIX, ".tmp"}  # earlier versions named snapshots so
_NO_LINKS = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}


@contextmanager
def written_whole(
    path: Path,
    *,
    replacing: bool = True,
    noted: Callable[[Path], AbstractContextManager[None]] | None = None,
) -> Iterator[IO[bytes]]:
    """Write a private file beside its place; it gets its name once it is complete on the disk.

    Args:
        path: the final path.
        replacing: replace an existing file.
        noted: entered with the path of the unfinished file, to keep a record of it.

    Raises:
        FileExistsError: the file exists already and must not be replaced.
        OSError: no permission, no space, no such folder. Nothing is left behind.
    """
    if not replacing and os.path.lexists(path):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=_SUFFIX, dir=path.parent)
    os.close(descriptor)
    unfinished = Path(name)
    try:
        with (
            unfinished.open("wb") as stream,  # by its path, so that the stream has a name
            nullcontext() if noted is None else noted(unfinished),
        ):
            os.fchmod(stream.fileno(), _FILE_MODE)  # whatever the umask
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
            if replacing:
                unfinished.replace(path)
            else:
                _give_name(unfinished, path)
        sync_folder(path.parent)
    finally:
        with suppress(OSError):
            unfinished.unlink()


def open_private(path: Path) -> IO[bytes]:
    """Open a private file for writing; its content is lost."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
    stream = open(os.open(path, flags, _FILE_MODE), "wb")  # noqa: PTH123, SIM115 - handed on
    os.fchmod(stream.fileno(), _FILE_MODE)  # the file may exist already, or the umask be unusual
    return stream


def make_private_folder(path: Path, *, own: bool = False) -> None:
    """Make a private folder; an existing one keeps its mode, unless it is our `own`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        path.mkdir(_FOLDER_MODE)
        own = True
    except FileExistsError:
        if not path.is_dir():
            raise
    if own:
        path.chmod(_FOLDER_MODE)


def unfinished_files(path: Path) -> Iterator[Path]:
    """Unfinished files for `path`, in progress or left by a killed process."""
    beside = path.parent.glob(f".{escape(path.name)}.*")
    return (found for found in beside if found.suffix in _SUFFIXES)


def _give_name(unfinished: Path, path: Path) -> None:
    try:
        path.hardlink_to(unfinished)  # unlike renaming, this never replaces a file
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        # A USB stick has no hard links: an empty file reserves the name first.
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, _FILE_MODE))
        unfinished.replace(path)


def sync_folder(folder: Path) -> None:
    """Have the names in a folder on the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:  # a file system without it
            raise
    finally:
        os.close(descriptor)
