"""Find how one video's time lies in another's: the line on which most of their frames agree.

A hit says that a frame of the query looks like one of the entry. Both are seen for a while, so it
allows a range of lines `entry time = speed · query time + offset`. The line that most of the
query's frames allow wins. For one speed this is exact: a frame allows a set of intervals of
offsets, and a sweep over their ends finds the offset that lies in most sets.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

SPEEDS = (1.0, *(round(0.8 + 0.025 * step, 3) for step in range(19) if step != 8))
"""How much faster a query may run than the registered video, the most usual first.

At a speed between two of these, frames of 80 seconds still agree; `_fitted` finds the rest."""
_ALMOST_ALL = 0.9
"""If so many frames agree at the usual speed, no other is tried."""
_MIN_FITTED_MS = 20_000
# Over less time, half a second at either end would be a difference in speed of 5 %.
_FITS = 8


@dataclass(frozen=True, slots=True)
class Seen:
    """Pairs of frames that look alike, one of the query and one of the entry, as columns.

    Attributes:
        frame: the query's frame.
        start, end: when it is seen, in milliseconds.
        entry_start, entry_end: when the entry's frame is.
    """

    frame: NDArray[np.int64]
    start: NDArray[np.int64]
    end: NDArray[np.int64]
    entry_start: NDArray[np.int64]
    entry_end: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Line:
    """Where the query's time lies in the entry's.

    Attributes:
        speed: how much faster the query runs.
        offset_ms: the entry's time at which the query begins.
        frames: how many of the query's frames agree.
    """

    speed: float
    offset_ms: float
    frames: int

    def inside(self, seen: Seen) -> NDArray[np.bool_]:
        """Which pairs it goes through, give or take a millisecond for rounding."""
        low, high = _offsets(seen, self.speed)
        inside: NDArray[np.bool_] = (low - 1 <= self.offset_ms) & (self.offset_ms <= high + 1)
        return inside


def best_line(seen: Seen) -> Line:
    """The line on which most of the query's frames agree; of several, the one of usual speed.

    Args:
        seen: at least one pair.
    """
    frames = len(np.unique(seen.frame))
    best = Line(1.0, 0.0, 0)
    for speed in SPEEDS:
        offset, count = _best_offset(seen, speed)
        if count > best.frames:
            best = Line(speed, offset, count)
        if speed == 1.0 and count >= _ALMOST_ALL * frames:
            break
    return _fitted(seen, best)


def _best_offset(seen: Seen, speed: float) -> tuple[float, int]:
    """The offset that most frames allow at a speed, and how many do."""
    low, high = _offsets(seen, speed)
    order = np.lexsort((low, seen.frame))
    frame, low, high = seen.frame[order], low[order], high[order]
    # Joins what overlaps of one frame, so that it counts once: apart by frame, the running maximum
    # of the ends starts anew with each.
    apart = frame * (2 * np.abs(np.concatenate([low, high])).max() + 1.0)
    reach = np.maximum.accumulate(high + apart)
    first = np.ones(len(frame), np.bool_)
    first[1:] = low[1:] + apart[1:] > reach[:-1]
    last = np.append(first[1:], True)
    starts, ends = low[first], (reach - apart)[last]
    at = np.concatenate([starts, ends])
    step = np.repeat([1, -1], len(starts))
    order = np.lexsort((-step, at))
    count = np.cumsum(step[order])
    most = int(count.argmax())
    following = min(most + 1, len(at) - 1)
    return float(at[order][most] + at[order][following]) / 2, int(count[most])


def _offsets(seen: Seen, speed: float) -> tuple[Floats, Floats]:
    """The least and the greatest offset that each pair allows at a speed."""
    return seen.entry_start - speed * seen.end, seen.entry_end - speed * seen.start


def _fitted(seen: Seen, line: Line) -> Line:
    """Turn a line so that it goes through more pairs, as long as there are more."""
    for _ in range(_FITS):
        inside = line.inside(seen)
        middle = (seen.start + seen.end)[inside] / 2
        if not len(middle) or np.ptp(middle) < _MIN_FITTED_MS:
            return line
        there = (seen.entry_start + seen.entry_end)[inside] / 2
        speed = float(np.polynomial.Polynomial.fit(middle, there, 1).convert().coef[-1])
        if not min(SPEEDS) <= speed <= max(SPEEDS):
            return line
        offset, count = _best_offset(seen, speed)
        if count <= line.frames:
            return line
        line = Line(speed, offset, count)
    return line
