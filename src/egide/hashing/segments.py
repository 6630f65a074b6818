"""Divide a picture into rectangles at borders, gutters, seams and insets.

Everything here works on a small grey picture, in samples, and knows nothing of hashing. Lines are
rows or columns. A *cut* is the number of the first line behind it, so a cut of 0 or of the length
is the picture's edge.

Recursive cuts of pages of text go back to G. Nagy and S. Seth, Hierarchical representation of
optically scanned documents, ICPR 1984. Such pages have no seams. A seam is found by the share of
brightness steps across a line that stand out from the steps beside them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import combinations
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from egide.hashing.borders import (
    FLAT_LEVELS,
    MIN_SIDE,
    NEAR_LINES,
    Box,
    busy_stretch,
    clear_edges,
    ground_colour,
    trim,
    without_text,
)
from egide.hashing.insets import find_insets

if TYPE_CHECKING:
    from numpy.typing import NDArray

STEP_LEVELS = 3
"""A step of brightness stands out if it exceeds one and a half times the two steps on one of its
sides by more than this."""
SEAM_SHARE = 0.5
"""The least share of steps that stand out on a seam."""
PART_SEAM_SHARE = 0.62
"""The same in a part of less than half of the picture, where lines are short."""
SEAM_CONTRAST = 1.15
"""The ratio of steps on a seam to those beside it, at least, in seven eighths of its length."""
SEAM_LEVELS = 15
"""The least mean step of brightness across a seam; a step counts for at most 48 levels."""
SEAM_LEAD = 0.12
"""How much the share of steps that stand out must exceed that of the tenth best line."""
SURE_SHARE = 0.85
"""A seam with a greater share is not a horizon or a pole, so no picture extends across it."""
INSET_LEVELS = 8
"""The least mean step of brightness across three sides of an inset; JPEG block edges have less."""
MIN_PART_SHARE = 1 / 9
"""Share of the picture's long side: a rectangle with a shorter side is not examined."""
MIN_PART_AREA_SHARE = 1 / 32
STRIP_ASPECT = 2.2
"""A longer part that can itself be divided is a row or a column of pictures."""
_MIN_CHANGE = 0.97
# A rectangle that keeps more than this share of the area counts as the same one.
_MAX_DEPTH = 4
_MAX_NODES = 32
_MAX_PARTS = 24
_MAX_TRIMS = 8
_CAPTION_RATIO = 3
# A part this many times as large as the next one is a picture among captions.
_MAX_SEAMS = 10
_LEAD_RANK = 10
_MAX_INSET_SEARCHES = 3
_CLIP_LEVELS = 48
_EIGHTHS = 8


class Segment(NamedTuple):
    """A rectangle that may be a picture; `trimmed` if only borders were removed."""

    box: Box
    trimmed: bool


def find_segments(levels: NDArray[np.uint8]) -> list[Segment]:
    """Divide a small grey picture into rectangles.

    The work is bounded for any picture: at most `_MAX_NODES` rectangles are examined, each within
    its parent's area and at most `_MAX_DEPTH` deep.

    Args:
        levels: shape (rows, columns), some 256 at most.

    Returns:
        rectangles, trimmed pictures first, then outer before inner ones; without the whole picture.
    """
    rows, columns = levels.shape
    whole = Box(0, 0, rows, columns)
    if min(rows, columns) < MIN_SIDE:
        return []
    turned = np.ascontiguousarray(levels.T)
    search = _Search(levels, turned, _standing_out(turned), _standing_out(levels))
    search.look_into(whole)
    return search.found


def _standing_out(levels: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Whether the step across each vertical cut stands out; shape (rows, columns + 1)."""
    before, after = levels[:, :-1], levels[:, 1:]
    steps = np.maximum(before, after) - np.minimum(before, after)
    pairs = np.maximum(steps[:, :-1], steps[:, 1:])
    # One side is enough: the other may be blurred, a border one sample wide, or busy.
    beside = np.minimum(pairs[:, :-3], pairs[:, 3:])
    middle = steps[:, 2:-2]
    out = np.zeros((levels.shape[0], levels.shape[1] + 1), np.bool_)
    out[:, 3:-3] = middle - np.minimum(middle, beside) > beside // 2 + STEP_LEVELS
    return out


@dataclass(slots=True)
class _Search:
    """The division of one picture.

    Attributes:
        turned: `levels` with rows and columns exchanged.
        across_rows: whether the step across each horizontal cut stands out, (columns, rows + 1).
        across_columns: the same for vertical cuts, (rows, columns + 1).
    """

    levels: NDArray[np.uint8]
    turned: NDArray[np.uint8]
    across_rows: NDArray[np.bool_]
    across_columns: NDArray[np.bool_]
    found: list[Segment] = field(default_factory=list)
    seen: set[Box] = field(default_factory=set)

    def look_into(self, whole: Box) -> None:
        """Divide rectangle after rectangle, outermost first."""
        waiting = [(whole, 0, True)]
        insets_left = _MAX_INSET_SEARCHES
        while waiting and len(self.seen) < _MAX_NODES:
            box, depth, trimmed = waiting.pop(0)
            if box in self.seen:
                continue
            self.seen.add(box)
            core = self._without_borders(box, trimmed=trimmed)
            if core != box and core in self.seen:
                continue
            self.seen.add(core)
            if core != box and depth < 2:
                uncaptioned = without_text(self.levels, core, ground_colour(self.levels, box, core))
                if uncaptioned.area < _MIN_CHANGE * core.area:
                    self._add(uncaptioned, trimmed=False)
            if not depth:
                busy = self._without_blur(core)
                if busy.area < _MIN_CHANGE * core.area:
                    self._add(busy, trimmed=False)
            parts, single = self._parts(core, outermost=not depth)
            if len(parts) > 1 and not single and not trimmed and _is_strip(core):
                self.found = [each for each in self.found if each.box not in {box, core}]
            for place, part in enumerate(parts):
                outermost = trimmed and single and not place
                self._add(part, trimmed=outermost)
                if depth < _MAX_DEPTH:
                    waiting.append((part, depth + 1, outermost))
            if core.area > self.levels.size // 3 and insets_left:
                insets_left -= 1
                for inset in self._insets(core):
                    self._add(inset, trimmed=False)
                    if depth < _MAX_DEPTH:
                        waiting.append((inset, depth + 1, False))

    def _is_large(self, box: Box) -> bool:
        least = max(MIN_SIDE, MIN_PART_SHARE * max(self.levels.shape))
        large = box.area >= MIN_PART_AREA_SHARE * self.levels.size
        return large and min(box.rows, box.columns) >= least

    def _add(self, box: Box, *, trimmed: bool) -> None:
        if self._is_large(box):
            self.found.append(Segment(box, trimmed))

    def _without_borders(self, box: Box, *, trimmed: bool) -> Box:
        """Trim lines of one colour, then of the next one, for nested borders."""
        added = box
        for _ in range(_MAX_TRIMS):
            inner = trim(self.levels, box)
            if inner == box or not self._is_large(inner):
                break
            if inner.area < _MIN_CHANGE * added.area:
                self._add(inner, trimmed=trimmed)
                added = inner
            box = inner
        return box

    def _without_blur(self, box: Box) -> Box:
        """Trim smooth rows or columns beside a busy stretch, such as a blurred background."""
        top, left, bottom, right = box
        first, last = busy_stretch(self.levels[top:bottom, left:right])
        if (first, last) != (0, box.rows):
            stretch = clear_edges(self.across_rows[left:right, top : bottom + 1], first, last)
            return Box(top + stretch[0], left, top + stretch[1], right) if stretch else box
        first, last = busy_stretch(self.turned[left:right, top:bottom])
        if (first, last) != (0, box.columns):
            stretch = clear_edges(self.across_columns[top:bottom, left : right + 1], first, last)
            return Box(top, left + stretch[0], bottom, left + stretch[1]) if stretch else box
        return box

    def _parts(self, box: Box, *, outermost: bool) -> tuple[list[Box], bool]:
        """Cut a rectangle at its gutters in one direction, or else at its seams.

        Returns:
            the parts, and whether the first is the picture without captions and bars.
        """
        by_rows = _between_gutters(_flat(self.levels[box.top : box.bottom, box.left : box.right]))
        by_columns = _between_gutters(
            _flat(self.turned[box.left : box.right, box.top : box.bottom])
        )
        gutters = max(len(by_rows), len(by_columns)) > 1
        seams: list[dict[int, float]] = []
        if outermost or not gutters:
            seams = [self._seams(box, rows=rows) for rows in (True, False)]
        if outermost:
            # In the outermost rectangle, a gutter may be snow and its clearest seam a pole.
            self._add_between(box, _apart_from(seams[0], by_rows), rows=True)
            self._add_between(box, _apart_from(seams[1], by_columns), rows=False)
        if gutters:
            upright = len(by_rows) >= len(by_columns)
            parts = _cut(box, by_rows if upright else by_columns, rows=upright)
            parts.sort(key=lambda part: -part.area)
            single = parts[0].area > _CAPTION_RATIO * parts[1].area
            return [part for part in parts if self._is_large(part)][:_MAX_PARTS], single
        upright = max(seams[0].values(), default=0) >= max(seams[1].values(), default=0)
        shares = seams[0 if upright else 1]
        if not shares:
            return [], False
        if not outermost:
            self._add_between(box, shares, rows=upright)
        stretches = _between_cuts(sorted(shares), box.rows if upright else box.columns)
        parts = _cut(box, stretches, rows=upright)
        return [part for part in parts if self._is_large(part)][:_MAX_PARTS], False

    def _add_between(self, box: Box, shares: dict[int, float], *, rows: bool) -> None:
        """Add parts between seams; an unsure seam may be a horizon inside a picture."""
        sure = [cut for cut, share in shares.items() if share >= SURE_SHARE]
        length = box.rows if rows else box.columns
        for part in _cut(box, _stretches(sorted(shares), length, sure), rows=rows):
            self._add(part, trimmed=False)

    def _seams(self, box: Box, *, rows: bool) -> dict[int, float]:
        """The cuts, counted from the rectangle's edge, at which it looks pasted together.

        Returns:
            the share of steps that stand out, by cut.
        """
        if rows:
            marks = self.across_rows[box.left : box.right, box.top : box.bottom + 1]
            levels = self.turned[box.left : box.right, box.top : box.bottom]
        else:
            marks = self.across_columns[box.top : box.bottom, box.left : box.right + 1]
            levels = self.levels[box.top : box.bottom, box.left : box.right]
        counts = np.add.reduce(marks.view(np.uint8), axis=0, dtype=np.uint16)
        counts[:MIN_SIDE] = 0
        counts[-MIN_SIDE:] = 0
        share = counts / np.float32(len(marks))
        least = SEAM_SHARE if 2 * box.area > self.levels.size else PART_SEAM_SHARE
        if len(share) > _LEAD_RANK:
            # JPEG block edges stand out equally all over the picture.
            least = max(least, SEAM_LEAD + float(np.partition(share, -_LEAD_RANK)[-_LEAD_RANK]))
        cuts = np.flatnonzero(share >= least)
        kept: dict[int, float] = {}
        for cut in cuts[np.argsort(-share[cuts], kind="stable")].tolist()[:_MAX_SEAMS]:
            apart = all(abs(cut - other) >= MIN_SIDE for other in kept)
            if apart and _is_seam(levels, cut):
                kept[cut] = float(share[cut])
        return kept

    def _insets(self, box: Box) -> list[Box]:
        rows = self.across_rows[box.left : box.right, box.top : box.bottom + 1]
        columns = self.across_columns[box.top : box.bottom, box.left : box.right + 1]
        found = [
            Box(box.top + top, box.left + left, box.top + bottom, box.left + right)
            for top, left, bottom, right in find_insets(rows, columns)
        ]
        return [each for each in found if self._side_levels(each) >= INSET_LEVELS]

    def _side_levels(self, box: Box) -> float:
        """The mean step of brightness across the second faintest of the four sides."""
        top, left, bottom, right = box
        pairs = [
            (lines[cut - 1, first:last], lines[cut, first:last])
            for lines, cut, first, last in (
                (self.levels, top, left, right),
                (self.levels, bottom, left, right),
                (self.turned, left, top, bottom),
                (self.turned, right, top, bottom),
            )
        ]
        steps = [(np.maximum(*pair) - np.minimum(*pair)).mean() for pair in pairs]
        return float(sorted(steps)[1])


def _flat(lines: NDArray[np.uint8]) -> NDArray[np.bool_]:
    flat: NDArray[np.bool_] = lines.max(1) - lines.min(1) <= FLAT_LEVELS
    return flat


def _between_gutters(flat: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """The runs of lines between lines of one colour."""
    if not flat.any():
        return [(0, len(flat))]
    edges = np.flatnonzero(np.diff(flat, prepend=True, append=True))
    return [(int(a), int(b)) for a, b in edges.reshape(-1, 2)]


def _between_cuts(cuts: list[int], length: int) -> list[tuple[int, int]]:
    return list(zip([0, *cuts], [*cuts, length], strict=True))


def _apart_from(seams: dict[int, float], stretches: list[tuple[int, int]]) -> dict[int, float]:
    """The seams that are not the edges of gutters."""
    edges = [edge for stretch in stretches for edge in stretch]
    return {
        cut: share
        for cut, share in seams.items()
        if all(abs(cut - edge) > NEAR_LINES for edge in edges)
    }


def _stretches(cuts: list[int], length: int, sure: list[int]) -> list[tuple[int, int]]:
    """All stretches from cut to cut, except the whole and those with a sure cut inside."""
    if not cuts:
        return []
    ends = [0, *cuts, length]
    return [
        (first, last)
        for first, last in combinations(ends, 2)
        if last - first < length and not any(first < cut < last for cut in sure)
    ]


def _cut(box: Box, stretches: list[tuple[int, int]], *, rows: bool) -> list[Box]:
    """The parts of a rectangle for stretches of its rows or columns."""
    if rows:
        return [Box(box.top + a, box.left, box.top + b, box.right) for a, b in stretches]
    return [Box(box.top, box.left + a, box.bottom, box.left + b) for a, b in stretches]


def _is_strip(box: Box) -> bool:
    """Whether a divisible rectangle is a row or a column of pictures, not a picture itself."""
    return max(box.rows, box.columns) > STRIP_ASPECT * min(box.rows, box.columns)


def _is_seam(levels: NDArray[np.uint8], cut: int) -> bool:
    """Whether steps across a vertical cut exceed those on its smoother side nearly everywhere.

    The cut is divided into eight parts, and the second least one counts: a pole or a horizon is
    less regular.
    """
    near = levels[:, cut - 4 : cut + 4].astype(np.int16)
    steps = np.minimum(np.abs(np.diff(near, axis=1)), _CLIP_LEVELS)
    if steps[:, 3].mean() < SEAM_LEVELS:
        return False
    starts = np.arange(_EIGHTHS) * len(steps) // _EIGHTHS
    parts = np.add.reduceat(steps, starts, axis=0, dtype=np.float32)
    parts /= np.diff(starts, append=len(steps))[:, None]
    beside = np.minimum(parts[:, :3].sum(1), parts[:, 4:].sum(1)) / 3
    return bool(np.sort(parts[:, 3] / (beside + 1))[1] > SEAM_CONTRAST)
