"""Match keypoints: prove the candidates of the keypoint index."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from egide.domain.model import Match, Signal, Transform
from egide.hashing.keypoint_set import view
from egide.index.keypoint_common import COMMON_BITS, are_versions
from egide.matching.keypoint_proof import near_descriptors, prove

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from egide.domain.model import KeypointEvidence, KeypointQuery
    from egide.index.keypoints import Candidate, Candidates, KeypointIndex
    from egide.matching.fingerprints import Matcher

DOUBTFUL_AGREEMENT = 0.85
"""Below this, a frame around half of two pictures can look like a copy with a large part replaced.
Then only keypoints that no other candidate shows count: pictures in the same frame are candidates
together, even if the frame is not common because the bank is small or has few of them."""

_MIN_SHARED = 20
# By chance six keypoints of a query are near some of another picture's.

_QUARTER_TURNS = (
    Transform.IDENTITY,
    Transform.ROTATE_90,
    Transform.ROTATE_180,
    Transform.ROTATE_270,
)
# A mirrored copy is the picture mirrored left to right, then rotated clockwise by this angle.
_MIRRORED_TURNS = (
    Transform.FLIP_HORIZONTAL,
    Transform.TRANSVERSE,
    Transform.FLIP_VERTICAL,
    Transform.TRANSPOSE,
)


class KeypointMatcher:
    """Matches keypoints against an index, for a matcher's banks and time."""

    def __init__(self, index: KeypointIndex, matcher: Matcher) -> None:
        """Join index and matcher; entries that the matcher lacks or does not search are left out.

        Args:
            index: of a store's keypoints.
            matcher: of the same store.

        Raises:
            SnapshotError: the snapshot was closed.
        """
        self._index = index
        self._matcher = matcher
        known = matcher.snapshot.entries.id
        order = np.argsort(known, kind="stable")
        place = np.searchsorted(known, index.entry_id, sorter=order)
        self._owner = np.full(len(index.entry_id), -1, np.int64)
        inside = np.flatnonzero(place < len(known))
        owner = order[place[inside]]
        same = known[owner] == index.entry_id[inside]
        self._owner[inside[same]] = owner[same]

    def match(self, query: KeypointQuery) -> list[Match]:
        """Match the keypoints of one picture.

        Returns:
            the entries whose pictures it shows, wholly or partly, most inliers first, then by
            number. At most `MAX_CANDIDATES` pictures are found, with all entries that have equal
            keypoints.

        Raises:
            SnapshotError: the snapshot was closed.
        """
        index, searched = self._index, self._searched()
        pictures = np.zeros(index.pictures, np.bool_)
        pictures[index.entry_picture[searched]] = True
        if not pictures.any():
            return []
        candidates = index.candidates(query, searched=pictures)
        best: dict[int, KeypointEvidence] = {}
        for candidate in candidates.found:
            evidence = self._prove(query, candidate, candidates)
            known = best.get(candidate.picture)
            if evidence is not None and (known is None or known.inliers < evidence.inliers):
                best[candidate.picture] = evidence
        matches = [
            self._match(place, evidence)
            for picture, evidence in best.items()
            for place in index.entries(picture).tolist()
            if searched[place]
        ]
        return sorted(matches, key=_merit)

    def _prove(
        self, query: KeypointQuery, candidate: Candidate, candidates: Candidates
    ) -> KeypointEvidence | None:
        """Prove a candidate; if doubtful, only by keypoints that no other candidate shows."""
        keypoints = self._index.keypoint_set(candidate.picture)
        usable = candidates.usable_mirrored if candidate.mirrored else candidates.usable
        evidence = prove(query, candidate.mirrored, keypoints, usable)
        if evidence is None or evidence.agreement >= DOUBTFUL_AGREEMENT:
            return evidence
        words = view(query.mirrored if candidate.mirrored else query.straight).words
        own = usable.copy()
        for other in candidates.found:
            rival = self._index.keypoint_set(other.picture)
            if other.mirrored is not candidate.mirrored or are_versions(
                keypoints.signs, rival.signs
            ):
                continue
            shown, _, bits = near_descriptors(words, view(rival).words)
            shared = np.unique(shown[bits <= COMMON_BITS])
            if len(shared) >= _MIN_SHARED:
                own[shared] = False
        if np.array_equal(own, usable):
            return evidence
        return prove(query, candidate.mirrored, keypoints, own)

    def _searched(self) -> NDArray[np.bool_]:
        """Which of the index's entries may match now."""
        searched = self._owner >= 0
        searched[searched] = self._matcher.searches(self._owner[searched])
        return searched

    def _match(self, place: int, evidence: KeypointEvidence) -> Match:
        snapshot = self._matcher.snapshot
        owner = self._owner[place]
        bank = snapshot.banks[int(snapshot.entries.bank[owner])]
        return Match(
            entry=int(snapshot.entries.id[owner]),
            bank=bank.name,
            signal=Signal.KEYPOINTS,
            distance=None,
            transform=nearest_transform(evidence.matrix),
            trust=snapshot.trusts[int(snapshot.entries.trust[owner])],
            frame=0,
            revision=snapshot.revision,
            evidence=evidence,
            kind=bank.kind,
        )


def _merit(match: Match) -> tuple[int, int]:
    assert match.evidence is not None
    return -match.evidence.inliers, match.entry


def nearest_transform(matrix: tuple[float, float, float, float, float, float]) -> Transform:
    """The symmetry of a rectangle that is nearest to an affine transform."""
    a, b, _, c, d, _ = matrix
    mirrored = a * d - b * c < 0
    if mirrored:
        # Undo the mirroring, which came first; the rest is a rotation.
        a, c = -a, -c
    turn = math.atan2(c - b, a + d)
    turns = _MIRRORED_TURNS if mirrored else _QUARTER_TURNS
    return turns[round(turn / (math.pi / 2)) % 4]
