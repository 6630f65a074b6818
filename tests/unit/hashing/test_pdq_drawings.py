"""The drawings are what tests and the demonstration need them to be."""

from itertools import combinations

from drawings import drawings
from egide.hashing import fingerprint


def test_drawings_are_detailed_and_unlike_each_other():
    found = [fingerprint(picture).pdq for _, picture in drawings(24, size=(384, 256))]
    assert min(pdq.quality for pdq in found) >= 80
    codes = [int.from_bytes(pdq.code) for pdq in found]
    assert min((a ^ b).bit_count() for a, b in combinations(codes, 2)) > 80


def test_a_longer_series_begins_with_the_shorter_one():
    short = [(n, p.tobytes()) for n, p in drawings(3, seed=2, size=(96, 64))]
    assert short == [(n, p.tobytes()) for n, p in drawings(9, seed=2, size=(96, 64))][:3]
