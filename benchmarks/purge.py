"""A clean copy of a tar against `cp` and fsync of the same file, in turns."""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import os
import random
import statistics
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

from egide.auditing.purge.file import copy_file
from egide.auditing.purge.journal import Journal
from egide.auditing.purge.plan import Doomed, Work
from egide.auditing.purge.site import Site
from egide.auditing.purge.target import Target
from egide.auditing.results import KeptItem, KeptItems
from egide.auditing.sources.location import stat, state_of
from egide.auditing.sources.tar import TarSource
from egide.domain.model import DEFAULT_LIMITS
from machine import machine_line

MEMBERS = 6_000
MEMBER_BYTES = 100_000
GOES = 100
ROUNDS = 5


class Kept:
    """What an audit kept of the tar; it is made here, since decoding is not what is measured."""

    def __init__(self, shard_id: str, items: list[KeptItem]) -> None:
        self._items = {shard_id: items}

    def items(self, shard_id: str) -> Iterator[KeptItem]:
        """Yield the items of a shard."""
        yield from self._items.get(shard_id, ())


def main() -> None:
    """Print the ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the members")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    count = MEMBERS // (10 if arguments.quick else 1)
    with tempfile.TemporaryDirectory() as made:
        row = measure(Path(made), count)
    if arguments.json:
        print(json.dumps({"machine": machine_line(), "purge": row}))
        return
    print(machine_line())
    print(f"\nA tar of {row['bytes'] / 1e6:,.0f} MB, {count:,} members, every {GOES}th goes")
    print(f"{'cp + fsync MB/s':>16} {'purge MB/s':>11} {'ratio':>6}")
    print(f"{row['cp']:>16,.0f} {row['purge']:>11,.0f} {row['ratio']:>6.0%}")
    print(f"processor time: cp {row['cp_cpu_s']:.2f} s, purge {row['purge_cpu_s']:.2f} s")


def measure(folder: Path, count: int) -> dict[str, float]:
    """Copy and purge in turns."""
    place = folder / "shard.tar"
    items, doomed = write(place, count)
    size = place.stat().st_size
    shards = list(TarSource(str(place), "shard.tar").shards())
    assert shards[0].state == state_of(stat(str(place)))
    named = tuple((str(number), shard) for number, shard in enumerate(shards))
    work = Work("bench", "shard.tar", "tar", str(place), named, "shard.tar", doomed)
    times: dict[str, list[float]] = {"cp": [], "purge": [], "cp_cpu": [], "purge_cpu": []}
    for number in range(ROUNDS):
        copy = folder / f"copy-{number}"
        begun, cpu = time.perf_counter(), os.times()
        subprocess.run(["cp", place, copy], check=True)
        with copy.open("rb") as stream:
            os.fsync(stream.fileno())
        times["cp"].append(time.perf_counter() - begun)
        times["cp_cpu"].append(spent(cpu))
        copy.unlink()
        audited = cast(KeptItems, Kept("0", items))
        with Journal(folder / f"audit-{number}").opened() as journal:
            target = Target(str(folder / f"clean-{number}"), journal.spool)
            begun, cpu = time.perf_counter(), os.times()
            site = Site(audited, DEFAULT_LIMITS, journal.spool, target)
            outcome = copy_file(work, site).outcome
            times["purge"].append(time.perf_counter() - begun)
            times["purge_cpu"].append(spent(cpu))
        assert outcome.items_removed == len(doomed), outcome
        (folder / f"clean-{number}" / "shard.tar").unlink()
    cp, purge = statistics.median(times["cp"]), statistics.median(times["purge"])
    return {
        "bytes": size,
        "cp": size / cp / 1e6,
        "purge": size / purge / 1e6,
        "ratio": cp / purge,
        "cp_cpu_s": statistics.median(times["cp_cpu"]),
        "purge_cpu_s": statistics.median(times["purge_cpu"]),
    }


def spent(since: Any) -> float:
    """Processor time since then, of children too."""
    now = os.times()
    return float(sum(now[:4]) - sum(since[:4]))


def write(place: Path, count: int) -> tuple[list[KeptItem], tuple[Doomed, ...]]:
    """Write a tar of random bytes, and return what an audit would know of it."""
    draw = random.Random(17)
    items, doomed = [], []
    with tarfile.open(place, "w") as archive:
        for number in range(count):
            content = draw.randbytes(MEMBER_BYTES + number % 512)
            info = tarfile.TarInfo(f"{number:06}.jpg")
            info.size = len(content)
            offset = cast(Any, archive).offset + 512
            archive.addfile(info, io.BytesIO(content))
            digest = hashlib.sha256(content).digest()
            items.append(KeptItem(number, info.name, info.name[:6], offset, digest, digest, None))
            if number % GOES == 0:
                doomed.append(Doomed(info.name, info.name[:6], offset, digest.hex()))
    return items, tuple(doomed)


if __name__ == "__main__":
    main()
