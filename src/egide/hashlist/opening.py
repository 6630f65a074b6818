"""Open a list's bytes as UTF-8: unpack gzip within bounds, recode UTF-16, refuse other archives."""

from __future__ import annotations

import codecs
import io
import zlib
from typing import TYPE_CHECKING, Any, BinaryIO

from egide.domain.model import DEFAULT_LIMITS
from egide.errors import ListUnreadable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_PIECE = 64 * 1024
_FLOOR_BYTES = DEFAULT_LIMITS.expansion_floor_bytes
_MAX_EXPANSION = DEFAULT_LIMITS.max_expansion
_GZIP = b"\x1f\x8b"
_UTF_16 = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
_PACKED = {
    b"PK\x03\x04": "a zip archive or a spreadsheet",
    b"BZh": "packed with bzip2",
    b"\xfd7zXZ": "packed with xz",
    b"\x28\xb5\x2f\xfd": "packed with zstd",
    b"7z\xbc\xaf": "a 7z archive",
    b"PAR1": "a Parquet file",
    b"%PDF": "a PDF",
    b"SQLite": "a database",
    b"\xd0\xcf\x11\xe0": "an old spreadsheet",
}


def opened(stream: BinaryIO, name: str) -> io.BufferedReader[Any]:
    """The list as UTF-8, whatever it is packed or encoded in.

    Args:
        stream: the list's bytes, read once.
        name: of the list, for errors.

    Raises:
        ListUnreadable: it is packed in another way; also while it is read, if it is damaged or
            expands without end.
    """
    content: io.BufferedReader[Any] = io.BufferedReader(
        _Pieces(lambda: stream.read(_PIECE)), _PIECE
    )
    start = content.peek(8)[:8]
    if start.startswith(_GZIP):
        pieces = _unpacked(content, name)
        content = io.BufferedReader(_Pieces(lambda: next(pieces, b"")), _PIECE)
        start = content.peek(8)[:8]
    for magic, what in _PACKED.items():
        if start.startswith(magic):
            raise ListUnreadable(name=name, reason=f"it is {what}; give the list inside, as text")
    encoding = _UTF_16.get(start[:2])
    if encoding is None:
        return content
    decoder = codecs.getincrementaldecoder(encoding)("replace")
    source = content
    return io.BufferedReader(_Pieces(lambda: _recoded(source, decoder)), _PIECE)


def _recoded(source: io.BufferedReader[Any], decoder: codecs.IncrementalDecoder) -> bytes:
    while raw := source.read(_PIECE):
        if text := decoder.decode(raw):
            return text.encode(errors="replace")
    text = decoder.decode(b"", final=True)
    return text.encode(errors="replace")


def _unpacked(packed: io.BufferedReader[Any], name: str) -> Iterator[bytes]:
    """The pieces of one or more gzip members; stops with an error at a bomb."""
    taken = given = 0
    unpacker, begun = zlib.decompressobj(wbits=31), False
    try:
        while raw := packed.read(_PIECE):
            taken += len(raw)
            while raw:
                begun = True
                piece = unpacker.decompress(raw, _PIECE)
                given += len(piece)
                most = max(_FLOOR_BYTES, _MAX_EXPANSION * taken)
                if given > most:
                    raise ListUnreadable(name=name, reason=f"it expands to over {most} bytes")
                if piece:
                    yield piece
                raw = unpacker.unconsumed_tail
                if unpacker.eof:  # padding, or another member
                    raw = unpacker.unused_data.lstrip(b"\0")
                    unpacker, begun = zlib.decompressobj(wbits=31), False
        if begun:
            raise ListUnreadable(name=name, reason="the gzip file ends too early")
    except zlib.error as error:
        raise ListUnreadable(name=name, reason="the gzip file is damaged") from error


class _Pieces(io.RawIOBase):
    """A stream over a function that returns the next piece, and nothing at the end."""

    def __init__(self, piece: Callable[[], bytes]) -> None:
        self._piece = piece
        self._left = memoryview(b"")

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        """Fill the start of a buffer."""
        if not self._left:
            self._left = memoryview(self._piece())
        count = min(len(buffer), len(self._left))
        buffer[:count] = self._left[:count]
        self._left = self._left[count:]
        return count
