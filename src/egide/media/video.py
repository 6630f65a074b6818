"""Open a video, and yield the frame that is shown at each of its instants, within limits.

FFmpeg, by PyAV, decodes one video stream; sound and subtitles are not decoded. Pixels are as
stored: the rotation that players apply is not, because a query covers all eight orientations.
Transparency is ignored. docs/explain/video.md is the definition of instants and brightness.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass
from math import floor
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from egide.domain.video import SAMPLE_MS
from egide.errors import DecodeTimeout, ImageTooSmall, VideoTooLarge, VideoUnreadable
from egide.media.containers import HEAD_BYTES, VIDEOS, named
from egide.media.extras import require
from egide.media.picture import MIN_SIDE_PIXELS, Frame
from egide.media.video_length import declared_instants, ends_early

if TYPE_CHECKING:
    from collections.abc import Iterator
    from fractions import Fraction

    from numpy.typing import NDArray

    from egide.domain.model import Limits

_SCALES = (8, 4, 2)
_DEMUXERS = "mov,matroska,webm,avi,flv,live_flv,asf,mpeg,mpegts,mpegvideo,ogg,ivf,rm"
# None of them opens another file or address, as those of playlists do.
_BUFFER_BYTES = 1 << 18
_DEADLINE_SHARE = 0.9
# The rest is for digests, and for the frame in hand, before a sandbox ends its child.
_DAMAGED_PARTS = 16


def video_kind(head: bytes) -> str | None:
    """What kind of video begins with these bytes, in words; None if it is none.

    Args:
        head: the first `HEAD_BYTES` of a file, or more.
    """
    words = named("", head[:HEAD_BYTES])
    return words if words in VIDEOS else None


def check_video_size(size: int, *, name: str, limits: Limits) -> None:
    """Refuse a video whose file is over the limit.

    Raises:
        VideoTooLarge
    """
    if size > limits.max_video_bytes:
        what = f"it has {size} bytes, and {limits.max_video_bytes} are read"
        raise VideoTooLarge(name=name, reason=what, setting="EGIDE_MAX_VIDEO_BYTES")


@dataclass(frozen=True, slots=True)
class Shown:
    """A frame, and the instants at which it is shown.

    Attributes:
        first, last: numbers of the instants, from 0; both are included.
    """

    first: int
    last: int
    _decoded: Any
    _scaler: Any

    def frame(self, min_scaled_side: int) -> Frame:
        """The brightness, at a fraction of the size whose short side has so many samples."""
        decoded = self._decoded
        width, height = decoded.width, decoded.height
        short = min(width, height)
        scale = next((s for s in _SCALES if short >= s * min_scaled_side), 1)
        is_colour = decoded.format.is_rgb or decoded.format.has_palette
        scaled = self._scaler.reformat(
            decoded,
            -(-width // scale),
            -(-height // scale),
            "rgb24" if is_colour else "gray",
            interpolation="AREA",
            dst_color_range="JPEG",
            threads=1,
        )
        return Frame(_samples(scaled, 3 if is_colour else 1), height, width, scale)


class Video:
    """One file's video, not decoded yet.

    Attributes:
        width, height: in stored pixels, as the file declares them.
        instants: how many were looked at so far.
        skipped: how many were not, though the file has or declares them; for those that a damaged
            part hides, the frame before it is shown again.
    """

    def __init__(
        self,
        container: Any,
        stream: Any,
        *,
        name: str,
        limits: Limits,
        is_cut: bool = False,
    ) -> None:
        context = stream.codec_context
        self.width, self.height = context.width, context.height
        self.instants = self.skipped = 0
        self._container, self._stream, self._name, self._limits = container, stream, name, limits
        self._is_cut = is_cut
        self._damaged = self._late = False

    def shown(self) -> Iterator[Shown]:
        """Decode, and yield the frame of each instant; those of neighbours at once if it is one.

        Raises:
            VideoTooLarge: a frame has too many pixels.
            VideoUnreadable, DecodeTimeout: there is no frame, or not in time.
        """
        from av.video.reformatter import VideoReformatter

        scaler = VideoReformatter()
        most = int(self._limits.max_video_s * 1000 / SAMPLE_MS)
        held, held_ms = None, -1
        stopped = False
        for decoded, at_ms in self._timed():
            if held is not None and at_ms > self.instants * SAMPLE_MS:
                last = min((at_ms - 1) // SAMPLE_MS, most - 1)
                yield self._emitted(held, last, scaler)
            held, held_ms = decoded, at_ms
            if self.instants >= most:
                stopped = True
                break
        if held is None and self._late:
            raise DecodeTimeout(name=self._name, limit_s=self._limits.video_timeout_s)
        if held is None:
            reason = "no frame of it can be decoded; it is damaged, encrypted or of a rare kind"
            raise VideoUnreadable(name=self._name, reason=reason)
        if not stopped and held_ms >= self.instants * SAMPLE_MS:
            yield self._emitted(held, self.instants, scaler)
        self._count_rest(stopped=stopped)

    def _emitted(self, held: Any, last: int, scaler: Any) -> Shown:
        shown = Shown(self.instants, last, held, scaler)
        if self._damaged:
            self.skipped += last + 1 - self.instants
            self._damaged = False
        self.instants = last + 1
        return shown

    def _count_rest(self, *, stopped: bool) -> None:
        """Count what the file declares beyond the last frame, and other tracks."""
        declared, exactly = declared_instants(self._container, self._stream)
        left = declared - self.instants
        # A last frame that is shown for a second is rarer than a file that is cut.
        if stopped or self._damaged or self._is_cut or left > (1 if exactly else 4):
            self.skipped += max(left, 1)
        for other in self._container.streams.video:
            if other is not self._stream and not _is_cover(other):
                self.skipped += max(declared_instants(self._container, other)[0], 1)

    def _timed(self) -> Iterator[tuple[Any, int]]:
        """Each frame that can be decoded, with its time in whole milliseconds from the first."""
        import av

        until = time.monotonic() + _DEADLINE_SHARE * self._limits.video_timeout_s
        self._stream.codec_context.thread_count = 1
        first = None
        latest = 0
        for packet in self._packets():
            try:
                frames = packet.decode()
            except av.error.EOFError:
                return
            except (av.error.FFmpegError, ValueError, OSError):
                self._damaged = True
                continue
            for decoded in frames:
                check_video_pixels(
                    decoded.width, decoded.height, name=self._name, limits=self._limits
                )
                at_ms = _milliseconds(decoded)
                if at_ms is not None:
                    first = at_ms if first is None else first
                    latest = max(latest, floor(at_ms - first))
                yield decoded, latest
            if time.monotonic() > until:
                self._damaged = self._late = True
                return

    def _packets(self) -> Iterator[Any]:
        """Read on behind damaged parts, a few times; the last packet is empty."""
        import av

        for _ in range(_DAMAGED_PARTS):
            try:
                yield from self._container.demux(self._stream)
            except av.error.EOFError:
                return
            except (av.error.FFmpegError, ValueError, OSError):
                self._damaged = True
            else:
                return


@contextmanager
def open_video(stream: BinaryIO, kind: str, *, name: str, limits: Limits) -> Iterator[Video]:
    """Open a video, and close it afterwards.

    Args:
        stream: a whole file that can be searched; it is not read into memory.
        kind: as `video_kind` says.
        name: the file's name in error messages.
        limits: on pixels, length and time.

    Raises:
        FormatUnsupported: PyAV is not installed.
        ItemError: anything that is wrong with the file.
    """
    av = require("av", name=name, format=kind, extra="video")
    av.logging.set_level(None)  # its messages name the file
    is_cut = ends_early(stream)
    try:
        # Without a protocol, what a file refers to cannot be fetched.
        options = {"format_whitelist": _DEMUXERS, "protocol_whitelist": ""}
        container = av.open(stream, options=options, buffer_size=_BUFFER_BYTES)
    except (av.error.FFmpegError, ValueError, OSError, MemoryError) as error:
        raise VideoUnreadable(
            name=name, reason="its header is damaged, encrypted or of a rare kind"
        ) from error
    with container:
        found = [one for one in container.streams.video if not _is_cover(one)]
        if not found:
            only = "only sound" if container.streams.audio else "or none that can be decoded"
            raise VideoUnreadable(name=name, reason=f"it has no moving pictures, {only}")
        video = next((one for one in found if one.codec_context is not None), None)
        if video is None:
            raise VideoUnreadable(name=name, reason="there is no decoder for its pictures")
        context = video.codec_context
        check_video_pixels(context.width, context.height, name=name, limits=limits)
        # A frame may be larger than the header says.
        context.options = {**context.options, "max_pixels": str(limits.max_video_pixels)}
        yield Video(container, video, name=name, limits=limits, is_cut=is_cut)


def check_video_pixels(width: int, height: int, *, name: str, limits: Limits) -> None:
    """Refuse a video whose frames have too many pixels, or too few.

    Raises:
        VideoTooLarge, ImageTooSmall
    """
    if width * height > limits.max_video_pixels:
        what = f"its frames have {width}×{height} pixels, and {limits.max_video_pixels} are decoded"
        raise VideoTooLarge(name=name, reason=what, setting="EGIDE_MAX_VIDEO_PIXELS")
    if 0 < min(width, height) < MIN_SIDE_PIXELS:
        raise ImageTooSmall(name=name, width=width, height=height)


def _is_cover(stream: Any) -> bool:
    """Whether a track is a single picture that goes with a sound."""
    return bool(stream.disposition & stream.disposition.attached_pic)


def _milliseconds(decoded: Any) -> Fraction | None:
    """A frame's time in its file, or None if the file does not tell."""
    stamp = decoded.pts if decoded.pts is not None else decoded.dts
    return None if stamp is None else 1000 * stamp * decoded.time_base


def _samples(scaled: Any, channels: int) -> NDArray[np.uint8]:
    plane = scaled.planes[0]
    rows = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[: scaled.height]
    used = rows[:, : scaled.width * channels]
    return used if channels == 1 else used.reshape(scaled.height, scaled.width, channels)
