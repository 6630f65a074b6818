"""Pictures with next to nothing in them: skies, skin-like gradients, blurred photos, blanks.

All are distinct, and each has so little detail that another could be taken for it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from edits.edit import generator
from edits.photometric import clipped

SIZE = (480, 360)


def _soft(rng: Generator, cells: int) -> NDArray[np.floating]:
    """Smooth noise, 0–1, shape (rows, columns)."""
    small = Image.fromarray(rng.integers(0, 256, (cells, cells), np.uint8))
    return np.asarray(small.resize(SIZE, Image.Resampling.BICUBIC), np.float32) / 255


def _shaded(
    rng: Generator, first: Sequence[int], last: Sequence[int], cells: int, grain: float
) -> Image.Image:
    level = np.linspace(0, 1, SIZE[1], dtype=np.float32)[:, None]
    level = 0.6 * level + 0.4 * _soft(rng, cells)
    light = np.array(first) + level[..., None] * (np.array(last) - np.array(first))
    return clipped(light + grain * rng.standard_normal((SIZE[1], SIZE[0], 1), np.float32))


def low_texture(count: int, photos: Sequence[Image.Image]) -> Iterator[tuple[str, Image.Image]]:
    """Draw `count` pictures of each kind.

    Args:
        count: of each kind.
        photos: at least so many, to blur.

    Yields:
        a name, and the picture.
    """
    for number in range(count):
        rng = generator("low texture", str(number))
        blue, pale = rng.integers((40, 90, 160), (110, 150, 230)), rng.integers(190, 245, 3)
        yield f"sky-{number}", _shaded(rng, blue.tolist(), pale.tolist(), 3, 1.0)
        dark = rng.integers((90, 60, 45), (190, 140, 120))
        yield f"skin-{number}", _shaded(rng, dark.tolist(), (dark + 50).tolist(), 4, 2.5)
        blur = ImageFilter.GaussianBlur(min(photos[number].size) / rng.uniform(10, 20))
        yield f"blur-{number}", photos[number].filter(blur)
        yield f"blank-{number}", Image.new("RGB", SIZE, tuple(rng.integers(0, 256, 3).tolist()))
