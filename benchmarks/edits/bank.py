"""A bank of thousands of pictures, searched as the product searches it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from PIL import Image, ImageOps

from edits.edit import generator
from edits.geometric import cropped
from edits.pairwise import BOTH, PARTS, PLAIN, TIER_0, query_fingerprint
from edits.photometric import coloured, encoded
from edits.replaced import Shape, replaced
from edits.tally import Outcome
from egide.domain.model import AnchoredHashes, Fingerprint, KeypointSet, Match
from egide.domain.model import Bank as BankRecord
from egide.hashing import fingerprint
from egide.hashing.keypoints import registered
from egide.index.keypoints import KeypointIndex
from egide.index.snapshot import Snapshot
from egide.index.snapshot_build import build_snapshot
from egide.matching import Matcher, ThoroughMatcher
from entries import BANK, NOW, entry

_DISTRACTOR_SIZE = (480, 360)


@dataclass(frozen=True, slots=True)
class Kept:
    """What registering keeps of a picture."""

    key: str
    pdqs: tuple[bytes, ...]
    trimmed_pdqs: tuple[bytes, ...]
    anchored: AnchoredHashes | None
    keypoints: KeypointSet


def keep(key: str, data: bytes) -> Kept:
    """Fingerprint a file as registering does."""
    found = fingerprint(data, md5=False, anchored=True, keypoints=True)
    assert found.keypoints is not None
    return Kept(
        key,
        tuple(pdq.code for pdq in found.frames if pdq.matchable),
        tuple(region.pdq.code for region in found.regions if region.trimmed),
        None if found.anchored is None else found.anchored.registered(),
        registered(found.keypoints),
    )


def distractor(number: int, sources: Sequence[Image.Image]) -> bytes:
    """A picture that is no copy of any other: parts of two photos, one set softly into the other.

    Args:
        number: another number gives another picture.
        sources: photos that are neither registered nor searched for.
    """
    rng = generator("distractor", str(number))
    ground, part = (
        cropped(sources[place], *(float(share) for share in rng.uniform((0.4, 0, 0), (0.8, 1, 1))))
        for place in rng.permutation(len(sources))[:2]
    )
    if rng.integers(2):
        ground = ImageOps.mirror(ground)
    ground = ImageOps.fit(ground, _DISTRACTOR_SIZE)
    mixed = replaced(ground, rng, [part], float(rng.uniform(0.35, 0.6)), Shape.ELLIPSE)
    return encoded(coloured(mixed, *(float(factor) for factor in rng.uniform(0.8, 1.2, 3))))


class Bank:
    """Registered pictures in a snapshot and a keypoint index.

    Attributes:
        keypoints: the index of keypoints.
    """

    def __init__(self, kept: Sequence[Kept], path: Path) -> None:
        """Build both indexes; `path` is where the snapshot is written."""
        self._keys = [each.key for each in kept]
        build_snapshot(
            path,
            store_id="bench",
            revision=1,
            banks=[BankRecord(1, BANK, 31, "", enabled=True)],
            entries=(
                entry(
                    number,
                    each.pdqs,
                    each.trimmed_pdqs,
                    anchored=each.anchored,
                    has_keypoints=True,
                )
                for number, each in enumerate(kept, 1)
            ),
            created=NOW,
        )
        self._snapshot = Snapshot.open(path)
        self._tier0 = Matcher(self._snapshot)
        self.keypoints = KeypointIndex.build(
            (number, each.keypoints) for number, each in enumerate(kept, 1)
        )
        self._both = ThoroughMatcher(self._tier0, self.keypoints)

    def __len__(self) -> int:
        """How many pictures are registered."""
        return len(self._keys)

    def find(self, seen: Fingerprint, method: str) -> list[Match]:
        """Search by whole pictures, by tier 0, with anchored hashes, or with keypoints."""
        if method == PLAIN:
            seen = replace(seen, regions=())
        if method != PARTS:
            seen = replace(seen, anchored=None)
        return (self._both if method == BOTH else self._tier0).match([seen])[0]

    def examine(self, edit: str, key: str, data: bytes) -> Iterator[Outcome]:
        """Ask which registered pictures a query shows; see `Pairwise.examine`."""
        seen = query_fingerprint(data)
        right = self._keys.count(key)
        for method in (PLAIN, TIER_0, PARTS, BOTH):
            found = {self._keys[match.entry - 1] for match in self.find(seen, method)}
            wrong = tuple(sorted(found - {key}))
            yield Outcome(
                method, edit, key, key in found if right else None, wrong, len(self) - right
            )
