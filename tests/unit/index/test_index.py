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
from egide.index import numba_kernel, reference
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


@dataclass
class Compiled:
    """The compiled kernel, through lists wherever a radius allows any code to be missed by one."""

    index: MultiIndex
    name = "numba"

    def search(self, queries: NDArray[np.uint8], radius_bits: int) -> Hits:
        return numba_kernel.search(
            self.index.codes,
            self.index.lists,
            check_codes(queries),
            radius_bits,
            min_rows_per_probe=0,
        )


class TestCompiled(KernelContract):
    def build(self, codes: NDArray[np.uint8]) -> Kernel:
        return Compiled(MultiIndex.build(codes, min_rows=1))


class TestCompiledLargeLayout(KernelContract):
    """Bands wider than their keys, filters that reach into the next band."""

    def build(self, codes: NDArray[np.uint8]) -> Kernel:
        return Compiled(MultiIndex.build(codes, min_rows=1, layout=Layout(10, 12)))


class TestCompiledBrute(KernelContract):
    def build(self, codes: NDArray[np.uint8]) -> Kernel:
        return Compiled(MultiIndex(codes, None))


@pytest.mark.parametrize("layout", [Layout(10, 12), Layout(13, 19)], ids=str)
def test_numpy_and_numba_agree_in_every_layout(layout: Layout) -> None:
    codes = np.concatenate([clustered_codes(3000, 40), random_codes(2000)])
    queries = np.concatenate([codes[::100], clustered_codes(9, 60, seed=3)])
    index = MultiIndex.build(codes, layout=layout)
    for radius_bits in (0, 9, 31, 39, 46):
        expected = as_tuples(reference.search(codes, queries, radius_bits))
        assert as_tuples(index.search_lists(queries, radius_bits)) == expected
        assert as_tuples(Compiled(index).search(queries, radius_bits)) == expected


def test_more_probes_survivors_and_hits_than_there_is_room_for() -> None:
    # A cluster whose members share buckets, and strangers that only share them.
    codes = random_codes(30_000)
    codes[:, :8] = codes[0, :8]
    codes[:6000] = codes[0]
    queries = np.repeat(codes[:1], 3, axis=0)
    index = MultiIndex.build(codes)
    found = Compiled(index).search(queries, 31)
    assert as_tuples(found) == as_tuples(reference.search(codes, queries, 31))
    assert len(found) >= 18_000


@pytest.mark.parametrize("part", ["rows", "offsets"])
def test_damaged_lists_are_refused_by_both(part: str) -> None:
    codes = random_codes(2000)
    index = MultiIndex.build(codes)
    assert index.lists is not None
    begins = {"rows": index.lists.rows_at, "offsets": index.lists.offsets_at}[part]
    ends = {"rows": index.lists.offsets_at, "offsets": None}[part]
    index.lists.words[:, begins:ends] = 0x7FFF_FFF0
    for search in (index.search_lists, Compiled(index).search):
        with pytest.raises(IndexError):
            search(codes, 31)


def test_numpy_answers_until_the_kernel_is_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled, "_threads", {})
    monkeypatch.setattr(compiled, "_ready", {})
    index = MultiIndex.build(random_codes(2000))
    compiled.count_codes(compiled.MIN_CODES - 1)
    assert not compiled._threads
    before = (index.name, as_tuples(index.search(index.codes, 40)))
    compiled.count_codes(compiled.MIN_CODES)
    thread = compiled.prepare_compiled(compiled.SEARCH)
    assert thread is not None
    thread.join()
    assert before == ("numpy", as_tuples(index.search(index.codes, 40)))
    assert index.name == "numba"


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
