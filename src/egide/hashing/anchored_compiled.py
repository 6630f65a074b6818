"""Blur, points and regions compiled by Numba: equal to NumPy's, code by code, in less time.

`anchored_scales`, `anchored_points` and `anchored_regions` are the readable form; the order of
operations is theirs. Importing this module compiles it, or loads what an earlier import compiled.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numba import njit

from egide.hashing.anchored_points import (
    EDGE,
    MAX_OFFSET,
    MIN_CONTRAST,
    PLACE_STEPS,
    SIDE_UNITS,
    SIDES,
    SIZE_STEPS,
    Fitted,
)
from egide.hashing.anchored_regions import (
    ALIKE_DIRECTIONS,
    ALIKE_PLACES,
    ALIKE_SIZES,
    COSINES,
    DIRECTIONS,
    FEW_LEVELS,
    FREQUENCIES,
    GRID,
    LEVELS_A_BIN,
    MAX_DIRECTIONS,
    ONE,
    RADII,
    SHARE_OF_PEAK,
    SINES,
    TENS,
    TENS_SINES,
    TURN,
    WAVES,
    picture_of_size,
)
from egide.hashing.anchored_scales import SAMPLED_SPAN, SEARCHED_SPAN

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from egide.hashing.anchored_points import Points
    from egide.hashing.anchored_scales import Levels, Scales

_BITS = FREQUENCIES * FREQUENCIES


def blurred(levels: Levels, kernel: tuple[int, ...]) -> Levels:
    """As `anchored_scales.blurred`."""
    weights = np.array(kernel, np.float32)
    both: Levels = _convolved(_convolved(levels, weights), weights)
    return both


@njit("float32[:,::1](float32[:,:], float32[::1])", cache=True, nogil=True)
def _convolved(levels, kernel):  # type: ignore[no-untyped-def]
    """Blur down the columns, and turn the result so that its rows are the columns."""
    rows, columns = levels.shape
    reach = len(kernel) // 2
    sums = np.empty(columns, np.float32)
    out = np.empty((columns, rows), np.float32)
    for row in range(rows):
        sums[:] = 0
        for place in range(len(kernel)):
            line = min(max(row + place - reach, 0), rows - 1)
            weight = kernel[place]
            for column in range(columns):
                sums[column] += weight * levels[line, column]
        for column in range(columns):
            out[column, row] = np.floor(sums[column] / np.float32(4096) + np.float32(0.5))
    return out


def fitted_extrema(difference: NDArray[np.float32]) -> Fitted:
    """As `anchored_points.fitted_extrema`."""
    found = _extrema(np.ascontiguousarray(difference))
    level, row, column = found[:, :3].astype(np.int64).T
    return Fitted(level, row, column, *found[:, 3:].T)


@njit("boolean(float32[:,:,::1], int64, int64, int64, float32)", cache=True, nogil=True)
def _is_extremum(difference, level, row, column, sign):  # type: ignore[no-untyped-def]
    here = sign * difference[level, row, column]
    for blur in (level, level - 1, level + 1):
        for down in (row - 1, row, row + 1):
            for across in (column - 1, column, column + 1):
                if sign * difference[blur, down, across] > here:
                    return False
    return True


@njit("float64[:,::1](float32[:,:,::1])", cache=True, nogil=True)
def _extrema(difference):  # type: ignore[no-untyped-def]
    _, rows, columns = difference.shape
    found = np.empty((256, 7))
    count = 0
    for level in range(1, 4):
        for row in range(1, rows - 1):
            for column in range(1, columns - 1):
                value = difference[level, row, column]
                if abs(value) < MIN_CONTRAST:
                    continue
                sign = np.float32(1 if value > 0 else -1)
                if not _is_extremum(difference, level, row, column, sign):
                    continue
                near = difference[level - 1 : level + 2, row - 1 : row + 2, column - 1 : column + 2]
                d = near.astype(np.float64)
                here = d[1, 1, 1]
                gx = (d[1, 1, 2] - d[1, 1, 0]) * 0.5
                gy = (d[1, 2, 1] - d[1, 0, 1]) * 0.5
                gs = (d[2, 1, 1] - d[0, 1, 1]) * 0.5
                xx = d[1, 1, 2] + d[1, 1, 0] - 2 * here
                yy = d[1, 2, 1] + d[1, 0, 1] - 2 * here
                ss = d[2, 1, 1] + d[0, 1, 1] - 2 * here
                xy = (d[1, 2, 2] - d[1, 2, 0] - d[1, 0, 2] + d[1, 0, 0]) * 0.25
                xs = (d[2, 1, 2] - d[2, 1, 0] - d[0, 1, 2] + d[0, 1, 0]) * 0.25
                ys = (d[2, 2, 1] - d[2, 0, 1] - d[0, 2, 1] + d[0, 0, 1]) * 0.25
                trace = xx + yy
                flat = xx * yy - xy * xy
                if flat <= 0 or trace * trace * EDGE >= (EDGE + 1) * (EDGE + 1) * flat:
                    continue
                whole = xx * (yy * ss - ys * ys) - xy * (xy * ss - ys * xs)
                whole += xs * (xy * ys - yy * xs)
                across = down = scale = 0.0
                if whole != 0:
                    across = gx * (yy * ss - ys * ys) - xy * (gy * ss - ys * gs)
                    across = -(across + xs * (gy * ys - yy * gs)) / whole
                    down = xx * (gy * ss - ys * gs) - gx * (xy * ss - ys * xs)
                    down = -(down + xs * (xy * gs - gy * xs)) / whole
                    scale = xx * (yy * gs - gy * ys) - xy * (xy * gs - gy * xs)
                    scale = -(scale + gx * (xy * ys - yy * xs)) / whole
                if max(abs(across), abs(down), abs(scale)) > MAX_OFFSET:
                    continue
                if count == len(found):
                    more = np.empty((2 * count, 7))
                    more[:count] = found
                    found = more
                found[count, 0] = level
                found[count, 1] = row
                found[count, 2] = column
                found[count, 3] = abs(here)
                found[count, 4] = across
                found[count, 5] = down
                found[count, 6] = scale
                count += 1
    return found[:count].copy()


def region_codes(scales: Scales, points: Points, most: int) -> NDArray[np.uint8]:
    """As `anchored_regions.region_codes`."""
    codes = np.zeros((most, 2, _BITS // 8), np.uint8)
    kept = np.empty((most, 4), np.int64)
    count = 0
    number = picture_of_size(np.arange(len(SIDES)), len(scales.halved))
    searched, whole = scales.octaves[0][0].shape, scales.halved[0].shape
    ratio = np.array([whole[0], searched[0], whole[1], searched[1]], np.float64)
    halved = [np.ascontiguousarray(each) for each in scales.halved]
    half = PLACE_STEPS // 2
    for octave, level, row, column, down, across, size, _ in zip(
        *(each.tolist() for each in points), strict=True
    ):
        levels = scales.octaves[octave][level]
        found = _directions(levels, row, column, RADII[size - SIZE_STEPS * octave])
        y, x = (down << octave) + half, (across << octave) + half
        for direction in found.tolist():
            picture = int(number[size])
            count = _keep(
                halved[picture],
                halved[0],
                ratio,
                0.5**picture,
                y,
                x,
                size,
                direction,
                kept,
                codes,
                count,
            )
            if count == most:
                return codes
    return codes[:count]


@njit("int64(float64, float64)", cache=True, nogil=True)
def _bin(across, down):  # type: ignore[no-untyped-def]
    if across > 0 and down >= 0:
        quarter, ahead, aside = 0, across, down
    elif across <= 0 and down > 0:
        quarter, ahead, aside = 1, down, -across
    elif across < 0 and down <= 0:
        quarter, ahead, aside = 2, -across, -down
    else:
        quarter, ahead, aside = 3, -down, across
    step = 0
    while step < 8 and aside * TENS[step + 1] >= ahead * TENS_SINES[step + 1]:
        step += 1
    return 9 * quarter + step


@njit("int64[::1](float32[:,:], int64, int64, int64)", cache=True, nogil=True)
def _directions(levels, row, column, square):  # type: ignore[no-untyped-def]
    histogram = np.zeros(DIRECTIONS)
    reach = int(math.sqrt(square)) + 1
    for down in range(-reach, reach + 1):
        y = row + down
        if y < 1 or y > levels.shape[0] - 2:
            continue
        for across in range(-reach, reach + 1):
            x = column + across
            apart = down * down + across * across
            if x < 1 or x > levels.shape[1] - 2 or apart >= square:
                continue
            rise_x = np.float64(levels[y, x + 1]) - np.float64(levels[y, x - 1])
            rise_y = np.float64(levels[y + 1, x]) - np.float64(levels[y - 1, x])
            length = math.floor(math.sqrt(rise_x * rise_x + rise_y * rise_y))
            share = 1 - apart / square
            if length > 0:
                weight = math.floor(length * share * share * 16 + 0.5)
                histogram[_bin(rise_x, rise_y)] += weight
    smooth = np.empty(DIRECTIONS)
    for place in range(DIRECTIONS):
        smooth[place] = (
            6 * histogram[place]
            + 4 * (histogram[place - 1] + histogram[(place + 1) % DIRECTIONS])
            + histogram[place - 2]
            + histogram[(place + 2) % DIRECTIONS]
        )
    least = smooth.max()
    found = np.empty(MAX_DIRECTIONS, np.int64)
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
    return found[:count].copy()


@njit("float64(float64, int64)", cache=True, nogil=True)
def _inside(at, length):  # type: ignore[no-untyped-def]
    at = abs(at)
    if at > length - 1:
        at = 2 * (length - 1) - at
    return max(at, 0.0)


@njit(
    "int64(float32[:,::1], float32[:,::1], float64[::1], float64, int64, int64, int64, int64,"
    " int64[:,::1], uint8[:,:,::1], int64)",
    cache=True,
    nogil=True,
)
def _keep(  # type: ignore[no-untyped-def]
    levels, whole, ratio, shrunk, y, x, size, direction, kept, codes, count
):
    """Cut and hash one region, and keep it unless it is beside another, drawn, or even."""
    for other in range(count):
        turned = abs(direction - kept[other, 3])
        apart_y, apart_x = y - kept[other, 0], x - kept[other, 1]
        side = SIDES[min(size, kept[other, 2])]
        if (
            abs(size - kept[other, 2]) <= ALIKE_SIZES
            and min(turned, TURN - turned) <= ALIKE_DIRECTIONS
            and (apart_y * apart_y + apart_x * apart_x) * ALIKE_PLACES * ALIKE_PLACES < side * side
        ):
            return count
    rows, columns = levels.shape
    middle_y = y / PLACE_STEPS * ratio[0] / ratio[1] * shrunk - 0.5
    middle_x = x / PLACE_STEPS * ratio[2] / ratio[3] * shrunk - 0.5
    step = SIDES[size] / SIDE_UNITS * (SAMPLED_SPAN / SEARCHED_SPAN) / GRID * shrunk
    cosine, sine = COSINES[direction] / ONE * step, SINES[direction] / ONE * step
    patch = np.empty((GRID, GRID))
    bins = np.zeros(64, np.int64)
    for line in range(GRID):
        down = line - (GRID - 1) / 2
        for place in range(GRID):
            across = place - (GRID - 1) / 2
            at_x = _inside((middle_x + cosine * across) - sine * down, columns)
            at_y = _inside((middle_y + sine * across) + cosine * down, rows)
            column = min(int(at_x), columns - 2)
            row = min(int(at_y), rows - 2)
            part_x, part_y = at_x - column, at_y - row
            upper, lower = np.float64(levels[row, column]), np.float64(levels[row + 1, column])
            upper = upper + (np.float64(levels[row, column + 1]) - upper) * part_x
            lower = lower + (np.float64(levels[row + 1, column + 1]) - lower) * part_x
            value = math.floor(upper + (lower - upper) * part_y + 0.5)
            patch[line, place] = value
            fine_x = min(int((at_x + 0.5) / shrunk), whole.shape[1] - 1)
            fine_y = min(int((at_y + 0.5) / shrunk), whole.shape[0] - 1)
            bins[int(whole[fine_y, fine_x]) // LEVELS_A_BIN] += 1
    bins.sort()
    if bins[60] + bins[61] + bins[62] + bins[63] > FEW_LEVELS:
        return count
    half = np.zeros((FREQUENCIES, GRID))
    for line in range(FREQUENCIES):
        for place in range(GRID):
            for column in range(GRID):
                half[line, column] += WAVES[line, place] * patch[place, column]
    both = np.zeros((2, _BITS))
    for line in range(FREQUENCIES):
        for wave in range(FREQUENCIES):
            total = 0.0
            for column in range(GRID):
                total += half[line, column] * WAVES[wave, column]
            both[0, line * FREQUENCIES + wave] = total
            both[1, line * FREQUENCIES + wave] = total if line % 2 else -total
    bits = np.zeros((2, _BITS // 8), np.uint8)
    for side in range(2):
        median = np.sort(both[side])[_BITS // 2 - 1]
        ones = 0
        for bit in range(_BITS):
            if both[side, bit] > median:
                ones += 1
                bits[side, bit >> 3] |= 128 >> (bit & 7)
        if ones != _BITS // 2:
            return count
    codes[count] = bits
    kept[count, 0] = y
    kept[count, 1] = x
    kept[count, 2] = size
    kept[count, 3] = direction
    return count + 1
