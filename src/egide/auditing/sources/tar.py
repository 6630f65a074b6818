"""A tar archive, plain or compressed, read as a stream: the webdataset convention."""

from __future__ import annotations

import bz2
import gzip
import lzma
import tarfile
import zlib
from typing import IO, TYPE_CHECKING, Self, cast

from egide.auditing.sources.base import (
    IMAGE_SUFFIXES,
    SNIFF_BYTES,
    Item,
    Other,
    Shard,
    is_archive,
    is_candidate,
    suffix_of,
)
from egide.auditing.sources.location import open_binary, stat, state_of
from egide.errors import (
    ArchiveNotOpened,
    FileTooLarge,
    LinkNotFollowed,
    SourceTruncated,
    SourceUnreadable,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egide.model import Limits

MAX_NAME_BYTES = 1024 * 1024
_BLOCK = 512
_NAME_TYPES = (
    *(tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE),
    *(tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK),
)
_DAMAGE = (tarfile.TarError, EOFError, OSError, zlib.error, lzma.LZMAError, ValueError)


class TarSource:
    """One archive is one shard: a stream has no second way in.

    Member names are labels only. Nothing is ever unpacked, so a name with `../` leads nowhere.
    """

    kind = "tar"

    def __init__(self, url: str, name: str) -> None:
        self.url = url
        self.name = name

    def shards(self) -> Iterator[Shard]:
        """Plan the archive as one shard."""
        info = stat(self.url)
        yield Shard(
            kind=self.kind,
            url=self.url,
            name=self.name,
            state=state_of(info),
            weight=int(info.get("size") or 0),
        )

    @staticmethod
    def read(shard: Shard, limits: Limits) -> Iterator[Item | Other]:
        """Yield the members in archive order.

        Raises:
            SourceUnreadable: it is no tar archive.
            SourceTruncated: it is damaged or cut; the members before stand.
        """
        count = 0
        with open_binary(shard.url) as stream:
            try:
                plain = _decompress(stream)
                tail = _Tail(plain)
                # Streaming mode: no seeking, so damage cannot send the reader in circles.
                archive = tarfile.open(fileobj=cast("IO[bytes]", tail), mode="r|", tarinfo=_Member)  # noqa: SIM115
            except _DAMAGE as error:
                raise SourceUnreadable(name=shard.name, reason="it is no tar archive") from error
            try:
                for member in archive:
                    # tarfile keeps every member it has read: a million would fill memory.
                    archive.members = []  # type: ignore[attr-defined]
                    yield _item(archive, member, limits)
                    count += 1
                complete = tail.ends_as_an_archive()
            except _DAMAGE as error:
                raise SourceTruncated(
                    name=shard.name, items=count, reason=type(error).__name__
                ) from error
        if not complete:
            raise SourceTruncated(
                name=shard.name, items=count, reason="no end mark, or data that is no member"
            )


def _item(archive: tarfile.TarFile, member: tarfile.TarInfo, limits: Limits) -> Item | Other:
    name, suffix = member.name, suffix_of(member.name)
    key = _key(name)
    if member.issym() or member.islnk():
        if suffix in IMAGE_SUFFIXES:
            return Item(name, LinkNotFollowed(name=name), key)
        return Other("link")
    if not member.isreg():
        return Other("folder" if member.isdir() else "special file")
    stream = archive.extractfile(member)
    assert stream is not None  # a regular member has contents
    head = stream.read(SNIFF_BYTES)
    if is_archive(name):
        return Item(name, ArchiveNotOpened(name=name), key)
    if not is_candidate(name, head):
        return Other(suffix)
    if member.size > limits.max_file_bytes:
        error = FileTooLarge(name=name, size=member.size, limit=limits.max_file_bytes)
        return Item(name, error, key, member.offset_data)
    return Item(name, head + stream.read(), key, member.offset_data)


def _key(name: str) -> str:
    """Return the webdataset key: the path up to the first dot of its last part."""
    folder, slash, base = name.rpartition("/")
    return folder + slash + (base[:1] + base[1:].partition(".")[0])


def _decompress(stream: IO[bytes]) -> IO[bytes]:
    magic = stream.read(6)
    stream.seek(0)
    if magic.startswith(b"\x1f\x8b"):
        return cast("IO[bytes]", gzip.GzipFile(fileobj=stream))
    if magic.startswith(b"BZh"):
        return cast("IO[bytes]", bz2.BZ2File(stream))
    if magic.startswith(b"\xfd7zXZ"):
        return cast("IO[bytes]", lzma.LZMAFile(stream))
    return stream


class _Member(tarfile.TarInfo):
    """A member whose name, in a header block of its own, cannot be made to fill memory."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        member = super().frombuf(buf, encoding, errors)
        if member.type in _NAME_TYPES and member.size > MAX_NAME_BYTES:
            raise tarfile.ReadError("a name or header that is too long")
        return member


class _Tail:
    """Remembers the last block read, since tarfile ends silently on a cut or damaged header."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._last = b""

    def read(self, size: int) -> bytes:
        data = self._stream.read(size)
        self._last = (self._last + data)[-_BLOCK:]
        return data

    def ends_as_an_archive(self) -> bool:
        """Read what is left: an archive ends in a block of zeros, with nothing else after it."""
        while data := self._stream.read(1 << 20):
            if data.count(0) != len(data):
                return False
            self._last = (self._last + data)[-_BLOCK:]
        return self._last == bytes(_BLOCK)
