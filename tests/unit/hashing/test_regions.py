"""Parts of a picture that are pictures of their own: found, bounded, and hashed like them."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFilter

from egide.domain.model import MAX_REGIONS, Fingerprint, Mode, Rectangle
from egide.hashing import fingerprint
from egide.hashing.regions import find_regions
from egide.hashing.segments import find_segments
from egide.media import Frame
from pictures import encoded, pictures

NEAR_BITS = 31
WHOLE = (0, 1, 4, 5, 7)
"""Drawings that are neither made of tiles nor of words."""
OWN_MARGINS = {(3, "white"), (2, "#3050a0")}
"""Drawings with margins of their own, and the page from which these cannot be told."""


def frame_of(levels: np.ndarray) -> Frame:
    return Frame(levels, *levels.shape[:2])


def page(size: tuple[int, int], colour: str, *pasted: tuple[Image.Image, tuple[int, int]]):
    sheet = Image.new("RGB", size, colour)
    for image, at in pasted:
        sheet.paste(image, at)
    return sheet


def distance(found: Fingerprint, image: Image.Image) -> int:
    """Bits from the picture to the nearest region."""
    code = int.from_bytes(fingerprint(image, regions=False).frames[0].code)
    return (
        min((int.from_bytes(r.pdq.code) ^ code).bit_count() for r in found.regions)
        if found.regions
        else 256
    )


def error_pixels(one: Rectangle, other: Rectangle) -> int:
    """How far the furthest side is off."""
    return max(
        abs(one.left - other.left),
        abs(one.top - other.top),
        abs(one.left + one.width - other.left - other.width),
        abs(one.top + one.height - other.top - other.height),
    )


@given(
    number=st.integers(0, 7),
    left=st.integers(8, 300),
    top=st.integers(8, 300),
    right=st.integers(8, 300),
    bottom=st.integers(8, 300),
    colour=st.sampled_from(["white", "black", "#3050a0", "#808080"]),
)
def test_a_picture_anywhere_on_a_plain_page_is_found_to_two_pixels(
    number: int, left: int, top: int, right: int, bottom: int, colour: str
) -> None:
    assume((number, colour) not in OWN_MARGINS)
    image = pictures()[number]
    sheet = page((384 + left + right, 256 + top + bottom), colour, (image, (left, top)))
    found = fingerprint(sheet).regions
    whole = Rectangle(left, top, 384, 256)
    assert min(error_pixels(region.rectangle, whole) for region in found) <= 2
    assert distance(fingerprint(sheet), image) <= NEAR_BITS


@pytest.mark.parametrize("quality", [40, 85])
@pytest.mark.parametrize("mode", list(Mode))
def test_a_border_is_trimmed_in_either_mode(mode: Mode, quality: int) -> None:
    image = pictures()[0].resize((1152, 768))
    sheet = page((1300, 1000), "white", (image, (60, 90)))
    found = fingerprint(encoded(sheet, quality=quality), mode=mode)
    assert found.regions[0].trimmed
    assert error_pixels(found.regions[0].rectangle, Rectangle(60, 90, 1152, 768)) <= 8
    assert distance(found, image) <= NEAR_BITS


def test_bars_of_two_colours_are_trimmed() -> None:
    image = pictures()[1]
    sheet = page(
        (384, 416), "black", (Image.new("RGB", (384, 80), "white"), (0, 0)), (image, (0, 80))
    )
    assert distance(fingerprint(sheet), image) <= 8


def test_a_caption_is_trimmed_with_its_band() -> None:
    image = pictures()[4]
    sheet = page((384, 336), "white", (image, (0, 80)))
    ImageDraw.Draw(sheet).text((12, 10), "when you see it\nyou will know", "black", font_size=24)
    found = fingerprint(sheet)
    assert distance(found, image) <= 8
    assert any(region.trimmed and region.rectangle.top == 80 for region in found.regions)


def test_a_blurred_background_is_trimmed() -> None:
    image = pictures()[5]
    ground = image.resize((540, 960)).filter(ImageFilter.GaussianBlur(30))
    inner = image.resize((540, 360))
    ground.paste(inner, (0, 300))
    assert distance(fingerprint(encoded(ground, quality=85), mode=Mode.FAST), image) <= NEAR_BITS


def test_blocks_of_a_coarse_jpeg_are_no_seams() -> None:
    rng = np.random.default_rng(5)
    blocks = rng.normal(0, 5, (50, 75)).repeat(8, 0).repeat(8, 1)
    y, x = np.indices((400, 600))
    smooth = 128 + 50 * np.sin(x / 90) + 40 * np.cos(y / 70)
    levels = smooth + blocks + rng.normal(0, 0.5, (400, 600))
    assert find_regions(frame_of(np.clip(levels, 0, 255).astype(np.uint8))) == []


def test_a_horizon_does_not_hide_the_picture_on_a_blurred_ground() -> None:
    image = pictures()[0].resize((540, 360))
    ImageDraw.Draw(image).rectangle((0, 200, 540, 212), "white")
    ground = image.resize((540, 960)).filter(ImageFilter.GaussianBlur(30))
    ground.paste(image, (0, 300))
    assert distance(fingerprint(encoded(ground, quality=85), mode=Mode.FAST), image) <= NEAR_BITS


def test_a_picture_in_a_bubble_is_found_without_the_time_below_it() -> None:
    image = pictures()[1].resize((390, 260))
    sheet = page((540, 800), "#e5ddd3", (Image.new("RGB", (402, 296), "white"), (20, 258)))
    sheet.paste(image, (26, 264))
    ImageDraw.Draw(sheet).text((360, 532), "21:07", "#777777", font_size=14)
    assert distance(fingerprint(encoded(sheet, quality=85), mode=Mode.FAST), image) <= NEAR_BITS


@pytest.mark.parametrize("gap", [0, 2, 12])
def test_a_collage_is_taken_apart(gap: int) -> None:
    some = [pictures()[number] for number in WHOLE[:4]]
    places = [(x * (384 + gap), y * (256 + gap)) for y in range(2) for x in range(2)]
    sheet = page((768 + gap, 512 + gap), "white", *zip(some, places, strict=True))
    found = fingerprint(encoded(sheet, quality=85))
    assert all(distance(found, image) <= NEAR_BITS for image in some)


def test_a_picture_in_a_picture_is_found() -> None:
    ground, image = pictures()[4].resize((900, 600)), pictures()[0]
    ground = page((900, 600), "white", (ground, (0, 0)), (image, (480, 320)))
    assert distance(fingerprint(ground), image) <= NEAR_BITS


def test_regions_of_a_region_sized_whole_are_not_kept_twice() -> None:
    sheet = page((388, 260), "white", (pictures()[6], (2, 2)))
    codes = [int.from_bytes(each.pdq.code) for each in fingerprint(sheet).regions]
    whole = int.from_bytes(fingerprint(sheet).frames[0].code)
    every = [whole, *codes]
    assert all(
        (one ^ other).bit_count() > 4 for place, one in enumerate(every) for other in every[:place]
    )


def hostile() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(3)
    y, x = np.indices((600, 800))
    tiles = rng.integers(0, 256, (75, 100)).repeat(8, 0).repeat(8, 1)
    framed = np.full((1024, 1024), 255)
    for inset in range(0, 500, 4):
        framed[inset : 1024 - inset, inset : 1024 - inset] = 255 * (inset // 4 % 2)
    return {
        "least": rng.integers(0, 256, (5, 5)),
        "wide strip": rng.integers(0, 256, (5, 10_000)),
        "tall strip": rng.integers(0, 256, (10_000, 40)),
        "blank": np.zeros((300, 400)),
        "noise": rng.integers(0, 256, (600, 800)),
        "chequers": (x // 8 + y // 8) % 2 * 255,
        "grid": ((x % 9 == 0) | (y % 9 == 0)) * 255,
        "thin grid": ((x % 2 == 0) | (y % 3 == 0)) * 255,
        "thousands of tiles": tiles,
        "gradient": x * 255 // 800,
        "frames in frames": framed,
    }


@pytest.mark.parametrize("name", list(hostile()))
def test_a_hostile_picture_stays_within_the_bounds(name: str) -> None:
    levels = hostile()[name].astype(np.uint8)
    rows, columns = levels.shape
    found = find_regions(frame_of(levels))
    assert len(found) <= MAX_REGIONS
    assert found == find_regions(frame_of(levels))
    for region in found:
        box, rectangle = region.box, region.rectangle
        assert 0 <= box.top < box.bottom <= rows
        assert 0 <= box.left < box.right <= columns
        assert (rectangle.width, rectangle.height) == (box.columns, box.rows)


@given(st.integers(0, 2**32), st.integers(1, 90), st.integers(1, 90))
def test_any_small_picture_has_segments_inside_it(seed: int, rows: int, columns: int) -> None:
    dice = random.Random(seed)
    levels = np.random.default_rng(seed).integers(0, 256, (rows, columns))
    for _ in range(dice.randrange(12)):
        top, left = dice.randrange(rows), dice.randrange(columns)
        levels[top : dice.randrange(top, rows) + 1, left : dice.randrange(left, columns) + 1] = (
            dice.randrange(256)
        )
    for box, _ in find_segments(levels.astype(np.uint8)):
        assert 0 <= box.top < box.bottom <= rows
        assert 0 <= box.left < box.right <= columns


def test_the_count_is_bounded_over_all_frames_of_an_animation() -> None:
    some = pictures()
    frames = [
        page(
            (776, 520),
            "white",
            *(
                (some[(place + shift) % 8].resize((188, 124)), (place % 4 * 194, place // 4 * 130))
                for place in range(16)
            ),
        )
        for shift in range(4)
    ]
    data = encoded(frames[0], "WEBP", save_all=True, append_images=frames[1:], lossless=True)
    found = fingerprint(data)
    assert len(found.frames) > 1
    assert 0 < len(found.regions) <= MAX_REGIONS
    assert {region.frame for region in found.regions} <= set(range(len(found.frames)))


def test_a_scaled_decode_finds_what_a_full_one_does() -> None:
    some = [image.resize((1152, 768)) for image in pictures()[:2]]
    sheet = page((1280, 1760), "black", (some[0], (64, 64)), (some[1], (64, 900)))
    data = encoded(sheet, quality=90)
    fast, exact = (fingerprint(data, mode=mode) for mode in (Mode.FAST, Mode.EXACT))
    for image in some:
        assert distance(fast, image) <= NEAR_BITS
        assert distance(exact, image) <= NEAR_BITS


def test_a_plain_comparison_can_be_asked_for() -> None:
    sheet = page((500, 400), "white", (pictures()[1], (50, 70)))
    assert fingerprint(sheet).regions
    assert not fingerprint(sheet, regions=False).regions
