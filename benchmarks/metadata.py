"""Audit tables of links and hashes: rows a minute and core, of Parquet, CSV and JSON lines.

Each table is audited by one worker against a bank with digests of all the kinds that its columns
have, start to end: the processes start, the table is read, every row is looked up.
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
from dataclasses import replace
from hashlib import md5, sha256
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

import egide
from egide.compiled import SEARCH, prepare_compiled
from egide.domain.model import Registration
from egide.store.changing import ChangingStore

ROWS = 1_000_000
ENTRIES = 100_000


def main() -> None:
    """Print a row for each kind of table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the rows")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rows = ROWS // 10 if options.quick else ROWS
    with tempfile.TemporaryDirectory() as folder:
        measured = _measure(Path(folder), rows, ENTRIES // 10 if options.quick else ENTRIES)
    if options.json:
        print(json.dumps(measured, indent=1))
        return
    for one in measured:
        print(f"{one['table']:24} {one['seconds']:6.1f} s  {one['rows_a_minute']:>12,} rows/min")


def _measure(folder: Path, rows: int, entries: int) -> list[dict[str, Any]]:
    numbers = range(rows)
    table = pa.table(
        {
            "url": [f"https://pictures.example/{n % 977}/{n}.jpg?w=512" for n in numbers],
            "caption": [f"a drawing with the number {n}" for n in numbers],
            "md5": [md5(b"%d" % n, usedforsecurity=False).hexdigest() for n in numbers],
            "sha256": [sha256(b"%d" % n).hexdigest() for n in numbers],
        }
    )
    generator = np.random.default_rng(1)
    codes = generator.integers(0, 256, (rows // 10, 32), np.uint8)
    hashed = pa.table({"pdq": [bytes(code).hex() for code in codes]})
    pq.write_table(table, folder / "links.parquet", row_group_size=50_000)
    pa_csv.write_csv(table, folder / "links.csv")
    with (folder / "links.jsonl").open("w") as lines:
        lines.writelines(json.dumps(row) + "\n" for row in table.to_pylist())
    pq.write_table(hashed, folder / "pdq.parquet")
    found = []
    with egide.open_store(f"sqlite:///{folder}/store.db", create=True) as store:
        _fill(ChangingStore.of(store), entries)
        _prepare(store, folder)
        for name in ("links.parquet", "links.csv", "links.jsonl", "pdq.parquet"):
            began = _cpu_s()
            audit = egide.audit([str(folder / name)], store, workers=1)
            for _ in audit:
                pass
            seconds = _cpu_s() - began
            assert audit.summary is not None
            a_minute = round(audit.summary.items / seconds * 60)
            found.append({"table": name, "seconds": seconds, "rows_a_minute": a_minute})
    return found


def _prepare(store: Any, folder: Path) -> None:
    """Build the snapshot, and compile the search on the first run of an installation."""
    if (thread := prepare_compiled(SEARCH)) is not None:
        thread.join()
    pq.write_table(pa.table({"md5": ["0" * 31 + "1"]}), folder / "first.parquet")
    for _ in egide.audit([str(folder / "first.parquet")], store, workers=1):
        pass


def _cpu_s() -> float:
    """Time on a processor, of this process and of those that have ended: others may be busy."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def _fill(store: Any, entries: int) -> None:
    store.banks.create("bench")
    code = np.random.default_rng(2).integers(0, 256, (entries, 32), np.uint8)
    empty = Registration(pdqs=(), source="bench")
    store.entries.register(
        "bench",
        [
            replace(
                empty,
                pdqs=(bytes(each),),
                sha256=sha256(b"entry %d" % number).digest(),
                md5=md5(b"entry %d" % number, usedforsecurity=False).digest(),
                url_sha256=sha256(b"address %d" % number).digest(),
            )
            for number, each in enumerate(code)
        ],
    )


if __name__ == "__main__":
    main()
