"""Directions of points: where most of the brightness rises around each.

docs/explain/anchored-hashes.md is the definition.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from egide.hashing.anchored_points import SIZE_STEPS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from egide.hashing.anchored_points import Points
    from egide.hashing.anchored_scales import Scales

TURN = 512
"""Directions are told apart in so many steps a turn."""
DIRECTIONS = 36
MAX_DIRECTIONS = 4
"""Of one point."""
RADII = np.floor((8.8 * 2.0 ** (np.arange(32) / SIZE_STEPS)) ** 2 + 0.5).astype(np.int64)
"""Squares of the radius around a point in which its direction is looked for: 5.5 times its blur."""
REACH = 20
"""No radius reaches further, in samples."""
SHARE_OF_PEAK = 80
# Hundredths: a direction at least so strong as the strongest counts too.

TENS = np.floor(65536 * np.cos(np.radians(10.0 * np.arange(9))) + 0.5)
TENS_SINES = np.floor(65536 * np.sin(np.radians(10.0 * np.arange(9))) + 0.5)
_COTANGENTS = [*(TENS[1:] / TENS_SINES[1:]), 0.0, *(-TENS_SINES[1:] / TENS[1:])]
# Of 10°, 20° and so on to 170°.


class Rises(NamedTuple):
    """How brightness rises at each sample of all the pictures that have points.

    Attributes:
        heights: 16 times how much; 0 beyond the edge.
        bins: in which direction.
        starts: of each octave and level, the place of the sample in the first row and column.
        width: from a sample to that below it.
    """

    heights: NDArray[np.float32]
    bins: NDArray[np.int8]
    starts: NDArray[np.int64]
    width: int


def rises(scales: Scales) -> Rises:
    """How brightness rises in a picture."""
    width = scales.octaves[0][0].shape[1] + 2 * REACH
    length = sum(3 * (len(octave[0]) + 2 * REACH) for octave in scales.octaves)
    heights, bins = np.zeros((length, width), np.float32), np.zeros((length, width), np.int8)
    starts = np.zeros((len(scales.octaves), 4), np.int64)
    top = REACH
    for number, octave in enumerate(scales.octaves):
        rows, columns = octave[0].shape
        for level in range(1, 4):
            levels = octave[level].astype(np.float64)
            across = levels[1:-1, 2:] - levels[1:-1, :-2]
            down = levels[2:, 1:-1] - levels[:-2, 1:-1]
            starts[number, level] = top * width + REACH
            inner = (
                slice(top + 1, top + rows - 1),
                slice(REACH + 1, REACH + columns - 1),
            )
            heights[inner] = 16 * np.floor(np.sqrt(across * across + down * down))
            bins[inner] = _bins(across, down)
            top += rows + 2 * REACH
    return Rises(heights.ravel(), bins.ravel(), starts, width)


def directions(rises: Rises, points: Points) -> tuple[NDArray[np.intp], NDArray[np.int64]]:
    """The directions of points.

    Returns:
        for each direction which point it is of, and the direction in 512ths of a turn, clockwise
        from the right; the strongest of a point first.
    """
    histogram = _histograms(rises, points)
    smooth = 6 * histogram
    for weight, shift in ((4, 1), (4, -1), (1, 2), (1, -2)):
        smooth += weight * np.roll(histogram, shift, 1)
    before, after = np.roll(smooth, 1, 1), np.roll(smooth, -1, 1)
    peaks = (smooth > before) & (smooth >= after)
    peaks &= smooth * 100 >= SHARE_OF_PEAK * smooth.max(1, keepdims=True)
    owner, place = np.nonzero(peaks)
    height, left, right = smooth[peaks], before[peaks], after[peaks]
    order = np.lexsort((place, -height, owner))
    owner, place = owner[order], place[order]
    height, left, right = height[order], left[order], right[order]
    offset = 0.5 * (left - right) / (left - 2 * height + right)
    direction = np.floor((place + 0.5 + offset) * TURN / DIRECTIONS + 0.5).astype(np.int64) % TURN
    among = np.arange(len(owner)) - np.searchsorted(owner, owner)
    return owner[among < MAX_DIRECTIONS], direction[among < MAX_DIRECTIONS]


def _bins(across: NDArray[np.float64], down: NDArray[np.float64]) -> NDArray[np.int8]:
    """Which of 36 directions a rise points to: bin k is from 10k° up to 10(k + 1)°."""
    # Two different quotients of such small whole numbers differ by more than rounding can hide.
    cotangent = np.full(down.shape, np.inf)
    np.divide(across, down, out=cotangent, where=down != 0)
    bins: NDArray[np.int8] = 18 * ((down < 0) | ((down == 0) & (across < 0))).view(np.int8)
    for limit in _COTANGENTS:
        bins += (cotangent <= limit).view(np.int8)
    return bins


def _histograms(rises: Rises, points: Points) -> NDArray[np.float64]:
    """How much brightness rises around each point in each of 36 directions, shape (n, 36)."""
    found = np.empty((len(points.size), DIRECTIONS))
    middle = rises.starts[points.octave, points.level] + points.row * rises.width + points.column
    square = RADII[points.size - SIZE_STEPS * points.octave]
    for each in np.unique(square).tolist():
        here = np.flatnonzero(square == each)
        down, across, share = _disc(each)
        place = middle[here][:, None] + (down * rises.width + across)
        weight = rises.heights.take(place) * share
        weight *= share
        weight += 0.5
        np.floor(weight, out=weight)
        bins = rises.bins.take(place) + DIRECTIONS * np.arange(len(here))[:, None]
        found[here] = np.bincount(bins.ravel(), weight.ravel(), len(here) * DIRECTIONS).reshape(
            -1, DIRECTIONS
        )
    return found


@lru_cache(maxsize=len(RADII))
def _disc(square: int) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float64]]:
    """Rows and columns of the samples around a point that count, and the shares of what they do."""
    window = np.arange(-REACH, REACH + 1)
    apart = window[:, None] ** 2 + window**2
    down, across = np.nonzero(apart < square)
    return down - REACH, across - REACH, 1 - apart[down, across] / square
