"""Edits that move points: crops, mirrors and turns, rotations, warps."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import product

import numpy as np
from numpy.random import Generator
from PIL import Image, ImageFilter

from edits.edit import Edit, Group
from edits.photometric import clipped, coloured, noisy

Others = Sequence[Image.Image]
Bend = Callable[[float, float], tuple[float, float]]


def cropped(image: Image.Image, keep: float, across: float, down: float) -> Image.Image:
    """Keep a share of each side; 0.5, 0.5 is the centre, 0, 0 the top left corner."""
    width, height = round(image.width * keep), round(image.height * keep)
    left, top = round((image.width - width) * across), round((image.height - height) * down)
    return image.crop((left, top, left + width, top + height))


def crop_off_centre(image: Image.Image, rng: Generator, keep: float) -> Image.Image:
    """Crop towards a corner, up to the very corner."""
    across, down = (float(rng.choice([rng.uniform(0, 0.2), rng.uniform(0.8, 1)])) for _ in "xy")
    return cropped(image, keep, across, down)


def aspect_crop(image: Image.Image, ratio: float) -> Image.Image:
    """The largest part in the centre of that width / height."""
    width = min(image.width, round(image.height * ratio))
    height = min(image.height, round(image.width / ratio))
    left, top = (image.width - width) // 2, (image.height - height) // 2
    return image.crop((left, top, left + width, top + height))


def vertical_crop(image: Image.Image) -> Image.Image:
    """Crop to 9:16, as a story; a picture that is so already to 16:9."""
    return aspect_crop(image, 9 / 16 if image.width > image.height * 0.7 else 16 / 9)


def rotated_on(image: Image.Image, degrees: float, fill: str) -> Image.Image:
    """Rotate on a plain ground that shows all of it."""
    return image.rotate(degrees, Image.Resampling.BICUBIC, expand=True, fillcolor=fill)


def rotated_inside(image: Image.Image, degrees: float) -> Image.Image:
    """Rotate, then keep the largest part of the same proportions that has no corner missing."""
    turn = math.radians(abs(degrees))
    w, h = image.size
    keep = min(
        w / (w * math.cos(turn) + h * math.sin(turn)),
        h / (w * math.sin(turn) + h * math.cos(turn)),
    )
    # A hundredth less, for the rounding to whole pixels.
    return cropped(image.rotate(degrees, Image.Resampling.BICUBIC), 0.99 * keep, 0.5, 0.5)


def rotated_on_blur(image: Image.Image, degrees: float) -> Image.Image:
    """Rotate on a blurred copy of itself, as photo apps fill the corners."""
    ground = image.resize((image.width // 4, image.height // 4)).filter(ImageFilter.GaussianBlur(6))
    ground = ground.resize(image.size, Image.Resampling.BICUBIC)
    mask = Image.new("L", image.size, 255).rotate(degrees)
    ground.paste(image.rotate(degrees, Image.Resampling.BICUBIC), (0, 0), mask)
    return ground


def perspective(
    image: Image.Image, corners: Sequence[tuple[float, float]], fill: str = "#202226"
) -> Image.Image:
    """Move the corners.

    Args:
        image: RGB.
        corners: where top left, top right, bottom right and bottom left go, as shares of the sides.
        fill: the ground.
    """
    w, h = image.size
    source = ((0, 0), (w, 0), (w, h), (0, h))
    rows, right = [], []
    for (x, y), (u, v) in zip(((a * w, b * h) for a, b in corners), source, strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
        right += [u, v]
    weights = np.linalg.solve(np.array(rows, np.float64), np.array(right, np.float64))
    return image.transform(
        image.size,
        Image.Transform.PERSPECTIVE,
        [float(weight) for weight in weights],
        Image.Resampling.BICUBIC,
        fillcolor=fill,
    )


def seen_aslant(image: Image.Image, rng: Generator, depth: float) -> Image.Image:
    """Seen from the side: each corner goes inwards by up to `depth` of the sides."""
    inwards = rng.uniform(0.25 * depth, depth, (4, 2))
    signs = ((1, 1), (-1, 1), (-1, -1), (1, -1))
    at = ((0, 0), (1, 0), (1, 1), (0, 1))
    return perspective(
        image,
        [
            (x + sx * float(dx), y + sy * float(dy))
            for (x, y), (sx, sy), (dx, dy) in zip(at, signs, inwards, strict=True)
        ],
    )


def sheared(image: Image.Image, slope: float) -> Image.Image:
    """Slant, on a white ground."""
    shift = slope * image.height
    return image.transform(
        (round(image.width + shift), image.height),
        Image.Transform.AFFINE,
        (1, slope, -shift, 0, 1, 0),
        Image.Resampling.BICUBIC,
        fillcolor="white",
    )


def bent(image: Image.Image, bend: Bend, cells: int = 20) -> Image.Image:
    """Bend by a mesh: `bend` says where each point comes from, −1 to 1 across and down."""
    w, h = image.size

    def source(x: float, y: float) -> tuple[float, float]:
        u, v = bend(2 * x / w - 1, 2 * y / h - 1)
        return (u + 1) * w / 2, (v + 1) * h / 2

    mesh = []
    for row, column in product(range(cells), repeat=2):
        left, right = w * column // cells, w * (column + 1) // cells
        top, bottom = h * row // cells, h * (row + 1) // cells
        quad = (
            *source(left, top),
            *source(left, bottom),
            *source(right, bottom),
            *source(right, top),
        )
        mesh.append(((left, top, right, bottom), quad))
    return image.transform(image.size, Image.Transform.MESH, mesh, Image.Resampling.BILINEAR)


def _barrel(x: float, y: float) -> tuple[float, float]:
    # Least at the centre, so that no point comes from outside the picture.
    stretch = (1 + 0.18 * (x * x + y * y)) / 1.36
    return x * stretch, y * stretch


def _swirl(x: float, y: float) -> tuple[float, float]:
    turn = 0.7 * max(0.0, 1 - math.hypot(x, y)) ** 2
    return (
        x * math.cos(turn) - y * math.sin(turn),
        x * math.sin(turn) + y * math.cos(turn),
    )


def _wave(x: float, y: float) -> tuple[float, float]:
    return 0.95 * x + 0.03 * math.sin(5 * y), 0.95 * y + 0.03 * math.sin(4 * x)


def photo_of_screen(image: Image.Image, rng: Generator, depth: float = 0.09) -> Image.Image:
    """A screen photographed by hand: aslant, striped by its raster, tinted, grainy, a glare."""
    w, h = image.size
    y = np.arange(h, dtype=np.float32)[:, None]
    x = np.arange(w, dtype=np.float32)[None, :]
    tilt = np.float32(rng.uniform(0.05, 0.12))
    turn = np.float32(2 * math.pi)
    raster = 6 * np.sin(turn * (x / 3.3 + tilt * y)) + 5 * np.sin(turn * (y / 4.1 - tilt * x))
    glare = 55 * np.exp(-(((x / w - 0.8) / 0.25) ** 2)) * np.exp(-(((y / h - 0.2) / 0.3) ** 2))
    light = raster + glare
    screen = clipped(0.9 * np.asarray(image, np.float32) + light[..., None])
    return noisy(seen_aslant(coloured(screen, 0.94, 1.0, 1.1), rng, depth), rng, 6)


def stretched(image: Image.Image, across: float, down: float) -> Image.Image:
    """Resize without keeping proportions."""
    return image.resize((round(image.width * across), round(image.height * down)))


def _crop(name: str, keep: float) -> Edit:
    return Edit(name, Group.CROP, lambda im, _r, _o: cropped(im, keep, 0.5, 0.5))


def _off(name: str, keep: float) -> Edit:
    return Edit(name, Group.CROP, lambda im, rng, _o: crop_off_centre(im, rng, keep))


def _dihedral(name: str, method: Image.Transpose) -> Edit:
    return Edit(name, Group.DIHEDRAL, lambda im, _r, _o: im.transpose(method))


def _warp(name: str, bend: Bend) -> Edit:
    return Edit(name, Group.WARP, lambda im, _r, _o: bent(im, bend))


CROPS = (
    _crop("crop-centre-10", 0.9),
    _crop("crop-centre-30", 0.7),
    _crop("crop-centre-50", 0.5),
    _crop("crop-centre-60", 0.4),
    _off("crop-side-20", 0.8),
    _off("crop-side-40", 0.6),
    _off("crop-side-60", 0.4),
    Edit("crop-square", Group.CROP, lambda im, _r, _o: aspect_crop(im, 1.0)),
    Edit("crop-4:5", Group.CROP, lambda im, _r, _o: aspect_crop(im, 0.8)),
    Edit("crop-9:16", Group.CROP, lambda im, _r, _o: vertical_crop(im)),
)
"""The number is the share of each side, in percent, that is cut away."""

DIHEDRAL = (
    _dihedral("mirror", Image.Transpose.FLIP_LEFT_RIGHT),
    _dihedral("flip", Image.Transpose.FLIP_TOP_BOTTOM),
    _dihedral("turn-90", Image.Transpose.ROTATE_90),
    _dihedral("turn-180", Image.Transpose.ROTATE_180),
    _dihedral("turn-270", Image.Transpose.ROTATE_270),
    _dihedral("transpose", Image.Transpose.TRANSPOSE),
    _dihedral("transverse", Image.Transpose.TRANSVERSE),
)

ROTATIONS = (
    Edit("rotate-2-black", Group.ROTATION, lambda im, _r, _o: rotated_on(im, 2, "black")),
    Edit("rotate-5-inside", Group.ROTATION, lambda im, _r, _o: rotated_inside(im, -5)),
    Edit("rotate-8-blurred", Group.ROTATION, lambda im, _r, _o: rotated_on_blur(im, 8)),
    Edit("rotate-10-white", Group.ROTATION, lambda im, _r, _o: rotated_on(im, 10, "white")),
    Edit("rotate-15-inside", Group.ROTATION, lambda im, _r, _o: rotated_inside(im, 15)),
    Edit("rotate-30-white", Group.ROTATION, lambda im, _r, _o: rotated_on(im, -30, "white")),
    Edit("rotate-45-black", Group.ROTATION, lambda im, _r, _o: rotated_on(im, 45, "black")),
)

WARPS = (
    Edit("perspective", Group.WARP, lambda im, rng, _o: seen_aslant(im, rng, 0.15)),
    Edit("shear", Group.WARP, lambda im, _r, _o: sheared(im, 0.2)),
    Edit("stretch-20", Group.WARP, lambda im, _r, _o: stretched(im, 1.2, 1.0)),
    Edit("squeeze-35", Group.WARP, lambda im, _r, _o: stretched(im, 0.65, 1.0)),
    Edit("stretch-40", Group.WARP, lambda im, _r, _o: stretched(im, 1.4, 1.0)),
    _warp("barrel", _barrel),
    _warp("swirl", _swirl),
    _warp("waves", _wave),
    Edit("photo-of-screen", Group.WARP, lambda im, rng, _o: photo_of_screen(im, rng)),
    Edit("photo-of-screen-aslant", Group.WARP, lambda im, rng, _o: photo_of_screen(im, rng, 0.2)),
)

EDITS = (*CROPS, *DIHEDRAL, *ROTATIONS, *WARPS)
