"""Progressive JPEG at 1/8 without its scans of detail: equal to the whole, and never when cut.

`vectors/progressive` holds a drawing saved by libjpeg-turbo's `cjpeg` with scan scripts, samplings
and steps that Pillow cannot write.
"""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from drawings import drawings
from egide.domain.model import Mode
from egide.hashing import fingerprint
from egide.media.jpeg import decode_luma, read_header
from egide.media.progressive import coarse_scans

VECTORS = Path(__file__).parents[2] / "vectors" / "progressive"
WITHOUT_DETAIL = (
    "late-refinement",
    "no-refinement",
    "one-by-two",
    "restarts",
    "wide-steps",
)
LEFT_WHOLE = ("coarse-brightness", "red-green-blue")


def saved(picture: Image.Image, **options: object) -> bytes:
    file = io.BytesIO()
    picture.save(file, "JPEG", progressive=True, **options)
    return file.getvalue()


def whole_at_an_eighth(data: bytes) -> np.ndarray:
    width, height = Image.open(io.BytesIO(data)).size
    size = (-(-width // 8), -(-height // 8))
    return np.asarray(Image.frombytes("L", size, data, "jpeg", ("L", "", 8, 0)))


@pytest.fixture(scope="module")
def picture() -> Image.Image:
    return next(drawings(1, size=(203, 157)))[1]


@pytest.fixture(scope="module")
def large(picture) -> bytes:
    return saved(picture.resize((1777, 1603), Image.Resampling.BICUBIC))


def assert_equal_without_detail(data: bytes) -> None:
    assert len(coarse_scans(data)) < len(data)
    luma = decode_luma(data, read_header(data), 8)
    assert np.array_equal(luma, whole_at_an_eighth(data))


@pytest.mark.parametrize("size", [(203, 157), (64, 64), (9, 17), (5, 5)])
@pytest.mark.parametrize(
    "options",
    [
        {"subsampling": 0},
        {"subsampling": 1},
        {"subsampling": 2},
        {"restart_marker_rows": 1},
        {"restart_marker_blocks": 3},
        {"quality": 3},
        {"quality": 100},
    ],
)
def test_means_are_those_of_the_whole_file(picture, size, options):
    assert_equal_without_detail(saved(picture.resize(size), **options))


def test_grey_file(picture):
    assert_equal_without_detail(saved(picture.convert("L")))


@pytest.mark.parametrize("name", WITHOUT_DETAIL)
def test_other_scan_scripts_and_samplings(name):
    assert_equal_without_detail((VECTORS / f"{name}.jpg").read_bytes())


@pytest.mark.parametrize("name", LEFT_WHOLE)
def test_brightness_that_needs_detail_leaves_the_file_whole(name):
    data = (VECTORS / f"{name}.jpg").read_bytes()
    assert coarse_scans(data) is data
    assert np.array_equal(decode_luma(data, read_header(data), 8), whole_at_an_eighth(data))


def test_file_cut_anywhere_is_never_taken_for_a_whole_one(picture):
    whole = saved(picture.resize((104, 80)))
    for end in range(2, len(whole)):
        with pytest.raises(EOFError):
            coarse_scans(whole[:end])


def test_what_follows_the_picture_does_not_matter(picture):
    whole = saved(picture)
    assert coarse_scans(whole + b"trailing \xff\xda bytes") == coarse_scans(whole)


@pytest.mark.parametrize("marker", [0xC0, 0xCC, 0xD8, 0xDC, 0x01])
def test_unusual_segment_leaves_the_file_whole(picture, marker):
    whole = saved(picture)
    at = whole.index(b"\xff\xda")
    unusual = whole[:at] + bytes((0xFF, marker, 0, 4, 0, 0)) + whole[at:]
    assert coarse_scans(unusual) is unusual


def test_scan_header_of_a_wrong_length_leaves_the_file_whole(picture):
    whole = saved(picture)
    at = whole.index(b"\xff\xda")
    for length in (2, 3, 9):
        changed = whole[: at + 2] + length.to_bytes(2, "big") + whole[at + 4 :]
        assert coarse_scans(changed) is changed


def test_large_file_hashes_near_exact_mode(large):
    exact, fast = fingerprint(large).pdq, fingerprint(large, mode=Mode.FAST).pdq
    assert (int.from_bytes(exact.code) ^ int.from_bytes(fast.code)).bit_count() <= 4
    assert abs(exact.quality - fast.quality) <= 2


@pytest.mark.parametrize("share", [0.1, 0.3, 0.6, 0.99])
def test_large_file_cut_in_its_detail_is_truncated(large, share):
    cut = fingerprint(large[: int(len(large) * share)], mode=Mode.FAST)
    assert cut.share_read < 1
    if share > 0.5:
        whole = fingerprint(large, mode=Mode.FAST)
        assert (int.from_bytes(cut.pdq.code) ^ int.from_bytes(whole.pdq.code)).bit_count() <= 4
