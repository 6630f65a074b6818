"""From keypoints to matches, on drawn pictures."""

from __future__ import annotations

from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image, ImageOps

from egide.domain.model import Signal, State, Transform, Trust
from egide.hashing.keypoints import extract, registered
from egide.index.keypoints import KeypointIndex
from egide.index.snapshot import Snapshot
from egide.index.snapshot_build import build_snapshot
from egide.matching import Matcher
from egide.matching.keypoints import KeypointMatcher, nearest_transform
from egide.media.picture import Frame
from pictures import pictures
from search_data import NOW, bank, entry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from egide.domain.model import Entry, KeypointQuery, KeypointSet

    Open = Callable[..., KeypointMatcher]

USED = (0, 2, 3, 5, 6)
"""Drawn pictures with enough detail."""


@cache
def keypoints(number: int) -> KeypointSet:
    return registered(query(pictures()[number]))


def query(image: Image.Image) -> KeypointQuery:
    pixels = np.asarray(image.convert("RGB"))
    return extract(Frame(pixels, *pixels.shape[:2]))


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Open]:
    snapshots: list[Snapshot] = []

    def build(
        entries: Sequence[Entry] | None = None,
        *,
        copies: int = 1,
        banks: tuple[str, ...] | None = None,
    ) -> KeypointMatcher:
        path = tmp_path / f"{len(snapshots)}.snapshot"
        if entries is None:
            entries = [entry(number + 100 * copy) for number in USED for copy in range(copies)]
        known = (bank(), bank("other", 2), bank("off", 3, enabled=False))
        build_snapshot(path, store_id="s", revision=7, banks=known, entries=entries, created=NOW)
        snapshots.append(Snapshot.open(path))
        matcher = Matcher(snapshots[-1], banks=banks, now=NOW)
        index = KeypointIndex.build(
            (number + 100 * copy, keypoints(number)) for number in USED for copy in range(copies)
        )
        return KeypointMatcher(index, matcher)

    yield build
    for snapshot in snapshots:
        snapshot.close()


def test_a_cropped_copy_matches_and_says_why(opened: Open) -> None:
    copy = pictures()[2].crop((60, 30, 340, 230))
    (match,) = opened().match(query(copy))
    assert (match.entry, match.bank, match.signal) == (2, "helpline", Signal.KEYPOINTS)
    assert (match.distance, match.transform, match.frame) == (None, Transform.IDENTITY, 0)
    assert (match.revision, match.trust, match.tier) == (7, Trust.UNVERIFIED, 1)
    assert match.evidence is not None
    assert match.evidence.matrix[2] == pytest.approx(-60, abs=4)
    assert match.evidence.matrix[5] == pytest.approx(-30, abs=4)


def test_a_mirrored_copy_on_a_page_matches_as_mirrored(opened: Open) -> None:
    page = Image.new("RGB", (700, 900), "white")
    page.paste(ImageOps.mirror(pictures()[5]), (150, 300))
    (match,) = opened().match(query(page))
    assert (match.entry, match.transform) == (5, Transform.FLIP_HORIZONTAL)
    assert match.evidence is not None
    assert match.evidence.matrix[0] < 0


def test_all_pictures_of_a_collage_match(opened: Open) -> None:
    page = Image.new("RGB", (768, 512), "white")
    for place, number in enumerate(USED[:4]):
        page.paste(pictures()[number], (384 * (place % 2), 256 * (place // 2)))
    matches = opened().match(query(page))
    assert {match.entry for match in matches} == set(USED[:4])
    inliers = [match.evidence.inliers for match in matches if match.evidence is not None]
    assert inliers == sorted(inliers, reverse=True)


def test_a_picture_that_is_not_registered_matches_nothing(opened: Open) -> None:
    assert opened().match(query(pictures(16)[10])) == []


def framed(number: int, seed: int = 1) -> Image.Image:
    """A picture in a busy frame that covers more than half of the result."""
    noise = np.random.default_rng(seed).integers(0, 255, (36, 48, 3), np.uint8)
    page = Image.fromarray(noise).resize((576, 432), Image.Resampling.NEAREST)
    page.paste(pictures()[number], (96, 88))
    return page


def test_a_frame_that_two_registered_pictures_share_is_no_match(tmp_path: Path) -> None:
    """Two are too few for the frame to be common in the bank."""
    sets = {number: registered(query(framed(number))) for number in USED[:2]}
    path = tmp_path / "framed.snapshot"
    entries = [entry(number) for number in sets]
    build_snapshot(path, store_id="s", revision=7, banks=(bank(),), entries=entries, created=NOW)
    with Snapshot.open(path) as snapshot:
        matcher = KeypointMatcher(KeypointIndex.build(sets.items()), Matcher(snapshot, now=NOW))
        assert matcher.match(query(framed(USED[3]))) == []
        (match,) = matcher.match(query(framed(USED[0])))
        assert match.entry == USED[0]


def test_entries_with_the_same_picture_all_match_in_the_order_of_their_numbers(
    opened: Open,
) -> None:
    matches = opened(copies=20).match(query(pictures()[3].crop((20, 20, 370, 250))))
    assert [match.entry for match in matches] == [3 + 100 * copy for copy in range(20)]


def test_expired_and_unknown_entries_and_those_of_other_banks_do_not_match(opened: Open) -> None:
    image = query(pictures()[2].crop((10, 10, 370, 250)))
    past, future = NOW - timedelta(seconds=1), NOW + timedelta(days=1)
    assert opened([entry(2, expires=future)]).match(image)
    assert not opened([entry(2, expires=past)]).match(image)
    assert not opened([entry(2, state=State.WITHDRAWN)]).match(image)
    assert not opened([entry(0), entry(3)]).match(image)
    assert not opened([]).match(image)
    assert not opened([entry(2, bank="off")]).match(image)
    assert not opened([entry(2, bank="off")], banks=("off",)).match(image)
    assert not opened([entry(2, bank="other")], banks=("helpline",)).match(image)


@pytest.mark.parametrize(
    "flat",
    [Image.new("RGB", (300, 200), "grey"), Image.linear_gradient("L").resize((640, 480))],
    ids=["blank", "gradient"],
)
def test_a_picture_without_detail_matches_nothing(opened: Open, flat: Image.Image) -> None:
    assert opened().match(query(flat)) == []


CORNERS = {
    Transform.IDENTITY: (1, 0, 0, 1),
    Transform.ROTATE_90: (0, -1, 1, 0),
    Transform.ROTATE_180: (-1, 0, 0, -1),
    Transform.ROTATE_270: (0, 1, -1, 0),
    Transform.FLIP_HORIZONTAL: (-1, 0, 0, 1),
    Transform.FLIP_VERTICAL: (1, 0, 0, -1),
    Transform.TRANSPOSE: (0, 1, 1, 0),
    Transform.TRANSVERSE: (0, -1, -1, 0),
}
"""Of x' = a·x + b·y, y' = c·x + d·y, with y downwards."""


@pytest.mark.parametrize("transform", CORNERS)
@pytest.mark.parametrize("turn", [-30, 0, 30])
def test_the_nearest_symmetry_names_a_transform(transform: Transform, turn: int) -> None:
    angle = np.radians(turn)
    turned = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    a, b, c, d = (1.3 * turned @ np.reshape(CORNERS[transform], (2, 2))).ravel().tolist()
    assert nearest_transform((a, b, 5.0, c, d, -3.0)) is transform
