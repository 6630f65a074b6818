"""Search: Egide's snapshot against threatexchange's PDQIndex, in one run, on one core.

Run `python benchmarks/search.py [--size 1000000] [--quick] [--json]`. Codes are drawn from a seeded
generator; every query is a stored code with 0 to 33 bits changed. Timings alternate between the two
and medians are printed. Recall is counted against brute force for both.

With `--anchored`, the compiled kernel against NumPy instead: a picture's 320 codes among the
anchored hashes of 156 250 pictures, or of a million with `--size 64000000` (6.5 GB of disk and
memory, half an hour). The times are the processor's, so that other work matters less.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from egide.domain.model import MAX_ANCHORED, PDQ_BYTES, AnchoredHashes, Bank
from egide.index import reference
from egide.index.bands import layout_for, plan
from egide.index.container import read_container
from egide.index.lists import BandLists
from egide.index.multi_index import MultiIndex
from egide.index.snapshot import Snapshot
from egide.index.snapshot_build import build_snapshot
from entries import BANK, entry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from egide.domain.model import Entry
    from egide.index.kernel import Hits

RADIUS_BITS = 31
BATCH = 4096
PEER_BATCH = 512
SINGLE = 100
RECALL_QUERIES = 64
SHARING_PROCESSES = 2
PICTURE = 320
"""The codes that a picture is searched by."""
ANCHORED_RADII = (31, 34, 36, 39, 40, 46)
SLOW_REPEATS = 3


def machine() -> dict[str, str]:
    """Describe what the numbers depend on."""
    model = next(
        (
            line.split(":", 1)[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.processor(),
    )
    return {
        "cpu": model,
        "cores": str(os.cpu_count()),
        "cores_used": "1",
        "python": platform.python_version(),
        **{name: version(name) for name in ("numpy", "faiss-cpu", "threatexchange")},
    }


def _entries(codes: NDArray[np.uint8]) -> Iterator[Entry]:
    return (entry(number, (code.tobytes(),)) for number, code in enumerate(codes))


def planted(codes: NDArray[np.uint8], count: int, seed: int) -> NDArray[np.uint8]:
    """Return count stored codes with 0, 1 … 33 random bits changed in turn."""
    rng = np.random.default_rng(seed)
    bits = np.unpackbits(codes[rng.integers(0, len(codes), count)], axis=1)
    for row in range(count):
        bits[row, rng.permutation(256)[: row % (RADIUS_BITS + 3)]] ^= 1
    return np.packbits(bits, axis=1)


def seconds(work: Callable[[], object]) -> float:
    """Time one call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def alternate(works: dict[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Time each in turn, so that a slow moment of the machine meets all; return medians."""
    taken: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(repeats):
        for name, work in works.items():
            taken[name].append(seconds(work))
    return {name: statistics.median(each) for name, each in taken.items()}


def mapped_kib(path: Path) -> dict[str, int]:
    """Add up this process's shared and private memory of a mapped file, in KiB."""
    total = {"Rss": 0, "Shared_Clean": 0, "Private_Clean": 0, "Private_Dirty": 0}
    inside = False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        key = line.split(":", 1)[0]
        if "-" in line.split(" ", 1)[0]:
            inside = line.endswith(str(path))
        elif inside and key in total:
            total[key] += int(line.split()[1])
    return total


def search_and_report_memory(path: Path) -> None:
    """Be one of several processes: search, tell, and hold the file until told to end."""
    snapshot = Snapshot.open(path)
    rng = np.random.default_rng(os.getpid())
    snapshot.search(rng.integers(0, 256, (BATCH, 32), dtype=np.uint8), RADIUS_BITS)
    print("ready", flush=True)
    sys.stdin.readline()
    print(json.dumps(mapped_kib(path)), flush=True)
    sys.stdin.readline()


def memory_of_processes(path: Path) -> list[dict[str, int]]:
    """Let some processes search the same file at once; return each one's memory of it."""
    command = [sys.executable, __file__, "--share", str(path)]
    children = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(SHARING_PROCESSES)
    ]
    told = []
    for child in children:
        assert child.stdout is not None
        child.stdout.readline()
    for child in children:
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdin.write("\n")
        child.stdin.flush()
        told.append(json.loads(child.stdout.readline()))
    for child in children:
        child.communicate("\n")
    return told


def recall(codes: NDArray[np.uint8], snapshot: Snapshot, peer: Any) -> dict[str, float]:
    """Count which of the true neighbours each finds."""
    queries = planted(codes, RECALL_QUERIES, seed=3)
    truth = reference.search(codes, queries, RADIUS_BITS)
    expected = set(zip(truth.query.tolist(), truth.row.tolist(), strict=True))
    hits = snapshot.search(queries, RADIUS_BITS)
    ours = set(zip(hits.query.tolist(), hits.row.tolist(), strict=True))
    assert ours <= expected, "a hit that brute force does not give"
    theirs = {
        (number, match.metadata)
        for number, query in enumerate(queries)
        for match in peer.query(query.tobytes().hex())
    }
    return {
        "true_neighbours": len(expected),
        "egide": len(ours & expected) / len(expected),
        "peer": len(theirs & expected) / len(expected),
    }


def run(size: int, repeats: int) -> dict[str, object]:
    """Measure everything at one size."""
    import faiss
    from threatexchange.signal_type.pdq.pdq_index import PDQIndex

    faiss.omp_set_num_threads(1)
    codes = np.random.default_rng(1).integers(0, 256, (size, 32), dtype=np.uint8)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "snapshot"
        bank = Bank(1, BANK, RADIUS_BITS, "", True)
        build_s = seconds(
            lambda: build_snapshot(
                path,
                store_id="bench",
                revision=1,
                banks=[bank],
                entries=_entries(codes),
                created=datetime.now(UTC),
            )
        )
        entries_s = seconds(lambda: sum(1 for _ in _entries(codes)))
        open_s = alternate({"open": lambda: Snapshot.open(path).close()}, 9)["open"]
        verify_s = seconds(lambda: Snapshot.open(path, verify=True))
        peer: Any = PDQIndex()
        peer_build_s = seconds(
            lambda: peer.add_all((code.tobytes().hex(), row) for row, code in enumerate(codes))
        )
        snapshot = Snapshot.open(path)
        queries = planted(codes, BATCH, seed=2)
        hexes = [query.tobytes().hex() for query in queries]
        batch = alternate(
            {
                "egide": lambda: snapshot.search(queries, RADIUS_BITS),
                "peer": lambda: peer.index.search_with_distance_in_result(
                    hexes[:PEER_BATCH], RADIUS_BITS
                ),
            },
            repeats,
        )
        single = alternate(
            {
                "egide": lambda: [
                    snapshot.search(queries[row : row + 1], RADIUS_BITS) for row in range(SINGLE)
                ],
                "peer": lambda: [peer.query(each) for each in hexes[:SINGLE]],
            },
            repeats,
        )
        rates = {
            "batch": {"egide": BATCH / batch["egide"], "peer": PEER_BATCH / batch["peer"]},
            "single": {name: SINGLE / taken for name, taken in single.items()},
        }
        return {
            "machine": machine(),
            "codes": size,
            "radius_bits": RADIUS_BITS,
            "kernel": snapshot.kernel,
            "queries_per_s": rates,
            "ratio": {name: rate["egide"] / rate["peer"] for name, rate in rates.items()},
            "single_latency_us": {name: 1e6 / rate for name, rate in rates["single"].items()},
            "recall": recall(codes, snapshot, peer),
            "build_s": {
                "egide_with_file": build_s - entries_s,
                "making_the_entries_for_it": entries_s,
                "peer": peer_build_s,
            },
            "open_ms": open_s * 1e3,
            "open_verified_ms": verify_s * 1e3,
            "bytes_per_hash": path.stat().st_size / size,
            "file_memory_kib_by_process": memory_of_processes(path),
        }


def _pictures(size: int) -> Iterator[Entry]:
    rng = np.random.default_rng(1)
    for number in range(0, size, MAX_ANCHORED):
        codes = rng.bytes(PDQ_BYTES * min(MAX_ANCHORED, size - number))
        yield replace(entry(number, ()), anchored=AnchoredHashes.kept(codes, 1))


def run_anchored(size: int, repeats: int) -> dict[str, object]:
    """Search anchored hashes by both kernels, at one size and several radii."""
    from egide.index import numba_kernel

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "snapshot"
        build_s = seconds(
            lambda: build_snapshot(
                path,
                store_id="bench",
                revision=1,
                banks=[Bank(1, BANK, RADIUS_BITS, "", True)],
                entries=_pictures(size),
                created=datetime.now(UTC),
            )
        )
        _, arrays = read_container(path, verify=True)  # the file is in memory from here on
        codes = arrays["anchored"]
        lists = BandLists(layout_for(size), size, arrays["anchored_lists"])
        index = MultiIndex(codes, lists)
        queries = np.random.default_rng(2).integers(0, 256, (PICTURE, PDQ_BYTES), dtype=np.uint8)
        queries[: RADIUS_BITS + 3] = planted(codes[:1000], RADIUS_BITS + 3, seed=3)
        radii: dict[str, object] = {}
        for radius_bits in ANCHORED_RADII:
            taken: dict[str, list[float]] = {"numba": [], "numpy": []}
            for repeat in range(repeats):
                found: list[Hits] = []
                works: dict[str, Callable[[], Hits]] = {
                    "numba": partial(numba_kernel.search, codes, lists, queries, radius_bits),
                    "numpy": partial(index.search_lists, queries, radius_bits),
                }
                for name, work in works.items():
                    if name == "numba" or repeat < SLOW_REPEATS:
                        start = time.thread_time()
                        found.append(work())
                        taken[name].append(time.thread_time() - start)
                assert all(np.array_equal(found[0].row, each.row) for each in found)
            medians = {name: statistics.median(each) for name, each in taken.items()}
            radii[str(radius_bits)] = {
                **{f"{name}_ms": 1e3 * each for name, each in medians.items()},
                "ratio": medians["numpy"] / medians["numba"],
                "probes": plan(lists.layout, radius_bits).probes,
            }
        return {
            "codes": size,
            "queries": PICTURE,
            "bands": lists.layout.bands,
            "bytes_per_code": (codes.nbytes + lists.words.nbytes) / size,
            "build_s": build_s,
            "radius": radii,
        }


def main() -> None:
    """Parse the arguments and print the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--size", type=int, help="codes; a million, or ten million anchored")
    parser.add_argument("--anchored", action="store_true", help="the compiled kernel and NumPy")
    parser.add_argument("--quick", action="store_true", help="100 000 codes, three repeats")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--share", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.share:
        search_and_report_memory(options.share)
        return
    size = 100_000 if options.quick else options.size
    repeats = 3 if options.quick else 7
    if options.anchored:
        figures = run_anchored(size or 10_000_000, repeats)
    else:
        figures = run(size or 1_000_000, repeats)
    if options.json:
        print(json.dumps(figures))
        return
    for name, text in flat(figures):
        print(f"{name:42} {text}")


def flat(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Yield each figure with its full name."""
    if isinstance(value, dict):
        for key, part in value.items():
            yield from flat(part, f"{name}.{key}" if name else key)
    elif isinstance(value, list):
        for number, part in enumerate(value):
            yield from flat(part, f"{name}.{number}")
    else:
        yield name, f"{value:,.4g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    main()
