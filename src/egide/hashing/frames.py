"""Hash one frame, and its parts that look like pictures of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egide.domain.model import MAX_REGIONS, Mode, Region
from egide.hashing.pdq import hash_coefficients, reference_coefficients
from egide.hashing.product import mirror_coefficients
from egide.hashing.regions import find_regions

if TYPE_CHECKING:
    from egide.domain.model import Pdq
    from egide.media import Frame

SAME_REGION_BITS = 4
"""A region within this many bits of its frame, or of a kept region, is dropped."""


def hash_frame(frame: Frame, mode: Mode) -> Pdq:
    """Hash one frame.

    In exact mode the code and the quality equal the reference's, bit for bit. The seven further
    variants, which only queries use, come from matrix products in both modes.
    """
    mirrors, quality = mirror_coefficients(frame.pixels, (frame.rows, frame.columns), frame.scale)
    if mode is Mode.EXACT:
        mirrors[0], quality = reference_coefficients(frame.pixels)
    return hash_coefficients(mirrors, quality)


def hash_regions(
    frame: Frame, whole: Pdq, position: int = 0, limit: int = MAX_REGIONS
) -> tuple[Region, ...]:
    """Hash the parts of a frame that look like pictures of their own.

    Args:
        frame: any.
        whole: its hash.
        position: of the frame, in the fingerprint.
        limit: the most regions.

    Returns:
        regions with enough detail to be searched for that differ from the frame and each other.
    """
    kept: list[Region] = []
    codes = [int.from_bytes(whole.code)]
    for found in find_regions(frame, limit):
        top, left, bottom, right = found.box
        rectangle = found.rectangle
        mirrors, quality = mirror_coefficients(
            frame.pixels[top:bottom, left:right], (rectangle.height, rectangle.width), frame.scale
        )
        pdq = hash_coefficients(mirrors, quality)
        code = int.from_bytes(pdq.code)
        if pdq.matchable and differs(code, codes, SAME_REGION_BITS):
            kept.append(Region(position, rectangle, pdq, found.trimmed))
            codes.append(code)
    return tuple(kept)


def differs(code: int, others: list[int], bits: int) -> bool:
    """Whether a code is more than so many bits from each of the others."""
    return all((code ^ other).bit_count() > bits for other in others)
