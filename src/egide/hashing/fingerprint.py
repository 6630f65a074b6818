"""One image file, or one picture in memory, to its fingerprint."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from egide.hashing import digest
from egide.hashing.pdq import hash_coefficients, reference_coefficients
from egide.hashing.product import mirror_coefficients
from egide.media import Frame, Picture, decode, decode_image, read_bytes
from egide.model import DEFAULT_LIMITS, Fingerprint, Mode, Pdq

if TYPE_CHECKING:
    from PIL.Image import Image

    from egide.model import Limits

DISTINCT_BITS = 10
"""A frame within this many bits of one already kept is not kept: a search that finds the one finds
the other, at a third of the default radius further at most."""


def fingerprint(
    source: bytes | str | Path | Image,
    *,
    name: str | None = None,
    mode: Mode = Mode.EXACT,
    limits: Limits = DEFAULT_LIMITS,
    md5: bool = True,
) -> Fingerprint:
    """Compute the fingerprint of one image.

    Args:
        source: a file's bytes, its path, or a Pillow image, of which the current frame is used and
            the digests are None.
        name: what error messages call it; by default the path.
        mode: exact for registration, fast for scanning.
        limits: on bytes, pixels and frames.
        md5: whether to compute MD5 beside SHA-256; it takes longer than SHA-256.

    Returns:
        the PDQ of each distinct frame, the digests, and the stored size.

    Raises:
        ItemError: one of its subclasses, for whatever is wrong with the file.
    """
    if isinstance(source, str | Path):
        name = name or str(source)
        source = read_bytes(Path(source), name=name, limits=limits)
    if not isinstance(source, bytes):
        frame = decode_image(source, name=name or "the image", limits=limits)
        return Fingerprint((hash_frame(frame, mode),), width=frame.columns, height=frame.rows)
    picture = decode(source, name=name or "the data", mode=mode, limits=limits)
    frames, skipped = _distinct(picture, mode, limits)
    return Fingerprint(
        frames,
        sha256=digest.sha256(source),
        md5=digest.md5(source) if md5 else None,
        width=picture.width,
        height=picture.height,
        frames_skipped=skipped,
    )


def hash_frame(frame: Frame, mode: Mode) -> Pdq:
    """Hash one frame.

    In exact mode the code and the quality are the reference's in every bit. The seven further
    variants, which only queries use, come from matrix products in either mode.
    """
    mirrors, quality = mirror_coefficients(frame.pixels, (frame.rows, frame.columns), frame.scale)
    if mode is Mode.EXACT:
        mirrors[0], quality = reference_coefficients(frame.pixels)
    return hash_coefficients(mirrors, quality)


def _distinct(picture: Picture, mode: Mode, limits: Limits) -> tuple[tuple[Pdq, ...], int]:
    """The first frame, and each later one that can be searched for and differs from those kept."""
    kept: list[Pdq] = []
    codes: list[int] = []
    for frame in islice(picture.frames, limits.max_decoded_frames):
        found = hash_frame(frame, mode)
        code = int.from_bytes(found.code)
        if kept and not found.matchable:
            continue
        if all((code ^ other).bit_count() > DISTINCT_BITS for other in codes):
            kept.append(found)
            codes.append(code)
        if len(kept) == limits.max_frames:
            break
    return tuple(kept), picture.count_left()
