"""Edits that put a border around a picture, or something over it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from numpy.random import Generator
from PIL import Image, ImageDraw

from edits.drawn import (
    NAMES,
    blurred_ground,
    colour,
    font,
    phrase,
    rounded_mask,
    status_bar,
    sticker,
    write,
)
from edits.edit import Edit, Group
from edits.photometric import scaled

Others = Sequence[Image.Image]


def bordered(
    image: Image.Image, fill: str, left: float, top: float, right: float, bottom: float
) -> Image.Image:
    """Add margins, each a share of the picture's side."""
    w, h = image.size
    page = Image.new("RGB", (round(w * (1 + left + right)), round(h * (1 + top + bottom))), fill)
    page.paste(image, (round(w * left), round(h * top)))
    return page


def story(image: Image.Image, rng: Generator) -> Image.Image:
    """A 9:16 story: the picture at full width over a blurred copy, a name above."""
    width, height = 540, 960
    page = blurred_ground(image, width, height)
    inner = scaled(image, min(width / image.width, 0.9 * height / image.height))
    page.paste(inner, ((width - inner.width) // 2, (height - inner.height) // 2))
    ImageDraw.Draw(page).ellipse((16, 24, 56, 64), colour(rng))
    ImageDraw.Draw(page).text((68, 44), str(rng.choice(NAMES)), "white", font(20), "lm")
    return page


def polaroid(image: Image.Image, rng: Generator) -> Image.Image:
    """An instant print: white margins, the lowest one wide and written on."""
    page = bordered(image, "#f7f5ef", 0.06, 0.06, 0.06, 0.25)
    write(page, phrase(rng), (page.width / 2, page.height * 0.9), page.height / 16, "#30303a")
    return page


def rounded(image: Image.Image, fill: str) -> Image.Image:
    """Round corners on a coloured ground."""
    page = bordered(image, fill, 0.08, 0.08, 0.08, 0.08)
    at = (round(image.width * 0.08), round(image.height * 0.08))
    ImageDraw.Draw(page).rectangle((*at, at[0] + image.width, at[1] + image.height), fill)
    page.paste(image, at, rounded_mask(image.size, min(image.size) // 9))
    return page


def letterboxed(image: Image.Image) -> Image.Image:
    """Wide bars above and below that make a 9:16 picture of it."""
    margin = max(0.2, (image.width * 16 / 9 - image.height) / 2 / image.height)
    return bordered(image, "#101010", 0, margin, 0, margin)


def framed(image: Image.Image) -> Image.Image:
    """A wooden frame with a mount and a shadow, each side of its own width."""
    mount = bordered(image, "#e9e4d8", 0.07, 0.1, 0.07, 0.13)
    frame = bordered(mount, "#5a3a22", 0.05, 0.06, 0.05, 0.06)
    draw = ImageDraw.Draw(frame)
    for step in range(4):
        shade = ("#7a5232", "#6b4629", "#4a2f1b", "#3a2414")[step]
        draw.rectangle((step, step, frame.width - 1 - step, frame.height - 1 - step), outline=shade)
    return frame


def caption_above(image: Image.Image, rng: Generator) -> Image.Image:
    """A white bar with two lines of text above, as forums' jokes have."""
    page = bordered(image, "white", 0, 0.28, 0, 0)
    size = image.height / 12
    for line, down in ((phrase(rng), 0.09), (phrase(rng), 0.19)):
        write(page, line, (page.width / 2, image.height * down), size, "black")
    return page


def meme(image: Image.Image, rng: Generator) -> Image.Image:
    """Large outlined capitals at the top and at the bottom."""
    edited = image.copy()
    for down in (0.1, 0.9):
        at = (image.width / 2, image.height * down)
        write(edited, phrase(rng).upper(), at, image.height / 9, "white", "black")
    return edited


def stickers(image: Image.Image, rng: Generator, count: int = 6) -> Image.Image:
    """Smiling discs, stars and hearts here and there."""
    edited = image.copy()
    for _ in range(count):
        centre = (image.width * rng.uniform(0.1, 0.9), image.height * rng.uniform(0.1, 0.9))
        sticker(edited, rng, centre, min(image.size) * rng.uniform(0.16, 0.3))
    return edited


def logo(image: Image.Image, _rng: Generator) -> Image.Image:
    """A site's sign and address in the lower right corner, and a line below."""
    edited = image.copy()
    w, h = image.size
    draw = ImageDraw.Draw(edited)
    draw.rounded_rectangle((w * 0.58, h * 0.84, w * 0.98, h * 0.97), h // 40, "#d90429")
    write(edited, "PICSHARE.example", (w * 0.78, h * 0.905), h / 20)
    return edited


def blended(
    image: Image.Image, opacity: float, draw: Callable[[Image.Image], object]
) -> Image.Image:
    """Lay half-transparent drawing over the picture."""
    over = image.copy()
    draw(over)
    return Image.blend(image, over, opacity)


def watermarked(
    image: Image.Image, text: str = "SAMPLE PREVIEW", opacity: float = 0.4
) -> Image.Image:
    """Slanted half-transparent words all over, as picture agencies do."""
    w, h = image.size
    side = math.hypot(w, h)
    size = max(10, round(h / 14))
    layer = Image.new("L", (round(side), round(side)), 0)
    draw = ImageDraw.Draw(layer)
    step = round(font(size).getlength(text) * 1.25)
    for row, y in enumerate(range(0, layer.height, size * 3)):
        for x in range(-step // 2 * (row % 2), layer.width, step):
            draw.text((x, y), text, 255, font(size))
    layer = layer.rotate(30, Image.Resampling.BILINEAR)
    left, top = (layer.width - w) // 2, (layer.height - h) // 2
    mask = layer.crop((left, top, left + w, top + h)).point(lambda value: round(value * opacity))
    edited = image.copy()
    edited.paste("white", (0, 0), mask)
    return edited


def play_button(image: Image.Image) -> Image.Image:
    """As a video that waits to be played: a triangle in a dark disc, and a bar below."""
    w, h = image.size
    r = min(w, h) * 0.17
    x, y = w / 2, h / 2

    def disc(over: Image.Image) -> None:
        draw = ImageDraw.Draw(over)
        draw.ellipse((x - r, y - r, x + r, y + r), "black")
        draw.rectangle((0, h * 0.9, w, h), "black")

    edited = blended(image, 0.65, disc)
    draw = ImageDraw.Draw(edited)
    draw.polygon(
        [(x - r * 0.35, y - r * 0.5), (x - r * 0.35, y + r * 0.5), (x + r * 0.55, y)], "white"
    )
    draw.rectangle((w * 0.04, h * 0.945, w * 0.8, h * 0.955), "white")
    draw.rectangle((w * 0.04, h * 0.945, w * 0.3, h * 0.955), "red")
    draw.text((w * 0.96, h * 0.95), "0:42", "white", font(max(9, h // 28)), "rm")
    return edited


def video_still(image: Image.Image, rng: Generator) -> Image.Image:
    """A still of a video in a player: 16:9 with bars, subtitles, title, and controls shown."""
    w, h = image.size
    across = max(0.0, (h * 16 / 9 - w) / 2 / w)
    down = max(0.0, (w * 9 / 16 - h) / 2 / h)
    still = bordered(image, "black", across, down, across, down)
    w, h = still.size

    def shades(over: Image.Image) -> None:
        draw = ImageDraw.Draw(over)
        draw.rectangle((0, 0, w, h * 0.1), "black")
        draw.rectangle((0, h * 0.86, w, h), "black")

    still = blended(still, 0.55, shades)
    for line, y in ((phrase(rng), 0.72), (phrase(rng), 0.79)):
        write(still, line, (w / 2, h * y), h / 15, "white", "black")
    draw = ImageDraw.Draw(still)
    draw.text((w * 0.04, h * 0.05), phrase(rng), "white", font(max(9, round(h / 22))), "lm")
    draw.rectangle((w * 0.03, h * 0.885, w * 0.97, h * 0.895), "grey")
    draw.rectangle((w * 0.03, h * 0.885, w * 0.41, h * 0.895), "red")
    draw.polygon([(w * 0.04, h * 0.92), (w * 0.04, h * 0.98), (w * 0.07, h * 0.95)], "white")
    draw.text((w * 0.1, h * 0.95), "3:07 / 7:41", "white", font(max(9, round(h / 26))), "lm")
    return still


def censored(image: Image.Image, rng: Generator) -> Image.Image:
    """Three black bars."""
    edited = image.copy()
    draw = ImageDraw.Draw(edited)
    w, h = image.size
    for _ in range(3):
        left, top = w * rng.uniform(0.05, 0.65), h * rng.uniform(0.1, 0.8)
        draw.rectangle((left, top, left + w * 0.3, top + h * 0.1), "black")
    return edited


def pixelated(image: Image.Image, box: tuple[int, int, int, int], cells: int = 6) -> Image.Image:
    """Make squares of a part."""
    edited = image.copy()
    part = image.crop(box)
    coarse = part.resize((cells, max(1, cells * part.height // part.width)), Image.Resampling.BOX)
    edited.paste(coarse.resize(part.size, Image.Resampling.NEAREST), box)
    return edited


def pixelated_keypoints(image: Image.Image, rng: Generator) -> Image.Image:
    """Three parts made unreadable."""
    w, h = image.size
    for _ in range(3):
        left, top = round(w * rng.uniform(0, 0.75)), round(h * rng.uniform(0, 0.7))
        image = pixelated(image, (left, top, left + w // 4, top + h * 3 // 10))
    return image


def big_text(image: Image.Image, rng: Generator) -> Image.Image:
    """Four lines of large text across the picture."""
    edited = image.copy()
    for row in range(4):
        at = (image.width / 2, image.height * (0.2 + 0.2 * row))
        write(edited, phrase(rng).upper(), at, image.height / 7, colour(rng), "black")
    return edited


def banner(image: Image.Image, rng: Generator) -> Image.Image:
    """A half-transparent dark band with a line of text, as messengers' captions."""
    w, h = image.size
    down = float(rng.uniform(0.35, 0.7))
    edited = blended(
        image,
        0.6,
        lambda over: ImageDraw.Draw(over).rectangle((0, h * down, w, h * (down + 0.13)), "black"),
    )
    write(edited, phrase(rng), (w / 2, h * (down + 0.065)), h / 14)
    return edited


def app_controls(image: Image.Image, rng: Generator) -> Image.Image:
    """A full-screen viewer: status bar, name, round buttons and a text field over the picture."""
    w, h = image.size
    bar = max(18, h // 14)

    def shades(over: Image.Image) -> None:
        draw = ImageDraw.Draw(over)
        draw.rectangle((0, 0, w, h * 0.15), "black")
        draw.rectangle((0, h * 0.84, w, h), "black")

    edited = blended(image, 0.45, shades)
    status_bar(edited, bar, "white")
    draw = ImageDraw.Draw(edited)
    draw.text((w * 0.05, h * 0.115), str(rng.choice(NAMES)), "white", font(max(9, h // 22)), "lm")
    draw.rounded_rectangle((w * 0.04, h * 0.87, w * 0.7, h * 0.96), h // 22, outline="white")
    draw.text((w * 0.08, h * 0.915), "Send message", "white", font(max(9, h // 24)), "lm")
    for row in range(4):
        x, y, r = w * 0.93, h * (0.3 + 0.13 * row), h * 0.04
        draw.ellipse((x - r, y - r, x + r, y + r), outline="white", width=max(2, h // 120))
    return edited


def scribbled(image: Image.Image, rng: Generator) -> Image.Image:
    """Freehand strokes of a thick pen."""
    edited = image.copy()
    draw = ImageDraw.Draw(edited)
    for _ in range(4):
        points = [
            (image.width * float(x), image.height * float(y)) for x, y in rng.uniform(0, 1, (5, 2))
        ]
        draw.line(points, colour(rng), max(3, image.height // 50), joint="curve")
    return edited


def _border(name: str, function: Callable[[Image.Image, Generator], Image.Image]) -> Edit:
    return Edit(name, Group.BORDER, lambda im, rng, _o: function(im, rng))


def _overlay(name: str, function: Callable[[Image.Image, Generator], Image.Image]) -> Edit:
    return Edit(name, Group.OVERLAY, lambda im, rng, _o: function(im, rng))


BORDERS = (
    _border("border-white", lambda im, _r: bordered(im, "white", 0.1, 0.1, 0.1, 0.1)),
    _border("border-black-uneven", lambda im, _r: bordered(im, "black", 0.05, 0.2, 0.12, 0.02)),
    _border("border-letterbox", lambda im, _r: letterboxed(im)),
    _border("border-story-blur", story),
    _border("border-polaroid", polaroid),
    _border("border-rounded", lambda im, rng: rounded(im, colour(rng))),
    _border("border-frame", lambda im, _r: framed(im)),
    _border("border-caption", caption_above),
)

OVERLAYS = (
    _overlay("meme-text", meme),
    _overlay("stickers", stickers),
    _overlay("logo", logo),
    _overlay("watermark", lambda im, _r: watermarked(im)),
    _overlay("play-button", lambda im, _r: play_button(im)),
    _overlay("video-still", video_still),
    _overlay("censor-bars", censored),
    _overlay("pixelated-patches", pixelated_keypoints),
    _overlay("big-text", big_text),
    _overlay("banner", banner),
    _overlay("app-controls", app_controls),
    _overlay("scribble", scribbled),
)

EDITS = (*BORDERS, *OVERLAYS)
