"""Anchored hashes: a PDQ of each of the large regions that stand on stable points of a picture.

They find a picture again in its crops, collages and screenshots, tilted and mirrored. They are kept
without places, sizes and order, so that they tell little of it. docs/explain/anchored-hashes.md is
the definition, docs/decisions/0023-anchored-hashes.md has the numbers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from egide.compiled import ANCHORED, compiled_module
from egide.domain.model import PDQ_BYTES, AnchoredQuery
from egide.hashing.anchored_points import fitted_extrema, points
from egide.hashing.anchored_regions import region_codes
from egide.hashing.anchored_scales import scales

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from egide.hashing.pdq import Pixels

MIN_SCALED_SIDE = 384
"""Least short side, in samples, of a scaled decode for anchored hashes."""
QUERY_REGIONS = 160
"""The most regions of a query picture; the strongest of them are registered."""


def anchored_query(pixels: Pixels) -> AnchoredQuery | None:
    """The anchored hashes of a picture, for a search and to register.

    Args:
        pixels: of any size.

    Returns:
        None if the picture has not enough detail.
    """
    codes = regions_of(pixels, QUERY_REGIONS)
    if not len(codes):
        return None
    return AnchoredQuery(
        codes.tobytes(), np.repeat(np.arange(len(codes), dtype=np.uint8), 2).tobytes()
    )


def regions_of(pixels: Pixels, most: int) -> NDArray[np.uint8]:
    """Codes of a picture's regions as they are and mirrored, shape (regions, 2, 32)."""
    fast = compiled_module(ANCHORED)
    scaled = scales(pixels, fast.block_levels, fast.blurred) if fast else scales(pixels)
    if scaled is None:
        return np.empty((0, 2, PDQ_BYTES), np.uint8)
    found = points(scaled.octaves, fast.fitted_extrema if fast else fitted_extrema)
    codes: NDArray[np.uint8] = (fast.region_codes if fast else region_codes)(scaled, found, most)
    return codes
