"""Regions compiled by Numba: equal to NumPy's, code by code, in less time.

`anchored_directions`, `anchored_patches` and `anchored_regions` are the readable form; the order of
operations is theirs.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numba import njit

from egide.hashing.anchored_directions import (
    DIRECTIONS,
    MAX_DIRECTIONS,
    RADII,
    REACH,
    SHARE_OF_PEAK,
    TENS,
    TENS_SINES,
    TURN,
)
from egide.hashing.anchored_patches import (
    COSINES,
    FEW_LEVELS,
    FREQUENCIES,
    GRID,
    LEVELS_A_BIN,
    ONE,
    SINES,
    WAVES,
    picture_of_size,
)
from egide.hashing.anchored_points import PLACE_STEPS, SIDE_UNITS, SIDES, SIZE_STEPS
from egide.hashing.anchored_regions import ALIKE_DIRECTIONS, ALIKE_PLACES, ALIKE_SIZES
from egide.hashing.anchored_scales import SAMPLED_SPAN, SEARCHED_SPAN

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from egide.hashing.anchored_points import Points
    from egide.hashing.anchored_scales import Levels, Scales

_BITS = FREQUENCIES * FREQUENCIES
_TENS, _TENS_SINES = TENS.astype(np.int32), TENS_SINES.astype(np.int32)
_COLUMNS = np.ascontiguousarray(WAVES.T)


@njit(cache=True, nogil=True)
def _picture(joined, shapes, number):  # type: ignore[no-untyped-def]
    rows, columns, start = shapes[number]
    return joined[start : start + rows * columns].reshape(rows, columns)


@njit(cache=True, nogil=True)
def _beside(region, kept, count):  # type: ignore[no-untyped-def]
    y, x, size, direction = region
    for other in range(count):
        turned = abs(direction - kept[other, 3])
        apart_y, apart_x = y - kept[other, 0], x - kept[other, 1]
        side = SIDES[min(size, kept[other, 2])]
        if (
            abs(size - kept[other, 2]) <= ALIKE_SIZES
            and min(turned, TURN - turned) <= ALIKE_DIRECTIONS
            and (apart_y * apart_y + apart_x * apart_x) * ALIKE_PLACES * ALIKE_PLACES < side * side
        ):
            return True
    return False


@njit(cache=True, nogil=True, error_model="numpy")
def _weigh(above, line, below, apart, square, weights, bins):  # type: ignore[no-untyped-def]
    """What the samples of a line add to the bins of directions, and which those are."""
    for place in range(len(weights)):
        across = np.int32(line[place + 2] - line[place])
        down = np.int32(below[place] - above[place])
        rise = np.float64(across) * across + np.float64(down) * down
        share = 1 - apart[place] / square
        weights[place] = math.floor(math.floor(math.sqrt(rise)) * share * share * 16 + 0.5)
        first_half = (down > 0) | ((down == 0) & (across > 0))
        turned = across <= 0 if first_half else across >= 0
        ahead, aside = abs(down if turned else across), abs(across if turned else down)
        number = np.int32((0 if first_half else 18) + (9 if turned else 0))
        for step in range(1, 9):
            number += np.int32(aside * _TENS[step] >= ahead * _TENS_SINES[step])
        bins[place] = number


@njit(cache=True, nogil=True, error_model="numpy")
def _directions(levels, row, column, square, found):  # type: ignore[no-untyped-def]
    """Find the directions of a point, the strongest first, and return how many there are."""
    rows, columns = levels.shape
    histogram = np.zeros(DIRECTIONS)
    weights, bins = np.empty(2 * REACH + 1), np.empty(2 * REACH + 1, np.int32)
    apart = np.empty(2 * REACH + 1)
    for y in range(max(row - REACH, 1), min(row + REACH + 1, rows - 1)):
        left = square - (y - row) ** 2
        if left <= 0:
            continue
        reach = int(math.sqrt(left))
        if reach * reach == left:
            reach -= 1
        start, stop = max(column - reach, 1), min(column + reach + 1, columns - 1)
        count = stop - start
        for place in range(count):
            apart[place] = (y - row) ** 2 + (start + place - column) ** 2
        _weigh(
            levels[y - 1, start:stop],
            levels[y, start - 1 : stop + 1],
            levels[y + 1, start:stop],
            apart,
            square,
            weights[:count],
            bins,
        )
        for place in range(count):
            histogram[bins[place]] += weights[place]
    smooth = np.empty(DIRECTIONS)
    for place in range(DIRECTIONS):
        smooth[place] = (
            6 * histogram[place]
            + 4 * (histogram[place - 1] + histogram[(place + 1) % DIRECTIONS])
            + histogram[place - 2]
            + histogram[(place + 2) % DIRECTIONS]
        )
    least = smooth.max()
    count = 0
    used = np.zeros(DIRECTIONS, np.bool_)
    while count < MAX_DIRECTIONS:
        best = -1
        for place in range(DIRECTIONS):
            height = smooth[place]
            if (
                not used[place]
                and height > smooth[place - 1]
                and height >= smooth[(place + 1) % DIRECTIONS]
                and height * 100 >= SHARE_OF_PEAK * least
                and (best < 0 or height > smooth[best])
            ):
                best = place
        if best < 0:
            break
        used[best] = True
        before, after = smooth[best - 1], smooth[(best + 1) % DIRECTIONS]
        offset = 0.5 * (before - after) / (before - 2 * smooth[best] + after)
        found[count] = math.floor((best + 0.5 + offset) * TURN / DIRECTIONS + 0.5) % TURN
        count += 1
    return count


@njit(cache=True, nogil=True)
def _inside(at, length):  # type: ignore[no-untyped-def]
    at = abs(at)
    return max(min(at, 2 * (length - 1) - at), 0.0)


@njit(cache=True, nogil=True, error_model="numpy")
def _cut(levels, whole, down_share, across_share, shrunk, region, patch, bins):  # type: ignore[no-untyped-def]
    """Sample a region, and count its samples by brightness before the picture was halved."""
    y, x, size, direction = region
    rows, columns = levels.shape
    middle_y = y / PLACE_STEPS * down_share[0] / down_share[1] * shrunk - 0.5
    middle_x = x / PLACE_STEPS * across_share[0] / across_share[1] * shrunk - 0.5
    step = SIDES[size] / SIDE_UNITS * (SAMPLED_SPAN / SEARCHED_SPAN) / GRID * shrunk
    cosine, sine = COSINES[direction] / ONE * step, SINES[direction] / ONE * step
    at_y, at_x = np.empty(GRID), np.empty(GRID)
    bins[:] = 0
    for line in range(GRID):
        down = line - (GRID - 1) / 2
        for place in range(GRID):
            across = place - (GRID - 1) / 2
            at_x[place] = _inside((middle_x + cosine * across) - sine * down, columns)
            at_y[place] = _inside((middle_y + sine * across) + cosine * down, rows)
        made = patch[line]
        for place in range(GRID):
            column = min(int(at_x[place]), columns - 2)
            row = min(int(at_y[place]), rows - 2)
            part_x, part_y = at_x[place] - column, at_y[place] - row
            near, next_line = levels[row, column:], levels[row + 1, column:]
            upper, lower = np.float64(near[0]), np.float64(next_line[0])
            upper = upper + (np.float64(near[1]) - upper) * part_x
            lower = lower + (np.float64(next_line[1]) - lower) * part_x
            made[place] = upper + (lower - upper) * part_y + 0.5
            fine_x = min(int((at_x[place] + 0.5) / shrunk), whole.shape[1] - 1)
            fine_y = min(int((at_y[place] + 0.5) / shrunk), whole.shape[0] - 1)
            bins[int(whole[fine_y, fine_x]) // LEVELS_A_BIN] += 1
        for place in range(GRID):
            made[place] = math.floor(made[place])


@njit(cache=True, nogil=True)
def _add(sums, line, weight):  # type: ignore[no-untyped-def]
    for place in range(len(sums)):
        sums[place] += line[place] * weight


@njit(cache=True, nogil=True)
def _hashed(patch, codes):  # type: ignore[no-untyped-def]
    """Hash samples, as they are and mirrored; False unless half of the bits of both are 1."""
    lines = np.zeros((FREQUENCIES, GRID))
    for place in range(GRID // 2):
        # A wave is the same on both sides of the middle, or has the other sign there.
        first, last = patch[place], patch[GRID - 1 - place]
        apart, both = first - last, first + last
        for wave in range(0, FREQUENCIES, 2):
            _add(lines[wave], apart, WAVES[wave, place])
            _add(lines[wave + 1], both, WAVES[wave + 1, place])
    coefficients = np.zeros((FREQUENCIES, FREQUENCIES))
    for line in range(FREQUENCIES):
        for column in range(GRID):
            _add(coefficients[line], _COLUMNS[column], lines[line, column])
    for side in range(2):
        values = coefficients.ravel()
        median = np.partition(values, _BITS // 2 - 1)[_BITS // 2 - 1]
        ones = 0
        for byte in range(_BITS // 8):
            bits = 0
            for bit in range(8):
                bits = 2 * bits + (values[8 * byte + bit] > median)
                ones += values[8 * byte + bit] > median
            codes[side, byte] = bits
        if ones != _BITS // 2:
            return False
        # Upside down, every second of the row frequencies changes its sign.
        coefficients[::2] *= -1
    return True


@njit(
    "uint8[:,:,::1](float32[::1], int64[:,::1], float32[::1], int64[:,::1], int64[::1],"
    " int64[:,::1], int64)",
    cache=True,
    nogil=True,
    error_model="numpy",
)
def _region_codes(octaves, of_octaves, halved, of_halved, pictures, points, most):  # type: ignore[no-untyped-def]
    codes = np.zeros((most, 2, _BITS // 8), np.uint8)
    kept = np.empty((most, 4), np.int64)
    found = np.empty(MAX_DIRECTIONS, np.int64)
    patch, bins = np.empty((GRID, GRID)), np.empty(64, np.int64)
    whole = _picture(halved, of_halved, 0)
    down_share = whole.shape[0], of_octaves[0, 0]
    across_share = whole.shape[1], of_octaves[0, 1]
    half = PLACE_STEPS // 2
    count = 0
    for point in range(len(points)):
        octave, level, row, column, down, across, size, _ = points[point]
        levels = _picture(octaves, of_octaves, 3 * octave + level - 1)
        square = RADII[size - SIZE_STEPS * octave]
        y, x = (down << octave) + half, (across << octave) + half
        for place in range(_directions(levels, row, column, square, found)):
            region = y, x, size, found[place]
            if _beside(region, kept, count):
                continue
            picture = pictures[size]
            _cut(
                _picture(halved, of_halved, picture),
                whole,
                down_share,
                across_share,
                0.5**picture,
                region,
                patch,
                bins,
            )
            bins.sort()
            if bins[-4:].sum() > FEW_LEVELS or not _hashed(patch, codes[count]):
                continue
            kept[count, 0], kept[count, 1], kept[count, 2], kept[count, 3] = region
            count += 1
            if count == most:
                return codes
    return codes[:count].copy()


def region_codes(scales: Scales, points: Points, most: int) -> NDArray[np.uint8]:
    """As `anchored_regions.region_codes`."""
    octaves, of_octaves = _joined(
        [octave[level] for octave in scales.octaves for level in (1, 2, 3)]
    )
    halved, of_halved = _joined(scales.halved)
    codes: NDArray[np.uint8] = _region_codes(
        octaves,
        of_octaves,
        halved,
        of_halved,
        picture_of_size(np.arange(len(SIDES)), len(scales.halved)),
        np.stack(points, 1),
        most,
    )
    return codes


def _joined(pictures: list[Levels]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Pictures in one array, and of each its rows, columns and place in that."""
    shapes = np.array([[*picture.shape, picture.size] for picture in pictures])
    shapes[:, 2] = shapes[:, 2].cumsum() - shapes[:, 2]
    return np.concatenate([picture.ravel() for picture in pictures]), shapes
