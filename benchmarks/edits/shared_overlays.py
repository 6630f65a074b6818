"""The same app frame, caption, logo or watermark over many pictures.

Two distinct pictures under one overlay have it in common, point by point; nothing else may be
taken for a copy. Each overlay is drawn alike, to the pixel, over every picture.
"""

from __future__ import annotations

from collections.abc import Callable

from PIL import Image, ImageDraw

from edits.compositions import feed
from edits.drawn import covering, rounded_mask, status_bar, sticker, text_lines, write
from edits.edit import generator
from edits.overlays import watermarked

SIZE = (640, 480)


def app_frame(image: Image.Image) -> Image.Image:
    """A feed's screenshot; the picture is always cut to 4:3, half of the screen is the app."""
    return feed(covering(image, 540, 405), generator("app-frame"))


def page_frame(image: Image.Image) -> Image.Image:
    """An opaque page full of text and signs that covers half of the result."""
    page = Image.new("RGB", (900, 700), "#fffaf0")
    rng = generator("page-frame")
    text_lines(page, rng, (20, 20, 880, 130), 22, "#202020")
    text_lines(page, rng, (20, 140, 260, 690), 17, "#303060")
    for _ in range(8):
        centre = (rng.uniform(300, 880), rng.uniform(640, 680))
        sticker(page, rng, centre, 48)
    page.paste(covering(image, 600, 450), (280, 150))
    return page


def poster_frame(image: Image.Image) -> Image.Image:
    """A patterned border of shapes all around, half of the area."""
    page = Image.new("RGB", (800, 640), "#22333b")
    rng = generator("poster-frame")
    for _ in range(160):
        sticker(page, rng, (rng.uniform(0, 800), rng.uniform(0, 640)), rng.uniform(30, 70))
    inner = covering(image, 580, 435)
    page.paste(inner, (110, 102), rounded_mask(inner.size, 20))
    return page


def caption(image: Image.Image) -> Image.Image:
    """Large outlined capitals at the top and at the bottom, and a line in the middle."""
    edited = covering(image, *SIZE)
    write(edited, "NOBODY WILL BELIEVE THIS", (320, 46), 54, "white", "black")
    write(edited, "seen on picshare.example", (320, 250), 40, "#ffd166", "black")
    write(edited, "THE BEST DAY OF THE YEAR", (320, 436), 54, "white", "black")
    return edited


def logo(image: Image.Image) -> Image.Image:
    """A large sign with an address, and a sticker beside it."""
    edited = covering(image, *SIZE)
    ImageDraw.Draw(edited).rounded_rectangle((330, 380, 630, 470), 14, "#d90429", "white", 4)
    write(edited, "PICSHARE.example", (480, 412), 32)
    write(edited, "share it, love it, keep it", (480, 448), 20)
    sticker(edited, generator("logo"), (60, 60), 96)
    return edited


def watermark(image: Image.Image) -> Image.Image:
    """Half-transparent words all over."""
    return watermarked(covering(image, *SIZE))


def dense_watermark(image: Image.Image) -> Image.Image:
    """The same words twice over, stronger and closer."""
    once = watermarked(covering(image, *SIZE), "PICSHARE PREVIEW 48151623", 0.7)
    return watermarked(once, "do not copy", 0.5)


def sticker_sheet(image: Image.Image) -> Image.Image:
    """Thirty stickers over the picture."""
    edited = covering(image, *SIZE)
    rng = generator("sticker-sheet")
    for _ in range(30):
        sticker(edited, rng, (rng.uniform(0, 640), rng.uniform(0, 480)), rng.uniform(50, 90))
    return edited


def game_controls(image: Image.Image) -> Image.Image:
    """Status bars, buttons and text boxes over the edges, half-transparent and opaque."""
    edited = covering(image, *SIZE)
    status_bar(edited, 36, "white")
    draw = ImageDraw.Draw(edited)
    draw.rectangle((0, 400, 640, 480), "#101018")
    text_lines(edited, generator("game"), (12, 408, 420, 476), 16, "white")
    for place in range(5):
        left = 440 + 40 * place
        draw.rounded_rectangle((left, 414, left + 30, 462), 6, ("#e63946", "#06d6a0")[place % 2])
        draw.ellipse((590, 60 + 60 * place, 630, 100 + 60 * place), "#118ab2", "white", 3)
    return edited


OVERLAYS: dict[str, Callable[[Image.Image], Image.Image]] = {
    "app frame": app_frame,
    "page of text": page_frame,
    "patterned frame": poster_frame,
    "caption": caption,
    "logo": logo,
    "watermark": watermark,
    "dense watermark": dense_watermark,
    "sticker sheet": sticker_sheet,
    "controls": game_controls,
}
