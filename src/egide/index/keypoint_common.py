"""Which keypoints of a query are in so many pictures that they tell none apart."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

COMMON_BITS = 40
"""A keypoint of a picture this near is taken for the same keypoint."""
_SHARE = 0.05
_FEW = 4
_MANY = 400
# A keypoint that hits more pictures than 5 %, or than 400, tells none apart: it is of a frame,
# a logo, a pattern. In a bank of a few, four versions of one picture must not hide it.
_FAMILY_HITS = 12
_FAMILY_AGREEMENT = 0.9
_MAX_FAMILIES = 64


def most_pictures(pictures: int) -> int:
    """Return in how many of a bank's pictures a keypoint may be, to tell them apart."""
    return max(_FEW, min(math.floor(pictures * _SHARE), _MANY))


def common(
    picture: NDArray[np.int64],
    keypoint: NDArray[np.int64],
    keypoints: int,
    most: int,
    signs: NDArray[np.uint8],
) -> NDArray[np.bool_]:
    """Say which keypoints of the query are in more than `most` pictures.

    Args:
        picture: the pictures that are hit within `COMMON_BITS`.
        keypoint: by which keypoint of the query; a pair of the two at most once.
        keypoints: how many the query has.
        most: pictures, versions of one counting once.
        signs: the packed signs of every picture, see `egide.hashing.keypoint_set`.
    """
    seen: NDArray[np.bool_] = np.bincount(keypoint, minlength=keypoints) > most
    if not seen.any():
        return seen
    picture, keypoint = picture[seen[keypoint]], keypoint[seen[keypoint]]
    pairs = np.unique(_families(picture, signs)[picture] * keypoints + keypoint)
    in_families: NDArray[np.bool_] = np.bincount(pairs % keypoints, minlength=keypoints) > most
    return in_families


def _families(hits: NDArray[np.int64], signs: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Give each picture the number of its family: versions of one picture count once.

    Someone who registers five versions of a picture must not hide it. Two pictures under the
    same frame agree in the frame alone, versions of one picture nearly everywhere.

    Args:
        hits: pictures, as often as a common keypoint is in them; only those with many are looked
            at, the first `_MAX_FAMILIES` families of them.
        signs: as for `common`.
    """
    family = np.arange(len(signs))
    left = np.flatnonzero(np.bincount(hits, minlength=len(signs)) >= _FAMILY_HITS)
    for _ in range(_MAX_FAMILIES):
        if len(left) < 2:
            break
        alike = _versions(signs[left[0]], signs[left])
        family[left[alike]] = left[0]
        left = left[~alike]
    return family


def are_versions(first: bytes, second: bytes) -> bool:
    """Say whether two pictures, by their packed signs, are versions of one.

    Args:
        first: the signs of the one, see `egide.hashing.keypoint_set`.
        second: of the other.

    Returns:
        True where both are bright and dark in the same places all over.
    """
    others = np.frombuffer(second, np.uint8)[None]
    return bool(_versions(np.frombuffer(first, np.uint8), others)[0])


def _versions(signs: NDArray[np.uint8], others: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Say which of others, shape (n, bytes), are versions of one."""
    brighter, clear = np.split(others, 2, axis=1)
    own_brighter, own_clear = np.split(signs, 2)
    told = clear & own_clear
    same = np.bitwise_count(told & ~(brighter ^ own_brighter)).sum(axis=1, dtype=np.int64)
    clearly = np.bitwise_count(told).sum(axis=1, dtype=np.int64)
    alike: NDArray[np.bool_] = same >= _FAMILY_AGREEMENT * clearly
    alike |= (others == signs).all(axis=1)
    return alike
