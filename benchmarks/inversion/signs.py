"""Seen again by sign and typical magnitude, without any learning beyond means."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from egide.hashing.anchored_patches import WAVES
from egide.hashing.keypoint_set import SIGN_GRID, KeypointView
from egide.hashing.pdq import COSINES
from inversion.pictures import Bits, Floats, Subject, enlarged, normal


class Signs:
    """What each bit tells by itself."""

    def __init__(self, known: Sequence[Subject]) -> None:
        """Take typical magnitudes.

        Args:
            known: pictures to learn from.
        """
        pictures = np.array([each.picture for each in known])
        self._of_pdq = np.abs(COSINES @ pictures @ COSINES.T).mean(0)
        patches = np.concatenate([each.regions.patches for each in known])
        self._waves = normalised_waves()
        self._of_region = np.abs(self._waves @ patches @ self._waves.T).mean(0)
        self._of_rise = [
            float(
                np.mean(
                    [np.abs(each.rises)[each.keypoints.clear == clear].mean() for each in known]
                )
            )
            for clear in (False, True)
        ]
        self._levels_of_rises = np.linalg.pinv(_rises_of_levels())

    def pdq(self, bits: Bits) -> Floats:
        """The picture behind a PDQ: each coefficient with its sign and its typical magnitude."""
        return normal(COSINES.T @ (_signed(bits) * self._of_pdq) @ COSINES)

    def regions(self, bits: Bits) -> Floats:
        """The patches behind anchored hashes, shape (n, 32, 32)."""
        return normal(self._waves.T @ (_signed(bits) * self._of_region) @ self._waves)

    def levels(self, keypoints: KeypointView) -> Floats:
        """What fits the steps of the keypoints' coarse grid best, shape (24, 24)."""
        steps = np.where(keypoints.clear, self._of_rise[True], self._of_rise[False])
        rises = (_signed(keypoints.brighter) * steps).reshape(-1)
        found: Floats = (
            (self._levels_of_rises @ rises).reshape(SIGN_GRID, SIGN_GRID).astype(np.float32)
        )
        return found

    def keypoints(self, keypoints: KeypointView) -> Floats:
        """The picture behind the keypoints' coarse grid."""
        return enlarged(self.levels(keypoints))


def normalised_waves() -> Floats:
    """The cosine transform of a region, its rows of length 1, shape (16, 32)."""
    waves: Floats = (WAVES / np.sqrt((WAVES * WAVES).sum(1, keepdims=True))).astype(np.float32)
    return waves


def _signed(bits: Bits) -> Floats:
    return np.where(bits, np.float32(1), np.float32(-1))


def _rises_of_levels() -> NDArray[np.float64]:
    """The matrix that makes the grid's steps of its levels, shape (2 · 24², 24²)."""
    cells = np.eye(SIGN_GRID * SIGN_GRID).reshape(-1, SIGN_GRID, SIGN_GRID)
    steps = np.zeros((SIGN_GRID * SIGN_GRID, 2, SIGN_GRID, SIGN_GRID))
    steps[:, 0, :, :-1] = np.diff(cells, axis=2)
    steps[:, 1, :-1] = np.diff(cells, axis=1)
    return steps.reshape(SIGN_GRID * SIGN_GRID, -1).T
