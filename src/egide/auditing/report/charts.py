"""Layout of the bars, lines and ticks of the report's two charts; the template draws them.

Horizontal positions are percentages of the plot's width; vertical positions are pixels. So a chart
stretches with the page while its labels keep their size, on a phone as on paper.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PLOT_HEIGHT_PX = 160
MAX_INTERVALS = 48
"""Shards end in bursts: with more intervals, the chart would show the bursts, not the rate."""

_BAR_SHARE = 0.76
_MIN_BAR_PX = 2.0


@dataclass(frozen=True, slots=True)
class Tick:
    """A labelled position on an axis: percent from the left, or pixels from the top."""

    at: float
    value: float


@dataclass(frozen=True, slots=True)
class Bar:
    """The matches at one distance, in bits; `middle` is the position of its label."""

    distance: int
    count: int
    left: float
    width: float
    middle: float
    top: float
    height: float


@dataclass(frozen=True, slots=True)
class Histogram:
    """Matches by distance: a bar for each distance that occurs."""

    bars: tuple[Bar, ...]
    across: tuple[Tick, ...]
    up: tuple[Tick, ...]
    peak: Bar


@dataclass(frozen=True, slots=True)
class Throughput:
    """Items a second over time, as a line of steps.

    Attributes:
        points: of a polyline in a box of 100 × `PLOT_HEIGHT_PX`.
        across: values in `unit`: `seconds`, `minutes` or `hours`.
        mean_per_s: over all samples; `mean_at` is its vertical position.
        seconds: between the first and last samples.
    """

    points: str
    across: tuple[Tick, ...]
    up: tuple[Tick, ...]
    mean_per_s: float
    mean_at: float
    slowest_per_s: float
    fastest_per_s: float
    seconds: float
    unit: str


def histogram(counts: Mapping[int, int], radius_bits: int) -> Histogram | None:
    """Lay out the matches by distance, from 0 to the radius.

    Args:
        counts: matches by distance in bits.
        radius_bits: the widest radius that was searched.

    Returns:
        None if there is no match to draw.
    """
    counts = {distance: count for distance, count in sorted(counts.items()) if count > 0}
    if not counts:
        return None
    slots = max(radius_bits, *counts) + 1
    slot = 100 / slots
    step, top = _scale(max(counts.values()), whole=True)
    bars = []
    for distance, count in counts.items():
        height = max(PLOT_HEIGHT_PX * count / top, _MIN_BAR_PX)
        bars.append(
            Bar(
                distance=distance,
                count=count,
                left=round((distance + (1 - _BAR_SHARE) / 2) * slot, 3),
                width=round(_BAR_SHARE * slot, 3),
                middle=round((distance + 0.5) * slot, 3),
                top=round(PLOT_HEIGHT_PX - height, 2),
                height=round(height, 2),
            )
        )
    label_every = _scale(slots - 1, whole=True, steps=7)[0]
    return Histogram(
        bars=tuple(bars),
        across=tuple(
            Tick(round((value + 0.5) * slot, 3), value)
            for value in range(0, slots, round(label_every))
        ),
        up=_up(step, top),
        peak=max(bars, key=lambda bar: bar.count),
    )


def throughput(samples: Sequence[Sequence[float]]) -> Throughput | None:
    """Lay out the rate of work between samples.

    Args:
        samples: (seconds since the start, items done so far); samples that go back in time or in
            items, as after a resumed audit, are skipped.

    Returns:
        None if fewer than two samples are left, or no item was done.
    """
    rising: list[tuple[float, float]] = []
    for seconds, items in samples:
        if not rising or (seconds > rising[-1][0] and items >= rising[-1][1]):
            rising.append((float(seconds), float(items)))
    if len(rising) < 2:
        return None
    keep_every = math.ceil((len(rising) - 1) / MAX_INTERVALS)
    kept = rising[:-1:keep_every] + rising[-1:]
    start_s, first_items = kept[0]
    span_s = kept[-1][0] - start_s
    rates = [(i1 - i0) / (s1 - s0) for (s0, i0), (s1, i1) in pairwise(kept)]
    if max(rates) == 0:
        return None
    step, top = _scale(max(rates))
    points = []
    for rate, ((left_s, _), (right_s, _)) in zip(rates, pairwise(kept), strict=True):
        down = PLOT_HEIGHT_PX * (1 - rate / top)
        points += [
            f"{100 * (at_s - start_s) / span_s:.3f},{down:.2f}" for at_s in (left_s, right_s)
        ]
    unit, unit_s = _time_unit(span_s)
    across_step = _scale(span_s / unit_s)[0]
    mean_per_s = (kept[-1][1] - first_items) / span_s
    return Throughput(
        points=" ".join(points),
        across=tuple(
            Tick(round(100 * index * across_step * unit_s / span_s, 3), index * across_step)
            for index in range(int(span_s / unit_s / across_step + 1e-9) + 1)
        ),
        up=_up(step, top),
        mean_per_s=mean_per_s,
        mean_at=round(PLOT_HEIGHT_PX * (1 - mean_per_s / top), 2),
        slowest_per_s=min(rates),
        fastest_per_s=max(rates),
        seconds=span_s,
        unit=unit,
    )


def _time_unit(span_s: float) -> tuple[str, int]:
    if span_s <= 180:
        return "seconds", 1
    return ("minutes", 60) if span_s <= 3 * 3600 else ("hours", 3600)


def _up(step: float, top: float) -> tuple[Tick, ...]:
    return tuple(
        Tick(round(PLOT_HEIGHT_PX * (1 - index * step / top), 2), index * step)
        for index in range(round(top / step) + 1)
    )


def _scale(highest: float, *, whole: bool = False, steps: int = 4) -> tuple[float, float]:
    """A round step (1, 2 or 5 times a power of ten), and its first multiple ≥ `highest`."""
    rough = highest / steps
    power = 10.0 ** math.floor(math.log10(rough)) if rough > 0 else 1.0
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999999)
    if whole:
        step = float(max(1, round(step)))
    return step, step * max(1, math.ceil(highest / step - 1e-9))
