"""The same picture in every colour mode and format has the same fingerprint, or nearly."""

import io

import numpy as np
import pytest
from PIL import Image

from drawings import drawings
from egide.domain.model import Limits, Mode
from egide.hashing import fingerprint

both_modes = pytest.mark.parametrize("mode", list(Mode))


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def bits_apart(one: bytes, other: bytes) -> int:
    return (int.from_bytes(one) ^ int.from_bytes(other)).bit_count()


PICTURES = [picture for _, picture in drawings(8, size=(320, 240))]


@pytest.fixture(params=[1, 5], ids=["shapes", "island"])
def picture(request) -> Image.Image:
    return PICTURES[request.param]


def apart(data: bytes, picture: Image.Image, mode: Mode = Mode.EXACT) -> int:
    return bits_apart(fingerprint(data, mode=mode).pdq.code, fingerprint(picture).pdq.code)


@both_modes
@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF", "BMP", "PPM"])
def test_lossless_formats_are_equal(picture, kind, mode):
    options = {"lossless": True, "method": 0} if kind == "WEBP" else {}
    assert apart(saved(picture, kind, **options), picture, mode) <= (0 if mode is Mode.EXACT else 2)


@both_modes
@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "AVIF", "GIF"])
def test_lossy_formats_are_near(picture, kind, mode):
    assert apart(saved(picture, kind), picture, mode) <= 10


@both_modes
@pytest.mark.parametrize(
    "options",
    [{"progressive": True}, {"subsampling": 0}, {"keep_rgb": True}, {"restart_marker_rows": 1}],
)
def test_kinds_of_jpeg_are_near(picture, options, mode):
    assert apart(saved(picture, "JPEG", quality=92, **options), picture, mode) <= 8


@both_modes
def test_cmyk_jpeg_and_tiff_are_near(picture, mode):
    for kind in ("JPEG", "TIFF"):
        assert apart(saved(picture.convert("CMYK"), kind), picture, mode) <= 6


def test_palette_picture_equals_its_rgb_copy(picture):
    palette = picture.quantize(200)
    assert apart(saved(palette, "PNG"), palette.convert("RGB")) == 0
    assert apart(saved(palette, "GIF"), palette.convert("RGB")) == 0
    assert apart(saved(palette, "PNG"), picture) <= 8


def test_grey_modes_are_near_the_grey_picture(picture):
    grey = picture.convert("L")
    wide = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
    assert wide.mode == "I;16"
    for data in (saved(wide, "PNG"), saved(wide, "TIFF"), saved(grey.convert("LA"), "PNG")):
        assert apart(data, grey) == 0
        assert fingerprint(data).pdq.quality == fingerprint(grey).pdq.quality
    real = Image.fromarray(np.asarray(grey).astype(np.float32) / 255)
    assert apart(saved(real, "TIFF"), grey) <= 2
    integers = Image.fromarray(np.asarray(grey).astype(np.int32) * 257)
    assert apart(saved(integers, "TIFF"), grey) <= 2


def test_other_modes_of_pillow_images_are_near(picture):
    code = fingerprint(picture).pdq.code
    for mode, limit in (("YCbCr", 4), ("HSV", 6), ("RGBX", 0), ("RGBA", 0), ("RGBa", 0)):
        converted = (
            picture.convert("RGBA").convert(mode) if mode == "RGBa" else picture.convert(mode)
        )
        assert bits_apart(fingerprint(converted).pdq.code, code) <= limit
    assert fingerprint(picture.convert("1")).pdq.quality > 0


def test_lab_is_near_the_picture(picture):
    from PIL import ImageCms

    srgb, lab = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    converted = ImageCms.profileToProfile(picture, srgb, lab, outputMode="LAB")
    assert bits_apart(fingerprint(converted).pdq.code, fingerprint(picture).pdq.code) <= 2


def test_transparency_is_composited_on_white(picture):
    clear = picture.convert("RGBA")
    left = Image.new("L", picture.size, 255)
    left.paste(0, (0, 0, 160, 240))
    clear.putalpha(left)
    white = picture.copy()
    white.paste((255, 255, 255), (0, 0, 160, 240))
    expected = fingerprint(white).pdq
    assert fingerprint(saved(clear, "PNG")).pdq == expected
    assert fingerprint(saved(clear, "WEBP", lossless=True)).pdq == expected
    palette = Image.new("P", (64, 80), 1)
    palette.putpalette([0, 0, 0, 200, 30, 30])
    palette.paste(0, (0, 0, 32, 80))
    found = fingerprint(saved(palette, "PNG", transparency=0)).pdq
    flat = Image.new("RGB", (64, 80), (200, 30, 30))
    flat.paste((255, 255, 255), (0, 0, 32, 80))
    assert found == fingerprint(flat).pdq


def test_transparent_level_of_a_png_is_white():
    grey = PICTURES[5].convert("L")
    levels = np.asarray(grey)
    key = int(np.median(levels))
    white = Image.fromarray(np.where(levels == key, 255, levels).astype(np.uint8))
    expected = fingerprint(white).pdq
    assert fingerprint(saved(grey, "PNG", transparency=key)).pdq == expected
    wide = Image.fromarray(levels.astype(np.uint16) * 257)
    assert fingerprint(saved(wide, "PNG", transparency=key * 257)).pdq == expected
    bilevel = saved(grey.convert("1"), "PNG", transparency=0)
    assert fingerprint(bilevel).pdq.quality == 0


@pytest.mark.parametrize("orientation", range(2, 9))
def test_exif_rotated_file_meets_its_upright_copy(orientation):
    from PIL import ImageOps

    picture = PICTURES[5]

    exif = Image.Exif()
    exif[0x0112] = orientation
    rotated = saved(picture, "JPEG", exif=exif, quality=90)
    upright = ImageOps.exif_transpose(Image.open(io.BytesIO(rotated)))
    registered = fingerprint(saved(upright, "PNG")).pdq.code
    found = fingerprint(rotated, mode=Mode.FAST)
    assert (found.width, found.height) == picture.size
    assert bits_apart(found.pdq.code, registered) > 31
    assert min(bits_apart(code, registered) for _, code in found.pdq.queries()) <= 10


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF", "AVIF"])
def test_each_distinct_frame_is_hashed_once(kind):
    frames = [PICTURES[k] for k in (0, 0, 1, 1, 0, 2)]
    # Copies are changed by a dot each, or the encoder would merge them.
    frames = [frame.copy() for frame in frames]
    for number, frame in enumerate(frames):
        frame.putpixel((number, 0), (255, 0, 0))
    options = {"lossless": True, "method": 0} if kind == "WEBP" else {}
    data = saved(frames[0], kind, save_all=True, append_images=frames[1:], **options)
    found = fingerprint(data)
    assert len(found.frames) == 3
    assert found.frames_skipped == 0
    for frame, original in zip(found.frames, (0, 2, 5), strict=True):
        assert bits_apart(frame.code, fingerprint(frames[original]).pdq.code) <= 12


def test_frames_beyond_the_limits_are_counted():
    data = saved(PICTURES[0], "GIF", save_all=True, append_images=PICTURES[1:8])
    found = fingerprint(data, limits=Limits(max_frames=3))
    assert (len(found.frames), found.frames_skipped) == (3, 5)
    for frame, position in zip(found.frames, (0, 4, 7), strict=True):
        assert bits_apart(frame.code, fingerprint(PICTURES[position]).pdq.code) <= 12
    found = fingerprint(data, limits=Limits(max_pixels=320 * 240))
    assert (len(found.frames), found.frames_skipped) == (2, 6)


@both_modes
def test_phone_picture_with_a_gain_map_gives_the_picture_alone(mode):
    data = saved(PICTURES[1], "MPO", save_all=True, append_images=[PICTURES[2].resize((80, 60))])
    found = fingerprint(data, mode=mode)
    assert (len(found.frames), found.frames_skipped) == (1, 0)
    assert bits_apart(found.pdq.code, fingerprint(PICTURES[1]).pdq.code) <= 8


@both_modes
def test_stereo_pair_gives_both_pictures(mode):
    data = saved(PICTURES[1], "MPO", save_all=True, append_images=[PICTURES[2]])
    assert len(fingerprint(data, mode=mode).frames) == 2


def test_thumbnail_page_of_a_tiff_is_not_a_frame():
    thumbnail = PICTURES[2].resize((80, 60))
    thumbnail.encoderinfo = {"tiffinfo": {254: 1}}
    data = saved(PICTURES[1], "TIFF", save_all=True, append_images=[thumbnail])
    assert len(fingerprint(data).frames) == 1


def test_pillow_image_gives_no_digests():
    found = fingerprint(PICTURES[0])
    assert (found.sha256, found.md5, found.width, found.height) == (None, None, 320, 240)


def test_path_and_bytes_give_the_same(tmp_path):
    data = saved(PICTURES[0], "PNG")
    (tmp_path / "a.bin").write_bytes(data)
    assert fingerprint(tmp_path / "a.bin") == fingerprint(data)
    assert fingerprint(data, md5=False).md5 is None


@pytest.mark.parametrize("size", [(1203, 901), (2001, 1599)])
def test_scaled_jpeg_of_odd_size_is_near_exact(size):
    large = PICTURES[5].resize(size, Image.Resampling.BICUBIC)
    data = saved(large, "JPEG", quality=88)
    exact, fast = fingerprint(data), fingerprint(data, mode=Mode.FAST)
    assert bits_apart(exact.pdq.code, fast.pdq.code) <= 6
    assert abs(exact.pdq.quality - fast.pdq.quality) <= 3
    assert (fast.width, fast.height) == size
