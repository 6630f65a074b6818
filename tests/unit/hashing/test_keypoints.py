"""Keypoints of drawn pictures, and the proof that two pictures show the same."""

from __future__ import annotations

import dataclasses
import io
import subprocess
import sys
from functools import cache
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFilter, ImageOps

from egide.domain.model import (
    DEFAULT_LIMITS,
    KeypointEvidence,
    KeypointQuery,
    KeypointSet,
    Mode,
    Rectangle,
)
from egide.hashing.keypoint_set import pack, view
from egide.hashing.keypoints import (
    MAX_KEYPOINTS,
    PART_KEYPOINTS,
    REGISTERED_KEYPOINTS,
    extract,
    registered,
    spread,
)
from egide.matching.arrangement import hull_area, outline, polygon_area
from egide.matching.keypoint_proof import MAX_DESCRIPTOR_BITS, near_descriptors, prove
from egide.media import Frame
from egide.media.decode import decode, decode_image
from pictures import encoded, pictures


def frame(image: Image.Image) -> Frame:
    return decode_image(image, name="drawn", limits=DEFAULT_LIMITS)


def of(image: Image.Image) -> KeypointQuery:
    return extract(frame(image))


@cache
def entries() -> tuple[KeypointSet, ...]:
    return tuple(registered(of(image)) for image in pictures())


def search(query: KeypointQuery, entry: KeypointSet) -> KeypointEvidence | None:
    return prove(query, False, entry, None) or prove(query, True, entry, None)


def found(image: Image.Image) -> list[int]:
    query = of(image)
    return [place for place, entry in enumerate(entries()) if search(query, entry)]


def test_drawn_pictures_have_enough_detail_and_bounded_sets() -> None:
    for entry in entries():
        assert entry.searchable
        assert entry.count <= REGISTERED_KEYPOINTS
        assert len(pack(entry)) <= 25_000


def test_every_picture_is_found_as_itself_alone() -> None:
    assert [found(image) for image in pictures()] == [[place] for place in range(len(pictures()))]


def cropped(image: Image.Image) -> Image.Image:
    return image.crop((90, 40, 350, 220))


def compressed(image: Image.Image) -> Image.Image:
    return Image.open(io.BytesIO(encoded(image, quality=30))).convert("RGB")


def stretched(image: Image.Image) -> Image.Image:
    return image.resize((image.width * 13 // 10, image.height))


def enlarged(image: Image.Image) -> Image.Image:
    return image.resize((image.width * 3, image.height * 3))


@pytest.mark.parametrize(
    "edit",
    [
        cropped,
        compressed,
        stretched,
        enlarged,
        ImageOps.mirror,
        ImageOps.flip,
        lambda image: image.rotate(33, expand=True, fillcolor="white"),
        lambda image: ImageOps.mirror(cropped(image)).rotate(90, expand=True),
    ],
    ids=["crop", "jpeg", "stretch", "enlarge", "mirror", "flip", "rotate", "combined"],
)
def test_an_edited_copy_is_found(edit: object) -> None:
    assert callable(edit)
    hits = [found(edit(image)) == [place] for place, image in enumerate(pictures()[:4])]
    assert hits == [True] * 4


def test_every_part_of_a_collage_is_found() -> None:
    page = Image.new("RGB", (800, 560), "white")
    for place, shown in enumerate((1, 2, 4, 6)):
        part = pictures()[shown].resize((390, 270))
        page.paste(part, (place % 2 * 400 + 5, place // 2 * 280 + 5))
    assert found(page) == [1, 2, 4, 6]


def tiled() -> tuple[Image.Image, list[Rectangle]]:
    """A wall of twenty small pictures, and where they are."""
    page = Image.new("RGB", (830, 540), "white")
    parts = []
    for place in range(20):
        left, top = 10 + place % 5 * 164, 10 + place // 5 * 132
        page.paste(pictures()[place % len(pictures())].resize((154, 122)), (left, top))
        parts.append(Rectangle(left, top, 154, 122))
    return page, parts


def test_small_parts_are_looked_at_closer() -> None:
    page, parts = tiled()
    plain, closer = extract(frame(page)), extract(frame(page), parts[:8])
    assert MAX_KEYPOINTS < closer.straight.count <= MAX_KEYPOINTS + PART_KEYPOINTS
    gains = []
    for entry in entries()[:8]:
        before, after = prove(plain, False, entry, None), prove(closer, False, entry, None)
        assert after is not None
        gains.append(after.inliers - (before.inliers if before else 0))
    assert np.mean(gains) > 10


@pytest.mark.parametrize("scale", [1, 2])
def test_keypoints_of_a_part_lie_in_it_on_either_side(scale: int) -> None:
    page, parts = tiled()
    size = (page.width * scale, page.height * scale)
    part = Rectangle(*(scale * side for side in dataclasses.astuple(parts[7])))
    query = extract(Frame(np.asarray(page), size[1], size[0], scale), [part])
    own = slice(REGISTERED_KEYPOINTS, REGISTERED_KEYPOINTS + 100)
    for side, left in (
        (query.straight, part.left),
        (query.mirrored, size[0] - part.left - part.width),
    ):
        offset = view(side).points[own] - (left, part.top)
        assert (offset >= 0).all()
        assert (offset <= (part.width, part.height)).all()
    places = [view(side).points[own] for side in (query.straight, query.mirrored)]
    np.testing.assert_allclose(size[0] - places[1][:, 0], places[0][:, 0], atol=4 * scale)


def test_parts_change_nothing_of_what_is_registered() -> None:
    page, parts = tiled()
    assert registered(extract(frame(page), parts)) == registered(extract(frame(page)))


@pytest.mark.parametrize(
    "part", [(0, 0, 830, 540), (3, 3, 20, 500), (5, 5, 9, 9), (829, 539, 1, 1)]
)
def test_parts_too_large_or_too_small_add_nothing(part: tuple[int, int, int, int]) -> None:
    page, _ = tiled()
    assert extract(frame(page), [Rectangle(*part)]) == extract(frame(page))


def test_the_evidence_says_where_the_picture_lies() -> None:
    page = Image.new("RGB", (900, 700), "#eeeeee")
    page.paste(ImageOps.mirror(pictures()[0]), (300, 200))
    query = of(page)
    assert prove(query, False, entries()[0], None) is None
    evidence = prove(query, True, entries()[0], None)
    assert evidence is not None
    a, b, x, c, d, y = evidence.matrix
    np.testing.assert_allclose([a, b, c, d], [-1, 0, 0, 1], atol=0.02)
    np.testing.assert_allclose([x, y], [684, 200], atol=4)
    expected = {(684, 200), (300, 200), (300, 456), (684, 456)}
    assert len(evidence.polygon) == 4
    for corner in evidence.polygon:
        assert min(abs(corner[0] - u) + abs(corner[1] - v) for u, v in expected) <= 8
    assert evidence.agreement > 0.9
    assert evidence.coverage > 0.5


def test_the_outline_is_cut_off_at_the_edge_of_the_query() -> None:
    evidence = prove(of(pictures()[1].crop((100, 0, 384, 256))), False, entries()[1], None)
    assert evidence is not None
    xs, ys = zip(*evidence.polygon, strict=True)
    assert min(xs) == 0
    assert max(xs) == pytest.approx(284, abs=3)
    assert 0 <= min(ys) <= max(ys) <= 256


def framed(inner: Image.Image, width: int, height: int) -> Image.Image:
    page = pictures()[7].resize((640, 480))
    page.paste(inner.resize((width, height)), ((640 - width) // 2, (480 - height) // 2))
    return page


def test_the_same_frame_over_a_third_of_two_pictures_is_no_copy() -> None:
    first, second = (framed(image, 520, 395) for image in pictures()[:2])
    assert search(of(second), registered(of(first))) is None
    assert search(of(compressed(first)), registered(of(first)))


def test_a_frame_over_half_of_many_pictures_is_no_copy_once_it_does_not_count() -> None:
    bank = [registered(of(framed(image, 460, 340))) for image in pictures()[:5]]
    query = of(framed(cropped(pictures()[0]), 460, 340))
    words = view(query.straight).words
    hits = np.zeros(len(words), np.int64)
    for entry in bank:
        hits[np.unique(near_descriptors(view(entry).words, words)[1])] += 1
    seen = [prove(query, False, entry, hits < 3) is not None for entry in bank]
    assert seen == [True, False, False, False, False]


def test_keypoints_that_do_not_count_neither_prove_nor_hide() -> None:
    query = of(pictures()[3])
    none = np.zeros(query.straight.count, np.bool_)
    assert prove(query, False, entries()[3], none) is None
    # The left half is an overlay, say: the rest must still prove the copy.
    half = view(query.straight).points[:, 0] > 192
    evidence = prove(query, False, entries()[3], half)
    assert evidence is not None
    assert evidence.coverage > 0.5


def low_detail() -> dict[str, Image.Image]:
    rng = np.random.default_rng(3)
    slope = np.linspace(90, 200, 400)[:, None] + np.linspace(0, 30, 500)
    sky = np.clip(slope[..., None] * (0.6, 0.8, 1.0), 0, 255).astype(np.uint8)
    skin = np.clip(slope[..., None] * (1.0, 0.75, 0.65), 0, 255).astype(np.uint8)
    grain = np.clip(skin + rng.normal(0, 1.5, skin.shape), 0, 255).astype(np.uint8)
    return {
        "blank": Image.new("RGB", (500, 400), "#777777"),
        "sky": Image.fromarray(sky),
        "skin": Image.fromarray(grain).filter(ImageFilter.GaussianBlur(1)),
        "blur": pictures()[0].filter(ImageFilter.GaussianBlur(30)),
    }


def test_pictures_without_detail_say_so() -> None:
    seen = {name: registered(of(image)).searchable for name, image in low_detail().items()}
    assert seen == dict.fromkeys(low_detail(), False)


def pattern(kind: str) -> Image.Image:
    rng = np.random.default_rng(len(kind))
    if kind == "noise":
        return Image.fromarray(rng.integers(0, 256, (600, 800, 3), dtype=np.uint8))
    page = Image.new("RGB", (800, 600), "white")
    draw = ImageDraw.Draw(page)
    step = {"checker": 16, "coarse": 50, "grid": 25}.get(kind, 40)
    for y in range(0, 600, step):
        for x in range(0, 800, step):
            if kind == "grid":
                draw.rectangle((x, y, x + step, y + step), outline="black")
            elif kind == "tiles":
                draw.ellipse((x + 4, y + 9, x + 30, y + 22), "#884422")
                draw.line((x, y, x + 20, y + 33), "#224488", 4)
            elif (x + y) // step % 2:
                draw.rectangle((x, y, x + step - 1, y + step - 1), "black")
    return page


PATTERNS = ("noise", "checker", "coarse", "grid", "tiles")


def test_patterns_match_no_picture_nor_one_another() -> None:
    queries = {kind: of(pattern(kind)) for kind in PATTERNS}
    assert all(query.straight.count <= MAX_KEYPOINTS for query in queries.values())
    for query in queries.values():
        assert [search(query, entry) for entry in entries()] == [None] * len(entries())
    for first, second in permutations(PATTERNS, 2):
        assert search(queries[first], registered(queries[second])) is None


@pytest.mark.parametrize(
    "size",
    [(5, 5), (5, 10_000), (10_000, 5), (40_000, 6), (31, 900), (33, 33), (3000, 60), (1, 1)],
    ids=str,
)
def test_odd_sizes_are_taken(size: tuple[int, int]) -> None:
    rng = np.random.default_rng(size[0])
    pixels = rng.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    query = extract(Frame(pixels, size[1], size[0]))
    assert (query.straight.width, query.straight.height) == size
    assert query.straight.count <= MAX_KEYPOINTS
    assert len(query.luma) == query.luma_width * query.luma_height
    prove(query, False, entries()[0], None)
    prove(of(pictures()[0]), True, registered(query), None)


def test_extraction_is_repeatable_whatever_the_number_of_threads() -> None:
    import cv2

    threads = cv2.getNumThreads()
    try:
        cv2.setNumThreads(1)
        alone = of(pictures()[5])
        cv2.setNumThreads(4)
        assert of(pictures()[5]) == alone
    finally:
        cv2.setNumThreads(threads)


def test_grey_single_precision_and_scaled_frames_are_taken() -> None:
    grey = np.asarray(pictures()[2].convert("L"))
    for pixels in (grey, grey.astype(np.float32)):
        assert search(extract(Frame(pixels, *grey.shape)), entries()[2])


def test_a_scaled_decode_with_enough_samples_finds_the_full_picture() -> None:
    large = pictures()[6].resize((1800, 1200), Image.Resampling.LANCZOS)
    data = encoded(large, quality=90)
    picture = decode(data, name="drawn", mode=Mode.FAST, limits=DEFAULT_LIMITS, min_scaled_side=400)
    scaled = next(picture.frames)
    assert scaled.scale == 2
    query = extract(scaled)
    assert (query.straight.width, query.straight.height) == (1800, 1200)
    evidence = search(query, entries()[6])
    assert evidence is not None
    assert evidence.matrix[0] == pytest.approx(1800 / 384, rel=0.01)


def test_opencv_missing_names_the_extra() -> None:
    code = (
        "import sys; sys.modules['cv2'] = None\n"
        "import numpy as np\n"
        "from egide.media import Frame\n"
        "from egide.errors import KeypointsUnavailable\n"
        "from egide.hashing.keypoints import extract\n"
        "try: extract(Frame(np.zeros((50, 50), np.uint8), 50, 50))\n"
        "except KeypointsUnavailable as error: print(error)\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "egide[patches]" in run.stdout


@given(st.integers(0, 2**32 - 1), st.integers(0, 60), st.integers(0, 3000))
@settings(max_examples=20)
def test_near_descriptors_of_any_number_are_found(seed: int, entries: int, queries: int) -> None:
    rng = np.random.default_rng(seed)
    second = rng.integers(0, 2**64, (queries, 4), dtype=np.uint64)
    first = rng.integers(0, 2**64, (entries, 4), dtype=np.uint64)
    if queries:
        noise = [rng.integers(0, 2**64, first.shape, dtype=np.uint64) for _ in range(3)]
        first = second[rng.integers(0, queries, entries)] ^ (noise[0] & noise[1] & noise[2])
    apart = np.bitwise_count(first[:, None] ^ second)
    near = (apart[..., 0] <= 20) & (apart.sum(2) <= MAX_DESCRIPTOR_BITS)
    i, j, bits = near_descriptors(first, second)
    np.testing.assert_array_equal(np.column_stack([i, j]), np.argwhere(near))
    np.testing.assert_array_equal(bits, apart.sum(2)[near])


def test_near_descriptors_are_those_of_a_plain_comparison() -> None:
    first, second = view(entries()[0]), view(of(pictures()[0]).straight)
    bits = np.unpackbits(first.descriptors[:, None] ^ second.descriptors, axis=2).sum(2)
    plain = {(int(i), int(j)) for i, j in np.argwhere(bits <= MAX_DESCRIPTOR_BITS)}
    i, j, distance = near_descriptors(first.words, second.words)
    quick = set(zip(i.tolist(), j.tolist(), strict=True))
    np.testing.assert_array_equal(distance, bits[i, j])
    assert quick <= plain
    assert len(quick) > 0.97 * len(plain)


@given(st.integers(0, 2**32 - 1), st.integers(0, 300))
def test_every_beginning_is_spread_over_sizes_and_places(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    bands, cells = rng.integers(0, 3, count), rng.integers(0, 64, count)
    response = rng.random(count)
    order = spread(bands, cells, response)
    assert sorted(order.tolist()) == list(range(count))
    for band in range(3):
        mine = order[bands[order] == band]
        distinct = len(set(cells[mine].tolist()))
        # One of every cell before a second of any, and the strongest first.
        assert len(set(cells[mine[:distinct]].tolist())) == distinct
        for place in set(cells[mine].tolist()):
            strength = response[mine[cells[mine] == place]]
            assert (np.diff(strength) <= 0).all()
    taken = bands[order[: len(order) // 2]]
    for band in range(3):
        others = [int((taken == other).sum()) for other in range(3)]
        if (taken == band).sum() < (bands == band).sum():
            assert others[band] >= max(others) - 1


def test_areas_of_known_shapes() -> None:
    square = np.array([(0, 0), (4, 0), (4, 4), (0, 4), (2, 2), (1, 3), (2, 0)], np.float64)
    assert hull_area(square) == 16
    assert hull_area(square[:2]) == 0
    assert hull_area(np.array([(1, 1), (2, 2), (3, 3)], np.float64)) == 0
    assert polygon_area([(0, 0), (3, 0), (0, 4)]) == 6


@given(
    st.tuples(*[st.floats(-3, 3) for _ in range(4)]),
    st.tuples(st.floats(-500, 500), st.floats(-500, 500)),
)
def test_an_outline_lies_in_the_query_and_is_no_larger_than_the_picture(
    linear: tuple[float, ...], shift: tuple[float, float]
) -> None:
    a, b, c, d = linear
    matrix = np.array([(a, b, shift[0]), (c, d, shift[1])])
    ring = outline(matrix, (300, 200), (400, 250))
    for x, y in ring:
        assert -1e-6 <= x <= 400 + 1e-6
        assert -1e-6 <= y <= 250 + 1e-6
    area = abs(a * d - b * c) * 300 * 200
    assert polygon_area(ring) <= min(area, 400 * 250) * (1 + 1e-6) + 1e-3
