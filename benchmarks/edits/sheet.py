"""A contact sheet: pictures under every edit, to be looked at."""

from __future__ import annotations

from pathlib import Path

from PIL import Image, ImageDraw

from edits.corpus import half
from edits.drawn import font
from edits.shared_overlays import OVERLAYS
from edits.suite import EDITS

COLUMNS = 10
CELL = (190, 190)
LABEL_PX = 20


def draw_sheet(path: Path, half_name: str) -> None:
    """Draw all edits, each on the next picture of the half, then all shared overlays."""
    photos, fillers = half(half_name).photos, half(half_name).fillers
    others = [photo.image() for photo in fillers]
    shown = []
    for number, edit in enumerate(EDITS):
        photo = photos[number % 24]
        shown.append((edit.name, edit.apply(photo.image(), photo.key, others)))
    for number, (name, lay) in enumerate(OVERLAYS.items()):
        shown.append((f"shared: {name}", lay(photos[number].image())))
    rows = -(-len(shown) // COLUMNS)
    sheet = Image.new("RGB", (COLUMNS * CELL[0], rows * (CELL[1] + LABEL_PX)), "#8899aa")
    draw = ImageDraw.Draw(sheet)
    for place, (name, image) in enumerate(shown):
        left, top = place % COLUMNS * CELL[0], place // COLUMNS * (CELL[1] + LABEL_PX)
        draw.text((left + 4, top + 3), name, "black", font(12))
        image.thumbnail((CELL[0] - 6, CELL[1] - 4))
        sheet.paste(image, (left + 3, top + LABEL_PX))
    sheet.save(path)
