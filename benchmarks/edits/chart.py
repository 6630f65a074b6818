"""Recall by group and method as one SVG file, readable on light and dark pages."""

from __future__ import annotations

from collections.abc import Iterator
from xml.sax.saxutils import escape

from edits.codes import PEERS
from edits.edit import Group
from edits.pairwise import BOTH, PARTS, PLAIN, TIER_0
from edits.results import Results, names
from edits.suite import EDITS

SERIES = (*(peer.name for peer in PEERS), PLAIN, TIER_0, PARTS, BOTH)
_CLASSES = ("a", "b", "c", "d", "e", "f")
_WIDTH = 860
_LEFT, _RIGHT = 150, 62
_TOP = 118
_ROW_PX = 66
_BAR_PX = 8
_STYLE = """
  text { font-family: system-ui, sans-serif; font-size: 13px; fill: #1f2328 }
  .title { font-size: 18px; font-weight: 600 }
  .soft { fill: #59636e; font-size: 12px }
  .value { font-size: 11px }
  .strong { font-weight: 600 }
  .ground { fill: #ffffff }
  .line { stroke: #d1d9e0 }
  .a { fill: #c2c8ce } .b { fill: #a3abb3 } .c { fill: #838c95 }
  .d { fill: #9ec5e8 } .e { fill: #4a90d0 } .f { fill: #0b4f94 }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 }
    .soft { fill: #9198a1 }
    .ground { fill: #0d1117 }
    .line { stroke: #30363d }
    .a { fill: #4b535c } .b { fill: #666f79 } .c { fill: #838c96 }
    .d { fill: #31587c } .e { fill: #4a90d0 } .f { fill: #a5d2ff }
  }
"""


def draw_chart(results: Results) -> str:
    """Draw the share of copies found: for each group of edits one bar a method."""
    rows = [(str(group), names(group)) for group in Group]
    rows.append(("all edits", [edit.name for edit in EDITS]))
    height = _TOP + _ROW_PX * len(rows) + 44
    body = "\n".join(_body(results, rows, height))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}"'
        f' width="{_WIDTH}" height="{height}" role="img"'
        f' aria-label="Share of edited copies that are found, by group of edits and method">\n'
        f"<style>{_STYLE}</style>\n{body}\n</svg>\n"
    )


def _body(results: Results, rows: list[tuple[str, list[str]]], height: int) -> Iterator[str]:
    yield f'<rect class="ground" width="{_WIDTH}" height="{height}"/>'
    seen = results.plan.half != "report"
    pictures = "pictures used in development" if seen else "pictures not used in development"
    yield _text(20, 32, "Edited copies that are found", "title")
    yield _text(
        20,
        54,
        f"{len(EDITS)} edits, {results.single[BOTH].queries:,} queries, {pictures}",
        "soft",
    )
    for place, (series, colour) in enumerate(zip(SERIES, _CLASSES, strict=True)):
        left, top = 20 + 200 * (place % 3), 76 + 20 * (place // 3)
        yield f'<rect class="{colour}" x="{left}" y="{top - 10}" width="12" height="12" rx="2"/>'
        yield _text(left + 18, top, series)
    bottom = _TOP + _ROW_PX * len(rows)
    for percent in range(0, 101, 25):
        x = _x(percent / 100)
        yield f'<line class="line" x1="{x}" y1="{_TOP}" x2="{x}" y2="{bottom}"/>'
        yield _text(x, bottom + 20, f"{percent} %", "soft", "middle")
    for number, (label, edits) in enumerate(rows):
        yield from _row(results, label, edits, _TOP + _ROW_PX * number, last=label == rows[-1][0])


def _row(results: Results, label: str, edits: list[str], top: int, *, last: bool) -> Iterator[str]:
    if last:
        yield f'<line class="line" x1="20" y1="{top}" x2="{_WIDTH - 20}" y2="{top}"/>'
    middle = top + _ROW_PX / 2
    yield _text(_LEFT - 14, middle, label, "strong" if last else "", "end")
    yield _text(_LEFT - 14, middle + 16, f"{len(edits)} edits", "soft", "end") if not last else ""
    first = top + (_ROW_PX - _BAR_PX * len(SERIES)) / 2
    for place, (series, colour) in enumerate(zip(SERIES, _CLASSES, strict=True)):
        recall = results.single[series].recall(edits)
        y = first + _BAR_PX * place
        length = max(1.0, _x(recall) - _LEFT)
        yield (
            f'<rect class="{colour}" x="{_LEFT}" y="{y:.1f}" width="{length:.1f}"'
            f' height="{_BAR_PX - 1}"><title>{escape(series)}: {recall:.1%}</title></rect>'
        )
        if place == len(SERIES) - 1:
            yield _text(_LEFT + length + 5, y + _BAR_PX, f"{100 * recall:.0f} %", "value strong")


def _x(share: float) -> float:
    return round(_LEFT + share * (_WIDTH - _LEFT - _RIGHT), 1)


def _text(x: float, y: float, text: str, kind: str = "", anchor: str = "start") -> str:
    return f'<text class="{kind}" x="{x}" y="{y}" text-anchor="{anchor}">{escape(text)}</text>'
