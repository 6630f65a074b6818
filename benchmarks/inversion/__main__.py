"""See pictures again from their fingerprints, and say how much is seen."""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import json
import sys
from pathlib import Path

from inversion.run import QUICK, Plan, run
from inversion.tables import draw_sheet, lines


def main() -> int:
    """Measure, print tables."""
    parser = argparse.ArgumentParser(prog="inversion", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a small sample, to see that it runs")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there, too")
    parser.add_argument(
        "--sheet", type=Path, metavar="FILE", help="draw what was seen of some pictures"
    )
    options = parser.parse_args()
    results = run(QUICK if options.quick else Plan())
    print("\n".join(lines(results)))
    if options.json:
        options.json.write_text(json.dumps(results.as_json(), indent=1), encoding="utf-8")
    if options.sheet:
        draw_sheet(options.sheet, results.seen)
    return 0


if __name__ == "__main__":
    sys.exit(main())
