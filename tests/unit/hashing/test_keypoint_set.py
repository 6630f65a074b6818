"""Keypoint sets as bytes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from egide.domain.model import KeypointSet
from egide.hashing import keypoint_set
from egide.hashing.keypoint_set import MAX_KEYPOINTS, SIGN_BYTES, SIGN_GRID, pack, unpack, view


def drawn_set(count: int, width: int = 640, height: int = 480, seed: int = 0) -> KeypointSet:
    rng = np.random.default_rng(seed)
    return KeypointSet(
        width=width,
        height=height,
        keypoints=rng.bytes(6 * count),
        descriptors=rng.bytes(32 * count),
        signs=rng.bytes(SIGN_BYTES),
    )


sets = st.builds(
    drawn_set,
    st.integers(0, 40),
    st.integers(1, 2**32 - 1),
    st.integers(1, 2**32 - 1),
    st.integers(0, 2**32 - 1),
)


@given(sets)
def test_a_set_is_read_as_it_was_written(keypoints: KeypointSet) -> None:
    assert unpack(pack(keypoints)) == keypoints


@given(sets, st.data())
def test_a_cut_or_lengthened_set_is_refused(keypoints: KeypointSet, data: st.DataObject) -> None:
    packed = pack(keypoints)
    kept = data.draw(st.integers(0, len(packed) - 1))
    for wrong in (packed[:kept], packed + bytes(1 + kept)):
        with pytest.raises(ValueError, match="set"):
            unpack(wrong)


@given(st.binary(max_size=2000))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        keypoints = unpack(data)
    except ValueError:
        return
    assert pack(keypoints) == data


def test_another_format_is_refused() -> None:
    packed = pack(drawn_set(3))
    with pytest.raises(ValueError, match="format 2"):
        unpack(b"\x02" + packed[1:])


def test_too_many_keypoints_are_refused_on_both_ways() -> None:
    with pytest.raises(ValueError, match="more than"):
        pack(drawn_set(MAX_KEYPOINTS + 1))
    assert unpack(pack(drawn_set(MAX_KEYPOINTS))).count == MAX_KEYPOINTS


def test_parts_that_do_not_belong_together_are_not_written() -> None:
    keypoints = drawn_set(5)
    with pytest.raises(ValueError, match="length"):
        pack(replace(keypoints, keypoints=keypoints.keypoints[:-6]))


def test_a_frame_without_pixels_is_refused() -> None:
    with pytest.raises(ValueError, match="without pixels"):
        pack(drawn_set(1, width=0))


@given(st.integers(1, 20_000), st.integers(1, 20_000), st.integers(0, 2**32 - 1))
def test_places_sizes_and_angles_survive_within_their_precision(
    width: int, height: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    points = (rng.random((20, 2)) * (width, height)).astype(np.float32)
    sizes = np.exp2(rng.uniform(0, 15, 20)).astype(np.float32)
    angles = rng.uniform(0, 360, 20).astype(np.float32)
    descriptors = rng.integers(0, 256, (20, 32), dtype=np.uint8)
    brighter, clear = rng.integers(0, 2, (2, 2, SIGN_GRID, SIGN_GRID)).astype(np.bool_)
    seen = view(
        keypoint_set.build((width, height), points, sizes, angles, descriptors, brighter, clear)
    )
    assert np.abs(seen.points - points).max() <= 1e-5 * max(width, height)
    assert np.abs(np.log2(seen.sizes / sizes)).max() <= 1 / 31
    assert np.abs((seen.angles - angles + 180) % 360 - 180).max() <= 0.71
    np.testing.assert_array_equal(seen.descriptors, descriptors)
    np.testing.assert_array_equal(seen.brighter, brighter)
    np.testing.assert_array_equal(seen.clear, clear)


def test_the_first_keypoints_are_a_set_of_their_own() -> None:
    keypoints = drawn_set(30)
    few = keypoint_set.first(keypoints, 12)
    assert few.count == 12
    assert unpack(pack(few)) == few
    np.testing.assert_array_equal(view(few).words, view(keypoints).words[:12])
    assert keypoint_set.first(keypoints, 100) == keypoints


def test_a_set_does_not_print_what_it_holds() -> None:
    keypoints = drawn_set(4)
    assert str(keypoints.descriptors) not in repr(keypoints)
    assert len(repr(keypoints)) < 60
