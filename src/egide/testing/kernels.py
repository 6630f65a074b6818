"""What every kernel must do: find what comparing all pairs in plain Python finds."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from egide.domain.model import MAX_RADIUS_BITS
from egide.errors import RadiusInvalid

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from egide.index.kernel import Hits, Kernel

_RADII = pytest.mark.parametrize("radius_bits", [0, 1, 14, 15, 16, 31, 40, 47, 63])


class KernelContract(ABC):
    """Subclass it as `TestYours`, and say how your kernel is built."""

    @abstractmethod
    def build(self, codes: NDArray[np.uint8]) -> Kernel:
        """Return a kernel over `codes`, shape (n, 32).

        Raises:
            ValueError: the codes have another shape or type.
        """

    @pytest.mark.parametrize("queries", [0, 1, 3])
    def test_an_empty_bank_gives_no_hits(self, queries: int) -> None:
        assert as_tuples(self.build(random_codes(0)).search(random_codes(queries), 31)) == []

    def test_no_queries_give_no_hits(self) -> None:
        assert as_tuples(self.build(random_codes(5)).search(random_codes(0), 31)) == []

    @pytest.mark.parametrize("copies", [1, 2])
    def test_the_same_code_is_found_as_often_as_it_is_there(self, copies: int) -> None:
        code = random_codes(1)
        hits = self.build(np.repeat(code, copies, axis=0)).search(code, 0)
        assert as_tuples(hits) == [(0, 0, row) for row in range(copies)]

    @_RADII
    def test_a_code_is_found_up_to_the_radius_and_not_beyond(self, radius_bits: int) -> None:
        codes = random_codes(3000)
        distances = [number % (radius_bits + 2) for number in range(3 * (radius_bits + 2))]
        hits = self.build(codes).search(flip_bits(codes[: len(distances)], distances), radius_bits)
        assert as_tuples(hits) == [
            (number, distance, number)
            for number, distance in enumerate(distances)
            if distance <= radius_bits
        ]

    @_RADII
    def test_crowded_buckets_lose_and_repeat_nothing(self, radius_bits: int) -> None:
        codes = np.concatenate(
            [clustered_codes(300, 24), random_codes(100), clustered_codes(20, 0)]
        )
        queries = np.concatenate([codes[::40], clustered_codes(5, 40, seed=3)])
        expected = by_hand(codes, queries, radius_bits)
        assert len(expected) > len(queries)
        assert as_tuples(self.build(codes).search(queries, radius_bits)) == expected

    def test_a_complement_is_far_although_256_does_not_fit_in_a_byte(self) -> None:
        code = random_codes(1)
        assert len(self.build(code).search(~code, MAX_RADIUS_BITS)) == 0

    def test_differences_that_stand_together_are_found(self) -> None:
        code = random_codes(1)
        queries = np.repeat(code, 16, axis=0)
        for place in range(16):
            queries[place, 2 * place : 2 * place + 2] ^= 0xFF
        expected = [(place, 16, 0) for place in range(16)]
        assert as_tuples(self.build(code).search(queries, 16)) == expected

    @pytest.mark.parametrize("radius_bits", [-1, MAX_RADIUS_BITS + 1])
    def test_a_radius_outside_the_range_is_refused(self, radius_bits: int) -> None:
        with pytest.raises(RadiusInvalid):
            self.build(random_codes(2)).search(random_codes(1), radius_bits)

    @pytest.mark.parametrize(
        "codes",
        [np.zeros((3, 16), np.uint8), np.zeros(32, np.uint8), np.zeros((3, 32), np.int64)],
        ids=["short", "one dimension", "wide numbers"],
    )
    def test_codes_of_another_shape_or_type_are_refused(self, codes: NDArray[np.uint8]) -> None:
        with pytest.raises(ValueError, match="shape"):
            self.build(codes)
        with pytest.raises(ValueError, match="shape"):
            self.build(random_codes(3)).search(codes, 31)

    @settings(
        max_examples=40,
        deadline=None,
        suppress_health_check=[HealthCheck.differing_executors],  # each subclass is one
    )
    @given(data=st.data(), radius_bits=st.integers(0, MAX_RADIUS_BITS))
    def test_it_agrees_with_plain_python(self, data: st.DataObject, radius_bits: int) -> None:
        distinct = data.draw(st.lists(st.binary(min_size=32, max_size=32), min_size=1, max_size=6))
        picks = data.draw(st.lists(st.sampled_from(distinct), min_size=1, max_size=30))
        codes = np.frombuffer(b"".join(picks), np.uint8).reshape(-1, 32)
        changes = data.draw(
            st.lists(st.integers(0, min(256, radius_bits + 2)), min_size=1, max_size=len(codes))
        )
        queries = flip_bits(codes[: len(changes)], changes, seed=data.draw(st.integers(0, 999)))
        found = self.build(codes).search(queries, radius_bits)
        assert as_tuples(found) == by_hand(codes, queries, radius_bits)


def random_codes(count: int, seed: int = 1) -> NDArray[np.uint8]:
    """Return codes of random bits, shape (count, 32)."""
    return np.random.default_rng(seed).integers(0, 256, (count, 32), dtype=np.uint8)


def flip_bits(codes: NDArray[np.uint8], distances: list[int], seed: int = 2) -> NDArray[np.uint8]:
    """Return each code with that many random bits of it changed."""
    rng = np.random.default_rng(seed)
    bits = np.unpackbits(codes, axis=1)
    for row, distance in enumerate(distances):
        bits[row, rng.permutation(256)[:distance]] ^= 1
    return np.packbits(bits, axis=1)


def clustered_codes(count: int, spread_bits: int, seed: int = 3) -> NDArray[np.uint8]:
    """Return codes that differ from one centre in up to spread_bits places."""
    rng = np.random.default_rng(seed)
    bits = np.repeat(np.unpackbits(random_codes(1, seed), axis=1), count, axis=0)
    changed = rng.integers(0, 256, (count, spread_bits))
    kept = rng.random((count, spread_bits)) < rng.random((count, 1))
    rows, places = np.nonzero(kept)
    bits[rows, changed[rows, places]] ^= 1
    return np.packbits(bits, axis=1)


def by_hand(
    codes: NDArray[np.uint8], queries: NDArray[np.uint8], radius_bits: int
) -> list[tuple[int, int, int]]:
    """Search in plain Python integers: (query, distance, row), sorted."""
    numbers = [int.from_bytes(code.tobytes(), "big") for code in codes]
    wanted = [int.from_bytes(query.tobytes(), "big") for query in queries]
    return sorted(
        (q, (query ^ code).bit_count(), row)
        for q, query in enumerate(wanted)
        for row, code in enumerate(numbers)
        if (query ^ code).bit_count() <= radius_bits
    )


def as_tuples(hits: Hits) -> list[tuple[int, int, int]]:
    """Return hits as `by_hand` does."""
    columns = (hits.query.tolist(), hits.distance.tolist(), hits.row.tolist())
    return list(zip(*columns, strict=True))
