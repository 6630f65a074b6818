"""Every kernel finds exactly what comparing all pairs finds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from egide.index import multi_index as mih
from egide.index import reference
from egide.index.bands import BANDS, plan
from egide.index.kernel import check_codes
from egide.index.multi_index import MultiIndex
from egide.index.reference import Reference
from egide.testing import KernelContract
from egide.testing.kernels import as_tuples, clustered_codes, random_codes

if TYPE_CHECKING:
    import pytest
    from numpy.typing import NDArray

    from egide.index.kernel import Hits, Kernel


class TestReference(KernelContract):
    def build(self, codes: NDArray[np.uint8]) -> Kernel:
        return Reference(codes)


class TestMultiIndex(KernelContract):
    def build(self, codes: NDArray[np.uint8]) -> Kernel:
        return MultiIndex.build(codes)


@dataclass
class Lists:
    """The lists of a multi-index, also where comparing all pairs would be quicker."""

    index: MultiIndex
    max_lines: int | None = None
    name = "lists"

    def search(self, queries: NDArray[np.uint8], radius_bits: int) -> Hits:
        return self.index.search_lists(check_codes(queries), radius_bits, self.max_lines)


class TestLists(KernelContract):
    test_an_empty_bank_gives_no_hits = None  # never built over none

    def build(self, codes: NDArray[np.uint8]) -> Kernel:
        return Lists(MultiIndex.build(codes, min_rows=1))


class TestListsOrBrute(TestLists):
    def build(self, codes: NDArray[np.uint8]) -> Kernel:
        return Lists(MultiIndex.build(codes, min_rows=1), max_lines=20)


def test_steps_and_blocks_of_any_size_give_the_same_hits(monkeypatch: pytest.MonkeyPatch) -> None:
    codes = np.concatenate([clustered_codes(200, 10), random_codes(300)])
    queries = codes[::25]
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
