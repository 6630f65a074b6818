"""Find the keypoints of a query that are in too many pictures to distinguish any."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

COMMON_BITS = 40
"""Keypoints within this distance are regarded as the same."""
_SHARE = 0.05
_FEW = 4
_MANY = 400
# A keypoint in more than 5 % of the pictures, or more than 400, distinguishes none: it belongs to
# a frame, a logo, a pattern. In a small bank, four versions of one picture must not hide it.
_FAMILY_HITS = 12
_FAMILY_AGREEMENT = 0.9
_MAX_FAMILIES = 64


def most_pictures(pictures: int) -> int:
    """The most pictures of a bank that a keypoint may be in and still distinguish them."""
    return max(_FEW, min(math.floor(pictures * _SHARE), _MANY))


def common(
    picture: NDArray[np.int64],
    keypoint: NDArray[np.int64],
    keypoints: int,
    most: int,
    signs: NDArray[np.uint8],
) -> NDArray[np.bool_]:
    """Which keypoints of the query are in more than `most` pictures.

    Args:
        picture: the pictures that are hit within `COMMON_BITS`.
        keypoint: the query keypoint of each hit; each pair occurs at most once.
        keypoints: the number of the query's keypoints.
        most: number of pictures, where versions of one picture count once.
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

    Someone who registers five versions of a picture must not hide it. Two pictures in the same
    frame agree only in the frame, versions of one picture agree nearly everywhere.

    Args:
        hits: pictures, once for each common keypoint in them; only pictures with many hits are
            examined, and at most `_MAX_FAMILIES` families.
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
    """Whether two pictures are versions of one, judged by their packed signs.

    Args:
        first: the signs of one picture, see `egide.hashing.keypoint_set`.
        second: the signs of the other.

    Returns:
        True if both are bright and dark in the same places throughout.
    """
    others = np.frombuffer(second, np.uint8)[None]
    return bool(_versions(np.frombuffer(first, np.uint8), others)[0])


def _versions(signs: NDArray[np.uint8], others: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Which of `others`, shape (n, bytes), are versions of the picture with these signs."""
    brighter, clear = np.split(others, 2, axis=1)
    own_brighter, own_clear = np.split(signs, 2)
    told = clear & own_clear
    same = np.bitwise_count(told & ~(brighter ^ own_brighter)).sum(axis=1, dtype=np.int64)
    clearly = np.bitwise_count(told).sum(axis=1, dtype=np.int64)
    alike: NDArray[np.bool_] = same >= _FAMILY_AGREEMENT * clearly
    alike |= (others == signs).all(axis=1)
    return alike
