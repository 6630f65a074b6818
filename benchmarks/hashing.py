"""How fast and how right hashing is, beside Pillow with pdqhash and threatexchange, on one core.

    python benchmarks/hashing.py [--quick] [--json]

Every picture is read into memory first. In each round every contender hashes the same picture once,
in turn; the figure of a picture is the median of its rounds, and of a class the median over its
pictures. Ratios are taken picture by picture, and then their median. The floor is what Pillow needs
for a grey decode at 1/8 alone: `Image.open`, `draft`, `load`.

Pictures: the photographs of ../shared/corpus. 12 MP: its natively large JPEGs (12 to 24 megapixels;
four baseline from a phone, four progressive) as they are, and the baseline ones once more as saved
anew by Pillow (quality 85, 4:2:0). 2 and 0.4 MP: the same scaled down (Lanczos, quality 85, 4:2:0),
and for 0.4 also the natively 0.3 to 0.6 megapixel photographs. Without that folder: drawings.
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import io
import json
import statistics
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pdqhash
from PIL import Image, features
from threatexchange.signal_type.pdq.signal import PdqSignal

from egide.hashing import fingerprint
from egide.hashing.fingerprint import hash_frame
from egide.media import decode
from egide.model import DEFAULT_LIMITS, MIN_MATCHABLE_QUALITY, Mode, Pdq
from machine import CORPUS, machine_line

if TYPE_CHECKING:
    from collections.abc import Callable

PROJECT = Path(__file__).parents[1]
CLASSES_MP = (0.4, 2.0, 12.0)
TARGETS = {0.4: 4.0, 2.0: 9.0, 12.0: 25.0}
FLOOR_SHARE = 0.75


def peer(data: bytes) -> None:
    """Hash as most do: Pillow in full, then pdqhash."""
    image = Image.open(io.BytesIO(data))
    image.load()
    pdqhash.compute(np.asarray(image.convert("RGB")))


def signal(data: bytes) -> None:
    """Hash with threatexchange."""
    PdqSignal.hash_from_bytes(data)


def floor(data: bytes) -> None:
    """Decode grey at 1/8, and no more."""
    image = Image.open(io.BytesIO(data))
    image.draft("L", (-(-image.width // 8), -(-image.height // 8)))
    image.load()


def _pdq(data: bytes, mode: Mode) -> Pdq:
    picture = decode(data, name="bench", mode=mode, limits=DEFAULT_LIMITS)
    return hash_frame(next(picture.frames), mode)


def fast(data: bytes) -> None:
    """Hash in fast mode, with the eight variants."""
    _pdq(data, Mode.FAST)


def exact(data: bytes) -> None:
    """Hash in exact mode, with the eight variants."""
    _pdq(data, Mode.EXACT)


def whole(data: bytes) -> None:
    """Compute the whole fingerprint in fast mode, with SHA-256 and MD5."""
    fingerprint(data, mode=Mode.FAST)


CONTENDERS: dict[str, Callable[[bytes], None]] = {
    "peer": peer,
    "threatexchange": signal,
    "exact": exact,
    "floor": floor,
    "fast": fast,
    "fast+digests": whole,
}
SLOW = {"peer", "threatexchange", "exact"}


def resaved(data: bytes, megapixels: float) -> bytes:
    """Scale a picture and save it as JPEG."""
    image = Image.open(io.BytesIO(data)).convert("RGB")
    ratio = (megapixels * 1e6 / (image.width * image.height)) ** 0.5
    size = (round(image.width * ratio), round(image.height * ratio))
    file = io.BytesIO()
    image.resize(size, Image.Resampling.LANCZOS).save(file, "JPEG", quality=85, subsampling=2)
    return file.getvalue()


def pictures(quick: bool) -> dict[float, list[bytes]]:
    """The pictures of each size class."""
    if not CORPUS.is_dir():
        sys.path.insert(0, str(PROJECT / "demo"))
        from drawings import drawings

        drawn = []
        for _, image in drawings(4 if quick else 12):
            file = io.BytesIO()
            image.save(file, "PNG")
            drawn.append(file.getvalue())
        return {size: [resaved(data, size) for data in drawn] for size in CLASSES_MP}
    phone = sorted((CORPUS / "pdq/reg-test-input/exif-rotn").glob("*.jpg"))
    albums = sorted((CORPUS / "albums/text").glob("*.jpg"))
    if quick:
        phone, albums = phone[:1], albums[:1]
    large = [path.read_bytes() for path in phone + albums]
    photos = [path.read_bytes() for path in sorted((CORPUS / "photos").glob("*.jpg"))]
    medium = [data for data in photos if 0.3e6 < _pixels(data) < 0.6e6]
    return {
        0.4: [resaved(data, 0.4) for data in large] + medium[: 2 if quick else 24],
        2.0: [resaved(data, 2.0) for data in large],
        12.0: large + [resaved(path.read_bytes(), 12.19) for path in phone],
    }


def _pixels(data: bytes) -> int:
    width, height = Image.open(io.BytesIO(data)).size
    return width * height


def measure(data: bytes, rounds: int, slow_rounds: int) -> dict[str, float]:
    """The median time in milliseconds of each contender on one picture."""
    taken: dict[str, list[float]] = {name: [] for name in CONTENDERS}
    for number in range(rounds + 1):
        for name, run in CONTENDERS.items():
            if name in SLOW and number > slow_rounds:
                continue
            start = time.perf_counter()
            run(data)
            if number:  # the first round warms caches
                taken[name].append((time.perf_counter() - start) * 1e3)
    return {name: statistics.median(times) for name, times in taken.items()}


def speed(quick: bool) -> list[dict[str, float]]:
    """Measure each size class: a row of medians and ratios."""
    rows = []
    for size, files in pictures(quick).items():
        rounds, slow_rounds = (
            ((5, 1) if quick else (15, 3)) if size < 12 else ((3, 1) if quick else (5, 2))
        )
        times = [measure(data, rounds, slow_rounds) for data in files]
        row: dict[str, float] = {"megapixels": size, "pictures": len(files)}
        for name in CONTENDERS:
            row[f"{name}_ms"] = statistics.median(t[name] for t in times)
        row["peer/fast"] = statistics.median(t["peer"] / t["fast"] for t in times)
        row["threatexchange/fast"] = statistics.median(
            t["threatexchange"] / t["fast"] for t in times
        )
        row["peer/exact"] = statistics.median(t["peer"] / t["exact"] for t in times)
        row["peer/floor"] = statistics.median(t["peer"] / t["floor"] for t in times)
        row["floor/fast"] = statistics.median(t["floor"] / t["fast"] for t in times)
        rows.append(row)
    return rows


def accuracy(quick: bool) -> dict[str, float] | None:
    """Bits and quality points between fast and exact, over the whole corpus."""
    if not CORPUS.is_dir():
        return None
    kinds = {".jpg", ".jpeg", ".png", ".webp", ".avif"}
    paths = sorted(p for p in CORPUS.rglob("*") if p.suffix in kinds)
    bits, points = [], []
    for path in paths[:: 8 if quick else 1]:
        data = path.read_bytes()
        reference = _pdq(data, Mode.EXACT)
        if reference.quality is None or reference.quality < MIN_MATCHABLE_QUALITY:
            continue
        found = _pdq(data, Mode.FAST)
        bits.append((int.from_bytes(reference.code) ^ int.from_bytes(found.code)).bit_count())
        points.append(abs(reference.quality - (found.quality or 0)))
    return {
        "pictures": len(bits),
        "mean_bits": float(np.mean(bits)),
        "p99_bits": float(np.percentile(bits, 99)),
        "max_bits": float(max(bits)),
        "share_equal": float(np.mean(np.array(bits) == 0)),
        "max_quality_points": float(max(points)),
    }


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="few pictures and rounds")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    rows = speed(options.quick)
    near = accuracy(options.quick)
    where = "../shared/corpus" if CORPUS.is_dir() else "drawings, as ../shared is absent"
    machine = f"{machine_line()}, libjpeg-turbo {features.version('libjpeg_turbo')}; {where}"
    if options.json:
        print(json.dumps({"machine": machine, "speed": rows, "accuracy": near}))
        return 0
    print(machine)
    names = list(CONTENDERS)
    print(f"\n{'MP':>5} {'n':>3}", *(f"{name:>14}" for name in names), "   (ms, median)")
    for row in rows:
        values = (f"{row[f'{name}_ms']:14.2f}" for name in names)
        print(f"{row['megapixels']:5} {row['pictures']:3.0f}", *values)
    print(f"\n{'MP':>5} {'peer/fast':>10} {'target':>7} {'te/fast':>8} {'peer/exact':>11}", end="")
    print(f" {'peer/floor':>11} {'floor/fast':>11} {'target':>7}")
    for row in rows:
        print(
            f"{row['megapixels']:5} {row['peer/fast']:9.1f}× {TARGETS[row['megapixels']]:6.0f}×"
            f" {row['threatexchange/fast']:7.1f}× {row['peer/exact']:10.1f}×"
            f" {row['peer/floor']:10.1f}× {row['floor/fast']:11.2f} {FLOOR_SHARE:7.2f}"
        )
    if near:
        print(
            f"\nfast against exact, {near['pictures']} pictures of quality ≥ 50: mean"
            f" {near['mean_bits']:.2f}, p99 {near['p99_bits']:.0f}, max {near['max_bits']:.0f} bits"
            f" (targets: mean 1.0, max 10); equal {near['share_equal']:.0%};"
            f" quality within {near['max_quality_points']:.0f} points"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
