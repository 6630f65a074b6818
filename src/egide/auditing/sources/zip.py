"""A zip archive: its members can be read separately, so a large archive is many shards."""

from __future__ import annotations

import io
import lzma
import struct
import zipfile
import zlib
from typing import IO, TYPE_CHECKING

from egide.auditing.sources.base import (
    IMAGE_SUFFIXES,
    SNIFF_BYTES,
    Expansion,
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
    DecodeFailed,
    FileTooLarge,
    MemberEncrypted,
    SourceError,
    SourceUnreadable,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egide.domain.model import Limits

RUN_MEMBERS = 1024
MAX_RUNS = 16
"""Bounds the runs, since each one reads the archive's whole directory again."""
_ENCRYPTED = 0x1
_READ_BYTES = 1 << 20
_DAMAGE = (
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, EOFError, OSError),
    *(RuntimeError, ValueError, IndexError, OverflowError),
)


class ZipSource:
    """Runs of members, in the order of the archive's directory."""

    kind = "zip"

    def __init__(self, url: str, name: str) -> None:
        self.url = url
        self.name = name

    def shards(self) -> Iterator[Shard]:
        """Plan runs of at least `RUN_MEMBERS` members; a damaged archive is one shard."""
        info = stat(self.url)
        size = int(info.get("size") or 0)
        try:
            with open_binary(self.url) as stream, zipfile.ZipFile(stream) as archive:
                count = len(archive.infolist())
        except (*_DAMAGE, SourceError):
            count = 0
        members = max(RUN_MEMBERS, -(-count // MAX_RUNS))
        starts = range(0, max(count, 1), members)
        for start in starts:
            yield Shard(
                kind=self.kind,
                url=self.url,
                name=self.name if len(starts) == 1 else f"{self.name}#{start // members}",
                start=start,
                stop=min(start + members, count),
                state=state_of(info),
                weight=size // len(starts),
                share=len(starts),
            )

    @staticmethod
    def read(shard: Shard, limits: Limits) -> Iterator[Item | Other]:
        """Yield a run of members.

        Raises:
            SourceUnreadable: the archive's directory is damaged or missing.
            SourceExpands: members expand beyond the limit, for instance if many share their bytes.
        """
        expansion = Expansion(shard, limits)
        with open_binary(shard.url) as stream:
            try:
                archive = zipfile.ZipFile(stream)
            except _DAMAGE as error:
                raise SourceUnreadable(
                    name=shard.name, reason="it is not a zip archive, or truncated"
                ) from error
            with archive:
                for member in archive.infolist()[shard.start : shard.stop]:
                    yield _item(archive, member, limits, expansion)
                    expansion.items += 1


def _item(
    archive: zipfile.ZipFile, member: zipfile.ZipInfo, limits: Limits, expansion: Expansion
) -> Item | Other:
    name = member.filename
    if name.endswith("/"):
        return Other("folder")
    if is_archive(name):
        return Item(name, ArchiveNotOpened(name=name))
    if member.flag_bits & _ENCRYPTED:
        if suffix_of(name) in IMAGE_SUFFIXES:
            return Item(name, MemberEncrypted(name=name))
        return Other(suffix_of(name))
    try:
        with archive.open(member) as stream:
            head = stream.read(SNIFF_BYTES)
            if not is_candidate(name, head):
                return Other(suffix_of(name))
            content = _read(stream, head, limits.max_file_bytes + 1, expansion)
    except _DAMAGE as error:
        return Item(
            name, DecodeFailed(name=name, reason=f"damaged in its zip, {type(error).__name__}")
        )
    except MemoryError:
        expansion.take(limits.max_file_bytes)  # bzip2 unpacks in one piece
        reason = "it needs more memory than EGIDE_WORKER_MEMORY_BYTES"
        return Item(name, DecodeFailed(name=name, reason=reason))
    if len(content) > limits.max_file_bytes:
        size = max(len(content), member.file_size)
        return Item(name, FileTooLarge(name=name, size=size, limit=limits.max_file_bytes))
    return Item(name, content)


def _read(stream: IO[bytes], head: bytes, limit: int, expansion: Expansion) -> bytes:
    """Read a member up to a limit. The directory may lie about its size, so count real bytes."""
    content = io.BytesIO()
    content.write(head)
    while piece := stream.read(min(_READ_BYTES, limit - content.tell())):
        expansion.take(len(piece))
        content.write(piece)
    return content.getvalue()
