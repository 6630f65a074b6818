"""Search at sizes where clustering, blocks and shared memory matter."""

from __future__ import annotations

import gc
import subprocess
import sys
import tracemalloc
from typing import TYPE_CHECKING

import numpy as np
import pytest

from egide.index import reference
from egide.index.multi_index import MultiIndex
from egide.index.snapshot import Snapshot
from egide.index.snapshot_build import build_snapshot
from egide.testing.kernels import clustered_codes, flip_bits, random_codes
from search_data import NOW, bank, entry

if TYPE_CHECKING:
    from pathlib import Path

    from egide.index.kernel import Hits

pytestmark = pytest.mark.slow
MIB = 1 << 20


def assert_same(found: Hits, expected: Hits) -> None:
    assert np.array_equal(found.query, expected.query)
    assert np.array_equal(found.row, expected.row)
    assert np.array_equal(found.distance, expected.distance)


@pytest.mark.parametrize("radius_bits", [0, 15, 16, 31, 47, 63])
def test_planted_distances_among_many_codes(radius_bits: int) -> None:
    codes = random_codes(100_000)
    distances = [number % (radius_bits + 2) for number in range(2 * (radius_bits + 2))]
    queries = flip_bits(codes[: len(distances)], distances)
    index = MultiIndex.build(codes)
    hits = index.search_lists(queries, radius_bits)
    assert_same(hits, reference.search(codes, queries, radius_bits))
    assert len(hits) == sum(distance <= radius_bits for distance in distances)


@pytest.mark.parametrize("spread_bits", [3, 30])
def test_a_hundred_thousand_clustered_codes(spread_bits: int) -> None:
    codes = clustered_codes(100_000, spread_bits)
    queries = flip_bits(codes[:12], [number % 8 for number in range(12)])
    index = MultiIndex.build(codes)
    for radius_bits in (0, 7, 31):
        expected = reference.search(codes, queries, radius_bits)
        assert_same(index.search(queries, radius_bits), expected)
        assert_same(index.search_lists(queries[:2], radius_bits), _first(expected, 2))


def _first(hits: Hits, queries: int) -> Hits:
    kept = hits.query < queries
    return type(hits)(hits.query[kept], hits.row[kept], hits.distance[kept])


@pytest.mark.parametrize("clustered", [False, True])
def test_memory_beyond_the_result_stays_under_32_mib(*, clustered: bool) -> None:
    # Queries far from the cluster but in its buckets: many candidates, hardly a hit.
    codes = random_codes(100_000)
    if clustered:
        codes[:, :16] = codes[0, :16]
    queries = random_codes(3000 if clustered else 20_000, seed=9)
    if clustered:
        queries[:, :12] = codes[0, :12]
    index = MultiIndex.build(codes)
    gc.collect()
    tracemalloc.start()
    try:
        hits = index.search_lists(queries[:40], 31) if clustered else index.search(queries, 31)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak - 3 * sum(column.nbytes for column in (hits.query, hits.row)) < 32 * MIB


def test_processes_share_the_file_and_agree(tmp_path: Path) -> None:
    codes = random_codes(20_000)
    path = tmp_path / "snapshot"
    build_snapshot(
        path,
        store_id="s",
        revision=1,
        banks=[bank()],
        entries=(entry(number, code.tobytes()) for number, code in enumerate(codes)),
        created=NOW,
    )
    script = (
        "import sys, pathlib, numpy as np\n"
        "from egide.index.snapshot import Snapshot\n"
        "with Snapshot.open(pathlib.Path(sys.argv[1]), verify=True) as snapshot:\n"
        "    queries = np.frombuffer(sys.stdin.buffer.read(), np.uint8).reshape(-1, 32)\n"
        "    hits = snapshot.search(queries, 31)\n"
        "    sys.stdout.buffer.write(hits.row.tobytes())\n"
    )
    queries = flip_bits(codes[:300], [number % 32 for number in range(300)])
    with Snapshot.open(path) as snapshot:
        expected = snapshot.search(queries, 31).row.tobytes()
        answers = [
            subprocess.run(
                [sys.executable, "-c", script, str(path)],
                input=queries.tobytes(),
                capture_output=True,
                check=True,
                timeout=60,
            ).stdout
            for _ in range(2)
        ]
    assert len(expected) == 300 * 8
    assert answers == [expected, expected]
