"""Convert Pillow images of every mode to arrays: grey, or red, green and blue, 0–255."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from numpy.typing import NDArray

_OPAQUE = {"L", "RGB"}
_TRANSPARENT = {"LA", "La", "RGBA", "RGBa", "PA"}
_WIDE = {"I", "F", "I;16", "I;16L", "I;16B", "I;16N"}
_CONVERTED_THERE = {"LA", "I;16"}
_ONE_CHANNEL = {"L", "P"}
_CHANNELS = {"RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "LAB"}
_WHITE = (255, 255, 255)


def image_pixels(image: Image.Image) -> NDArray[np.uint8] | NDArray[np.float32]:
    """The pixels of the current frame.

    Transparent pixels are composited on white. Sixteen-bit grey keeps its precision as fractions
    of a level.

    Returns:
        uint8 of shape (rows, columns, 3); or uint8 or float32 of shape (rows, columns).
    """
    if image.mode in _TRANSPARENT or "transparency" in image.info:
        return np.asarray(_on_white(image))
    if image.mode in _OPAQUE:
        return np.asarray(image)
    if image.mode in _WIDE:
        return levels_of(np.asarray(image))
    return np.asarray(image.convert("L" if image.mode == "1" else "RGB"))


def stored_samples(image: Image.Image) -> NDArray[np.uint8] | None:
    """The samples of the current frame as threatexchange hashes them, without what they mean.

    Indices of a palette, ink instead of light, and the colours that transparency hides. HMA's
    hashes of such files are far from those of what is seen.

    Returns:
        uint8 of shape (rows, columns, 3) or (rows, columns); None where they are what is seen, or
        where threatexchange has no hash.

    Source: threatexchange 1.2.17, `signal_type/pdq/pdq_hasher.py`.
    """
    if image.mode in _OPAQUE and "transparency" not in image.info:
        return None
    if image.mode in _CONVERTED_THERE:
        return np.asarray(image.convert("RGB"))
    if image.mode in _ONE_CHANNEL:
        return np.asarray(image)
    if image.mode in _CHANNELS:
        return np.asarray(image)[..., :3]
    return None


def _on_white(image: Image.Image) -> Image.Image:
    if image.mode in _WIDE:
        # A 16-bit PNG declares one grey level transparent.
        samples = np.asarray(image)
        clear = samples == image.info["transparency"]
        return Image.fromarray(np.where(clear, np.float32(255), levels_of(samples)))
    layers = image.convert("RGBA")
    paper = Image.new("RGB", image.size, _WHITE)
    paper.paste(layers, mask=layers.getchannel("A"))
    return paper


def levels_of(samples: NDArray[Any]) -> NDArray[np.float32]:
    """Bring wide samples to 0–255.

    Sixteen bits are divided by 257. Wider integers and floating point do not declare their range:
    values that fit 0–1, 0–255 or 0–65535 are taken as that range, others are stretched. The choice
    does not affect PDQ, only the quality.
    """
    if samples.dtype.kind == "u" and samples.dtype.itemsize == 2:
        return samples.astype(np.float32) / np.float32(257)
    levels = np.nan_to_num(samples.astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0)
    low, high = float(levels.min()), float(levels.max())
    whole = np.issubdtype(samples.dtype, np.integer)
    if low < 0 or high > 65535:
        levels = (levels - low) * (255 / max(high - low, 1e-9))
    elif high > 255:
        levels = levels / 257
    elif high <= 1 and not whole:
        levels = levels * 255
    return levels.astype(np.float32)
