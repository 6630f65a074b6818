"""Pillow's file readers, one for each format and no others.

They are called by class, not through `Image.open`: that would try every installed plugin (one runs
Ghostscript) and apply a limit on pixels that is global to the process. Egide's own limit is checked
before any pixel is decoded; some readers also enforce Pillow's, which counts if it is lower.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from egide.media.formats import Format

if TYPE_CHECKING:
    from PIL import Image, ImageFile

MIN_SIDE_PIXELS = 5
"""PDQ is not defined for a shorter side."""
MULTI_FRAME = {Format.GIF, Format.WEBP, Format.PNG, Format.AVIF, Format.TIFF, Format.JPEG}

_LIMITED_BY_PILLOW = {Format.GIF, Format.TIFF, Format.WEBP}
# These readers check Pillow's own limit once they have read the size.

_NEW_SUBFILE_TYPE = 254
_REDUCED_RESOLUTION = 1


def open_with_pillow(data: bytes, found: Format) -> ImageFile.ImageFile:
    """Read the header of a file; pixels are decoded later.

    Raises:
        Exception: nearly any, as Pillow's readers do on damaged files.
    """
    file = io.BytesIO(data)
    # Each reader is imported when a file first needs it: all together take 40 ms.
    match found:
        case Format.JPEG:
            from PIL.JpegImagePlugin import jpeg_factory

            return jpeg_factory(file)
        case Format.PNG:
            from PIL.PngImagePlugin import PngImageFile

            return PngImageFile(file)
        case Format.WEBP:
            from PIL.WebPImagePlugin import WebPImageFile

            return WebPImageFile(file)
        case Format.GIF:
            from PIL.GifImagePlugin import GifImageFile

            return GifImageFile(file)
        case Format.AVIF:
            from PIL.AvifImagePlugin import AvifImageFile

            return AvifImageFile(file)
        case Format.TIFF:
            from PIL.TiffImagePlugin import TiffImageFile

            return TiffImageFile(file)
        case Format.BMP:
            from PIL.BmpImagePlugin import BmpImageFile

            return BmpImageFile(file)
        case Format.PPM:
            from PIL.PpmImagePlugin import PpmImageFile

            return PpmImageFile(file)
    raise ValueError(f"no reader for {found}")


def max_pixels_of(found: Format, max_pixels: int) -> int:
    """The most pixels that a format's reader allows, at most `max_pixels`.

    Pillow refuses at twice its `MAX_IMAGE_PIXELS`, 178 956 970 unless the process has changed it.
    """
    from PIL import Image

    if found not in _LIMITED_BY_PILLOW or Image.MAX_IMAGE_PIXELS is None:
        return max_pixels
    return min(max_pixels, 2 * Image.MAX_IMAGE_PIXELS)


def is_picture(image: Image.Image, primary: tuple[int, int]) -> bool:
    """Whether a later frame is a picture of its own, not auxiliary to the first one.

    A phone's JPEG holds gain maps, depth maps and previews as further frames, smaller than the
    picture; a TIFF marks its thumbnails.
    """
    if min(image.size) < MIN_SIDE_PIXELS:
        return False
    if image.format in {"MPO", "JPEG"}:
        return image.size == primary
    if image.format == "TIFF":
        tags = getattr(image, "tag_v2", {})
        return not int(tags.get(_NEW_SUBFILE_TYPE, 0)) & _REDUCED_RESOLUTION
    return True
