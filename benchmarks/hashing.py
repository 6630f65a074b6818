"""How fast and how right hashing is, beside Pillow with pdqhash and threatexchange, on one core.

    python benchmarks/hashing.py [--quick] [--json]

Every picture is read into memory first. Contenders take turns, one picture a turn, in two groups:
first those that decode in full, then those that need milliseconds, as a scan would run them; in one
group the former would sweep the caches before each turn of the latter. The figure of a picture is
the median of its rounds, and of a class the median over its pictures. Ratios are taken picture by
picture, and then their median. The floor is what Pillow needs for a grey decode at 1/8 alone:
`Image.open`, `draft`, `load`. Digests are timed apart, as the floor has none.

Pictures: the photographs of ../shared/corpus. 12 MP: all its JPEGs of at least 8 megapixels (12 to
24; four baseline from a phone, four progressive) as they are, and each of the eight once more as
Pillow saves it at its own size (quality 90, 4:2:0, baseline). Nothing is scaled up. 2 and 0.4 MP:
these eight scaled down (Lanczos, quality 85, 4:2:0), and for 0.4 also the natively 0.3 to 0.6
megapixel photographs. Without that folder: drawings.
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
from PIL import Image, UnidentifiedImageError, features
from threatexchange.signal_type.pdq.signal import PdqSignal

from egide.domain.model import DEFAULT_LIMITS, MIN_MATCHABLE_QUALITY, Mode, Pdq
from egide.hashing import fingerprint
from egide.hashing.frames import hash_frame
from egide.media import decode
from machine import CORPUS, machine_line

if TYPE_CHECKING:
    from collections.abc import Callable

PROJECT = Path(__file__).parents[1]
CLASSES_MP = (0.4, 2.0, 12.0)
TARGETS = {0.4: 4.0, 2.0: 9.0, 12.0: 25.0}
FLOOR_SHARE = 0.75
LARGE_PIXELS = 8_000_000
RATIOS = (
    ("peer", "fast"),
    ("threatexchange", "fast"),
    ("peer", "exact"),
    ("peer", "floor"),
    ("floor", "fast"),
)


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
    # Rounded down: at a size rounded up Pillow would choose 1/4.
    image.draft("L", (image.width // 8, image.height // 8))
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
SLOW = ("peer", "threatexchange", "exact")
QUICK = ("floor", "fast", "fast+digests")
KINDS = ("baseline", "progressive")


def resaved(data: bytes, megapixels: float | None, quality: int = 85) -> bytes:
    """Save a picture as baseline JPEG, scaled unless `megapixels` is None."""
    image = Image.open(io.BytesIO(data)).convert("RGB")
    if megapixels is not None:
        ratio = (megapixels * 1e6 / (image.width * image.height)) ** 0.5
        size = (round(image.width * ratio), round(image.height * ratio))
        image = image.resize(size, Image.Resampling.LANCZOS)
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality, subsampling=2)
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
    files = sorted(p for p in CORPUS.rglob("*") if p.suffix in {".jpg", ".jpeg"})
    large = [data for data in map(Path.read_bytes, files) if _pixels(data) >= LARGE_PIXELS]
    if quick:
        large = large[::4]
    photos = [path.read_bytes() for path in sorted((CORPUS / "photos").glob("*.jpg"))]
    medium = [data for data in photos if 0.3e6 < _pixels(data) < 0.6e6]
    return {
        0.4: [resaved(data, 0.4) for data in large] + medium[: 2 if quick else 24],
        2.0: [resaved(data, 2.0) for data in large],
        12.0: large + [resaved(data, None, quality=90) for data in large],
    }


def _pixels(data: bytes) -> int:
    try:
        width, height = Image.open(io.BytesIO(data)).size
    except UnidentifiedImageError:
        return 0
    return width * height


def _kind(data: bytes) -> str:
    return KINDS[bool(Image.open(io.BytesIO(data)).info.get("progressive"))]


def measure(data: bytes, rounds: int, slow_rounds: int) -> dict[str, float]:
    """The median time in milliseconds of each contender on one picture."""
    taken: dict[str, list[float]] = {name: [] for name in CONTENDERS}
    for group, turns in ((SLOW, slow_rounds), (QUICK, rounds)):
        for number in range(turns + 1):
            for name in group:
                start = time.perf_counter()
                CONTENDERS[name](data)
                if number:  # the first round warms caches
                    taken[name].append((time.perf_counter() - start) * 1e3)
    return {name: statistics.median(times) for name, times in taken.items()}


def speed(quick: bool) -> list[dict[str, float | str]]:
    """Measure each size class, and each kind of coding in it: rows of medians and ratios."""
    rows = []
    for size, files in pictures(quick).items():
        rounds, slow_rounds = (5, 1) if quick else ((21, 3) if size < 12 else (7, 2))
        times = [measure(data, rounds, slow_rounds) for data in files]
        rows.append(_row(size, "all", times))
        kinds = [_kind(data) for data in files]
        if len(set(kinds)) > 1:
            rows += [
                _row(size, kind, [t for t, k in zip(times, kinds, strict=True) if k == kind])
                for kind in KINDS
            ]
    return rows


def _row(size: float, kind: str, times: list[dict[str, float]]) -> dict[str, float | str]:
    row: dict[str, float | str] = {"megapixels": size, "kind": kind, "pictures": len(times)}
    for name in CONTENDERS:
        row[f"{name}_ms"] = statistics.median(t[name] for t in times)
    for one, other in RATIOS:
        row[f"{one}/{other}"] = statistics.median(t[one] / t[other] for t in times)
    return row


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
    print(f"\n{'MP':>5} {'kind':>11} {'n':>3}", end="")
    print(*(f"{name:>14}" for name in CONTENDERS), "   (ms, median)")
    for row in rows:
        print(f"{row['megapixels']:5} {row['kind']:>11} {row['pictures']:3.0f}", end="")
        print(*(f"{row[f'{name}_ms']:14.2f}" for name in CONTENDERS))
    print(f"\n{'MP':>5} {'kind':>11} {'peer/fast':>10} {'target':>7} {'te/fast':>8}", end="")
    print(f" {'peer/exact':>11} {'peer/floor':>11} {'floor/fast':>11} {'target':>7}")
    for row in rows:
        goal = TARGETS[float(row["megapixels"])]
        print(
            f"{row['megapixels']:5} {row['kind']:>11} {row['peer/fast']:9.1f}× {goal:6.0f}×"
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
