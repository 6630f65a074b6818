"""The outline, drawn in the report, of where in an item a registered picture was found."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from egide.auditing.rows import MatchRow

SIDE_PX = 44
"""The longer side of the drawing."""


class Where(NamedTuple):
    """A part of a frame.

    Attributes:
        width, height: of the drawing, in pixels.
        points: corners of the part in the drawing, for an SVG polygon.
        left, top, across, down: the part's bounding box, in percent of the frame's sides.
    """

    width: int
    height: int
    points: str
    left: int
    top: int
    across: int
    down: int


def where(row: MatchRow) -> Where | None:
    """Lay out the part that matched; None if it is the whole frame or the size is unknown."""
    if not (row.width and row.height):
        return None
    if row.polygon:
        corners = list(zip(row.polygon[::2], row.polygon[1::2], strict=True))
    elif row.rectangle:
        x, y, width, height = row.rectangle
        corners = [(x, y), (x + width, y), (x + width, y + height), (x, y + height)]
    else:
        return None
    scale = SIDE_PX / max(row.width, row.height)
    left, top = min(x for x, _ in corners), min(y for _, y in corners)
    right, bottom = max(x for x, _ in corners), max(y for _, y in corners)
    return Where(
        width=max(round(row.width * scale), 2),
        height=max(round(row.height * scale), 2),
        points=" ".join(f"{x * scale:.1f},{y * scale:.1f}" for x, y in corners),
        left=round(100 * left / row.width),
        top=round(100 * top / row.height),
        across=round(100 * (right - left) / row.width),
        down=round(100 * (bottom - top) / row.height),
    )
