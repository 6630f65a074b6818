"""Write beside the place, then take it; move into the quarantine, and back.

Killed at any point, either the old file stands in its place or the new one, whole.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat as stat_flags
import tempfile
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from egide.auditing.purge.splice import Splice, digest_of
from egide.files import make_private_folder, sync_folder

if TYPE_CHECKING:
    from collections.abc import Iterator

_PRIVATE = 0o600
_MARK = ".egide-purge-"


@contextmanager
def unfinished(folder: Path, mark: str) -> Iterator[tuple[IO[bytes], Path]]:
    """Yield a new private file in a folder; it is removed again if the block fails.

    Args:
        folder: made if it is missing.
        mark: of the work; what earlier runs of it left is removed by `sweep`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(prefix=f"{_MARK}{mark}.", suffix=".part", dir=folder)
    path = Path(name)
    try:
        with os.fdopen(descriptor, "w+b") as stream:
            yield stream, path
    except BaseException:
        with suppress(OSError):
            path.unlink()
        raise


def sweep(folder: Path, mark: str) -> None:
    """Remove what a killed run left unfinished."""
    if folder.is_dir():
        for path in folder.glob(f"{_MARK}{mark}.*.part"):
            path.unlink(missing_ok=True)


def is_unfinished(name: str) -> bool:
    """Whether a file's name is that of one that is being written."""
    base = name.rpartition("/")[2]
    return base.startswith(_MARK) and base.endswith(".part")


@dataclass(frozen=True, slots=True)
class Like:
    """What a file takes over from its original.

    Attributes:
        mode: its permissions.
        times: when it was read and changed, in nanoseconds; None if it is another now.
    """

    mode: int
    times: tuple[int, int] | None = None

    @classmethod
    def of(cls, stream: IO[bytes], *, times: bool = False) -> Like:
        """Take it from an open file; one that was fetched, and has no name here, has neither."""
        status = os.fstat(stream.fileno())
        if not status.st_nlink:
            return cls(0o644)
        known = (status.st_atime_ns, status.st_mtime_ns) if times else None
        return cls(stat_flags.S_IMODE(status.st_mode), known)


def take_place(unfinished_path: Path, place: Path, like: Like) -> None:
    """Give a complete file its name, and the mode and times of another."""
    os.chmod(unfinished_path, like.mode)  # noqa: PTH101
    if like.times is not None:
        os.utime(unfinished_path, ns=like.times)
    os.replace(unfinished_path, place)  # noqa: PTH105
    sync_folder(place.parent)


def digest_at(path: Path) -> str | None:
    """Return the SHA-256 of a file, of a link that of where it leads; None if it is not there."""
    try:
        status = path.lstat()
    except FileNotFoundError:
        return None
    if stat_flags.S_ISLNK(status.st_mode):
        return "link:" + str(path.readlink())
    if not stat_flags.S_ISREG(status.st_mode):
        return "special"
    with path.open("rb") as stream:
        return digest_of(stream)


def keep_in_quarantine(path: Path, kept: Path) -> None:
    """Have a file in the quarantine too, while it stands in its place."""
    make_private_folder(kept.parent, own=True)
    kept.unlink(missing_ok=True)
    try:
        _refuse_other_names(path)
        os.link(path, kept)
    except OSError:  # on another disk, or without such links
        copy_whole(path, kept)
    sync_folder(kept.parent)


def move(path: Path, to: Path) -> None:
    """Move a file or a link; at every moment it stands in one of the two places, or in both."""
    to.parent.mkdir(parents=True, exist_ok=True)
    try:
        _refuse_other_names(path)
        os.rename(path, to)  # noqa: PTH104
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        copy_whole(path, to)
        os.unlink(path)  # noqa: PTH108
    sync_folder(to.parent)
    sync_folder(path.parent)


def _refuse_other_names(path: Path) -> None:
    """Refuse to move a file with other names: what is private in a quarantine would be so there.

    Raises:
        OSError: as from another disk: it is to be copied.
    """
    status = path.lstat()
    if status.st_nlink > 1 and stat_flags.S_ISREG(status.st_mode):
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), str(path))


def copy_whole(path: Path, to: Path) -> None:
    """Copy a file with its owner, times and mode, and read it back."""
    if path.is_symlink():
        to.unlink(missing_ok=True)
        to.symlink_to(path.readlink())
        return
    with path.open("rb") as source, unfinished(to.parent, "copy") as (stream, unfinished_path):
        splice = Splice()
        splice.keep(0, os.fstat(source.fileno()).st_size)
        splice.write(source, stream)
        os.fsync(stream.fileno())
        splice.compare(source, stream, str(path))
        status = os.fstat(source.fileno())
        with suppress(PermissionError):  # of a file of another's, unless one is root
            os.fchown(stream.fileno(), status.st_uid, status.st_gid)
        shutil.copystat(path, unfinished_path)
        os.replace(unfinished_path, to)  # noqa: PTH105
    sync_folder(to.parent)


def make_private(path: Path) -> None:
    """Let only the owner read a file in the quarantine."""
    if not path.is_symlink():
        path.chmod(_PRIVATE)
