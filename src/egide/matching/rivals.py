"""Leave out what a video shares with many: an intro, a title, a test picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from egide.domain.model import PDQ_BYTES
from egide.matching.agreement import agreement_of, bits_apart

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from egide.index.snapshot import VideoFrames
    from egide.matching.agreement import Query, Shown

    Flags = NDArray[np.bool_]

MAX_DIFFERENT = 3
"""A frame that agrees with more different videos distinguishes none of them."""
HALF = 0.5
"""A registered video of which the query shows so much is found whatever else shows it."""
RIVAL_FACTOR = 2
"""How much longer a rival must agree for an intro that both share to count as the rival's."""
CLOSE_BITS = 46
"""Within this distance, frames of two registered videos are versions of each other."""
MIRRORED = np.frombuffer(bytes([0b01010101] * PDQ_BYTES), np.uint8)
_SAMPLES = 32
_MAX_COMPARED = 4096


def without_common(query: Query, shown: Sequence[Shown]) -> list[Shown]:
    """Leave out what agrees only in frames that other registered videos have as well.

    For an entry that a reviewer confirmed, only confirmed ones are others: anybody may register
    what hides a video. Versions of one video are not different.
    """
    if len(shown) < 2:
        return list(shown)
    count = len(query.codes)
    number = _numbered(shown)
    frames = [each.frames(count) for each in shown]
    kept = []
    for one, own, video in zip(shown, frames, number, strict=True):
        rivals = [
            place
            for place, other in enumerate(shown)
            if number[place] != video and (other.confirmed or not one.confirmed)
        ]
        having = {video: own}
        for place in rivals:
            having[number[place]] = having.get(number[place], False) | frames[place]
        common = np.sum([*having.values()], axis=0) > MAX_DIFFERENT
        left = ~common[one.hits["frame"]]
        alone = left.all() or (
            left.any()
            and agreement_of(query, one.hits[left], one.places[left], one.video) is not None
        )
        hidden = any(_is_intro(one, own, shown[place], frames[place]) for place in rivals)
        if one.agreement.of_entry >= HALF or (alone and not hidden):
            kept.append(one)
    return kept


def _is_intro(one: Shown, own: Flags, rival: Shown, rivals: Flags) -> bool:
    """Whether a rival, which agrees for longer, has all of it too, and both have it at an edge."""
    longer = rival.agreement.evidence.agreeing_ms
    return bool(
        longer >= RIVAL_FACTOR * one.agreement.evidence.agreeing_ms
        and (rivals | ~own).all()
        and one.near_edge(own)
        and rival.near_edge(own)
    )


def _numbered(shown: Sequence[Shown]) -> list[int]:
    """Give each registered video a number, and versions of one the same."""
    first: list[VideoFrames] = []
    number = []
    for each in shown:
        known = (
            at
            for at, other in enumerate(first)
            if other is each.video or _alike(other.codes, each.video.codes)
        )
        found = next(known, len(first))
        if found == len(first):
            first.append(each.video)
        number.append(found)
    return number


def _alike(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> bool:
    """Whether half of what the shorter video shows, the other shows too, mirrored or not."""
    short, long = sorted((one, other), key=len)
    some = short[np.linspace(0, len(short) - 1, min(len(short), _SAMPLES)).astype(np.intp)]
    all_ = long[:: -(-len(long) // _MAX_COMPARED)]
    apart = np.minimum(bits_apart(some, all_), bits_apart(some ^ MIRRORED, all_))
    return bool((apart.min(axis=1) <= CLOSE_BITS).mean() >= HALF)
