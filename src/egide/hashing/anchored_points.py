"""Points of a picture that are found again in its edited copies, each with a size.

A point is where a difference of two degrees of blur is largest, or smallest, among its neighbours
in place and in blur: the middle of a light or dark spot of about that size.

Source: Lowe: Distinctive image features from scale-invariant keypoints, 2004, sections 3 and 4.
docs/explain/anchored-hashes.md has what differs and the numbers.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from egide.hashing.anchored_scales import Levels

    Extrema = Callable[[list[Levels]], "Fitted"]

MIN_CONTRAST = 12
"""Least difference of two degrees of blur, in sixteenths of a level."""
MAX_POINTS = 700
"""The strongest points that are looked at."""
SIZE_STEPS = 24
"""Sizes are told apart in this many steps an octave."""
PLACE_STEPS = 16
"""And places in this many a sample."""

_SIDE = 16.0
# A region's side, in samples of the picture searched, of a point of size 0: ten times its blur.
SIDE_UNITS = 64
"""Sides are in 64ths of a sample."""
SIDES = np.floor(SIDE_UNITS * _SIDE * 2.0 ** (np.arange(6 * SIZE_STEPS) / SIZE_STEPS) + 0.5).astype(
    np.int64
)
"""The side of the region of each size."""
_MIN_SHARE, _MAX_SHARE = 8, 75
# Of a region's side, in hundredths of the square root of the picture's area.

EDGE = 16.0
# At most so many times as curved in one direction as in the other, else it is an edge.
MAX_OFFSET = 1.0
OFFSET_USED = 0.6


class Fitted(NamedTuple):
    """Extrema of differences of blur, by level, row and column.

    Attributes:
        level, row, column: int64[n].
        contrast: the size of the difference, in sixteenths of a level, float64[n].
        across, down, scale: from there to the fitted extremum, in samples and levels, float64[n].
    """

    level: NDArray[np.int64]
    row: NDArray[np.int64]
    column: NDArray[np.int64]
    contrast: NDArray[np.float64]
    across: NDArray[np.float64]
    down: NDArray[np.float64]
    scale: NDArray[np.float64]


class Points(NamedTuple):
    """Points, the strongest first; all int64[n].

    Attributes:
        octave, level: where they were found; the level is 1 to 3.
        row, column: in samples of the octave.
        y, x: the same, in sixteenths of a sample and more exactly.
        size: the number of its size, from 0, over all octaves.
        strength: contrast times side.
    """

    octave: NDArray[np.int64]
    level: NDArray[np.int64]
    row: NDArray[np.int64]
    column: NDArray[np.int64]
    y: NDArray[np.int64]
    x: NDArray[np.int64]
    size: NDArray[np.int64]
    strength: NDArray[np.int64]

    def take(self, places: NDArray[np.intp] | slice) -> Points:
        """Some of the points."""
        return Points(*(each[places] for each in self))


def points(octaves: list[list[Levels]], extrema: Extrema | None = None) -> Points:
    """Find the points of a picture.

    Args:
        octaves: from `scales`.
        extrema: like `fitted_extrema`, which it is by default.
    """
    found = [
        _in_octave(number, (extrema or fitted_extrema)(octave))
        for number, octave in enumerate(octaves)
    ]
    every = Points(*(np.concatenate(each) for each in zip(*found, strict=True)))
    rows, columns = octaves[0][0].shape
    side = SIDES[every.size]
    area = SIDE_UNITS * SIDE_UNITS * rows * columns
    hundredths = 10_000 * side * side
    kept = (hundredths >= _MIN_SHARE**2 * area) & (hundredths <= _MAX_SHARE**2 * area)
    every = every.take(np.flatnonzero(kept))
    return every.take(np.argsort(-every.strength, kind="stable")[:MAX_POINTS])


def _in_octave(number: int, found: Fitted) -> Points:
    """Points of one octave, by level, row and column, in whole steps of place and size."""
    level, row, column, contrast, across, down, scale = found
    across, down, scale = (
        np.clip(each, -OFFSET_USED, OFFSET_USED) for each in (across, down, scale)
    )
    size = _floor(SIZE_STEPS / 3 * (level + scale) + 0.5) + SIZE_STEPS * number
    return Points(
        np.full(len(row), number),
        level,
        row,
        column,
        _floor(PLACE_STEPS * (row + down) + 0.5),
        _floor(PLACE_STEPS * (column + across) + 0.5),
        size,
        contrast.astype(np.int64) * SIDES[size],
    )


def fitted_extrema(octave: list[Levels]) -> Fitted:
    """The extrema of one octave's differences of blur, and where a fit puts them more exactly."""
    difference = np.array([more - less for less, more in pairwise(octave)])
    level, row, column = _extrema(difference)
    contrast, offsets, kept = _fitted(difference, level, row, column)
    across, down, scale = (each[kept] for each in offsets)
    return Fitted(level[kept], row[kept], column[kept], contrast[kept], across, down, scale)


def _extrema(
    difference: NDArray[np.float32],
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Where no neighbour in place or blur is larger, or none is smaller, and contrast is enough."""
    inner = difference[1:-1, 1:-1, 1:-1]
    most, least = _over_three(difference, np.maximum), _over_three(difference, np.minimum)
    level, row, column = np.nonzero(
        ((inner >= MIN_CONTRAST) & (inner == most)) | ((inner <= -MIN_CONTRAST) & (inner == least))
    )
    return level + 1, row + 1, column + 1


def _over_three(values: NDArray[np.float32], of_two: np.ufunc) -> NDArray[np.float32]:
    """The largest or smallest of each value and its neighbours, along all three axes in turn."""
    for middle, before, after in (
        (np.s_[1:-1], np.s_[:-2], np.s_[2:]),
        (np.s_[:, 1:-1], np.s_[:, :-2], np.s_[:, 2:]),
        (np.s_[:, :, 1:-1], np.s_[:, :, :-2], np.s_[:, :, 2:]),
    ):
        found = of_two(values[before], values[after])
        values = of_two(found, values[middle], out=found)
    return values


def _fitted(
    difference: NDArray[np.float32],
    level: NDArray[np.int64],
    row: NDArray[np.int64],
    column: NDArray[np.int64],
) -> tuple[NDArray[np.float64], tuple[NDArray[np.float64], ...], NDArray[np.bool_]]:
    """Fit a quadratic around each extremum.

    The order of the operations is part of the definition.

    Returns:
        the contrast; the offsets of the fitted extremum across, down and in blur, in samples and
        levels; and which are points: no edges, and not nearer to a neighbour.
    """

    def at(blur: int, down: int, across: int) -> NDArray[np.float64]:
        return difference[level + blur, row + down, column + across].astype(np.float64)

    here, right, left = at(0, 0, 0), at(0, 0, 1), at(0, 0, -1)
    below, above, more, less = at(0, 1, 0), at(0, -1, 0), at(1, 0, 0), at(-1, 0, 0)
    gx, gy, gs = (right - left) * 0.5, (below - above) * 0.5, (more - less) * 0.5
    xx, yy, ss = right + left - 2 * here, below + above - 2 * here, more + less - 2 * here
    xy = (at(0, 1, 1) - at(0, 1, -1) - at(0, -1, 1) + at(0, -1, -1)) * 0.25
    xs = (at(1, 0, 1) - at(1, 0, -1) - at(-1, 0, 1) + at(-1, 0, -1)) * 0.25
    ys = (at(1, 1, 0) - at(1, -1, 0) - at(-1, 1, 0) + at(-1, -1, 0)) * 0.25
    trace, flat = xx + yy, xx * yy - xy * xy
    kept = (flat > 0) & (trace * trace * EDGE < (EDGE + 1) * (EDGE + 1) * flat)
    whole = xx * (yy * ss - ys * ys) - xy * (xy * ss - ys * xs) + xs * (xy * ys - yy * xs)
    across = gx * (yy * ss - ys * ys) - xy * (gy * ss - ys * gs) + xs * (gy * ys - yy * gs)
    down = xx * (gy * ss - ys * gs) - gx * (xy * ss - ys * xs) + xs * (xy * gs - gy * xs)
    scale = xx * (yy * gs - gy * ys) - xy * (xy * gs - gy * xs) + gx * (xy * ys - yy * xs)
    known = whole != 0
    divisor = np.where(known, whole, 1.0)
    offsets = tuple(np.where(known, -each / divisor, 0.0) for each in (across, down, scale))
    for each in offsets:
        kept &= np.abs(each) <= MAX_OFFSET
    return np.abs(here), offsets, kept


def _floor(values: NDArray[np.float64]) -> NDArray[np.int64]:
    return np.floor(values).astype(np.int64)
