"""Seen again by a dictionary: what other pictures, or parts of them, have the nearest bits."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from egide.hashing.keypoint_set import KeypointView
from inversion.laying import laid, sampled
from inversion.pictures import FINE, Bits, Floats, Subject, normal

BLENDED = 5
"""So many of the nearest are blended: one alone shows another picture's details."""
KEYPOINT_STEP = 3
"""Of the keypoints of a picture, one in so many is in the dictionary."""
KEYPOINT_PATCH = 16
"""Rows and columns of a keypoint's surroundings."""
USUAL_ASPECT = 4 / 3
"""Of pictures whose shape is not known."""


class Dictionary:
    """Pictures, regions and keypoints with what was there."""

    def __init__(self, known: Sequence[Subject], whole: Sequence[Subject]) -> None:
        """Fill it.

        Args:
            known: pictures and crops of them.
            whole: those of them whose keypoints are taken.
        """
        self._pictures = np.array([each.picture for each in known])
        self._pdq = _words(np.array([each.pdq for each in known]))
        self._regions = _words(np.concatenate([each.regions.bits for each in known]))
        self._patches = np.concatenate([each.regions.patches for each in known])
        self._places = np.concatenate([each.regions.places for each in known])
        self._keypoints = np.concatenate([each.keypoints.words[::KEYPOINT_STEP] for each in whole])
        self._surroundings = np.concatenate([_surroundings(each) for each in whole])

    def pdq(self, bits: Bits) -> Floats:
        """The pictures with the nearest PDQs, blended."""
        return normal(self._pictures[_nearest(self._pdq, _words(bits[None]))[0]].mean(0))

    def regions(self, bits: Bits) -> Floats:
        """The patches with the nearest hashes, blended, shape (n, 32, 32)."""
        return normal(self._patches[_nearest(self._regions, _words(bits))].mean(1))

    def layout(self, bits: Bits) -> Floats:
        """The nearest regions, each laid where it lies in its own picture."""
        nearest = _nearest(self._regions, _words(bits)).ravel()
        return laid(self._patches[nearest], self._places[nearest], USUAL_ASPECT)

    def keypoints(self, keypoints: KeypointView, size: tuple[int, int]) -> Floats:
        """The surroundings of the nearest keypoints, laid at the places that the set tells."""
        nearest = _nearest(self._keypoints, keypoints.words)
        places = keypoint_places(keypoints, size)
        return laid(self._surroundings[nearest].mean(1), places, size[0] / size[1])


def keypoint_places(keypoints: KeypointView, size: tuple[int, int]) -> Floats:
    """Places of keypoints, as those of regions."""
    x, y = keypoints.points.T
    width, height = size
    turned = np.radians(keypoints.angles)
    side = keypoints.sizes / (width * height) ** 0.5
    return np.stack([y / height, x / width, side, np.cos(turned), np.sin(turned)], 1)


def _surroundings(subject: Subject) -> Floats:
    """What lies around keypoints, turned by their directions, shape (n, 16, 16)."""
    places = keypoint_places(subject.keypoints, subject.size)[::KEYPOINT_STEP]
    y, x, side, cosine, sine = (each[:, None, None] for each in places.T)
    lines = (np.arange(KEYPOINT_PATCH, dtype=np.float32) + 0.5) / KEYPOINT_PATCH - 0.5
    across, down = lines[None, None, :] * side, lines[None, :, None] * side
    at_x = x + (across * cosine - down * sine) * subject.aspect**-0.5
    at_y = y + (across * sine + down * cosine) * subject.aspect**0.5
    levels = subject.fine.astype(np.float32)
    assert len(levels) == FINE
    return normal(sampled(levels, at_x * 2 - 1, at_y * 2 - 1))


def _words(bits: Bits) -> NDArray[np.uint64]:
    return np.packbits(bits.reshape(len(bits), -1), axis=1).view(np.uint64)


def _nearest(known: NDArray[np.uint64], asked: NDArray[np.uint64]) -> NDArray[np.intp]:
    """For each code the `BLENDED` nearest known ones, shape (n, blended)."""
    apart = np.zeros((len(asked), len(known)), np.uint16)
    for word in range(4):
        apart += np.bitwise_count(asked[:, word, None] ^ known[:, word])
    return np.argpartition(apart, BLENDED, axis=1)[:, :BLENDED]
