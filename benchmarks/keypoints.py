"""Searching keypoints: time of each step, memory, and what the index misses of what pairs find.

    python benchmarks/keypoints.py [--size 10000] [--pictures 40] [--json]

On the development half of the corpus; the figures on the report half are those of
`make bench-edits`. Times are of one core, decoding and tier 0 left out.
"""

from __future__ import annotations

import os

os.environ["OPENBLAS_NUM_THREADS"] = "1"

import argparse
import io
import json
import statistics
import sys
import time
from dataclasses import dataclass, field
from functools import cache
from multiprocessing import get_context
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from edits.bank import distractor
from edits.corpus import half
from edits.suite import EDITS
from egide.domain.model import Mode
from egide.hashing.frames import hash_frame, hash_regions
from egide.hashing.keypoint_set import pack, unpack
from egide.hashing.keypoints import extract, registered
from egide.index.keypoints import KeypointIndex
from egide.matching.keypoint_proof import prove
from egide.media.picture import Frame
from machine import machine_line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egide.domain.model import KeypointQuery

BESIDE = 20
"""Pictures that edits put beside or into another."""
EVERY_EDIT = 3
"""Each picture is searched for under one in so many of the edits."""


@dataclass
class Figures:
    """What is counted, a value a query."""

    extract_ms: list[float] = field(default_factory=list)
    candidates_ms: list[float] = field(default_factory=list)
    prove_ms: list[float] = field(default_factory=list)
    proved: list[int] = field(default_factory=list)
    pairwise: list[bool] = field(default_factory=list)
    indexed: list[bool] = field(default_factory=list)
    unrelated: list[int] = field(default_factory=list)


def frame(image: Image.Image) -> Frame:
    """Return an RGB image as it is decoded."""
    pixels = np.asarray(image)
    return Frame(pixels, *pixels.shape[:2])


def keypoints(image: Image.Image) -> KeypointQuery:
    """Find the keypoints of an RGB image, without looking for parts."""
    return extract(frame(image))


@cache
def fillers() -> tuple[Image.Image, ...]:
    """Return the photos that are neither registered nor searched for."""
    return tuple(photo.image() for photo in half("dev").fillers)


def made_up(number: int) -> bytes:
    """Return the packed keypoints of one picture that is no copy of any other."""
    image = Image.open(io.BytesIO(distractor(number, fillers()))).convert("RGB")
    return pack(registered(keypoints(image)))


def run(size: int, pictures: int) -> dict[str, object]:
    """Measure everything with `size` pictures registered, `pictures` of them searched for."""
    photos = half("dev").photos[:pictures]
    known = [registered(keypoints(photo.image())) for photo in photos]
    with get_context("spawn").Pool(len(os.sched_getaffinity(0))) as pool:
        others = pool.map(made_up, range(size - len(photos)), chunksize=16)
    sets = [*known, *(unpack(data) for data in others)]
    start = time.perf_counter()
    index = KeypointIndex.build(enumerate(sets))
    build_s = time.perf_counter() - start
    figures = Figures()
    # Not the sources of the bank's other pictures, which would then rightly be found.
    beside = [photo.image() for photo in half("dev").photos[pictures : pictures + BESIDE]]
    for place, photo in enumerate(photos):
        for edit in EDITS[place % EVERY_EDIT :: EVERY_EDIT]:
            measure(edit.apply(photo.image(), photo.key, beside), place, index, figures)
        print(f"{place + 1} of {len(photos)} pictures", file=sys.stderr)
    total = np.sum([figures.extract_ms, figures.candidates_ms, figures.prove_ms], axis=0)
    return {
        "machine": machine_line(),
        "pictures": len(index),
        "keypoints": sum(one.count for one in sets),
        "build_s": build_s,
        "bytes_per_picture": index.bytes_per_picture,
        "queries": len(figures.pairwise),
        "median_ms": {
            "all": float(np.median(total)),
            "extract": statistics.median(figures.extract_ms),
            "candidates": statistics.median(figures.candidates_ms),
            "prove": statistics.median(figures.prove_ms),
        },
        "slowest_ms": float(total.max()),
        "proved_of_a_query": statistics.mean(figures.proved),
        "recall_pairwise": statistics.mean(figures.pairwise),
        "recall_indexed": statistics.mean(figures.indexed),
        "false_matches": sum(figures.unrelated),
    }


def measure(image: Image.Image, place: int, index: KeypointIndex, figures: Figures) -> None:
    """Search for one edited picture, registered as `place`, by the index and by its pair alone."""
    shown = frame(image)
    regions = hash_regions(shown, hash_frame(shown, Mode.FAST))
    parts = [region.rectangle for region in regions]
    times = [time.perf_counter()]
    query = extract(shown, parts)
    times.append(time.perf_counter())
    candidates = index.candidates(query)
    times.append(time.perf_counter())
    found = {
        one.picture
        for one in candidates.found
        if prove(
            query,
            one.mirrored,
            index.keypoint_set(one.picture),
            candidates.usable_mirrored if one.mirrored else candidates.usable,
        )
    }
    times.append(time.perf_counter())
    taken = np.diff(times) * 1e3
    figures.extract_ms.append(float(taken[0]))
    figures.candidates_ms.append(float(taken[1]))
    figures.prove_ms.append(float(taken[2]))
    figures.proved.append(len(candidates.found))
    figures.indexed.append(place in found)
    figures.unrelated.append(len(found - {place}))
    own = index.keypoint_set(place)
    figures.pairwise.append(
        any(prove(query, mirrored, own, None) is not None for mirrored in (False, True))
    )


def lines(value: object, name: str = "") -> Iterator[str]:
    """Give each figure a line."""
    if isinstance(value, dict):
        for key, part in value.items():
            yield from lines(part, f"{name}.{key}" if name else key)
    else:
        yield f"{name:24} {f'{value:,.4g}' if isinstance(value, float) else value}"


def main() -> None:
    """Parse the arguments and print the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--size", type=int, default=10_000)
    parser.add_argument("--pictures", type=int, default=40)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    figures = run(options.size, options.pictures)
    print(json.dumps(figures) if options.json else "\n".join(lines(figures)))


if __name__ == "__main__":
    main()
