"""Small networks that turn fingerprints into pictures.

All of them end alike: in the lowest 32×32 cosine frequencies, of which the picture is made. None
can show finer detail.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn

from egide.domain.model import REGISTERED_ANCHORED
from egide.hashing.keypoint_set import SIGN_GRID
from inversion.pictures import SIDE, Bits, Floats, Regions, Subject, normal
from inversion.signs import Signs

WAVES = 32
"""Frequencies in each direction, from 0."""
BITS = 256
KEYPOINTS = 600
CHANNELS = 16
LAYERS = 24
WIDTH = 96
HIDDEN = 512
FORGOTTEN = 0.3
PENALTY = 0.02
"""On large weights, of what is solved for at once."""


def plus_minus(bits: Bits) -> Tensor:
    """Bits as −1 and 1, a row of 256 a code."""
    return torch.from_numpy(np.where(bits, np.float32(1), np.float32(-1))).flatten(-2)


class Drawing(nn.Module):
    """Coefficients to a picture."""

    def __init__(self, examples: Floats) -> None:
        """Take the typical size of each coefficient.

        Args:
            examples: normal pictures, shape (n, side, side).
        """
        super().__init__()
        side = examples.shape[1]
        lines = np.arange(side) + 0.5
        waves = np.cos(np.pi / side * np.arange(WAVES)[:, None] * lines) * math.sqrt(2 / side)
        self.register_buffer("waves", torch.tensor(waves, dtype=torch.float32))
        typical = np.abs(waves @ examples @ waves.T).mean(0)
        typical[0, 0] = 0
        self.register_buffer("typical", torch.tensor(typical, dtype=torch.float32))

    def forward(self, coefficients: Tensor) -> Tensor:
        """Draw: (n, 1024) to (n, side, side)."""
        sized = coefficients.unflatten(1, (WAVES, WAVES)) * self.typical
        return self.waves.T @ sized @ self.waves

    def undone(self, pictures: Tensor) -> Tensor:
        """The coefficients that would draw pictures best, (n, 1024)."""
        found = self.waves @ pictures @ self.waves.T / self.typical.clamp(min=1e-6)
        found[:, 0, 0] = 0
        return found.flatten(1)


class OfOneCode(nn.Module):
    """A picture, or a region, of one code."""

    def __init__(self, examples: Floats, codes: Tensor) -> None:
        """Begin with what is best without any layer between.

        Args:
            examples: see `Drawing`.
            codes: of the examples, (n, 256).
        """
        super().__init__()
        self.drawing = Drawing(examples)
        self.direct = nn.Linear(BITS, WAVES * WAVES)
        wanted = self.drawing.undone(torch.from_numpy(examples))
        least = codes.T @ codes + PENALTY * len(codes) * torch.eye(BITS)
        self.direct.weight.data = torch.linalg.solve(least, codes.T @ wanted).T.contiguous()
        self.deep = nn.Sequential(
            nn.Linear(BITS, HIDDEN),
            nn.GELU(),
            nn.Dropout(FORGOTTEN),
            nn.Linear(HIDDEN, HIDDEN),
            nn.GELU(),
            nn.Dropout(FORGOTTEN),
            nn.Linear(HIDDEN, WAVES * WAVES),
        )

    def coefficients(self, code: Tensor) -> Tensor:
        """Of (n, 256) bits the (n, 1024) coefficients."""
        found: Tensor = self.direct(code) + self.deep(code)
        return found

    def forward(self, code: Tensor) -> Tensor:
        """Draw."""
        return self.drawing(self.coefficients(code))


class OfManyCodes(nn.Module):
    """A picture of a set of codes without order, beside what another fingerprint tells or alone."""

    def __init__(self, examples: Floats) -> None:
        """See `Drawing`."""
        super().__init__()
        self.enter = nn.Linear(BITS, WIDTH)
        layer = nn.TransformerEncoderLayer(
            WIDTH, 4, 2 * WIDTH, FORGOTTEN, "gelu", batch_first=True, norm_first=True
        )
        self.mixing = nn.TransformerEncoder(layer, 1, enable_nested_tensor=False)
        self.leave = nn.Sequential(
            nn.Linear(2 * WIDTH, HIDDEN),
            nn.GELU(),
            nn.Dropout(FORGOTTEN),
            nn.Linear(HIDDEN, WAVES * WAVES),
        )
        self.drawing = Drawing(examples)

    def forward(self, codes: Tensor, absent: Tensor, base: Tensor) -> Tensor:
        """Draw.

        Args:
            codes: (n, 62, 256).
            absent: (n, 62), where a picture has fewer codes.
            base: (n, 1024) coefficients known of the picture, or 0.
        """
        mixed = self.mixing(self.enter(codes), src_key_padding_mask=absent)
        present = (~absent).float()[..., None]
        mean = (mixed * present).sum(1) / present.sum(1).clamp(min=1)
        most = mixed.masked_fill(absent[..., None], -9.0).amax(1)
        return self.drawing(self.leave(torch.cat([mean, most], 1)) + base)


class OfKeypoints(nn.Module):
    """A picture of keypoints at their places, beside what their coarse grid shows."""

    def __init__(self) -> None:
        """Begin with what the grid shows."""
        super().__init__()
        self.enter = nn.Sequential(nn.Linear(BITS + 4, 48), nn.GELU(), nn.Linear(48, CHANNELS))
        self.looking = nn.Sequential(
            nn.Conv2d(5 + CHANNELS, LAYERS, 3, padding=1),
            nn.GELU(),
            nn.Conv2d(LAYERS, LAYERS, 3, padding=1),
            nn.GELU(),
        )
        self.leave = nn.Conv2d(LAYERS, 4, 1)
        nn.init.zeros_(self.leave.weight)

    def forward(self, points: Tensor, cells: Tensor, grid: Tensor) -> Tensor:
        """Draw.

        Args:
            points: (n, 600, 260) descriptors, sizes and directions; zeros where there are fewer.
            cells: (n, 600) which cell of the coarse grid each is in.
            grid: (n, 5, 24, 24) the levels that fit the grid, and its bits.
        """
        told = self.enter(points) * points.any(2, keepdim=True)
        gathered = torch.zeros(len(points), SIGN_GRID * SIGN_GRID, CHANNELS)
        gathered = gathered.scatter_add(1, cells[..., None].expand_as(told), told)
        placed = gathered.transpose(1, 2).unflatten(2, (SIGN_GRID, SIGN_GRID))
        finer = nn.functional.pixel_shuffle(
            self.leave(self.looking(torch.cat([grid, placed], 1))), 2
        )
        levels = nn.functional.interpolate(grid[:, :1], finer.shape[2:], mode="bicubic")
        return nn.functional.interpolate(levels + finer, (SIDE, SIDE), mode="bicubic")[:, 0]


def codes_of(regions: list[Regions]) -> tuple[Tensor, Tensor]:
    """The codes of pictures and where there are none: (n, 62, 256), (n, 62)."""
    codes = torch.zeros(len(regions), REGISTERED_ANCHORED, BITS)
    absent = torch.ones(len(regions), REGISTERED_ANCHORED, dtype=torch.bool)
    for number, each in enumerate(regions):
        codes[number, : len(each.bits)] = plus_minus(each.bits)
        absent[number, : len(each.bits)] = False
    return codes, absent


def keypoints_of(subjects: list[Subject], signs: Signs) -> tuple[Tensor, Tensor, Tensor]:
    """What `OfKeypoints` is given."""
    points = torch.zeros(len(subjects), KEYPOINTS, BITS + 4, dtype=torch.float16)
    cells = torch.zeros(len(subjects), KEYPOINTS, dtype=torch.int64)
    grid = np.zeros((len(subjects), 5, SIGN_GRID, SIGN_GRID), np.float32)
    for number, each in enumerate(subjects):
        known = each.keypoints
        count = len(known.points)
        bits = np.unpackbits(known.descriptors, axis=1).astype(np.float32) * 2 - 1
        turned = np.radians(known.angles)[:, None]
        size = np.log2(known.sizes / np.sqrt(each.size[0] * each.size[1]))[:, None] + 3
        told = np.concatenate([bits, size, np.cos(turned), np.sin(turned), np.ones_like(size)], 1)
        points[number, :count] = torch.from_numpy(told).half()
        places = np.clip((known.points / each.size * SIGN_GRID).astype(np.int64), 0, SIGN_GRID - 1)
        cells[number, :count] = torch.from_numpy(places[:, 1] * SIGN_GRID + places[:, 0])
        steps = np.where(known.brighter, 1, -1)
        levels = normal(signs.levels(known)) * SIGN_GRID
        grid[number] = np.concatenate([levels[None], steps * known.clear, steps * ~known.clear])
    return points, cells, torch.from_numpy(grid)


def drawn(pictures: Tensor) -> Floats:
    """What a network drew, as normal pictures."""
    return normal(pictures.detach().numpy())
