"""Match anchored hashes: which entries' regions a picture shows, and when that is enough.

The rule: `MIN_NEAR` of an entry's hashes are within `NEAR_BITS` of codes of the query. Guards leave
out regions that tell nothing of the entry because other pictures have them too: of a frame, a logo,
a pattern. docs/explain/anchored-hashes.md has the measurements.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from egide.domain.model import PDQ_BYTES, AnchoredEvidence, Trust

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from egide.domain.model import AnchoredQuery
    from egide.index.searched import Searched

    MayMatch = Callable[[NDArray[np.int64]], NDArray[np.bool_]]
    Flags = NDArray[np.bool_]

NEAR_BITS = 36
"""A region within this distance of an entry's hash shows the same detail. It is searched exactly.

Source: docs/decisions/0023-anchored-hashes.md."""
CLOSE_BITS = 46
"""Within this distance it probably does: it counts as evidence once the entry has matched.

Source: as for `NEAR_BITS`."""
MIN_NEAR = 1
"""How many of its hashes must be near for an entry to match."""
MAX_PICTURES = 3
"""A code that is near hashes of more different pictures distinguishes none of them."""
RIVAL_MARGIN = 2
"""How many regions more than another picture's one needs to keep those that are near both."""
MAX_CANDIDATES = 64
"""How many different lists of hashes are compared in full, those with the most regions first."""
MIN_ALIKE = 4
"""How many hashes two entries must have in common to be versions of one picture.

Source: docs/explain/anchored-hashes.md: versions have 11 to 43 in the median, two photos under the
same overlay at most one."""

_MAX_OWNERS = 1000
# Entries whose lists are read: equal lists, as of a picture that many register, are one candidate.
_REGIONS = 256
_UPSIDE_DOWN = np.frombuffer(bytes([255, 255, 0, 0]) * 8, np.uint64)
# Mirrors a code, save for a few bits: upside down, odd vertical frequencies, which are in the first
# of every two rows of 16 bits, change their sign.


@dataclass(frozen=True, slots=True)
class Met:
    """An entry that a picture shows a part of.

    Attributes:
        owner: its position.
        distance: the smallest one, in bits.
        evidence: how many of its hashes were met.
    """

    owner: int
    distance: int
    evidence: AnchoredEvidence


def match_anchored(searched: Searched, query: AnchoredQuery, may_match: MayMatch) -> list[Met]:
    """Find the entries that a picture shows a part of.

    Args:
        searched: a snapshot or live view.
        query: of the picture.
        may_match: which owners may match; the others are as if they were not there, so that they
            guard nothing either.

    Returns:
        the entries, those of which most is met first, then by distance and number. They are
        entries with one of `MAX_CANDIDATES` lists of hashes.

    Raises:
        SnapshotDamaged: the snapshot's content is wrong.
        SnapshotError: the snapshot was closed.
    """
    codes = np.frombuffer(query.codes, np.uint8).reshape(-1, PDQ_BYTES)
    regions = np.frombuffer(query.regions, np.uint8)
    hits = searched.search_anchored(codes, NEAR_BITS)
    if not len(hits):
        return []
    owner = searched.anchored_owners(hits.row)
    may = may_match(owner)
    owner, row, region = owner[may], hits.row[may], regions[hits.query[may]]
    candidates = _candidates(searched, owner, row, region)
    judged = _judge(
        codes,
        regions,
        [np.frombuffer(each, np.uint8).reshape(-1, PDQ_BYTES) for each in candidates],
        np.array([_confirmed(searched, owners).any() for owners in candidates.values()]),
    )
    found = [
        Met(one, *met)
        for owners, met in zip(candidates.values(), judged, strict=True)
        if met is not None
        for one in owners
    ]
    number = searched.columns(np.array([met.owner for met in found], np.int64)).id
    order = sorted(
        range(len(found)),
        key=lambda at: (-found[at].evidence.met, found[at].distance, number[at]),
    )
    return [found[at] for at in order]


def _candidates(
    searched: Searched,
    owner: NDArray[np.int64],
    row: NDArray[np.int64],
    region: NDArray[np.uint8],
) -> dict[bytes, list[int]]:
    """The lists of hashes to compare in full, and the owners of each."""
    owners, first = np.unique(owner, return_index=True)
    met = np.unique(owner * _REGIONS + region) // _REGIONS
    regions = np.bincount(np.searchsorted(owners, met), minlength=len(owners))
    number = searched.columns(owners).id
    best = np.lexsort((number, -regions, ~_confirmed(searched, owners)))[:_MAX_OWNERS]
    candidates: dict[bytes, list[int]] = {}
    for place in best:
        codes = searched.anchored_codes(int(row[first[place]])).tobytes()
        if codes in candidates or len(candidates) < MAX_CANDIDATES:
            candidates.setdefault(codes, []).append(int(owners[place]))
    return candidates


def _confirmed(searched: Searched, owners: Sequence[int] | NDArray[np.int64]) -> Flags:
    trust = searched.columns(np.asarray(owners, np.int64)).trust
    confirmed: Flags = np.array([one is Trust.CONFIRMED for one in searched.trusts])[trust]
    return confirmed


def _judge(
    codes: NDArray[np.uint8],
    regions: NDArray[np.uint8],
    lists: Sequence[NDArray[np.uint8]],
    confirmed: Flags,
) -> list[tuple[int, AnchoredEvidence] | None]:
    """Apply the rule and its guards to candidates, whose lists differ.

    Args:
        codes: of the query, shape (m, 32).
        regions: of each code, its region's number.
        lists: of each candidate its hashes, shape (k, 32).
        confirmed: which candidates somebody confirmed. Others guard nothing of theirs: anybody may
            register what hides a picture.

    Returns:
        for each candidate that matches the smallest distance and the evidence, else None.
    """
    distances = [_distances(codes, each) for each in lists]
    near = np.array([(each <= NEAR_BITS).any(axis=1) for each in distances], bool)
    near = near.reshape(-1, len(codes))
    numbers, region = np.unique(regions, return_inverse=True)
    usable = _usable(near, region, len(numbers), lists)
    sure = np.flatnonzero(confirmed)
    if 0 < len(sure) < len(lists):
        usable[sure] = _usable(
            near[sure], region, len(numbers), [lists[one] for one in sure.tolist()]
        )
    found: list[tuple[int, AnchoredEvidence] | None] = []
    for each, may in zip(distances, usable, strict=True):
        left = each[may]
        if not len(left) or np.count_nonzero(left.min(axis=0) <= NEAR_BITS) < MIN_NEAR:
            found.append(None)
            continue
        close = left <= CLOSE_BITS
        # As many hashes as different regions: one region cannot show two parts of a picture.
        hashes = int(np.count_nonzero(close.any(axis=0)))
        met = min(hashes, len(np.unique(region[may][close.any(axis=1)])))
        found.append((int(left.min()), AnchoredEvidence(met, each.shape[1])))
    return found


def _usable(
    near: Flags, region: NDArray[np.intp], regions: int, lists: Sequence[NDArray[np.uint8]]
) -> Flags:
    """Which of the query's codes count for which candidates, shape (candidates, codes)."""
    usable = np.ones(near.shape, bool)
    if len(lists) < 2:
        return usable
    picture = _pictures(lists)
    of_picture = np.array([near[picture == one].any(axis=0) for one in np.unique(picture)])
    usable[:, of_picture.sum(axis=0) > MAX_PICTURES] = False
    shown = np.zeros((len(near), regions), bool)
    place, code = np.nonzero(near & usable)
    shown[place, region[code]] = True
    count = shown.sum(axis=1)
    for one, other in np.argwhere(picture[:, None] != picture):
        if count[one] < count[other] + RIVAL_MARGIN:
            usable[one] &= ~(shown[one] & shown[other])[region]
    return usable


def _pictures(lists: Sequence[NDArray[np.uint8]]) -> NDArray[np.intp]:
    """Give each list the number of its picture: versions of a picture must not hide it."""
    picture = np.full(len(lists), -1, np.intp)
    for place, codes in enumerate(lists):
        if picture[place] < 0:
            for other in np.flatnonzero(picture < 0).tolist():
                if other == place or _alike(codes, lists[other]):
                    picture[other] = place
    return picture


def _alike(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> bool:
    """Whether two lists have enough in common to be of one picture, mirrored or not."""
    apart = np.minimum(_distances(one, other), _distances(one, other, _UPSIDE_DOWN))
    close = apart <= CLOSE_BITS
    alike = min(close.any(axis=0).sum(), close.any(axis=1).sum())
    return bool(alike >= min(MIN_ALIKE, len(one), len(other)))


def _distances(
    one: NDArray[np.uint8], other: NDArray[np.uint8], mask: NDArray[np.uint64] | None = None
) -> NDArray[np.uint16]:
    """The bits in which each code differs from each other one, shape (len(one), len(other))."""
    differing = one.view(np.uint64)[:, None] ^ other.view(np.uint64)
    if mask is not None:
        differing ^= mask
    bits: NDArray[np.uint16] = np.bitwise_count(differing).sum(axis=2, dtype=np.uint16)
    return bits
