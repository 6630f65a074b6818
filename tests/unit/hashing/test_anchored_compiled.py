"""The compiled form of anchored hashes equals the readable one, code by code."""

import numpy as np
import pytest

from drawn_scenes import scene
from egide.domain.model import WHOLE_REGIONS
from egide.hashing import anchored_points, anchored_regions
from egide.hashing.anchored_scales import blurred, scales

pytest.importorskip("numba", reason="the extra `fast` is not installed")


@pytest.mark.parametrize(
    ("rows", "columns", "seed"),
    [(480, 640, 1), (641, 400, 2), (97, 143, 3), (24, 200, 4), (16, 16, 5)],
)
@pytest.mark.parametrize("finish", ["soft", "noisy", "in few levels"])
def test_points_and_codes_are_equal(rows: int, columns: int, seed: int, finish: str) -> None:
    from egide.hashing import anchored_compiled

    pixels = scene(rows, columns, seed=seed)
    if finish == "noisy":
        noise = np.random.default_rng(seed).integers(-90, 90, pixels.shape)
        pixels = (pixels + noise).clip(0, 255).astype(np.uint8)
    elif finish == "in few levels":
        pixels = pixels // 64 * 64
    plain, fast = scales(pixels, blurred), scales(pixels, anchored_compiled.blurred)
    assert plain is not None
    assert fast is not None
    for octave, other in zip(plain.octaves, fast.octaves, strict=True):
        np.testing.assert_array_equal(octave, other)
    found = anchored_points.points(plain.octaves)
    other_points = anchored_points.points(fast.octaves, anchored_compiled.fitted_extrema)
    for each, other_values in zip(found, other_points, strict=True):
        np.testing.assert_array_equal(each, other_values)
    np.testing.assert_array_equal(
        anchored_regions.region_codes(plain, found, WHOLE_REGIONS),
        anchored_compiled.region_codes(fast, other_points, WHOLE_REGIONS),
    )
