"""Uploads of two-megapixel photographs, each client sending the next when one is answered."""

from __future__ import annotations

import io
import json
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, UnidentifiedImageError

import egide
from machine import CORPUS
from service.client import Connection, multipart
from service.plan import EFFECT_S, BenchmarkFailed
from service.progress import say
from service.writes import register

if TYPE_CHECKING:
    from collections.abc import Iterator

    from service.plan import Plan
    from service.prepared import Keys
    from service.served import Server

PIXELS = 2_000_000
_QUALITY = 85
_DRAWN = 8
_DRAWN_SIZE = (1800, 1200)
_WARM_UP = 32


@dataclass(frozen=True, slots=True)
class Uploads:
    """How quick uploads are.

    Attributes:
        pictures: different ones that were sent.
        drawn: whether they are drawings, where there are no photographs.
        mean_bytes: of their files.
        per_s: pictures a second, of each run.
        p50_ms: of the time from sending one to its answer, in all runs.
        p99_ms: likewise.
    """

    pictures: int
    drawn: bool
    mean_bytes: float
    per_s: tuple[float, ...]
    p50_ms: float
    p99_ms: float

    @property
    def median_per_s(self) -> float:
        """Pictures a second, the median of the runs."""
        return statistics.median(self.per_s)


def measure_uploads(server: Server, keys: Keys, plan: Plan) -> Uploads:
    """Register every picture's PDQ, then upload them in turn; each has to meet its entry."""
    drawn = not CORPUS.is_dir()
    files = list(_drawings() if drawn else _photographs())
    codes = [egide.fingerprint(data).frames[0].code for data in files]
    with Connection(server.address, keys.curator) as curator:
        entries = register(curator, codes)
    time.sleep(2 * EFFECT_S)
    forms = [multipart(data) for data in files]
    rates: list[float] = []
    latencies_s: list[float] = []
    for number in range(plan.uploads_runs + 1):
        warming = number == 0
        taken_s, each_s = _run(
            server, keys.matcher, forms, entries, plan, most=_WARM_UP if warming else None
        )
        if not warming:
            rates.append(len(each_s) / taken_s)
            latencies_s += each_s
            say(f"uploads: {rates[-1]:.1f} pictures/s")
    p50, p99 = np.percentile(latencies_s, (50, 99)) * 1e3
    mean_bytes = statistics.fmean(map(len, files))
    return Uploads(len(files), drawn, mean_bytes, tuple(rates), float(p50), float(p99))


def _run(
    server: Server,
    token: str,
    forms: list[tuple[str, bytes]],
    entries: list[int],
    plan: Plan,
    most: int | None,
) -> tuple[float, list[float]]:
    """Upload for as long as planned; return the seconds it took, and those of each upload."""
    numbers = count()
    began = time.perf_counter()
    until = began + plan.uploads_s

    def upload(_client: int) -> list[float]:
        each_s = []
        with Connection(server.address, token) as connection:
            while time.perf_counter() < until:
                number = next(numbers)
                if most is not None and number >= most:
                    break
                kind, body = forms[number % len(forms)]
                sent_s = time.perf_counter()
                answer = connection.ask("POST", "/v1/match", body, kind)
                each_s.append(time.perf_counter() - sent_s)
                if answer.status != 200:
                    raise BenchmarkFailed(f"status {answer.status}: {answer.body[:300]!r}")
                found = [match["entry"] for match in json.loads(answer.body)["matches"]]
                if entries[number % len(forms)] not in found:
                    raise BenchmarkFailed("an upload did not meet its entry")
        return each_s

    with ThreadPoolExecutor(plan.upload_clients) as threads:
        uploaded = list(threads.map(upload, range(plan.upload_clients)))
    taken_s = time.perf_counter() - began
    return taken_s, [one_s for each_s in uploaded for one_s in each_s]


def _photographs() -> Iterator[bytes]:
    """All JPEG photographs of the corpus of at least two megapixels, scaled down to two."""
    for path in sorted(CORPUS.rglob("*")):
        if path.suffix in {".jpg", ".jpeg"}:
            try:
                image = Image.open(path)
            except UnidentifiedImageError:
                continue
            if image.width * image.height >= PIXELS:
                yield _saved(image)


def _drawings() -> Iterator[bytes]:
    from drawings import drawings

    for _, image in drawings(_DRAWN, size=_DRAWN_SIZE):
        yield _saved(image)


def _saved(image: Image.Image) -> bytes:
    """Save a picture as a baseline JPEG of two megapixels, its colours at half the resolution."""
    ratio = (PIXELS / (image.width * image.height)) ** 0.5
    size = (round(image.width * ratio), round(image.height * ratio))
    file = io.BytesIO()
    scaled = image.convert("RGB").resize(size, Image.Resampling.LANCZOS)
    scaled.save(file, "JPEG", quality=_QUALITY, subsampling=2)
    return file.getvalue()
