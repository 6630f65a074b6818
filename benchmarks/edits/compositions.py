"""Edits that put a picture among others, or into an app's screen; and combinations of edits."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from numpy.random import Generator
from PIL import Image, ImageDraw, ImageOps

from edits.drawn import (
    NAMES,
    colour,
    covering,
    font,
    inside,
    phrase,
    rounded_mask,
    status_bar,
    text_lines,
    write,
)
from edits.edit import Edit, Group, pick
from edits.geometric import aspect_crop, cropped, photo_of_screen, rotated_inside
from edits.overlays import bordered, meme, stickers, watermarked
from edits.photometric import jpeg, night_filter, scaled, warm_filter
from edits.replaced import Shape, replaced

Others = Sequence[Image.Image]


def beside(
    image: Image.Image, rng: Generator, others: Others, gap: int, fill: str = "white"
) -> Image.Image:
    """Two pictures of one height side by side, this one left or right."""
    height = 400
    both = [scaled(each, height / each.height) for each in (image, pick(rng, others))]
    if rng.integers(2):
        both.reverse()
    page = Image.new("RGB", (both[0].width + gap + both[1].width, height), fill)
    page.paste(both[0], (0, 0))
    page.paste(both[1], (both[0].width + gap, 0))
    return page


def above(image: Image.Image, rng: Generator, others: Others, gap: int, fill: str) -> Image.Image:
    """Two pictures of one width one above the other."""
    width = 480
    both = [scaled(each, width / each.width) for each in (image, pick(rng, others))]
    if rng.integers(2):
        both.reverse()
    page = Image.new("RGB", (width, both[0].height + gap + both[1].height), fill)
    page.paste(both[0], (0, 0))
    page.paste(both[1], (0, both[0].height + gap))
    return page


def grid(
    image: Image.Image,
    rng: Generator,
    others: Others,
    across: int,
    down: int,
    *,
    cell: tuple[int, int],
    gap: int,
    fill: str = "white",
) -> Image.Image:
    """A collage of cells of one size, each filled by a picture (what is too much is cut)."""
    width, height = across * cell[0] + (across + 1) * gap, down * cell[1] + (down + 1) * gap
    page = Image.new("RGB", (width, height), fill)
    own = int(rng.integers(across * down))
    drawn = rng.permutation(len(others))
    for place in range(across * down):
        each = image if place == own else others[drawn[place % len(others)]]
        left = gap + place % across * (cell[0] + gap)
        top = gap + place // across * (cell[1] + gap)
        page.paste(covering(each, *cell), (left, top))
    return page


def feed(image: Image.Image, rng: Generator, *, dark: bool = False) -> Image.Image:
    """A phone's screenshot of an app's feed with the picture at full width."""
    width, height = 540, 1140
    ground, ink, soft = ("#121212", "white", "#8a8a8a") if dark else ("white", "#111111", "#9a9a9a")
    page = Image.new("RGB", (width, height), ground)
    status_bar(page, 44, ink)
    draw = ImageDraw.Draw(page)
    draw.text((24, 76), "picshare", ink, font(30), "lm")
    draw.line((0, 108, width, 108), soft)
    draw.ellipse((18, 122, 66, 170), colour(rng))
    draw.text((80, 138), str(rng.choice(NAMES)), ink, font(20), "lm")
    draw.text((80, 160), "2 hours ago", soft, font(15), "lm")
    inner = inside(image, width, 640)
    page.paste(inner, ((width - inner.width) // 2, 184))
    below = 184 + inner.height
    for place in range(4):
        left = 24 + 58 * place if place < 3 else width - 60
        draw.ellipse((left, below + 16, left + 32, below + 48), outline=ink, width=3)
    draw.text((24, below + 76), f"{rng.integers(10, 9999)} likes", ink, font(19), "lm")
    text_lines(page, rng, (24, below + 96, width - 24, min(below + 190, height - 90)), 18, ink)
    draw.line((0, height - 76, width, height - 76), soft)
    for place in range(5):
        x = width * (2 * place + 1) // 10
        draw.rounded_rectangle((x - 15, height - 56, x + 15, height - 26), 6, outline=ink, width=3)
    return page


def chat(image: Image.Image, rng: Generator) -> Image.Image:
    """A phone's screenshot of a chat with the picture in a bubble."""
    width, height = 540, 1080
    page = Image.new("RGB", (width, height), "#e5ddd3")
    draw = ImageDraw.Draw(page)
    draw.rectangle((0, 0, width, 110), "#0b6b5d")
    status_bar(page, 40, "white")
    draw.ellipse((60, 54, 104, 98), colour(rng))
    draw.text((120, 76), str(rng.choice(NAMES)), "white", font(22), "lm")
    y = 130
    for own in (True, False):
        text = phrase(rng)
        length = font(20).getlength(text) + 40
        left = width - 20 - length if own else 20
        draw.rounded_rectangle((left, y, left + length, y + 48), 14, "#d7f8c6" if own else "white")
        draw.text((left + 20, y + 24), text, "#111111", font(20), "lm")
        y += 64
    inner = inside(image, 390, 560)
    draw.rounded_rectangle((20, y, 32 + inner.width, y + inner.height + 40), 14, "white")
    page.paste(inner, (26, y + 6), rounded_mask(inner.size, 12))
    draw.text((20 + inner.width, y + inner.height + 22), "21:07", "#888888", font(15), "rm")
    draw.rounded_rectangle((16, height - 64, width - 80, height - 16), 24, "white")
    draw.ellipse((width - 66, height - 64, width - 18, height - 16), "#0b6b5d")
    return page


def browser(image: Image.Image, rng: Generator) -> Image.Image:
    """A desktop's screenshot: tabs, address, a column of text, the picture in it."""
    width, height = 1000, 700
    page = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(page)
    draw.rectangle((0, 0, width, 36), "#dee1e6")
    draw.rounded_rectangle((12, 6, 230, 42), 8, "white")
    draw.text((26, 22), phrase(rng), "#333333", font(15), "lm")
    draw.rounded_rectangle((90, 46, width - 120, 76), 14, "#eef0f3")
    draw.text((110, 61), "https://forum.example/t/48151", "#444444", font(15), "lm")
    draw.line((0, 84, width, 84), "#cccccc")
    text_lines(page, rng, (40, 104, 600, 190), 17, "#222222")
    inner = inside(image, 560, 400)
    page.paste(inner, (40, 200))
    text_lines(page, rng, (40, 616, 600, 690), 17, "#222222")
    draw.rectangle((660, 104, 960, 330), "#f3f0fa")
    text_lines(page, rng, (676, 120, 944, 320), 15, "#5a4a8a")
    return page


def picture_in_picture(image: Image.Image, rng: Generator, others: Others) -> Image.Image:
    """Small in a corner of another picture, as a reaction."""
    ground = covering(pick(rng, others), 800, 600)
    inner = inside(image, 360, 300)
    right, low = rng.integers(2, size=2)
    at = (800 - inner.width - 24 if right else 24, 600 - inner.height - 24 if low else 24)
    ImageDraw.Draw(ground).rectangle(
        (at[0] - 4, at[1] - 4, at[0] + inner.width + 3, at[1] + inner.height + 3), "white"
    )
    ground.paste(inner, at)
    return ground


def gallery(image: Image.Image, rng: Generator, others: Others) -> Image.Image:
    """A phone's gallery: three columns of square thumbnails, the picture one of twelve."""
    thumbnails = grid(image, rng, others, 3, 4, cell=(236, 236), gap=4)
    page = bordered(thumbnails, "white", 0, 0.16, 0, 0.1)
    status_bar(page, 50, "black")
    write(page, "Recent", (page.width / 2, 100), 34, "black")
    return page


def before_after(image: Image.Image, rng: Generator) -> Image.Image:
    """The picture twice, the second time through a filter, with labels."""
    small = scaled(image, 400 / image.height)
    page = Image.new("RGB", (2 * small.width + 6, 460), "#222222")
    for place, each in enumerate((small, warm_filter(small))):
        page.paste(each, (place * (small.width + 6), 60))
        label = ("BEFORE", "AFTER")[place]
        write(page, label, (small.width * (place + 0.5), 30), 28, colour(rng))
    return page


def _composition(
    name: str, function: Callable[[Image.Image, Generator, Others], Image.Image]
) -> Edit:
    return Edit(name, Group.COMPOSITION, function)


COMPOSITIONS = (
    _composition("collage-2x1", lambda im, rng, o: beside(im, rng, o, 8)),
    _composition("collage-2x1-seam", lambda im, rng, o: beside(im, rng, o, 0)),
    _composition("collage-1x2", lambda im, rng, o: above(im, rng, o, 10, "black")),
    _composition("collage-2x2", lambda im, rng, o: grid(im, rng, o, 2, 2, cell=(400, 300), gap=8)),
    _composition(
        "collage-3x3",
        lambda im, rng, o: grid(im, rng, o, 3, 3, cell=(300, 225), gap=6, fill="#202020"),
    ),
    _composition("feed-screenshot", lambda im, rng, _o: feed(im, rng)),
    _composition("chat-screenshot", lambda im, rng, _o: chat(im, rng)),
    _composition("browser-screenshot", lambda im, rng, _o: browser(im, rng)),
    _composition("picture-in-picture", picture_in_picture),
    _composition("gallery-screenshot", gallery),
    _composition("before-after", lambda im, rng, _o: before_after(im, rng)),
)


def _mirrored_crop_in_collage_in_phone(
    image: Image.Image, rng: Generator, others: Others
) -> Image.Image:
    part = ImageOps.mirror(cropped(image, 0.75, 0.3, 0.6))
    return feed(beside(part, rng, others, 8), rng, dark=True)


def _shared_again(image: Image.Image, rng: Generator, _others: Others) -> Image.Image:
    return jpeg(feed(meme(image, rng), rng), 40)


def _crop_turned_filtered(image: Image.Image, _rng: Generator, _others: Others) -> Image.Image:
    return night_filter(rotated_inside(cropped(image, 0.8, 0.5, 0.5), 6))


def _mirror_border_text(image: Image.Image, rng: Generator, _others: Others) -> Image.Image:
    return meme(bordered(ImageOps.mirror(image), "white", 0.1, 0.15, 0.1, 0.15), rng)


def _grey_square_watermark(image: Image.Image, _rng: Generator, _others: Others) -> Image.Image:
    return watermarked(ImageOps.grayscale(aspect_crop(image, 1.0)).convert("RGB"))


def _screen_photographed(image: Image.Image, rng: Generator, _others: Others) -> Image.Image:
    return photo_of_screen(browser(image, rng), rng)


def _collage_stickers(image: Image.Image, rng: Generator, others: Others) -> Image.Image:
    return stickers(grid(image, rng, others, 2, 2, cell=(400, 300), gap=0), rng, 8)


def _turned_in_story(image: Image.Image, rng: Generator, _others: Others) -> Image.Image:
    turned = image.transpose(Image.Transpose.ROTATE_90)
    return stickers(bordered(turned, "#101018", 0.15, 0.25, 0.15, 0.25), rng, 3)


def _swapped_cropped_filtered(image: Image.Image, rng: Generator, others: Others) -> Image.Image:
    swapped = replaced(image, rng, others, 0.15, Shape.ELLIPSE)
    return jpeg(warm_filter(cropped(swapped, 0.85, 0.2, 0.8)), 40)


def _combined(name: str, function: Callable[[Image.Image, Generator, Others], Image.Image]) -> Edit:
    return Edit(name, Group.COMBINED, function)


COMBINED = (
    _combined("mirror-crop-collage-phone", _mirrored_crop_in_collage_in_phone),
    _combined("meme-feed-q40", _shared_again),
    _combined("crop-rotate-filter", _crop_turned_filtered),
    _combined("mirror-border-text", _mirror_border_text),
    _combined("grey-square-watermark", _grey_square_watermark),
    _combined("screen-photographed", _screen_photographed),
    _combined("collage-stickers", _collage_stickers),
    _combined("turn-border-stickers", _turned_in_story),
    _combined("swap-crop-filter-q40", _swapped_cropped_filtered),
)

EDITS = (*COMPOSITIONS, *COMBINED)
