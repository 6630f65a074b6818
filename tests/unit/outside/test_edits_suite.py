"""The edits of the benchmark: complete, repeatable, and of a sane size."""

from __future__ import annotations

from collections import Counter
from functools import cache

import numpy as np
import pytest
from PIL import Image, ImageChops

from edits import low_texture, shared
from edits.edit import Edit, Group
from edits.geometric import rotated_inside
from edits.plan import Plan
from edits.replaced import Shape, region
from edits.shared_overlays import OVERLAYS
from edits.suite import EDITS
from pictures import pictures

# The edits are a benchmark's, of which a wrong one would show in its figures.
pytestmark = pytest.mark.slow
by_name = pytest.mark.parametrize("edit", EDITS, ids=lambda edit: edit.name)
OTHERS = pictures()[1:]


def edited(edit: Edit, key: str = "a") -> Image.Image:
    return edit.apply(pictures()[0], key, OTHERS)


@cache
def once(edit: Edit) -> Image.Image:
    return edited(edit)


def test_there_are_at_least_sixty_edits_in_exactly_the_ten_groups() -> None:
    assert len(EDITS) >= 60
    assert {edit.group.value for edit in EDITS} == {
        "photometric", "crop", "dihedral", "rotation", "border", "overlay", "composition",
        "warp", "region replaced", "combined",
    }  # fmt: skip
    assert min(Counter(edit.group for edit in EDITS).values()) >= 5


def test_every_name_is_used_once() -> None:
    assert max(Counter(edit.name for edit in EDITS).values()) == 1


@by_name
def test_an_edit_gives_an_rgb_picture_of_a_sane_size_and_changes_it(edit: Edit) -> None:
    before = pictures()[0]
    result = once(edit)
    assert result.mode == "RGB"
    assert min(result.size) >= 60
    assert max(result.size) <= 2400
    assert np.asarray(result).std() > 5
    assert result.size != before.size or ImageChops.difference(result, before).getbbox()


@by_name
def test_an_edit_is_the_same_each_time_and_leaves_the_picture_alone(edit: Edit) -> None:
    before = pictures()[0].tobytes()
    assert edited(edit) == once(edit)
    assert pictures()[0].tobytes() == before


def test_another_picture_is_edited_with_other_randomness() -> None:
    random = [edit for edit in EDITS if once(edit) != edited(edit, "b")]
    assert {edit.group for edit in random} >= {Group.OVERLAY, Group.COMPOSITION, Group.REPLACED}


@pytest.mark.parametrize("size", [(480, 160), (160, 480)])
def test_every_edit_takes_pictures_of_any_proportions(size: tuple[int, int]) -> None:
    picture = pictures()[2].resize(size)
    for edit in EDITS:
        assert min(edit.apply(picture, "a", OTHERS).size) >= 40, edit.name


@pytest.mark.parametrize("share", [0.08, 0.15, 0.4])
@pytest.mark.parametrize("shape", Shape)
def test_a_replaced_region_has_the_share_of_the_area_that_its_name_says(
    share: float, shape: Shape
) -> None:
    _, mask = region(pictures()[0], np.random.default_rng(3), share, shape)
    assert np.asarray(mask).mean() / 255 == pytest.approx(share, rel=0.06)


@pytest.mark.parametrize("degrees", [5, -5, 15, 30])
def test_rotating_inside_leaves_no_empty_corner(degrees: float) -> None:
    white = Image.new("RGB", (400, 300), "white")
    assert np.asarray(rotated_inside(white, degrees)).min() > 200


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_a_shared_overlay_is_the_same_to_the_pixel_over_all_pictures(overlay: str) -> None:
    under = [OVERLAYS[overlay](Image.new("RGB", (400, 300), grey)) for grey in ("black", "white")]
    again = OVERLAYS[overlay](Image.new("RGB", (300, 400), "black"))
    assert again == under[0]
    apart = np.asarray(ImageChops.difference(*under)).max(2)
    # At least something of the picture shows, and something hides it or tints it everywhere.
    assert (apart > 60).mean() > 0.2
    assert (apart < 250).mean() > 0.04


def test_opaque_frames_cover_half_of_the_result() -> None:
    for name in ("app frame", "page of text", "patterned frame"):
        under = [OVERLAYS[name](Image.new("RGB", (400, 300), grey)) for grey in ("black", "white")]
        apart = np.asarray(ImageChops.difference(*under)).max(2)
        assert (apart == 0).mean() >= 0.5, name


def test_there_are_ten_thousand_pairs_under_a_shared_overlay() -> None:
    pictures_under_each = Plan("report").under_overlay
    strangers = pictures_under_each * (pictures_under_each - 1)
    assert strangers * len(shared.COPIES) * len(OVERLAYS) >= 10_000


def test_low_texture_pictures_are_distinct() -> None:
    found = dict(low_texture.low_texture(3, pictures()))
    assert len(found) == 12
    assert len({image.tobytes() for image in found.values()}) == 12
