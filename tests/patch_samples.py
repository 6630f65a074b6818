"""Keypoint sets made of random numbers, for tests of what keeps them."""

from __future__ import annotations

import random

from egide.domain.model import PATCH_BYTES, PatchSet
from egide.hashing.patch_set import KEYPOINT, SIGN_BYTES


def patch_set(seed: int, count: int = 40) -> PatchSet:
    """Return a set that can be stored; each seed gives another."""
    some = random.Random(seed)
    return PatchSet(
        width=640,
        height=480,
        keypoints=some.randbytes(count * KEYPOINT.itemsize),
        descriptors=some.randbytes(count * PATCH_BYTES),
        signs=some.randbytes(SIGN_BYTES),
    )
