"""PDQ against vectors of the reference, and what the eight variants mean."""

import csv
import hashlib
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from drawings import drawings
from egide.domain.model import TRANSFORMS, Mode
from egide.hashing import fingerprint
from egide.hashing.pdq import luma
from egide.hashing.product import filter_bands

VECTORS = list(
    csv.DictReader((Path(__file__).parents[2] / "vectors/drawings.csv").read_text().splitlines())
)

APPLY = {
    "identity": lambda a: a,
    "rotate-90": lambda a: np.rot90(a, -1),
    "rotate-180": lambda a: np.rot90(a, 2),
    "rotate-270": np.rot90,
    "flip-horizontal": np.fliplr,
    "flip-vertical": np.flipud,
    "transpose": lambda a: a.swapaxes(0, 1),
    "transverse": lambda a: np.rot90(a, 2).swapaxes(0, 1),
}


def bits_apart(one: bytes, other: bytes) -> int:
    return (int.from_bytes(one) ^ int.from_bytes(other)).bit_count()


@cache
def drawn(size: tuple[int, int], number: int = 0) -> Image.Image:
    return [picture for _, picture in drawings(number + 1, size=size)][number]


@cache
def registered_code(size: tuple[int, int]) -> bytes:
    return fingerprint(drawn(size)).pdq.code


@pytest.mark.parametrize("size", sorted({(int(v["width"]), int(v["height"])) for v in VECTORS}))
def test_drawings_never_change_and_exact_mode_equals_the_reference_on_them(size):
    rows = {v["drawing"]: v for v in VECTORS if (int(v["width"]), int(v["height"])) == size}
    seen = 0
    for name, picture in drawings(len(rows), size=size):
        pixels = hashlib.sha256(np.asarray(picture).tobytes()).hexdigest()
        assert pixels[:16] == rows[name]["pixels_sha256_16"]
        found = fingerprint(picture).pdq
        assert (found.code.hex(), found.quality) == (
            rows[name]["pdq_hex"],
            int(rows[name]["quality"]),
        )
        seen += 1
    assert seen == len(rows)


@given(
    hnp.arrays(
        np.uint8,
        st.tuples(st.integers(5, 160), st.integers(5, 160), st.just(3)),
        elements=st.integers(0, 255),
    )
)
def test_exact_mode_equals_pdqhash_on_anything(pixels):
    pdqhash = pytest.importorskip("pdqhash", reason="pdqhash, of the bench group, is not installed")
    bits, quality = pdqhash.compute(pixels)
    found = fingerprint(Image.fromarray(pixels)).pdq
    assert found.code == np.packbits(bits.astype(np.uint8)).tobytes()
    assert found.quality == quality


def test_brightness_equals_the_double_precision_formula():
    step = np.arange(0, 256, 5, dtype=np.uint8)
    colours = np.stack(np.meshgrid(step, step, step), -1).reshape(-1, 1, 3)
    red, green, blue = (colours[..., k].astype(np.float64) for k in range(3))
    expected = (red * 0.299 + green * 0.587 + blue * 0.114).astype(np.float32)
    assert np.array_equal(luma(colours), expected)


@pytest.mark.parametrize("mode", list(Mode))
@pytest.mark.parametrize("transform", TRANSFORMS)
def test_variant_is_the_hash_with_the_transform_undone(transform, mode):
    for size in ((384, 256), (301, 517)):
        picture, registered = drawn(size), registered_code(size)
        query = Image.fromarray(np.ascontiguousarray(APPLY[transform](np.asarray(picture))))
        apart = {
            t: bits_apart(code, registered)
            for t, code in fingerprint(query, mode=mode).pdq.queries()
        }
        assert apart.pop(transform) <= 2
        assert min(apart.values()) > 60


def test_first_variant_is_the_code():
    found = fingerprint(drawn((200, 120))).pdq
    assert len(found.variants) == 256
    assert found.variants[:32] == found.code


@pytest.mark.parametrize("shape", [(5, 5), (5, 3000), (6, 7), (64, 64), (64, 200), (129, 63)])
def test_matrix_product_agrees_with_the_reference_at_full_size(shape):
    picture = Image.fromarray(
        np.asarray(drawn((max(shape[1], 64), max(shape[0], 64))))[: shape[0], : shape[1]]
    )
    exact, fast = fingerprint(picture).pdq, fingerprint(picture, mode=Mode.FAST).pdq
    assert bits_apart(exact.code, fast.code) <= 4
    assert abs(exact.quality - fast.quality) <= 1


@pytest.mark.parametrize("length", [5, 63, 64, 65, 127, 128, 129, 500, 4097])
@pytest.mark.parametrize("scale", [1, 2, 4, 8])
def test_weights_of_each_output_line_sum_to_one(length, scale):
    bands = filter_bands(length, scale)
    assert bands.samples.min() >= 0
    assert bands.samples.max() < -(-length // scale)
    assert np.allclose(bands.weights.sum(2), 1, atol=1e-5)


def test_featureless_picture_has_quality_zero_and_is_not_matchable():
    for mode in Mode:
        found = fingerprint(Image.new("RGB", (320, 200), (90, 120, 30)), mode=mode)
        assert found.pdq.quality == 0
        assert not found.matchable


def test_grey_picture_hashes_like_its_rgb_copy():
    grey = drawn((300, 200)).convert("L")
    assert fingerprint(grey).pdq == fingerprint(grey.convert("RGB")).pdq
