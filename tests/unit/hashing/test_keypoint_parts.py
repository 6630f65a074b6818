"""Which parts of a frame are looked at closer."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from egide.domain.model import Rectangle
from egide.hashing.keypoint_parts import MAX_PARTS, small_parts

RECTANGLES = st.builds(
    Rectangle,
    left=st.integers(0, 900),
    top=st.integers(0, 700),
    width=st.integers(1, 100),
    height=st.integers(1, 100),
)


def test_of_a_collage_in_a_frame_the_pictures_are_chosen() -> None:
    collage = Rectangle(0, 200, 400, 400)
    tiles = [Rectangle(x, y, 195, 195) for x in (0, 205) for y in (200, 405)]
    assert small_parts([collage, *tiles], 400, 800) == tiles


def test_a_picture_with_a_smaller_one_on_it_is_chosen() -> None:
    picture, sticker = Rectangle(0, 200, 400, 400), Rectangle(50, 250, 100, 100)
    assert small_parts([sticker, picture], 400, 800) == [picture]


def test_a_part_that_is_nearly_all_of_the_frame_is_not_looked_at() -> None:
    assert small_parts([Rectangle(10, 10, 380, 380)], 400, 400) == []


def test_specks_are_not_looked_at() -> None:
    assert small_parts([Rectangle(10, 10, 20, 20)], 400, 400) == []


@given(st.lists(RECTANGLES, max_size=40))
def test_the_chosen_are_few_and_hardly_overlap(parts: list[Rectangle]) -> None:
    chosen = small_parts(parts, 1000, 800)
    assert len(chosen) <= MAX_PARTS
    for place, one in enumerate(chosen):
        for other in chosen[:place]:
            width = min(one.left + one.width, other.left + other.width) - max(one.left, other.left)
            height = min(one.top + one.height, other.top + other.height) - max(one.top, other.top)
            if width > 0 and height > 0:
                smaller = min(one.width * one.height, other.width * other.height)
                assert width * height <= 0.1 * smaller
