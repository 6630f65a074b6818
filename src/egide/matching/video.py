"""Match a video: which entries show the same, for how long, and when that is enough.

With a registered picture, frames match as pictures do. With a registered video, frames must agree
in time, which `egide.matching.agreement` judges; `egide.matching.rivals` leaves out what many
videos have. docs/explain/video.md explains both.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from egide.domain.model import PDQ_BYTES, Trust
from egide.domain.video import Span, VideoEvidence
from egide.matching.agreement import Query, Shown, agreement_of, length_ms
from egide.matching.rivals import without_common

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from egide.domain.model import Fingerprint
    from egide.index.searched import Searched
    from egide.matching.agreement import Agreement

    Flags = NDArray[np.bool_]

FOUND = np.dtype(
    [
        ("item", np.int64),
        ("owner", np.int64),
        ("rank", np.int16),
        ("distance", np.int16),
        ("region", np.int16),
        ("transform", np.int16),
        ("frame", np.int64),
        ("row", np.int64),
    ]
)
"""A candidate: a fingerprint's position, an entry's position, and how the two met.

The order of the fields is the order of preference."""

MAX_VIDEOS = 64
"""How many different registered videos a query is compared with, those with the most frames that
look alike first; equal ones count as one."""
HITS_OF_A_FRAME = 16
"""How many frames of one entry a frame of the query is paired with: the nearest ones."""


def match_video(
    searched: Searched, query: Fingerprint, hits: NDArray[np.void]
) -> list[tuple[NDArray[np.void], VideoEvidence]]:
    """Find the entries that a video shows.

    Args:
        searched: a snapshot or live view.
        query: a video.
        hits: rows of `FOUND`, of its frames and their regions; each is within the radius of an
            entry that may match.

    Returns:
        for each entry its nearest hit, and the evidence.
    """
    assert query.video is not None
    times = np.array((query.video.starts, query.video.ends), np.int64).T
    codes = np.frombuffer(b"".join(pdq.code for pdq in query.frames), np.uint8)
    asked = Query(codes.reshape(-1, PDQ_BYTES), times, length_ms(times))
    of_video = searched.are_videos(hits["owner"])
    found = [
        (_nearest(some), _of_picture(some, times)) for some in _by_owner(hits[~of_video]).values()
    ]
    shown = _shown(searched, asked, hits[of_video])
    return found + [
        (_nearest(each.hits[each.agreement.inside]), each.agreement.evidence)
        for each in without_common(asked, shown)
    ]


def of_still(searched: Searched, row: int) -> VideoEvidence | None:
    """The evidence that a picture is like the frame in a row; None if that is no video's."""
    video = searched.video_of(row)
    place = int(searched.video_places(np.array([row]))[0])
    if video is None or not 0 <= place < len(video.times):
        return None
    start, end = video.times[place].tolist()
    return VideoEvidence(frames=1, query=None, entry=Span(start, end))


def nearest_of_each(hits: NDArray[np.void]) -> NDArray[np.void]:
    """Keep `HITS_OF_A_FRAME` of each frame and entry: many frames of one may be alike."""
    order = np.lexsort(
        (
            hits["row"],
            hits["transform"],
            hits["distance"],
            hits["frame"],
            hits["owner"],
            hits["item"],
        )
    )
    hits = hits[order]
    new = np.ones(len(hits), np.bool_)
    for name in ("item", "owner", "frame"):
        new[1:] &= hits[name][1:] == hits[name][:-1]
    new[1:] = ~new[1:]
    position = np.arange(len(hits))
    rank = position - np.maximum.accumulate(np.where(new, position, 0))
    kept: NDArray[np.void] = hits[rank < HITS_OF_A_FRAME]
    return kept


def _of_picture(hits: NDArray[np.void], times: NDArray[np.int64]) -> VideoEvidence:
    """Where a video shows a registered picture: the longest stretch of neighbouring frames."""
    frames = np.unique(hits["frame"])
    stretches = np.split(frames, np.flatnonzero(np.diff(frames) > 1) + 1)
    spans = [Span(int(times[some[0], 0]), int(times[some, 1].max())) for some in stretches]
    longest = max(spans, key=lambda span: span.end_ms - span.start_ms)
    return VideoEvidence(len(frames), longest, None, agreeing_ms=length_ms(times[frames]))


def _shown(searched: Searched, query: Query, hits: NDArray[np.void]) -> list[Shown]:
    """The registered videos that agree with a query in time."""
    of_owner = _by_owner(hits)
    owners = np.array([*of_owner], np.int64)
    frames = np.array([len(np.unique(some["frame"])) for some in of_owner.values()], np.int64)
    confirmed = _confirmed(searched, owners)
    judged: dict[bytes, Agreement | None] = {}
    found: list[Shown] = []
    for place in np.lexsort((searched.columns(owners).id, -frames, ~confirmed)).tolist():
        some = of_owner[int(owners[place])]
        video = searched.video_of(int(some["row"][0]))
        places = searched.video_places(some["row"])
        if video is None or not ((places >= 0) & (places < len(video.times))).all():
            continue  # it has just ended
        # Many people register one video: what is equal is compared once.
        pairs = [some[name].tobytes() for name in ("frame", "transform", "distance", "region")]
        key = b"".join((places.tobytes(), *pairs, video.times.tobytes()))
        if key not in judged:
            if len(judged) >= MAX_VIDEOS:
                continue
            judged[key] = agreement_of(query, some, places, video)
        agreement = judged[key]
        if agreement is not None:
            found.append(Shown(some, bool(confirmed[place]), video, places, agreement))
    return found


def _confirmed(searched: Searched, owners: NDArray[np.int64]) -> Flags:
    known = np.array([trust is Trust.CONFIRMED for trust in searched.trusts])
    confirmed: Flags = known[searched.columns(owners).trust]
    return confirmed


def _by_owner(hits: NDArray[np.void]) -> dict[int, NDArray[np.void]]:
    """The hits of each owner, in their order."""
    order = np.argsort(hits["owner"], kind="stable")
    owners, first = np.unique(hits["owner"][order], return_index=True)
    parts = np.split(hits[order], first[1:])
    return dict(zip(owners.tolist(), parts, strict=False))


def _nearest(hits: NDArray[np.void]) -> NDArray[np.void]:
    """The first of some hits in the order of preference."""
    order = np.lexsort([hits[name] for name in reversed(FOUND.names or ())])
    nearest: NDArray[np.void] = hits[order[:1]]
    return nearest
