"""Every kernel finds exactly what comparing all pairs finds."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from egide import compiled
from egide.index import multi_index as mih
from egide.index import reference
from egide.index.bands import CODE_BITS, LARGE, SMALL, Layout, plan, spare_bits
from egide.index.kernel import check_codes
from egide.index.multi_index import MultiIndex
from egide.index.reference import Reference
from egide.testing import KernelContract
from egide.testing.kernels import as_tuples, clustered_codes, random_codes

if TYPE_CHECKING:
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


def test_a_compiler_that_fails_leaves_numpy(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(compiled, "_threads", {})
    monkeypatch.setattr(compiled, "_ready", {})
    monkeypatch.setitem(sys.modules, compiled.SEARCH, None)
    thread = compiled.prepare_compiled(compiled.SEARCH)
    assert thread is not None
    thread.join()
    assert compiled.compiled_module(compiled.SEARCH) is None
    assert f"working without {compiled.SEARCH}: ModuleNotFoundError" in caplog.text


@pytest.mark.parametrize("layout", [SMALL, LARGE], ids=str)
def test_no_filter_bit_lies_beyond_the_tested_chain(layout: Layout) -> None:
    starts = layout.starts.tolist()
    widths = [end - start for start, end in pairwise(starts)]
    assert starts[-1] == CODE_BITS
    assert layout.key_bits <= min(widths)
    for band in range(layout.bands):
        after, last = widths[(band + 1) % layout.bands], widths[(band + 2) % layout.bands]
        assert layout.key_bits + 16 <= widths[band] + after
        assert layout.key_bits + 16 + spare_bits(1) <= widths[band] + after + last


@given(
    differing_bits=st.lists(st.integers(0, 15), max_size=63),
    layout=st.sampled_from([SMALL, LARGE]),
)
def test_some_band_is_probed_and_passes_its_chain(
    differing_bits: list[int], layout: Layout
) -> None:
    bands = layout.bands
    distances = [sum(bit % bands == band for bit in differing_bits) for band in range(bands)]
    limits = plan(layout, len(differing_bits))
    assert any(
        all(
            sum(distances[(band + step) % bands] for step in range(length))
            <= limits.chains[length - 1, band]
            for length in (1, 2, 3)
        )
        for band in range(bands)
    )


def test_probes_are_as_few_as_the_allowances_permit() -> None:
    assert [plan(SMALL, radius).probes for radius in (0, 7, 15, 16, 31, 47, 63)] == [
        1, 8, 16, 32, 272, 2192, 11152,
    ]  # fmt: skip
    assert [plan(LARGE, radius).probes for radius in (9, 29, 39)] == [10, 2540, 17_940]
