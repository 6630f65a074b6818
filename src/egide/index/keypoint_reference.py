"""Keypoint search by brute force: propose every picture, compare every pair of keypoints.

This is the reference for tests and the benchmark. `egide.index.keypoints` proposes far fewer
pictures.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from egide.hashing.keypoint_set import view
from egide.index.keypoint_common import COMMON_BITS, most_pictures
from egide.index.keypoints import Candidate, Candidates

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from egide.domain.model import KeypointQuery, KeypointSet


def candidates(pictures: Sequence[KeypointSet], query: KeypointQuery) -> Candidates:
    """Propose all pictures, for both sides of the query.

    Args:
        pictures: distinct pictures; versions of one picture are not recognised here.
        query: the query picture.
    """
    found = tuple(
        Candidate(picture, mirrored, 0.0)
        for picture in range(len(pictures))
        for mirrored in (False, True)
    )
    return Candidates(found, _usable(pictures, query.straight), _usable(pictures, query.mirrored))


def _usable(pictures: Sequence[KeypointSet], side: KeypointSet) -> NDArray[np.bool_]:
    words = view(side).words
    seen = np.zeros(len(words), np.int64)
    for picture in pictures:
        apart = np.bitwise_count(words[:, None] ^ view(picture).words).sum(axis=2)
        seen += (apart <= COMMON_BITS).any(axis=1)
    usable: NDArray[np.bool_] = seen <= most_pictures(len(pictures))
    return usable
