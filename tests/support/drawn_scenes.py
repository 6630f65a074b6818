"""Drawn pictures with detail of all sizes, the same on every machine: whole numbers only."""

import numpy as np
from numpy.typing import NDArray

_MASK = np.uint64(0xFFFFFFFF)


def scene(rows: int, columns: int, *, seed: int) -> NDArray[np.uint8]:
    """A picture of noise of six grain sizes, in three colours.

    Args:
        rows, columns: of the picture.
        seed: another one gives another picture.

    Returns:
        shape (rows, columns, 3).
    """
    down = np.arange(rows, dtype=np.int64)[:, None, None]
    across = np.arange(columns, dtype=np.int64)[None, :, None]
    colour = np.arange(3, dtype=np.int64)
    total = np.zeros((rows, columns, 3), np.int64)
    weights = 0
    for number, grain in enumerate((160, 80, 40, 20, 10, 5)):
        top, left = down // grain, across // grain
        part_y, part_x = down % grain, across % grain
        corners = [
            [_level(top + y, left + x, colour, seed, number) for x in (0, 1)] for y in (0, 1)
        ]
        upper = corners[0][0] * (grain - part_x) + corners[0][1] * part_x
        lower = corners[1][0] * (grain - part_x) + corners[1][1] * part_x
        weight = (32, 24, 18, 12, 6, 3)[number]
        total += weight * ((upper * (grain - part_y) + lower * part_y) // (grain * grain))
        weights += weight
    return ((total // weights - 128) * 2 + 128).clip(0, 255).astype(np.uint8)


def _level(
    row: NDArray[np.int64],
    column: NDArray[np.int64],
    colour: NDArray[np.int64],
    seed: int,
    octave: int,
) -> NDArray[np.int64]:
    """A level, 0 to 255, for each knot of a grid: a hash of its numbers, 32 bits at a time."""
    words = (row * 73856093 + column * 19349663 + seed * 83492791 + octave * 2654435761).astype(
        np.uint64
    ) & _MASK
    words = (words ^ (words >> np.uint64(16))) * np.uint64(0x45D9F3B) & _MASK
    words = (words ^ (words >> np.uint64(16))) * np.uint64(0x45D9F3B) & _MASK
    words = (words ^ (words >> np.uint64(16))) & np.uint64(0xFF)
    shade = ((colour * 37 * (words.astype(np.int64) % 3)) % 64) - 32
    return (words.astype(np.int64) + shade).clip(0, 255)
