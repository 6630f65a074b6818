"""Whether memory stays flat."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from service.plan import GROWTH_GOAL

if TYPE_CHECKING:
    from collections.abc import Sequence

    from service.processes import Memory

_WARM_UP = 0.2
"""Of the time."""
_END = 0.1
"""Of the samples after the warm-up, at either end."""


@dataclass(frozen=True, slots=True)
class Growth:
    """The memory of a process over time, in MiB.

    Attributes:
        own_first: its own memory (no pages of files) after the warm-up, a median of samples.
        own_last: at the end, likewise.
        own_most: the largest sample.
        own_per_minute: the slope of a line through all samples after the warm-up.
        mapped_last: pages of files at the end.
        resident_most: the largest sample of both together.
        samples: all of them.
    """

    own_first: float
    own_last: float
    own_most: float
    own_per_minute: float
    mapped_last: float
    resident_most: float
    samples: tuple[Memory, ...]

    @property
    def share(self) -> float:
        """How much the process's own memory has grown, of what it was."""
        return (self.own_last - self.own_first) / self.own_first

    @property
    def flat(self) -> bool:
        """Whether that is within what counts as flat."""
        return self.share <= GROWTH_GOAL


def growth_of(samples: Sequence[Memory]) -> Growth:
    """Sum up samples; the first fifth of the time is the warm-up."""
    warm = [one for one in samples if one.at_s >= _WARM_UP * samples[-1].at_s]
    end = max(1, round(_END * len(warm)))
    slope = 0.0
    if len(warm) > 1:
        fitted = np.polyfit([one.at_s for one in warm], [one.own for one in warm], 1)
        slope = float(fitted[0]) * 60
    return Growth(
        statistics.median(one.own for one in warm[:end]),
        statistics.median(one.own for one in warm[-end:]),
        max(one.own for one in warm),
        slope,
        statistics.median(one.mapped for one in warm[-end:]),
        max(one.resident for one in samples),
        tuple(samples),
    )
