"""The whole audit against decode + hash alone; two workers; the start; memory; a shared bank."""

from __future__ import annotations

import argparse
import io
import json
import os
import random
import statistics
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from PIL import Image

import egide
from egide.store.changing import ChangingStore
from machine import corpus_photos, machine_line

BANK_ENTRIES = 1_000_000
ITEMS = 4_000
ROUNDS = 7


def main() -> None:
    """Print the measurements."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the items")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    scale = 10 if arguments.quick else 1
    with tempfile.TemporaryDirectory() as folder:
        result: dict[str, Any] = {
            "machine": machine_line(),
            "throughput": throughput(Path(folder), ITEMS // scale, scale),
            "workers": list(two_workers(Path(folder), ITEMS // scale, scale)),
            "start": start(Path(folder), scale),
            "memory": list(memory(Path(folder), scale)),
        }
    if arguments.json:
        print(json.dumps(result))
        return
    print(result["machine"])
    row = result["throughput"]
    print(f"\nAudit, one worker, start to end, in turns with decode + hash alone ({ROUNDS} rounds)")
    print(f"{'bank':>10} {'items':>7} {'alone/s':>9} {'audit/s':>9} {'ratio':>6}")
    print(
        f"{row['bank']:>10,} {row['items']:>7,} {row['alone']:>9.0f} {row['audit']:>9.0f} "
        f"{row['ratio']:>6.0%}"
    )
    print(f"\nTwo workers against one, in turns ({ROUNDS} rounds)")
    print(f"{'set':>14} {'items':>7} {'one/s':>9} {'two/s':>9} {'ratio':>6}")
    for row in result["workers"]:
        print(
            f"{row['set']:>14} {row['items']:>7,} {row['one']:>9.0f} {row['two']:>9.0f} "
            f"{row['ratio']:>5.2f}×"
        )
    row = result["start"]
    print(
        f"\nFrom the call to the first item's match, bank of {row['bank']:,}: {row['call']:.2f} s; "
        f"from the start of a process: {row['process']:.2f} s"
    )
    print("\nMemory (peak, MB): private of the parent, private and shared of one worker")
    print(f"{'source':>8} {'items':>8} {'parent':>7} {'worker':>7} {'shared':>7} {'bank':>10}")
    for row in result["memory"]:
        print(
            f"{row['source']:>8} {row['items']:>8,} {row['parent']:>7.0f} {row['worker']:>7.0f} "
            f"{row['shared']:>7.0f} {row['bank']:>10,}"
        )


def throughput(folder: Path, count: int, scale: int) -> dict[str, float]:
    """Audit photos packed into tars, and fingerprint the same bytes in a loop, in turns."""
    photos = [path.read_bytes() for path in corpus_photos()]
    shards = write_shards(folder / "shards", photos, count)
    contents = [photos[n % len(photos)] + n.to_bytes(4, "big") for n in range(count)]
    store_url = fill_store(folder, BANK_ENTRIES // scale)
    rates = {"alone": [alone(contents)], "audit": [], "ratio": []}
    for number in range(ROUNDS):
        with egide.open_store(store_url) as store:
            audit = egide.audit(shards, store, out=folder / f"out-{number}")
            for _ in audit:
                pass
        assert audit.summary is not None
        assert audit.summary.hashed == count
        rates["audit"].append(count / audit.summary.seconds)
        rates["alone"].append(alone(contents))
        # The machine's speed drifts: each audit is compared with what ran before and after it.
        rates["ratio"].append(rates["audit"][-1] / statistics.mean(rates["alone"][-2:]))
    medians = {name: statistics.median(values) for name, values in rates.items()}
    return {"bank": BANK_ENTRIES // scale, "items": count, **medians}


def two_workers(folder: Path, count: int, scale: int) -> Iterator[dict[str, Any]]:
    """Audit the same photos with one worker and with two: in several tars, and in a large one."""
    photos = [path.read_bytes() for path in corpus_photos()]
    store_url = fill_store(folder, BANK_ENTRIES // scale)
    sets = {
        "several tars": sorted(str(path) for path in (folder / "shards").glob("*.tar")),
        "one large tar": write_shards(folder / "large", photos, count, count),
    }
    for name, shards in sets.items():
        rates: dict[int, list[float]] = {1: [], 2: []}
        for _ in range(ROUNDS):
            for workers, measured in rates.items():
                with egide.open_store(store_url) as store:
                    audit = egide.audit(shards, store, workers=workers)
                    for _ in audit:
                        pass
                assert audit.summary is not None
                measured.append(count / audit.summary.seconds)
        ratio = statistics.median(two / one for one, two in zip(rates[1], rates[2], strict=True))
        medians = {key: statistics.median(rates[n]) for key, n in (("one", 1), ("two", 2))}
        yield {"set": name, "items": count, "ratio": ratio, **medians}


_FIRST = """
import sys, egide
with egide.open_store(sys.argv[1]) as store:
    next(iter(egide.audit([sys.argv[2]], store)))
"""


def start(folder: Path, scale: int) -> dict[str, float]:
    """Time the start of an audit: a set of one picture, which matches."""
    store_url = fill_store(folder, BANK_ENTRIES // scale)
    picture = corpus_photos()[0]
    with egide.open_store(store_url) as store:
        list(egide.register(store, "b", [picture]))
        for _ in egide.audit([picture], store):  # which prepares the snapshot
            pass
    times: dict[str, list[float]] = {"call": [], "process": []}
    for _ in range(ROUNDS):
        began = time.perf_counter()
        subprocess.run([sys.executable, "-c", _FIRST, store_url, str(picture)], check=True)
        times["process"].append(time.perf_counter() - began)
        with egide.open_store(store_url) as store:
            began = time.perf_counter()
            for _ in egide.audit([picture], store):
                times["call"].append(time.perf_counter() - began)
    medians = {name: statistics.median(values) for name, values in times.items()}
    return {"bank": BANK_ENTRIES // scale, **medians}


def alone(contents: list[bytes]) -> float:
    """Fingerprint in a loop; return items a second."""
    began = time.perf_counter()
    for content in contents:
        egide.fingerprint(content, mode=egide.Mode.FAST, md5=False)
    return len(contents) / (time.perf_counter() - began)


def write_shards(folder: Path, photos: list[bytes], count: int, per_shard: int = 1000) -> list[str]:
    """Pack photos into tars; a few bytes after its end make each item another file."""
    folder.mkdir()
    paths = []
    for start in range(0, count, per_shard):
        path = folder / f"{start:07}.tar"
        with tarfile.open(path, "w") as archive:
            for number in range(start, min(start + per_shard, count)):
                content = photos[number % len(photos)] + number.to_bytes(4, "big")
                info = tarfile.TarInfo(f"{number:07}.jpg")
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
        paths.append(str(path))
    return paths


def fill_store(folder: Path, size: int) -> str:
    """Return a store whose bank has `size` random codes."""
    url = f"sqlite:///{folder}/bank-{size}.db"
    if not (folder / f"bank-{size}.db").exists():
        dice = random.Random(1)
        with egide.open_store(url, create=True) as store:
            ChangingStore.of(store).banks.create("b")
            ChangingStore.of(store).entries.register(
                "b", (egide.Registration(pdqs=(dice.randbytes(32),)) for _ in range(size))
            )
    return url


def memory(folder: Path, scale: int) -> Iterator[dict[str, object]]:
    """Audit 10 000 and 100 000 small items from a folder and from a tar; sample memory."""
    small = io.BytesIO()
    Image.linear_gradient("L").resize((64, 64)).save(small, "JPEG")
    url = fill_store(folder, BANK_ENTRIES // scale)
    for count in (10_000 // scale, 100_000 // scale):
        files = folder / f"small-{count}"
        files.mkdir()
        for number in range(count):
            (files / f"{number:06}.jpg").write_bytes(small.getvalue() + number.to_bytes(4, "big"))
        (tar,) = write_shards(folder / f"tar-{count}", [small.getvalue()], count, count)
        for kind, source in (("folder", str(files)), ("tar", tar)):
            peaks = audit_and_sample(source, url, folder / f"memory-{kind}-{count}")
            yield {"source": kind, "items": count, "bank": BANK_ENTRIES // scale, **peaks}


def audit_and_sample(source: str, url: str, out: Path) -> dict[str, float]:
    """Run an audit as a command; return the peaks of its memory in MB."""
    command = [sys.executable, "-m", "egide.cli.main", "audit", source, "--store", url]
    command += ["--out", str(out), "--workers", "1", "--json"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    peaks = {"parent": 0.0, "worker": 0.0, "shared": 0.0}
    done = threading.Event()

    def sample() -> None:
        while not done.wait(0.1):
            private, _ = memory_of(process.pid)
            peaks["parent"] = max(peaks["parent"], private)
            for child in children(process.pid):
                private, shared = memory_of(child)
                peaks["worker"] = max(peaks["worker"], private)
                peaks["shared"] = max(peaks["shared"], shared)

    sampler = threading.Thread(target=sample)
    sampler.start()
    process.wait()
    done.set()
    sampler.join()
    return peaks


def children(pid: int) -> list[int]:
    """Return the children of a process."""
    try:
        return [
            int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        ]
    except OSError:
        return []


def memory_of(pid: int) -> tuple[float, float]:
    """Return private and shared resident memory in MB."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0.0, 0.0
    sizes = dict.fromkeys(("Private_Clean", "Private_Dirty", "Shared_Clean", "Shared_Dirty"), 0)
    for line in text.splitlines():
        name, _, rest = line.partition(":")
        if name in sizes:
            sizes[name] = int(rest.split()[0])
    private = sizes["Private_Clean"] + sizes["Private_Dirty"]
    return private / 1024, (sizes["Shared_Clean"] + sizes["Shared_Dirty"]) / 1024


if __name__ == "__main__":
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    main()
