"""Unpack what is compressed: whole files, and the methods of zip that Python does not know."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import struct
import zipfile
import zlib
from typing import IO, TYPE_CHECKING, Any

from egide.media.containers import PACKED_MAGIC

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

_LOCAL_HEADER = struct.Struct("<4s22xHH")
_XZ_MAGIC = b"\xfd7zXZ\0"
_PIECE_BYTES = 1 << 16
_ARROW_BYTES = 1 << 13
"""Arrow gives nothing of a piece that is cut, so little is lost by small ones."""
_DEFLATE64, _ZSTD_OLD, _ZSTD, _XZ = 9, 20, 93, 95
METHODS = frozenset({_DEFLATE64, _ZSTD_OLD, _ZSTD, _XZ})
_NAMES = {
    1: "Shrink",
    **dict.fromkeys((2, 3, 4, 5), "Reduce"),
    6: "Implode",
    10: "PKWARE's DCL",
    16: "IBM's CMPSC",
    18: "IBM's TERSE",
    19: "IBM's LZ77",
    94: "MP3",
    96: "a variant of JPEG",
    97: "WavPack",
    98: "PPMd",
    99: "AES",
}


class PackingUnknown(Exception):
    """No library here unpacks it."""

    def __init__(self, method: int) -> None:
        super().__init__(_NAMES.get(method, f"method {method}"))


def unpacked(stream: Any, head: bytes) -> Callable[[int], bytes]:
    """Return a function that reads what a compressed stream holds.

    `read1` returns the available data before it raises. So a cut file yields its first members.

    Args:
        stream: from its start.
        head: its first bytes; of a stream that is not compressed, what it holds is itself.
    """
    packing = next((name for magic, name in PACKED_MAGIC.items() if head.startswith(magic)), None)
    if packing == "gzip":
        return gzip.GzipFile(fileobj=stream).read1
    if packing == "bzip2":
        return bz2.BZ2File(stream).read1
    if packing == "xz" or head.startswith(b"\x5d\0\0"):
        return lzma.LZMAFile(stream).read1
    if packing is None and head[1:4] == b"\x2a\x4d\x18":
        packing = "zstd" if b"\x28\xb5\x2f\xfd" in head else "lz4"  # after a skippable frame
    if packing is not None:
        return _arrow(stream, packing)
    return stream.read  # type: ignore[no-any-return]


def _arrow(stream: Any, codec: str) -> Callable[[int], bytes]:
    import pyarrow as pa

    unpacking = pa.CompressedInputStream(pa.PythonFile(stream, mode="r"), codec)
    read: Callable[[int], bytes] = unpacking.read
    return lambda size: read(min(size, _ARROW_BYTES))


def open_raw(stream: IO[bytes], info: zipfile.ZipInfo) -> Pieces:
    """Open a zip's member by a method that Python's library does not know.

    Raises:
        zipfile.BadZipFile: there is no such member.
    """
    stream.seek(info.header_offset)
    header = stream.read(_LOCAL_HEADER.size)
    if len(header) < _LOCAL_HEADER.size or header[:4] != b"PK\3\4":
        raise zipfile.BadZipFile("no member stands there")
    _, name_bytes, extra_bytes = _LOCAL_HEADER.unpack(header)
    stream.seek(name_bytes + extra_bytes, 1)
    packed = _Slice(stream, info.compress_size)
    return Pieces(_checked(_unpack(packed, info), info))


def _unpack(packed: _Slice, info: zipfile.ZipInfo) -> Iterable[bytes]:
    if info.compress_type == _DEFLATE64:
        return _inflate64(packed)
    read = unpacked(packed, _XZ_MAGIC) if info.compress_type == _XZ else _arrow(packed, "zstd")
    return iter(lambda: read(_PIECE_BYTES), b"")


def _inflate64(packed: _Slice) -> Iterator[bytes]:
    from stream_inflate import StreamInflateError, stream_inflate64

    inflate, _, _ = stream_inflate64()
    try:
        yield from inflate(iter(lambda: packed.read(_PIECE_BYTES), b""))
    except StreamInflateError as error:
        raise zlib.error(type(error).__name__) from error


def _checked(pieces: Iterable[bytes], info: zipfile.ZipInfo) -> Iterator[bytes]:
    """Yield pieces.

    Raises:
        zipfile.BadZipFile: their checksum is not that of the directory.
    """
    checksum = 0
    for piece in pieces:
        checksum = zlib.crc32(piece, checksum)
        yield piece
    if checksum != info.CRC:
        raise zipfile.BadZipFile("a wrong checksum")


class _Slice(io.RawIOBase):
    """A part of a stream, as a stream."""

    def __init__(self, stream: IO[bytes], length: int) -> None:
        super().__init__()
        self._stream = stream
        self._at = stream.tell()
        self._left = length

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        size = self._left if size < 0 else min(size, self._left)
        self._stream.seek(self._at)  # a member within may have been read from the same stream
        data = self._stream.read(size)
        self._at += len(data)
        self._left -= len(data)
        return data


class Pieces:
    """A stream that is given in pieces."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._piece = memoryview(b"")

    def __enter__(self) -> Pieces:
        return self

    def __exit__(self, *exception: object) -> None:
        pass

    def read(self, size: int) -> bytes:
        """Read at most so many bytes; none at the end."""
        while not self._piece:
            piece = next(self._pieces, None)
            if piece is None:
                return b""
            self._piece = memoryview(piece)
        taken, self._piece = self._piece[:size], self._piece[size:]
        return bytes(taken)
