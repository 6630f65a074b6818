"""Drawn clips: scenes that move, small enough to be encoded in a tenth of a second."""

from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from tempfile import NamedTemporaryFile

import numpy as np
import pytest
from numpy.typing import NDArray

from drawn_scenes import scene

pytest.importorskip("av", reason="PyAV, of the extra `video`, is not installed")

import av

ROWS, COLUMNS = 120, 160
_MOVED = 40
Picture = NDArray[np.uint8]


def moving(
    seed: int, frames: int, *, rows: int = ROWS, columns: int = COLUMNS
) -> Iterator[Picture]:
    """Frames of a scene through which the camera moves."""
    whole = scene(2 * rows, 2 * (columns + _MOVED), seed=seed)[::2, ::2]
    for number in range(frames):
        left = number * _MOVED // max(frames, 1)
        yield whole[:, left : left + columns]


def plain(level: int, frames: int) -> Iterator[Picture]:
    """Frames of one grey."""
    for _ in range(frames):
        yield np.full((ROWS, COLUMNS, 3), level, np.uint8)


def encoded(
    pictures: Iterable[Picture],
    *,
    codec: str = "libx264",
    kind: str = "mp4",
    rate: int = 10,
    pixel_format: str = "yuv420p",
    times: Iterable[int] | None = None,
    options: dict[str, str] | None = None,
    container_options: dict[str, str] | None = None,
) -> bytes:
    """Encode pictures of one size.

    Args:
        pictures: shape (rows, columns, 3).
        times: of each, in hundredths of a second; by default a `rate`th of a second apart.
    """
    stamps = None if times is None else iter(times)
    with (
        NamedTemporaryFile() as file,  # which a header that is moved to the front needs
        av.open(file.name, "w", format=kind, options=container_options or {}) as container,
    ):
        stream = None
        for number, picture in enumerate(pictures):
            if stream is None:
                stream = container.add_stream(codec, rate=rate)
                stream.height, stream.width = picture.shape[:2]
                stream.pix_fmt = pixel_format
                stream.options = options or ({"preset": "ultrafast"} if codec == "libx264" else {})
                stream.thread_count = 1
                if stamps is not None:
                    stream.time_base = Fraction(1, 100)
                    stream.codec_context.time_base = Fraction(1, 100)
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
            frame.pts = number if stamps is None else next(stamps)
            frame.time_base = Fraction(1, rate if stamps is None else 100)
            container.mux(stream.encode(frame))
        assert stream is not None
        container.mux(stream.encode(None))
        container.close()
        return Path(file.name).read_bytes()


def clip(seed: int = 0, seconds: float = 2.0, **how: object) -> bytes:
    """A clip of one scene."""
    rate = int(how.get("rate", 10))
    return encoded(moving(seed, int(seconds * rate)), **how)
