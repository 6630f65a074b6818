"""Made-up keypoints for tests of their search: random, so no two pictures share any by chance."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from egide.domain.model import KeypointQuery, KeypointSet
from egide.hashing.keypoint_set import SIGN_GRID, build

if TYPE_CHECKING:
    from numpy.typing import NDArray

SIZE = (640, 480)


def made_up(
    seed: int, count: int = 120, signs: int | None = None, size: tuple[int, int] = SIZE
) -> KeypointSet:
    """Return the keypoints of a picture that does not exist."""
    rng = np.random.default_rng(seed)
    sign_rng = rng if signs is None else np.random.default_rng(signs)
    rise = sign_rng.integers(0, 2, (2, SIGN_GRID, SIGN_GRID)) > 0
    return build(
        size,
        (rng.random((count, 2)) * size).astype(np.float32),
        rng.uniform(31, 120, count).astype(np.float32),
        rng.uniform(0, 360, count).astype(np.float32),
        rng.integers(0, 256, (count, 32), dtype=np.uint8),
        rise,
        np.ones_like(rise),
    )


def parts(*sets: KeypointSet) -> dict[str, Any]:
    """Return the joined arrays of sets, each in its own pixels."""
    from egide.hashing.keypoint_set import view

    views = [view(one) for one in sets]
    names = ("points", "sizes", "angles", "descriptors")
    return {name: np.concatenate([getattr(one, name) for one in views]) for name in names}


def moved(
    keypoints: KeypointSet,
    *,
    zoom: float = 1.0,
    turn: float = 0.0,
    shift: tuple[float, float] = (0.0, 0.0),
    flipped_bits: int = 0,
    keep: int | None = None,
    seed: int = 0,
) -> KeypointSet:
    """Return the keypoints of an edited copy: turned, zoomed and shifted, some of its bits changed.

    Args:
        turn: degrees, clockwise, about the centre.
        shift: pixels, after that.
        keep: how many keypoints are found again; None for all.
    """
    rng = np.random.default_rng(seed)
    found = parts(keypoints)
    centre = np.array(SIZE) / 2
    cosine, sine = math.cos(math.radians(turn)), math.sin(math.radians(turn))
    matrix = zoom * np.array([[cosine, -sine], [sine, cosine]])
    points = (found["points"] - centre) @ matrix.T + centre + shift
    kept = np.flatnonzero(((points >= 0) & (points < SIZE)).all(axis=1))[:keep]
    return build(
        SIZE,
        points[kept].astype(np.float32),
        (found["sizes"][kept] * zoom).astype(np.float32),
        ((found["angles"][kept] + turn) % 360).astype(np.float32),
        noisy(found["descriptors"][kept], flipped_bits, rng),
        np.zeros((2, SIGN_GRID, SIGN_GRID), np.bool_),
        np.zeros((2, SIGN_GRID, SIGN_GRID), np.bool_),
    )


def noisy(
    descriptors: NDArray[np.uint8], flipped_bits: int, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """Change so many bits of each descriptor."""
    bits = np.unpackbits(descriptors, axis=1)
    for row in bits:
        row[rng.permutation(256)[:flipped_bits]] ^= 1
    return np.packbits(bits, axis=1)


def joined(*sets: KeypointSet) -> KeypointSet:
    """Return the keypoints of all, as if they were of one picture."""
    found = parts(*sets)
    none = np.zeros((2, SIGN_GRID, SIGN_GRID), np.bool_)
    size = (sets[0].width, sets[0].height)
    return build(size, brighter=none, clear=none, **found)


def asked(straight: KeypointSet, mirrored: KeypointSet | None = None) -> KeypointQuery:
    """Make a query, without pixels."""
    return KeypointQuery(straight, mirrored or made_up(987654), b"", 0, 0)
