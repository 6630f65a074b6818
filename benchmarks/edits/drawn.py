"""What apps and people draw around and over pictures: text, shapes, bars, grounds."""

from __future__ import annotations

from functools import cache

from numpy.random import Generator
from PIL import Image, ImageDraw, ImageFilter, ImageFont, ImageOps

PHRASES = (
    "when the weekend is here",
    "look what I found",
    "nobody will believe this",
    "me on a monday morning",
    "wait for it",
    "remember this one?",
    "sent from a friend",
    "the best day of the year",
    "so that happened",
    "not again",
)
NAMES = ("lena.m", "the_real_otto", "harbour.view", "kit", "user4711", "north__light")
COLOURS = ("#e63946", "#f4a261", "#ffd166", "#2a9d8f", "#118ab2", "#7b2cbf", "#ff70a6", "#06d6a0")


@cache
def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Pillow's own typeface, so that no font file is needed."""
    return ImageFont.load_default(size)


def phrase(rng: Generator) -> str:
    """Something that people write on pictures."""
    return str(rng.choice(PHRASES))


def colour(rng: Generator) -> str:
    """A bright colour."""
    return str(rng.choice(COLOURS))


def write(
    image: Image.Image,
    text: str,
    centre: tuple[float, float],
    size: float,
    fill: str = "white",
    outline: str | None = None,
) -> None:
    """Write a line centred on a point; it is made smaller where it would not fit the width."""
    points = max(8, round(size))
    while points > 8 and font(points).getlength(text) > image.width * 0.96:
        points = max(8, points * 9 // 10)
    ImageDraw.Draw(image).text(
        centre,
        text,
        fill,
        font(points),
        "mm",
        stroke_width=max(1, points // 12) if outline else 0,
        stroke_fill=outline,
    )


def covering(image: Image.Image, width: int, height: int) -> Image.Image:
    """Fill a box with the picture, cutting what is too much."""
    return ImageOps.fit(image, (width, height), Image.Resampling.BICUBIC)


def inside(image: Image.Image, width: int, height: int) -> Image.Image:
    """As large as the box allows, all of it."""
    return ImageOps.contain(image, (width, height), Image.Resampling.BICUBIC)


def rounded_mask(size: tuple[int, int], radius: int) -> Image.Image:
    """255 inside a rectangle with round corners."""
    mask = Image.new("L", size, 0)
    ImageDraw.Draw(mask).rounded_rectangle((0, 0, size[0] - 1, size[1] - 1), radius, fill=255)
    return mask


def blurred_ground(image: Image.Image, width: int, height: int) -> Image.Image:
    """The picture blurred and enlarged to fill a box, as stories do behind a picture."""
    small = covering(image, max(16, width // 8), max(16, height // 8))
    return small.filter(ImageFilter.GaussianBlur(3)).resize(
        (width, height), Image.Resampling.BICUBIC
    )


def text_lines(
    image: Image.Image, rng: Generator, box: tuple[int, int, int, int], size: int, fill: str
) -> None:
    """Fill a box with lines of words."""
    left, top, right, bottom = box
    draw = ImageDraw.Draw(image)
    while top + size <= bottom:
        words = f"{phrase(rng)}, {phrase(rng)}, {phrase(rng)}"
        while len(words) > 1 and font(size).getlength(words) > right - left:
            words = words[:-1]
        draw.text((left, top), words, fill, font(size))
        top += size * 3 // 2


def status_bar(image: Image.Image, height: int, fill: str) -> None:
    """Clock, signal and battery of a phone, in the first `height` rows."""
    draw = ImageDraw.Draw(image)
    middle, width = height // 2, image.width
    draw.text((height * 0.8, middle), "9:41", fill, font(max(8, height // 2)), "lm")
    right = width - height * 0.7
    draw.rounded_rectangle((right - height, middle - 7, right, middle + 7), 3, outline=fill)
    draw.rectangle((right - height + 3, middle - 4, right - height // 3, middle + 4), fill=fill)
    for bar in range(4):
        left = right - height * 2 + bar * 6
        draw.rectangle((left, middle + 6 - 3 * bar, left + 3, middle + 7), fill=fill)


def sticker(image: Image.Image, rng: Generator, centre: tuple[float, float], size: float) -> None:
    """Draw a smiling disc, a star or a heart."""
    draw = ImageDraw.Draw(image)
    x, y = centre
    r = size / 2
    paint = colour(rng)
    kind = int(rng.integers(3))
    if kind == 0:
        draw.ellipse((x - r, y - r, x + r, y + r), "#ffd23f", "#8a5a00", max(1, round(r / 12)))
        for side in (-0.35, 0.35):
            cx = x + side * r
            draw.ellipse((cx - r / 8, y - r * 0.4, cx + r / 8, y - r * 0.1), "#3a2a00")
        draw.arc(
            (x - r / 2, y - r / 3, x + r / 2, y + r * 0.6), 20, 160, "#3a2a00", max(2, round(r / 8))
        )
    elif kind == 1:
        points = [(x + r * k * _COS[i], y - r * k * _SIN[i]) for i, k in enumerate((1, 0.42) * 5)]
        draw.polygon(points, paint, "white")
    else:
        draw.ellipse((x - r, y - r, x, y), paint)
        draw.ellipse((x, y - r, x + r, y), paint)
        draw.polygon(
            [(x - r * 0.93, y - r * 0.28), (x + r * 0.93, y - r * 0.28), (x, y + r)], paint
        )


_COS = (0.0, -0.588, -0.951, -0.951, -0.588, 0.0, 0.588, 0.951, 0.951, 0.588)
_SIN = (1.0, 0.809, 0.309, -0.309, -0.809, -1.0, -0.809, -0.309, 0.309, 0.809)
# Every 36 degrees from the top, for the ten corners of a star.
