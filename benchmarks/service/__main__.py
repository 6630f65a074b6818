"""Serve a register of a million entries, ask it, change it, and print what it took.

    make bench-service [BENCH_ARGS="--quick"]

Client and server share this machine's cores, as the figures say; nothing else should run.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from service.plan import PARTS, Plan, quick
from service.report import lines
from service.run import Figures, run


def main() -> int:
    """Measure everything, or the parts that are asked for; print tables."""
    parser = argparse.ArgumentParser(prog="service", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a little of all, to see that it runs")
    parser.add_argument(
        "--seconds", type=float, metavar="S", help="how long changes go on in each endurance part"
    )
    parser.add_argument(
        "--forget-after",
        type=float,
        metavar="S",
        help="EGIDE_FORGET_AFTER_S of the server: a snapshot is built anew so often",
    )
    parser.add_argument(
        "--only", choices=PARTS, action="append", metavar="PART", help=", ".join(PARTS)
    )
    parser.add_argument(
        "--cache",
        type=Path,
        default=Path(tempfile.gettempdir()) / "egide-bench-service",
        metavar="FOLDER",
        help="where stores are kept for the next time",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there, too")
    options = parser.parse_args()
    plan = quick() if options.quick else Plan()
    if options.seconds:
        share = options.seconds / plan.endurance_s
        changes = max(1, round(plan.changes * share))
        plan = replace(plan, endurance_s=options.seconds, changes=changes)
    for name in [name for name in os.environ if name.startswith("EGIDE_")]:
        del os.environ[name]  # the settings that are measured are the server's own
    if options.forget_after:
        os.environ["EGIDE_FORGET_AFTER_S"] = str(options.forget_after)
    # Told to end, it ends what it has started, and prints what it has.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    figures = Figures(plan)
    try:
        run(figures, tuple(options.only or PARTS), options.cache.absolute())
    finally:
        print("\n".join(lines(figures)))
        if options.json:
            options.json.write_text(json.dumps(figures.as_json(), indent=1), encoding="utf-8")
    return 0 if figures.right else 1


if __name__ == "__main__":
    sys.exit(main())
