"""Regions of a picture, each turned by the direction of its point, and their hashes.

The direction is where most of the brightness rises around the point. A point with two or more such
directions gives as many regions. docs/explain/anchored-hashes.md is the definition.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from egide.hashing.anchored_points import PLACE_STEPS, SIDE_UNITS, SIDES, SIZE_STEPS
from egide.hashing.anchored_scales import SAMPLED_SPAN, SEARCHED_SPAN

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from egide.hashing.anchored_points import Points
    from egide.hashing.anchored_scales import Scales

TURN = 512
"""Directions are told apart in so many steps a turn."""
DIRECTIONS = 36
MAX_DIRECTIONS = 4
"""Of one point."""
GRID = 32
"""Rows and columns of samples in a region."""
FREQUENCIES = 16
"""Frequencies kept in each direction, from 1, as in PDQ."""

RADII = np.floor((8.8 * 2.0 ** (np.arange(32) / SIZE_STEPS)) ** 2 + 0.5).astype(np.int64)
"""Squares of the radius around a point in which its direction is looked for: 5.5 times its blur."""
_REACH = 20
# The radius never reaches so many samples.
SHARE_OF_PEAK = 80
# Hundredths: a direction at least so strong as the strongest counts too.

FEW_LEVELS = 512
"""A region is drawn, not photographed, if four of its 64 bins of brightness hold more samples."""
LEVELS_A_BIN = 64
# In sixteenths of a level: four levels.

ALIKE_SIZES = 10
ALIKE_DIRECTIONS = 42
ALIKE_PLACES = 32
# A region is dropped beside a kept one of a like size and direction whose point is nearer than an
# eighth of the smaller side.

_CHUNK = 128
# Points whose regions are cut together.

TENS = np.floor(65536 * np.cos(np.radians(10.0 * np.arange(9))) + 0.5)
TENS_SINES = np.floor(65536 * np.sin(np.radians(10.0 * np.arange(9))) + 0.5)
ONE = 16384
"""Cosines and sines of directions are in 16384ths."""
COSINES = np.floor(ONE * np.cos(2 * math.pi * np.arange(TURN) / TURN) + 0.5)
SINES = np.floor(ONE * np.sin(2 * math.pi * np.arange(TURN) / TURN) + 0.5)
WAVES = np.floor(
    1024
    * np.cos(
        math.pi / (2 * GRID) * np.arange(1, FREQUENCIES + 1)[:, None] * (2 * np.arange(GRID) + 1)
    )
    + 0.5
)
"""The used rows of the cosine transform in 1024ths, shape (16, 32)."""


class Region(NamedTuple):
    """A kept region: its place, in 16ths of a sample of the picture searched, size, direction."""

    y: int
    x: int
    size: int
    direction: int


def region_codes(scales: Scales, points: Points, most: int) -> NDArray[np.uint8]:
    """The hashes of a picture's regions, the strongest point's first.

    Args:
        scales: of the picture.
        points: of the picture.
        most: regions to keep.

    Returns:
        shape (regions, 2, 32): of each region as it is, and mirrored.
    """
    kept: list[Region] = []
    codes: list[NDArray[np.uint8]] = []
    for start in range(0, len(points.size), _CHUNK):
        owner, direction = directions(scales, points.take(slice(start, start + _CHUNK)))
        regions = [
            Region(*place)
            for place in zip(*_placed(points.take(owner + start)), direction.tolist(), strict=True)
        ]
        apart = [region for region in regions if not _beside(region, kept)]
        if not apart:
            continue
        patches, fine = cut(scales, apart)
        of_patch, usable = patch_codes(patches)
        usable &= ~drawn(fine)
        for region, code, use in zip(apart, of_patch, usable.tolist(), strict=True):
            if use and not _beside(region, kept):
                kept.append(region)
                codes.append(code)
                if len(kept) == most:
                    return np.array(codes)
    return np.array(codes, np.uint8).reshape(-1, 2, 32)


def directions(scales: Scales, points: Points) -> tuple[NDArray[np.intp], NDArray[np.int64]]:
    """The directions of points.

    Returns:
        for each direction which point it is of, and the direction in 512ths of a turn, clockwise
        from the right; the strongest of a point first.
    """
    histogram = _rises(scales, points)
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


def _rises(scales: Scales, points: Points) -> NDArray[np.float64]:
    """How much brightness rises around each point in each of 36 directions, shape (n, 36)."""
    found = np.zeros((len(points.size), DIRECTIONS))
    window = np.arange(-_REACH, _REACH + 1)
    for octave, level in sorted({*zip(points.octave.tolist(), points.level.tolist(), strict=True)}):
        here = np.flatnonzero((points.octave == octave) & (points.level == level))
        levels = scales.octaves[octave][level].astype(np.float64)
        across = np.zeros_like(levels)
        down = np.zeros_like(levels)
        across[1:-1, 1:-1] = levels[1:-1, 2:] - levels[1:-1, :-2]
        down[1:-1, 1:-1] = levels[2:, 1:-1] - levels[:-2, 1:-1]
        length = np.floor(np.sqrt(across * across + down * down))
        bins = _bins(across, down)
        rows = points.row[here][:, None, None] + window[:, None]
        columns = points.column[here][:, None, None] + window
        square = RADII[points.size[here] - SIZE_STEPS * octave][:, None, None]
        apart = window[:, None] ** 2 + window**2
        inside = (apart < square) & (rows > 0) & (rows < levels.shape[0] - 1)
        inside &= (columns > 0) & (columns < levels.shape[1] - 1)
        of_point = np.nonzero(inside)[0]
        row, column = (np.broadcast_to(each, inside.shape)[inside] for each in (rows, columns))
        share = 1 - np.broadcast_to(apart / square, inside.shape)[inside]
        weight = np.floor(length[row, column] * share * share * 16 + 0.5)
        found[here] = np.bincount(
            of_point * DIRECTIONS + bins[row, column], weight, len(here) * DIRECTIONS
        ).reshape(-1, DIRECTIONS)
    return found


def _bins(across: NDArray[np.float64], down: NDArray[np.float64]) -> NDArray[np.int64]:
    """Which of 36 directions a rise points to: bin k is from 10k° up to 10(k + 1)°."""
    quarter = np.select(
        [(across > 0) & (down >= 0), (across <= 0) & (down > 0), (across < 0) & (down <= 0)],
        [0, 1, 2],
        3,
    )
    ahead = np.choose(quarter, [across, down, -across, -down])
    aside = np.choose(quarter, [down, -across, -down, across])
    bins = (9 * quarter).astype(np.int64)
    for step in range(1, 9):
        bins += aside * TENS[step] >= ahead * TENS_SINES[step]
    return bins


def _placed(points: Points) -> tuple[list[int], list[int], list[int]]:
    """Rows and columns, in 16ths of a sample of the picture searched, and sizes."""
    half = PLACE_STEPS // 2
    scale = np.int64(1) << points.octave
    return (
        (points.y * scale + half).tolist(),
        (points.x * scale + half).tolist(),
        points.size.tolist(),
    )


def _beside(region: Region, kept: list[Region]) -> bool:
    for other in kept:
        turned = abs(region.direction - other.direction)
        if (
            abs(region.size - other.size) <= ALIKE_SIZES
            and min(turned, TURN - turned) <= ALIKE_DIRECTIONS
            and ((region.y - other.y) ** 2 + (region.x - other.x) ** 2) * ALIKE_PLACES**2
            < SIDES[min(region.size, other.size)] ** 2
        ):
            return True
    return False


def cut(scales: Scales, regions: list[Region]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Sample regions, each turned so that its direction points to the right.

    Returns:
        in sixteenths of a level, whole numbers, shape (regions, 32, 32): the regions; and of the
        picture before it was halved the samples nearest to theirs.
    """
    patches, fine = np.empty((2, len(regions), GRID, GRID))
    y, x, size, direction = np.array(regions, np.int64).T
    number = picture_of_size(size, len(scales.halved))
    for level in np.unique(number).tolist():
        these = np.flatnonzero(number == level)
        patches[these], fine[these] = _sampled(
            scales, level, y[these], x[these], size[these], direction[these]
        )
    return patches, fine


def picture_of_size(size: NDArray[np.int64], pictures: int) -> NDArray[np.int64]:
    """Which of the halved pictures to sample: that whose samples are nearest to the region's."""
    ratio = SAMPLED_SPAN * SIDES[size]
    step = SEARCHED_SPAN * SIDE_UNITS * GRID
    number = np.zeros(len(size), np.int64)
    for level in range(pictures - 1):
        number += ratio * ratio >= 2 * 4**level * step * step
    return number


def _sampled(
    scales: Scales,
    level: int,
    y: NDArray[np.int64],
    x: NDArray[np.int64],
    size: NDArray[np.int64],
    direction: NDArray[np.int64],
) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
    """Sample regions of one halved picture, by operations whose order is part of the definition."""
    levels = scales.halved[level]
    rows, columns = levels.shape
    searched = scales.octaves[0][0].shape
    whole = scales.halved[0].shape
    shrunk = 0.5**level
    middle_y = y / PLACE_STEPS * whole[0] / searched[0] * shrunk - 0.5
    middle_x = x / PLACE_STEPS * whole[1] / searched[1] * shrunk - 0.5
    step = SIDES[size] / SIDE_UNITS * (SAMPLED_SPAN / SEARCHED_SPAN) / GRID * shrunk
    cosine, sine = COSINES[direction] / ONE * step, SINES[direction] / ONE * step
    lines = np.arange(GRID) - (GRID - 1) / 2
    across, down = lines[None, None, :], lines[None, :, None]
    cosine, sine, middle_x, middle_y = (
        each[:, None, None] for each in (cosine, sine, middle_x, middle_y)
    )
    at_x = _inside((middle_x + cosine * across) - sine * down, columns)
    at_y = _inside((middle_y + sine * across) + cosine * down, rows)
    column = np.minimum(at_x.astype(np.int64), columns - 2)
    row = np.minimum(at_y.astype(np.int64), rows - 2)
    part_x, part_y = at_x - column, at_y - row
    flat = levels.astype(np.float64).ravel()
    place = row * columns + column
    upper, lower = flat[place], flat[place + columns]
    upper = upper + (flat[place + 1] - upper) * part_x
    lower = lower + (flat[place + columns + 1] - lower) * part_x
    fine_x = np.minimum(((at_x + 0.5) / shrunk).astype(np.int64), whole[1] - 1)
    fine_y = np.minimum(((at_y + 0.5) / shrunk).astype(np.int64), whole[0] - 1)
    return np.floor(upper + (lower - upper) * part_y + 0.5), scales.halved[0][fine_y, fine_x]


def _inside(at: NDArray[np.float64], length: int) -> NDArray[np.float64]:
    """Mirror places beyond the edge back into the picture; those still outside go to the edge."""
    at = np.abs(at)
    return np.maximum(np.where(at > length - 1, 2 * (length - 1) - at, at), 0.0)


def drawn(fine: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which regions have few levels of brightness: text, logos, frames.

    Seen in samples that are not blurred: blur makes many levels of a black letter on white.
    """
    bins = fine.astype(np.int64).reshape(len(fine), -1) // LEVELS_A_BIN
    place = np.arange(len(fine))[:, None] * 64 + bins
    counts = np.bincount(place.ravel(), minlength=len(fine) * 64).reshape(-1, 64)
    counts.sort(axis=1)
    few: NDArray[np.bool_] = counts[:, -4:].sum(1) > FEW_LEVELS
    return few


def patch_codes(patches: NDArray[np.float64]) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Hash regions: the signs of 16×16 cosine coefficients against their median.

    Returns:
        shape (regions, 2, 32), most significant bit first, row frequencies first; mirrored is
        upside down. And which have as many coefficients above their median as below.
    """
    straight = np.matmul(np.matmul(WAVES, patches), WAVES.T)
    # Upside down, every second of the row frequencies changes its sign.
    mirrored = straight * np.where(np.arange(FREQUENCIES) % 2, 1.0, -1.0)[:, None]
    both = np.stack([straight, mirrored], 1).reshape(len(patches), 2, -1)
    bits = both > np.partition(both, 127, axis=2)[..., 127:128]
    usable: NDArray[np.bool_] = (bits.sum(2) == both.shape[2] // 2).all(1)
    return np.packbits(bits, axis=2), usable
