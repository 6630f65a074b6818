"""A tar archive, plain or compressed, read as a stream: the webdataset convention."""

from __future__ import annotations

import lzma
import re
import tarfile
import zlib
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any, Self, cast

from egide.auditing.sources.base import Expansion, Item, Member, Other, Read, Reading, Shard
from egide.auditing.sources.location import open_binary, whole_file
from egide.auditing.sources.nested import read_container, read_member, reads
from egide.errors import LinkNotFollowed, SourceTruncated, SourceUnreadable
from egide.media.containers import IMAGE_SUFFIXES, Kind, suffix_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from egide.domain.model import Limits

MAX_NAME_BYTES = 1024 * 1024
_BLOCK = 512
_READ_BYTES = 128 * _BLOCK
# tarfile copies the rest of a read for each member: reads of 10 or 256 KiB take a fifth longer.
_NAME_TYPES = (
    *(tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE),
    *(tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK),
)
MAX_GLOBAL_HEADERS = 1000
"""A global header's records are applied to every member that follows."""
_MEMBER_BYTES = 8192
"""Cost of a member besides its bytes: a gzip of 4 MB held two million empty members."""
_RECORD = re.compile(rb"([0-9]{1,8}) [^=]{1,1024}=")
_ENDLESS_NUMBER = re.compile(rb"[0-9]{256}")
_DAMAGE = (
    *(tarfile.TarError, EOFError, OSError, zlib.error, lzma.LZMAError, ValueError),
    RecursionError,  # tarfile recurses for each header that precedes another
)


class TarSource:
    """One archive is one shard: a stream can only be read from its start.

    Member names are labels only. Nothing is unpacked to disk, so a name with `../` is harmless.
    """

    kind = "tar"

    def __init__(self, url: str, name: str) -> None:
        self.url = url
        self.name = name

    def shards(self) -> Iterator[Shard]:
        """Plan the archive as one shard."""
        yield whole_file(self.kind, self.url, self.name)

    @staticmethod
    def read(shard: Shard, limits: Limits) -> Iterator[Read]:
        """Yield the members in archive order.

        Raises:
            SourceUnreadable: this is not a tar archive.
            SourceTruncated: the archive is damaged or cut; the members before are valid.
            SourceExpands: the archive expands beyond the limit.
        """
        reading = Reading(shard.name, limits, Expansion(shard, limits))
        with open_binary(shard.url) as stream:
            yield from read_container(stream, Kind.TAR, reading)


@reads(Kind.TAR)
def read_tar(stream: Any, reading: Reading) -> Iterator[Read]:
    """Yield the members of a plain archive, from a stream that is read once."""
    expansion, name = reading.expansion, reading.name
    try:
        watched = _Watched(stream.read, expansion)
        # Streaming mode: no seeking, so damage cannot send the reader in circles.
        archive = tarfile.open(  # noqa: SIM115 - closed with the stream
            fileobj=cast("IO[bytes]", watched), mode="r|", bufsize=_READ_BYTES, tarinfo=_TarInfo
        )
    except _DAMAGE as error:
        raise SourceUnreadable(name=name, reason="it is not a tar archive") from error
    try:
        for member in archive:
            # tarfile keeps every member it has read: a million would fill memory.
            archive.members = []  # type: ignore[attr-defined]
            if member.size < 0:  # a textual header may claim it
                raise tarfile.ReadError("a member of less than nothing")
            expansion.take(_MEMBER_BYTES)
            if member.issparse():
                expansion.take(member.size)  # zeros that are not stored
            yield from _read(archive, member, reading)
            expansion.items += 1
        complete = watched.ends_at(archive.offset)
    except _DAMAGE as error:
        raise SourceTruncated(
            name=name, items=expansion.items, reason=type(error).__name__
        ) from error
    if not complete:
        raise SourceTruncated(
            name=name, items=expansion.items, reason="no end mark, or data outside of members"
        )


def _read(archive: tarfile.TarFile, member: tarfile.TarInfo, reading: Reading) -> Iterator[Read]:
    name, key = reading.label(member.name), _key(member.name)
    if member.issym() or member.islnk():
        link = suffix_of(name) in IMAGE_SUFFIXES
        yield Item(name, LinkNotFollowed(name=name), key) if link else Other("link")
    elif member.isdir() or member.isdev():
        yield Other("folder" if member.isdir() else "special file")
    else:
        stream = archive.extractfile(member)
        assert stream is not None  # a member of a type that nobody knows counts as a file
        yield from read_member(Member(name, stream, key, member.offset_data, member.size), reading)


def _key(name: str) -> str:
    """Return the webdataset key: the path up to the first dot of its last part."""
    folder, slash, base = name.rpartition("/")
    return folder + slash + (base[:1] + base[1:].partition(".")[0])


class _TarInfo(tarfile.TarInfo):
    """A member whose extra header blocks cannot exhaust memory or time."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        member = super().frombuf(buf, encoding, errors)
        if member.type in _NAME_TYPES and member.size > MAX_NAME_BYTES:
            raise tarfile.ReadError("a name or header that is too long")
        return member

    def _proc_pax(self, archive: Any) -> Any:
        with _reading(archive, _Records):
            found = super()._proc_pax(archive)  # type: ignore[misc]
        if len(archive.pax_headers) > MAX_GLOBAL_HEADERS:
            raise tarfile.ReadError("too many headers for all members")
        return found

    # tarfile reads the map of a sparse file to its end: a packed one of 2 MB took over 150 s.

    def _proc_sparse(self, archive: Any) -> Any:
        with _reading(archive, _Bounded):
            return super()._proc_sparse(archive)  # type: ignore[misc]

    def _proc_gnusparse_10(self, member: Any, headers: Any, archive: Any) -> None:
        with _reading(archive, _Bounded):
            super()._proc_gnusparse_10(member, headers, archive)  # type: ignore[misc]


@contextmanager
def _reading(archive: Any, through: Callable[[Any], Any]) -> Iterator[None]:
    """Let tarfile read its stream through a wrapper."""
    stream = archive.fileobj
    archive.fileobj = through(stream)
    try:
        yield
    finally:
        archive.fileobj = stream


class _Records:
    """A stream of textual header records that tarfile parses in linear time.

    On an endless number, tarfile backtracks without end (CVE-2024-6232, fixed in Python 3.11.10 and
    3.12.6). It also takes what follows a record for part of the record's name.
    """

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self.tell = stream.tell

    def read(self, size: int) -> bytes:
        data: bytes = self._stream.read(size)
        if _ENDLESS_NUMBER.search(data):
            raise tarfile.ReadError("a header with a number that is too long")
        at = 0
        while record := _RECORD.match(data, at):
            if at + int(record[1]) < record.end():
                raise tarfile.ReadError("a record of a header that overlaps the next")
            at += int(record[1])
        if data[at : at + 1].isdigit():
            raise tarfile.ReadError("a record of a header with a name that is too long")
        return data


class _Bounded:
    """A stream that may be read for at most `MAX_NAME_BYTES`."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._left = MAX_NAME_BYTES
        self.tell = stream.tell

    def read(self, size: int) -> bytes:
        self._left -= size
        if self._left < 0:
            raise tarfile.ReadError("a map of a sparse file that is too long")
        data: bytes = self._stream.read(size)
        return data


class _Watched:
    """A stream that records the position of its last non-zero byte.

    tarfile ends silently at a cut or damaged header, and after the first of two concatenated
    archives. In a sound archive, only zeros follow the place where it stopped.
    """

    def __init__(self, read: Callable[[int], bytes], expansion: Expansion) -> None:
        self._read = read
        self._expansion = expansion
        self._length = 0
        self._content_end = 0

    def read(self, size: int) -> bytes:
        data = self._read(size)
        if content := len(data.rstrip(b"\0")):
            self._content_end = self._length + content
        self._length += len(data)
        self._expansion.take(len(data))
        return data

    def ends_at(self, offset: int) -> bool:
        """Read the rest; return whether a block of zeros, and nothing else, follows `offset`."""
        while self.read(_READ_BYTES):
            pass
        return self._content_end <= offset and self._length >= offset + _BLOCK
