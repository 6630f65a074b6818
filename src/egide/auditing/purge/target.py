"""Where a clean copy goes: a folder on this machine, or a prefix of an object store."""

from __future__ import annotations

import hashlib
import os
import platform
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from egide.auditing.purge.disk import sweep, take_place, unfinished
from egide.auditing.purge.journal import writing
from egide.auditing.sources.listing import walk
from egide.auditing.sources.location import is_local, open_filesystem, refusal
from egide.errors import (
    ContainerLeft,
    ContainerNotVerified,
    SourceUnreadable,
    TargetNotEmpty,
    TargetNotShared,
    TargetUnwritable,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egide.auditing.purge.disk import Like

_PIECE_BYTES = 4 * 1024 * 1024
_SHOWN = "shown"


class Target:
    """The folder of a clean copy."""

    def __init__(self, address: str, spool: Path) -> None:
        self.address = address
        self.local = is_local(address)
        self.absolute = os.path.abspath(address) if self.local else address  # noqa: PTH100 - a name
        self._spool = spool
        self._filesystem: Any = None
        if not self.local:
            self._filesystem, self._root = open_filesystem(address)

    def require_empty(self) -> None:
        """Make sure that nothing stands there.

        Raises:
            TargetNotEmpty: something does.
            TargetUnwritable: it cannot be looked at.
        """
        if self.local:
            path = Path(self.address)
            with writing(self.address):
                if path.is_dir() and any(path.iterdir()):
                    raise TargetNotEmpty(name=self.address)
                if not path.is_dir() and (path.exists() or path.is_symlink()):
                    raise TargetNotEmpty(name=self.address)
            return
        try:
            found = next(walk(self._filesystem, self._root), None)
        except SourceUnreadable as error:
            if isinstance(error.__cause__, FileNotFoundError):
                return
            raise TargetUnwritable(name=self.address, reason=error.fields["reason"]) from error
        if found is not None:
            raise TargetNotEmpty(name=self.address)

    def make(self) -> None:
        """Make the folder."""
        if self.local:
            with writing(self.address):
                Path(self.address).mkdir(parents=True, exist_ok=True)

    def place(self, relative: str) -> str:
        """Return the address of a file below.

        Raises:
            ContainerLeft: its name would lead elsewhere.
        """
        parts = relative.split("/")
        if any(part in {"", ".", ".."} or "\0" in part for part in parts):
            raise ContainerLeft(name="a file", reason="its name would lead out of the target")
        return f"{self.address.rstrip('/')}/{relative}"

    def size(self, relative: str) -> int | None:
        """Return the size of a file below; None if it is not there."""
        try:
            if self.local:
                return os.lstat(self.place(relative)).st_size
            self._filesystem.invalidate_cache()
            info = self._filesystem.info(f"{self._root.rstrip('/')}/{relative}")
            return int(info["size"])
        except FileNotFoundError:
            return None
        except Exception as error:
            if isinstance(error, OSError) and self.local:
                return None
            raise TargetUnwritable(name=self.address, reason=refusal(error)) from error

    def remove(self, relative: str) -> None:
        """Remove a file that an earlier run of this purge put there, if it did."""
        if self.local:
            with writing(self.address):
                Path(self.place(relative)).unlink(missing_ok=True)
        elif self.size(relative) is not None:
            try:
                self._filesystem.rm_file(f"{self._root.rstrip('/')}/{relative}")
                self._filesystem.invalidate_cache()
            except Exception as error:
                raise TargetUnwritable(name=self.address, reason=refusal(error)) from error

    def sweep(self, relative: str, mark: str) -> None:
        """Remove what a killed run left unfinished beside a file's place."""
        if self.local:
            with writing(self.address):
                sweep(Path(self.place(relative)).parent, mark)

    @contextmanager
    def shown(self) -> Iterator[str]:
        """Have a file in the folder while the block runs, and yield its path: see `require_shared`.

        In an object store none is needed, and the path is empty.
        """
        if not self.local:
            yield ""
            return
        with writing(self.address):
            sweep(Path(self.address), _SHOWN)
            with unfinished(Path(self.address), _SHOWN) as (_, path):
                try:
                    yield str(path.absolute())
                finally:
                    path.unlink(missing_ok=True)

    def require_shared(self, shown: str) -> None:
        """Make sure, on a node of a cluster, that this is the folder which is meant.

        Raises:
            TargetNotShared: it is another.
        """
        if shown and not Path(shown).exists():
            raise TargetNotShared(name=self.address, node=platform.node())

    @contextmanager
    def new_file(self, relative: str, mark: str, like: Like) -> Iterator[IO[bytes]]:
        """Yield a file to write and to read back; at the end of the block it takes its place.

        Args:
            relative: its path below the target.
            mark: of the work.
            like: what it takes over from the original.

        Raises:
            TargetUnwritable: no space, no permission, the store refuses.
            ContainerNotVerified: what the store has is not what was sent.
        """
        place = self.place(relative)
        if self.local:
            with (
                writing(self.address),
                unfinished(Path(place).parent, mark) as (stream, path),
            ):
                yield stream
                take_place(path, Path(place), like)
            return
        with unfinished(self._spool, mark) as (stream, path):
            yield stream
            self._send(path, relative, stream)
            path.unlink()

    def link(self, relative: str, leads_to: str) -> None:
        """Make a link."""
        path = Path(self.place(relative))
        with writing(self.address):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.unlink(missing_ok=True)
            path.symlink_to(leads_to)

    def _send(self, path: Path, relative: str, stream: IO[bytes]) -> None:
        remote = f"{self._root.rstrip('/')}/{relative}"
        stream.flush()
        stream.seek(0)
        sent, found = hashlib.sha256(), hashlib.sha256()
        while data := stream.read(_PIECE_BYTES):
            sent.update(data)
        try:
            self._filesystem.put_file(str(path), remote)
            self._filesystem.invalidate_cache()
            with self._filesystem.open(remote, "rb") as back:
                while data := back.read(_PIECE_BYTES):
                    found.update(data)
        except Exception as error:
            raise TargetUnwritable(name=self.address, reason=refusal(error)) from error
        if sent.digest() != found.digest():
            raise ContainerNotVerified(name=relative, reason="the store has something else")
