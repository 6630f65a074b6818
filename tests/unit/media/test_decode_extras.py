"""HEIC and JPEG XL, where their extras are installed (`make test` installs both)."""

import numpy as np
import pytest

from drawings import drawings
from egide.domain.model import Limits, Mode
from egide.errors import DecodeFailed, ImageTooLarge, ImageTooSmall, ImageTruncated, ItemError
from egide.hashing import fingerprint
from shared_folder import CORPUS, needs_shared

both_modes = pytest.mark.parametrize("mode", list(Mode))


def bits_apart(one: bytes, other: bytes) -> int:
    return (int.from_bytes(one) ^ int.from_bytes(other)).bit_count()


@pytest.fixture(scope="module")
def picture():
    return next(drawings(1, size=(160, 120)))[1]


@pytest.fixture(scope="module")
def jxl():
    return pytest.importorskip("pylibjxl", reason="the extra jxl is not installed")


@pytest.fixture(scope="module")
def lossless(jxl, picture) -> bytes:
    return jxl.encode(np.asarray(picture), lossless=True)


@pytest.fixture(scope="module")
def photo() -> bytes:
    pytest.importorskip("pi_heif", reason="the extra heic is not installed")
    return (CORPUS / "formats/heic/IMG_2682.heic").read_bytes()


@both_modes
def test_lossless_jpeg_xl_equals_the_picture(picture, lossless, mode):
    found = fingerprint(lossless, mode=mode)
    assert found.pdq == fingerprint(picture, mode=mode).pdq
    assert (found.width, found.height, found.frames_skipped) == (160, 120, 0)


def test_lossy_jpeg_xl_is_near_the_picture(jxl, picture):
    found = fingerprint(jxl.encode(np.asarray(picture))).pdq
    assert bits_apart(found.code, fingerprint(picture).pdq.code) <= 10


def test_transparent_jpeg_xl_is_composited_on_white(jxl, picture):
    clear = picture.convert("RGBA")
    clear.paste((0, 0, 0, 0), (0, 0, 80, 120))
    white = picture.copy()
    white.paste((255, 255, 255), (0, 0, 80, 120))
    found = fingerprint(jxl.encode(np.asarray(clear), lossless=True)).pdq
    assert found == fingerprint(white).pdq


@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.99])
def test_cut_jpeg_xl_is_refused(lossless, share):
    with pytest.raises((ImageTruncated, DecodeFailed), match="cut"):
        fingerprint(lossless[: int(len(lossless) * share)], name="cut")


def test_jpeg_xl_over_the_limit_is_not_decoded(monkeypatch, jxl, lossless):
    monkeypatch.setattr(jxl, "decode", None)
    with pytest.raises(ImageTooLarge, match="160×120"):
        fingerprint(lossless, limits=Limits(max_pixels=19_199))


def test_jpeg_xl_too_small_to_hash(jxl):
    with pytest.raises(ImageTooSmall):
        fingerprint(jxl.encode(np.zeros((4, 9, 3), np.uint8), lossless=True))


def test_damaged_jpeg_xl_raises_item_errors_only(lossless):
    refused = 0
    for at in range(2, len(lossless), max(len(lossless) // 40, 1)):
        damaged = lossless[:at] + bytes((lossless[at] ^ 0xFF,)) + lossless[at + 1 :]
        try:
            fingerprint(damaged)
        except ItemError:
            refused += 1
    assert refused


@needs_shared
def test_heic_photograph_is_near_its_own_pixels(photo):
    from PIL import Image

    found = fingerprint(photo, mode=Mode.FAST)
    primary = pytest.importorskip("pi_heif").open_heif(photo, convert_hdr_to_8bit=True)
    width, height = primary.size
    pixels = Image.fromarray(np.asarray(primary.to_pillow().convert("RGB")))
    assert found.pdq == fingerprint(pixels, mode=Mode.FAST).pdq
    assert found.pdq.quality >= 50
    assert (found.width, found.height) == (width, height) == pixels.size


@needs_shared
@pytest.mark.parametrize("share", [0.01, 0.2, 0.5, 0.999])
def test_cut_heic_is_refused(photo, share):
    with pytest.raises((ImageTruncated, DecodeFailed), match="cut"):
        fingerprint(photo[: int(len(photo) * share)], name="cut")


@needs_shared
def test_heic_over_the_limit_is_refused(photo):
    with pytest.raises(ImageTooLarge):
        fingerprint(photo, limits=Limits(max_pixels=1000))
