"""vPDQ: a video as the PDQs of its frames with their times, in the forms that ThreatExchange has.

- a text file, a line a frame: `frame number,quality,hash,seconds` (vpdq/cpp, vpdq-hash-video)
- a value of the signal type `vpdq`: a list in JSON of `"hash,quality,seconds"`, or, older, an
  object of `{"frame number": {"quality": …, "hash": …, "timestamp": …}}` (python-threatexchange,
  extensions/vpdq/vpdq_util.py)
"""

from __future__ import annotations

import json
import re
from math import isfinite
from typing import TYPE_CHECKING, Any

from egide.domain.model import DISTINCT_BITS, MIN_MATCHABLE_QUALITY, PDQ_BYTES
from egide.domain.video import MAX_VIDEO_FRAMES, SAMPLE_MS, Track
from egide.errors import VideoInvalid

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from egide.domain.model import Fingerprint

VPDQ_TYPES = frozenset({"vpdq", "videovpdq", "hashvideovpdq"})
"""The names of the signal type, by their letters and digits."""
_LINE = re.compile(r"\d{1,9},\d{1,3},[0-9A-Fa-f]{64},[0-9.eE+-]{1,24}")
MAX_LISTED = 1 << 20
"""Most frames of one video in a list."""
_MAX_SECONDS = 1 << 21

Listed = tuple[bytes, int, float]
"""A frame of a list: its code, quality, and seconds."""


def is_vpdq_line(text: str) -> bool:
    """Whether a line is a frame of a text file."""
    return _LINE.fullmatch(text.strip()) is not None


def parse_vpdq_line(text: str) -> Listed:
    """Parse a line for which `is_vpdq_line` holds.

    Raises:
        VideoInvalid: a number is out of range.
    """
    _, quality, code, seconds = text.strip().split(",")
    return _listed(code, quality, seconds)


def parse_vpdq(text: str) -> list[Listed]:
    """Parse a value of the signal type.

    Raises:
        VideoInvalid: the text is none.
    """
    try:
        frames = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise VideoInvalid(reason="it is not whole JSON") from error
    if isinstance(frames, dict):
        frames = list(frames.values())
    if not isinstance(frames, list) or not 1 <= len(frames) <= MAX_LISTED:
        raise VideoInvalid(reason="expected a list of frames")
    return [_of_json(frame) for frame in frames]


def folded(frames: Iterable[Listed]) -> tuple[tuple[bytes, ...], Track, int]:
    """The frames of a list as Egide keeps those of a video.

    Each counts from the half second in which it is seen, those of the same one after the first do
    not count, nor do those with too little detail.

    Returns:
        the codes, their times, and the quality of the first.

    Raises:
        VideoInvalid: no frame can be searched for, or they are too many.
    """
    codes: list[bytes] = []
    starts: list[int] = []
    ends: list[int] = []
    first_quality = 0
    latest = -1
    for code, quality, seconds in sorted(frames, key=lambda frame: frame[2]):
        start = int(seconds * 1000) // SAMPLE_MS * SAMPLE_MS
        if quality < MIN_MATCHABLE_QUALITY or start == latest or not any(code):
            continue
        latest = start
        if codes and _bits_apart(codes[-1], code) <= DISTINCT_BITS:
            ends[-1] = start + SAMPLE_MS
            continue
        first_quality = first_quality or quality
        codes.append(code)
        starts.append(start)
        ends.append(start + SAMPLE_MS)
    if not codes:
        raise VideoInvalid(reason="no frame has enough detail to be searched for")
    if len(codes) > MAX_VIDEO_FRAMES:
        raise VideoInvalid(reason=f"it has over {MAX_VIDEO_FRAMES} frames that differ")
    return tuple(codes), Track(tuple(starts), tuple(ends), ends[-1]), first_quality


def vpdq_lines(print_: Fingerprint) -> Iterator[str]:
    """The lines of a text file: one for each half second of a video's kept frames.

    Args:
        print_: of a video.
    """
    assert print_.video is not None
    seen = zip(print_.video.starts, print_.video.ends, print_.frames, strict=True)
    for start, end, frame in seen:
        for at_ms in range(start, end, SAMPLE_MS):
            seconds = at_ms / 1000
            yield f"{at_ms // SAMPLE_MS},{frame.quality or 0},{frame.code.hex()},{seconds:.3f}"


def _of_json(frame: Any) -> Listed:
    if isinstance(frame, str) and frame.count(",") == 2:
        code, quality, seconds = frame.split(",")
        return _listed(code, quality, seconds)
    if isinstance(frame, dict):
        return _listed(frame.get("hash"), frame.get("quality"), frame.get("timestamp"))
    raise VideoInvalid(reason='expected frames as "hash,quality,seconds"')


def _listed(code: Any, quality: Any, seconds: Any) -> Listed:
    try:
        listed = bytes.fromhex(str(code)), int(str(quality)), float(str(seconds))
    except ValueError as error:
        raise VideoInvalid(reason="a frame is no hash, quality and seconds") from error
    if len(listed[0]) != PDQ_BYTES or not 0 <= listed[1] <= 100:
        raise VideoInvalid(reason="a frame has no PDQ, or a quality that is not 0 to 100")
    if not isfinite(listed[2]) or not 0 <= listed[2] < _MAX_SECONDS:
        raise VideoInvalid(reason="a frame's time is not possible")
    return listed


def _bits_apart(one: bytes, other: bytes) -> int:
    return (int.from_bytes(one) ^ int.from_bytes(other)).bit_count()
