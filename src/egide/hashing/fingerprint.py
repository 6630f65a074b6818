"""Compute the fingerprint of an image or video file, or of a picture in memory."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from PIL import Image

from egide.domain.model import DEFAULT_LIMITS, DISTINCT_BITS, MAX_REGIONS, Fingerprint, Mode
from egide.errors import DecodeFailed, EgideError, ItemError, UsageError
from egide.hashing.anchored import MIN_SCALED_SIDE as MIN_SIDE_FOR_ANCHORED
from egide.hashing.anchored import anchored_query
from egide.hashing.frames import differs, hash_frame, hash_regions
from egide.hashing.keypoints import MIN_SCALED_SIDE as MIN_SIDE_FOR_KEYPOINTS
from egide.hashing.keypoints import extract
from egide.hashing.video import fingerprint_video
from egide.media import Frame, Picture, decode, decode_image
from egide.media.containers import HEAD_BYTES
from egide.media.decode import MIN_SCALED_SIDE
from egide.media.read import check_size, opened
from egide.media.video import check_video_size, video_kind

if TYPE_CHECKING:
    from typing import BinaryIO

    from egide.domain.model import AnchoredQuery, KeypointQuery, Limits, Pdq, Region


def fingerprint(
    source: bytes | str | Path | Image.Image,
    *,
    name: str | None = None,
    mode: Mode = Mode.EXACT,
    limits: Limits = DEFAULT_LIMITS,
    md5: bool = True,
    sha1: bool = True,
    regions: bool = True,
    anchored: bool = False,
    keypoints: bool = False,
    as_stored: bool = False,
) -> Fingerprint:
    """Compute the fingerprint of one image or video.

    Args:
        source: a file's bytes, its path, or a Pillow image; an image's current frame is used, and
            its digests are None. A video that is named by its path is not read into memory.
        name: the name in error messages; by default the path.
        mode: exact for registration, fast for scanning; a video has one way for both.
        limits: on bytes, pixels and frames.
        md5: whether to compute MD5 too; it takes longer than SHA-256.
        sha1: whether to compute SHA-1 too.
        regions: whether to look for parts that are pictures of their own.
        anchored: whether to hash the parts of the first frame, by which its crops are found; of a
            video's first with enough detail.
        keypoints: whether to find the keypoints of the first frame.
        as_stored: whether to hash the first frame of a file also as HMA does, which takes a
            palette's indices, ink and hidden colours for what is seen.

    Returns:
        the PDQ of each distinct frame and of its regions, the digests, the stored size, and the
        anchored hashes and keypoints if requested; of a video, when its frames are seen.

    Raises:
        ItemError: one of its subclasses, for anything wrong with the file.
        UsageError: the source has another type.
        KeypointsUnavailable: keypoints were requested, and OpenCV is not installed.
    """
    kinds = {"md5": md5, "sha1": sha1}
    looked_for = {"regions": regions, "anchored": anchored, "keypoints": keypoints}
    if isinstance(source, str | Path):
        name = name or str(source)
        with opened(Path(source), name=name) as (file, size):
            head = file.read(HEAD_BYTES)
            if kind := video_kind(head):
                return _of_video(file, size, kind, name, limits, **kinds, **looked_for)
            check_size(size, name=name, limits=limits)
            source = head + file.read()
    if not isinstance(source, bytes | Image.Image):
        raise UsageError(
            reason="a fingerprint is made of a path, a file's bytes or a Pillow image, not of "
            f"{type(source).__name__}; PIL.Image.fromarray makes an image of an array"
        )
    if not isinstance(source, bytes):
        frame = decode_image(source, name=name or "the image", limits=limits)
        whole = hash_frame(frame, mode)
        parts = hash_regions(frame, whole) if regions else ()
        return Fingerprint(
            (whole,),
            width=frame.columns,
            height=frame.rows,
            regions=parts,
            anchored=anchored_query(frame, parts) if anchored else None,
            keypoints=extract(frame, [part.rectangle for part in parts]) if keypoints else None,
        )
    name = name or "the data"
    if kind := video_kind(source):
        file = io.BytesIO(source)
        return _of_video(file, len(source), kind, name, limits, **kinds, **looked_for)
    picture = decode(
        source,
        name=name,
        mode=mode,
        limits=limits,
        min_scaled_side=max(
            MIN_SCALED_SIDE,
            MIN_SIDE_FOR_ANCHORED if anchored else 0,
            MIN_SIDE_FOR_KEYPOINTS if keypoints else 0,
        ),
        as_stored=as_stored,
    )
    found = _distinct(
        picture,
        mode,
        MAX_REGIONS if regions else 0,
        anchored=anchored,
        keypoints=keypoints,
    )
    return Fingerprint(
        found.frames,
        sha256=hashlib.sha256(source).digest(),
        sha1=hashlib.sha1(source, usedforsecurity=False).digest() if sha1 else None,
        md5=hashlib.md5(source, usedforsecurity=False).digest() if md5 else None,
        width=picture.width,
        height=picture.height,
        frames_skipped=found.skipped,
        share_read=found.share_read,
        regions=found.regions,
        anchored=found.anchored,
        keypoints=found.keypoints,
        as_stored=found.as_stored,
    )


def fingerprint_or_error(
    source: bytes | str | Path | Image.Image, *, name: str, **settings: Any
) -> Fingerprint | ItemError:
    """Compute the fingerprint of one image of many, of which none may end the work on the others.

    Args:
        source: as for `fingerprint`.
        name: as for `fingerprint`.
        settings: of `fingerprint`.

    Returns:
        the fingerprint, or the error for whatever is wrong with the file, decoders' own included.

    Raises:
        UsageError, KeypointsUnavailable: as `fingerprint`.
    """
    try:
        return fingerprint(source, name=name, **settings)
    except ItemError as error:
        return error
    except EgideError:
        raise
    except MemoryError:
        reason = "it needs more memory than there is, or than EGIDE_WORKER_MEMORY_BYTES allows"
        return DecodeFailed(name=name, reason=reason)
    except Exception as error:  # noqa: BLE001 - hostile pictures make decoders raise anything
        return DecodeFailed(name=name, reason=f"unexpectedly, {type(error).__name__}")


def _of_video(
    file: BinaryIO,
    size: int,
    kind: str,
    name: str,
    limits: Limits,
    **looked_for: bool,
) -> Fingerprint:
    check_video_size(size, name=name, limits=limits)
    return fingerprint_video(file, kind, name=name, limits=limits, **looked_for)


class _Distinct(NamedTuple):
    """The kept data of a picture's frames, and the number of frames not examined."""

    frames: tuple[Pdq, ...]
    regions: tuple[Region, ...]
    anchored: AnchoredQuery | None
    keypoints: KeypointQuery | None
    skipped: int
    share_read: float
    as_stored: Pdq | None


def _distinct(
    picture: Picture,
    mode: Mode,
    max_regions: int,
    *,
    anchored: bool,
    keypoints: bool,
) -> _Distinct:
    """The first frame, and each later one that is matchable and differs from the kept ones."""
    kept: list[Pdq] = []
    codes: list[int] = []
    regions: list[Region] = []
    parts_query: AnchoredQuery | None = None
    query: KeypointQuery | None = None
    share_read = 1.0
    stored: Pdq | None = None
    for frame in picture.frames:
        share_read = min(share_read, frame.share_read)
        found = hash_frame(frame, mode)
        code = int.from_bytes(found.code)
        if frame.as_stored is not None and not kept:
            stored = hash_frame(Frame(frame.as_stored, frame.rows, frame.columns), mode)
        if kept and not found.matchable:
            continue
        if differs(code, codes, DISTINCT_BITS):
            parts = hash_regions(frame, found, len(kept), max_regions - len(regions))
            if anchored and not kept:
                parts_query = anchored_query(frame, parts)
            if keypoints and not kept:
                query = extract(frame, [part.rectangle for part in parts])
            regions += parts
            kept.append(found)
            codes.append(code)
    left = picture.count_left()
    return _Distinct(tuple(kept), tuple(regions), parts_query, query, left, share_read, stored)


_SIDES = (480, 640)
_FORMATS = ("JPEG", "PNG", "WEBP")


def warm_up() -> None:
    """Load the readers of the commonest formats by fingerprinting a drawing in both modes."""
    rows, columns = np.indices(_SIDES)
    waves = np.sin(rows / 31) + np.sin(columns / 47) + np.sin((rows + 2 * columns) / 90)
    drawing = Image.fromarray((waves * 40 + 128).astype(np.uint8)).convert("RGB")
    for kind in _FORMATS:
        stream = io.BytesIO()
        drawing.save(stream, kind)
        for mode in Mode:
            fingerprint(stream.getvalue(), name="a drawing", mode=mode)
