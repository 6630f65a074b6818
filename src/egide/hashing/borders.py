"""Remove what surrounds a picture: borders, words on them, blurred backgrounds."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

MIN_SIDE = 12
"""Samples; a smaller rectangle is not examined."""
FLAT_LEVELS = 16
"""Levels from the darkest to the brightest sample of a line that counts as one colour.

JPEG at quality 40 keeps a plain border within 1 level; of the 13 lines beside the picture, half are
within 2 and nine of ten within 31."""
TEXT_GROUND_SHARE = 0.62
"""The least share of a line's samples with the border's colour, beside or inside its words."""
BLUR_SHARE = 0.3
"""A row with less than this share of the picture's detail is smooth, like a blurred background."""
BLUR_EDGE_SHARE = 0.4
"""The least share of steps that stand out on an edge of the sharp part."""
_BUSY_LEVELS = 16
NEAR_LINES = 4
"""The error, in lines, of an edge that was found by its lines."""


class Box(NamedTuple):
    """A rectangle in samples; `bottom` and `right` are exclusive."""

    top: int
    left: int
    bottom: int
    right: int

    @property
    def rows(self) -> int:
        """Height in samples."""
        return self.bottom - self.top

    @property
    def columns(self) -> int:
        """Width in samples."""
        return self.right - self.left

    @property
    def area(self) -> int:
        """The number of samples."""
        return self.rows * self.columns


def trim(levels: NDArray[np.uint8], box: Box) -> Box:
    """Remove the outermost lines of one colour on each side: first rows, then columns."""
    top, left, bottom, right = box
    before, after = _border(levels[top:bottom, left:right])
    top, bottom = top + before, bottom - after
    if bottom - top < MIN_SIDE:
        return box
    before, after = _border(levels[top:bottom, left:right].T)
    return Box(top, left + before, bottom, right - after)


def ground_colour(levels: NDArray[np.uint8], outer: Box, inner: Box) -> int:
    """The colour of the border between two rectangles, next to the inner one."""
    if inner.top > outer.top:
        line = levels[inner.top - 1, inner.left : inner.right]
    elif inner.bottom < outer.bottom:
        line = levels[inner.bottom, inner.left : inner.right]
    elif inner.left > outer.left:
        line = levels[inner.top : inner.bottom, inner.left - 1]
    else:
        line = levels[inner.top : inner.bottom, inner.right]
    return int(np.median(line))


def without_text(levels: NDArray[np.uint8], box: Box, ground: int) -> Box:
    """Trim words on the border's colour that reach into the picture."""
    top, left, bottom, right = box
    part = levels[top:bottom, left:right]
    plain = np.maximum(part, ground) - np.minimum(part, ground) <= FLAT_LEVELS
    before, after = _run_of(plain.mean(1) > TEXT_GROUND_SHARE)
    top, bottom = top + before, bottom - after
    if bottom - top < MIN_SIDE:
        return box
    before, after = _run_of(plain[top - box.top : bottom - box.top].mean(0) > TEXT_GROUND_SHARE)
    return Box(top, left + before, bottom, right - after)


def _run_of(lines: NDArray[np.bool_]) -> tuple[int, int]:
    """The number of true values at the beginning and at the end; (0, 0) if all are true."""
    if lines.all():
        return 0, 0
    return int(lines.argmin()), int(lines[::-1].argmin())


def _border(lines: NDArray[np.uint8]) -> tuple[int, int]:
    """The number of lines of one colour at the beginning and at the end; (0, 0) if all are."""
    ends = lines[:: max(len(lines) - 1, 1)]
    if (ends.max(1) - ends.min(1)).min() > FLAT_LEVELS:
        return 0, 0
    low, high = lines.min(1), lines.max(1)
    return _run(low, high), _run(low[::-1], high[::-1])


def _run(low: NDArray[np.uint8], high: NDArray[np.uint8]) -> int:
    """The number of lines from the first on within one narrow range of levels."""
    lowest, highest = np.minimum.accumulate(low), np.maximum.accumulate(high)
    differs = highest - lowest > FLAT_LEVELS
    return int(differs.argmax()) if differs[-1] else 0


def busy_stretch(levels: NDArray[np.uint8]) -> tuple[int, int]:
    """The one stretch of rows with detail; all rows unless smooth rows are at its ends."""
    rows = len(levels)
    # For most pictures every eighth row is enough.
    if _has_detail(levels[::8]).mean() > 1 - 1 / 10:
        return 0, rows
    busy = np.flatnonzero(_has_detail(levels))
    if not len(busy):
        return 0, rows
    gaps = np.flatnonzero(np.diff(busy) > NEAR_LINES)
    starts, ends = busy[np.r_[0, gaps + 1]], busy[np.r_[gaps, len(busy) - 1]] + 1
    longest = int((ends - starts).argmax())
    first, last = int(starts[longest]), int(ends[longest])
    smooth = rows - (last - first)
    if smooth < rows // 6 or last - first < rows // 6 or len(busy) - (last - first) > smooth // 4:
        return 0, rows
    return first, last


def _has_detail(levels: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Which rows have detail: they are not much smoother than most."""
    before, after = levels[:, :-1], levels[:, 1:]
    steps = np.minimum(np.maximum(before, after) - np.minimum(before, after), _BUSY_LEVELS)
    detail = np.add.reduce(steps, axis=1, dtype=np.uint32)
    rank = 4 * len(levels) // 5
    busy: NDArray[np.bool_] = detail > BLUR_SHARE * np.partition(detail, rank)[rank]
    return busy


def clear_edges(marks: NDArray[np.bool_], first: int, last: int) -> tuple[int, int] | None:
    """The best vertical cuts near `first` and `last`, if enough steps stand out on both."""
    ends: list[int] = []
    for cut in (first, last):
        if cut in {0, marks.shape[1] - 1}:
            ends.append(cut)
            continue
        start = max(cut - NEAR_LINES, 0)
        share = marks[:, start : cut + NEAR_LINES + 1].mean(0)
        if share.max() < BLUR_EDGE_SHARE:
            return None
        ends.append(start + int(share.argmax()))
    return ends[0], ends[1]
