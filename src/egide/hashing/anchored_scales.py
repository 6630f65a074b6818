"""A picture in normal size and in many degrees of blur, in whole numbers.

Anchored hashes are equal in every implementation because everything here is a whole number:
brightness in sixteenths of a level, weights in 4096ths, each pass rounded half up. Sums of them
stay under 2²⁴, so single precision adds them without rounding, in any order. So lines are weighed
by small products of matrices, of which each has the weights of a few neighbouring lines.
docs/explain/anchored-hashes.md is the definition, with its reasons.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from egide.hashing.pdq import Pixels

    Levels = NDArray[np.float32]
    """Brightness in sixteenths of a level, 0–4080, whole numbers, shape (rows, columns)."""
    Matrix = NDArray[np.float32]
    Blocks = Callable[[NDArray[np.uint8], int], Levels]
    Blur = Callable[[Levels, int], Levels]

SAMPLED_SPAN = 384
"""Square root of the area, in samples, of the picture that regions are cut from."""
SEARCHED_SPAN = 256
"""The same of the picture in which points are looked for."""
MIN_SIDE = 16
"""A picture with a shorter side has no anchored hashes."""
MAX_ASPECT = 10
"""Nor has a longer strip."""
_OCTAVES = 5
_MIN_OCTAVE_SIDE = 12
_MIN_HALVED_SIDE = 24
_DOUBLED = 3
# The level of an octave with twice the blur of its first.
_ONE = 4096
_BAND = 16
# Lines that are made by one product of matrices: more would multiply by more zeros.
_LARGE_BLOCK = 64
# The colours of so many pixels may sum to more than single precision holds.
_STRIP_PIXELS = 1 << 16
# Pixels whose brightness is found together: they stay in the processor's cache.

KERNELS = (
    (5, 34, 153, 452, 866, 1076, 866, 452, 153, 34, 5),
    (7, 67, 352, 956, 1332, 956, 352, 67, 7),
    (6, 37, 161, 458, 858, 1056, 858, 458, 161, 37, 6),
    (7, 31, 102, 256, 496, 736, 840, 736, 496, 256, 102, 31, 7),
    (3, 11, 33, 83, 176, 315, 478, 613, 672, 613, 478, 315, 176, 83, 33, 11, 3),
    (3, 8, 19, 41, 80, 143, 229, 330, 429, 502, 528, 502, 429, 330, 229, 143, 80, 41, 19, 8, 3),
)
"""Weights in 4096ths, of normal distributions. The first has a standard deviation of 1.52 samples,
which makes 1.6 with the half sample that a picture is taken to have. Each further one adds a third
of an octave."""


THOUSANDTHS = np.array([299.0, 587.0, 114.0])
"""What red, green and blue weigh in brightness."""
ONE_PIXEL = 0.016
"""From thousandths to sixteenths of a level, in blocks of one pixel. In single precision a sum errs
by less than 0.001, and with the half that is added none is nearer than 0.004 to a whole number."""


class Scales(NamedTuple):
    """One picture, normalised and blurred.

    Attributes:
        octaves: of each octave its six levels, each octave half as large as the one before.
        halved: the picture that regions are cut from, and its halves, quarters and so on.
    """

    octaves: list[list[Levels]]
    halved: list[Levels]


def scales(pixels: Pixels, blocks: Blocks | None = None, blur: Blur | None = None) -> Scales | None:
    """Normalise and blur a picture.

    Args:
        pixels: of any size.
        blocks: like `block_levels`, which it is by default.
        blur: like `blurred`, which it is by default.

    Returns:
        None for a picture with too short a side, or a strip.
    """
    rows, columns = pixels.shape[:2]
    if min(rows, columns) < MIN_SIDE or max(rows, columns) > MAX_ASPECT * min(rows, columns):
        return None
    colours = np.clip(np.rint(pixels), 0, 255) if pixels.dtype != np.uint8 else pixels
    side = max(math.isqrt(rows * columns) // (2 * SAMPLED_SPAN), 1)
    levels = (blocks or block_levels)(colours.astype(np.uint8, copy=False), side)
    sampled = _scaled(levels, *_size(levels.shape, SAMPLED_SPAN))
    searched = _scaled(sampled, *_size(levels.shape, SEARCHED_SPAN))
    return Scales(_octaves(searched, blur or blurred), _halved(sampled))


def block_levels(pixels: NDArray[np.uint8], side: int) -> Levels:
    """Brightness of a picture's blocks of `side` pixels in both directions."""
    colours = pixels if pixels.ndim == 3 else pixels[..., None]
    weights = THOUSANDTHS if colours.shape[2] == 3 else np.array([1000.0])
    down, across = colours.shape[0] // side, colours.shape[1] // side
    levels = np.empty((down, across), np.float32)
    exact = np.float32 if side < _LARGE_BLOCK else np.float64
    block = np.tile(weights * (ONE_PIXEL if side == 1 else 1), side).astype(exact)
    strip = max(_STRIP_PIXELS // (side * side * across), 1)
    for start in range(0, down, strip):
        rows = colours[start * side : min(start + strip, down) * side, : across * side]
        lines: NDArray[Any] = np.matmul(rows.astype(exact).reshape(len(rows), across, -1), block)
        if side == 1:
            lines += np.float32(0.5)
        else:
            lines = lines.reshape(-1, side, across).sum(1, dtype=np.float64)
            lines = (4 * lines + 125 * side * side) / (250 * side * side)
        levels[start : start + strip] = np.floor(lines, out=lines)
    return levels


def _size(shape: tuple[int, ...], span: int) -> tuple[int, int]:
    """Rows and columns of a picture of this shape whose area is about `span` squared."""
    factor = math.sqrt(span * span / (shape[0] * shape[1]))
    return tuple(max(MIN_SIDE, math.floor(side * factor + 0.5)) for side in shape)  # type: ignore[return-value]


def _scaled(levels: Levels, rows: int, columns: int) -> Levels:
    """Scale by a triangle as wide as two samples of the smaller picture."""
    narrow = np.empty((rows, levels.shape[1]), np.float32)
    for made, taken, weights in _triangles(levels.shape[0], rows):
        np.matmul(weights, levels[taken], out=narrow[made])
    _round(narrow)
    scaled = np.empty((rows, columns), np.float32)
    for made, taken, weights in _triangles(levels.shape[1], columns):
        np.matmul(narrow[:, taken], weights.T, out=scaled[:, made])
    return _round(scaled)


@lru_cache(maxsize=64)
def _triangles(length: int, wanted: int) -> list[tuple[slice, slice, Matrix]]:
    """Weights, a few lines at a time: which they make, of which, and shape (made, taken)."""
    wide = 2 * max(length, wanted)
    centre = (2 * np.arange(wanted)[:, None] + 1) * length
    # The line before the first that weighs anything.
    start = (centre - wide) // (2 * wanted)
    line = start + np.arange(wide // wanted + 2)
    raw = np.maximum(wide - np.abs((2 * line + 1) * wanted - centre), 0)
    raw *= (line >= 0) & (line < length)
    total = raw.sum(1, keepdims=True)
    weights = (2 * _ONE * raw + total) // (2 * total)
    # What rounding added or took goes to the heaviest, the first of them.
    weights[np.arange(wanted), weights.argmax(1)] += _ONE - weights.sum(1)
    bands = []
    for first in range(0, wanted, _BAND):
        made = slice(first, min(first + _BAND, wanted))
        these, places = np.nonzero(weights[made])
        lines = line[made][these, places]
        taken = slice(int(lines.min()), int(lines.max()) + 1)
        band = np.zeros((made.stop - made.start, taken.stop - taken.start), np.float32)
        band[these, lines - taken.start] = weights[made][these, places] / _ONE
        bands.append((made, taken, band))
    return bands


def _octaves(levels: Levels, blur: Blur) -> list[list[Levels]]:
    octaves: list[list[Levels]] = []
    first = blur(levels, 0)
    while len(octaves) < _OCTAVES and min(first.shape) >= _MIN_OCTAVE_SIDE:
        octave = [first]
        for number in range(1, len(KERNELS)):
            octave.append(blur(octave[-1], number))
        octaves.append(octave)
        first = np.ascontiguousarray(octave[_DOUBLED][::2, ::2])
    return octaves


def blurred(levels: Levels, number: int) -> Levels:
    """Blur by one of `KERNELS`, down the columns and then along the rows.

    Beyond the edge, the last line is repeated.
    """
    weights = _BLURS[number]
    rows, columns = levels.shape
    reach = (weights.shape[1] - _BAND) // 2
    lines = np.empty((rows + 2 * reach, columns), np.float32)
    lines[reach : reach + rows] = levels
    lines[:reach], lines[reach + rows :] = levels[0], levels[-1]
    down = np.empty((rows, columns + 2 * reach), np.float32)
    inner = down[:, reach : reach + columns]
    for start in range(0, rows, _BAND):
        made = min(_BAND, rows - start)
        taken = made + 2 * reach
        np.matmul(weights[:made, :taken], lines[start:][:taken], out=inner[start:][:made])
    _round(inner)
    down[:, :reach], down[:, reach + columns :] = inner[:, :1], inner[:, -1:]
    across = np.empty_like(levels)
    for start in range(0, columns, _BAND):
        made = min(_BAND, columns - start)
        taken = made + 2 * reach
        np.matmul(
            down[:, start:][:, :taken],
            weights[:made, :taken].T,
            out=across[:, start:][:, :made],
        )
    return _round(across)


def _halved(levels: Levels) -> list[Levels]:
    """A picture and its halves, by weights of 1, 3, 3 and 1 eighths in each direction."""
    found = [levels]
    while min(found[-1].shape) > _MIN_HALVED_SIDE and len(found) < _OCTAVES:
        lines = np.pad(found[-1], (1, 2), "edge")
        down = _eighths(*(lines[first::2] for first in range(4)))
        found.append(_round(_eighths(*(down[:, first::2] for first in range(4)))))
    return found


def _eighths(first: Levels, second: Levels, third: Levels, fourth: Levels) -> Levels:
    """Weigh each four lines that one line is made of, not rounded."""
    count = tuple(fourth.shape)
    made = second[: count[0], : count[1]] + third[: count[0], : count[1]]
    made *= np.float32(3)
    made += first[: count[0], : count[1]]
    made += fourth
    made *= np.float32(0.125)
    return made


def _round(sums: Levels) -> Levels:
    """Round in place, half up."""
    sums += np.float32(0.5)
    return np.floor(sums, out=sums)


def _banded(kernel: tuple[int, ...]) -> Matrix:
    """Weights of a few lines next to each other, shape (lines made, lines taken)."""
    weights = np.zeros((_BAND, _BAND + len(kernel) - 1), np.float32)
    for line, row in enumerate(weights):
        row[line : line + len(kernel)] = kernel
    return weights / np.float32(_ONE)


_BLURS = [_banded(kernel) for kernel in KERNELS]
