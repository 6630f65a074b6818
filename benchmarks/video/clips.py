"""Drawn clips: three scenes each, seen by a moving camera; some with a shared intro or black."""

from __future__ import annotations

from fractions import Fraction
from io import BytesIO
from typing import TYPE_CHECKING, Any

import av
import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    Frames = NDArray[np.uint8]
    """Shape (frames, rows, columns, 3)."""

ROWS, COLUMNS = 144, 192
RATE = 10
SCENES, SCENE_S = 3, 4
CLIPS = 300
_MOVED = 48
_GRAINS = ((3, 60), (6, 45), (12, 35), (24, 22), (48, 12))
INTROS = 4
"""So many different intros of two seconds; each fifth clip begins with one."""


def clip(number: int) -> Frames:
    """One clip of 12 to 15 s; the same on every machine that has these versions of libraries."""
    rng = np.random.default_rng([16, number])
    parts = [_scene(rng, SCENE_S * RATE) for _ in range(SCENES)]
    if number % 5 == 0:
        intro = np.random.default_rng([17, number // 5 % INTROS])
        parts.insert(0, _scene(intro, 2 * RATE))
    if number % 7 == 0:
        parts.insert(len(parts) // 2, np.zeros((RATE, ROWS, COLUMNS, 3), np.uint8))
    return np.concatenate(parts)


def encode(
    frames: Iterable[NDArray[np.uint8]],
    *,
    rate: Fraction | int = RATE,
    codec: str = "libx264",
    kind: str = "mp4",
    **options: str,
) -> bytes:
    """Encode frames of one size, both sides even."""
    file = BytesIO()
    with av.open(file, "w", format=kind) as container:
        stream: Any = None
        for number, frame in enumerate(frames):
            if stream is None:
                stream = container.add_stream(codec, rate=rate, options=options)
                stream.height, stream.width = frame.shape[:2]
                stream.pix_fmt = "yuv420p"
                stream.thread_count = 1
            shown = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")
            shown.pts, shown.time_base = number, 1 / Fraction(rate)
            container.mux(stream.encode(shown))
        container.mux(stream.encode(None))
    return file.getvalue()


def _scene(rng: np.random.Generator, count: int) -> Frames:
    """Noise of five grain sizes and some plain shapes, seen by a camera that moves."""
    rows, columns = ROWS + _MOVED, COLUMNS + _MOVED
    picture = np.full((rows, columns, 3), rng.uniform(90, 160, 3), np.float32)
    for cells, strength in _GRAINS:
        noise = rng.integers(0, 256, (cells, cells * 4 // 3, 3), np.uint8)
        grown = Image.fromarray(noise).resize((columns, rows), Image.Resampling.BICUBIC)
        picture += (np.asarray(grown, np.float32) - 128) * (strength / 64)
    for _ in range(6):
        top, left = rng.integers(0, rows - 20), rng.integers(0, columns - 20)
        height, width = rng.integers(12, 70, 2)
        picture[top : top + height, left : left + width] += rng.uniform(-90, 90, 3)
    whole = picture.clip(0, 255).astype(np.uint8)
    ends = rng.uniform(0, _MOVED, (2, 2))
    moved = np.linspace(ends[0], ends[1], count).astype(int)
    return np.stack([whole[y : y + ROWS, x : x + COLUMNS] for y, x in moved])
