"""Audit a million kept fingerprints again after a thousand new entries; and all of them in full.

The kept fingerprints are made up: random codes in eight variants, 10 240 rows a shard, in files as
an audit writes them. Their pictures never were, which nobody notices: nothing is decoded.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import tarfile
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

import egide
from egide.auditing.kept_files import FILE_ROWS, kept_path, write_rows
from egide.auditing.output import Output
from egide.auditing.parts import part_path, write_part
from egide.auditing.scan import Part
from egide.auditing.sources import Item
from egide.auditing.sources.kept_rows import KeptRow
from egide.auditing.sources.kept_source import KEPT_SCHEMA
from egide.domain.model import Fingerprint, Pdq, Registration
from egide.live.snapshots import open_snapshot
from egide.store.changing import ChangingStore

ROWS = 1_000_000
ENTRIES = 100_000
NEW = 1_000
FULL_ROWS = 40_960
"""A full comparison is measured on so many, and told for all."""
FILES = 20
SHARD_ROWS = FILE_ROWS * FILES


def main() -> None:
    """Print how long both take, and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the rows")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rows", type=int, default=ROWS, help="each takes 410 bytes of disk")
    parser.add_argument("--folder", type=Path, help="on the disk to use; emptied afterwards")
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    rows = options.rows // 10 if options.quick else options.rows
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        found = _measure(Path(folder), rows, options.workers)
    if options.json:
        print(json.dumps(found, indent=1))
        return
    for name, value in found.items():
        print(f"{name:28} {value:>12,.1f}")


def _measure(folder: Path, rows: int, workers: int) -> dict[str, float]:
    with egide.open_store(f"sqlite:///{folder}/store.db", create=True) as store:
        changing = ChangingStore.of(store)
        changing.banks.create("bench")
        _register(changing, ENTRIES, 1)
        full = _Made(folder / "full", FULL_ROWS, store)
        whole = _Made(folder / "whole", rows, store)
        _register(changing, NEW, 2)
        open_snapshot(store).close()  # so that both find it there
        full.forget()
        in_full, in_full_cpu = full.again(store, workers)
        seconds, cpu = whole.again(store, workers)
    scale = whole.rows / full.rows
    return {
        "rows": whole.rows,
        "workers": workers,
        "again, s": seconds,
        "again, s on the processor": cpu,
        "in full, s": in_full * scale,
        "in full, s on the processor": in_full_cpu * scale,
        "ratio on the processor": in_full_cpu * scale / cpu,
    }


def _register(store: Any, entries: int, seed: int) -> None:
    codes = np.random.default_rng(seed).integers(0, 256, (entries, 32), np.uint8)
    empty = Registration(pdqs=(), source="bench")
    digests = np.random.default_rng(seed + 10).integers(0, 256, (entries, 32), np.uint8)
    store.entries.register(
        "bench",
        [
            replace(empty, pdqs=(bytes(code),), sha256=bytes(digest))
            for code, digest in zip(codes, digests, strict=True)
        ],
    )


class _Made:
    """A folder as an audit leaves it, of a dataset that never was."""

    def __init__(self, folder: Path, rows: int, store: egide.Store) -> None:
        self.source, self.out = folder / "set", folder / "audit"
        self.source.mkdir(parents=True)
        shards = max(rows // SHARD_ROWS, 1)
        self.rows = shards * SHARD_ROWS
        for number in range(shards):
            tarfile.open(self.source / f"{number:05}.tar", "w").close()
        _run(egide.audit([self.source], store, out=self.out, workers=2))
        output = Output(self.out)
        kept, part = _templates(folder)
        for planned in output.read_plan():
            for number in range(FILES):
                shutil.copy(kept[number], kept_path(output.fingerprints, planned.kept_id, number))
                shutil.copy(part[number], part_path(output.parts, planned.id, number))

    def forget(self) -> None:
        """Have the next audit compare everything in full."""
        manifest = self.out / ".audit" / "manifest.json"
        values = json.loads(manifest.read_text())
        manifest.write_text(json.dumps({**values, "audited": None}))

    def again(self, store: egide.Store, workers: int) -> tuple[float, float]:
        """Audit again; return seconds by the clock and on the processor."""
        began, cpu = time.monotonic(), _cpu_s()
        audit = egide.Audit.again(self.out, store, workers=workers)
        _run(audit)
        assert audit.summary is not None
        assert (audit.summary.items, audit.summary.scanned_items) == (self.rows, 0)
        return time.monotonic() - began, _cpu_s() - cpu


def _templates(folder: Path) -> tuple[list[Path], list[Path]]:
    """The files of one shard: of fingerprints, and of parts without a match."""
    generator = np.random.default_rng(3)
    kept, parts = [], []
    for number in range(FILES):
        first, last = number * FILE_ROWS, number == FILES - 1
        rows = []
        for at in range(first, first + FILE_ROWS):
            codes = generator.integers(0, 256, 256, np.uint8).tobytes()
            print_ = Fingerprint(
                (Pdq(codes[:32], 90, codes),), sha256=generator.bytes(32), width=512, height=512
            )
            rows.append(KeptRow(at, Item(f"{at:09}.jpg", b"", f"{at:09}", at), print_, 100_000))
        position = first + FILE_ROWS
        head: dict[str, Any] = {"others": {}, "columns": []}
        head |= {"schema_version": KEPT_SCHEMA, "first": first, "position": position, "last": last}
        head |= {"rows": FILE_ROWS, "transient": False}
        kept.append(folder / f"kept.{number}")
        write_rows(kept[-1], rows, "shard.tar", head)
        part = Part(0 if last else position, last, FILE_ROWS, FILE_ROWS, digest="00" * 32)
        write_part(folder, "part", number, part)
        parts.append(part_path(folder, "part", number))
    return kept, parts


def _run(audit: egide.Audit) -> None:
    for _ in audit:
        pass


def _cpu_s() -> float:
    """Time on a processor, of this process and of those that have ended: others may be busy."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


if __name__ == "__main__":
    main()
