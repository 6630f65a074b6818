"""A memory-mapped file of named arrays: header, checksums, aligned sections.

Layout, all little-endian: magic (8 bytes), format version (u32), length of the JSON (u32), CRC-32
of the JSON (u32), the JSON, zeros up to a multiple of 64; then the sections, each at a multiple of
64. The JSON holds the `metadata` of the caller and for each section its offset, dtype, shape and
CRC-32. Nothing in the file is ever executed or unpickled.
"""

from __future__ import annotations

import json
import math
import mmap
import os
import struct
import zlib
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from egide.errors import (
    SnapshotDamaged,
    SnapshotError,
    SnapshotMissing,
    SnapshotUnwritable,
    SnapshotVersion,
)
from egide.files import written_whole

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

MAGIC = b"EGIDESNP"
FORMAT_VERSION = 4
_PREFIX = struct.Struct("<8sIII")
_ALIGN = 64
_MAX_HEADER_BYTES = 16 * 1024 * 1024
_DTYPES = frozenset({"|u1", "<u2", "<u4", "<u8", "<i8"})


@dataclass(frozen=True, slots=True)
class Section:
    """An array to be written, in pieces so that it need not fit in memory at once.

    Attributes:
        dtype: in NumPy's notation, e.g. `<u4`.
        shape: of the whole array.
        pieces: yields the content's arrays in order; called once.
    """

    dtype: str
    shape: tuple[int, ...]
    pieces: Callable[[], Iterable[NDArray[Any]]]

    @property
    def size_bytes(self) -> int:
        """The size of the whole array in bytes."""
        return math.prod(self.shape) * np.dtype(self.dtype).itemsize


def array_section(array: NDArray[Any]) -> Section:
    """Make a section from an array in memory."""
    return Section(array.dtype.newbyteorder("<").str, array.shape, lambda: [array])


def write_container(
    path: Path, metadata: Mapping[str, object], sections: Mapping[str, Section]
) -> None:
    """Write a private file beside its place, then move it there atomically.

    Raises:
        SnapshotUnwritable: no permission, no space, no such folder; nothing is left behind.
    """
    try:
        with written_whole(path) as file:
            write_sections(file, metadata, sections)
    except OSError as error:
        raise SnapshotUnwritable(name=str(path), reason=_os_reason(error)) from error


def write_sections(
    file: IO[bytes], metadata: Mapping[str, object], sections: Mapping[str, Section]
) -> None:
    """Write header and sections to an empty, seekable file.

    Raises:
        OSError: no space.
    """
    table: dict[str, dict[str, object]] = {}
    # Checksums have a fixed width, so the provisional header is as long as the final one.
    for name, section in sections.items():
        table[name] = {"dtype": section.dtype, "shape": section.shape, "crc32": "0" * 8}
    position = _place(table, sections, metadata)
    file.seek(position)
    for name, section in sections.items():
        file.write(bytes(-file.tell() % _ALIGN))
        start = file.tell()
        checksum = 0
        for piece in section.pieces():
            data = np.ascontiguousarray(piece, np.dtype(section.dtype)).reshape(-1).view(np.uint8)
            checksum = zlib.crc32(data.data, checksum)
            file.write(data.data)
        assert start == table[name]["offset"]
        assert file.tell() - start == section.size_bytes
        table[name]["crc32"] = f"{checksum:08x}"
    file.seek(0)
    file.write(_header(metadata, table))


def _place(
    table: dict[str, dict[str, object]],
    sections: Mapping[str, Section],
    metadata: Mapping[str, object],
) -> int:
    """Give every section its offset; return where the first one starts."""
    first = 0
    while True:
        offset = first
        for name, section in sections.items():
            offset += -offset % _ALIGN
            table[name]["offset"] = offset
            offset += section.size_bytes
        # The header's length depends on the digits of the offsets: repeat until both agree.
        length = len(_header(metadata, table))
        if length <= first:
            return first
        first = length


def _header(metadata: Mapping[str, object], table: Mapping[str, object]) -> bytes:
    text = json.dumps({"metadata": metadata, "sections": table}).encode()
    head = _PREFIX.pack(MAGIC, FORMAT_VERSION, len(text), zlib.crc32(text)) + text
    return head + bytes(-len(head) % _ALIGN)


def _os_reason(error: OSError) -> str:
    return os.strerror(error.errno) if error.errno else str(error)


def read_container(path: Path, *, verify: bool) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Map the file; return the metadata and the arrays, which are read-only views of the file.

    Args:
        path: the file.
        verify: also compare every section's checksum, which reads the whole file.

    Raises:
        SnapshotMissing: there is no file.
        SnapshotError: the file cannot be read or is another kind of file.
        SnapshotVersion: the file has another format version.
        SnapshotDamaged: a size or a checksum is wrong.
    """
    name = str(path)
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size < _PREFIX.size:
                raise SnapshotDamaged(name=name, reason=f"it ends after {size} bytes")
            content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except FileNotFoundError as error:
        raise SnapshotMissing(name=name) from error
    except OSError as error:
        raise SnapshotError(name=name, reason=_os_reason(error)) from error
    header = _read_header(content, name)
    try:
        arrays = {
            key: _map_section(content, entry, name) for key, entry in header["sections"].items()
        }
        metadata = dict(header["metadata"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise SnapshotDamaged(name=name, reason="its section table is wrong") from error
    if verify:
        for key, array in arrays.items():
            checksum = zlib.crc32(array.reshape(-1).view(np.uint8).data)
            if f"{checksum:08x}" != header["sections"][key]["crc32"]:
                raise SnapshotDamaged(name=name, reason=f"section {key} has a wrong checksum")
    return metadata, arrays


def _read_header(content: mmap.mmap, name: str) -> dict[str, Any]:
    magic, version, length, checksum = _PREFIX.unpack_from(content)
    if magic != MAGIC:
        raise SnapshotError(name=name, reason="it is another kind of file")
    if version != FORMAT_VERSION:
        raise SnapshotVersion(name=name, found=version, expected=FORMAT_VERSION)
    if length > min(_MAX_HEADER_BYTES, len(content) - _PREFIX.size):
        raise SnapshotDamaged(name=name, reason="it ends within its header")
    text = content[_PREFIX.size : _PREFIX.size + length]
    if zlib.crc32(text) != checksum:
        raise SnapshotDamaged(name=name, reason="its header has a wrong checksum")
    try:
        header: dict[str, Any] = json.loads(text)
    except ValueError as error:
        raise SnapshotDamaged(name=name, reason="its header is not JSON") from error
    return header


def _map_section(content: mmap.mmap, entry: Mapping[str, Any], name: str) -> NDArray[Any]:
    shape = tuple(int(side) for side in entry["shape"])
    if entry["dtype"] not in _DTYPES or min(shape) < 0:
        raise ValueError(entry["dtype"])
    dtype = np.dtype(entry["dtype"])
    offset = int(entry["offset"])
    count = math.prod(shape)
    if offset < 0 or offset + count * dtype.itemsize > len(content):
        raise SnapshotDamaged(name=name, reason=f"it ends after {len(content)} bytes")
    return np.frombuffer(content, dtype, count, offset).reshape(shape)
