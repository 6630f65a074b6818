"""The drawings are what tests and the demonstration need them to be."""

import csv
import hashlib
from itertools import combinations
from pathlib import Path

import numpy as np

from drawings import drawings
from egide.hashing import fingerprint

VECTORS = list(
    csv.DictReader((Path(__file__).parents[1] / "vectors/drawings.csv").read_text().splitlines())
)


def test_drawings_never_change():
    for size in {(int(v["width"]), int(v["height"])) for v in VECTORS}:
        rows = [v for v in VECTORS if (int(v["width"]), int(v["height"])) == size]
        for row, (name, picture) in zip(rows, drawings(len(rows), size=size), strict=True):
            digest = hashlib.sha256(np.asarray(picture).tobytes()).hexdigest()
            assert (name, digest[:16]) == (row["drawing"], row["pixels_sha256_16"])


def test_drawings_are_detailed_and_unlike_each_other():
    found = [fingerprint(picture).pdq for _, picture in drawings(40, size=(384, 256))]
    assert min(pdq.quality for pdq in found) >= 80
    codes = [int.from_bytes(pdq.code) for pdq in found]
    assert min((a ^ b).bit_count() for a, b in combinations(codes, 2)) > 80


def test_a_longer_series_begins_with_the_shorter_one():
    short = [(n, p.tobytes()) for n, p in drawings(3, seed=2, size=(96, 64))]
    assert short == [(n, p.tobytes()) for n, p in drawings(9, seed=2, size=(96, 64))][:3]
