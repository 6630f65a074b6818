"""How a video agrees with a registered one, and when that is enough.

They agree where frames look alike at times that fit together, see `egide.matching.offsets`. What
was measured is in docs/decisions/0032-video-matching.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from egide.domain.model import DEFAULT_RADIUS_BITS
from egide.domain.video import SAMPLE_MS, Span, VideoEvidence
from egide.matching.offsets import Line, Seen, best_line

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from egide.index.snapshot import VideoFrames

    Flags = NDArray[np.bool_]

MIN_AGREEING_MS = 1000
"""For how long frames must agree that show two pictures or more."""
MIN_MOVING_FRAMES = 3
MIN_MOVING_MS = 1500
"""How many frames must agree, and for how long, if all show nearly the same picture: a scene in
which little moves, but not a title card, which is one frame."""
MOST = 0.75
"""The share of a video that is most of it."""
EDGE_MS = 20_000
"""What two registered videos share within this time of their beginning or end may be an intro."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """How a query and a registered video agree.

    Attributes:
        inside: which of the pairs of frames agree.
        evidence: of all of these.
        of_entry: the share of the registered video that agrees.
    """

    inside: Flags
    evidence: VideoEvidence
    of_entry: float


@dataclass(frozen=True, slots=True)
class Shown:
    """A registered video that a query shows.

    Attributes:
        hits: rows of `FOUND`, the pairs of frames that look alike.
        confirmed: whether a reviewer confirmed it.
        video: as it is registered.
        places: of each pair, the frame's position in `video`.
        agreement: of these pairs.
    """

    hits: NDArray[np.void]
    confirmed: bool
    video: VideoFrames
    places: NDArray[np.int64]
    agreement: Agreement

    def frames(self, count: int) -> Flags:
        """Which of the query's `count` frames agree."""
        found = np.zeros(count, np.bool_)
        found[self.hits["frame"][self.agreement.inside]] = True
        return found

    def near_edge(self, frames: Flags) -> bool:
        """Whether it has these frames of the query near its beginning, or near its end."""
        some = self.agreement.inside & frames[self.hits["frame"]]
        times = self.video.times[self.places[some]]
        end_ms = self.video.duration_ms - EDGE_MS
        return bool((times[:, 1] <= EDGE_MS).all() or (times[:, 0] >= end_ms).all())


@dataclass(frozen=True, slots=True)
class Query:
    """A video to search for.

    Attributes:
        codes: uint8[n, 32], of its frames.
        times: int64[n, 2], from when to when each is seen, in milliseconds.
        seen_ms: for how long any of them is.
    """

    codes: NDArray[np.uint8]
    times: NDArray[np.int64]
    seen_ms: int


def agreement_of(
    query: Query, hits: NDArray[np.void], places: NDArray[np.int64], video: VideoFrames
) -> Agreement | None:
    """How a query and a registered video agree, in the same transform; None if not enough."""
    best: tuple[int, int, NDArray[np.bool_], Line] | None = None
    times, entry_times = query.times[hits["frame"]], video.times[places]
    for transform in np.unique(hits["transform"]).tolist():
        alike = np.flatnonzero(hits["transform"] == transform)
        seen = Seen(
            hits["frame"][alike],
            times[alike, 0],
            times[alike, 1],
            entry_times[alike, 0],
            entry_times[alike, 1],
        )
        line = best_line(seen)
        inside = np.zeros(len(hits), np.bool_)
        inside[alike[line.inside(seen)]] = True
        rank = line.frames, -int(hits["distance"][inside].min())
        if best is None or rank > best[:2]:
            best = *rank, inside, line
    if best is None:
        return None
    _, _, inside, line = best
    here, there = times[inside], entry_times[inside]
    shown = _crossing(here, (there - line.offset_ms) / line.speed)
    agreeing_ms = length_ms(shown)
    shown_there = _crossing(there, here * line.speed + line.offset_ms)
    of_query = agreeing_ms / max(query.seen_ms, 1)
    of_entry = length_ms(shown_there) / max(length_ms(video.times), 1)
    frames = np.unique(hits["frame"][inside])
    if not _enough(query.codes[frames], agreeing_ms, max(of_query, of_entry)):
        return None
    return Agreement(
        inside,
        VideoEvidence(
            frames=len(frames),
            query=_span(shown),
            entry=_span(shown_there),
            speed=round(line.speed, 3),
            agreeing_ms=agreeing_ms,
            whole=min(of_query, of_entry) >= MOST,
        ),
        of_entry,
    )


def _enough(codes: NDArray[np.uint8], agreeing_ms: int, share: float) -> bool:
    """The rule: whether frames that agree in time show that two videos have them in common.

    Args:
        codes: of the query's frames that agree.
        agreeing_ms: for how long they do.
        share: of the query or the entry, whichever they are more of.
    """
    apart = bits_apart(codes[:1], codes)
    if apart.max() > DEFAULT_RADIUS_BITS and agreeing_ms >= MIN_AGREEING_MS:
        return True
    # One picture that hardly changes: a scene, or a title that many videos have.
    if len(codes) >= MIN_MOVING_FRAMES and agreeing_ms >= MIN_MOVING_MS:
        return True
    return share >= MOST


def _crossing(times: NDArray[np.int64], others: NDArray[np.floating]) -> NDArray[np.float64]:
    """What is seen at both of two times, but at least one sample long, as two columns."""
    start = np.clip(others[:, 0], times[:, 0], np.maximum(times[:, 1] - SAMPLE_MS, times[:, 0]))
    end = np.clip(others[:, 1], np.minimum(start + SAMPLE_MS, times[:, 1]), times[:, 1])
    return np.stack([start, end], axis=1)


def length_ms(times: NDArray[np.int64] | NDArray[np.float64]) -> int:
    """For how many milliseconds any of several times lasts."""
    ordered = times[np.argsort(times[:, 0], kind="stable")]
    reach = np.maximum.accumulate(ordered[:, 1])
    before = np.concatenate([ordered[:1, 0], reach[:-1]])
    return round(float(np.maximum(ordered[:, 1] - np.maximum(ordered[:, 0], before), 0).sum()))


def _span(times: NDArray[np.float64]) -> Span:
    """From the start of the first time to the end of the last, on the grid of the samples."""
    start, end = times[:, 0].min() // SAMPLE_MS, -(-times[:, 1].max() // SAMPLE_MS)
    return Span(int(start) * SAMPLE_MS, int(end) * SAMPLE_MS)


def bits_apart(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> NDArray[np.uint16]:
    """The bits in which each code differs from each other one, shape (len(one), len(other))."""
    words = np.ascontiguousarray(one).view(np.uint64)[:, None]
    differing = words ^ np.ascontiguousarray(other).view(np.uint64)
    bits: NDArray[np.uint16] = np.bitwise_count(differing).sum(axis=2, dtype=np.uint16)
    return bits
