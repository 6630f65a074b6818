"""Edits that leave every point where it was: compression, light, colour, blur, size."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageEnhance, ImageFilter, ImageOps

from edits.edit import Edit, Function, Group

Others = Sequence[Image.Image]


def encoded(image: Image.Image, quality: int = 85) -> bytes:
    """The bytes of a JPEG file."""
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=quality)
    return stream.getvalue()


def jpeg(image: Image.Image, quality: int) -> Image.Image:
    """Compress as JPEG and decode again."""
    return Image.open(io.BytesIO(encoded(image, quality))).convert("RGB")


def gamma(image: Image.Image, exponent: float) -> Image.Image:
    """Raise brightness to a power; over 1 darkens."""
    table = [round(255 * (value / 255) ** exponent) for value in range(256)]
    return image.point(table * 3)


def scaled(image: Image.Image, factor: float) -> Image.Image:
    """Resize, keeping proportions."""
    size = (max(1, round(image.width * factor)), max(1, round(image.height * factor)))
    return image.resize(size, Image.Resampling.LANCZOS)


def coloured(image: Image.Image, red: float, green: float, blue: float) -> Image.Image:
    """Multiply each channel."""
    factors = (red, green, blue)
    table = [min(255, round(value * factor)) for factor in factors for value in range(256)]
    return image.point(table)


def sepia(image: Image.Image) -> Image.Image:
    """Tone as an old photograph."""
    return ImageOps.colorize(ImageOps.grayscale(image), "#1f1206", "#fff3d6", "#9c7a4d")


def noisy(image: Image.Image, rng: Generator, sigma: float) -> Image.Image:
    """Add grain, as of a camera in the dark; `sigma` in levels of 255."""
    grain = sigma * rng.standard_normal((image.height, image.width, 3), np.float32)
    return clipped(np.asarray(image, np.float32) + grain)


def clipped(levels: NDArray[np.floating]) -> Image.Image:
    """Levels of 0–255, cut off at both ends, to a picture."""
    return Image.fromarray(np.clip(levels, 0, 255).astype(np.uint8))


def warm_filter(image: Image.Image) -> Image.Image:
    """What apps offer as a mood: faded blacks, warm lights, darker corners."""
    toned = ImageEnhance.Color(coloured(image, 1.1, 1.02, 0.86)).enhance(1.25)
    faded = toned.point([35 + round(value * 205 / 255) for value in range(256)] * 3)
    light = ImageOps.invert(Image.radial_gradient("L")).point(lambda level: 130 + level // 2)
    vignette = Image.merge("RGB", [light.resize(image.size)] * 3)
    return ImageChops.multiply(faded, vignette)


def night_filter(image: Image.Image) -> Image.Image:
    """A cold, hard mood: strong contrast, blue shadows."""
    hard = ImageOps.autocontrast(ImageEnhance.Contrast(image).enhance(1.5), cutoff=2)
    return coloured(ImageEnhance.Color(hard).enhance(0.5), 0.85, 0.95, 1.2)


def styled(image: Image.Image) -> Image.Image:
    """A style filter: flat areas smoothed, edges inked, colours drawn to three of a palette."""
    smooth = image.filter(ImageFilter.ModeFilter(max(5, min(image.size) // 90) | 1))
    palette = ImageOps.colorize(ImageOps.grayscale(smooth), "#14213d", "#fdf0d5", "#e07a5f")
    toned = Image.blend(smooth, palette, 0.55)
    edges = ImageOps.grayscale(smooth).filter(ImageFilter.FIND_EDGES)
    ink = edges.filter(ImageFilter.SMOOTH).point(lambda level: 255 - min(200, level))
    return ImageChops.multiply(toned, Image.merge("RGB", [ink] * 3))


def redrawn(image: Image.Image) -> Image.Image:
    """Redrawn as a painting: brush-sized areas of one of a few colours each."""
    brush = max(5, min(image.size) // 60) | 1
    painted = image.filter(ImageFilter.MedianFilter(min(brush, 9)))
    painted = painted.filter(ImageFilter.ModeFilter(brush))
    few = painted.quantize(24, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    return few.convert("RGB").filter(ImageFilter.SMOOTH_MORE)


def _edit(name: str, function: Function) -> Edit:
    return Edit(name, Group.PHOTOMETRIC, function)


EDITS = (
    _edit("jpeg-q40", lambda im, _r, _o: jpeg(im, 40)),
    _edit("jpeg-q20", lambda im, _r, _o: jpeg(im, 20)),
    _edit("gamma-0.6", lambda im, _r, _o: gamma(im, 0.6)),
    _edit("gamma-1.7", lambda im, _r, _o: gamma(im, 1.7)),
    _edit("contrast-up", lambda im, _r, _o: ImageEnhance.Contrast(im).enhance(1.6)),
    _edit("contrast-down", lambda im, _r, _o: ImageEnhance.Contrast(im).enhance(0.5)),
    _edit("colour-shift", lambda im, _r, _o: coloured(im, 1.25, 0.95, 0.75)),
    _edit("grey", lambda im, _r, _o: ImageOps.grayscale(im).convert("RGB")),
    _edit("sepia", lambda im, _r, _o: sepia(im)),
    _edit("posterised", lambda im, _r, _o: ImageOps.posterize(im, 2)),
    _edit("blur", lambda im, _r, _o: im.filter(ImageFilter.GaussianBlur(im.width / 250))),
    _edit("sharpen", lambda im, _r, _o: im.filter(ImageFilter.UnsharpMask(3, 200, 0))),
    _edit("noise", lambda im, rng, _o: noisy(im, rng, 18)),
    _edit("filter-warm", lambda im, _r, _o: warm_filter(im)),
    _edit("filter-night", lambda im, _r, _o: night_filter(im)),
    _edit("filter-style", lambda im, _r, _o: styled(im)),
    _edit("redrawn", lambda im, _r, _o: redrawn(im)),
    _edit("resize-25", lambda im, _r, _o: scaled(im, 0.25)),
    _edit("resize-200", lambda im, _r, _o: scaled(im, 2.0)),
)
