"""Choose the order of descriptor bits in `egide.index.keypoint_bits`, on the development half.

    python benchmarks/keypoint_bits.py

Prints bands of 22 bits and what each number of bits finds. Deterministic: the same corpus and
OpenCV give the same order. The order in use was made by this procedure with an early form of the
extraction and of the edits; running it again gives other bits of equal worth.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edits.corpus import half
from edits.suite import EDITS
from egide.hashing.keypoint_set import view
from egide.hashing.keypoints import extract
from egide.media.picture import Frame

PICTURES = 60
EDITS_EACH = 8
PAIRS_EACH = 60
"""Pairs taken of one picture and edit, so that none dominates."""
NEAREST_BITS, FARTHEST_BITS = 24, 60
BANDS = 8
BAND_BITS = 22
TRIED = 80
"""Bits that compete for a place."""
SECOND_CHANCE = 0.15
"""What a pair that differs in a bit of the band still counts, as one bit is probed."""
PROBED_ROWS = 6_000_000

Bits = NDArray[np.uint8]


def collect(rng: np.random.Generator) -> tuple[NDArray[np.bool_], Bits]:
    """Return where the bits of true pairs agree, and the bits of descriptors at large."""
    import cv2

    matcher = cv2.BFMatcher(cv2.NORM_HAMMING)
    agreed, at_large = [], []
    fillers = [photo.image() for photo in half("dev").fillers]
    for photo in half("dev").photos[:PICTURES]:
        pixels = np.asarray(photo.image())
        own = extract(Frame(pixels, *pixels.shape[:2])).straight
        at_large.append(view(own).descriptors)
        for number in rng.permutation(len(EDITS))[:EDITS_EACH]:
            pixels = np.asarray(EDITS[number].apply(photo.image(), photo.key, fillers))
            query = extract(Frame(pixels, *pixels.shape[:2]))
            for side in (view(query.straight), view(query.mirrored)):
                pairs = matcher.match(side.descriptors, view(own).descriptors)
                ours = np.array([pair.queryIdx for pair in pairs], np.intp)
                theirs = np.array([pair.trainIdx for pair in pairs], np.intp)
                if len(pairs) < 8:
                    continue
                reach = 6 * max(pixels.shape) / 640
                _, inliers = cv2.estimateAffine2D(
                    view(own).points[theirs], side.points[ours], ransacReprojThreshold=reach
                )
                if inliers is None or np.count_nonzero(inliers) < 8:
                    continue
                kept = rng.permutation(np.flatnonzero(inliers))[:PAIRS_EACH]
                first = np.unpackbits(side.descriptors[ours[kept]], axis=1)
                second = np.unpackbits(view(own).descriptors[theirs[kept]], axis=1)
                agreed.append(first == second)
    agree = np.concatenate(agreed)
    apart = 256 - agree.sum(axis=1)
    agree = agree[(apart >= NEAREST_BITS) & (apart <= FARTHEST_BITS)]
    return agree, np.unpackbits(np.concatenate(at_large), axis=1)


def shared(keys: NDArray[np.int64]) -> float:
    """Return the chance that two of these have the same key."""
    counts = np.unique(keys, return_counts=True)[1].astype(np.float64)
    return max(float((counts * (counts - 1)).sum() / len(keys) / (len(keys) - 1)), 1e-10)


def choose(
    agree: NDArray[np.bool_], sample: Bits, free: list[int], rng: np.random.Generator
) -> list[int]:
    """Choose one band: bit after bit the one that separates best for what it loses."""
    chosen = [int(rng.choice(free))]
    keys = sample[:, chosen[0]].astype(np.int64)
    worth = np.where(agree[:, chosen[0]], 1, SECOND_CHANCE)
    while len(chosen) < BAND_BITS:
        rest = [bit for bit in rng.permutation(free).tolist()[:TRIED] if bit not in chosen]
        merits = [
            np.log(shared(keys) / shared(2 * keys + sample[:, bit]))
            / np.log(worth.mean() / (worth * np.where(agree[:, bit], 1, SECOND_CHANCE)).mean())
            for bit in rest
        ]
        best = rest[int(np.argmax(merits))]
        chosen.append(best)
        keys = 2 * keys + sample[:, best]
        worth = worth * np.where(agree[:, best], 1, SECOND_CHANCE)
    return chosen


def main() -> None:
    """Choose, and print."""
    rng = np.random.default_rng(5)
    agree, at_large = collect(rng)
    sample = at_large[rng.permutation(len(at_large))[:20_000]]
    free = list(range(256))
    bands: list[list[int]] = []
    for _ in range(BANDS):
        bands.append(choose(agree, sample, free, rng))
        free = [bit for bit in free if bit not in bands[-1]]
        print(bands[-1], flush=True)
    for bits in (18, 20, BAND_BITS):
        missed = np.stack([(~agree[:, band[:bits]]).sum(axis=1) for band in bands[:6]])
        keys = [sample[:, band[:bits]] @ (1 << np.arange(bits)) for band in bands[:6]]
        rows = PROBED_ROWS * sum(map(shared, keys))
        print(f"{bits} bits, 6 bands: {(missed.min(axis=0) <= 1).mean():.1%} of pairs are within")
        print(f"a bit in some band; {rows:.0f} rows of {PROBED_ROWS} share a bucket with a query")


if __name__ == "__main__":
    main()
