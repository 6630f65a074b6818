"""A folder of files, local or remote, walked without following links to folders."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import stat as stat_flags
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from egide.auditing.sources.base import Expansion, Item, Member, Other, Read, Reading, Shard
from egide.auditing.sources.listing import walk
from egide.auditing.sources.location import open_filesystem, refusal, stat
from egide.auditing.sources.metadata import TABLE_SUFFIXES
from egide.auditing.sources.nested import read_member
from egide.domain.coverage import Gap, GapKind
from egide.errors import (
    FileMissing,
    FileUnreadable,
    LinkNotFollowed,
    ListingFailed,
    ObjectUnreadable,
    SourceError,
    SourceUnreadable,
)
from egide.media.containers import Kind, kind_by_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from egide.auditing.sources.base import Read, Source
    from egide.domain.model import Limits

RUN_FILES = 512
"""Files in a shard: a killed audit repeats at most this many a worker."""
# File names contain no NUL, so none can be mistaken for one.
GAP_MARK = "\0gap:"
"""Before a gap that was found in planning: it stands among the files of its run."""


class FolderSource:
    """A folder, recursively; archives in it are sources of their own.

    Links to files are read. Links to folders are reported, not followed, since they may form a
    loop. Special files are not read.
    """

    kind = "folder"

    def __init__(
        self, url: str, name: str, open_archive: Callable[[str, str], Source | None]
    ) -> None:
        self.url = url.rstrip("/") or "/"
        self.name = name
        self._open_archive = open_archive

    def shards(self) -> Iterator[Shard]:
        """Plan runs of `RUN_FILES` files in path order; archives follow the run they interrupt."""
        run = _Run(self.kind, self.url, self.name)
        for path, size, changed in _walk(self.url):
            shards = self._archive_shards(path)
            if shards:
                yield from run.close()
                yield from shards
                continue
            run.add(path, size, changed)
            if len(run) >= RUN_FILES:
                yield from run.close()
        yield from run.close()

    def _archive_shards(self, path: str) -> list[Shard]:
        """The shards of an archive; none if the file is not an archive or cannot be opened."""
        if path.startswith(GAP_MARK):
            return []
        if kind_by_name(path) in {None, Kind.PACKED} and not path.lower().endswith(TABLE_SUFFIXES):
            return []  # a single packed file is read in its run
        try:
            archive = self._open_archive(_join(self.url, path), f"{self.name}/{path}")
            if archive is None:
                return []
            return [replace(shard, within=True) for shard in archive.shards()]
        except SourceError:
            return []  # vanished, dangling or special: reading its run reports which

    @staticmethod
    def read(shard: Shard, limits: Limits) -> Iterator[Read]:
        """Read the files of a run; an unreadable file is an item with its error."""
        filesystem, root = open_filesystem(shard.url)
        local = filesystem.protocol == ("file", "local") or "file" in filesystem.protocol
        for name in shard.files:
            if name.startswith(GAP_MARK):
                kind, *rest = json.loads(name.removeprefix(GAP_MARK))
                yield Gap(GapKind(kind), *rest)
            elif local:
                yield from _read_local(_join(root, name), name, limits)
            else:
                yield from _read_remote(filesystem, _join(root, name), name, limits)


class FileSource:
    """One picture, named directly."""

    kind = "file"

    def __init__(self, url: str, name: str) -> None:
        self.url = url
        self.name = name

    def shards(self) -> Iterator[Shard]:
        """Plan a run of one file.

        Raises:
            SourceMissing, SourceUnreadable: as `stat`.
        """
        folder, _, base = self.url.replace(os.sep, "/").rpartition("/")
        run = _Run(self.kind, folder or ("/" if self.url.startswith("/") else "."), self.name)
        info = stat(self.url)
        run.add(base, int(info.get("size") or 0), str(info.get("mtime", "")))
        yield from run.close()

    @staticmethod
    def read(shard: Shard, limits: Limits) -> Iterator[Read]:
        """Read the file."""
        return FolderSource.read(shard, limits)


class _Run:
    """Collects files for the next shard."""

    def __init__(self, kind: str, url: str, name: str) -> None:
        self._kind = kind
        self._url = url
        self._name = name
        self._number = 0
        self._reset()

    def _reset(self) -> None:
        self._files: list[str] = []
        self._weight = 0
        self._state = hashlib.sha256()

    def __len__(self) -> int:
        return len(self._files)

    def add(self, path: str, size: int, changed: str) -> None:
        self._files.append(path)
        self._weight += size
        self._state.update(f"{size} {changed}\n".encode())

    def close(self) -> Iterator[Shard]:
        if not self._files:
            return
        yield Shard(
            kind=self._kind,
            url=self._url,
            name=f"{self._name}#{self._number}",
            files=tuple(self._files),
            state=self._state.hexdigest()[:16],
            weight=self._weight,
        )
        self._number += 1
        self._reset()


def _walk(url: str) -> Iterator[tuple[str, int, str]]:
    """Yield (path below the folder, size, time or tag) in path order."""
    filesystem, root = open_filesystem(url)
    if "file" in filesystem.protocol:
        yield from _walk_local(root)
    else:
        yield from _walk_remote(filesystem, root)


def _walk_local(root: str) -> Iterator[tuple[str, int, str]]:
    try:
        open_folders = [("", _names(root))]
    except OSError as error:
        raise SourceUnreadable(name=root, reason=refusal(error)) from error
    # No recursion: folders can be nested deeper than Python's stack.
    while open_folders:
        below, names = open_folders[-1]
        name = next(names, None)
        if name is None:
            open_folders.pop()
            continue
        path = below + name
        full = os.path.join(root, path)  # noqa: PTH118 - 10 million paths
        try:
            status = os.lstat(full)
            if stat_flags.S_ISLNK(status.st_mode):
                target = os.stat(full)  # noqa: PTH116
                if stat_flags.S_ISDIR(target.st_mode):
                    yield _mark(Gap.of(path, LinkNotFollowed(name=path), GapKind.LISTING))
                    continue
                status = target
        except OSError:
            yield path, 0, ""  # vanished or dangling: reading it reports why
            continue
        if not stat_flags.S_ISDIR(status.st_mode):
            yield path, status.st_size, str(status.st_mtime_ns)
            continue
        try:
            open_folders.append((path + "/", _names(full)))
        except OSError as error:
            failed = ListingFailed(name=path, reason=refusal(error))
            yield _mark(Gap.of(path, failed, GapKind.LISTING))


def _mark(gap: Gap) -> tuple[str, int, str]:
    values = [gap.kind, gap.name, gap.code, gap.message, gap.count]
    return GAP_MARK + json.dumps(values), 0, ""


def _names(folder: str) -> Iterator[str]:
    return iter(sorted(os.listdir(folder)))  # noqa: PTH208 - names alone keep memory small


def _walk_remote(filesystem: Any, root: str) -> Iterator[tuple[str, int, str]]:
    prefix = root.rstrip("/") + "/"
    for found in walk(filesystem, root):
        if isinstance(found, Gap):
            yield _mark(found)
        else:
            yield found.path.removeprefix(prefix), found.size, found.tag


def _read_local(path: str, name: str, limits: Limits) -> Iterator[Read]:
    try:
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as stream:  # noqa: PTH123
            status = os.fstat(stream.fileno())
            if not stat_flags.S_ISREG(status.st_mode):
                yield Other("special file")
                return
            yield from _read_file(stream, name, status.st_size, limits)
    except FileNotFoundError:
        yield Item(name, FileMissing(name=name))
    except OSError as error:
        if error.errno == errno.ENXIO:
            yield Other("special file")  # a socket
        else:
            yield Item(name, FileUnreadable(name=name, reason=(error.strerror or "").lower()))
    except MemoryError:
        reason = "it needs more memory than EGIDE_WORKER_MEMORY_BYTES"
        yield Item(name, FileUnreadable(name=name, reason=reason))


def _read_remote(filesystem: Any, path: str, name: str, limits: Limits) -> Iterator[Read]:
    try:
        with filesystem.open(path, "rb", block_size=1 << 20) as stream:
            yield from _read_file(stream, name, stream.size, limits)
    except FileNotFoundError:
        yield Item(name, FileMissing(name=name))
    except Exception as error:  # noqa: BLE001 - each remote filesystem raises its own errors
        yield Item(name, ObjectUnreadable(name=name, reason=refusal(error)))


def _read_file(stream: Any, name: str, size: int, limits: Limits) -> Iterator[Read]:
    reading = Reading("", limits, Expansion(Shard("", "", name, weight=size), limits))
    try:
        yield from read_member(Member(name, stream, size=size, seekable=True), reading)
    except SourceError as error:
        yield Gap.of(name, error, GapKind.ARCHIVE)


def _join(folder: str, name: str) -> str:
    return f"{folder.rstrip('/')}/{name}"
