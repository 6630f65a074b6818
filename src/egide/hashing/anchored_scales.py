"""A picture in normal size and in many degrees of blur, in whole numbers.

Anchored hashes are equal in every implementation because everything here is a whole number:
brightness in sixteenths of a level, weights in 4096ths, each pass rounded half up. Sums of them
stay under 2²⁴, so single precision adds them without rounding, in any order.
docs/explain/anchored-hashes.md is the definition, with its reasons.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from egide.hashing.pdq import Pixels

    Levels = NDArray[np.float32]
    """Brightness in sixteenths of a level, 0–4080, whole numbers, shape (rows, columns)."""
    Blur = Callable[[Levels, tuple[int, ...]], Levels]

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
_STRIP = 64
# Rows of blocks whose colours are summed together: bounds the working memory.

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


class Scales(NamedTuple):
    """One picture, normalised and blurred.

    Attributes:
        octaves: of each octave its six levels, each octave half as large as the one before.
        halved: the picture that regions are cut from, and its halves, quarters and so on.
    """

    octaves: list[list[Levels]]
    halved: list[Levels]


def scales(pixels: Pixels, blur: Blur | None = None) -> Scales | None:
    """Normalise and blur a picture.

    Args:
        pixels: of any size.
        blur: like `blurred`, which it is by default.

    Returns:
        None for a picture with too short a side, or a strip.
    """
    rows, columns = pixels.shape[:2]
    if min(rows, columns) < MIN_SIDE or max(rows, columns) > MAX_ASPECT * min(rows, columns):
        return None
    levels = _blocks(pixels)
    sampled = _scaled(levels, *_size(levels.shape, SAMPLED_SPAN))
    searched = _scaled(sampled, *_size(levels.shape, SEARCHED_SPAN))
    return Scales(_octaves(searched, blur or blurred), _halved(sampled))


def _blocks(pixels: Pixels) -> Levels:
    """Brightness, where a picture of over twice the normal size is first averaged by blocks."""
    rows, columns = pixels.shape[:2]
    side = max(math.isqrt(rows * columns) // (2 * SAMPLED_SPAN), 1)
    colours = pixels if pixels.ndim == 3 else pixels[..., None]
    weights = _THOUSANDTHS if colours.shape[2] == 3 else np.array([1000.0])
    if colours.dtype != np.uint8:
        colours = np.clip(np.rint(colours), 0, 255).astype(np.uint8)
    down, across = rows // side, columns // side
    levels = np.empty((down, across), np.float32)
    for start in range(0, down, _STRIP):
        strip = colours[start * side : min(start + _STRIP, down) * side, : across * side]
        lines = np.add.reduce([strip[each::side] for each in range(side)], dtype=np.uint32)
        sums = np.add.reduce([lines[:, each::side] for each in range(side)])
        levels[start : start + _STRIP] = np.floor(
            (sums @ weights * 32 + 1000 * side * side) / (2000 * side * side)
        )
    return levels


def _size(shape: tuple[int, ...], span: int) -> tuple[int, int]:
    """Rows and columns of a picture of this shape whose area is about `span` squared."""
    factor = math.sqrt(span * span / (shape[0] * shape[1]))
    return tuple(max(MIN_SIDE, math.floor(side * factor + 0.5)) for side in shape)  # type: ignore[return-value]


def _scaled(levels: Levels, rows: int, columns: int) -> Levels:
    """Scale by a triangle as wide as two samples of the smaller picture."""
    narrow = _rounded(_triangle(levels.shape[0], rows) @ levels, _ONE)
    return _rounded(narrow @ _triangle(levels.shape[1], columns).T, _ONE)


@lru_cache(maxsize=64)
def _triangle(length: int, wanted: int) -> NDArray[np.float32]:
    """Weights in 4096ths, shape (wanted, length)."""
    at = (2 * np.arange(length) + 1) * wanted
    centre = (2 * np.arange(wanted)[:, None] + 1) * length
    raw = np.maximum(2 * max(length, wanted) - np.abs(at - centre), 0)
    total = raw.sum(1, keepdims=True)
    weights = (2 * _ONE * raw + total) // (2 * total)
    # What rounding added or took goes to the heaviest, the first of them.
    weights[np.arange(wanted), weights.argmax(1)] += _ONE - weights.sum(1)
    exact: NDArray[np.float32] = weights.astype(np.float32)
    return exact


def _octaves(levels: Levels, blur: Blur) -> list[list[Levels]]:
    octaves: list[list[Levels]] = []
    first = blur(levels, KERNELS[0])
    while len(octaves) < _OCTAVES and min(first.shape) >= _MIN_OCTAVE_SIDE:
        octave = [first]
        for kernel in KERNELS[1:]:
            octave.append(blur(octave[-1], kernel))
        octaves.append(octave)
        first = np.ascontiguousarray(octave[_DOUBLED][::2, ::2])
    return octaves


def blurred(levels: Levels, kernel: tuple[int, ...]) -> Levels:
    """Blur by one of `KERNELS`, down the columns and then along the rows."""
    return _convolved(_convolved(levels, kernel).T, kernel).T


def _convolved(levels: Levels, kernel: tuple[int, ...]) -> Levels:
    """Weigh lines with their neighbours; beyond the edge, the last line is repeated."""
    reach = len(kernel) // 2
    lines = np.pad(levels, ((reach, reach), (0, 0)), "edge")
    count = len(levels)
    sums = lines[reach : reach + count] * np.float32(kernel[reach])
    for offset in range(reach):
        pair = lines[offset : offset + count] + lines[2 * reach - offset :][:count]
        sums += pair * np.float32(kernel[offset])
    return _rounded(sums, _ONE)


def _halved(levels: Levels) -> list[Levels]:
    """A picture and its halves, by weights of 1, 3, 3 and 1 eighths in each direction."""
    found = [levels]
    while min(found[-1].shape) > _MIN_HALVED_SIDE and len(found) < _OCTAVES:
        narrow = _eighths(found[-1])
        found.append(_rounded(_eighths(narrow.T).T, 64))
    return found


def _eighths(levels: Levels) -> Levels:
    lines = np.pad(levels, ((1, 2), (0, 0)), "edge")
    every: NDArray[np.float32] = lines[:-3] + 3 * lines[1:-2] + 3 * lines[2:-1] + lines[3:]
    return every[::2]


def _rounded(sums: NDArray[np.float32], divisor: int) -> Levels:
    levels: Levels = np.floor(sums / np.float32(divisor) + np.float32(0.5))
    return levels


_THOUSANDTHS = np.array([299.0, 587.0, 114.0])
