"""HEIC and JPEG XL, each of which needs an extra; see docs/decisions/0003-optional-decoders.md."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

import numpy as np

from egide.errors import FormatUnsupported

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from PIL import Image


def open_heic(data: bytes, *, name: str) -> tuple[tuple[int, int], int, Iterator[Image.Image]]:
    """Open HEIC with pi-heif.

    Returns:
        width and height; the number of pictures; the pictures, decoded on demand, the primary one
        first.

    Raises:
        FormatUnsupported: the extra is not installed.
    """
    heif = _extra("pi_heif", name=name, format="HEIC", extra="heic")
    file = heif.open_heif(data, convert_hdr_to_8bit=True)
    first = file.primary_index
    order = [first, *(k for k in range(len(file)) if k != first)]
    return file[first].size, len(file), (file[k].to_pillow() for k in order)


def open_jxl(data: bytes, *, name: str) -> tuple[tuple[int, int], Callable[[], Image.Image]]:
    """Open JPEG XL with pylibjxl.

    Returns:
        width and height, and a function that decodes the picture, or an animation's first frame.

    Raises:
        FormatUnsupported: the extra is not installed.
    """
    from PIL import Image

    jxl = _extra("pylibjxl", name=name, format="JPEG XL", extra="jxl")
    header = jxl.probe(data)

    def decode() -> Image.Image:
        samples = np.asarray(jxl.decode(data))
        if samples.ndim == 3 and samples.shape[2] == 1:
            samples = samples[:, :, 0]
        return Image.fromarray(samples)

    return (int(header["width"]), int(header["height"])), decode


def _extra(module: str, *, name: str, format: str, extra: str) -> Any:  # noqa: A002
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise FormatUnsupported(name=name, format=format, extra=extra) from error
