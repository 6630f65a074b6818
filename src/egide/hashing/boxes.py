"""Rectangles in samples."""

from __future__ import annotations

from typing import NamedTuple


class Box(NamedTuple):
    """A rectangle in samples: from `top`, `left` up to before `bottom`, `right`."""

    top: int
    left: int
    bottom: int
    right: int

    @property
    def rows(self) -> int:
        """Height in samples."""
        return self.bottom - self.top

    @property
    def columns(self) -> int:
        """Width in samples."""
        return self.right - self.left

    @property
    def area(self) -> int:
        """Samples in it."""
        return self.rows * self.columns
