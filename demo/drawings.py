"""Varied, harmless pictures, drawn in whole numbers.

The demonstration and the tests need pictures that nobody owns and that never change: every pixel
comes from integer arithmetic on hashed coordinates, so a drawing is the same under every version
of NumPy and Pillow and on every machine. `tests/vectors/drawings.csv` holds their PDQ.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    Grid = NDArray[np.int64]
    Canvas = NDArray[np.int64]  # (rows, columns, 3), 0–255

_PALETTES = (
    ("0b132b", "1c2541", "3a506b", "5bc0be", "f6f7eb"),
    ("264653", "2a9d8f", "e9c46a", "f4a261", "e76f51"),
    ("2b2d42", "8d99ae", "edf2f4", "ef233c", "d90429"),
    ("132a13", "31572c", "4f772d", "90a955", "ecf39e"),
    ("22223b", "4a4e69", "9a8c98", "c9ada7", "f2e9e4"),
    ("03071e", "6a040f", "d00000", "f48c06", "ffba08"),
    ("10002b", "3c096c", "7b2cbf", "c77dff", "ffe5d9"),
    ("012a4a", "01497c", "2c7da0", "89c2d9", "fefae0"),
    ("3d2c2e", "8a5a44", "c38e70", "e6b8a2", "f5ebe0"),
    ("001219", "0a9396", "94d2bd", "ee9b00", "9b2226"),
)

_STORY = (
    "THE TIDE CAME IN AT NOON AND LEFT A LINE OF SHELLS ON THE SAND BELOW THE OLD HARBOUR WALL "
    "WHERE TWO BOATS LAY WAITING FOR WIND A KITE FLEW OVER THE ROOFS AND SOMEONE PLAYED A FIDDLE "
    "QUIETLY BY AN OPEN WINDOW WHILE GREY DOVES JUMPED FROM EXACT LEDGE TO ZIGZAG LEDGE"
)

# Five columns of seven dots a letter, lowest bit at the top.
_LETTERS = {
    "A": "7e1111117e", "B": "7f49494936", "C": "3e41414122", "D": "7f4141221c",
    "E": "7f49494941", "F": "7f09090901", "G": "3e4149497a", "H": "7f0808087f",
    "I": "00417f4100", "J": "2040413f01", "K": "7f08142241", "L": "7f40404040",
    "M": "7f020c027f", "N": "7f0408107f", "O": "3e4141413e", "P": "7f09090906",
    "Q": "3e4151215e", "R": "7f09192946", "S": "4649494931", "T": "01017f0101",
    "U": "3f4040403f", "V": "1f2040201f", "W": "3f4038403f", "X": "6314081463",
    "Y": "0708700807", "Z": "6151494543",
}  # fmt: skip


class _Dice:
    """A splitmix64 sequence: the same numbers everywhere, for ever."""

    def __init__(self, seed: int) -> None:
        self._state = seed
        # Neighbouring seeds would otherwise be the same sequence, one step apart.
        self._state = self.below(2**64) * 0xD1342543DE82EF95 % 2**64

    def below(self, bound: int) -> int:
        self._state = (self._state + 0x9E3779B97F4A7C15) % 2**64
        z = self._state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) % 2**64
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) % 2**64
        return (z ^ (z >> 31)) % bound

    def between(self, low: int, high: int) -> int:
        return low + self.below(high - low + 1)

    def palette(self) -> list[tuple[int, int, int]]:
        return [
            (int(c[0:2], 16), int(c[2:4], 16), int(c[4:6], 16))
            for c in _PALETTES[self.below(len(_PALETTES))]
        ]


def drawings(
    count: int, seed: int = 7, size: tuple[int, int] = (768, 512)
) -> Iterator[tuple[str, Image.Image]]:
    """Draw `count` RGB pictures, each unlike the others.

    Args:
        count: how many; the first n of a longer series are the same n pictures.
        seed: another seed gives another series.
        size: width and height in pixels, at least 64 each.

    Yields:
        a name such as `hills-003`, and the picture.
    """
    width, height = size
    for number in range(count):
        kind, draw = _KINDS[number % len(_KINDS)]
        dice = _Dice(seed * 1_000_003 + number)
        canvas = draw(dice, height, width)
        yield f"{kind}-{number:03}", Image.fromarray(np.clip(canvas, 0, 255).astype(np.uint8))


def _noise(height: int, width: int, cell: int, seed: int) -> Grid:
    """Smooth noise, 0–65535, with features about `cell` pixels wide."""
    y, x = (np.arange(n, dtype=np.int64) * 4096 // max(cell, 1) for n in (height, width))
    rows, columns = (np.arange((int(a[-1]) >> 12) + 2, dtype=np.uint64) for a in (y, x))
    key = np.uint64((seed * 0x9E3779B1) % 2**32)
    mixed = rows[:, None] * np.uint64(0x85EBCA6B) + columns * np.uint64(0xC2B2AE35) + key
    for _ in range(2):
        mixed = mixed & np.uint64(0xFFFFFFFF)
        mixed = ((mixed >> np.uint64(15)) ^ mixed) * np.uint64(0x2C1B3C6D)
    knots = ((mixed >> np.uint64(12)) & np.uint64(0xFFFF)).astype(np.int64)
    (y0, fy), (x0, fx) = ((a >> 12, a & 4095) for a in (y, x))
    fy, fx = ((f * f * (3 * 4096 - 2 * f)) >> 24 for f in (fy, fx))
    upper = knots[y0][:, x0] * (4096 - fx) + knots[y0][:, x0 + 1] * fx
    lower = knots[y0 + 1][:, x0] * (4096 - fx) + knots[y0 + 1][:, x0 + 1] * fx
    blended: Grid = (upper * (4096 - fy)[:, None] + lower * fy[:, None]) >> 24
    return blended


def _clouds(height: int, width: int, cell: int, seed: int, octaves: int = 5) -> Grid:
    """Noise at several scales, 0–65535."""
    total = np.zeros((height, width), np.int64)
    weight = 0
    for octave in range(octaves):
        share = 1 << (octaves - octave)
        total += _noise(height, width, max(cell >> octave, 2), seed + 101 * octave) * share
        weight += share
    return total // weight


def _wave(phase: Grid) -> Grid:
    """A smooth periodic wave, 0–4096, over a period of 4096: a sine in whole numbers."""
    p = phase & 4095
    half = p & 2047
    bump = (half * (2048 - half)) >> 9
    return np.where(p < 2048, 2048 + bump, 2048 - bump)


def _ramp(colours: list[tuple[int, int, int]], level: Grid, top: int = 65536) -> Canvas:
    """Colour a field of levels, 0–top, along a row of colours."""
    table = np.array(colours, np.int64)
    scaled = np.clip(level, 0, top - 1) * (len(colours) - 1) * 256 // top
    low, share = scaled >> 8, (scaled & 255)[..., None]
    blended: Canvas = (table[low] * (256 - share) + table[low + 1] * share) >> 8
    return blended


def _paint(canvas: Canvas, colour: tuple[int, int, int] | Canvas, cover: Grid) -> None:
    """Lay a colour over the canvas; cover is 0–256 for each pixel."""
    share = np.clip(cover, 0, 256)[..., None]
    canvas[:] = (canvas * (256 - share) + np.array(colour, np.int64) * share) >> 8


def _axes(height: int, width: int) -> tuple[Grid, Grid]:
    return np.arange(height, dtype=np.int64)[:, None], np.arange(width, dtype=np.int64)[None, :]


def _disc(y: Grid, x: Grid, cy: int, cx: int, radius: int) -> Grid:
    squared = (y - cy) ** 2 + (x - cx) ** 2
    return (radius * radius - squared) * 128 // max(radius, 1)


def _hills(dice: _Dice, height: int, width: int) -> Canvas:
    colours = dice.palette()
    dice_seed = dice.below(1 << 30)
    y, x = _axes(height, width)
    sky = y * 65536 // height + (_clouds(height, width, width // 3, dice_seed) - 32768) // 2
    canvas = _ramp([colours[1], colours[3], colours[4]], sky)
    sun = (dice.between(height // 8, height // 2), dice.between(width // 8, width * 7 // 8))
    _paint(canvas, colours[4], _disc(y, x, *sun, dice.between(height // 16, height // 6)))
    layers = dice.between(3, 5)
    for layer in range(layers):
        line = _clouds(1, width, width // dice.between(2, 6), dice_seed + 7 * layer, 6)
        top = height * (3 + 5 * layer // layers) // 9 + (line - 32768) * height // 120000
        grain = _clouds(height, width, 24, dice_seed + 31 * layer)
        ground = _ramp([colours[0], colours[2]], grain + (layers - layer) * 6000 - 9000)
        _paint(canvas, ground * (layer + 3) // (layers + 3), (y - top) * 128)
    return canvas


def _shapes(dice: _Dice, height: int, width: int) -> Canvas:
    colours = dice.palette()
    y, x = _axes(height, width)
    canvas = _ramp(
        colours[3:],
        (y * dice.between(1, 5) + x * dice.between(1, 5)) * 65536 // (5 * (width + height)),
    )
    for _ in range(dice.between(16, 28)):
        cy, cx = dice.below(height), dice.below(width)
        size = dice.between(height // 16, height // 3)
        colour = colours[dice.below(5)]
        shade = dice.between(170, 256)
        kind = dice.below(4)
        if kind == 0:
            cover = _disc(y, x, cy, cx, size)
        elif kind == 1:
            cover = (
                np.minimum(size - abs(y - cy), size * dice.between(1, 3) // 2 - abs(x - cx)) * 256
            )
        elif kind == 2:
            cover = (size - abs(y - cy) - abs(x - cx)) * 128
        else:
            cover = np.minimum(_disc(y, x, cy, cx, size), -_disc(y, x, cy, cx, size * 2 // 3))
        _paint(canvas, colour, np.clip(cover, 0, shade))
    return canvas


def _tiles(dice: _Dice, height: int, width: int) -> Canvas:
    colours = dice.palette()
    y, x = _axes(height, width)
    side = max(height // dice.between(4, 7), 8)
    canvas = np.zeros((height, width, 3), np.int64)
    for top in range(0, height, side):
        for left in range(0, width, side):
            inner = (slice(top, top + side), slice(left, left + side))
            ty, tx = y[inner[0]] - top, x[:, inner[1]] - left
            part = canvas[inner]
            part[:] = colours[dice.below(5)]
            ink, motif = colours[dice.below(5)], dice.below(6)
            if motif == 0:
                cover = _disc(ty, tx, 0, 0, side * 3 // 4)
            elif motif == 1:
                cover = _disc(ty, tx, side, side * dice.below(2), side * 3 // 4)
            elif motif == 2:
                cover = (ty - tx) * 128
            elif motif == 3:
                cover = (ty + tx - side) * 128
            elif motif == 4:
                cover = _disc(ty, tx, side // 2, side // 2, side * 2 // 5)
            else:
                cover = (_wave(ty * 4096 * 2 // side + 0 * tx) - 2048) // 4
            _paint(part, ink, cover)
            _paint(part, colours[0], np.maximum(2 - ty, 2 - tx) * 90)
    return canvas


def _page(dice: _Dice, height: int, width: int) -> Canvas:
    colours = dice.palette()
    words = _STORY.split()
    paper = (dice.between(235, 250), dice.between(228, 246), dice.between(215, 240))
    canvas: Canvas = np.zeros((height, width, 3), np.int64) + np.array(paper)
    canvas += (_noise(height, width, 3, dice.below(1 << 30)) >> 13)[..., None] - 4
    margin = width // 16
    picture_rows = dice.between(height // 4, height // 2)
    picture_columns = dice.between(width // 4, width // 2)
    left = margin if dice.below(2) else width - margin - picture_columns
    top = dice.between(height // 8, height - picture_rows - margin)
    inset = (slice(top, top + picture_rows), slice(left, left + picture_columns))
    draw = (_hills, _shapes, _flow)[dice.below(3)]
    line, word = margin // 2, dice.below(len(words))
    while line < height - margin // 2:
        dot = max(1, width * (dice.between(5, 9) if dice.below(4) == 0 else 2) // 1024)
        ink = colours[dice.below(2)]
        column = margin + (dot * 12 if dice.below(5) == 0 else 0)
        end = width - margin - dice.below(width // 6)
        while column < end - 30 * dot:
            for letter in words[word % len(words)]:
                _letter(canvas[line:, column:], letter, dot, ink)
                column += 6 * dot
            column += 4 * dot
            word += 1
        line += 10 * dot
    canvas[inset] = draw(dice, picture_rows, picture_columns)
    return canvas


def _letter(canvas: Canvas, letter: str, dot: int, ink: tuple[int, int, int]) -> None:
    columns = np.array([int(_LETTERS[letter][k : k + 2], 16) for k in range(0, 10, 2)], np.int64)
    dots = (columns[None, :] >> np.arange(7)[:, None]) & 1
    mask = dots.repeat(dot, 0).repeat(dot, 1).astype(bool)
    part = canvas[: 7 * dot, : 5 * dot]
    part[mask[: part.shape[0], : part.shape[1]]] = ink


def _flow(dice: _Dice, height: int, width: int) -> Canvas:
    colours = dice.palette()
    key = dice.below(1 << 30)
    reach = max(width // dice.between(2, 5), 8)
    y, x = _axes(height, width)
    field = _clouds(height, width, reach, key)
    warp = _clouds(height, width, max(reach // 2, 4), key + 9)
    bands = _wave(
        field * dice.between(2, 4) // 8
        + warp // 6
        + (x * 3 + y * dice.between(0, 5)) * 2048 // width
    )
    tint = _clouds(height, width, reach, key + 77)
    return _ramp(colours, (bands * 9 + (tint >> 2)) * 65536 // (4096 * 9 + 16384))


def _island(dice: _Dice, height: int, width: int) -> Canvas:
    key = dice.below(1 << 30)
    land = _clouds(height, width, width // dice.between(2, 5), key, 7)
    slope = np.zeros_like(land)
    slope[1:, 1:] = land[1:, 1:] - land[:-1, :-1]
    heights = [
        (20, 50, 110),
        (40, 110, 170),
        (220, 205, 150),
        (90, 150, 70),
        (60, 100, 50),
        (130, 115, 100),
        (245, 245, 250),
    ]
    canvas = _ramp(heights, (land - 20000) * 2)
    light = np.where(land > 32768, 256 + np.clip(slope // 4, -110, 110), 256)
    return canvas * light[..., None] >> 8


def _town(dice: _Dice, height: int, width: int) -> Canvas:
    colours = dice.palette()
    y, x = _axes(height, width)
    key = dice.below(1 << 30)
    canvas = _ramp(
        colours[:4], y * 65536 // height + (_clouds(height, width, width // 4, key) - 32768) // 3
    )
    moon = (dice.between(height // 10, height // 3), dice.below(width))
    _paint(canvas, colours[4], _disc(y, x, *moon, dice.between(height // 20, height // 7)))
    left = -dice.below(width // 12)
    while left < width:
        breadth = dice.between(width // 24, width // 7)
        top = dice.between(height // 5, height * 4 // 5)
        wall = tuple(c * dice.between(60, 200) // 256 for c in colours[dice.below(3)])
        across = slice(max(left, 0), max(left + breadth, 0))
        canvas[top:, across] = wall
        step = max(breadth // dice.between(4, 8), 5)
        for row in range(top + step // 2, height - step // 2, step):
            for column in range(left + step // 2, left + breadth - step // 2, step):
                if column >= 0 and dice.below(5) < 2:
                    canvas[row : row + step * 2 // 3, column : column + step // 2] = colours[4]
        left += breadth + dice.below(width // 40 + 1)
    return canvas


def _ripples(dice: _Dice, height: int, width: int) -> Canvas:
    colours = dice.palette()
    y, x = _axes(height, width)
    total = np.zeros((height, width), np.int64)
    sources = dice.between(2, 4)
    for _ in range(sources):
        cy, cx = dice.between(-height // 4, height * 5 // 4), dice.below(width)
        squared = (y - cy) ** 2 + (x - cx) ** 2
        total += _wave(squared * 4096 // (height * max(height // dice.between(3, 12), 1)))
    glow = _clouds(height, width, width // 3, dice.below(1 << 30))
    return _ramp(colours, (total * 8 // sources + glow // 2) * 65536 // (4096 * 8 + 32768))


_KINDS: tuple[tuple[str, Callable[[_Dice, int, int], Canvas]], ...] = (
    ("hills", _hills),
    ("shapes", _shapes),
    ("tiles", _tiles),
    ("page", _page),
    ("flow", _flow),
    ("island", _island),
    ("town", _town),
    ("ripples", _ripples),
)
