"""What an edit is: a named thing that people or apps do to a picture before it is seen again."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.random import Generator
from PIL.Image import Image

Function = Callable[[Image, Generator, Sequence[Image]], Image]


class Group(StrEnum):
    """Kinds of edits; recall is reported for each."""

    PHOTOMETRIC = "photometric"
    CROP = "crop"
    DIHEDRAL = "dihedral"
    ROTATION = "rotation"
    BORDER = "border"
    OVERLAY = "overlay"
    COMPOSITION = "composition"
    WARP = "warp"
    REPLACED = "region replaced"
    COMBINED = "combined"


@dataclass(frozen=True, slots=True)
class Edit:
    """One edit.

    Attributes:
        name: unique, e.g. `crop-centre-30`.
        group: its kind.
        function: RGB picture, randomness, pictures to put beside or into it → RGB picture.
    """

    name: str
    group: Group
    function: Function

    def apply(self, image: Image, key: str, others: Sequence[Image]) -> Image:
        """Edit a picture: the same key gives the same result.

        Args:
            image: RGB.
            key: which picture it is, e.g. its file name.
            others: other pictures, at least one; the edit takes as many as it needs, at random.
        """
        return self.function(image, generator(self.name, key), others)


def generator(*parts: str) -> Generator:
    """Randomness that depends on the words given, and on nothing else."""
    digest = hashlib.sha256("\0".join(parts).encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:8]))


def pick(rng: Generator, others: Sequence[Image]) -> Image:
    """One of the other pictures."""
    return others[int(rng.integers(len(others)))]
