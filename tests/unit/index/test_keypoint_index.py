"""Search among keypoints: made-up ones, so that what must be found is known."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from egide.domain.model import KeypointSet
from egide.errors import KeypointsError, SnapshotDamaged, SnapshotError
from egide.hashing.keypoint_set import view
from egide.index import keypoint_reference
from egide.index.keypoint_bits import reorder, restore
from egide.index.keypoints import MAX_CANDIDATES, KeypointIndex
from keypoint_data import asked, joined, made_up, moved

BANK = [(10 * number, made_up(number)) for number in range(40)]


@pytest.fixture(scope="module")
def index() -> KeypointIndex:
    return KeypointIndex.build(BANK)


def found(
    index: KeypointIndex, straight: KeypointSet, mirrored: KeypointSet | None = None
) -> list[int]:
    """Return the entries of the pictures that are proposed, best first."""
    proposed = index.candidates(asked(straight, mirrored)).found
    return [int(index.entry_id[place]) for one in proposed for place in index.entries(one.picture)]


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=20)
def test_reordering_bits_can_be_undone_and_keeps_distances(seed: int) -> None:
    codes = np.random.default_rng(seed).integers(0, 256, (9, 32), dtype=np.uint8)
    words = reorder(codes)
    assert (restore(words) == codes).all()
    apart = np.bitwise_count(codes[:, None] ^ codes).sum(axis=2)
    assert (np.bitwise_count(words[:, None] ^ words).sum(axis=2) == apart).all()


def test_keypoints_come_back_as_they_were_given(index: KeypointIndex) -> None:
    assert [index.keypoint_set(picture) for picture in range(40)] == [one for _, one in BANK]


@pytest.mark.parametrize("turn", [0, 45, 90, 200])
@pytest.mark.parametrize("zoom", [0.4, 1.0, 1.7])
def test_a_turned_and_zoomed_copy_is_proposed_first(
    index: KeypointIndex, turn: float, zoom: float
) -> None:
    copy = moved(BANK[7][1], turn=turn, zoom=zoom, shift=(20, -10), flipped_bits=25)
    assert found(index, copy)[0] == 70


def test_a_mirrored_copy_is_proposed_as_mirrored(index: KeypointIndex) -> None:
    copy = moved(BANK[3][1], turn=30, flipped_bits=20)
    best = index.candidates(asked(made_up(777), copy)).found[0]
    assert (best.picture, best.mirrored) == (3, True)


def test_every_picture_of_a_collage_is_proposed(index: KeypointIndex) -> None:
    tiles = [
        moved(BANK[number][1], zoom=0.3, shift=(200 * x, 150 * y), flipped_bits=20, keep=60)
        for number, (x, y) in enumerate((x, y) for x in (-1, 0, 1) for y in (-1, 0, 1))
    ]
    assert {10 * number for number in range(9)} <= set(found(index, joined(*tiles)))


def test_unrelated_keypoints_propose_nothing(index: KeypointIndex) -> None:
    assert found(index, made_up(4242, 500)) == []


def test_equal_keypoints_without_an_arrangement_propose_nothing(index: KeypointIndex) -> None:
    places, codes = made_up(999, 120), BANK[5][1].descriptors
    stirred = KeypointSet(places.width, places.height, places.keypoints, codes, places.signs)
    best = index.candidates(asked(stirred)).found
    true = index.candidates(asked(BANK[5][1])).found
    assert not best or best[0].score < true[0].score / 4


@pytest.mark.parametrize("count", [1, 2, 20])
def test_a_small_bank_is_searched_in_full(count: int) -> None:
    index = KeypointIndex.build(BANK[:count])
    for entry, keypoints in BANK[:count]:
        assert found(index, moved(keypoints, turn=15, flipped_bits=40, keep=30))[0] == entry


def test_an_empty_index_proposes_nothing() -> None:
    index = KeypointIndex.build([])
    assert (len(index), found(index, made_up(1))) == (0, [])


def test_a_picture_without_detail_is_left_out_and_finds_nothing(index: KeypointIndex) -> None:
    few = made_up(5, 0)
    mixed = KeypointIndex.build([(1, few), (2, made_up(6)), (3, made_up(7, 5))])
    assert mixed.entry_id.tolist() == [2]
    assert found(index, few) == []


def test_a_thousand_entries_of_the_same_picture_are_one_picture() -> None:
    index = KeypointIndex.build([*((number, made_up(0)) for number in range(1000)), *BANK[1:]])
    assert (len(index), index.pictures) == (1039, 40)
    assert found(index, moved(made_up(0), turn=10, flipped_bits=10))[:1000] == list(range(1000))


def test_many_versions_of_one_picture_do_not_hide_it() -> None:
    versions = [(number, moved(made_up(0), flipped_bits=8, seed=number)) for number in range(60)]
    same_signs = made_up(0).signs
    bank = [
        (entry, KeypointSet(one.width, one.height, one.keypoints, one.descriptors, same_signs))
        for entry, one in versions
    ]
    proposed = found(KeypointIndex.build([*bank, *BANK[1:]]), moved(made_up(0), turn=20))
    assert len(set(proposed) & set(range(60))) == MAX_CANDIDATES


def test_a_keypoint_in_many_pictures_tells_none_apart() -> None:
    frame = made_up(555, 60)
    bank = [(number, joined(made_up(number), frame)) for number in range(1, 30)]
    bank = [(entry, _with_signs(one, made_up(entry).signs)) for entry, one in bank]
    index = KeypointIndex.build(bank)
    query = asked(joined(moved(made_up(4), turn=10, flipped_bits=10), frame))
    result = index.candidates(query)
    own = query.straight.count - 60
    assert result.usable[:own].all()
    assert not result.usable[own:].any()
    assert [index.entry_id[one.picture] for one in result.found] == [4]


def test_the_index_agrees_with_brute_force_on_which_keypoints_are_common() -> None:
    frame = made_up(555, 40)
    bank = [
        _with_signs(
            joined(made_up(number), frame) if number % 3 else made_up(number), made_up(number).signs
        )
        for number in range(1, 25)
    ]
    query = asked(joined(made_up(3), moved(frame, flipped_bits=12)), moved(frame, flipped_bits=4))
    expected = keypoint_reference.candidates(bank, query)
    result = KeypointIndex.build(enumerate(bank)).candidates(query)
    assert (result.usable == expected.usable).all()
    assert (result.usable_mirrored == expected.usable_mirrored).all()
    assert {(one.picture, one.mirrored) for one in result.found} <= {
        (one.picture, one.mirrored) for one in expected.found
    }


def test_only_pictures_that_count_are_proposed(index: KeypointIndex) -> None:
    searched = np.ones(index.pictures, np.bool_)
    searched[7] = False
    query = asked(BANK[7][1])
    assert [one.picture for one in index.candidates(query).found] == [7]
    assert index.candidates(query, searched=searched).found == ()


def test_thousands_of_equal_keypoints_stay_bounded() -> None:
    """The bounds on buckets and hits are reached, and the picture beside it is still found."""
    one = made_up(1, 1500)
    equal = np.tile(view(one).descriptors[0], (1500, 1)).tobytes()
    grid = KeypointSet(one.width, one.height, one.keypoints, equal, one.signs)
    index = KeypointIndex.build([(1, grid), *BANK])
    query = KeypointSet(one.width, one.height, one.keypoints, equal, one.signs)
    assert len(index.candidates(asked(query, query)).found) <= MAX_CANDIDATES
    assert 50 in found(index, joined(moved(BANK[5][1], flipped_bits=20), query))


def test_another_process_searches_the_same_memory(index: KeypointIndex) -> None:
    code = (
        "import sys; sys.path.insert(0, sys.argv[2]); from pathlib import Path;"
        "from keypoint_data import asked, made_up; from egide.index.keypoints import KeypointIndex;"
        "index = KeypointIndex.open(Path(sys.argv[1]));"
        "print(index.entry_id[index.candidates(asked(made_up(9))).found[0].picture])"
    )
    told = subprocess.run(
        [
            sys.executable,
            "-c",
            code,
            f"/dev/fd/{index.fileno()}",
            str(Path(__file__).parents[2] / "support"),
        ],
        pass_fds=[index.fileno()],
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout.strip() == "90"


def test_the_buffer_has_no_place_on_a_disk(index: KeypointIndex) -> None:
    assert Path(f"/proc/self/fd/{index.fileno()}").readlink().name.startswith("memfd:")


def test_without_nameless_files_the_index_works_and_is_not_shared(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delattr(os, "memfd_create")
    index = KeypointIndex.build(BANK[:5])
    assert found(index, BANK[2][1]) == [20]
    with pytest.raises(KeypointsError):
        index.fileno()


def test_a_closed_index_finds_nothing_and_lets_its_memory_go() -> None:
    index = KeypointIndex.build(BANK[:5])
    descriptor = index.fileno()
    index.close()
    assert found(index, BANK[2][1]) == []
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)


def test_a_buffer_of_something_else_is_refused(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_bytes(bytes(100))
    with pytest.raises(SnapshotError):
        KeypointIndex.open(other)


def test_sections_that_do_not_fit_are_refused(index: KeypointIndex, tmp_path: Path) -> None:
    data = Path(f"/dev/fd/{index.fileno()}").read_bytes()
    cut = tmp_path / "cut"
    cut.write_bytes(data[: len(data) // 2])
    with pytest.raises(SnapshotDamaged):
        KeypointIndex.open(cut)


def _with_signs(keypoints: KeypointSet, signs: bytes) -> KeypointSet:
    return KeypointSet(
        keypoints.width, keypoints.height, keypoints.keypoints, keypoints.descriptors, signs
    )
