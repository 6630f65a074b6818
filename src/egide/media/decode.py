"""Decode bytes in any known format to the pixels of a picture or of an animation's frames."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from egide.domain.model import Mode
from egide.errors import (
    DecodeFailed,
    ImageTooLarge,
    ImageTooSmall,
    ImageTruncated,
    ItemError,
    NotAnImage,
)
from egide.media import extras, jpeg
from egide.media.formats import Format, ends_early, sniff, webp_size
from egide.media.pillow import (
    MIN_SIDE_PIXELS,
    MULTI_FRAME,
    is_picture,
    max_pixels_of,
    open_with_pillow,
)
from egide.media.pixels import image_pixels, stored_samples
from egide.media.quiet import quiet
from egide.media.read import check_size

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image

    from egide.domain.model import Limits

ANIMATION_BUDGET = 2
"""All frames of an animation together may have this multiple of `max_pixels`."""

MIN_SCALED_SIDE = 200
"""Short side of a scaled decode, in samples; measured in docs/decisions/0002-fast-pdq.md."""

_SCALES = (8, 4, 2)


@dataclass(frozen=True, slots=True)
class Frame:
    """The pixels of one frame.

    Attributes:
        pixels: 0–255, shape (rows, columns) of grey or (rows, columns, 3) of red, green and blue.
        rows, columns: of the stored frame.
        scale: each sample of `pixels` is the mean of this many pixels in each direction.
        as_stored: see `egide.media.pixels.stored_samples`; None if not requested.
    """

    pixels: NDArray[np.uint8] | NDArray[np.float32]
    rows: int
    columns: int
    scale: int = 1
    as_stored: NDArray[np.uint8] | None = None


@dataclass(frozen=True, slots=True)
class Picture:
    """One file's picture, not decoded yet.

    Attributes:
        width, height: of the first frame, in stored pixels.
        frames: decodes frame after frame, the still picture first; raises `ItemError`.
        count_left: the number of frames not examined yet; may read the rest of the file.
    """

    width: int
    height: int
    frames: Iterator[Frame]
    count_left: Callable[[], int]


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
    if mode is Mode.FAST and found is Format.JPEG:
        header = jpeg.read_header(data)
        if header is not None:
            return _decode_scaled(data, header, name=name, limits=limits, min_side=min_scaled_side)
    with _explained(name, data, found):
        if found is Format.HEIC:
            return _decode_heic(data, name=name, limits=limits)
        if found is Format.JXL:
            return _decode_jxl(data, name=name, limits=limits)
        return _decode_pillow(data, found, name=name, limits=limits, as_stored=as_stored)


def decode_image(image: Image.Image, *, name: str, limits: Limits) -> Frame:
    """The pixels of the current frame of a Pillow image.

    Raises:
        ItemError: one of its subclasses, for anything wrong with the image.
    """
    _check_pixels(*image.size, name=name, limits=limits)
    with _explained(name, b"", None):
        return _frame(image)


def _decode_scaled(
    data: bytes, header: jpeg.JpegHeader, *, name: str, limits: Limits, min_side: int
) -> Picture:
    width, height = header.width, header.height
    _check_pixels(width, height, name=name, limits=limits)
    short = min(width, height)
    scale = next((s for s in _SCALES if short >= s * min_side), 1)
    others: list[Picture] = []

    def frames() -> Iterator[Frame]:
        with _explained(name, data, Format.JPEG):
            luma = jpeg.decode_luma(data, header, scale)
        yield Frame(luma, height, width, scale)
        if header.multi_picture:
            with _explained(name, data, Format.JPEG):
                others.append(_decode_pillow(data, Format.JPEG, name=name, limits=limits, first=1))
            yield from others[0].frames

    return Picture(width, height, frames(), lambda: others[0].count_left() if others else 0)


def _decode_pillow(
    data: bytes,
    found: Format,
    *,
    name: str,
    limits: Limits,
    first: int = 0,
    as_stored: bool = False,
) -> Picture:
    limits = replace(limits, max_pixels=max_pixels_of(found, limits.max_pixels))
    if found is Format.WEBP:
        # Pillow's reader has its own limit and raises before its size can be read.
        _check_limit(*webp_size(data), name=name, limits=limits)
    with quiet():
        image = open_with_pillow(data, found)
    width, height = image.size
    _check_pixels(width, height, name=name, limits=limits)
    looked_at, ended = first, found not in MULTI_FRAME

    def frames() -> Iterator[Frame]:
        nonlocal looked_at, ended
        budget = ANIMATION_BUDGET * limits.max_pixels
        while True:
            with _explained(name, data, found), quiet():
                if looked_at:
                    try:
                        image.seek(looked_at)
                    except EOFError:
                        ended = True
                        return
                    _check_limit(*image.size, name=name, limits=limits)
                budget -= image.width * image.height
                if budget < 0:
                    return
                looked_at += 1
                wanted = looked_at == 1 or is_picture(image, (width, height))
                frame = _frame(image, as_stored=as_stored) if wanted else None
            if frame is not None:
                yield frame
            if found not in MULTI_FRAME:
                return

    def count_left() -> int:
        if ended:
            return 0
        with _explained(name, data, found), quiet():
            # A separate reader: counting in the middle of a GIF would decode it all again.
            return max(getattr(open_with_pillow(data, found), "n_frames", 1) - looked_at, 0)

    return Picture(width, height, frames(), count_left)


def _decode_heic(data: bytes, *, name: str, limits: Limits) -> Picture:
    (width, height), count, images = extras.open_heic(data, name=name)
    _check_pixels(width, height, name=name, limits=limits)
    if ends_early(data, Format.HEIC):
        # The decoder would silently fill the missing part with grey.
        raise ImageTruncated(name=name)
    looked_at = 0

    def frames() -> Iterator[Frame]:
        nonlocal looked_at
        budget = ANIMATION_BUDGET * limits.max_pixels
        while looked_at < count and budget > 0:
            with _explained(name, data, Format.HEIC):
                frame = _frame(next(images))
            looked_at += 1
            budget -= frame.rows * frame.columns
            yield frame

    return Picture(width, height, frames(), lambda: count - looked_at)


def _decode_jxl(data: bytes, *, name: str, limits: Limits) -> Picture:
    (width, height), decode_pixels = extras.open_jxl(data, name=name)
    _check_pixels(width, height, name=name, limits=limits)

    def frames() -> Iterator[Frame]:
        with _explained(name, data, Format.JXL):
            frame = _frame(decode_pixels())
        yield frame

    return Picture(width, height, frames(), lambda: 0)


def _frame(image: Image.Image, *, as_stored: bool = False) -> Frame:
    pixels = image_pixels(image)
    rows, columns = pixels.shape[:2]
    stored = stored_samples(image) if as_stored else None
    return Frame(pixels, rows, columns, as_stored=stored)


def _check_pixels(width: int, height: int, *, name: str, limits: Limits) -> None:
    _check_limit(width, height, name=name, limits=limits)
    if min(width, height) < MIN_SIDE_PIXELS:
        raise ImageTooSmall(name=name, width=width, height=height)


def _check_limit(width: int, height: int, *, name: str, limits: Limits) -> None:
    if width * height > limits.max_pixels:
        raise ImageTooLarge(name=name, width=width, height=height, limit=limits.max_pixels)


@contextmanager
def _explained(name: str, data: bytes, found: Format | None) -> Iterator[None]:
    """Turn any decoder error into an `ItemError`: decoders raise nearly everything."""
    try:
        yield
    except ItemError:
        raise
    except MemoryError as error:
        raise DecodeFailed(name=name, reason="it needs more memory than there is") from error
    except Exception as error:
        said = str(error).lower()
        cut = isinstance(error, EOFError) or "truncated" in said
        if cut or (found is not None and ends_early(data, found)):
            raise ImageTruncated(name=name) from error
        raise DecodeFailed(name=name, reason=_reason(error, found)) from error


def _reason(error: Exception, found: Format | None) -> str:
    if type(error).__name__ == "DecompressionBombError":
        return "a frame is larger than its header says"
    said = " ".join(str(error).split()).rstrip(".")
    if not said or "object at 0x" in said or len(said) > 120:
        return f"its {found or 'image'} data are not valid"
    return said
