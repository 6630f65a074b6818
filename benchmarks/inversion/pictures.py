"""Pictures as the attacker has them to learn from, and as they are to be seen again.

All pictures are grey, 64×64 whatever their shape, without mean and of length 1: brightness and
contrast stand in no fingerprint.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from edits.corpus import Photo
from egide.compiled import ANCHORED, compiled_module
from egide.domain.model import REGISTERED_ANCHORED, Mode
from egide.hashing import anchored_patches
from egide.hashing.anchored_directions import directions, rises
from egide.hashing.anchored_points import PLACE_STEPS, SIDE_UNITS, SIDES, Points, points
from egide.hashing.anchored_regions import region_codes
from egide.hashing.anchored_scales import Scales, scales
from egide.hashing.frames import hash_frame
from egide.hashing.keypoint_set import SIGN_GRID, KeypointView, view
from egide.hashing.keypoints import extract, registered
from egide.media import Frame

SIDE = 64
"""Rows and columns of a picture."""
FINE = 256
"""Of a picture from which others' details are taken."""
PATCH = anchored_patches.GRID
"""Rows and columns of a region."""
MIN_SHARE = 0.4
"""Least share of each side that a crop keeps."""

Floats = NDArray[np.float32]
Bits = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Regions:
    """The regions behind a picture's anchored hashes, the strongest first.

    Attributes:
        bits: of the codes, shape (n, 16, 16), row frequencies first.
        patches: what was hashed, shape (n, 32, 32), as pictures are.
        places: rows (n, 5): the middle's y and x as shares of the height and of the width, the side
            as a share of the square root of the area, cosine and sine of the direction.
    """

    bits: Bits
    patches: Floats
    places: Floats


@dataclass(frozen=True, slots=True)
class Subject:
    """One picture with its fingerprints.

    Attributes:
        picture: shape (64, 64).
        fine: the same with more samples, shape (256, 256), 0–255.
        size: width and height in pixels.
        pdq: its bits, shape (16, 16), row frequencies first.
        regions: of its anchored hashes.
        keypoints: as registered.
        rises: the true differences of brightness behind the keypoints' coarse grid, for what is
            learned, shape (2, 24, 24).
    """

    picture: Floats
    fine: NDArray[np.uint8]
    size: tuple[int, int]
    pdq: Bits
    regions: Regions
    keypoints: KeypointView
    rises: Floats

    @property
    def aspect(self) -> float:
        """Width by height."""
        return self.size[0] / self.size[1]


def normal(levels: NDArray[Any]) -> Floats:
    """Take the mean off and make the length 1, of one picture or of each of several."""
    levels = levels - levels.mean((-2, -1), keepdims=True)
    length = np.sqrt((levels * levels).sum((-2, -1), keepdims=True))
    scaled: Floats = (levels / np.maximum(length, 1e-9)).astype(np.float32)
    return scaled


def small(image: Image.Image, side: int = SIDE) -> Floats:
    """A picture's means over side × side equal parts, 0–255."""
    grey = image.convert("L").resize((side, side), Image.Resampling.BOX)
    return np.asarray(grey, np.float32)


def enlarged(levels: Floats, side: int = SIDE) -> Floats:
    """A smaller picture with more samples, smoothly."""
    image = Image.fromarray(levels.astype(np.float32))
    return normal(np.asarray(image.resize((side, side), Image.Resampling.BICUBIC)))


def subject(image: Image.Image) -> Subject:
    """Fingerprint one picture as it is registered."""
    pixels = np.asarray(image.convert("RGB"))
    frame = Frame(pixels, *pixels.shape[:2])
    code = np.frombuffer(hash_frame(frame, Mode.EXACT).code, np.uint8)
    cells = small(image, SIGN_GRID)
    steps = np.zeros((2, SIGN_GRID, SIGN_GRID), np.float32)
    steps[0, :, :-1], steps[1, :-1] = np.diff(cells, axis=1), np.diff(cells, axis=0)
    return Subject(
        picture=normal(small(image)),
        fine=small(image, FINE).astype(np.uint8),
        size=image.size,
        # The last coefficient gives the most significant bit.
        pdq=np.unpackbits(code)[::-1].reshape(16, 16).astype(np.bool_),
        regions=_regions(pixels),
        keypoints=view(registered(extract(frame))),
        rises=steps,
    )


def subjects(photos: Sequence[Photo]) -> list[Subject]:
    """Fingerprint whole photos."""
    return [subject(photo.image()) for photo in photos]


def crops(photos: Sequence[Photo], each: int, rng: np.random.Generator) -> Iterator[Image.Image]:
    """Whole photos, then random parts of them, every second one mirrored."""
    images = [photo.image() for photo in photos]
    yield from images
    for turn in range(1, each):
        for image in images:
            width, height = (round(side * rng.uniform(MIN_SHARE, 1)) for side in image.size)
            left = int(rng.integers(image.width - width + 1))
            top = int(rng.integers(image.height - height + 1))
            part = image.crop((left, top, left + width, top + height))
            yield ImageOps.mirror(part) if turn % 2 else part


def _regions(pixels: NDArray[np.uint8]) -> Regions:
    """The registered regions of a picture, found as Egide finds them."""
    fast = compiled_module(ANCHORED)
    scaled = scales(pixels, fast.block_levels, fast.blurred) if fast else scales(pixels)
    if scaled is None:
        return _NONE
    found = points(scaled.octaves, fast.fitted_extrema if fast else None)
    codes = (fast.region_codes if fast else region_codes)(scaled, found, REGISTERED_ANCHORED)[:, 0]
    if not len(codes):
        return _NONE
    chosen, patches = _cut_from(scaled, found, codes)
    rows, columns = scaled.octaves[0][0].shape
    places = (
        chosen.y / PLACE_STEPS / rows,
        chosen.x / PLACE_STEPS / columns,
        SIDES[chosen.size] / SIDE_UNITS / (rows * columns) ** 0.5,
        anchored_patches.COSINES[chosen.direction] / anchored_patches.ONE,
        anchored_patches.SINES[chosen.direction] / anchored_patches.ONE,
    )
    return Regions(
        np.unpackbits(codes, axis=1).reshape(-1, 16, 16).astype(np.bool_),
        normal(patches),
        np.stack(places, 1).astype(np.float32),
    )


def _cut_from(
    scaled: Scales, found: Points, codes: NDArray[np.uint8]
) -> tuple[anchored_patches.Regions, NDArray[np.float64]]:
    """Where each code was cut, and what: Egide keeps codes alone, so they are looked for."""
    owner, direction = directions(rises(scaled), found)
    at = found.take(owner)
    half = PLACE_STEPS // 2
    every = anchored_patches.Regions(
        (at.y << at.octave) + half, (at.x << at.octave) + half, at.size, direction
    )
    known: dict[bytes, tuple[int, NDArray[np.float64]]] = {}
    for start in range(0, len(owner), _TOGETHER):
        these = np.arange(start, min(start + _TOGETHER, len(owner)))
        patches, _ = anchored_patches.cut(scaled, every.take(these))
        of_patch, _ = anchored_patches.patch_codes(patches)
        for number, patch, code in zip(these.tolist(), patches, of_patch[:, 0], strict=True):
            known.setdefault(code.tobytes(), (number, patch))
        if all(code.tobytes() in known for code in codes):
            break
    chosen = [known[code.tobytes()] for code in codes]
    return every.take(np.array([number for number, _ in chosen])), np.array(
        [patch for _, patch in chosen]
    )


_TOGETHER = 128
_NONE = Regions(
    np.empty((0, 16, 16), np.bool_),
    np.empty((0, PATCH, PATCH), np.float32),
    np.empty((0, 5), np.float32),
)
