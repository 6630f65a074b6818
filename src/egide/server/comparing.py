"""How near two fingerprints are to one another, without any bank."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from egide.domain.model import DEFAULT_RADIUS_BITS

if TYPE_CHECKING:
    from egide.domain.model import Fingerprint


def compare_fingerprints(a: Fingerprint, b: Fingerprint) -> dict[str, Any]:
    """Return the fields of `CompareResponse`.

    The first frames' PDQ are compared; where the variants of `b` are known, the nearest of them.
    """
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
    pairs = ((a.sha256, b.sha256), (a.md5, b.md5))
    same = next((one == other for one, other in pairs if one and other), None)
    return {
        "distance": distance,
        "transform": transform,
        "same_file": same,
        "within_default_radius": None if distance is None else distance <= DEFAULT_RADIUS_BITS,
    }
