"""The compiled form of anchored hashes equals the readable one, code by code."""

from importlib.util import find_spec

import numpy as np
import pytest

from drawn_scenes import scene
from egide.domain.model import WHOLE_REGIONS
from egide.hashing import anchored_points, anchored_regions
from egide.hashing.anchored_scales import block_levels, scales

pytestmark = pytest.mark.skipif(
    find_spec("numba") is None, reason="the extra `fast` is not installed"
)


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
    plain = scales(pixels)
    fast = scales(pixels, anchored_compiled.block_levels, anchored_compiled.blurred)
    assert plain is not None
    assert fast is not None
    for picture, other in zip(plain.halved, fast.halved, strict=True):
        np.testing.assert_array_equal(picture, other)
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


@pytest.mark.parametrize("colours", [(), (3,)], ids=["grey", "colours"])
@pytest.mark.parametrize("side", [1, 2, 3, 8])
def test_levels_of_blocks_are_equal_and_exact(side: int, colours: tuple[int, ...]) -> None:
    from egide.hashing import anchored_compiled

    pixels = np.random.default_rng(side).integers(0, 256, (70, 301, *colours), np.uint8)
    pixels[:33, :99] = 255
    weighed = pixels.astype(np.int64) @ [299, 587, 114] if colours else pixels.astype(int) * 1000
    across = weighed[: 70 // side * side, : 301 // side * side].reshape(-1, 301 // side, side)
    sums = across.sum(2).reshape(70 // side, side, -1).sum(1)
    levels = (32 * sums + 1000 * side * side) // (2000 * side * side)
    np.testing.assert_array_equal(block_levels(pixels, side), levels)
    np.testing.assert_array_equal(anchored_compiled.block_levels(pixels, side), levels)
