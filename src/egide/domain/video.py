"""What is known of a video beside the hashes of its frames: when each of them is seen."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Self

from egide.errors import VideoInvalid

if TYPE_CHECKING:
    from collections.abc import Sequence

VIDEO_VERSION = 1
"""Of the way in which frames are chosen and neighbours are folded."""
SAMPLE_MS = 500
"""A video is looked at every half second."""
MAX_VIDEO_FRAMES = 20_000
"""Most frames that are kept of one video; of a longer one, they are chosen evenly."""
MAX_VIDEO_REGIONS = 8192
"""Most parts of all frames of a video that are fingerprinted beside the whole frames."""
FRAME_TIMES_BYTES = 8
"""Start and end of one frame in `Track.packed`."""
_MAX_MS = 2**32 - 1


@dataclass(frozen=True, slots=True)
class Track:
    """When the frames of a fingerprint are seen in the video that it is of.

    A frame stands for all that follow it at the sampling rate and hardly differ from it. Two may be
    seen at the same time: a frame, and what is left of it without its borders.

    Attributes:
        starts, ends: milliseconds from the video's first frame, one for each frame, in order of
            their starts; a frame is seen from its start up to its end. Multiples of `SAMPLE_MS`.
        duration_ms: of the video, rounded up to a multiple of `SAMPLE_MS`.
        version: of the way in which the frames are chosen.

    Raises:
        VideoInvalid: they are no such times.
    """

    starts: tuple[int, ...] = field(repr=False)
    ends: tuple[int, ...] = field(repr=False)
    duration_ms: int
    version: int = VIDEO_VERSION

    def __post_init__(self) -> None:
        reason = self._wrong()
        if reason:
            raise VideoInvalid(reason=reason)

    def packed(self) -> bytes:
        """The times as a store keeps them: for each frame start and end, 4 bytes each."""
        each = [time for span in zip(self.starts, self.ends, strict=True) for time in span]
        return struct.pack(f">{len(each)}I", *each)

    @classmethod
    def of_packed(cls, times: bytes, duration_ms: int, version: int = VIDEO_VERSION) -> Self:
        """Read what `packed` wrote.

        Raises:
            VideoInvalid: the bytes are no such times.
        """
        if len(times) % FRAME_TIMES_BYTES:
            raise VideoInvalid(reason=f"{len(times)} bytes are not pairs of times")
        every = _unpacked(times)
        return cls(every[::2], every[1::2], duration_ms, version)

    @classmethod
    def kept(cls, times: bytes, duration_ms: int, version: int = VIDEO_VERSION) -> Self:
        """Take packed times as they are: a store holds what was checked before, and much of it."""
        made, every = object.__new__(cls), _unpacked(times)
        object.__setattr__(made, "starts", every[::2])
        object.__setattr__(made, "ends", every[1::2])
        object.__setattr__(made, "duration_ms", duration_ms)
        object.__setattr__(made, "version", version)
        return made

    def __len__(self) -> int:
        return len(self.starts)

    def _wrong(self) -> str:
        if self.version != VIDEO_VERSION:
            return f"it is of version {self.version}, and this Egide knows {VIDEO_VERSION}"
        if not 1 <= len(self.starts) <= MAX_VIDEO_FRAMES:
            return f"it has {len(self.starts)} frames, and 1 to {MAX_VIDEO_FRAMES} are kept"
        if len(self.ends) != len(self.starts):
            return "each frame needs a start and an end"
        return _wrong_times(self.starts, self.ends, self.duration_ms)


@dataclass(frozen=True, slots=True)
class Span:
    """A part of a video's time, from its start up to its end, in milliseconds."""

    start_ms: int
    end_ms: int


@dataclass(frozen=True, slots=True)
class VideoEvidence:
    """The evidence that a query and an entry show the same moving pictures, or a still of them.

    Attributes:
        frames: how many of the query's frames agree with frames of the entry, at times that fit
            together.
        query: when they are seen in the query; None if the query is a picture.
        entry: when they are seen in the registered video; None if a picture is registered.
        speed: how much faster the query runs than the registered video; 1.0 for a still.
        agreeing_ms: for how long the query shows frames that agree; 0 if it is a picture.
        whole: whether they are most of both videos, so that one is a copy of the other.
    """

    frames: int
    query: Span | None
    entry: Span | None
    speed: float = 1.0
    agreeing_ms: int = 0
    whole: bool = False


def _unpacked(times: bytes) -> tuple[int, ...]:
    return struct.unpack(f">{len(times) // 4}I", times)


def _wrong_times(starts: Sequence[int], ends: Sequence[int], duration_ms: int) -> str:
    if not 0 <= duration_ms <= _MAX_MS:
        return f"a duration of {duration_ms} ms is not possible"
    if any(time % SAMPLE_MS for time in (*starts, *ends, duration_ms)):
        return f"its times are not multiples of {SAMPLE_MS} ms"
    if any(end < start for start, end in zip(starts, ends, strict=True)):
        return "a frame ends before it starts"
    if any(one > following for one, following in pairwise(starts)):
        return "the frames are not in the order in which they are seen"
    if starts[0] < 0 or max(ends) > duration_ms:
        return "a frame lies outside the video"
    return ""
