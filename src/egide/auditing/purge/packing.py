"""Unpack a packed tar to work on it, and pack what stays in the same way."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import lzma
from typing import IO, TYPE_CHECKING, Any, cast

from egide.auditing.purge.journal import writing
from egide.auditing.sources.nested import PACKING_DAMAGE, Joined
from egide.auditing.sources.packings import unpacked
from egide.errors import ContainerNotVerified, ContainerUnsupported
from egide.media.containers import HEAD_BYTES, PACKED_MAGIC

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

_PIECE_BYTES = 1 << 20
_GZIP_LEVELS = {2: 9, 4: 1}
"""The level of gzip that a header's mark for the best, or the fastest, tells of."""


def packing_of(head: bytes) -> str | None:
    """The packing that the first bytes tell of; None for a plain file."""
    for magic, name in PACKED_MAGIC.items():
        if head.startswith(magic):
            return name
    return "lzma" if head.startswith(b"\x5d\0\0") else None


def unpack(stream: IO[bytes], into: IO[bytes], name: str, limit: int, spool: Path) -> None:
    """Unpack a file into one that stands in the spool.

    Raises:
        ContainerUnsupported: it is damaged, or expands beyond the limit.
        TargetUnwritable: there is no room for it.
    """
    size = 0
    for data in _unpacked(stream, name):
        size += len(data)
        if size > limit:
            reason = "it expands far beyond its size: raise EGIDE_MAX_EXPANSION if it is sound"
            raise ContainerUnsupported(name=name, reason=reason)
        with writing(spool):
            into.write(data)
            into.flush()


def _unpacked(stream: IO[bytes], name: str) -> Iterator[bytes]:
    stream.seek(0)
    head = stream.read(HEAD_BYTES)
    try:
        read = unpacked(Joined(head, stream), head)
        while data := read(_PIECE_BYTES):
            yield data
    except PACKING_DAMAGE as error:
        reason = f"it is damaged, {type(error).__name__}"
        raise ContainerUnsupported(name=name, reason=reason) from error


def pack(pieces: Iterable[memoryview], into: IO[bytes], head: bytes) -> str:
    """Pack pieces as a file with this head was; return the SHA-256 of what was packed."""
    digest = hashlib.sha256()
    with _packer(into, head) as packer:
        for data in pieces:
            digest.update(data)
            packer.write(data)
    return digest.hexdigest()


def check_packed(written: IO[bytes], name: str, expected: str) -> None:
    """Read back what was packed.

    Raises:
        ContainerNotVerified: it is something else.
    """
    digest = hashlib.sha256()
    try:
        for data in _unpacked(written, name):
            digest.update(data)
    except ContainerUnsupported as error:
        raise ContainerNotVerified(name=name, reason="it cannot be unpacked") from error
    if digest.hexdigest() != expected:
        raise ContainerNotVerified(name=name, reason="it unpacks to something else")


def _packer(into: IO[bytes], head: bytes) -> Any:
    packing = packing_of(head)
    if packing == "gzip":
        # With the time of the original, so that the same input gives the same file.
        level, mtime = _GZIP_LEVELS.get(head[8], 6), int.from_bytes(head[4:8], "little")
        return gzip.GzipFile("", "wb", level, into, mtime)
    if packing == "bzip2":
        return bz2.BZ2File(into, "wb")
    if packing in {"xz", "lzma"}:
        form = lzma.FORMAT_ALONE if packing == "lzma" else lzma.FORMAT_XZ
        return lzma.LZMAFile(into, "wb", format=form)
    import pyarrow as pa

    into.flush()
    file = pa.PythonFile(cast("Any", _Open(into)), mode="w")
    return pa.CompressedOutputStream(file, cast("str", packing))


class _Open:
    """A file that Arrow may not close, though it closes what it writes to."""

    closed = False

    def __init__(self, stream: IO[bytes]) -> None:
        self.write = stream.write
        self.flush = stream.flush

    def close(self) -> None:
        """Leave it open."""
