"""Match in both tiers: fingerprints first, then keypoints for further entries."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egide.matching.fingerprints import MAX_MATCHES
from egide.matching.keypoints import KeypointMatcher

if TYPE_CHECKING:
    from collections.abc import Sequence

    from egide.domain.model import Fingerprint, Match
    from egide.index.keypoints import KeypointIndex
    from egide.matching.fingerprints import Matcher


class ThoroughMatcher:
    """Matches fingerprints against a snapshot, and their keypoints against a keypoint index.

    Attributes:
        matcher: the first tier, whose snapshot, banks and time also apply to the second.
    """

    def __init__(self, matcher: Matcher, keypoints: KeypointIndex) -> None:
        """Join the tiers; entries in `keypoints` but not in the snapshot never match."""
        self.matcher = matcher
        self._keypoints = KeypointMatcher(keypoints, matcher)

    def match(self, fingerprints: Sequence[Fingerprint]) -> list[list[Match]]:
        """Match fingerprints, and by keypoints those that have any.

        Returns:
            for each fingerprint its nearest `MAX_MATCHES`: those of `Matcher.match`, then entries
            that keypoints found, most inliers first. An entry is reported once: by a digest or PDQ
            if that found it, else by keypoints, which tell where, else by anchored hashes.

        Raises:
            SnapshotError: as for `Matcher.match`.
        """
        found = self.matcher.match(fingerprints)
        for fingerprint, matches in zip(fingerprints, found, strict=True):
            if fingerprint.keypoints is not None:
                known = {match.entry for match in matches if match.tier == 0}
                found_more = self._keypoints.match(fingerprint.keypoints)
                more = {match.entry: match for match in found_more if match.entry not in known}
                matches[:] = [match for match in matches if match.entry not in more]
                matches.extend(more.values())
                del matches[MAX_MATCHES:]
        return found
