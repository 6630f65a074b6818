"""Where Pillow's readers would give wrong pixels and say nothing: checks and corrections."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from egide.errors import ImageTruncated, KindUnsupported
from egide.media.formats import Format

if TYPE_CHECKING:
    from PIL import Image, ImageFile

_TILED = {
    *(Format.JPEG, Format.PNG, Format.TIFF, Format.BMP, Format.PPM, Format.JPEG2000),
    *(Format.PSD, Format.PCX, Format.TGA),
}
_PSD_MULTICHANNEL = 7
_PSD_VERSION_INFO = 1057
_PSD_BITS = {1, 8}
_PNG = b"\x89PNG\r\n\x1a\n"
_TGA_ALPHA_BITS = 0x0F
_ICON_ENTRY_BYTES = 16


def require_data(image: ImageFile.ImageFile, found: Format, *, name: str) -> None:
    """Refuse a file whose coding the reader does not know: it would show a black picture.

    Raises:
        KindUnsupported
    """
    if found in _TILED and not image.tile:
        raise KindUnsupported(name=name, format=found, reason="its coding is not known")


def corrected(image: Image.Image, data: bytes, found: Format) -> Image.Image:
    """Undo what a reader of Pillow reads otherwise than the format's makers."""
    if found is Format.PSD:
        if image.mode == "1":
            return image.point(lambda bit: 255 - bit)  # 1 is black
        # The picture is on white already, and the fourth channel need not be transparency.
        return image.convert("RGB") if image.mode == "RGBA" else image
    if image.mode == "RGBA" and (
        (found is Format.TGA and not data[17] & _TGA_ALPHA_BITS)
        or (found in {Format.TGA, Format.ICO, Format.CUR, Format.BMP} and _is_invisible(image))
    ):
        return image.convert("RGB")  # the fourth byte is not used
    return image


def require_composite(data: bytes, *, name: str) -> None:
    """Refuse a Photoshop file that has layers alone, or a coding that Pillow does not read.

    Raises:
        KindUnsupported, ImageTruncated
    """
    if len(data) < 34:
        raise ImageTruncated(name=name)
    version, bits, mode = data[5], data[23], data[25]
    reason = ""
    if version != 1:
        reason = "it is a large document (PSB)"
    elif bits not in _PSD_BITS:
        reason = f"it has {bits} bits a channel"
    elif mode == _PSD_MULTICHANNEL:
        reason = "it has ink channels of its own"
    elif _has_layers_alone(data):
        reason = "it has layers, and no picture of them all"
    if reason:
        raise KindUnsupported(name=name, format=Format.PSD, reason=reason)


def largest_icon(data: bytes, *, name: str) -> tuple[bytes, int, int]:
    """The largest picture of an icon or a cursor.

    Returns:
        a PNG, or an icon with this picture alone; the width and height that it declares, 0 and 0
        for a PNG.

    Raises:
        ImageTruncated: it lies beyond the file's end.
    """
    count = int.from_bytes(data[4:6], "little")
    entries = [data[at : at + _ICON_ENTRY_BYTES] for at in range(6, 6 + 16 * count, 16)]
    if len(entries[-1]) < _ICON_ENTRY_BYTES:
        raise ImageTruncated(name=name)
    found = []
    for entry in entries:
        size, start = (int.from_bytes(entry[at : at + 4], "little") for at in (8, 12))
        bits = int.from_bytes(data[start + 14 : start + 16], "little")
        is_png = data.startswith(_PNG, start)
        area = (entry[0] or 256) * (entry[1] or 256)
        found.append((area, 32 if is_png else bits, start, size))
    _, bits, start, size = max(found)
    if start + size > len(data):
        raise ImageTruncated(name=name)
    picture = data[start : start + size]
    if picture.startswith(_PNG):
        return picture, 0, 0
    width, height = (int.from_bytes(picture[at : at + 4], "little") for at in (4, 8))
    height //= 2  # the mask's rows are counted too
    head = struct.pack("<HHHBBBBHHII", 0, 1, 1, width & 255, height & 255, 0, 0, 1, bits, size, 22)
    return head + picture, width, height


def _has_layers_alone(data: bytes) -> bool:
    """Whether Photoshop was told to save no picture of the whole."""
    at = 26 + 4 + int.from_bytes(data[26:30], "big")
    end = at + 4 + int.from_bytes(data[at : at + 4], "big")
    at += 4
    while at + 12 <= min(end, len(data)):
        number = int.from_bytes(data[at + 4 : at + 6], "big")
        body = at + 6 + (data[at + 6] + 2) // 2 * 2 + 4
        size = int.from_bytes(data[body - 4 : body], "big")
        if number == _PSD_VERSION_INFO and size >= 5:
            return body + 4 < len(data) and not data[body + 4]
        at = body + size + size % 2
    return False


def _is_invisible(image: Image.Image) -> bool:
    return image.getchannel("A").getextrema() == (0, 0)
