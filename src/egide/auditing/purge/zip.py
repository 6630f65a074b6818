"""Purge a zip: members are copied as they are packed, and only the directory is written anew."""

from __future__ import annotations

import hashlib
import os
import struct
import zipfile
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

from egide.auditing.purge.members import find_members
from egide.auditing.purge.splice import Splice
from egide.auditing.sources.nested import PACKING_DAMAGE
from egide.auditing.sources.zip import open_member
from egide.errors import ContainerUnsupported

if TYPE_CHECKING:
    from collections.abc import Collection

    from egide.auditing.purge.plan import Cut, Doomed

_ENTRY, _LOCAL, _END = b"PK\1\2", b"PK\3\4", b"PK\5\6"
_END64, _LOCATOR64 = b"PK\6\6", b"PK\6\7"
_ENTRY_BYTES, _LOCAL_BYTES, _END_BYTES = 46, 30, 22
_NONE16, _NONE32 = 0xFFFF, 0xFFFFFFFF
_DAMAGE = (zipfile.BadZipFile, struct.error, IndexError, *PACKING_DAMAGE)


@dataclass(slots=True)
class _Entry:
    """One entry of the directory.

    Attributes:
        raw: its bytes.
        place: of its offset in them, and the format.
        offset: as it stands there; `start`: in the file.
    """

    raw: bytearray
    place: tuple[int, str]
    offset: int
    packed: int
    start: int = 0


def cut_zip(stream: IO[bytes], doomed: Collection[Doomed], name: str) -> tuple[Cut, Splice]:
    """Find what goes, and the pieces of what stays.

    Raises:
        ContainerUnsupported: it is damaged, or its members share bytes.
    """
    try:
        stream.seek(0)
        with zipfile.ZipFile(stream) as archive:
            infos = archive.infolist()
            names = ["" if info.is_dir() else info.filename for info in infos]
            cut, gone = find_members(
                names, doomed, digest=lambda at: _digest(archive, stream, infos[at])
            )
            start = archive.start_dir
        entries, end = _directory(stream, start, len(infos))
        for entry, info in zip(entries, infos, strict=True):
            entry.start = info.header_offset
        return cut, _pieces(stream, entries, gone, start, end)
    except _DAMAGE as error:
        reason = f"it is damaged, or unusual in its form, {type(error).__name__}"
        raise ContainerUnsupported(name=name, reason=reason) from error


def _digest(archive: zipfile.ZipFile, stream: IO[bytes], info: zipfile.ZipInfo) -> str | None:
    digest = hashlib.sha256()
    try:
        with open_member(archive, stream, info) as member:
            while data := member.read(1 << 20):
                digest.update(data)
    except (*_DAMAGE, NotImplementedError):
        return ""
    return digest.hexdigest()


def _directory(stream: IO[bytes], start: int, count: int) -> tuple[list[_Entry], int]:
    """Read the entries as they stand; return them, and where they end."""
    size = os.fstat(stream.fileno()).st_size
    data = os.pread(stream.fileno(), size - start, start)
    entries, at = [], 0
    for _ in range(count):
        if data[at : at + 4] != _ENTRY:
            raise zipfile.BadZipFile("no entry stands there")
        packed, unpacked, name, extra, comment = struct.unpack_from("<LLHHH", data, at + 20)
        (offset,) = struct.unpack_from("<L", data, at + 42)
        length = _ENTRY_BYTES + name + extra + comment
        raw = bytearray(data[at : at + length])
        if len(raw) < length:
            raise zipfile.BadZipFile("an entry is cut")
        place = (42, "<L")
        if _NONE32 in {offset, packed, unpacked}:
            field = _zip64_field(raw, _ENTRY_BYTES + name, extra)
            if field is not None:
                field += 8 * (unpacked == _NONE32)
                if packed == _NONE32:
                    (packed,) = struct.unpack_from("<Q", raw, field)
                    field += 8
                if offset == _NONE32:
                    (offset,) = struct.unpack_from("<Q", raw, field)
                    place = (field, "<Q")
        entries.append(_Entry(raw, place, offset, packed))
        at += length
    return entries, start + at


def _zip64_field(raw: bytearray, at: int, length: int) -> int | None:
    """Where the values of the extra field for large archives begin."""
    end = at + length
    while at + 4 <= end:
        kind, size = struct.unpack_from("<HH", raw, at)
        if kind == 1:
            return at + 4
        at += 4 + size
    return None


def _pieces(
    stream: IO[bytes], entries: list[_Entry], gone: set[int], start: int, end: int
) -> Splice:
    # By where they stand: the directory may have another order.
    order = sorted(range(len(entries)), key=lambda at: entries[at].start)
    splice, at, dropped = Splice(), 0, 0
    for position, number in enumerate(order):
        entry = entries[number]
        after = entries[order[position + 1]].start if position + 1 < len(order) else start
        local = os.pread(stream.fileno(), _LOCAL_BYTES, entry.start)
        if local[:4] != _LOCAL:
            raise zipfile.BadZipFile("no member stands there")
        name, extra = struct.unpack_from("<HH", local, 26)
        if entry.start + _LOCAL_BYTES + name + extra + entry.packed > after:
            raise zipfile.BadZipFile("members share bytes")
        if number in gone:
            splice.keep(at, entry.start)
            at = after
            dropped += after - entry.start
        else:
            _set(entry.raw, *entry.place, entry.offset - dropped)
    splice.keep(at, start)
    kept = [entry.raw for at, entry in enumerate(entries) if at not in gone]
    for raw in kept:
        splice.put(bytes(raw))
    ending = bytearray(os.pread(stream.fileno(), os.fstat(stream.fileno()).st_size - end, end))
    lost = sum(len(entry.raw) for at, entry in enumerate(entries) if at in gone)
    _patch_end(ending, len(gone), lost, dropped)
    splice.put(bytes(ending))
    return splice


def _patch_end(ending: bytearray, count: int, lost: int, dropped: int) -> None:
    """Correct what the end of an archive says of its directory.

    Args:
        ending: what follows the directory.
        count: entries that went.
        lost: bytes of these entries.
        dropped: bytes of members that went.
    """
    at = ending.rfind(_END)
    if at < 0:
        raise zipfile.BadZipFile("no end")
    locator = at - 20
    if locator >= 0 and ending[locator : locator + 4] == _LOCATOR64:
        large = ending.find(_END64)
        if not 0 <= large < locator:
            raise zipfile.BadZipFile("no end of a large archive")
        for place, less in ((24, count), (32, count), (40, lost), (48, dropped)):
            _lower(ending, large + place, "<Q", less)
        _lower(ending, locator + 8, "<Q", dropped + lost)
    for place, form, less in (
        *((8, "<H", count), (10, "<H", count)),
        *((12, "<L", lost), (16, "<L", dropped)),
    ):
        _lower(ending, at + place, form, less)


def _lower(data: bytearray, at: int, form: str, less: int) -> None:
    (value,) = struct.unpack_from(form, data, at)
    if value != {"<H": _NONE16, "<L": _NONE32}.get(form):
        _set(data, at, form, value - less)


def _set(data: bytearray, at: int, form: str, value: int) -> None:
    struct.pack_into(form, data, at, value)
