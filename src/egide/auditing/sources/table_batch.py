"""What is known of the rows of a table while one batch of it is read."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from egide.auditing.sources.columns import Column
    from egide.auditing.sources.leaves import Leaf

_SHOWN_ROWS = 3


@dataclass(slots=True)
class Tally:
    """How many rows, and the first of them."""

    count: int = 0
    first: list[int] = field(default_factory=list)

    def add(self, mask: NDArray[np.bool_], start: int) -> None:
        """Count the rows of a mask."""
        rows = np.flatnonzero(mask)
        self.count += len(rows)
        if len(self.first) < _SHOWN_ROWS:
            self.first += [start + int(row) for row in rows[: _SHOWN_ROWS - len(self.first)]]

    def __str__(self) -> str:
        more = " …" if self.count > len(self.first) else ""
        shown = ", ".join(map(str, self.first)) + more
        return f"row {shown}" if self.count == 1 else f"rows {shown}"


@dataclass(slots=True)
class Batch:
    """What is known of the rows of a batch, each a mask over them.

    Attributes:
        found: (row, order, leaf, number) of what may be pictures.
        links: only a URL or a path, in some column.
        paths: a place for a picture is empty, and a path stands beside it.
        nulls: a place for a picture is empty.
        junk: by column, where it holds bytes that are no picture.
        texts: by column, where it holds a text that is neither a picture nor a link.
        values: by column, rows and values that may be hashes or addresses.
    """

    start: int
    length: int
    found: list[tuple[int, int, Leaf, int, Column]] = field(default_factory=list)
    links: NDArray[np.bool_] = field(init=False)
    paths: NDArray[np.bool_] = field(init=False)
    nulls: NDArray[np.bool_] = field(init=False)
    junk: dict[str, NDArray[np.bool_]] = field(default_factory=dict)
    texts: dict[str, NDArray[np.bool_]] = field(default_factory=dict)
    values: dict[str, tuple[list[int], list[str | bytes]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.links, self.paths, self.nulls = self.none(), self.none(), self.none()

    def none(self) -> NDArray[np.bool_]:
        """A mask of no row."""
        return np.zeros(self.length, np.bool_)
