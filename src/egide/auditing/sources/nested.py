"""What stands inside something else: pictures, other files, and containers within containers."""

from __future__ import annotations

import io
import lzma
import struct
import zlib
from typing import IO, TYPE_CHECKING, Any

from egide.auditing.sources.base import Expansion, Item, Member, Other, Read, Reading, Shard
from egide.auditing.sources.within import PIECE_BYTES, look_within
from egide.domain.coverage import Gap, GapKind
from egide.errors import (
    ArchiveNotOpened,
    ArchiveUnsupported,
    FileTooLarge,
    ItemError,
    SourceError,
    SourceExpands,
    SourceUnreadable,
)
from egide.media.containers import (
    HEAD_BYTES,
    IMAGE_SUFFIXES,
    VIDEOS,
    Kind,
    kind_by_name,
    kind_of,
    named,
    named_by_suffix,
    suffix_of,
)
from egide.media.formats import sniff

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from egide.domain.model import Limits

_NO_DATA = ("_metadata", "_common_metadata")
"""What Parquet's writers put beside a table's files: it holds none of the rows it tells of."""
PACKING_DAMAGE = (
    *(zlib.error, lzma.LZMAError, struct.error, EOFError, OSError),
    *(RuntimeError, ValueError, IndexError, OverflowError),
)
"""What unpacking raises on damaged data, pyarrow's errors among them."""


_READERS: dict[Kind, Callable[[IO[bytes], Reading], Iterator[Read]]] = {}
_STREAMED = (Kind.TAR, Kind.PACKED, Kind.RECORDS)
"""Read from start to end: they need no room of their own, wherever they stand."""


def reads(kind: Kind) -> Callable[[Any], Any]:
    """Register the reader of a kind. So that containers can stand in each other."""

    def register(reader: Any) -> Any:
        _READERS[kind] = reader
        return reader

    return register


class Joined:
    """A stream from its start again, after its head was read. It cannot be sought."""

    closed = False

    def __init__(self, head: bytes, rest: Any) -> None:
        self._head = io.BytesIO(head)
        self._rest = rest

    def read(self, size: int = -1) -> bytes:
        """Read as a file does; fewer bytes than asked for are no end."""
        return self._head.read(size) or bytes(self._rest.read(size))

    read1 = read

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is not."""
        return False

    def close(self) -> None:
        """Leave the stream to who opened it."""


def read_member(member: Member, reading: Reading) -> Iterator[Read]:
    """Yield a picture, the items of a container, or what else it is.

    Raises:
        SourceExpands: it, and what stood before, expand beyond the limit.
    """
    name, head = member.name, _read_head(member.stream)
    suffix = suffix_of(name)
    if member.counts:
        reading.expansion.take(len(head))
    if name.rpartition("/")[2] in _NO_DATA and head.startswith(b"PAR1"):
        yield Other("")
    elif (words := named(name, head)) is None and (kind := kind_of(head)) is not None:
        yield from _inside(member, head, kind, reading)
    elif words is None and (sniff(head) is not None or suffix in IMAGE_SUFFIXES):
        yield _picture(member, head, reading)
    elif words := words or named_by_suffix(name):
        yield Gap.of(name, ArchiveUnsupported(name=name, format=words), GapKind.ARCHIVE)
    elif claimed := kind_by_name(name):
        error = SourceUnreadable(name=name, reason=f"it is no {claimed.value} file, or damaged")
        yield Gap.of(name, error, GapKind.ARCHIVE)
    else:
        yield from look_within(member, head, reading)


def look_beside(name: str, stream: IO[bytes], limits: Limits) -> Other | Gap | None:
    """Say what a file beside pictures is, for who opens nothing but pictures.

    The rule is that of `read_member`: what is no gap there is none here.

    Returns:
        None for a picture or video, or what claims to be a picture; a gap for what may hold some;
        else the rest.

    Raises:
        OSError: it cannot be read.
    """
    head = _read_head(stream)
    words, kind = named(name, head), kind_of(head)
    if words in VIDEOS:
        return None
    if words is None and kind is not None and name.rpartition("/")[2] not in _NO_DATA:
        words = f"a {kind.value} file"
    elif words is None and (sniff(head) is not None or suffix_of(name) in IMAGE_SUFFIXES):
        return None
    if words is None:
        stream.seek(0)
        expansion = Expansion(Shard("file", "", name), limits)
        reads = read_member(Member(name, stream, seekable=True), Reading(name, limits, expansion))
        first = next((read for read in reads if not isinstance(read, Other)), None)
        if first is None:
            return Other(suffix_of(name))
        if isinstance(first, Gap):
            return first
        words = "a text with pictures in it"
    return Gap.of(name, ArchiveUnsupported(name=name, format=words), GapKind.ARCHIVE)


def _read_head(stream: Any) -> bytes:
    head = b""
    while len(head) < HEAD_BYTES and (piece := stream.read(HEAD_BYTES - len(head))):
        head += piece
    return head


def _picture(member: Member, head: bytes, reading: Reading) -> Item:
    name, limit, size = member.name, reading.limits.max_file_bytes, member.size
    content: bytes | ItemError
    if size is None or member.counts:
        content = read_up_to(member, head, limit, reading)
        size = max(len(content), size or 0)
    elif size <= limit:
        # Read only what there is: Python allocates the requested size at once.
        content = head + member.stream.read(max(size - len(head), 0))
    if size > limit:
        content = FileTooLarge(name=name, size=size, limit=limit)
    return Item(name, content, member.key, member.offset)


def read_up_to(member: Member, head: bytes, limit: int, reading: Reading) -> bytes:
    """Read a member; one byte over the limit says that it is longer."""
    content = io.BytesIO()
    content.write(head)
    # What the container says of the size may be a lie: count what comes.
    while piece := member.stream.read(min(PIECE_BYTES, limit + 1 - content.tell())):
        if member.counts:
            reading.expansion.take(len(piece))
        content.write(piece)
    return content.getvalue()


def _inside(member: Member, head: bytes, kind: Kind, reading: Reading) -> Iterator[Read]:
    name, limits = member.name, reading.limits
    if reading.depth >= limits.max_nesting:
        yield Gap.of(name, ArchiveNotOpened(name=name), GapKind.ARCHIVE)
        return
    stream: Any
    if member.seekable:
        stream = member.stream
        stream.seek(0)
    elif kind in _STREAMED:
        stream = Joined(head, member.stream)
    else:
        content = read_up_to(member, head, limits.max_file_bytes, reading)
        if len(content) > limits.max_file_bytes:
            size = max(len(content), member.size or 0)
            error = FileTooLarge(name=name, size=size, limit=limits.max_file_bytes)
            yield Gap.of(name, error, GapKind.ARCHIVE)
            return
        stream = io.BytesIO(content)
    inner = Reading(name, limits, reading.expansion, depth=reading.depth + 1, within=f"{name}/")
    try:
        yield from _READERS[kind](stream, inner)
    except SourceExpands:
        raise
    except SourceError as error:
        yield Gap.of(name, error, GapKind.ARCHIVE)


def read_container(stream: IO[bytes], kind: Kind, reading: Reading) -> Iterator[Read]:
    """Read what was named as a container of a kind; what it really is says its head.

    Raises:
        SourceError: it is none, or damaged.
    """
    head = _read_head(stream)
    stream.seek(0)
    found = kind_of(head)
    # Before a zip's members something else may stand, and what it is not each reader says best.
    yield from _READERS[found or kind](stream, reading)
