"""What Ray costs: to start, for each shard, and in items a second, beside processes alone."""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import egide
from audit import fill_store, write_shards
from egide.auditing.executors.local import LocalExecutor
from machine import corpus_photos, machine_line

SHARDS = 400
"""Of one picture each: nearly all of their time is what a shard costs besides."""
ITEMS = 4_000
WORKERS = 2
ROUNDS = 3


def main() -> None:
    """Print the measurements, or that Ray is not there to be measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the items")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    if find_spec("ray") is None:
        print("not measured: Ray is not installed (pip install 'egide[ray]')")
        return
    from egide.auditing.executors.cluster import joined

    scale, rounds = (10, 1) if arguments.quick else (1, ROUNDS)
    with tempfile.TemporaryDirectory() as named:
        folder = Path(named)
        photos = [path.read_bytes() for path in corpus_photos()]
        sets = {
            "small": write_shards(folder / "small", photos, SHARDS // scale, 1),
            "large": write_shards(folder / "large", photos, ITEMS // scale, 100),
        }
        url = fill_store(folder, 10_000)
        began = time.perf_counter()
        with joined("local", processes=WORKERS) as cluster:
            started_s = time.perf_counter() - began
            executors = {"processes": LocalExecutor, "ray": cluster.executor}
            result = {"machine": machine_line(), "start_s": started_s} | {
                name: {
                    kind: statistics.median(scan(sources, url, executor) for _ in range(rounds))
                    for kind, executor in executors.items()
                }
                for name, sources in sets.items()
            }
    if arguments.json:
        print(json.dumps(result))
        return
    print_result(result, {name: len(sources) for name, sources in sets.items()}, ITEMS // scale)


def scan(sources: list[str], url: str, executor: Callable[..., Any]) -> float:
    """Audit, and return the seconds of scanning: workers have started before."""
    with tempfile.TemporaryDirectory() as out, egide.open_store(url) as store:
        audit = egide.audit(sources, store, out=out, workers=WORKERS, executor=executor)
        for _ in audit:
            pass
    assert audit.summary is not None
    return audit.summary.scan_seconds


def print_result(result: dict[str, Any], shards: dict[str, int], items: int) -> None:
    """Print the table."""
    small, large = result["small"], result["large"]
    count = shards["small"]
    print(result["machine"])
    print(f"\nA Ray of this machine, {WORKERS} workers")
    print(f"start of Ray: {result['start_s']:.1f} s")
    overhead = (small["ray"] - small["processes"]) / count * WORKERS
    print(
        f"shards of one picture, a shard and worker: processes "
        f"{small['processes'] / count * WORKERS * 1000:.1f} ms, Ray "
        f"{small['ray'] / count * WORKERS * 1000:.1f} ms: overhead {overhead * 1000:.1f} ms"
    )
    print(
        f"shards of 100 pictures, items/s: processes {items / large['processes']:.0f}, "
        f"Ray {items / large['ray']:.0f}: {large['processes'] / large['ray']:.0%}"
    )


if __name__ == "__main__":
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    main()
