"""Every kernel finds exactly what comparing all pairs finds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from egide.errors import RadiusInvalid
from egide.index import mih, reference
from egide.index.bands import BANDS, plan
from egide.index.mih import MultiIndex
from egide.index.reference import Reference
from search_data import as_tuples, by_hand, clustered_codes, flip_bits, random_codes

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from egide.index.kernel import Hits

    Search = Callable[[NDArray[np.uint8], NDArray[np.uint8], int], Hits]


def _lists(codes: NDArray[np.uint8], queries: NDArray[np.uint8], radius_bits: int) -> Hits:
    return MultiIndex.build(codes, min_rows=1).search_lists(queries, radius_bits)


def _lists_or_brute(codes: NDArray[np.uint8], queries: NDArray[np.uint8], radius_bits: int) -> Hits:
    return MultiIndex.build(codes, min_rows=1).search_lists(queries, radius_bits, max_lines=20)


def _numpy(codes: NDArray[np.uint8], queries: NDArray[np.uint8], radius_bits: int) -> Hits:
    return MultiIndex.build(codes).search(queries, radius_bits)


def _reference(codes: NDArray[np.uint8], queries: NDArray[np.uint8], radius_bits: int) -> Hits:
    return Reference(codes).search(queries, radius_bits)


EVERY_WAY = pytest.mark.parametrize("search", [_reference, _numpy, _lists, _lists_or_brute])
RADII = pytest.mark.parametrize("radius_bits", [0, 1, 14, 15, 16, 31, 40, 47, 63])


@pytest.mark.parametrize("search", [_reference, _numpy])
@pytest.mark.parametrize("queries", [0, 1, 3])
def test_an_empty_bank_gives_no_hits(search: Search, queries: int) -> None:
    assert as_tuples(search(random_codes(0), random_codes(queries), 31)) == []


@EVERY_WAY
def test_no_queries_give_no_hits(search: Search) -> None:
    assert as_tuples(search(random_codes(5), random_codes(0), 31)) == []


@EVERY_WAY
def test_one_code_is_found(search: Search) -> None:
    code = random_codes(1)
    assert as_tuples(search(code, code, 0)) == [(0, 0, 0)]


@EVERY_WAY
def test_the_same_code_twice_is_found_twice(search: Search) -> None:
    code = random_codes(1)
    assert as_tuples(search(np.repeat(code, 2, axis=0), code, 31)) == [(0, 0, 0), (0, 0, 1)]


@EVERY_WAY
@RADII
def test_a_code_is_found_up_to_the_radius_and_not_beyond(search: Search, radius_bits: int) -> None:
    codes = random_codes(3000)
    distances = [number % (radius_bits + 2) for number in range(3 * (radius_bits + 2))]
    queries = flip_bits(codes[: len(distances)], distances)
    hits = search(codes, queries, radius_bits)
    planted = [
        (number, distance, number)
        for number, distance in enumerate(distances)
        if distance <= radius_bits
    ]
    assert as_tuples(hits) == planted


@EVERY_WAY
@RADII
def test_crowded_buckets_lose_and_repeat_nothing(search: Search, radius_bits: int) -> None:
    codes = np.concatenate([clustered_codes(300, 24), random_codes(100), clustered_codes(20, 0)])
    queries = np.concatenate([codes[::40], clustered_codes(5, 40, seed=3)])
    expected = by_hand(codes, queries, radius_bits)
    assert len(expected) > len(queries)
    assert as_tuples(search(codes, queries, radius_bits)) == expected


@EVERY_WAY
def test_a_complement_is_far_although_256_does_not_fit_in_a_byte(search: Search) -> None:
    code = random_codes(1)
    assert len(search(code, ~code, 63)) == 0


@EVERY_WAY
def test_differences_in_a_single_band_are_found(search: Search) -> None:
    code = random_codes(1)
    queries = np.repeat(code, BANDS, axis=0)
    for band in range(BANDS):
        queries[band, 2 * band : 2 * band + 2] ^= 0xFF
    assert as_tuples(search(code, queries, 16)) == [(band, 16, 0) for band in range(BANDS)]


@EVERY_WAY
@pytest.mark.parametrize("radius_bits", [-1, 64])
def test_a_radius_outside_the_range_is_refused(search: Search, radius_bits: int) -> None:
    with pytest.raises(RadiusInvalid):
        search(random_codes(2), random_codes(1), radius_bits)


def test_codes_of_another_shape_are_refused() -> None:
    with pytest.raises(ValueError, match="shape"):
        reference.search(np.zeros((3, 16), np.uint8), random_codes(1), 31)


@settings(max_examples=60, deadline=None)
@given(data=st.data(), radius_bits=st.integers(0, 63))
def test_kernels_agree_with_plain_python(data: st.DataObject, radius_bits: int) -> None:
    distinct = data.draw(st.lists(st.binary(min_size=32, max_size=32), min_size=1, max_size=6))
    picks = data.draw(st.lists(st.sampled_from(distinct), min_size=1, max_size=30))
    codes = np.frombuffer(b"".join(picks), np.uint8).reshape(-1, 32)
    changes = data.draw(
        st.lists(st.integers(0, min(256, radius_bits + 2)), min_size=1, max_size=len(codes))
    )
    queries = flip_bits(codes[: len(changes)], changes, seed=data.draw(st.integers(0, 999)))
    expected = by_hand(codes, queries, radius_bits)
    for search in (_reference, _numpy, _lists, _lists_or_brute):
        assert as_tuples(search(codes, queries, radius_bits)) == expected


def test_steps_and_blocks_of_any_size_give_the_same_hits(monkeypatch: pytest.MonkeyPatch) -> None:
    codes = np.concatenate([clustered_codes(200, 10), random_codes(300)])
    queries = codes[::9]
    expected = as_tuples(reference.search(codes, queries, 31))
    index = MultiIndex.build(codes, min_rows=1)
    for lines, survivors, probes in [(1, 1, 1), (3, 7, 600), (17, 100, 5000), (100, 1, 1 << 18)]:
        monkeypatch.setattr(mih, "_LINES_PER_STEP", lines)
        monkeypatch.setattr(mih, "_SURVIVORS_PER_CHECK", survivors)
        monkeypatch.setattr(mih, "_PROBES_PER_BLOCK", probes)
        assert as_tuples(index.search_lists(queries, 31)) == expected


@given(differing_bits=st.lists(st.integers(0, BANDS - 1), max_size=63))
def test_some_band_is_probed_and_passes_its_chain(differing_bits: list[int]) -> None:
    distances = [differing_bits.count(band) for band in range(BANDS)]
    limits = plan(len(differing_bits))
    assert any(
        distances[band] <= limits.band_limit[band]
        and sum(distances[(band + step) % BANDS] for step in range(3)) <= limits.chain_limit[band]
        for band in range(BANDS)
    )


def test_probes_are_as_few_as_the_allowances_permit() -> None:
    assert [plan(radius).probes for radius in (0, 7, 15, 16, 31, 47, 63)] == [
        1, 8, 16, 32, 272, 2192, 11152,
    ]  # fmt: skip
