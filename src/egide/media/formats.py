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
_CANON_RAW_BRAND = b"crx "
_DATA_BOXES = {b"mdat", b"jxlc", b"jxlp", b"jp2c"}
_PPM = re.compile(rb"P[1-6][\s#]")
_PCX = re.compile(rb"\x0a[\0\2\3\5][\0\1][\1\2\4\x08]", re.DOTALL)
_ICON = (b"\0\0\1\0", b"\0\0\2\0")
_XBM = re.compile(rb"#define \w*_?width \d")
_SGI = re.compile(rb"\x01\xda[\0\1][\1\2]\0[\1-\3]")


class Format(StrEnum):
    """A picture format by its name in messages."""

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
    JPEG2000 = "JPEG 2000"
    ICO = "an icon"
    CUR = "a cursor"
    PSD = "a Photoshop file"
    PCX = "PCX"
    TGA = "TGA"
    RAW = "a camera's raw photo"

    JXR = "JPEG XR"
    JPEG_LS = "JPEG-LS"
    EXR = "OpenEXR"
    HDR = "Radiance HDR"
    DDS = "a DirectDraw surface"
    QOI = "QOI"
    ICNS = "a macOS icon"
    XCF = "a GIMP file"
    DJVU = "DjVu"
    BPG = "BPG"
    FLIF = "FLIF"
    SGI = "SGI"
    SUN = "a Sun raster"
    DCX = "DCX"
    FITS = "FITS"
    PAM = "PAM"
    MNG = "MNG"
    JNG = "JNG"
    XBM = "XBM"
    XPM = "XPM"
    MSP = "Microsoft Paint's first format"
    ILBM = "ILBM"
    DPX = "DPX"
    KTX = "KTX"
    IM = "IFUNC's IM"


UNREAD = frozenset(
    {
        *(Format.JXR, Format.JPEG_LS, Format.EXR, Format.HDR, Format.DDS, Format.QOI, Format.ICNS),
        *(Format.XCF, Format.DJVU, Format.BPG, Format.FLIF, Format.SGI, Format.SUN, Format.DCX),
        *(Format.FITS, Format.PAM, Format.MNG, Format.JNG, Format.XBM, Format.XPM, Format.MSP),
        *(Format.ILBM, Format.DPX, Format.KTX, Format.IM),
    }
)
"""Recognised, so that they are named and counted, but not read."""

_MAGIC = (
    (b"\xff\xd8\xff\xf7", Format.JPEG_LS),
    (b"\xff\xd8\xff", Format.JPEG),
    (b"\x89PNG\r\n\x1a\n", Format.PNG),
    (b"GIF87a", Format.GIF),
    (b"GIF89a", Format.GIF),
    (b"II*\0\x10\0\0\0CR", Format.RAW),
    (b"II*\0", Format.TIFF),
    (b"MM\0*", Format.TIFF),
    (b"II+\0", Format.TIFF),
    (b"MM\0+", Format.TIFF),
    (b"\xff\x0a", Format.JXL),
    (b"\0\0\0\x0cJXL \r\n\x87\n", Format.JXL),
    (b"\0\0\0\x0cjP  \r\n\x87\n", Format.JPEG2000),
    (b"\xff\x4f\xff\x51", Format.JPEG2000),
    (b"8BPS\0\1", Format.PSD),
    (b"8BPS\0\2", Format.PSD),
    (b"FUJIFILMCCD-RAW", Format.RAW),
    (b"IIRO", Format.RAW),
    (b"IIRS", Format.RAW),
    (b"MMOR", Format.RAW),
    (b"IIU\0", Format.RAW),
    (b"\0MRM", Format.RAW),
    (b"FOVb", Format.RAW),
    (b"II\x1a\0\0\0HEAPCCDR", Format.RAW),
    (b"II\xbc", Format.JXR),
    (b"v/1\x01", Format.EXR),
    (b"#?RADIANCE", Format.HDR),
    (b"#?RGBE", Format.HDR),
    (b"DDS |\0\0\0", Format.DDS),
    (b"qoif", Format.QOI),
    (b"icns", Format.ICNS),
    (b"gimp xcf", Format.XCF),
    (b"AT&TFORM", Format.DJVU),
    (b"BPG\xfb", Format.BPG),
    (b"FLIF", Format.FLIF),
    (b"\x59\xa6\x6a\x95", Format.SUN),
    (b"\xb1\x68\xde\x3a", Format.DCX),
    (b"SIMPLE  =", Format.FITS),
    (b"P7\n", Format.PAM),
    (b"PF\n", Format.PAM),
    (b"Pf\n", Format.PAM),
    (b"\x8aMNG\r\n\x1a\n", Format.MNG),
    (b"\x8bJNG\r\n\x1a\n", Format.JNG),
    (b"/* XPM */", Format.XPM),
    (b"DanM", Format.MSP),
    (b"LinS", Format.MSP),
    (b"SDPX\0\0", Format.DPX),
    (b"\xabKTX ", Format.KTX),
    (b"Image type: ", Format.IM),
)


def sniff(data: bytes) -> Format | None:
    """The format of the bytes, or None if it is no known picture format; 32 bytes suffice."""
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
    if data.startswith(_ICON) and _is_icon(data):
        return Format.ICO if data[2] == 1 else Format.CUR
    if _PCX.match(data) and _is_pcx(data):
        return Format.PCX
    if _XBM.match(data):
        return Format.XBM
    if data[:4] == b"FORM" and data[8:12] in {b"ILBM", b"PBM "}:
        return Format.ILBM
    if _SGI.match(data):
        return Format.SGI
    return Format.TGA if _is_tga(data) else None


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
    if found is Format.JPEG2000 and data[:1] == b"\xff":
        return b"\xff\xd9" not in data[-4096:]
    if found in (Format.AVIF, Format.HEIC, Format.JXL, Format.JPEG2000):
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


def png_size(data: bytes) -> tuple[int, int]:
    """Width and height that a PNG declares."""
    return int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")


def jpeg2000_size(data: bytes) -> tuple[int, int]:
    """Width and height that a JPEG 2000 codestream declares; 0, 0 if it declares none."""
    if data[:4] != b"\xff\x4f\xff\x51" or len(data) < 24:
        return 0, 0
    right, bottom, left, top = (int.from_bytes(data[at : at + 4], "big") for at in range(8, 24, 4))
    return right - left, bottom - top


def _is_icon(data: bytes) -> bool:
    """Whether a list of icons or cursors follows, whose first one has data behind the list."""
    count = int.from_bytes(data[4:6], "little")
    size, start = (int.from_bytes(data[at : at + 4], "little") for at in (14, 18))
    return count > 0 and data[9:10] == b"\0" and size > 0 and start >= 6 + 16 * count


def _is_pcx(data: bytes) -> bool:
    left, top, right, bottom = (
        int.from_bytes(data[at : at + 2], "little") for at in range(4, 12, 2)
    )
    return len(data) >= 12 and left <= right and top <= bottom


def _is_tga(data: bytes) -> bool:
    """Whether 18 bytes are a header of TGA, which has no magic: every field must be sensible."""
    if len(data) < 18:
        return False
    has_map, kind, map_bits = data[1], data[2], data[7]
    first, length = (int.from_bytes(data[at : at + 2], "little") for at in (3, 5))
    width, height = (int.from_bytes(data[at : at + 2], "little") for at in (12, 14))
    bits, flags = data[16], data[17]
    if not (width and height) or flags & 0xC0 or flags & 0x0F > 8:
        return False
    if kind in {1, 9}:
        return has_map == 1 and bits in {8, 16} and length > 0 and map_bits in {15, 16, 24, 32}
    if has_map or first or length or map_bits:
        return False
    if kind in {3, 11}:
        return bits in {8, 16}
    return kind in {2, 10} and bits in {15, 16, 24, 32}


def _sniff_boxes(data: bytes) -> Format | None:
    size = min(int.from_bytes(data[:4], "big"), 256)
    brands = {data[8:12]} | {data[k : k + 4] for k in range(16, size, 4)}
    if brands & _AVIF_BRANDS:
        return Format.AVIF
    if data[8:12] == _CANON_RAW_BRAND:
        return Format.RAW
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
