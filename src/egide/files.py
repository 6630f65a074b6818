"""Files for their owner only, which are there whole or not at all."""

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
_NO_LINKS = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}


@contextmanager
def written_whole(
    path: Path,
    *,
    replacing: bool = True,
    noted: Callable[[Path], AbstractContextManager[None]] | None = None,
) -> Iterator[IO[bytes]]:
    """Write a private file beside its place; it gets its name when all of it is on the disk.

    Args:
        path: where it is to stand.
        replacing: take the place of a file that stands there.
        noted: entered with the path of the unfinished file, for whoever has to know of it.

    Raises:
        FileExistsError: there is a file already, and it is not to be replaced.
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
        _sync_folder(path.parent)
    finally:
        with suppress(OSError):
            unfinished.unlink()


def open_private(path: Path) -> IO[bytes]:
    """Open a private file for writing; what it held is gone."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
    stream = open(os.open(path, flags, _FILE_MODE), "wb")  # noqa: PTH123, SIM115 - handed on
    os.fchmod(stream.fileno(), _FILE_MODE)  # it may stand there already, or the umask be odd
    return stream


def make_private_folder(path: Path, *, own: bool = False) -> None:
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


def unfinished_files(path: Path) -> Iterator[Path]:
    """What is being written for `path`, or was by a process that was killed."""
    return path.parent.glob(f".{escape(path.name)}.*{_SUFFIX}")


def _give_name(unfinished: Path, path: Path) -> None:
    try:
        path.hardlink_to(unfinished)  # unlike a renaming, this replaces nothing
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        # A USB stick knows no links: the name is taken first, by an empty file.
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, _FILE_MODE))
        unfinished.replace(path)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:  # a file system without it
            raise
    finally:
        os.close(descriptor)
