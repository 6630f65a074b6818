"""Keypoint sets made of random numbers, for tests of what keeps them."""

from __future__ import annotations

import random

from egide.domain.model import KEYPOINT_BYTES, KeypointSet
from egide.hashing.keypoint_set import KEYPOINT, SIGN_BYTES


def keypoint_set(seed: int, count: int = 40) -> KeypointSet:
    """Return a set that can be stored; each seed gives another."""
    some = random.Random(seed)
    return KeypointSet(
        width=640,
        height=480,
        keypoints=some.randbytes(count * KEYPOINT.itemsize),
        descriptors=some.randbytes(count * KEYPOINT_BYTES),
        signs=some.randbytes(SIGN_BYTES),
    )
