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
_SLOPES = TENS_SINES[1:] / TENS[1:]
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
def _weigh(across, down, apart, square, weights, bins):  # type: ignore[no-untyped-def]
    """What samples add to the bins of directions, and which those are."""
    for place in range(len(weights)):
        right, below = across[place], down[place]
        share = 1 - apart[place] / square
        length = np.floor(np.sqrt(right * right + below * below))
        weights[place] = np.floor(length * share * share * 16 + 0.5)
        second_half = (below < 0) | ((below == 0) & (right <= 0))
        turned = (right >= 0) if second_half else (right <= 0)
        right, below = abs(right), abs(below)
        # As in `anchored_directions`, rounding hides no difference of quotients.
        slope = (right if turned else below) / max(below if turned else right, 1.0)
        number = (18.0 if second_half else 0.0) + (9.0 if turned else 0.0)
        for step in range(8):
            number += 1.0 if slope >= _SLOPES[step] else 0.0
        bins[place] = np.int32(number)


@njit(cache=True, nogil=True)
def _rises(levels, row, column, square, across, down, apart):  # type: ignore[no-untyped-def]
    """Collect how brightness rises around a point, and return of how many samples."""
    rows, columns = levels.shape
    count = 0
    for y in range(max(row - REACH, 1), min(row + REACH + 1, rows - 1)):
        left = square - (y - row) ** 2 - 1
        if left < 0:
            continue
        reach = int(math.sqrt(left))
        start, stop = max(column - reach, 1), min(column + reach + 1, columns - 1)
        line, above, below = levels[y, start - 1 :], levels[y - 1, start:], levels[y + 1, start:]
        of_line = across[count:], down[count:], apart[count:]
        for place in range(stop - start):
            of_line[0][place] = line[place + 2] - line[place]
            of_line[1][place] = below[place] - above[place]
            of_line[2][place] = (y - row) ** 2 + (start - column + place) ** 2
        count += stop - start
    return count


@njit(cache=True, nogil=True, error_model="numpy")
def _directions(levels, row, column, square, space, bins, found):  # type: ignore[no-untyped-def]
    """Find the directions of a point, the strongest first, and return how many there are."""
    # Taken out of `space` in one statement, the rows would not be known to be contiguous.
    across, down, apart = space[0], space[1], space[2]
    count = _rises(levels, row, column, square, across, down, apart)
    weights = space[3, :count]
    _weigh(across, down, apart, square, weights, bins)
    ring = np.zeros(DIRECTIONS + 4)
    for place in range(count):
        ring[np.uint32(bins[place] + 2)] += weights[place]
    ring[:2], ring[-2:] = ring[-4:-2], ring[2:4]
    smooth = np.empty(DIRECTIONS + 2)
    for place in range(1, DIRECTIONS + 1):
        beside, apart_two = ring[place] + ring[place + 2], ring[place - 1] + ring[place + 3]
        smooth[place] = 6 * ring[place + 1] + 4 * beside + apart_two
    smooth[0], smooth[-1] = smooth[-2], smooth[1]
    least = SHARE_OF_PEAK * smooth.max()
    count = 0
    for place in range(1, DIRECTIONS + 1):
        height = smooth[place]
        if height > smooth[place - 1] and height >= smooth[place + 1] and height * 100 >= least:
            # The highest come first.
            at = count
            while at > 0 and height > smooth[found[at - 1]]:
                if at < MAX_DIRECTIONS:
                    found[at] = found[at - 1]
                at -= 1
            if at < MAX_DIRECTIONS:
                found[at] = place
                count = min(count + 1, MAX_DIRECTIONS)
    for each in range(count):
        best = found[each]
        before, after = smooth[best - 1], smooth[best + 1]
        offset = 0.5 * (before - after) / (before - 2 * smooth[best] + after)
        found[each] = math.floor((best - 0.5 + offset) * TURN / DIRECTIONS + 0.5) % TURN
    return count


@njit(cache=True, nogil=True)
def _inside(at, length):  # type: ignore[no-untyped-def]
    at = abs(at)
    return max(min(at, 2.0 * (length - 1) - at), 0.0)


@njit(cache=True, nogil=True, error_model="numpy")
def _cut(levels, whole, fine, down_share, across_share, halvings, region, patch, bins):  # type: ignore[no-untyped-def]
    """Sample a region, and count its samples by brightness before the picture was halved."""
    y, x, size, direction = region
    rows, columns = levels.shape
    shrunk, grown = 0.5**halvings, 2.0**halvings
    middle_y = y / PLACE_STEPS * down_share[0] / down_share[1] * shrunk - 0.5
    middle_x = x / PLACE_STEPS * across_share[0] / across_share[1] * shrunk - 0.5
    step = SIDES[size] / SIDE_UNITS * (SAMPLED_SPAN / SEARCHED_SPAN) / GRID * shrunk
    cosine, sine = COSINES[direction] / ONE * step, SINES[direction] / ONE * step
    part_y, part_x = np.empty(GRID), np.empty(GRID)
    corners = np.empty((4, GRID), np.float32)
    places, fine_places = np.empty(GRID, np.int32), np.empty(GRID, np.int32)
    samples = levels.ravel()
    below = samples[columns:]
    across = np.arange(GRID) - (GRID - 1) / 2
    across_x, across_y = middle_x + cosine * across, middle_y + sine * across
    bins[:] = 0
    for line in range(GRID):
        down = line - (GRID - 1) / 2
        for place in range(GRID):
            at_x = _inside(across_x[place] - sine * down, columns)
            at_y = _inside(across_y[place] + cosine * down, rows)
            column = min(np.floor(at_x), columns - 2.0)
            row = min(np.floor(at_y), rows - 2.0)
            part_x[place], part_y[place] = at_x - column, at_y - row
            places[place] = np.int32(row * columns + column)
            fine_x = min(np.floor((at_x + 0.5) * grown), whole[1] - 1.0)
            fine_y = min(np.floor((at_y + 0.5) * grown), whole[0] - 1.0)
            fine_places[place] = np.int32(fine_y * whole[1] + fine_x)
        made = patch[line]
        for place in range(GRID):
            here, beside = np.uint32(places[place]), np.uint32(places[place] + 1)
            corners[0, place], corners[1, place] = samples[here], samples[beside]
            corners[2, place], corners[3, place] = below[here], below[beside]
        for place in range(GRID):
            upper, lower = np.float64(corners[0, place]), np.float64(corners[2, place])
            upper = upper + (np.float64(corners[1, place]) - upper) * part_x[place]
            lower = lower + (np.float64(corners[3, place]) - lower) * part_x[place]
            made[place] = np.floor(upper + (lower - upper) * part_y[place] + 0.5)
        for place in range(GRID):
            bins[np.uint32(fine[np.uint32(fine_places[place])])] += 1


@njit(cache=True, nogil=True)
def _halving(values):  # type: ignore[no-untyped-def]
    """A whole number that half of the values are over, and half are not; or one over all."""
    low, high = values.min() - 1, values.max()
    while high - low > 1:
        middle = np.floor((low + high) / 2)
        over = 0
        for place in range(_BITS):
            over += values[place] > middle
        if over == _BITS // 2:
            return middle
        if over > _BITS // 2:
            low = middle
        else:
            high = middle
    return values.max()


@njit(cache=True, nogil=True, fastmath={"contract"})
def _hashed(patch, codes):  # type: ignore[no-untyped-def]
    """Hash samples, as they are and mirrored; False unless half of the bits of both are 1."""
    lines = np.zeros((FREQUENCIES, GRID))
    apart, both = np.empty(GRID), np.empty(GRID)
    for place in range(GRID // 2):
        # A wave is the same on both sides of the middle, or has the other sign there.
        for column in range(GRID):
            apart[column] = patch[place, column] - patch[GRID - 1 - place, column]
            both[column] = patch[place, column] + patch[GRID - 1 - place, column]
        for wave in range(FREQUENCIES // 2):
            odd, even = WAVES[2 * wave, place], WAVES[2 * wave + 1, place]
            for column in range(GRID):
                lines[2 * wave, column] += odd * apart[column]
                lines[2 * wave + 1, column] += even * both[column]
    coefficients = np.zeros((FREQUENCIES, FREQUENCIES))
    for line in range(FREQUENCIES):
        for column in range(GRID):
            weight = lines[line, column]
            for wave in range(FREQUENCIES):
                coefficients[line, wave] += weight * _COLUMNS[column, wave]
    for side in range(2):
        values = coefficients.ravel()
        middle = _halving(values)
        ones = 0
        for byte in range(_BITS // 8):
            bits = 0
            for bit in range(8):
                over = values[8 * byte + bit] > middle
                bits = 2 * bits + over
                ones += over
            codes[side, byte] = bits
        if ones != _BITS // 2:
            return False
        # Upside down, every second of the row frequencies changes its sign.
        for line in range(0, FREQUENCIES, 2):
            for wave in range(FREQUENCIES):
                coefficients[line, wave] = -coefficients[line, wave]
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
    window = (2 * REACH + 1) ** 2
    space, of_samples = np.empty((4, window)), np.empty(window, np.int32)
    whole = of_halved[0, 0], of_halved[0, 1]
    fine = np.empty(whole[0] * whole[1], np.uint8)
    for place in range(len(fine)):
        fine[place] = np.uint8(halved[place] * np.float32(1 / LEVELS_A_BIN))
    down_share = whole[0], of_octaves[0, 0]
    across_share = whole[1], of_octaves[0, 1]
    half = PLACE_STEPS // 2
    count = 0
    for point in range(len(points)):
        octave, level, row, column, down, across, size, _ = points[point]
        levels = _picture(octaves, of_octaves, 3 * octave + level - 1)
        square = RADII[size - SIZE_STEPS * octave]
        y, x = (down << octave) + half, (across << octave) + half
        for place in range(_directions(levels, row, column, square, space, of_samples, found)):
            region = y, x, size, found[place]
            if _beside(region, kept, count):
                continue
            picture = pictures[size]
            _cut(
                _picture(halved, of_halved, picture),
                whole,
                fine,
                down_share,
                across_share,
                picture,
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
