"""Every method against the registered pictures one by one: the reference, without an index."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence

import numpy as np
from PIL import Image

from edits.codes import (
    PEERS,
    CodeBank,
    anchored_codes,
    registered_codes,
    stacked,
    tier0_codes,
    whole_codes,
)
from edits.corpus import Half, Photo, rgb
from edits.edit import Edit, generator
from edits.photometric import encoded
from edits.tally import Outcome
from egide.domain.model import Fingerprint, KeypointSet, Mode
from egide.hashing import fingerprint
from egide.hashing.keypoints import registered
from egide.matching.anchored import NEAR_BITS
from egide.matching.keypoint_proof import prove

PLAIN = "Egide, whole pictures"
TIER_0 = "Egide, tier 0"
ANCHORED = "Egide, anchored alone"
PARTS = "Egide, tier 0 + anchored"
TIER_1 = "Egide, tier 1 alone"
BOTH = "Egide, tiers 0 + 1"
METHODS = (*(peer.name for peer in PEERS), PLAIN, TIER_0, ANCHORED, PARTS, TIER_1, BOTH)


def query_fingerprint(data: bytes) -> Fingerprint:
    """As an audit does: in fast mode, with anchored hashes and keypoints."""
    return fingerprint(data, mode=Mode.FAST, md5=False, anchored=True, keypoints=True)


class Pairwise:
    """Registered pictures in the form that each method keeps."""

    def __init__(self, files: Sequence[tuple[str, bytes]]) -> None:
        """Register files.

        Args:
            files: a key that tells the picture shown, and the bytes.
        """
        self.keys = [key for key, _ in files]
        images = [rgb(Image.open(io.BytesIO(data))) for _, data in files]
        self._peers = {
            peer.name: CodeBank([peer.hash(image)[:1] for image in images], peer.radius_bits)
            for peer in PEERS
        }
        prints = [fingerprint(data, md5=False, anchored=True, keypoints=True) for _, data in files]
        self._anchored = CodeBank([anchored_codes(each) for each in prints], NEAR_BITS)
        self._whole = CodeBank([registered_codes(each, trimmed=False) for each in prints])
        self._tier0 = CodeBank([registered_codes(each, trimmed=True) for each in prints])
        self._keypoints = [
            registered(each.keypoints) for each in prints if each.keypoints is not None
        ]

    def examine(self, edit: str, key: str, data: bytes, others: Sequence[int]) -> Iterator[Outcome]:
        """Ask every method which registered pictures a query shows.

        Args:
            edit: how the query was made.
            key: the picture it shows; any registered picture of another key is a wrong answer.
            data: the query's file.
            others: positions that keypoints are compared with beside the right ones; hashes are
                compared with all.
        """
        image = Image.open(io.BytesIO(data)).convert("RGB")
        for peer in PEERS:
            found = self._peers[peer.name].near(peer.hash(image))
            yield self._outcome(peer.name, edit, key, found, range(len(self.keys)))
        seen = query_fingerprint(data)
        whole = self._whole.near(whole_codes(seen))
        tier0 = self._tier0.near(tier0_codes(seen))
        yield self._outcome(PLAIN, edit, key, whole, range(len(self.keys)))
        yield self._outcome(TIER_0, edit, key, tier0, range(len(self.keys)))
        parts = self._anchored.near(stacked([seen.anchored.codes] if seen.anchored else []))
        yield self._outcome(ANCHORED, edit, key, parts, range(len(self.keys)))
        yield self._outcome(PARTS, edit, key, parts | tier0, range(len(self.keys)))
        right = [place for place, each in enumerate(self.keys) if each == key]
        among = sorted({*right, *others})
        tier1 = {place for place in among if shows(seen, self._keypoints[place])}
        yield self._outcome(TIER_1, edit, key, tier1, among)
        yield self._outcome(BOTH, edit, key, tier1 | (tier0 & set(among)), among)

    def _outcome(
        self, method: str, edit: str, key: str, found: set[int], among: Sequence[int]
    ) -> Outcome:
        right = {place for place in among if self.keys[place] == key}
        return Outcome(
            method,
            edit,
            key,
            bool(found & right) if right else None,
            tuple(sorted({self.keys[place] for place in found - right})),
            len(among) - len(right),
        )


def shows(query: Fingerprint, entry: KeypointSet) -> bool:
    """Whether keypoints alone, straight or mirrored, say that the query shows the entry."""
    if query.keypoints is None or not entry.searchable:
        return False
    sides = {False: query.keypoints.straight, True: query.keypoints.mirrored}
    return any(
        side.searchable and prove(query.keypoints, mirrored, entry, None) is not None
        for mirrored, side in sides.items()
    )


def edited_file(edit: Edit, photo: Photo, fillers: Sequence[Image.Image]) -> bytes:
    """A copy as a platform gets it: edited, then saved as JPEG."""
    return encoded(edit.apply(photo.image(), photo.key, fillers))


def some_others(edit: str, photo: Photo, half: Half, count: int) -> list[int]:
    """Positions of pictures to compare a query with, drawn anew for each query."""
    drawn = generator("others", edit, photo.key).permutation(len(half.photos))
    return np.sort(drawn[:count]).tolist()  # type: ignore[no-any-return]
