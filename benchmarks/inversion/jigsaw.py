"""Find the lost places of regions: on what a PDQ shows, or against one another.

What is tried is what anybody would try first: slide every patch over the other picture in some
sizes and turns, and take the place that looks most alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn.functional import conv2d

from inversion.judge import shrunk
from inversion.laying import laid, sampled
from inversion.pictures import Floats, Subject, normal

Array = NDArray[Any]

SPAN = 32
"""Square root of the area, in samples, of the picture on which regions are tried."""
SHARES = (0.2, 0.28, 0.4, 0.56, 0.72)
"""Sides that are tried, as shares of that."""
TURNS = 16
PAIR_SPAN = 16
"""Rows and columns of a patch on which others are tried."""
PAIR_SHARES = (1.0, 0.71, 0.5)
PAIR_TURNS = 12
LEAST_OVERLAP = 0.4
"""Of the smaller of two patches."""
PREFERENCE = 0.35
"""Power of a region's side by which a likeness counts: small ones are alike by chance."""

RIGHT_PLACE, RIGHT_SIZE, RIGHT_TURN = 0.25, 1.3, 25.0
"""A place is right within these: of the side, as a factor, in degrees."""


@dataclass(frozen=True, slots=True)
class Pairs:
    """How regions were laid against one another.

    Attributes:
        overlapping: pairs whose regions lie over one another, the middle of one in the other.
        right: of these, laid rightly.
        sure: pairs that looked most alike, as many as there are regions in each picture.
        sure_right: of these, laid rightly.
    """

    overlapping: int
    right: int
    sure: int
    sure_right: int


def on_canvas(canvas: Floats, patches: Floats, aspect: float) -> tuple[Floats, Floats]:
    """Find places for patches on a rough picture.

    Returns:
        places as in `Regions`, and how alike each looked there.
    """
    size = (round(SPAN * aspect**0.5), round(SPAN * aspect**-0.5))
    image = Image.fromarray(canvas).resize(size, Image.Resampling.BOX)
    ground = torch.from_numpy(normal(np.asarray(image)))[None, None]
    best = np.full(len(patches), -1.0, np.float32)
    places = np.zeros((len(patches), 5), np.float32)
    for share in SHARES:
        side = round(share * SPAN)
        if side > min(size):
            continue
        kernels, mask = _turned(patches, side, TURNS)
        energy = conv2d(ground * ground, mask) - conv2d(ground, mask) ** 2 / mask.sum()
        alike = conv2d(ground, kernels)[0] / energy[0].clamp(min=1e-6).sqrt()
        worth = alike.unflatten(0, (len(patches), TURNS)) * share**PREFERENCE
        found, at = worth.flatten(1).max(1)
        turn, row, column = np.unravel_index(at.numpy(), worth.shape[1:])
        angle = turn * 2 * np.pi / TURNS
        there = np.stack(
            [
                (row + side / 2) / size[1],
                (column + side / 2) / size[0],
                np.full(len(patches), side / SPAN),
                np.cos(angle),
                np.sin(angle),
            ],
            1,
        )
        better = found.numpy() > best
        best[better], places[better] = found.numpy()[better], there[better]
    return places, best


def right(found: Floats, true: Floats, aspect: float) -> Array:
    """Which places were found rightly."""
    wide, high = aspect**0.5, aspect**-0.5
    apart = np.hypot((found[:, 0] - true[:, 0]) * high, (found[:, 1] - true[:, 1]) * wide)
    near: Array = apart < RIGHT_PLACE * true[:, 2]
    return near & _like(found[:, 2] / true[:, 2], _angle(found) - _angle(true))


def put_together(canvas: Floats, patches: Floats, aspect: float) -> Floats:
    """What a PDQ shows with the patches laid where they fit best."""
    places, worth = on_canvas(canvas, patches, aspect)
    return normal(canvas + laid(patches, places, aspect, np.clip(worth, 0, None)))


def against_one_another(subjects: Sequence[Subject], patches: Sequence[Floats]) -> Pairs:
    """Lay the regions of each picture against one another, and count what was right."""
    overlapping = found_right = sure = sure_right = 0
    for subject, of_it in zip(subjects, patches, strict=True):
        true = subject.regions.places
        count = len(true)
        if count < 2:
            continue
        likeness, at_y, at_x, share, turn = _pairs(of_it)
        y, x, ratio, angle = _relative(true, subject.aspect)
        correct = np.hypot(at_y - y, at_x - x) < RIGHT_PLACE * ratio
        correct &= _like(share / ratio, turn - angle)
        inner = (np.abs(x) < 0.5) & (np.abs(y) < 0.5)
        inner &= (ratio <= RIGHT_SIZE) & (ratio > PAIR_SHARES[-1] / RIGHT_SIZE)
        other = ~np.eye(count, dtype=bool)
        overlapping += int((inner & other).sum())
        found_right += int((correct & inner & other).sum())
        order = np.argsort(np.where(other, -likeness, np.inf).ravel())[:count]
        sure += count
        sure_right += int(correct.ravel()[order].sum())
    return Pairs(overlapping, found_right, sure, sure_right)


def _pairs(patches: Floats) -> tuple[Array, ...]:
    """For each ordered pair where the second lies best in the first, in sides of the first.

    Returns:
        likeness, rows and columns of the middle from the middle, size and turn, each (n, n).
    """
    count = len(patches)
    grounds, full = _turned(patches, PAIR_SPAN, 1)
    best = np.full((5, count, count), -1.0)
    for share in PAIR_SHARES:
        side = round(share * PAIR_SPAN)
        kernels, mask = _turned(patches, side, PAIR_TURNS)
        around = side // 2
        area = conv2d(full, mask, padding=around)
        own = conv2d(full, kernels * kernels, padding=around).clamp(min=1e-6)
        enough = area > LEAST_OVERLAP * mask.sum()
        for number in range(count):
            ground = grounds[number : number + 1]
            theirs = conv2d(ground * ground, mask, padding=around).clamp(min=1e-6)
            alike = conv2d(ground, kernels, padding=around) / (theirs * own).sqrt()
            # A likeness over a small part comes by chance.
            worth = torch.where(enough, alike * (area / full.sum()) ** (PREFERENCE / 2), -1.0)
            by_patch = worth[0].unflatten(0, (count, PAIR_TURNS))
            found, at = by_patch.flatten(1).max(1)
            turn, row, column = np.unravel_index(at.numpy(), by_patch.shape[1:])
            middle = side / 2 - around - PAIR_SPAN / 2
            there = [
                found.numpy(),
                (row + middle) / PAIR_SPAN,
                (column + middle) / PAIR_SPAN,
                np.full(count, side / PAIR_SPAN),
                turn * 360 / PAIR_TURNS,
            ]
            better = there[0] > best[0, number]
            best[:, number, better] = np.array(there)[:, better]
    return tuple(best)


def _relative(places: Floats, aspect: float) -> tuple[Array, ...]:
    """Where each region lies in the frame of each: rows, columns and size in its sides, degrees."""
    y, x, side, cosine, sine = places.astype(np.float64).T
    down, across = y * aspect**-0.5, x * aspect**0.5
    apart_x, apart_y = across[None] - across[:, None], down[None] - down[:, None]
    in_x = (apart_x * cosine[:, None] + apart_y * sine[:, None]) / side[:, None]
    in_y = (apart_y * cosine[:, None] - apart_x * sine[:, None]) / side[:, None]
    angle = _angle(places)
    return in_y, in_x, side[None] / side[:, None], angle[None] - angle[:, None]


def _turned(patches: Floats, side: int, turns: int) -> tuple[Tensor, Tensor]:
    """Round patches of a size in every turn: (n · turns, 1, side, side), and their common mask."""
    lines = (np.arange(side) + 0.5) / side * 2 - 1
    across, down = np.meshgrid(lines, lines)
    mask = (across * across + down * down <= 1).astype(np.float32)
    levels = shrunk(patches, side)
    angles = 2 * np.pi / turns * np.arange(turns)[:, None, None]
    cosine, sine = np.cos(angles), np.sin(angles)
    kernels = sampled(levels, across * cosine + down * sine, down * cosine - across * sine)
    kernels = (kernels - (kernels * mask).sum((-2, -1), keepdims=True) / mask.sum()) * mask
    kernels /= np.maximum(np.sqrt((kernels * kernels).sum((-2, -1), keepdims=True)), 1e-9)
    stacked = torch.from_numpy(kernels.astype(np.float32)).reshape(-1, 1, side, side)
    return stacked, torch.from_numpy(mask)[None, None]


def _angle(places: Floats) -> Array:
    degrees: Array = np.degrees(np.arctan2(places[:, 4], places[:, 3]))
    return degrees


def _like(ratio: Array, turned: Array) -> Array:
    apart = np.abs((turned + 180) % 360 - 180)
    like: Array = (np.abs(np.log(ratio)) < np.log(RIGHT_SIZE)) & (apart < RIGHT_TURN)
    return like
