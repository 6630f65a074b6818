"""Decode bytes in any known format to the pixels of a picture or of an animation's frames."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeGuard

from PIL import Image

from egide.domain.model import Mode
from egide.errors import ImageTooSmall, KindUnsupported, NotAnImage
from egide.media import extras, jpeg, jpeg_cut, tiff, wide
from egide.media.formats import UNREAD, Format, sniff
from egide.media.picture import (
    MIN_SIDE_PIXELS,
    Frame,
    Picture,
    check_limit,
    check_pixels,
    explained,
    frame_of,
)
from egide.media.pillow import decode_with_pillow
from egide.media.read import check_size

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray

    from egide.domain.model import Limits

MIN_SCALED_SIDE = 200
"""Short side of a scaled decode, in samples; measured in docs/decisions/0002-fast-pdq.md."""

_SCALES = (8, 4, 2)


def decode(
    data: bytes,
    *,
    name: str,
    mode: Mode,
    limits: Limits,
    min_scaled_side: int = MIN_SCALED_SIDE,
    as_stored: bool = False,
) -> Picture:
    """Recognise the format and check the size; decoding begins when the first frame is requested.

    Args:
        data: a whole file.
        name: the file's name in error messages.
        mode: exact decodes every pixel; fast may decode JPEG at a fraction of its size.
        limits: on bytes, and on pixels as the header declares them.
        min_scaled_side: least short side of a scaled JPEG, in samples.
        as_stored: whether frames shall also have their samples as the file stores them.

    Raises:
        ItemError: one of its subclasses, for anything wrong with the file.
    """
    check_size(len(data), name=name, limits=limits)
    found = sniff(data)
    if found is None:
        raise NotAnImage(name=name)
    if found in UNREAD:
        raise KindUnsupported(name=name, format=found, reason="there is no decoder for it here")
    pages = tiff.read_pages(data) if found is Format.TIFF else ([], [])
    if found is Format.RAW or any(page.is_sensor_data for every in pages for page in every):
        data, found = extras.decode_raw(data, name=name, limits=limits)
    if mode is Mode.FAST and found is Format.JPEG:
        header = jpeg.read_header(data)
        if header is not None:
            return _decode_scaled(data, header, name=name, limits=limits, min_side=min_scaled_side)
    with explained(name, data, found):
        if found is Format.HEIC:
            return extras.decode_heic(data, name=name, limits=limits)
        if found is Format.JXL:
            return extras.decode_jxl(data, name=name, limits=limits)
        if found is Format.TIFF and not all(page.is_pillows for page in pages[0]):
            return wide.decode_tiff(data, len(pages[0]), name=name, limits=limits)
        if found is Format.JPEG and not jpeg.frame_header(data).is_ordinary:
            return wide.decode_jpeg(data, name=name, limits=limits)
        count = len(pages[0]) or None
        return decode_with_pillow(
            data, found, name=name, limits=limits, count=count, as_stored=as_stored
        )


def is_image(value: object) -> TypeGuard[Image.Image]:
    """Whether a value is a Pillow image."""
    return isinstance(value, Image.Image)


def decode_image(image: Image.Image, *, name: str, limits: Limits) -> Frame:
    """The pixels of the current frame of a Pillow image.

    Raises:
        ItemError: one of its subclasses, for anything wrong with the image.
    """
    check_pixels(*image.size, name=name, limits=limits)
    with explained(name, b"", None):
        return frame_of(image)


def _decode_scaled(
    data: bytes, header: jpeg.JpegHeader, *, name: str, limits: Limits, min_side: int
) -> Picture:
    width, height = header.width, header.height
    short = min(width, height)
    scale = next((s for s in _SCALES if short >= s * min_side), 1)
    most = max(limits.max_pixels, limits.max_scaled_pixels if scale == _SCALES[0] else 0)
    check_limit(width, height, name=name, limit=most)
    if short < MIN_SIDE_PIXELS:
        raise ImageTooSmall(name=name, width=width, height=height)
    others: list[Picture] = []

    def frames() -> Iterator[Frame]:
        with explained(name, data, Format.JPEG):
            luma, share = _decode_luma(data, header, scale)
        yield Frame(luma, height, width, scale, share)
        if header.multi_picture and share == 1:
            with explained(name, data, Format.JPEG):
                others.append(
                    decode_with_pillow(data, Format.JPEG, name=name, limits=limits, first=1)
                )
            yield from others[0].frames

    return Picture(width, height, frames(), lambda: others[0].count_left() if others else 0)


def _decode_luma(
    data: bytes, header: jpeg.JpegHeader, scale: int
) -> tuple[NDArray[np.uint8], float]:
    """The brightness, and the share of it that the file holds."""
    try:
        return jpeg.decode_luma(data, header, scale), 1.0
    except Exception as error:
        mended = jpeg_cut.with_end(data) if jpeg_cut.is_cut(error) else None
        if mended is None:
            raise
    luma = jpeg.decode_luma(mended, header, scale)
    share = jpeg_cut.share_read(luma, scale)
    if not share:
        raise EOFError("no pixel is there")
    return luma, share
