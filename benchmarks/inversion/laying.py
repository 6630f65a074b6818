"""Lay patches at places of a picture."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from inversion.pictures import SIDE, Floats, normal

FADE = 0.35
"""Of a patch's half side: the spread of its weight, so that no patch shows its rim."""


def laid(patches: Floats, places: Floats, aspect: float, contrast: Floats | None = None) -> Floats:
    """Lay patches over one another and take the mean.

    Args:
        patches: shape (n, s, s), each a normal picture.
        places: as in `Regions`.
        aspect: width by height of the picture.
        contrast: of each patch, by default the same.

    Returns:
        a normal picture; black where nothing lies is what the mean is.
    """
    total = np.zeros((SIDE, SIDE), np.float32)
    weight = np.full((SIDE, SIDE), 1e-3, np.float32)
    for number, (patch, place) in enumerate(zip(patches, places, strict=True)):
        rows, columns, across, down = inside(place, aspect)
        if not len(rows):
            continue
        share = np.exp(-(across * across + down * down) / (2 * FADE))
        levels = patch * (len(patch) if contrast is None else len(patch) * contrast[number])
        total[rows, columns] += share * sampled(levels, across, down)
        weight[rows, columns] += share
    return normal(total / weight)


def inside(
    place: Floats, aspect: float
) -> tuple[NDArray[np.intp], NDArray[np.intp], Floats, Floats]:
    """The samples of a 64×64 picture inside a square.

    Returns:
        their rows and columns, and where they are in the square, across and down, −1 to 1.
    """
    y, x, side, cosine, sine = place.tolist()
    lines = (np.arange(SIDE, dtype=np.float32) + 0.5) / SIDE
    wide, high = aspect**0.5, aspect**-0.5
    apart_x, apart_y = (lines[None, :] - x) * wide, (lines[:, None] - y) * high
    across = (apart_x * cosine + apart_y * sine) * (2 / side)
    down = (apart_y * cosine - apart_x * sine) * (2 / side)
    rows, columns = np.nonzero((np.abs(across) < 1) & (np.abs(down) < 1))
    return rows, columns, across[rows, columns], down[rows, columns]


def sampled(patches: Floats, across: Floats, down: Floats) -> Floats:
    """Samples of patches at places between −1 and 1, linear between their own.

    Args:
        patches: shape (…, s, s).
        across: of any shape, the same places for each patch.
        down: of the same shape.

    Returns:
        the shape of the patches but for their last two axes, then that of the places.
    """
    last = patches.shape[-1] - 1
    at_x = np.clip((across + 1) / 2 * (last + 1) - 0.5, 0, last - 1e-3)
    at_y = np.clip((down + 1) / 2 * (last + 1) - 0.5, 0, last - 1e-3)
    column, row = at_x.astype(np.int64), at_y.astype(np.int64)
    part_x, part_y = at_x - column, at_y - row
    upper = patches[..., row, column] * (1 - part_x) + patches[..., row, column + 1] * part_x
    lower = patches[..., row + 1, column] * (1 - part_x)
    lower += patches[..., row + 1, column + 1] * part_x
    found: Floats = upper * (1 - part_y) + lower * part_y
    return found
