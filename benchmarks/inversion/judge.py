"""How much a picture that was seen again shows of the true one.

Two measures, each 1 for the picture itself and 0 for an unrelated one. *Tone* is the correlation
of brightness: where it is light and dark. *Edges* is the correlation of the differences between
neighbours: where something ends. The yardstick of both is the picture as a thumbnail of k×k.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inversion.pictures import Floats, enlarged

THUMBNAILS = (2, 3, 4, 6, 8, 12, 16, 24, 32)
"""Pixels a side."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one way of seeing pictures again shows of them.

    Attributes:
        tone, edges: medians over pictures.
        tone_side, edges_side: side of the thumbnail that shows as much; 0 if under the smallest.
        chosen: how often the judge chooses the right one of the candidates.
        pictures: how many were seen again, which are the candidates too.
    """

    tone: float
    edges: float
    tone_side: float
    edges_side: float
    chosen: float
    pictures: int


class Judge:
    """Compares pictures seen again with the true ones of the same places."""

    def __init__(self, truth: Floats) -> None:
        """Measure the yardstick.

        Args:
            truth: normal pictures, shape (n, side, side).
        """
        self._truth = truth
        self._edges = edges(truth)
        self.yardstick = {
            side: self._measures(thumbnails(truth, side))
            for side in THUMBNAILS
            if side < truth.shape[1]
        }

    def verdict(self, seen: Floats) -> Verdict:
        """Judge pictures, shaped like the true ones and in their order."""
        tone, edge, chosen = self._measures(seen)
        return Verdict(
            tone=tone,
            edges=edge,
            tone_side=self._side(tone, 0),
            edges_side=self._side(edge, 1),
            chosen=chosen,
            pictures=len(seen),
        )

    def _measures(self, seen: Floats) -> tuple[float, float, float]:
        tone = flat(seen) @ flat(self._truth).T
        edge = edges(seen) @ self._edges.T
        right = (tone + edge).argmax(1) == np.arange(len(seen))
        return (
            float(np.median(tone.diagonal())),
            float(np.median(edge.diagonal())),
            float(right.mean()),
        )

    def _side(self, score: float, measure: int) -> float:
        """The side of the thumbnail that scores as much, interpolated between those measured."""
        scores = [scores[measure] for scores in self.yardstick.values()]
        if score < scores[0]:
            return 0.0
        return float(2 ** np.interp(score, scores, np.log2([*self.yardstick])))


def flat(pictures: Floats) -> Floats:
    """Each picture as a row."""
    return pictures.reshape(len(pictures), -1)


def edges(pictures: Floats) -> Floats:
    """The differences between neighbours to the right and below, a row of length 1 a picture."""
    across, down = np.diff(pictures, axis=2), np.diff(pictures, axis=1)
    rows = np.concatenate([flat(across), flat(down)], 1)
    scaled: Floats = rows / np.maximum(np.sqrt((rows * rows).sum(1, keepdims=True)), 1e-9)
    return scaled


def thumbnails(pictures: Floats, side: int) -> Floats:
    """Pictures of side × side pixels, enlarged again."""
    return np.array([enlarged(picture, pictures.shape[1]) for picture in shrunk(pictures, side)])


def shrunk(pictures: Floats, side: int) -> Floats:
    """The means over side × side equal parts."""
    matrix = _means(pictures.shape[1], side)
    return (matrix @ pictures @ matrix.T).astype(np.float32)


def _means(length: int, side: int) -> NDArray[np.float64]:
    """Means of equal parts of a line, also where the parts cut samples."""
    edges_of_parts = np.arange(side + 1) * length / side
    samples = np.arange(length)
    overlap = np.minimum(edges_of_parts[1:, None], samples + 1) - np.maximum(
        edges_of_parts[:-1, None], samples
    )
    means: NDArray[np.float64] = np.clip(overlap, 0, None) * side / length
    return means
