"""Blur and points compiled by Numba: equal to NumPy's, number by number, in less time.

`anchored_scales` and `anchored_points` are the readable form. Importing this module compiles it, or
loads what an earlier import compiled.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numba import njit, types

from egide.hashing.anchored_compiled_regions import region_codes
from egide.hashing.anchored_points import EDGE, MAX_OFFSET, MIN_CONTRAST, Fitted
from egide.hashing.anchored_scales import KERNELS, ONE_PIXEL, THOUSANDTHS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from egide.hashing.anchored_scales import Levels

__all__ = ["block_levels", "blurred", "fitted_extrema", "region_codes"]

_KERNELS = [np.array(kernel, np.float32) for kernel in KERNELS]
_HALF = np.float32(0.5)
_SHARE = np.float32(1 / 4096)
_CONTRAST = np.float32(MIN_CONTRAST)


def block_levels(pixels: NDArray[np.uint8], side: int) -> Levels:
    """As `anchored_scales.block_levels`."""
    colours = np.ascontiguousarray(pixels).reshape(*pixels.shape[:2], -1)
    weights = THOUSANDTHS if colours.shape[2] == 3 else np.array([1000.0, 0.0, 0.0])
    levels: Levels = _block_levels(colours, weights, side)
    return levels


@njit(
    types.float32[:, ::1](
        types.Array(types.uint8, 3, "C", readonly=True), types.float64[::1], types.int64
    ),
    cache=True,
    nogil=True,
    error_model="numpy",
)
def _block_levels(colours, weights, side):  # type: ignore[no-untyped-def]
    rows, columns, count = colours.shape[0] // side, colours.shape[1] // side, colours.shape[2]
    levels = np.empty((rows, columns), np.float32)
    if side == 1:
        red, green, blue = (weights * ONE_PIXEL).astype(np.float32)
        for row in range(rows):
            line, made = colours[row], levels[row]
            for column in range(columns):
                level = np.float32(line[column, 0]) * red
                if count == 3:
                    level += np.float32(line[column, 1]) * green
                    level += np.float32(line[column, 2]) * blue
                made[column] = np.floor(level + _HALF)
        return levels
    sums = np.empty(columns * side * count, np.int32)
    scaled = np.empty(columns)
    for row in range(rows):
        sums[:] = 0
        for each in range(row * side, (row + 1) * side):
            line = colours[each].ravel()
            for place in range(len(sums)):
                sums[place] += line[place]
        for column in range(columns):
            total = 0.0
            for colour in range(count):
                start = column * side * count + colour
                of_colour = 0
                for place in range(start, start + side * count, count):
                    of_colour += sums[place]
                total += weights[colour] * of_colour
            scaled[column] = 4 * total + 125 * side * side
        for column in range(columns):
            levels[row, column] = np.floor(scaled[column] / (250 * side * side))
    return levels


@njit(cache=True, nogil=True)
def _start(sums, line, weight):  # type: ignore[no-untyped-def]
    for place in range(len(sums)):
        sums[place] = line[place] * weight


@njit(cache=True, nogil=True, fastmath={"contract"})
def _add(sums, line, other, weight):  # type: ignore[no-untyped-def]
    for place in range(len(sums)):
        sums[place] += (line[place] + other[place]) * weight


@njit(cache=True, nogil=True)
def _round(sums):  # type: ignore[no-untyped-def]
    for place in range(len(sums)):
        sums[place] = np.floor(sums[place] * _SHARE + _HALF)


@njit(
    "float32[:,::1](float32[:,::1], float32[::1])",
    cache=True,
    nogil=True,
    error_model="numpy",
    fastmath={"contract"},
)
def _blurred(levels, kernel):  # type: ignore[no-untyped-def]
    """Blur line by line: down the columns into `inner`, and that along the row."""
    rows, columns = levels.shape
    reach = len(kernel) // 2
    found = np.empty((rows, columns), np.float32)
    padded = np.empty(columns + 2 * reach, np.float32)
    inner = padded[reach : reach + columns]
    for row in range(rows):
        _start(inner, levels[row], kernel[reach])
        for apart in range(1, reach + 1):
            above, below = levels[max(row - apart, 0)], levels[min(row + apart, rows - 1)]
            _add(inner, above, below, kernel[reach + apart])
        _round(inner)
        padded[:reach] = inner[0]
        padded[reach + columns :] = inner[-1]
        made = found[row]
        _start(made, inner, kernel[reach])
        for apart in range(1, reach + 1):
            left, right = padded[reach - apart :], padded[reach + apart :]
            _add(made, left, right, kernel[reach + apart])
        _round(made)
    return found


def blurred(levels: Levels, number: int) -> Levels:
    """As `anchored_scales.blurred`."""
    found: Levels = _blurred(levels, _KERNELS[number])
    return found


@njit(cache=True, nogil=True)
def _is_extremum(difference, level, row, column, sign):  # type: ignore[no-untyped-def]
    here = sign * difference[level, row, column]
    for blur in (level - 1, level + 1, level):
        for down in (row - 1, row, row + 1):
            for across in (column - 1, column, column + 1):
                if sign * difference[blur, down, across] > here:
                    return False
    return True


@njit(cache=True, nogil=True)
def _mark(above, line, below, marks):  # type: ignore[no-untyped-def]
    """Mark what may be an extremum by the neighbours in its own row and column."""
    left, middle, right = line[:-2], line[1:-1], line[2:]
    above, below = above[1:-1], below[1:-1]
    for place in range(len(middle)):
        value = middle[place]
        highest = max(left[place], right[place], above[place], below[place])
        lowest = min(left[place], right[place], above[place], below[place])
        marks[place] = ((value >= _CONTRAST) & (value >= highest)) | (
            (value <= -_CONTRAST) & (value <= lowest)
        )


@njit("float64[:,::1](UniTuple(float32[:,::1], 6))", cache=True, nogil=True, error_model="numpy")
def _extrema(octave):  # type: ignore[no-untyped-def]
    rows, columns = octave[0].shape
    difference = np.empty((5, rows, columns), np.float32)
    for level in range(5):
        for row in range(rows):
            more, less, made = octave[level + 1][row], octave[level][row], difference[level, row]
            for column in range(columns):
                made[column] = more[column] - less[column]
    found = np.empty((256, 7))
    count = 0
    marks = np.empty(columns - 2, np.bool_)
    for level in range(1, 4):
        for row in range(1, rows - 1):
            line = difference[level, row]
            _mark(difference[level, row - 1], line, difference[level, row + 1], marks)
            for place in range(columns - 2):
                if not marks[place]:
                    continue
                column = place + 1
                sign = np.float32(1 if line[column] > 0 else -1)
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


def fitted_extrema(octave: list[Levels]) -> Fitted:
    """As `anchored_points.fitted_extrema`."""
    found = _extrema(tuple(octave))
    level, row, column = found[:, :3].astype(np.int64).T
    return Fitted(level, row, column, *found[:, 3:].T)
