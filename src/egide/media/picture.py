"""What all readers of pictures share: frames, limits on pixels, errors that tell the truth."""

from __future__ import annotations

import re
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from egide.errors import (
    DecodeFailed,
    ImageTooLarge,
    ImageTooSmall,
    ImageTruncated,
    ItemError,
    KindUnsupported,
)
from egide.media.formats import Format, ends_early
from egide.media.pixels import image_pixels, stored_samples

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image

    from egide.domain.model import Limits

MIN_SIDE_PIXELS = 5
"""PDQ is not defined for a shorter side."""
ANIMATION_BUDGET = 2
"""All frames of an animation that are looked at may together have this multiple of `max_pixels`."""
REACH_BUDGET = 8
"""And all that have to be decoded to get at them, this one."""

_UNSUPPORTED = re.compile(
    r"cannot handle|unknown pixel mode|unknown raw mode|unsupported|not supported|not implemented"
    r"|not available|unknown pcx mode|unknown dib"
)


@dataclass(frozen=True, slots=True)
class Frame:
    """The pixels of one frame.

    Attributes:
        pixels: 0–255, shape (rows, columns) of grey or (rows, columns, 3) of red, green and blue.
        rows, columns: of the stored frame.
        scale: each sample of `pixels` is the mean of this many pixels in each direction.
        share_read: below 1 if the file ends early: the share that was decoded, the rest is grey.
        as_stored: see `egide.media.pixels.stored_samples`; None if not requested.
    """

    pixels: NDArray[np.uint8] | NDArray[np.float32]
    rows: int
    columns: int
    scale: int = 1
    share_read: float = 1.0
    as_stored: NDArray[np.uint8] | None = None


@dataclass(frozen=True, slots=True)
class Picture:
    """One file's picture, not decoded yet.

    Attributes:
        width, height: of the first frame, in stored pixels.
        frames: decodes frame after frame, the still picture first, then others evenly over the
            whole length; raises `ItemError`.
        count_left: the number of frames not decoded so far.
    """

    width: int
    height: int
    frames: Iterator[Frame]
    count_left: Callable[[], int]


def frame_of(image: Image.Image, *, as_stored: bool = False) -> Frame:
    """Decode the current frame of a Pillow image."""
    pixels = image_pixels(image)
    rows, columns = pixels.shape[:2]
    stored = stored_samples(image) if as_stored else None
    return Frame(pixels, rows, columns, as_stored=stored)


def positions(count: int, area: int, limits: Limits, *, in_order: bool = True) -> list[int]:
    """Choose the frames to look at: all, or as many as may be, evenly, with the first and last.

    Args:
        count: the frames there are.
        area: pixels of one.
        limits: on frames, and on the pixels of all together.
        in_order: whether a frame can be decoded only after those before it.
    """
    area = max(area, 1)
    if in_order:
        count = min(count, max(REACH_BUDGET * limits.max_pixels // area, 1))
    most = max(min(limits.max_frames, ANIMATION_BUDGET * limits.max_pixels // area), 1)
    if count <= most:
        return list(range(count))
    if most == 1:
        return [0]
    return [round(k * (count - 1) / (most - 1)) for k in range(most)]


def check_pixels(width: int, height: int, *, name: str, limits: Limits) -> None:
    """Refuse a picture that is too large to decode or too small to hash.

    Raises:
        ImageTooLarge, ImageTooSmall
    """
    check_limit(width, height, name=name, limit=limits.max_pixels)
    if min(width, height) < MIN_SIDE_PIXELS:
        raise ImageTooSmall(name=name, width=width, height=height)


def check_limit(width: int, height: int, *, name: str, limit: int) -> None:
    """Refuse a picture of more pixels than `limit`.

    Raises:
        ImageTooLarge
    """
    if width * height > limit:
        raise ImageTooLarge(name=name, width=width, height=height, limit=limit)


@contextmanager
def explained(name: str, data: bytes, found: Format | None) -> Iterator[None]:
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
        if isinstance(error, NotImplementedError) or _UNSUPPORTED.search(said):
            raise KindUnsupported(
                name=name, format=found or "an image", reason=_reason(error, found)
            ) from error
        raise DecodeFailed(name=name, reason=_reason(error, found)) from error


def _reason(error: Exception, found: Format | None) -> str:
    if type(error).__name__ == "DecompressionBombError":
        return "a frame is larger than its header says"
    said = " ".join(str(error).split()).rstrip(".")
    if not said or "object at 0x" in said or len(said) > 120:
        return f"its {found or 'image'} data are not valid"
    return said
