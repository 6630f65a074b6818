"""Anchored hashes: a PDQ of each of the large regions that stand on stable points of a picture.

They find a picture again in its crops, collages and screenshots, tilted and mirrored. They are kept
without places, sizes and order, so that they tell little of it. docs/explain/anchored-hashes.md is
the definition, docs/decisions/0023-anchored-hashes.md has the numbers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from egide.compiled import ANCHORED, compiled_module
from egide.domain.model import MAX_ANCHORED_QUERY, PDQ_BYTES, WHOLE_REGIONS, AnchoredQuery
from egide.hashing.anchored_points import fitted_extrema, points
from egide.hashing.anchored_regions import region_codes
from egide.hashing.anchored_scales import scales

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from egide.domain.model import Region
    from egide.hashing.pdq import Pixels
    from egide.media import Frame

MIN_SCALED_SIDE = 384
"""Least short side, in samples, of a scaled decode for anchored hashes."""
MAX_PARTS = 4
"""The most parts of a picture that are pictures of their own, and are searched like the whole."""
_PART_REGIONS = MAX_ANCHORED_QUERY // 2 - WHOLE_REGIONS
# Of all parts together.
_MAX_PART_SHARE = 0.8
# A larger part has the regions of the whole.


def anchored_query(frame: Frame, parts: Sequence[Region] = ()) -> AnchoredQuery | None:
    """The anchored hashes of a picture, for a search and to register.

    Args:
        frame: of any size.
        parts: of the frame that look like pictures of their own; of `MAX_PARTS` of them regions are
            searched too, which in the whole are too small or too weak. None is registered.

    Returns:
        None if the picture has not enough detail.
    """
    codes = regions_of(frame.pixels, WHOLE_REGIONS)
    if not len(codes):
        return None
    every, numbers = [codes], [np.arange(len(codes))]
    used = [
        part.rectangle
        for part in parts
        if part.rectangle.width * part.rectangle.height
        <= _MAX_PART_SHARE * frame.rows * frame.columns
    ][:MAX_PARTS]
    next_number = WHOLE_REGIONS
    for part in used:
        top, left = part.top // frame.scale, part.left // frame.scale
        bottom, right = top + part.height // frame.scale, left + part.width // frame.scale
        codes = regions_of(frame.pixels[top:bottom, left:right], _PART_REGIONS // len(used))
        every.append(codes)
        numbers.append(next_number + np.arange(len(codes)))
        next_number += len(codes)
    return AnchoredQuery(
        np.concatenate(every).tobytes(),
        np.repeat(np.concatenate(numbers).astype(np.uint8), 2).tobytes(),
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
