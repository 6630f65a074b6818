"""Regions of a picture, each turned by its direction, sampled and hashed.

docs/explain/anchored-hashes.md is the definition.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from egide.hashing.anchored_directions import TURN
from egide.hashing.anchored_points import PLACE_STEPS, SIDE_UNITS, SIDES
from egide.hashing.anchored_scales import SAMPLED_SPAN, SEARCHED_SPAN

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from egide.hashing.anchored_scales import Levels, Scales

GRID = 32
"""Rows and columns of samples in a region."""
FREQUENCIES = 16
"""Frequencies kept in each direction, from 1, as in PDQ."""

FEW_LEVELS = 512
"""A region is drawn, not photographed, if four of its 64 bins of brightness hold more samples."""
LEVELS_A_BIN = 64
# In sixteenths of a level: four levels.

_FEW = 32
# Regions that are cut together: what is computed of them stays in the processor's cache.

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


class Regions(NamedTuple):
    """Regions; all int64[n].

    Attributes:
        y, x: the middle, in 16ths of a sample of the picture searched.
        size: the number of its size.
        direction: in 512ths of a turn, clockwise from the right.
    """

    y: NDArray[np.int64]
    x: NDArray[np.int64]
    size: NDArray[np.int64]
    direction: NDArray[np.int64]

    def take(self, places: NDArray[np.intp] | slice) -> Regions:
        """Some of the regions."""
        return Regions(*(each[places] for each in self))

    def join(self, others: Regions) -> Regions:
        """These regions and then the others."""
        return Regions(*(np.concatenate(both) for both in zip(self, others, strict=True)))


def cut(scales: Scales, regions: Regions) -> tuple[NDArray[np.float64], NDArray[np.uint8]]:
    """Sample regions, each turned so that its direction points to the right.

    Returns:
        in sixteenths of a level, whole numbers, shape (regions, 32, 32): the regions; and the bins
        of brightness of the samples nearest to theirs in the picture before it was halved.
    """
    patches = np.empty((len(regions.size), GRID, GRID))
    fine = np.empty(patches.shape, np.uint8)
    bins = (scales.halved[0] * np.float32(1 / LEVELS_A_BIN)).astype(np.uint8)
    # A sample of a halved picture at the edge may reach so far beyond it.
    bins = np.pad(bins, (0, 1 << len(scales.halved)), "edge")
    number = picture_of_size(regions.size, len(scales.halved))
    for level in np.unique(number).tolist():
        these = np.flatnonzero(number == level)
        levels = np.pad(scales.halved[level], (0, 1), "edge")
        for few in np.split(these, range(_FEW, len(these), _FEW)):
            at_y, at_x = _places(scales, level, regions.take(few))
            patches[few] = _between(levels, at_y, at_x)
            at_y += 0.5
            at_x += 0.5
            fine[few] = bins.ravel().take(_flat(bins, at_y * 2**level, at_x * 2**level))
    return patches, fine


def picture_of_size(size: NDArray[np.int64], pictures: int) -> NDArray[np.int64]:
    """Which of the halved pictures to sample: that whose samples are nearest to the region's."""
    ratio = SAMPLED_SPAN * SIDES[size]
    step = SEARCHED_SPAN * SIDE_UNITS * GRID
    number = np.zeros(len(size), np.int64)
    for level in range(pictures - 1):
        number += ratio * ratio >= 2 * 4**level * step * step
    return number


def _places(
    scales: Scales, level: int, regions: Regions
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Rows and columns of regions' samples in a halved picture.

    The order of the operations is part of the definition.
    """
    rows, columns = scales.halved[level].shape
    searched = scales.octaves[0][0].shape
    whole = scales.halved[0].shape
    shrunk = 0.5**level
    middle_y = regions.y / PLACE_STEPS * whole[0] / searched[0] * shrunk - 0.5
    middle_x = regions.x / PLACE_STEPS * whole[1] / searched[1] * shrunk - 0.5
    step = SIDES[regions.size] / SIDE_UNITS * (SAMPLED_SPAN / SEARCHED_SPAN) / GRID * shrunk
    cosine = COSINES[regions.direction] / ONE * step
    sine = SINES[regions.direction] / ONE * step
    lines = np.arange(GRID) - (GRID - 1) / 2
    across, down = lines[None, None, :], lines[None, :, None]
    cosine, sine, middle_x, middle_y = (
        each[:, None, None] for each in (cosine, sine, middle_x, middle_y)
    )
    return (
        _inside((middle_y + sine * across) + cosine * down, rows),
        _inside((middle_x + cosine * across) - sine * down, columns),
    )


def _inside(at: NDArray[np.float64], length: int) -> NDArray[np.float64]:
    """Mirror places beyond the edge back into the picture; those still outside go to the edge."""
    np.abs(at, out=at)
    np.minimum(at, 2 * (length - 1) - at, out=at)
    return np.maximum(at, 0.0, out=at)


def _flat(
    levels: NDArray[Any], rows: NDArray[np.float64], columns: NDArray[np.float64]
) -> NDArray[np.intp]:
    """Where the samples before these places are in the array of all."""
    place = rows.astype(np.int32)
    place *= np.int32(levels.shape[1])
    place += columns.astype(np.int32)
    return place.astype(np.intp)


def _between(
    levels: Levels, at_y: NDArray[np.float64], at_x: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Brightness between samples."""
    place = _flat(levels, at_y, at_x)
    part_y, part_x = at_y - np.floor(at_y), at_x - np.floor(at_x)
    lines = []
    for line in levels[:-1].ravel(), levels[1:].ravel():
        left = line.take(place)
        between = (line[1:].take(place) - left) * part_x
        between += left
        lines.append(between)
    upper, between = lines
    between -= upper
    between *= part_y
    between += upper
    between += 0.5
    return np.floor(between, out=between)


def drawn(fine: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Which regions have few levels of brightness: text, logos, frames.

    Seen in samples that are not blurred: blur makes many levels of a black letter on white.
    """
    place = fine.reshape(len(fine), -1) + 64 * np.arange(len(fine))[:, None]
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
