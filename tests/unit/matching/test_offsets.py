"""Where one video's time lies in another's: what the sweep finds, plain Python finds too."""

from __future__ import annotations

from itertools import groupby

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from egide.matching.offsets import SPEEDS, Line, Seen, best_line

_Pair = tuple[int, int, int, int, int]
"""A query's frame, from when to when it is seen, and the same of the entry's."""


def seen(pairs: list[_Pair]) -> Seen:
    return Seen(*np.array(pairs, np.int64).T)


def agreeing(pairs: list[_Pair], speed: float, offset: float) -> int:
    """How many of the query's frames a line goes through: the definition."""
    return len(
        {
            frame
            for frame, start, end, there, there_end in pairs
            if there - speed * end - 1e-6 <= offset <= there_end - speed * start + 1e-6
        }
    )


@st.composite
def pairs(draw: st.DrawFn) -> list[_Pair]:
    found: list[_Pair] = []
    for frame in range(draw(st.integers(1, 6))):
        start = draw(st.integers(0, 40)) * 500
        end = start + draw(st.integers(0, 6)) * 500
        for _ in range(draw(st.integers(1, 3))):
            there = draw(st.integers(0, 60)) * 500
            found.append((frame, start, end, there, there + draw(st.integers(0, 6)) * 500))
    return found


@given(pairs())
def test_no_other_line_has_more_frames(some: list[_Pair]) -> None:
    found = best_line(seen(some))
    assert found.frames == agreeing(some, found.speed, found.offset_ms)
    frames = len([*groupby(some, key=lambda pair: pair[0])])
    best = max(
        agreeing(some, speed, offset)
        for speed in SPEEDS
        for _, start, end, there, there_end in some
        for offset in (there - speed * end, there_end - speed * start)
    )
    assert found.frames >= best or (found.speed == 1.0 and found.frames >= 0.9 * frames)


def test_a_long_video_at_a_speed_between_those_that_are_tried_agrees_as_a_whole() -> None:
    # Ten minutes at 1.0417, as film is shown on television.
    pairs = [
        (n, 1500 * n, 1500 * n + 500, at, at + 500)
        for n in range(400)
        for at in [int((1500 * n * 1.0417 + 30_000) // 500) * 500]
    ]
    found = best_line(seen(pairs))
    assert found.frames >= 395
    assert abs(found.speed - 1.0417) < 0.001


def test_of_what_any_speed_explains_the_usual_one_is_told() -> None:
    line = best_line(seen([(0, 1000, 1500, 9000, 9500), (1, 2000, 2500, 10_000, 10_500)]))
    assert line == Line(1.0, 8000.0, 2)
