"""A file that is compressed as a whole: a tar most often, and else a picture or any other file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from egide.auditing.sources.base import Expansion, Item, Member, Other, Read, Reading, Shard
from egide.auditing.sources.location import open_binary, whole_file
from egide.auditing.sources.nested import PACKING_DAMAGE, Joined, read_container, read_member, reads
from egide.auditing.sources.packings import unpacked
from egide.auditing.sources.tar import read_tar
from egide.errors import DecodeFailed, SourceTruncated, SourceUnreadable
from egide.media.containers import (
    HEAD_BYTES,
    IMAGE_SUFFIXES,
    SUFFIXES,
    Kind,
    is_tar,
    kind_by_name,
    suffix_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egide.domain.model import Limits


class PackedSource:
    """One file is one shard."""

    kind = "packed"

    def __init__(self, url: str, name: str) -> None:
        self.url = url
        self.name = name

    def shards(self) -> Iterator[Shard]:
        """Plan the file as one shard."""
        yield whole_file(self.kind, self.url, self.name)

    @staticmethod
    def read(shard: Shard, limits: Limits) -> Iterator[Read]:
        """Yield the picture, or what else was compressed.

        Raises:
            SourceError: as `read_packed`.
        """
        reading = Reading(shard.name, limits, Expansion(shard, limits))
        with open_binary(shard.url) as stream:
            yield from read_container(stream, Kind.PACKED, reading)


@reads(Kind.PACKED)
def read_packed(stream: Any, reading: Reading) -> Iterator[Read]:
    """Yield the members of a compressed tar, or the one file.

    Raises:
        SourceUnreadable: nothing can be unpacked, or its name says that it is a tar and it is none.
        SourceTruncated: it is cut or damaged; what came before is valid.
        SourceExpands: it expands beyond the limit.
    """
    head = b""
    try:
        begin = stream.read(HEAD_BYTES)
        plain = _Plain(unpacked(Joined(begin, stream), begin))
        while len(head) < HEAD_BYTES and (piece := plain.read(HEAD_BYTES - len(head))):
            head += piece
    except PACKING_DAMAGE as error:
        if not head:
            # Of zstd with --long=31.
            why = "it needs over 128 MB" if "memory" in str(error) else "it is damaged, or cut"
            raise SourceUnreadable(
                name=reading.name, reason=f"it cannot be unpacked: {why}"
            ) from error
    inner = Joined(head, plain)
    if is_tar(head) or kind_by_name(reading.name) is Kind.TAR:
        yield from read_tar(inner, reading)
    else:
        yield from _read_one(inner, reading)


def _read_one(stream: Joined, reading: Reading) -> Iterator[Read]:
    name = reading.label(unpacked_name(reading.name))
    try:
        for read in read_member(Member(name, stream, counts=True), reading):
            if isinstance(read, Other) and read.suffix == suffix_of(name):
                # Its name is that of the file, and its suffix is still needed.
                yield Other(suffix_of(name) + suffix_of(reading.name))
            else:
                yield read
    except PACKING_DAMAGE as error:
        if suffix_of(name) not in IMAGE_SUFFIXES:
            raise SourceTruncated(
                name=reading.name, items=0, reason=type(error).__name__
            ) from error
        yield Item(name, DecodeFailed(name=name, reason="cut or damaged where it is compressed"))


def unpacked_name(name: str) -> str:
    """The name without the suffix that says how it is packed, and without folders."""
    base = name.replace("\\", "/").rpartition("/")[2]
    suffix = next((one for one in SUFFIXES[Kind.PACKED] if base.lower().endswith(one)), "")
    return base[: -len(suffix)] if suffix else base


class _Plain:
    """What is unpacked, as a stream."""

    def __init__(self, read: Any) -> None:
        self.read = read
