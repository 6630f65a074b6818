"""What a run prints, in Markdown, and the sheet to look at."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from edits.drawn import font
from inversion.judge import THUMBNAILS, Verdict
from inversion.pictures import SIDE, Floats
from inversion.run import Results
from machine import machine_line

SHOWN = 16
LABEL_PX = 14
SPREAD = 2.5
"""Standard deviations from the mean that are black or white."""


def lines(results: Results) -> Iterator[str]:
    """All tables."""
    yield machine_line()
    yield (
        f"{results.known} pictures and crops to learn from;"
        f" {results.seconds / 60:.1f} minutes of one core"
    )
    yield "\nWhole pictures:\n"
    yield from _table(results.pictures, results.thumbnails)
    yield "\nOne region of each:\n"
    yield from _table(results.regions, results.region_thumbnails)
    pairs = results.pairs
    assert pairs is not None
    yield (
        f"\nRegions that find their place on what the PDQ shows: {results.placed_right:.1%};"
        f" on another picture's: {results.placed_right_elsewhere:.1%}."
    )
    yield (
        f"Regions against one another: of {pairs.overlapping:,} pairs that overlap"
        f" {pairs.right / max(pairs.overlapping, 1):.1%} are laid rightly; of the {pairs.sure}"
        f" that look most alike {pairs.sure_right / max(pairs.sure, 1):.1%}."
    )


def _table(
    verdicts: Mapping[str, Verdict], thumbnails: Mapping[int, tuple[float, float, float]]
) -> Iterator[str]:
    yield "| seen again from | tone | edges | thumbnail by tone | by edges | right one chosen |"
    yield "|---|---|---|---|---|---|"
    for way, verdict in verdicts.items():
        sides = (_side(verdict.tone_side), _side(verdict.edges_side))
        yield (
            f"| {way} | {verdict.tone:.2f} | {verdict.edges:.2f} | {sides[0]} | {sides[1]}"
            f" | {verdict.chosen:.0%} of {verdict.pictures} |"
        )
    for side, (tone, edge, chosen) in thumbnails.items():
        yield f"| *thumbnail {side}×{side}* | {tone:.2f} | {edge:.2f} | | | {chosen:.0%} |"


def _side(side: float) -> str:
    if not side:
        return f"under {THUMBNAILS[0]}"
    return f"{side:.0f}×{side:.0f}" if side > 4 else f"{side:.1f}"


def draw_sheet(path: Path, seen: Mapping[str, Floats]) -> None:
    """Draw some pictures, a row each, in every way a column."""
    columns = list(seen)[::-1]
    size = SIDE + 4
    scale = 2
    sheet = Image.new("RGB", (len(columns) * size, SHOWN * size + 5 * LABEL_PX), "#8899aa")
    count = len(seen[columns[0]])
    for column, way in enumerate(columns):
        for row in range(min(SHOWN, count)):
            levels = seen[way][row * count // SHOWN if count > SHOWN else row]
            spread = np.clip(levels / max(levels.std(), 1e-9) / SPREAD, -1, 1)
            image = Image.fromarray(((spread + 1) * 127.5).astype(np.uint8))
            sheet.paste(image, (column * size, 5 * LABEL_PX + row * size))
    sheet = sheet.resize((sheet.width * scale, sheet.height * scale), Image.Resampling.BICUBIC)
    draw = ImageDraw.Draw(sheet)
    for column, way in enumerate(columns):
        words = way.replace(", ", ",\n").replace(" of ", "\nof ").replace("if ", "\nif ")
        draw.multiline_text((column * size * scale + 3, 3), words, "black", font(15))
    sheet.save(path)
