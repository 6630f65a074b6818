"""How long a query takes, on one core, one after the other."""

from __future__ import annotations

import io
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image

from edits.bank import Bank
from edits.pairwise import BOTH, PARTS, PLAIN, TIER_0
from egide.domain.model import Mode
from egide.hashing import fingerprint

TIMED = (PLAIN, TIER_0, PARTS, BOTH)


@dataclass(frozen=True, slots=True)
class Speed:
    """Times of one run.

    Attributes:
        registered: pictures in the bank.
        build_s: building both indexes.
        keypoint_bytes: of the keypoint index, for each registered picture.
        queries: how many were timed.
        median_ms: by method, from decoded brightness to matches.
        file_ms: by method, the median from the file's bytes to matches.
        slowest_ms: by method, the longest such time.
    """

    registered: int
    build_s: float
    keypoint_bytes: float
    queries: int
    median_ms: dict[str, float]
    file_ms: dict[str, float]
    slowest_ms: dict[str, float]


def measure_speed(bank: Bank, build_s: float, queries: Sequence[bytes]) -> Speed:
    """Time queries by whole pictures, by tier 0, and by both tiers, in turns."""
    taken: dict[str, list[float]] = {method: [] for method in TIMED}
    whole: dict[str, list[float]] = {method: [] for method in TIMED}
    for data in queries:
        image = Image.open(io.BytesIO(data)).convert("L")
        for method in TIMED:
            for source, times in ((image, taken), (data, whole)):
                start = time.perf_counter()
                seen = fingerprint(
                    source,
                    mode=Mode.FAST,
                    md5=False,
                    regions=method != PLAIN,
                    anchored=method == PARTS,
                    keypoints=method == BOTH,
                )
                bank.find(seen, method)
                times[method].append((time.perf_counter() - start) * 1e3)
    return Speed(
        registered=len(bank),
        build_s=build_s,
        keypoint_bytes=bank.keypoints.bytes_per_picture,
        queries=len(queries),
        median_ms={method: statistics.median(times) for method, times in taken.items()},
        file_ms={method: statistics.median(times) for method, times in whole.items()},
        slowest_ms={method: max(times) for method, times in taken.items()},
    )
