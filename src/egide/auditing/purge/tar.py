"""Purge a tar: blocks are copied as they stand, headers with their extensions."""

from __future__ import annotations

import hashlib
import os
import posixpath
import tarfile
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any, cast

from egide.auditing.purge.members import find_members
from egide.auditing.purge.splice import BUFFER_BYTES, Splice
from egide.auditing.sources.tar_headers import Header
from egide.errors import ContainerUnsupported

if TYPE_CHECKING:
    from collections.abc import Collection

    from egide.auditing.purge.plan import Cut, Doomed

_BLOCK = 512
_DAMAGE = (tarfile.TarError, OSError, ValueError, RecursionError, EOFError)


@dataclass(frozen=True, slots=True)
class TarMember:
    """Where a member stands.

    Attributes:
        name: '' of what is no file; `link`: where a link leads.
        start: of its first header, extensions included; `data`: of its bytes; `end`: of its blocks.
        plain: its bytes are the file's, as they are not in a sparse one.
    """

    name: str
    start: int
    data: int
    size: int
    end: int
    link: str | None = None
    plain: bool = True


def members_of(stream: IO[bytes], name: str) -> list[TarMember]:
    """Read the headers of a plain tar.

    Raises:
        ContainerUnsupported: it is damaged.
    """
    size = os.fstat(stream.fileno()).st_size
    found = []
    try:
        stream.seek(0)
        archive = tarfile.TarFile(
            fileobj=stream, tarinfo=Header, encoding="utf-8", errors="surrogateescape"
        )
        for info in archive:
            archive.members = []  # type: ignore[attr-defined] # a million would fill memory
            end = cast("Any", archive).offset
            if end > size or info.offset_data > end:
                raise tarfile.ReadError("cut")
            link = info.linkname if info.issym() or info.islnk() else None
            if link is not None and info.issym():
                link = posixpath.normpath(posixpath.join(posixpath.dirname(info.name), link))
            file = not info.isdir() and not info.isdev()
            found.append(
                TarMember(
                    info.name if file else "",
                    info.offset,
                    info.offset_data,
                    info.size,
                    end,
                    link,
                    not info.issparse() and link is None,
                )
            )
    except _DAMAGE as error:
        reason = f"it is damaged, {type(error).__name__}"
        raise ContainerUnsupported(name=name, reason=reason) from error
    return found


def cut_tar(
    stream: IO[bytes], members: list[TarMember], doomed: Collection[Doomed]
) -> tuple[Cut, Splice]:
    """Find what goes, and the pieces of what stays.

    Args:
        stream: of the plain tar.
        members: of it, in order.
        doomed: items that go.
    """
    cut, gone = find_members(
        [member.name for member in members],
        doomed,
        offset=lambda at: members[at].data,
        links={at: one.link for at, one in enumerate(members) if one.link is not None},
    )
    splice, at = Splice(), 0
    for number, member in enumerate(members):
        if number in gone:
            splice.keep(at, member.start)  # a header for all members may stand before
            for start, stop in _global_headers(stream, member):
                splice.keep(start, stop)
            at = member.end
    splice.keep(at, os.fstat(stream.fileno()).st_size)
    return cut, splice


def _global_headers(stream: IO[bytes], member: TarMember) -> list[tuple[int, int]]:
    """Headers for all members that stand among those of one."""
    found, at = [], member.start
    while at < member.data:
        header = os.pread(stream.fileno(), _BLOCK, at)
        kind = header[156:157]
        if kind not in {b"x", b"g", b"L", b"K", b"X"}:
            break
        size = cast("Any", tarfile).nti(header[124:136])
        end = at + _BLOCK + -(-size // _BLOCK) * _BLOCK
        if kind == b"g":
            found.append((at, end))
        at = end
    return found


def hash_members(stream: IO[bytes], members: list[TarMember]) -> dict[int, str]:
    """Return the SHA-256 of each member's bytes, by their offset.

    One read takes in many small members, and is hashed without holding up other threads.
    """
    found: dict[int, str] = {}
    buffer = memoryview(bytearray(BUFFER_BYTES))
    begin = end = 0  # of what stands in the buffer
    for member in members:
        if not member.plain or not member.name:
            continue
        digest = hashlib.sha256()
        at, stop = member.data, member.data + member.size
        while at < stop:
            if not begin <= at < end:
                begin = at
                end = at + os.preadv(stream.fileno(), [buffer], at)
                if end == begin:
                    break
            digest.update(buffer[at - begin : min(stop, end) - begin])
            at = min(stop, end)
        found[member.data] = digest.hexdigest()
    return found
