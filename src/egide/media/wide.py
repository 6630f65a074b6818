"""Kinds of TIFF and JPEG that Pillow does not read, or not surely: the extra `codecs`.

tifffile and imagecodecs give samples as they are stored; here they become levels as viewers show
them.
"""

from __future__ import annotations

import io
import logging
from typing import TYPE_CHECKING, Any

import numpy as np

from egide.errors import ImageTooLarge, ImageTruncated, KindUnsupported
from egide.media import tiff
from egide.media.extras import require
from egide.media.formats import Format, jpeg2000_size, png_size, webp_size
from egide.media.jpeg import frame_header
from egide.media.picture import Frame, Picture, check_pixels, explained, positions
from egide.media.pixels import levels_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from egide.domain.model import Limits

_MAX_SAMPLES = 16
_MAX_BYTES_A_PIXEL = 16
_ASSOCIATED, _UNASSOCIATED = 1, 2
_SHOWN = {tiff.WHITE_IS_0, tiff.BLACK_IS_0, tiff.RGB, tiff.PALETTE, tiff.CMYK, tiff.YCBCR, tiff.LAB}
_COLOURS = {tiff.RGB: 3, tiff.CMYK: 4, tiff.YCBCR: 3, tiff.LAB: 3}
_DECODES_TO_RGB = {6, 7, 34892, 33007}
_BOUNDED = {1, 5, 8, 32773, 32946, 34925, 50000}
"""None, LZW, Deflate, PackBits, LZMA and Zstandard: decoded to a given number of bytes."""
_SIZES: dict[int, Callable[[bytes], tuple[int, int]]] = {
    **dict.fromkeys((34712, 33003, 33004, 33005), jpeg2000_size),
    **dict.fromkeys((34927, 50001), webp_size),
    34933: png_size,
}


def decode_tiff(data: bytes, count: int, *, name: str, limits: Limits) -> Picture:
    """Open a TIFF of `count` pages with tifffile.

    Raises:
        ItemError: one of its subclasses; FormatUnsupported: the extra is not installed.
    """
    require("imagecodecs", name=name, format="a TIFF of a rare kind", extra="codecs")
    tifffile = require("tifffile", name=name, format="a TIFF of a rare kind", extra="codecs")
    logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # it names what it reads
    file = tifffile.TiffFile(io.BytesIO(data))
    first = file.pages[0]
    width, height = int(first.imagewidth), int(first.imagelength)
    check_pixels(width, height, name=name, limits=limits)
    chosen = positions(count, width * height, limits, in_order=False)
    looked_at = 0

    def frames() -> Iterator[Frame]:
        nonlocal looked_at
        for position in chosen:
            with explained(name, data, Format.TIFF):
                page = file.pages[position]
                wanted = not position or not page.is_reduced
                frame = _tiff_frame(page, data, name=name, limits=limits) if wanted else None
            looked_at += 1
            if frame is not None:
                yield frame

    return Picture(width, height, frames(), lambda: count - looked_at)


def decode_jpeg(data: bytes, *, name: str, limits: Limits) -> Picture:
    """Open a lossless JPEG, or one of more than 8 bits, with imagecodecs."""
    head = frame_header(data)
    what = head.coding or f"a JPEG of {head.bits} bits"
    if head.coding not in {"", "a lossless JPEG"} or head.channels not in {1, 3}:
        raise KindUnsupported(name=name, format=what, reason="its coding is not known")
    imagecodecs = require("imagecodecs", name=name, format=what, extra="codecs")
    check_pixels(head.width, head.height, name=name, limits=limits)

    def frames() -> Iterator[Frame]:
        with explained(name, data, Format.JPEG):
            samples = np.asarray(imagecodecs.jpeg_decode(data, bitspersample=head.bits))
            levels = samples.astype(np.float32) * np.float32(255 / (2**head.bits - 1))
        yield Frame(_rounded(levels), head.height, head.width)

    return Picture(head.width, head.height, frames(), lambda: 0)


def _tiff_frame(page: Any, data: bytes, *, name: str, limits: Limits) -> Frame:
    width, height = int(page.imagewidth), int(page.imagelength)
    check_pixels(width, height, name=name, limits=limits)
    _require_shown(page, name=name)
    _require_bounded(page, data, name=name, limits=limits)
    samples = np.asarray(page.asarray(squeeze=False, maxworkers=1))
    # (separate samples, depth, rows, columns, samples): one of the two is 1.
    samples = np.moveaxis(samples.reshape(page.shaped), 0, -1)[0]
    samples = samples.reshape(height, width, -1)
    return Frame(_shown(page, samples), height, width)


def _require_shown(page: Any, *, name: str) -> None:
    reason = ""
    if page.photometric not in _SHOWN:
        reason = "its colours are of a rare kind"
    elif page.samplesperpixel > _MAX_SAMPLES:
        reason = f"it has {page.samplesperpixel} samples a pixel"
    elif page.imagedepth != 1:
        reason = "it is a volume"
    elif page.photometric == tiff.LAB and page.sampleformat == 3:
        reason = "its colours are of a rare kind"
    elif page.compression not in _BOUNDED | set(_SIZES) | _DECODES_TO_RGB:
        reason = f"its compression {int(page.compression)} is not known"
    elif page.is_subsampled and page.compression not in _DECODES_TO_RGB:
        reason = "its colours are of another size than its brightness, without JPEG"
    elif page.samplesperpixel < _COLOURS.get(page.photometric, 1):
        reason = "it has too few samples a pixel"
    if reason:
        raise KindUnsupported(name=name, format="a TIFF", reason=reason)


def _require_bounded(page: Any, data: bytes, *, name: str, limits: Limits) -> None:
    """Refuse segments that are missing, or that could unfold beyond what the page declares."""
    width, height = int(page.imagewidth), int(page.imagelength)
    if page.nbytes > _MAX_BYTES_A_PIXEL * limits.max_pixels:
        raise ImageTooLarge(name=name, width=width, height=height, limit=limits.max_pixels)
    if page.is_tiled:
        columns, rows = int(page.tilewidth), int(page.tilelength)
    else:
        columns, rows = width, min(int(page.rowsperstrip), height)
    check_pixels(max(columns, 5), max(rows, 5), name=name, limits=limits)
    across, down = -(-width // max(columns, 1)), -(-height // max(rows, 1))
    needed = across * down * (page.samplesperpixel if page.planarconfig == 2 else 1)
    if len(page.dataoffsets) < needed or len(page.databytecounts) < needed:
        raise ImageTruncated(name=name)
    size_of = _SIZES.get(int(page.compression))
    if page.compression in _DECODES_TO_RGB:
        size_of = _jpeg_size
    for start, length in zip(page.dataoffsets, page.databytecounts, strict=False):
        if not length or start + length > len(data):
            raise ImageTruncated(name=name)
        if size_of is not None:
            found = size_of(data[start : start + min(length, 1 << 16)])
            if found[0] > columns or found[1] > rows + 15:
                raise KindUnsupported(name=name, format="a TIFF", reason="a part exceeds its page")


def _jpeg_size(segment: bytes) -> tuple[int, int]:
    head = frame_header(segment)
    return head.width, head.height


def _shown(page: Any, samples: NDArray[Any]) -> NDArray[np.uint8] | NDArray[np.float32]:
    """Turn stored samples into levels of grey, or of red, green and blue, on white."""
    kind = int(page.photometric)
    if kind == tiff.PALETTE:
        table = np.asarray(page.colormap, np.float32).T / np.float32(257)
        return _rounded(table[np.minimum(samples[:, :, 0], len(table) - 1)])
    bits = int(page.bitspersample)
    if samples.dtype == np.uint8 and bits == 8 and kind == tiff.RGB and samples.shape[2] == 3:
        return samples
    if samples.dtype.kind == "u" and bits <= 16:
        levels = samples.astype(np.float32) * np.float32(255 / (2**bits - 1))
    else:
        levels = levels_of(samples)
    colours = _COLOURS.get(kind, 1)
    colour, extra = levels[:, :, :colours], levels[:, :, colours:]
    if kind == tiff.LAB or (kind == tiff.YCBCR and page.compression not in _DECODES_TO_RGB):
        colour = colour[:, :, :1]  # its brightness
    if kind == tiff.WHITE_IS_0:
        colour = 255 - colour
    if kind == tiff.CMYK:
        colour = (255 - colour[:, :, :3]) * (255 - colour[:, :, 3:4]) / 255
    alpha_kinds = [int(value) for value in page.extrasamples]
    if alpha_kinds and alpha_kinds[0] in {_ASSOCIATED, _UNASSOCIATED} and extra.shape[2]:
        share = np.clip(extra[:, :, :1] / 255, 0, 1)
        paint = colour if alpha_kinds[0] == _ASSOCIATED else colour * share
        colour = paint + 255 * (1 - share)
    return _rounded(colour[:, :, 0] if colour.shape[2] == 1 else colour)


def _rounded(levels: NDArray[np.float32]) -> NDArray[np.uint8] | NDArray[np.float32]:
    """Grey keeps its fractions; colours are rounded, as all other readers give them."""
    if levels.ndim == 2:
        return np.ascontiguousarray(levels, np.float32)
    return np.clip(np.rint(levels), 0, 255).astype(np.uint8)
