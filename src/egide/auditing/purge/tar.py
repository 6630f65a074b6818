"""Purge a tar: blocks are copied as they stand, headers with their extensions."""

from __future__ import annotations

import hashlib
import os
import posixpath
import tarfile
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any, Self, cast

from egide.auditing.purge.members import find_members
from egide.auditing.purge.splice import BUFFER_BYTES, Splice
from egide.auditing.sources.tar_headers import Header
from egide.errors import ContainerUnsupported

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from egide.auditing.purge.plan import Cut, Doomed

_BLOCK = 512
_TYPE = slice(156, 157)
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


class _Place(Header):
    """A header; of a plain file's only its place is read, in a quarter of the time."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        """Read a header block."""
        if len(buf) != _BLOCK or buf[_TYPE] != tarfile.REGTYPE or not _summed(buf):
            return super().frombuf(buf, encoding, errors)
        found = cls()
        found.name = _text(buf[:100], encoding, errors)
        if prefix := _text(buf[345:500], encoding, errors):
            found.name = f"{prefix}/{found.name}"
        found.size = cast("Any", tarfile).nti(buf[124:136])
        found.type = tarfile.REGTYPE
        return found


def _summed(block: bytes | bytearray) -> bool:
    """Whether a header has the sum of its bytes, as it is nearly always written."""
    try:
        told = int(bytes(block[148:156]).strip(b" \0"), 8)
    except ValueError:
        return False
    return told == sum(block) - sum(block[148:156]) + 8 * ord(" ")


def _text(field: bytes | bytearray, encoding: str, errors: str) -> str:
    return bytes(field).partition(b"\0")[0].decode(encoding, errors)


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
            fileobj=stream, tarinfo=_Place, encoding="utf-8", errors="surrogateescape"
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


def hash_members(stream: IO[bytes], members: Iterable[TarMember]) -> tuple[dict[int, str], str]:
    """Hash the file and some members in one reading, without holding up other threads.

    Args:
        stream: of the plain tar.
        members: of it, whose bytes are the file's.

    Returns:
        the SHA-256 of each member's bytes, by their offset; that of the file.
    """
    found: dict[int, str] = {}
    whole, digest = hashlib.sha256(), hashlib.sha256()
    buffer = memoryview(bytearray(BUFFER_BYTES))
    waiting = iter(sorted(members, key=lambda member: member.data))
    member, at = next(waiting, None), 0
    while size := os.preadv(stream.fileno(), [buffer], at):
        whole.update(buffer[:size])
        while member is not None and member.data < at + size:
            stop = member.data + member.size
            digest.update(buffer[max(member.data - at, 0) : min(stop - at, size)])
            if stop > at + size:
                break
            found[member.data] = digest.hexdigest()
            member, digest = next(waiting, None), hashlib.sha256()
        at += size
    if member is not None and not member.size:  # the file ends with it
        found[member.data] = digest.hexdigest()
    return found, whole.hexdigest()
