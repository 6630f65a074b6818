"""Pillow's file readers, one for each format and no others.

They are called by class, not through `Image.open`: that would try every installed plugin (one runs
Ghostscript) and apply a limit on pixels that is global to the process. Egide's own limit is checked
before any pixel is decoded; some readers also enforce Pillow's, which counts if it is lower.
"""

from __future__ import annotations

import io
from contextlib import suppress
from dataclasses import replace
from importlib import import_module
from typing import TYPE_CHECKING

import numpy as np

from egide.errors import ImageTruncated, ItemError, KindUnsupported
from egide.media import jpeg, jpeg_cut, pillow_checks, png
from egide.media.formats import Format, ends_early, webp_size
from egide.media.picture import (
    ANIMATION_BUDGET,
    MIN_SIDE_PIXELS,
    Frame,
    Picture,
    check_limit,
    check_pixels,
    explained,
    frame_of,
    positions,
)
from egide.media.quiet import quiet

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray
    from PIL import Image, ImageFile

    from egide.domain.model import Limits

_MULTI_FRAME = {Format.GIF, Format.WEBP, Format.PNG, Format.AVIF, Format.TIFF, Format.JPEG}
_READERS = {
    Format.JPEG: ("JpegImagePlugin", "jpeg_factory"),
    Format.PNG: ("PngImagePlugin", "PngImageFile"),
    Format.WEBP: ("WebPImagePlugin", "WebPImageFile"),
    Format.GIF: ("GifImagePlugin", "GifImageFile"),
    Format.AVIF: ("AvifImagePlugin", "AvifImageFile"),
    Format.TIFF: ("TiffImagePlugin", "TiffImageFile"),
    Format.BMP: ("BmpImagePlugin", "BmpImageFile"),
    Format.PPM: ("PpmImagePlugin", "PpmImageFile"),
    Format.JPEG2000: ("Jpeg2KImagePlugin", "Jpeg2KImageFile"),
    Format.ICO: ("IcoImagePlugin", "IcoImageFile"),
    Format.CUR: ("IcoImagePlugin", "IcoImageFile"),
    Format.PSD: ("PsdImagePlugin", "PsdImageFile"),
    Format.PCX: ("PcxImagePlugin", "PcxImageFile"),
    Format.TGA: ("TgaImagePlugin", "TgaImageFile"),
}
"""The module and the name of each format's reader in Pillow."""
_ANY_ORDER = {Format.TIFF, Format.JPEG}
_LIMITED_BY_PILLOW = {Format.GIF, Format.TIFF, Format.WEBP}
# These readers check Pillow's own limit once they have read the size.

_NEW_SUBFILE_TYPE = 254
_REDUCED_RESOLUTION = 1


def decode_with_pillow(
    data: bytes,
    found: Format,
    *,
    name: str,
    limits: Limits,
    first: int = 0,
    count: int | None = None,
    as_stored: bool = False,
) -> Picture:
    """Open a file with Pillow's reader for its format.

    Args:
        data: the whole file.
        found: its format.
        name: the file's name in error messages.
        limits: on pixels and frames.
        first: the frame to begin with; those before it have been looked at already.
        count: of frames, if it is known.
        as_stored: whether frames have their stored samples too.

    Raises:
        ItemError: one of its subclasses.
    """
    limits = replace(limits, max_pixels=max_pixels_of(found, limits.max_pixels))
    lost = 0
    if found in {Format.ICO, Format.CUR}:
        data, *size = pillow_checks.largest_icon(data, name=name)
        if size == [0, 0]:
            return decode_with_pillow(data, Format.PNG, name=name, limits=limits)
        check_limit(*size, name=name, limit=limits.max_pixels)
    elif found is Format.WEBP:
        # Pillow's reader has its own limit and raises before its size can be read.
        check_limit(*webp_size(data), name=name, limit=limits.max_pixels)
    elif found is Format.PSD:
        pillow_checks.require_composite(data, name=name)
    elif found is Format.PNG:
        if png.is_apples(data):
            raise KindUnsupported(name=name, format="PNG", reason="it is Apple's own kind")
        data, lost = png.picture_alone(data)
    if found is Format.JPEG2000 and ends_early(data, found):
        raise ImageTruncated(name=name)  # the decoder would fill the missing part and say nothing
    with quiet():
        image = open_with_pillow(data, found)
        width, height = image.size
        if not first:
            check_pixels(width, height, name=name, limits=limits)
        pillow_checks.require_data(image, found, name=name)
        if count is None:
            image, count = _count_frames(image, data, found, limits)
    # A phone's further pictures are mostly small, and read one by one.
    area = 1 if found is Format.JPEG else width * height
    chosen = positions(count, area, limits, in_order=found not in _ANY_ORDER)
    looked_at = first

    def frames() -> Iterator[Frame]:
        nonlocal looked_at
        budget = ANIMATION_BUDGET * limits.max_pixels
        for position in chosen[first:]:
            try:
                with explained(name, data, found), quiet():
                    if position:
                        image.seek(position)
                    wanted = not position or is_picture(image, (width, height))
                    if wanted:
                        check_limit(*image.size, name=name, limit=limits.max_pixels)
                        budget -= image.width * image.height
                    if budget < 0:
                        return
                    frame = _frame(image, data, found, as_stored=as_stored) if wanted else None
            except ItemError:
                if not position:
                    raise
                return  # what is left of a broken animation is counted
            looked_at += 1
            if frame is not None:
                yield frame

    return Picture(width, height, frames(), lambda: count + lost - looked_at)


def _count_frames(
    image: ImageFile.ImageFile, data: bytes, found: Format, limits: Limits
) -> tuple[ImageFile.ImageFile, int]:
    """Count the frames; of an animation that breaks off, those before the break and one more.

    Returns:
        the reader to go on with, and the number.
    """
    if found not in _MULTI_FRAME:
        return image, 1
    try:
        return image, int(getattr(image, "n_frames", 1))
    except Exception:  # noqa: BLE001 - readers raise nearly everything
        counting, count = open_with_pillow(data, found), 1
        most = len(positions(limits.max_frames, image.width * image.height, limits))
        with suppress(Exception):
            while count < most:
                counting.seek(count)
                count += 1
        return open_with_pillow(data, found), count + 1


def _last_channel(image: Image.Image) -> NDArray[np.uint8]:
    return np.asarray(image.getchannel(len(image.getbands()) - 1))


def _frame(image: ImageFile.ImageFile, data: bytes, found: Format, *, as_stored: bool) -> Frame:
    """Decode the current frame; of a JPEG that ends early, what there is of it."""
    if found is not Format.JPEG:
        return frame_of(pillow_checks.corrected(image, data, found), as_stored=as_stored)
    # Arithmetic coding cannot be continued where a piece of the file ends.
    image.decodermaxblock = max(len(data), image.decodermaxblock)
    try:
        return frame_of(image, as_stored=as_stored)
    except Exception as error:
        mended = jpeg_cut.with_end(data) if jpeg_cut.is_cut(error) else None
        if mended is None or image.tell():
            raise
    image = open_with_pillow(mended, found)
    image.decodermaxblock = len(mended)
    image.load()
    header = jpeg.read_header(mended)
    # Of colours, the edge of what is missing is blurred.
    samples = jpeg.decode_luma(mended, header, 1) if header else _last_channel(image)
    share = jpeg_cut.share_read(samples)
    if not share:
        raise EOFError("no pixel is there")
    return replace(frame_of(image, as_stored=as_stored), share_read=share)


def open_with_pillow(data: bytes, found: Format) -> ImageFile.ImageFile:
    """Read the header of a file; pixels are decoded later.

    Raises:
        Exception: nearly any, as Pillow's readers do on damaged files.
    """
    module, reader = _READERS[found]
    # Each is imported when a file first needs it: all together take 40 ms.
    opened: ImageFile.ImageFile = getattr(import_module(f"PIL.{module}"), reader)(io.BytesIO(data))
    return opened


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
