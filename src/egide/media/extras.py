"""Decoders that need an extra; see docs/decisions/0003-optional-decoders.md."""

from __future__ import annotations

import importlib
import io
import re
import struct
from typing import TYPE_CHECKING, Any

import numpy as np

from egide.errors import FormatUnsupported, ImageTruncated, KindUnsupported
from egide.media.formats import Format, ends_early
from egide.media.picture import (
    ANIMATION_BUDGET,
    Frame,
    Picture,
    check_pixels,
    explained,
    frame_of,
    positions,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from egide.domain.model import Limits

_SAMPLE_COUNTS = re.compile(rb"stsz.{8}(.{4})", re.DOTALL)
_MAX_JXL_FRAMES = 1 << 16
_MARKED_BYTES = 4096


def require(module: str, *, name: str, format: str, extra: str) -> Any:  # noqa: A002
    """Import a library that an extra brings.

    Raises:
        FormatUnsupported: it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise FormatUnsupported(name=name, format=format, extra=extra) from error


def decode_heic(data: bytes, *, name: str, limits: Limits) -> Picture:
    """Open HEIC with pi-heif: the primary picture, then the others."""
    heif = require("pi_heif", name=name, format="HEIC", extra="heic")
    file = heif.open_heif(data, convert_hdr_to_8bit=True)
    first = file.primary_index
    width, height = file[first].size
    check_pixels(width, height, name=name, limits=limits)
    if ends_early(data, Format.HEIC):
        # The decoder would silently fill the missing part with grey.
        raise ImageTruncated(name=name)
    order = [first, *(k for k in range(len(file)) if k != first)]
    chosen = positions(len(order), width * height, limits, in_order=False)
    # The frames of a sequence, which this library does not decode, begin with the still picture.
    sequence = max(_sequence_frames(data) - 1, 0)
    looked_at = 0

    def frames() -> Iterator[Frame]:
        nonlocal looked_at
        for position in chosen:
            with explained(name, data, Format.HEIC):
                frame = frame_of(file[order[position]].to_pillow())
            looked_at += 1
            yield frame

    return Picture(width, height, frames(), lambda: len(order) + sequence - looked_at)


def decode_jxl(data: bytes, *, name: str, limits: Limits) -> Picture:
    """Open JPEG XL: a still with pylibjxl, an animation with imagecodecs."""
    jxl = require("pylibjxl", name=name, format="JPEG XL", extra="jxl")
    header = jxl.probe(data)
    width, height = int(header["width"]), int(header["height"])
    check_pixels(width, height, name=name, limits=limits)
    if header["have_animation"]:
        codecs = require("imagecodecs", name=name, format="JPEG XL animation", extra="jxl")
        return _JxlAnimation(codecs, data, width, height, name, limits).picture()

    def frames() -> Iterator[Frame]:
        with explained(name, data, Format.JXL):
            frame = _of_samples(np.asarray(jxl.decode(data)))
        yield frame

    return Picture(width, height, frames(), lambda: 0)


class _JxlAnimation:
    """The frames of a JPEG XL. Its decoder does not say how many they are; so it is tried out."""

    def __init__(
        self, codecs: Any, data: bytes, width: int, height: int, name: str, limits: Limits
    ) -> None:
        self._codecs, self._data, self._name, self._limits = codecs, data, name, limits
        self._size = (width, height)
        with explained(name, data, Format.JXL):
            first = codecs.jpegxl_decode(data, index=0, numthreads=1)
        self._shape, self._dtype = first.shape, first.dtype

    def picture(self) -> Picture:
        width, height = self._size
        with explained(self._name, self._data, Format.JXL):
            count = self._count()
        chosen = positions(count, width * height, self._limits)
        looked_at = 0

        def frames() -> Iterator[Frame]:
            nonlocal looked_at
            with explained(self._name, self._data, Format.JXL):
                for samples in self._samples(chosen, count):
                    looked_at += 1
                    yield _of_samples(samples)

        return Picture(width, height, frames(), lambda: count - looked_at)

    def _samples(self, chosen: list[int], count: int) -> Iterator[NDArray[Any]]:
        width, height = self._size
        if count * width * height <= ANIMATION_BUDGET * self._limits.max_pixels:
            # All at once: one by one, each would need those before it again.
            every = self._codecs.jpegxl_decode(self._data, numthreads=1)
            every = every.reshape(count, *self._shape)
            yield from (every[k] for k in chosen)
        else:
            yield from (self._at(k)[0] for k in chosen)

    def _count(self) -> int:
        """Count the frames by bisection."""
        least, most = 1, 2
        while most < _MAX_JXL_FRAMES and self._at(most - 1)[1]:
            least, most = most, 2 * most
        while most - least > 1:
            middle = (least + most) // 2
            if self._at(middle - 1)[1]:
                least = middle
            else:
                most = middle
        return least

    def _at(self, position: int) -> tuple[NDArray[Any], bool]:
        """One frame, and whether there is one: beyond the last, the decoder writes nothing."""
        out = np.zeros(self._shape, self._dtype)
        start = out.reshape(-1).view(np.uint8)[:_MARKED_BYTES]
        marks = np.random.default_rng(position).integers(0, 256, len(start), np.uint8)
        start[:] = marks
        self._codecs.jpegxl_decode(self._data, index=position, numthreads=1, out=out)
        return out, not np.array_equal(start, marks)


def decode_raw(data: bytes, *, name: str, limits: Limits) -> tuple[bytes, Format]:
    """The largest preview inside a camera's raw photo, as every viewer shows it first.

    Returns:
        an image file, and its format.

    Raises:
        FormatUnsupported: the extra is not installed.
        KindUnsupported: there is no preview.
    """
    rawpy = require("rawpy", name=name, format=Format.RAW, extra="raw")
    with explained(name, data, None):
        try:
            with rawpy.imread(io.BytesIO(data)) as raw:
                found = raw.extract_thumb()
        except rawpy.LibRawError as error:
            raise KindUnsupported(
                name=name, format=Format.RAW, reason="no preview was found in it"
            ) from error
    if found.format == rawpy.ThumbFormat.JPEG:
        return bytes(found.data), Format.JPEG
    pixels = np.asarray(found.data)
    rows, columns = pixels.shape[:2]
    check_pixels(columns, rows, name=name, limits=limits)
    return b"P6 %d %d 255\n" % (columns, rows) + pixels.astype(np.uint8).tobytes(), Format.PPM


def _of_samples(samples: NDArray[Any]) -> Frame:
    from PIL import Image

    from egide.media.pixels import levels_of

    if samples.ndim == 3 and samples.shape[2] == 1:
        samples = samples[:, :, 0]
    if samples.dtype != np.uint8:
        samples = np.clip(np.rint(levels_of(samples)), 0, 255).astype(np.uint8)
    return frame_of(Image.fromarray(samples))


def _sequence_frames(data: bytes) -> int:
    """The frames that the longest track of an image sequence declares; 0 without tracks."""
    start = data.find(b"moov")
    if start < 0:
        return 0
    counts = (struct.unpack(">I", found)[0] for found in _SAMPLE_COUNTS.findall(data, start))
    return min(max(counts, default=0), len(data))
