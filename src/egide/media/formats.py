"""Recognise an image format by the first bytes; file names are never used."""

from __future__ import annotations

import re
from enum import StrEnum

_BMP_HEADER_BYTES = {12, 16, 40, 52, 56, 64, 108, 124}
_AVIF_BRANDS = {b"avif", b"avis"}
_HEIC_BRANDS = {
    b"heic",
    b"heix",
    b"heim",
    b"heis",
    b"hevc",
    b"hevx",
    b"hevm",
    b"hevs",
    b"mif1",
    b"msf1",
}
_DATA_BOXES = {b"mdat", b"jxlc", b"jxlp"}
_PPM = re.compile(rb"P[1-6][\s#]")


class Format(StrEnum):
    """A format that Egide reads, alone or with an extra."""

    JPEG = "JPEG"
    PNG = "PNG"
    WEBP = "WebP"
    GIF = "GIF"
    AVIF = "AVIF"
    TIFF = "TIFF"
    BMP = "BMP"
    PPM = "PPM"
    HEIC = "HEIC"
    JXL = "JPEG XL"


_MAGIC = (
    (b"\xff\xd8\xff", Format.JPEG),
    (b"\x89PNG\r\n\x1a\n", Format.PNG),
    (b"GIF87a", Format.GIF),
    (b"GIF89a", Format.GIF),
    (b"II*\0", Format.TIFF),
    (b"MM\0*", Format.TIFF),
    (b"II+\0", Format.TIFF),
    (b"MM\0+", Format.TIFF),
    (b"\xff\x0a", Format.JXL),
    (b"\0\0\0\x0cJXL \r\n\x87\n", Format.JXL),
)


def sniff(data: bytes) -> Format | None:
    """The format of the bytes, or None if Egide reads no such format."""
    for magic, known in _MAGIC:
        if data.startswith(magic):
            return known
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return Format.WEBP
    if data[4:8] == b"ftyp":
        return _sniff_boxes(data)
    if data[:2] == b"BM" and int.from_bytes(data[14:18], "little") in _BMP_HEADER_BYTES:
        return Format.BMP
    if _PPM.match(data):
        return Format.PPM
    return None


def ends_early(data: bytes, found: Format) -> bool:
    """Whether the file is truncated, as far as its outermost structure tells."""
    if found is Format.JPEG:
        return b"\xff\xd9" not in data[-4096:]
    if found is Format.PNG:
        return b"IEND" not in data[-4096:]
    if found is Format.GIF:
        return not data.rstrip(b"\0").endswith(b";")
    if found is Format.WEBP:
        return int.from_bytes(data[4:8], "little") + 8 > len(data)
    if found is Format.JXL and data[:1] == b"\xff":
        return False
    if found in (Format.AVIF, Format.HEIC, Format.JXL):
        return _box_is_cut(data)
    return False


def webp_size(data: bytes) -> tuple[int, int]:
    """Width and height that a WebP declares; 0, 0 if it declares none."""
    kind, bits = data[12:16], int.from_bytes(data[20:30], "little")
    if kind == b"VP8X":
        return (bits >> 32 & 0xFFFFFF) + 1, (bits >> 56 & 0xFFFFFF) + 1
    if kind == b"VP8L":
        return (bits >> 8 & 0x3FFF) + 1, (bits >> 22 & 0x3FFF) + 1
    if kind == b"VP8 ":
        return bits >> 48 & 0x3FFF, bits >> 64 & 0x3FFF
    return 0, 0


def _sniff_boxes(data: bytes) -> Format | None:
    size = min(int.from_bytes(data[:4], "big"), 256)
    brands = {data[8:12]} | {data[k : k + 4] for k in range(16, size, 4)}
    if brands & _AVIF_BRANDS:
        return Format.AVIF
    return Format.HEIC if brands & _HEIC_BRANDS else None


def _box_is_cut(data: bytes) -> bool:
    """Whether the top-level box with the picture's data is cut or missing (ISO base media)."""
    at, complete = 0, False
    while at + 8 <= len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        kind = data[at + 4 : at + 8]
        if size == 1:
            size = int.from_bytes(data[at + 8 : at + 16], "big")
        if size == 0:
            return False
        if size < 8 or (complete and kind not in _DATA_BOXES):
            break
        if at + size > len(data):
            return True
        complete = complete or kind in _DATA_BOXES
        at += size
    return not complete
