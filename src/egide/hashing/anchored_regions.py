"""Which regions of a picture are kept, and their hashes.

A point with two or more directions gives as many regions. docs/explain/anchored-hashes.md is the
definition.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from egide.hashing.anchored_directions import TURN, directions, rises
from egide.hashing.anchored_patches import FREQUENCIES, Regions, cut, drawn, patch_codes
from egide.hashing.anchored_points import PLACE_STEPS, SIDES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from egide.hashing.anchored_points import Points
    from egide.hashing.anchored_scales import Scales

ALIKE_SIZES = 10
ALIKE_DIRECTIONS = 42
ALIKE_PLACES = 32
# A region is dropped beside a kept one of a like size and direction whose point is nearer than an
# eighth of the smaller side.

_CHUNK = 256
# Points whose regions are looked at together.


def region_codes(scales: Scales, points: Points, most: int) -> NDArray[np.uint8]:
    """The hashes of a picture's regions, the strongest point's first.

    Args:
        scales: of the picture.
        points: of the picture.
        most: regions to keep.

    Returns:
        shape (regions, 2, 32): of each region as it is, and mirrored.
    """
    kept = Regions(*np.empty((4, 0), np.int64))
    codes = np.empty((0, 2, FREQUENCIES * FREQUENCIES // 8), np.uint8)
    of_picture = rises(scales)
    for start in range(0, len(points.size), _CHUNK):
        owner, direction = directions(of_picture, points.take(slice(start, start + _CHUNK)))
        regions = Regions(*_placed(points.take(owner + start)), direction)
        regions = regions.take(np.flatnonzero(~_beside(regions, kept).any(1)))
        here, of_here = _kept(scales, regions, most - len(codes))
        kept, codes = kept.join(regions.take(here)), np.concatenate([codes, of_here])
        if len(codes) == most:
            break
    return codes


def _kept(
    scales: Scales, regions: Regions, most: int
) -> tuple[NDArray[np.intp], NDArray[np.uint8]]:
    """The first regions that can be kept and are beside none before them, and their hashes.

    To hash takes longest. So at first all are taken to be fit to keep, and only those are hashed
    that then would be kept. Some turn out unfit. Then those are hashed that they hid, until
    nothing is left to find out.
    """
    beside = _beside(regions, regions)
    codes = np.empty((len(beside), 2, FREQUENCIES * FREQUENCIES // 8), np.uint8)
    fit, known = np.ones((2, len(beside)), np.bool_)
    known[:] = False
    while True:
        chosen, asked = [], []
        free = np.ones(len(beside), np.bool_)
        for place in range(len(beside)):
            if not free[place]:
                continue
            if not known[place]:
                asked.append(place)
            if fit[place]:
                chosen.append(place)
                free &= ~beside[place]
                if len(chosen) == most:
                    break
        if not asked:
            return np.array(chosen, np.intp), codes[chosen]
        patches, fine = cut(scales, regions.take(np.array(asked)))
        codes[asked], usable = patch_codes(patches)
        known[asked] = True
        # Now those that are not known hide no others.
        fit &= known
        fit[asked] = usable & ~drawn(fine)


def _placed(points: Points) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """The middles of the regions of points, and their sizes."""
    half = PLACE_STEPS // 2
    return (points.y << points.octave) + half, (points.x << points.octave) + half, points.size


def _beside(regions: Regions, others: Regions) -> NDArray[np.bool_]:
    """Which regions are beside which others, shape (regions, others)."""
    y, x, size, direction = (each[:, None] for each in regions)
    turned = np.abs(direction - others.direction)
    found: NDArray[np.bool_] = (np.abs(size - others.size) <= ALIKE_SIZES) & (
        np.minimum(turned, TURN - turned) <= ALIKE_DIRECTIONS
    )
    one, other = np.nonzero(found)
    y, x = regions.y[one] - others.y[other], regions.x[one] - others.x[other]
    side = SIDES[np.minimum(regions.size[one], others.size[other])]
    found[one, other] = (y * y + x * x) * ALIKE_PLACES**2 < side * side
    return found
