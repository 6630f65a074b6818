"""A guard over JPEG bytes against fingerprinting them alone, in time on the processor."""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path

import egide
from audit import fill_store
from egide.compiled import SEARCH, prepare_compiled
from machine import corpus_photos, machine_line

BANKS = (10_000, 1_000_000)
ITEMS = 2_000
ROUNDS = 7


def main() -> None:
    """Print what a guard costs, with banks of two sizes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the items")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    if (compiling := prepare_compiled(SEARCH)) is not None:  # its seconds are no sample's
        compiling.join()
    with tempfile.TemporaryDirectory() as folder:
        count = ITEMS // 10 if arguments.quick else ITEMS
        rows = [measured(Path(folder), bank, count) for bank in BANKS]
    if arguments.json:
        print(json.dumps({"machine": machine_line(), "guard": rows}))
        return
    print(machine_line())
    print(f"\nGuard over JPEG bytes, in turns with fingerprinting alone ({ROUNDS} rounds)")
    print(f"{'bank':>10} {'items':>7} {'alone/s':>9} {'guard/s':>9} {'cost':>6}")
    for row in rows:
        print(
            f"{row['bank']:>10,.0f} {row['items']:>7,.0f} {row['alone']:>9.0f} "
            f"{row['guard']:>9.0f} {row['cost']:>5.2f}×"
        )


def measured(folder: Path, bank: int, count: int) -> dict[str, float]:
    """Guard and fingerprint the same bytes in turns; `cost` is the ratio of their times."""
    photos = [path.read_bytes() for path in corpus_photos()]
    contents = [photos[n % len(photos)] + n.to_bytes(4, "big") for n in range(count)]
    url = fill_store(folder, bank)
    rates = {"alone": [alone(contents)], "guard": [], "cost": []}
    list(egide.guard(contents[:10], url))  # builds the snapshot
    for _ in range(ROUNDS):
        began = time.process_time()
        guard = egide.guard(contents, url)
        passed = sum(1 for _ in guard)
        rates["guard"].append(count / (time.process_time() - began))
        assert passed + guard.summary.matched == count, guard.summary.sentence
        rates["alone"].append(alone(contents))
        # The machine's speed drifts: each is compared with what ran before and after it.
        rates["cost"].append(statistics.mean(rates["alone"][-2:]) / rates["guard"][-1])
    medians = {name: statistics.median(values) for name, values in rates.items()}
    return {"bank": bank, "items": count, **medians}


def alone(contents: list[bytes]) -> float:
    """Fingerprint in a loop; return items a second of the processor."""
    began = time.process_time()
    for content in contents:
        egide.fingerprint(content, mode=egide.Mode.FAST, md5=False, sha1=False)
    return len(contents) / (time.process_time() - began)


if __name__ == "__main__":
    main()
