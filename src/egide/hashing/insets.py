"""Find rectangles laid over a picture by their four straight sides."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

MIN_INSET_SHARE = 0.2
"""The least length of an inset's side, as a share of the picture's side."""
SIDE_SHARE = 0.45
"""The least share of steps that stand out on an inset's sides; one side may have a third of it."""
_MAX_LINES = 10
_BLOCKS = 16
_MIN_GAIN = 4
# Of 11 if all steps of a stretch stand out, 0 if 45 % do.
_TOLERANCE = 5
_MAX_INSETS = 3


class _Line(NamedTuple):
    """A stretch of a cut along which steps stand out; `counts` accumulates them along the cut."""

    cut: int
    start: int
    end: int
    counts: list[int]

    def share(self, start: int, end: int) -> float:
        """The share of steps that stand out from `start` to `end`."""
        return (self.counts[end] - self.counts[start]) / (end - start)


def find_insets(
    across_rows: NDArray[np.bool_], across_columns: NDArray[np.bool_]
) -> list[tuple[int, int, int, int]]:
    """Find rectangles whose sides stand out from their surroundings.

    Args:
        across_rows: whether the step across each horizontal cut stands out, (columns, rows + 1).
        across_columns: the same for vertical cuts, (rows, columns + 1).

    Returns:
        top, left, bottom, right of at most three, the most distinct first.
    """
    rows, columns = len(across_columns), len(across_rows)
    upright = _lines(across_columns)
    level = _lines(across_rows) if len(upright) > 1 else []
    if len(level) < 2:
        return []
    boxes: dict[tuple[int, int, int, int], float] = {}
    for first, second in combinations(upright, 2):
        if second.cut - first.cut >= MIN_INSET_SHARE * columns and _alike(first, second):
            start, end = _middle(first, second)
            for top in _near(level, start):
                for bottom in _near(level, end):
                    _score(boxes, top, first, bottom, second)
    for first, second in combinations(level, 2):
        if second.cut - first.cut >= MIN_INSET_SHARE * rows and _alike(first, second):
            start, end = _middle(first, second)
            for left in _near(upright, start):
                for right in _near(upright, end):
                    _score(boxes, first, left, second, right)
    best = sorted((-score, box) for box, score in boxes.items() if score >= SIDE_SHARE)
    kept: list[tuple[int, int, int, int]] = []
    for _, box in best:
        if len(kept) == _MAX_INSETS:
            break
        if all(max(abs(a - b) for a, b in zip(box, other, strict=True)) > 8 for other in kept):
            kept.append(box)
    return kept


def _lines(marks: NDArray[np.bool_]) -> list[_Line]:
    """For the best vertical cuts, the longest stretch on which steps stand out.

    Cuts are chosen by blocks of a sixteenth of their length; stretches are exact to the sample.
    """
    length = len(marks)
    block = max(length // _BLOCKS, 1)
    blocks = length // block
    counts = np.add.reduce(
        marks[: blocks * block].view(np.uint8).reshape(blocks, block, -1), axis=1, dtype=np.uint8
    )
    score = np.zeros((blocks + 1, marks.shape[1]), np.int16)
    np.cumsum(20 * counts.astype(np.int16) - 9 * block, axis=0, out=score[1:])
    best = (score - np.minimum.accumulate(score, axis=0)).max(0)
    candidates = np.flatnonzero(best >= _MIN_GAIN * MIN_INSET_SHARE * length)
    if len(candidates) < 2:
        return []
    cuts: list[int] = []
    for cut in candidates[np.argsort(-best[candidates], kind="stable")].tolist():
        if len(cuts) == _MAX_LINES:
            break
        if all(abs(cut - other) > 2 for other in cuts):
            cuts.append(cut)
    return _stretches(marks, sorted(cuts))


def _stretches(marks: NDArray[np.bool_], cuts: list[int]) -> list[_Line]:
    """The best stretch of each cut; a stretch has a positive score if nearly half its steps do."""
    counts = np.zeros((len(marks) + 1, len(cuts)), np.int32)
    np.cumsum(marks[:, cuts], axis=0, out=counts[1:])
    places = np.arange(len(counts), dtype=np.int32)[:, None]
    score = 20 * counts - 9 * places
    gain = score - np.minimum.accumulate(score, axis=0)
    ends = gain.argmax(0)
    starts = np.maximum.accumulate(np.where(gain == 0, places, 0), axis=0)[
        ends, np.arange(len(cuts))
    ]
    found = zip(cuts, starts.tolist(), ends.tolist(), counts.T.tolist(), strict=True)
    return [_Line(*each) for each in found]


def _alike(first: _Line, second: _Line) -> bool:
    return (
        abs(first.start - second.start) <= 2 * _TOLERANCE
        and abs(first.end - second.end) <= 2 * _TOLERANCE
    )


def _middle(first: _Line, second: _Line) -> tuple[int, int]:
    return (first.start + second.start) // 2, (first.end + second.end) // 2


def _near(lines: list[_Line], cut: int) -> list[_Line]:
    return [line for line in lines if abs(line.cut - cut) <= 2 * _TOLERANCE][:2]


def _score(
    boxes: dict[tuple[int, int, int, int], float],
    top: _Line,
    left: _Line,
    bottom: _Line,
    right: _Line,
) -> None:
    """Record the share of steps that stand out on the second faintest of the four sides."""
    if bottom.cut - top.cut < 2 * _TOLERANCE or right.cut - left.cut < 2 * _TOLERANCE:
        return
    faintest, second, *_ = sorted(
        (
            top.share(left.cut, right.cut),
            bottom.share(left.cut, right.cut),
            left.share(top.cut, bottom.cut),
            right.share(top.cut, bottom.cut),
        )
    )
    boxes[top.cut, left.cut, bottom.cut, right.cut] = min(3 * faintest, second)
