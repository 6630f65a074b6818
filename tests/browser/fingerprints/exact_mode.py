"""What exact mode says of a file, and pictures on which every bit of rounding shows."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from egide.hashing import fingerprint

if TYPE_CHECKING:
    from collections.abc import Mapping

FIELDS = ("pdq", "quality", "sha256", "width", "height")


def exact(data: bytes) -> dict[str, Any]:
    """What a result must say of a file."""
    found = fingerprint(data)
    matchable = found.pdq.quality >= 50
    return {
        "pdq": found.pdq.code.hex() if matchable else None,
        "quality": found.pdq.quality,
        "sha256": hashlib.sha256(data).hexdigest(),
        "width": found.width,
        "height": found.height,
    }


def assert_exact(found: Mapping[str, dict[str, Any]], files: Mapping[str, bytes]) -> None:
    told = {name: {key: result.get(key) for key in FIELDS} for name, result in found.items()}
    assert told == {name: exact(data) for name, data in files.items()}


def noise(width: int, height: int) -> Image.Image:
    """Waves and noise: every bit of rounding shows."""
    random = np.random.default_rng(width * 10_007 + height)
    rows, columns = np.indices((height, width))
    waves = np.sin(rows * (9 / height)) + np.sin(columns * (13 / width))
    levels = waves[..., None] * 50 + random.integers(0, 156, (height, width, 3)) + 50
    return Image.fromarray(levels.clip(0, 255).astype(np.uint8))


def see_through() -> Image.Image:
    """A picture of every opacity."""
    picture = noise(300, 200).convert("RGBA")
    picture.putalpha(Image.radial_gradient("L").resize(picture.size))
    return picture
