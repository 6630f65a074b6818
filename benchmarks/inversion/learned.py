"""Seen again by small networks that learned from other pictures."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from egide.hashing.pdq import COSINES
from inversion.networks import (
    OfKeypoints,
    OfManyCodes,
    OfOneCode,
    codes_of,
    drawn,
    keypoints_of,
    plus_minus,
)
from inversion.pictures import MIN_SHARE, SIDE, Bits, Floats, Subject, normal
from inversion.signs import Signs

BATCH = 64
RATE = 1e-3
FLIPPED = 0.02
"""Share of bits turned over while learning, so that no code is learned by heart."""
EDGES = 0.5
"""What edges count beside tone."""


@dataclass(frozen=True, slots=True)
class Effort:
    """How long is learned.

    Attributes:
        pdq_views: crops of each picture, for its PDQ.
        pdq_rounds, region_rounds, set_rounds, keypoint_rounds: times through all examples.
        regions: to learn from.
    """

    pdq_views: int = 24
    pdq_rounds: int = 3
    regions: int = 12_000
    region_rounds: int = 2
    set_rounds: int = 8
    keypoint_rounds: int = 4


class Learned:
    """One network for each kind of fingerprint."""

    def __init__(
        self, known: Sequence[Subject], whole: int, signs: Signs, effort: Effort, seed: int
    ) -> None:
        """Learn.

        Args:
            known: pictures, the first `whole` of them not cropped.
            whole: how many.
            signs: what the keypoints' coarse grid shows.
            effort: how long.
            seed: of everything that is drawn.
        """
        torch.manual_seed(seed)
        rng = np.random.default_rng(seed)
        self._pdq = _learn_pdq(known[:whole], effort, rng)
        self._region = _learn_regions(known, effort, rng)
        self._many = _learn_sets(known, self._pdq, effort)
        self._signs = signs
        self._keypoints = _learn_keypoints(known, signs, effort)

    def pdq(self, bits: Sequence[Bits]) -> Floats:
        """Pictures of their PDQs."""
        with torch.no_grad():
            return drawn(self._pdq(plus_minus(np.array(bits))))

    def regions(self, bits: Bits) -> Floats:
        """Patches of anchored hashes, shape (n, 32, 32)."""
        with torch.no_grad():
            return drawn(self._region(plus_minus(bits)))

    def anchored(self, subjects: Sequence[Subject], *, with_pdq: bool) -> Floats:
        """Pictures of all their anchored hashes, without or with their PDQ."""
        codes, absent = codes_of([each.regions for each in subjects])
        with torch.no_grad():
            base = self._pdq.coefficients(plus_minus(np.array([each.pdq for each in subjects])))
            return drawn(self._many(codes, absent, base * with_pdq))

    def keypoints(self, subjects: Sequence[Subject]) -> Floats:
        """Pictures of their keypoints."""
        points, cells, grid = keypoints_of(list(subjects), self._signs)
        with torch.no_grad():
            return drawn(self._keypoints(points.float(), cells, grid))


def _learn_pdq(whole: Sequence[Subject], effort: Effort, rng: np.random.Generator) -> OfOneCode:
    pictures = np.array([_part(each, rng) for _ in range(effort.pdq_views) for each in whole])
    coefficients = COSINES @ pictures @ COSINES.T
    # The 128th smallest of 256 is PDQ's median.
    median = np.partition(coefficients.reshape(len(pictures), -1), 127, axis=1)[:, 127]
    codes = plus_minus(coefficients > median[:, None, None])
    network = OfOneCode(pictures, codes)
    _train(network, lambda rows: network(_flipped(codes[rows])), pictures, effort.pdq_rounds, "PDQ")
    return network


def _part(subject: Subject, rng: np.random.Generator) -> Floats:
    """A part of a picture, mirrored or not."""
    side = len(subject.fine)
    height, width = (round(side * rng.uniform(MIN_SHARE, 1)) for _ in range(2))
    top, left = (int(rng.integers(side - each + 1)) for each in (height, width))
    part = Image.fromarray(subject.fine[top : top + height, left : left + width])
    levels = np.asarray(part.resize((SIDE, SIDE), Image.Resampling.BOX), np.float32)
    return normal(levels[:, ::-1] if rng.integers(2) else levels)


def _learn_regions(known: Sequence[Subject], effort: Effort, rng: np.random.Generator) -> OfOneCode:
    bits = np.concatenate([each.regions.bits for each in known])
    patches = np.concatenate([each.regions.patches for each in known])
    chosen = rng.permutation(len(bits))[: effort.regions]
    codes, patches = plus_minus(bits[chosen]), patches[chosen]
    network = OfOneCode(patches, codes)
    _train(
        network,
        lambda rows: network(_flipped(codes[rows])),
        patches,
        effort.region_rounds,
        "regions",
    )
    return network


def _learn_sets(known: Sequence[Subject], of_pdq: OfOneCode, effort: Effort) -> OfManyCodes:
    pictures = np.array([each.picture for each in known])
    codes, absent = codes_of([each.regions for each in known])
    some = ~absent.all(1)
    pictures, codes, absent = pictures[some.numpy()], codes[some], absent[some]
    with torch.no_grad():
        base = of_pdq.coefficients(plus_minus(np.array([each.pdq for each in known])))[some]
    network = OfManyCodes(pictures)

    def draw(rows: Tensor) -> Tensor:
        # A third of the codes are hidden, another third each time, and half of the PDQs.
        hidden = absent[rows] | (torch.rand(len(rows), absent.shape[1]) < 1 / 3)
        hidden[:, 0] = absent[rows, 0]
        told = (torch.rand(len(rows), 1) < 1 / 2).float()
        drawing: Tensor = network(_flipped(codes[rows]), hidden, base[rows] * told)
        return drawing

    _train(network, draw, pictures, effort.set_rounds, "sets of anchored hashes")
    return network


def _learn_keypoints(known: Sequence[Subject], signs: Signs, effort: Effort) -> OfKeypoints:
    pictures = np.array([each.picture for each in known])
    points, cells, grid = keypoints_of(list(known), signs)
    network = OfKeypoints()

    def draw(rows: Tensor) -> Tensor:
        drawing: Tensor = network(points[rows].float(), cells[rows], grid[rows])
        return drawing

    _train(network, draw, pictures, effort.keypoint_rounds, "keypoints")
    return network


def _flipped(codes: Tensor) -> Tensor:
    return torch.where(torch.rand_like(codes) < FLIPPED, -codes, codes)


def _train(
    network: nn.Module,
    draw: Callable[[Tensor], Tensor],
    pictures: Floats,
    rounds: int,
    what: str,
) -> None:
    truth = torch.from_numpy(pictures)
    steps = rounds * -(-len(pictures) // BATCH)
    optimiser = torch.optim.AdamW(network.parameters(), RATE, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=steps)
    network.train()
    for turn in range(rounds):
        losses = []
        for rows in torch.randperm(len(pictures)).split(BATCH):
            loss = _apart(draw(rows), truth[rows])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            losses.append(loss.item())
        print(f"{what}: {turn + 1}/{rounds}, {np.mean(losses):.3f}", file=sys.stderr)
    network.eval()


def _apart(drawn_pictures: Tensor, truth: Tensor) -> Tensor:
    """How far drawings are from the true pictures, in tone and in edges."""
    steps = [
        torch.cat([each.diff(dim=1).flatten(1), each.diff(dim=2).flatten(1)], 1)
        for each in (drawn_pictures, truth)
    ]
    levels = [
        (each - each.mean((1, 2), keepdim=True)).flatten(1) for each in (drawn_pictures, truth)
    ]
    tone, edges = (
        nn.functional.cosine_similarity(first, second) for first, second in (levels, steps)
    )
    return (1 - tone).mean() + EDGES * (1 - edges).mean()
