"""The live register: look-ups one at a time, at once and in batches, and the cost of a change.

The entries are random codes in a snapshot that was built for an empty store; then changes of the
store are followed. One process; set OPENBLAS_NUM_THREADS=1.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from egide.domain.model import Fingerprint, Pdq, State, Trust
from egide.index.live import LiveIndex
from egide.index.snapshot import Snapshot
from egide.index.snapshot_build import build_snapshot
from egide.live.register import LiveRegister
from egide.live.snapshots import snapshot_path
from egide.store.changing import ChangingStore as Store
from entries import BANK, entry
from machine import machine_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from egide.domain.model import Bank, Entry, Match

    Ask = Callable[[Sequence[Fingerprint]], Sequence[list[Match]]]

FIRST_ENTRY = 1_000_000_000
SINGLE = 500
BATCH = 10_000
CHANGES = 20_000
THREADS = 8
RATE = 200
RATE_S = 10.0


def one_code(rng: np.random.Generator) -> Fingerprint:
    """A fingerprint of one code, as from a hash list."""
    return Fingerprint((Pdq(rng.bytes(32), 100),))


def picture(rng: np.random.Generator) -> Fingerprint:
    """Three frames of eight variants: as many codes as a picture and two of its parts have."""
    variants = [rng.bytes(256) for _ in range(3)]
    return Fingerprint(tuple(Pdq(each[:32], 100, each) for each in variants))


def latencies_ms(taken_s: Sequence[float]) -> dict[str, float]:
    """Median and 99th percentile."""
    return {
        "p50": 1e3 * statistics.median(taken_s),
        "p99": 1e3 * float(np.percentile(np.array(taken_s), 99)),
    }


def one_after_the_other(ask: Ask, queries: Sequence[Fingerprint]) -> dict[str, float]:
    """Ask in one thread, each when the one before is answered."""
    taken = []
    for query in queries:
        start = time.perf_counter()
        ask([query])
        taken.append(time.perf_counter() - start)
    return latencies_ms(taken)


def all_at_once(ask: Ask, queries: Sequence[Fingerprint]) -> dict[str, float]:
    """Ask in eight threads, each as fast as it is answered."""
    start = time.perf_counter()
    with ThreadPoolExecutor(THREADS) as pool:
        taken = list(pool.map(lambda query: timed(ask, query), queries))
    return {"per_s": len(queries) / (time.perf_counter() - start), **latencies_ms(taken)}


def timed(ask: Ask, query: Fingerprint) -> float:
    """Seconds that one look-up takes."""
    start = time.perf_counter()
    ask([query])
    return time.perf_counter() - start


def at_a_rate(ask: Ask, rng: np.random.Generator) -> dict[str, float]:
    """Ask 200 times a second at random moments; latency counts from the moment due."""
    due = np.cumsum(rng.exponential(1 / RATE, int(RATE * RATE_S)))
    queries = [one_code(rng) for _ in due]
    start = time.perf_counter()

    def wait_and_ask(pair: tuple[float, Fingerprint]) -> float:
        left_s = pair[0] - (time.perf_counter() - start)
        if left_s > 0:
            time.sleep(left_s)
        ask([pair[1]])
        return time.perf_counter() - start - pair[0]

    with ThreadPoolExecutor(32) as pool:
        return latencies_ms(list(pool.map(wait_and_ask, zip(due.tolist(), queries, strict=True))))


def changes(size: int, rng: np.random.Generator) -> Iterator[Entry]:
    """Additions, withdrawals and confirmations in turn."""
    for number in range(CHANGES // 4):
        new = entry(FIRST_ENTRY + size + number, (rng.bytes(32),))
        old = entry(FIRST_ENTRY + int(rng.integers(size)), (rng.bytes(32),))
        yield new
        yield replace(old, pdqs=(), state=State.WITHDRAWN)
        yield replace(new, trust=Trust.CONFIRMED)
        yield entry(FIRST_ENTRY + size + CHANGES + number, (rng.bytes(32),))


def resident_mib() -> float:
    """What this process has had in memory at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def cost_of_changes(path: Path, banks: list[Bank], size: int) -> dict[str, float]:
    """Apply changes one by one, as they come when nobody is in a hurry."""
    index = LiveIndex(Snapshot.open(path))
    rng = np.random.default_rng(5)
    every = list(changes(size, rng))
    before = resident_mib()
    taken = []
    for each in every:
        start = time.perf_counter()
        index.apply([each], banks=lambda: banks, revision=index.view.revision + 1)
        taken.append(time.perf_counter() - start)
    return {
        "mean_us": 1e6 * statistics.fmean(taken),
        "p50_us": 1e6 * statistics.median(taken),
        "longest_ms": 1e3 * max(taken),
        "memory_mib": resident_mib() - before,
    }


def run(size: int) -> dict[str, object]:
    """Measure everything at one size."""
    rng = np.random.default_rng(1)
    with (
        tempfile.TemporaryDirectory() as folder,
        Store.open(f"sqlite:///{folder}/egide.db", create=True) as store,
    ):
        store.banks.create(BANK)
        build_snapshot(
            snapshot_path(store),
            store_id=store.id,
            revision=store.revision(),
            banks=store.banks.list(),
            entries=(entry(FIRST_ENTRY + each, (rng.bytes(32),)) for each in range(size)),
            created=datetime.now(UTC),
        )
        live = LiveRegister(store, rules=None)
        live.start()
        assert live.wait_until_ready(60)

        def apart(queries: Sequence[Fingerprint]) -> Sequence[list[Match]]:
            return live._search(queries, (None, None)).matches  # noqa: SLF001 - to compare with

        def combined(queries: Sequence[Fingerprint]) -> Sequence[list[Match]]:
            return live.search(queries).matches

        ways: dict[str, Ask] = {"combined": combined, "apart": apart}
        singles = [one_code(rng) for _ in range(SINGLE)]
        pictures = [picture(rng) for _ in range(SINGLE // 5)]
        batch = [one_code(rng) for _ in range(BATCH)]
        one_after_the_other(combined, singles)
        figures: dict[str, object] = {
            "machine": machine_line(),
            "entries": size,
            "single_ms": one_after_the_other(combined, singles),
            "picture_ms": one_after_the_other(combined, pictures),
            "eight_threads": {name: all_at_once(ask, singles) for name, ask in ways.items()},
            "at_200_a_second": {name: at_a_rate(ask, rng) for name, ask in ways.items()},
        }
        start = time.perf_counter()
        combined(batch)
        figures["batch_codes_per_s"] = BATCH / (time.perf_counter() - start)
        path = snapshot_path(store)
        figures["change"] = cost_of_changes(path, store.banks.list(), size)
        live.close()
        return figures


def main() -> None:
    """Parse the arguments and print the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--size", type=int, default=1_000_000)
    print(json.dumps(run(parser.parse_args().size), indent=1))


if __name__ == "__main__":
    main()
