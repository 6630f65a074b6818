"""Run the benchmark of edits, or draw its contact sheet."""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import json
import sys
from pathlib import Path

from edits.chart import draw_chart
from edits.corpus import HALVES
from edits.plan import Plan, quick
from edits.run import run
from edits.sheet import draw_sheet
from edits.tables import lines


def main() -> int:
    """Measure, print tables, write the chart."""
    parser = argparse.ArgumentParser(prog="edits", description=__doc__)
    parser.add_argument("--half", choices=HALVES, default="report", help="which pictures to edit")
    parser.add_argument("--quick", action="store_true", help="a small sample, to see that it runs")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there, too")
    parser.add_argument(
        "--chart", type=Path, metavar="FILE", default=Path(__file__).with_name("chart.svg")
    )
    parser.add_argument("--sheet", type=Path, metavar="FILE", help="draw every edit, and no more")
    options = parser.parse_args()
    if options.sheet:
        draw_sheet(options.sheet, options.half)
        return 0
    results = run(quick(options.half) if options.quick else Plan(options.half))
    print("\n".join(lines(results)))
    if not options.quick:
        options.chart.write_text(draw_chart(results), encoding="utf-8")
    if options.json:
        options.json.write_text(json.dumps(results.as_json(), indent=1), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
