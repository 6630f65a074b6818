"""Choose the parts of a frame to search for keypoints at a larger scale."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from egide.domain.model import Rectangle

MAX_PARTS = 12
"""Parts of one frame; a screen of a gallery has this many."""
_MAX_SHARE = 0.7
# For a larger part, the whole frame yields keypoints of nearly the same sizes.
_MIN_SHARE = 0.005
_MAX_OVERLAP = 0.1
_FILLED = 0.5
# A part that is half filled by others is not a picture but a collage.


def small_parts(parts: Sequence[Rectangle], width: int, height: int) -> list[Rectangle]:
    """Choose disjoint parts, the largest first, at most `MAX_PARTS`.

    Args:
        parts: of a frame; they may be nested.
        width: of the frame.
        height: of the frame.
    """
    fitting = [part for part in parts if _MIN_SHARE <= _area(part) / (width * height) <= _MAX_SHARE]
    chosen: list[Rectangle] = []
    for part in sorted(fitting, key=_area, reverse=True):
        smaller = [other for other in fitting if _area(other) < _area(part)]
        filled = sum(_common(part, other) for other in smaller)
        apart = all(
            _common(part, other) <= _MAX_OVERLAP * min(_area(part), _area(other))
            for other in chosen
        )
        if apart and filled <= _FILLED * _area(part):
            chosen.append(part)
    return chosen[:MAX_PARTS]


def _area(part: Rectangle) -> int:
    return part.width * part.height


def _common(one: Rectangle, other: Rectangle) -> int:
    """The shared area of two parts."""
    width = min(one.left + one.width, other.left + other.width) - max(one.left, other.left)
    height = min(one.top + one.height, other.top + other.height) - max(one.top, other.top)
    return max(width, 0) * max(height, 0)
