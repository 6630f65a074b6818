"""Edits that replace a part of a picture, as swapping faces or painting over does."""

from __future__ import annotations

import math
from collections.abc import Sequence
from enum import Enum, auto

import numpy as np
from numpy.random import Generator
from PIL import Image, ImageDraw, ImageFilter

from edits.edit import Edit, Group, pick
from edits.overlays import pixelated

Others = Sequence[Image.Image]
Box = tuple[int, int, int, int]


class Shape(Enum):
    """Outline of the part."""

    ELLIPSE = auto()
    RECTANGLE = auto()


def region(
    image: Image.Image, rng: Generator, share: float, shape: Shape
) -> tuple[Box, Image.Image]:
    """Choose a part of the given share of the area.

    Returns:
        its box, and a soft mask of the whole picture's size.
    """
    w, h = image.size
    area = share * w * h * (4 / math.pi if shape is Shape.ELLIPSE else 1)
    # As tall as a face where it is small, as the picture where it is large.
    ratio = 0.8 if share < 0.3 else w / h
    height = min(round(math.sqrt(area / ratio)), h - 2)
    width = min(round(area / height), w - 2)
    left = round(rng.uniform(0, w - width))
    top = round(rng.uniform(0, h - height))
    box = (left, top, left + width, top + height)
    mask = Image.new("L", image.size, 0)
    draw = ImageDraw.Draw(mask)
    (draw.ellipse if shape is Shape.ELLIPSE else draw.rectangle)(box, fill=255)
    return box, mask.filter(ImageFilter.GaussianBlur(min(w, h) / 100))


def replaced(
    image: Image.Image, rng: Generator, others: Others, share: float, shape: Shape
) -> Image.Image:
    """Fill a part with the middle of another picture, its light fitted, its edge blended."""
    (left, top, right, bottom), mask = region(image, rng, share, shape)
    source = pick(rng, others)
    scale = max((right - left) / source.width, (bottom - top) / source.height) * 1.2
    part = source.resize((round(source.width * scale) + 1, round(source.height * scale) + 1))
    x, y = (part.width - (right - left)) // 2, (part.height - (bottom - top)) // 2
    part = part.crop((x, y, x + right - left, y + bottom - top))
    under = np.asarray(image.crop((left, top, right, bottom)), np.float32)
    levels = np.asarray(part, np.float32)
    shift = 0.7 * (under.mean((0, 1)) - levels.mean((0, 1)))
    filled = image.copy()
    filled.paste(Image.fromarray(np.clip(levels + shift, 0, 255).astype(np.uint8)), (left, top))
    return Image.composite(filled, image, mask)


def blurred(image: Image.Image, rng: Generator, share: float) -> Image.Image:
    """Blur an ellipse beyond recognition."""
    _, mask = region(image, rng, share, Shape.ELLIPSE)
    soft = image.filter(ImageFilter.GaussianBlur(min(image.size) / 18))
    return Image.composite(soft, image, mask)


def squared(image: Image.Image, rng: Generator, share: float) -> Image.Image:
    """Pixelate a rectangle."""
    box, _ = region(image, rng, share, Shape.RECTANGLE)
    return pixelated(image, box)


def painted_out(image: Image.Image, rng: Generator, share: float) -> Image.Image:
    """Fill a part smoothly from what surrounds it, as an eraser tool does."""
    (left, top, right, bottom), mask = region(image, rng, share, Shape.ELLIPSE)
    around = image.crop((max(0, left - 8), max(0, top - 8), right + 8, bottom + 8))
    corners = around.resize((2, 2), Image.Resampling.BOX)
    filled = image.copy()
    filled.paste(
        corners.resize((right - left, bottom - top), Image.Resampling.BICUBIC), (left, top)
    )
    return Image.composite(filled, image, mask)


def other_background(image: Image.Image, rng: Generator, others: Others) -> Image.Image:
    """Put the middle of the picture, about half of its area, before another picture."""
    w, h = image.size
    middle = Image.new("L", image.size, 0)
    draw = ImageDraw.Draw(middle)
    draw.ellipse((w * 0.3, h * 0.06, w * 0.7, h * 0.5), fill=255)  # as a head …
    draw.rounded_rectangle((w * 0.14, h * 0.4, w * 0.86, h * 1.2), w // 6, fill=255)  # … and body
    mask = middle.filter(ImageFilter.GaussianBlur(min(w, h) / 150))
    return Image.composite(image, pick(rng, others).resize(image.size), mask)


def _swap(name: str, share: float, shape: Shape) -> Edit:
    return Edit(name, Group.REPLACED, lambda im, rng, o: replaced(im, rng, o, share, shape))


EDITS = (
    _swap("swap-ellipse-8", 0.08, Shape.ELLIPSE),
    _swap("swap-ellipse-15", 0.15, Shape.ELLIPSE),
    _swap("swap-rectangle-15", 0.15, Shape.RECTANGLE),
    _swap("swap-ellipse-40", 0.40, Shape.ELLIPSE),
    _swap("swap-rectangle-40", 0.40, Shape.RECTANGLE),
    Edit("blur-region-15", Group.REPLACED, lambda im, rng, _o: blurred(im, rng, 0.15)),
    Edit("pixelate-region-8", Group.REPLACED, lambda im, rng, _o: squared(im, rng, 0.08)),
    Edit("erase-region-15", Group.REPLACED, lambda im, rng, _o: painted_out(im, rng, 0.15)),
    Edit("background", Group.REPLACED, other_background),
)
"""The number is the share of the area, in percent."""
