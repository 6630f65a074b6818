"""Find parts of a frame that look like pictures of their own, to hash them beside the whole.

Reposted pictures are often framed, captioned, or set beside others. The hash of the whole is then
far from that of the picture, but the hash of the right rectangle is near.
docs/decisions/0006-rectangles.md has the reasons and the numbers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from egide.domain.model import MAX_REGIONS, Rectangle
from egide.hashing.borders import FLAT_LEVELS, Box
from egide.hashing.pdq import luma
from egide.hashing.segments import find_segments

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from egide.media import Frame

DETECTION_SAMPLES = 256
"""The longest side of the grey picture that is searched for rectangles."""
MIN_REGION_PIXELS = 48
MIN_REGION_SHARE = 1 / 8
"""The least width and height of a region, as a share of the frame's long side."""
MIN_REGION_AREA_SHARE = 1 / 32
MAX_REGION_ASPECT = 4
"""A longer region is a line of text or a bar of buttons, unless it is a picture without borders."""
_WHOLE_SHARE = 0.98
_SAME_SHARE = 0.98
_NEAR_SHARE = 0.99
_NEARLY = 0.5
_FRAME_END = 0.15
_FRAME_PIXELS = 5
# A wider plain strip counts as the picture's own margin.
_RINGING = 3
_REFINED_LINES = 128


class FoundRegion(NamedTuple):
    """A region before it is hashed.

    Attributes:
        rectangle: in stored pixels.
        box: the same in samples of the frame's pixels.
        trimmed: whether it is the frame without its borders.
    """

    rectangle: Rectangle
    box: Box
    trimmed: bool


def find_regions(frame: Frame, limit: int = MAX_REGIONS) -> list[FoundRegion]:
    """Find the parts of a frame that may be pictures of their own.

    Args:
        frame: any; a frame with few pixels or no detail has no regions.
        limit: the most regions.

    Returns:
        first the frame without its borders, at most three times if borders are nested; then the
        others, largest first.
    """
    if limit <= 0:
        return []
    stride = -(-max(frame.pixels.shape[:2]) // DETECTION_SAMPLES)
    segments = find_segments(_levels(frame.pixels[::stride, ::stride]))
    segments.sort(key=lambda segment: (not segment.trimmed, -segment.box.area))
    found: list[FoundRegion] = []
    rows, columns = frame.pixels.shape[:2]
    for segment in segments:
        if len(found) == limit:
            break
        rough = _scaled(segment.box, stride, rows, columns)
        if not _is_picture_like(frame, _stored(frame, rough), trimmed=segment.trimmed):
            continue
        if any(_overlap(rough, other.box) > _NEAR_SHARE for other in found):
            continue
        box = _refined(frame.pixels, rough, stride)
        alike = any(_overlap(box, other.box) > _SAME_SHARE for other in found)
        if not alike and box.area <= _WHOLE_SHARE * rows * columns:
            found.append(FoundRegion(_stored(frame, box), box, segment.trimmed))
    return found


def _scaled(box: Box, stride: int, rows: int, columns: int) -> Box:
    return Box(
        min(box.top * stride, rows),
        min(box.left * stride, columns),
        min(box.bottom * stride, rows),
        min(box.right * stride, columns),
    )


def _levels(pixels: NDArray[np.uint8] | NDArray[np.float32]) -> NDArray[np.uint8]:
    """The brightness of each pixel as a whole number."""
    if pixels.ndim == 2 and pixels.dtype == np.uint8:
        return pixels  # type: ignore[return-value]
    return (luma(pixels) + np.float32(0.5)).astype(np.uint8)


def _refined(pixels: NDArray[np.uint8] | NDArray[np.float32], box: Box, stride: int) -> Box:
    """Move each side, known to within a sampling step, to the largest step of brightness."""
    rows, columns = pixels.shape[:2]
    top, left, bottom, right = box
    along_row = slice(left, right, -(-(right - left) // _REFINED_LINES))
    along_column = slice(top, bottom, -(-(bottom - top) // _REFINED_LINES))

    def row_cut(cut: int, *, inwards: bool) -> int:
        first, last = _window(cut, stride, rows, inwards=inwards)
        if cut in {0, rows}:
            return cut
        return first + _edge(pixels[first - 1 : last, along_row], inwards=inwards)

    def column_cut(cut: int, *, inwards: bool) -> int:
        first, last = _window(cut, stride, columns, inwards=inwards)
        if cut in {0, columns}:
            return cut
        lines = pixels[along_column, first - 1 : last].swapaxes(0, 1)
        return first + _edge(lines, inwards=inwards)

    return Box(
        row_cut(top, inwards=True),
        column_cut(left, inwards=True),
        row_cut(bottom, inwards=False),
        column_cut(right, inwards=False),
    )


def _window(cut: int, stride: int, length: int, *, inwards: bool) -> tuple[int, int]:
    """The possible range of an edge that was found at `cut`.

    JPEG ringing beside an edge makes lines of a border look busy, so the true edge is further in.
    Further out may be the neighbour across a gutter.
    """
    out, into = stride + 1, 2 * stride + _RINGING
    before, after = (out, into) if inwards else (into, out)
    return max(cut - before, 1), min(cut + after, length)


def _edge(lines: NDArray[np.uint8] | NDArray[np.float32], *, inwards: bool) -> int:
    """The line that a rectangle's edge is before; never the first one.

    Args:
        lines: shape (lines, samples) or (lines, samples, 3), across the edge.
        inwards: whether the rectangle contains the last line.

    Returns:
        the outermost line with nearly the largest step of brightness, or the end of a thin plain
        frame that begins there.
    """
    levels = _levels(lines)
    if not inwards:
        levels = levels[::-1]
    steps = np.abs(np.diff(levels.astype(np.int16), axis=0)).sum(1)
    edge = int((steps >= _NEARLY * steps.max()).argmax())
    ends = levels.shape[1] // 10
    middle = np.sort(levels[edge + 1 :], axis=1)
    # JPEG rings in a frame of few lines, so their colour is not quite uniform.
    busy = np.flatnonzero(middle[:, -1 - ends] - middle[:, ends] > FLAT_LEVELS)
    if len(busy) and 0 < busy[0] <= _FRAME_PIXELS:
        inner = edge + int(busy[0])
        # JPEG rings beside an edge, so the line before it may be busy already.
        if steps[inner : inner + 2].max() > _FRAME_END * steps[edge]:
            edge = inner
    return edge if inwards else len(levels) - 2 - edge


def _stored(frame: Frame, box: Box) -> Rectangle:
    left, top = box.left * frame.scale, box.top * frame.scale
    return Rectangle(
        left=left,
        top=top,
        width=min(box.right * frame.scale, frame.columns) - left,
        height=min(box.bottom * frame.scale, frame.rows) - top,
    )


def _is_picture_like(frame: Frame, rectangle: Rectangle, *, trimmed: bool) -> bool:
    short = min(rectangle.width, rectangle.height)
    long = max(rectangle.width, rectangle.height)
    least = max(MIN_REGION_PIXELS, MIN_REGION_SHARE * max(frame.rows, frame.columns))
    area = rectangle.width * rectangle.height
    large = short >= least and area >= MIN_REGION_AREA_SHARE * frame.rows * frame.columns
    return large and (trimmed or long <= MAX_REGION_ASPECT * short)


def _overlap(first: Box, second: Box) -> float:
    """The shared area as a share of the area of both together."""
    rows = min(first.bottom, second.bottom) - max(first.top, second.top)
    columns = min(first.right, second.right) - max(first.left, second.left)
    if rows <= 0 or columns <= 0:
        return 0.0
    return rows * columns / (first.area + second.area - rows * columns)
