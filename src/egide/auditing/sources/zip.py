"""A zip archive: its members can be read separately, so a large archive is many shards."""

from __future__ import annotations

import stat as stat_flags
import struct
import zipfile
from typing import IO, TYPE_CHECKING, Any

from egide.auditing.sources.base import Expansion, Item, Member, Other, Read, Reading, Shard
from egide.auditing.sources.location import open_binary, stat, state_of
from egide.auditing.sources.nested import PACKING_DAMAGE, read_container, read_member, reads
from egide.auditing.sources.packings import METHODS, PackingUnknown, open_raw
from egide.domain.coverage import Gap, GapKind
from egide.errors import (
    ArchiveUnsupported,
    DecodeFailed,
    ItemError,
    LinkNotFollowed,
    MemberEncrypted,
    SourceEncrypted,
    SourceError,
    SourceUnreadable,
)
from egide.media.containers import IMAGE_SUFFIXES, Kind, kind_by_name, suffix_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egide.domain.model import Limits

RUN_MEMBERS = 1024
MAX_RUNS = 16
"""Bounds the runs, since each one reads the archive's whole directory again."""
_ENCRYPTED = 0x1
_DIRECTORY_ENCRYPTED = 0x2000
_ENDING = struct.Struct("<4s4H2LH")
_DAMAGE = (zipfile.BadZipFile, *PACKING_DAMAGE)


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
    def read(shard: Shard, limits: Limits) -> Iterator[Read]:
        """Yield a run of members.

        Raises:
            SourceUnreadable: the archive's directory is damaged or missing.
            SourceExpands: members expand beyond the limit, for instance if many share their bytes.
        """
        reading = Reading(
            shard.name, limits, Expansion(shard, limits), start=shard.start, stop=shard.stop
        )
        with open_binary(shard.url) as stream:
            yield from read_container(stream, Kind.ZIP, reading)


@reads(Kind.ZIP)
def read_zip(stream: IO[bytes], reading: Reading) -> Iterator[Read]:
    """Yield the members of a zip archive, or of a run of it."""
    try:
        archive = zipfile.ZipFile(stream)
    except _DAMAGE as error:
        raise _unreadable(stream, reading.name) from error
    if _is_split(stream):
        raise _unreadable(stream, reading.name)
    with archive:
        members = archive.infolist()[reading.start : reading.stop or None]
        for member in members:
            yield from _read(archive, stream, member, reading)
            reading.expansion.items += 1


def _unreadable(stream: IO[bytes], name: str) -> SourceUnreadable:
    """Say why an archive cannot be read."""
    reason = "it is not a zip archive, or truncated"
    if _is_split(stream):
        reason = "it is the last part of a split archive: join its parts first (zip -s 0 …)"
    return SourceUnreadable(name=name, reason=reason)


def _is_split(stream: IO[bytes]) -> bool:
    """Whether an archive's end tells of other parts before."""
    try:
        size = stream.seek(0, 2)
        stream.seek(max(size - (1 << 16) - _ENDING.size, 0))
        tail = stream.read()
    except OSError:
        return False
    at = tail.rfind(b"PK\5\6")
    if at < 0 or len(tail) < at + _ENDING.size:
        return False
    return _ENDING.unpack_from(tail, at)[1] not in {0, 0xFFFF}


def _read(
    archive: zipfile.ZipFile, stream: Any, info: zipfile.ZipInfo, reading: Reading
) -> Iterator[Read]:
    name = reading.label(info.filename)
    suffix = suffix_of(name)
    if name.endswith("/") and not info.file_size:
        yield Other("folder")
        return
    if info.flag_bits & _DIRECTORY_ENCRYPTED:
        raise SourceEncrypted(name=reading.name)
    if info.flag_bits & _ENCRYPTED:
        yield _unseen(name, MemberEncrypted(name=name))
        return
    if stat_flags.S_ISLNK(info.external_attr >> 16):
        link = suffix in IMAGE_SUFFIXES
        yield Item(name, LinkNotFollowed(name=name)) if link else Other("link")
        return
    begun = False
    try:
        with open_member(archive, stream, info) as opened:
            member = Member(name, opened, size=info.file_size, counts=True)
            for read in read_member(member, reading):
                begun = True
                yield read
    except PackingUnknown as error:
        yield _unseen(name, ArchiveUnsupported(name=name, format=f"packed by {error}"))
    except _DAMAGE as error:
        # An item is the last of its member; so a container stood here that ends too early.
        reason = f"damaged in its zip, {type(error).__name__}"
        failed = DecodeFailed(name=name, reason=reason)
        yield _unseen(name, failed, archive=begun or None)
    except MemoryError:
        # bzip2 unpacks in one piece.
        reading.expansion.take(reading.limits.max_file_bytes)
        reason = "it needs more memory than EGIDE_WORKER_MEMORY_BYTES"
        yield _unseen(name, DecodeFailed(name=name, reason=reason))


def open_member(archive: zipfile.ZipFile, stream: Any, info: zipfile.ZipInfo) -> Any:
    """Open a member; those that Python's own library cannot unpack by another."""
    if info.compress_type in METHODS:
        return open_raw(stream, info)
    if info.compress_type not in {
        *(zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED),
        *(zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA),
    }:
        raise PackingUnknown(info.compress_type)
    return archive.open(info)


def _unseen(name: str, error: ItemError, *, archive: bool | None = None) -> Read:
    """A member that cannot be read: whatever its name, it may hold a picture."""
    if archive is None:
        archive = kind_by_name(name) is not None
    return Gap.of(name, error, GapKind.ARCHIVE) if archive else Item(name, error)
