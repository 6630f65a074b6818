"""Fingerprints of public photographs against the reference's, and fast mode against exact."""

import csv
import io

import numpy as np
import pytest
from PIL import Image, ImageOps

from egide.domain.model import MIN_MATCHABLE_QUALITY, Mode
from egide.hashing import fingerprint
from shared_folder import CORPUS, VECTORS, needs_shared

pytestmark = [needs_shared, pytest.mark.slow]


def bits_apart(one: bytes, other: bytes) -> int:
    return (int.from_bytes(one) ^ int.from_bytes(other)).bit_count()


def test_exact_mode_equals_the_reference_on_every_rgb_vector():
    compared = 0
    with (VECTORS / "pdq.csv").open() as file:
        for row in csv.DictReader(file):
            if row["mode"] != "RGB" or int(row["width"]) * int(row["height"]) > 3_000_000:
                continue
            found = fingerprint(CORPUS / row["file"]).pdq
            assert (found.code.hex(), found.quality) == (row["pdq_hex"], int(row["quality"]))
            compared += 1
    assert compared >= 100


def test_fast_mode_is_near_exact_mode():
    distances = []
    photos = sorted((CORPUS / "photos").glob("*.jpg"))[::6]
    others = sorted((CORPUS / "albums").rglob("*.jpg")) + sorted((CORPUS / "pdq").rglob("*.jpg"))
    for path in photos + others:
        exact = fingerprint(path)
        if exact.pdq.quality < MIN_MATCHABLE_QUALITY:
            continue
        fast = fingerprint(path, mode=Mode.FAST)
        distances.append(bits_apart(exact.pdq.code, fast.pdq.code))
        assert (fast.sha256, fast.width, fast.height) == (exact.sha256, exact.width, exact.height)
    assert len(distances) > 90
    assert max(distances) <= 10
    assert np.mean(distances) <= 1.0


def test_every_colour_mode_is_near_the_original():
    folder = CORPUS / "pdq/misc-images/modes"
    original = fingerprint(folder / "original.jpg").pdq.code
    pictures = [p for p in folder.iterdir() if p.suffix in {".png", ".jpg", ".webp"}]
    assert len(pictures) > 10
    for path in pictures:
        for mode in Mode:
            assert bits_apart(fingerprint(path, mode=mode).pdq.code, original) <= 6, path.name


def test_exif_rotated_photographs_meet_their_upright_copies():
    for path in sorted((CORPUS / "pdq/reg-test-input/exif-rotn").glob("*.jpg"))[1:]:
        upright = ImageOps.exif_transpose(Image.open(path)).resize((1008, 756))
        file = io.BytesIO()
        upright.save(file, "PNG")
        registered = fingerprint(file.getvalue(), mode=Mode.FAST).pdq.code
        query = fingerprint(path, mode=Mode.FAST).pdq
        assert min(bits_apart(code, registered) for _, code in query.queries()) <= 10
