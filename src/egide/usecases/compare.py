"""The one door for asking how near two fingerprints are to each other, without any bank."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from egide.domain.model import DEFAULT_RADIUS_BITS, FILE_SIGNALS

if TYPE_CHECKING:
    from egide.domain.model import Fingerprint, Transform


@dataclass(frozen=True, slots=True)
class Compared:
    """How near two fingerprints are.

    Attributes:
        distance: bits in which the PDQs of the first frames differ; None if either has no PDQ.
        transform: what was done to the second picture; None if its variants are unknown.
        same_file: whether their digests are equal; None if they share no kind of digest.
        within_default_radius: whether a bank would match them; None without a distance.
    """

    distance: int | None
    transform: Transform | None
    same_file: bool | None
    within_default_radius: bool | None


def compare(a: Fingerprint, b: Fingerprint) -> Compared:
    """Compare two fingerprints; if `b` has variants, the nearest one counts."""
    distance = transform = None
    if a.pdq is not None and b.pdq is not None:
        code = int.from_bytes(a.pdq.code)
        distance, transform = min(
            (
                ((code ^ int.from_bytes(variant)).bit_count(), transform)
                for transform, variant in b.pdq.queries()
            ),
            key=lambda found: found[0],
        )
        if not b.pdq.variants:
            transform = None
    pairs = ((a.digests(signal), b.digests(signal)) for signal in FILE_SIGNALS)
    same_file = next((one == other for one, other in pairs if one and other), None)
    near = None if distance is None else distance <= DEFAULT_RADIUS_BITS
    return Compared(distance, transform, same_file, near)
