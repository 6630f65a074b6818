"""Anchored hashes: found again in edited copies, equal in every implementation."""

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from drawn_scenes import scene
from egide.domain.model import MAX_ANCHORED, WHOLE_REGIONS, AnchoredQuery, Rectangle, Region
from egide.hashing import fingerprint
from egide.hashing.anchored import anchored_query, regions_of
from egide.hashing.anchored_points import MAX_POINTS, points
from egide.hashing.anchored_scales import MAX_ASPECT, MIN_SIDE, scales
from egide.media import Frame

VECTORS = Path(__file__).with_name("anchored_vectors.json")
NEAR_BITS = 36

Picture = NDArray[np.uint8]


def searched(pixels: Picture) -> AnchoredQuery | None:
    return anchored_query(Frame(pixels, *pixels.shape[:2]))


def found(query: Picture, registered: Picture) -> int:
    """How many of the registered picture's codes a query has a region near to."""
    asked, kept = searched(query), searched(registered)
    assert asked is not None
    assert kept is not None
    codes = np.frombuffer(kept.registered().codes, np.uint64).reshape(-1, 4)
    others = np.frombuffer(asked.codes, np.uint64).reshape(-1, 1, 4)
    return int((np.bitwise_count(codes ^ others).sum(2).min(0) <= NEAR_BITS).sum())


@pytest.fixture(scope="module")
def picture() -> Picture:
    """A drawn scene of 640 × 480."""
    return scene(480, 640, seed=3)


@pytest.mark.parametrize(
    "edit",
    [
        pytest.param(lambda p: p[100:400, 200:560], id="crop"),
        pytest.param(lambda p: p[:, ::-1], id="mirrored"),
        pytest.param(np.rot90, id="turned"),
        pytest.param(lambda p: p[::2, ::2], id="half the size"),
        pytest.param(lambda p: np.clip(p.astype(float) * 0.7 + 30, 0, 255), id="paler"),
        pytest.param(
            lambda p: np.pad(p, ((60, 90), (40, 120), (0, 0)), constant_values=255), id="pasted"
        ),
    ],
)
def test_an_edited_copy_has_regions_of_the_picture(edit, picture: Picture) -> None:  # type: ignore[no-untyped-def]
    copy = np.ascontiguousarray(edit(picture)).astype(np.uint8)
    assert found(copy, picture) >= 3


def test_another_picture_has_none_of_its_regions(picture: Picture) -> None:
    assert found(scene(480, 640, seed=4), picture) == 0


def test_codes_are_those_of_the_vectors() -> None:
    for vector in json.loads(VECTORS.read_text()):
        drawn = scene(vector["rows"], vector["columns"], seed=vector["seed"])
        block = np.ones((vector["enlarged"], vector["enlarged"], 1), np.uint8)
        query = searched(np.kron(drawn, block))
        assert query is not None
        assert [code.hex() for code in query] == vector["codes"]


def test_a_query_keeps_few_codes_and_a_registered_picture_fewer(picture: Picture) -> None:
    query = searched(picture)
    assert isinstance(query, AnchoredQuery)
    assert len(query.regions) <= 2 * WHOLE_REGIONS
    assert 24 < len(query.registered()) <= MAX_ANCHORED


def test_parts_that_are_pictures_are_searched_like_the_whole_and_not_registered(
    picture: Picture,
) -> None:
    frame = Frame(picture, 960, 1280, scale=2)
    pdq = fingerprint(Image.fromarray(picture)).pdq
    assert pdq is not None
    boxes = (Rectangle(0, 0, 1280, 900), Rectangle(40, 60, 700, 800), Rectangle(760, 60, 500, 800))
    query = anchored_query(frame, [Region(0, box, pdq, trimmed=False) for box in boxes])
    alone = anchored_query(frame)
    assert query is not None
    assert alone is not None
    assert query.registered() == alone.registered()
    # The first one has nearly all of the area, so nothing new.
    shares = (picture[30:430, 20:370], picture[30:430, 380:630])
    codes = np.concatenate([regions_of(np.ascontiguousarray(part), 47) for part in shares])
    assert query.codes == alone.codes + codes.tobytes()
    assert query.regions == alone.regions + bytes(
        np.repeat(np.arange(160, 160 + len(codes), dtype=np.uint8), 2)
    )


@pytest.mark.parametrize(
    "pixels",
    [
        pytest.param(np.zeros((1, 4096), np.uint8), id="one line"),
        pytest.param(np.zeros((MIN_SIDE - 1, 100), np.uint8), id="too small"),
        pytest.param(np.zeros((40, 40 * MAX_ASPECT + 1, 3), np.uint8), id="a strip"),
        pytest.param(np.full((300, 400, 3), 200, np.uint8), id="one colour"),
        pytest.param(np.tile(np.arange(0, 250, dtype=np.uint8), (300, 1)), id="a slope"),
    ],
)
def test_what_has_not_enough_detail_has_no_anchored_hashes(pixels: Picture) -> None:
    assert searched(pixels) is None


@pytest.mark.parametrize("period", [6, 14, 40])
def test_a_picture_of_thousands_of_equal_spots_is_bounded(period: int) -> None:
    rows, columns = np.indices((600, 600))
    dots = np.sin(rows * 2 * np.pi / period) * np.sin(columns * 2 * np.pi / period)
    scaled = scales((dots * 127 + 128).astype(np.uint8))
    assert scaled is not None
    assert len(points(scaled.octaves).size) <= MAX_POINTS
    noise = np.random.default_rng(5).integers(0, 256, (600, 600), np.uint8)
    for pixels in ((dots * 127 + 128).astype(np.uint8), noise):
        codes = regions_of(pixels, WHOLE_REGIONS)
        assert len(codes) <= WHOLE_REGIONS


def test_large_pictures_are_averaged_by_blocks_first(picture: Picture) -> None:
    large = np.kron(picture, np.ones((4, 4, 1), np.uint8))
    assert found(large, picture) >= 24
