"""The compiled search finds exactly what the other kernels find."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING

import numpy as np
import pytest

from egide import compiled
from egide.index import reference
from egide.index.bands import Layout
from egide.index.kernel import check_codes
from egide.index.multi_index import MultiIndex
from egide.testing import KernelContract
from egide.testing.kernels import as_tuples, clustered_codes, random_codes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from egide.index.kernel import Hits, Kernel

pytestmark = pytest.mark.skipif(
    find_spec("numba") is None, reason="the extra `fast` is not installed"
)


@dataclass
class Compiled:
    """The compiled kernel, through lists wherever a radius allows any code to be missed by one."""

    index: MultiIndex
    name = "numba"

    def search(self, queries: NDArray[np.uint8], radius_bits: int) -> Hits:
        from egide.index import numba_kernel  # is compiled by this, where it never was

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
