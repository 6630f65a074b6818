"""A tar archive, plain or compressed, read as a stream: the webdataset convention."""

from __future__ import annotations

import lzma
import tarfile
import zlib
from contextlib import suppress
from typing import IO, TYPE_CHECKING, Any, cast

from egide.auditing.sources.base import Expansion, Item, Member, Other, Read, Reading, Shard
from egide.auditing.sources.location import is_local, open_binary, stat, state_of
from egide.auditing.sources.nested import read_container, read_member, reads
from egide.auditing.sources.tar_headers import Header
from egide.auditing.sources.tar_runs import find_runs
from egide.errors import LinkNotFollowed, SourceError, SourceTruncated, SourceUnreadable
from egide.media.containers import HEAD_BYTES, IMAGE_SUFFIXES, Kind, kind_of, suffix_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from egide.domain.model import Limits

_BLOCK = 512
_READ_BYTES = 128 * _BLOCK
# tarfile copies the rest of a read for each member: reads of 10 or 256 KiB take a fifth longer.
_MEMBER_BYTES = 8192
"""Cost of a member besides its bytes: a gzip of 4 MB held two million empty members."""
_DAMAGE = (
    *(tarfile.TarError, EOFError, OSError, zlib.error, lzma.LZMAError, ValueError),
    RecursionError,  # tarfile recurses for each header that precedes another
)


class TarSource:
    """Runs of members of a large plain archive on this machine; any other is one shard.

    Member names are labels only. Nothing is unpacked to disk, so a name with `../` is harmless.
    """

    kind = "tar"

    def __init__(self, url: str, name: str) -> None:
        self.url = url
        self.name = name

    def shards(self) -> Iterator[Shard]:
        """Plan runs of members; a damaged or compressed archive is one shard, as is one elsewhere.

        Raises:
            SourceMissing, SourceUnreadable: as `stat`.
        """
        info = stat(self.url)
        size = int(info.get("size") or 0)
        runs = self._runs(size)
        for number, (start, stop) in enumerate(runs):
            yield Shard(
                kind=self.kind,
                url=self.url,
                name=self.name if len(runs) == 1 else f"{self.name}#{number}",
                start=start,
                stop=0 if stop == size else stop,
                state=state_of(info),
                weight=stop - start,
                share=len(runs),
            )

    def _runs(self, size: int) -> list[tuple[int, int]]:
        if is_local(self.url):
            with suppress(SourceError), open_binary(self.url) as stream:
                if kind_of(stream.read(HEAD_BYTES)) is Kind.TAR:
                    return find_runs(stream, size)
        return [(0, size)]

    @staticmethod
    def read(shard: Shard, limits: Limits) -> Iterator[Read]:
        """Yield the members in archive order.

        Raises:
            SourceUnreadable: this is not a tar archive.
            SourceTruncated: the archive is damaged or cut; the members before are valid.
            SourceExpands: the archive expands beyond the limit.
        """
        reading = Reading(
            shard.name, limits, Expansion(shard, limits), start=shard.start, stop=shard.stop
        )
        with open_binary(shard.url) as stream:
            if shard.share == 1:
                yield from read_container(stream, Kind.TAR, reading)
            else:
                stream.seek(shard.start)
                yield from read_tar(stream, reading)


@reads(Kind.TAR)
def read_tar(stream: Any, reading: Reading) -> Iterator[Read]:
    """Yield the members of a plain archive, from a stream that is read once.

    Of a run, the stream stands at its start. The last, and only it, has no `stop`.
    """
    expansion, name = reading.expansion, reading.name
    length = reading.stop - reading.start if reading.stop else None
    try:
        watched = _Watched(stream.read, expansion, length)
        # Streaming mode: no seeking, so damage cannot send the reader in circles.
        archive = tarfile.open(  # noqa: SIM115 - closed with the stream
            fileobj=cast("IO[bytes]", watched), mode="r|", bufsize=_READ_BYTES, tarinfo=Header
        )
    except _DAMAGE as error:
        raise SourceUnreadable(name=name, reason="it is not a tar archive") from error
    before = expansion.items  # of the archives around this one
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
        complete = watched.ends_at(archive.offset) if length is None else archive.offset == length
    except _DAMAGE as error:
        raise SourceTruncated(
            name=name, items=expansion.items - before, reason=type(error).__name__
        ) from error
    if not complete:
        raise SourceTruncated(
            name=name,
            items=expansion.items - before,
            reason="no end mark, or data outside of members",
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
        at = reading.start + member.offset_data
        yield from read_member(Member(name, stream, key, at, member.size), reading)


def _key(name: str) -> str:
    """Return the webdataset key: the path up to the first dot of its last part."""
    folder, slash, base = name.rpartition("/")
    return folder + slash + (base[:1] + base[1:].partition(".")[0])


class _Watched:
    """A stream, or `length` bytes of it, that records the position of its last non-zero byte.

    tarfile ends silently at a cut or damaged header, and after the first of two concatenated
    archives. In a sound archive, only zeros follow the place where it stopped.
    """

    def __init__(
        self, read: Callable[[int], bytes], expansion: Expansion, length: int | None
    ) -> None:
        self._read = read
        self._most = length
        self._expansion = expansion
        self._length = 0
        self._content_end = 0

    def read(self, size: int) -> bytes:
        if self._most is not None:
            size = min(size, self._most - self._length)
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
