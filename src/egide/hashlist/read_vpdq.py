"""Read vPDQ's text files, a line a frame, and values of its signal type, as lines of a list."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egide.errors import VideoInvalid
from egide.hashlist.values import BadLine, HashLine
from egide.hashlist.vpdq import MAX_LISTED, folded, is_vpdq_line, parse_vpdq, parse_vpdq_line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egide.hashlist.vpdq import Listed


class VpdqReader:
    """Reads the lines of a text file one by one; a video ends where frame numbers begin anew."""

    def __init__(self) -> None:
        self._frames: list[Listed] = []
        self._line = self._latest = 0

    def feed(self, number: int, text: str) -> Iterator[HashLine | BadLine]:
        """Read a line; yield the video that is complete, or that the line is bad."""
        if not is_vpdq_line(text):
            yield BadLine(number, "expected `frame number,quality,hash,seconds`, as vPDQ writes it")
            return
        try:
            frame = parse_vpdq_line(text)
        except VideoInvalid as error:
            yield BadLine(number, str(error.fields["reason"]), error.code)
            return
        at = int(text.strip().partition(",")[0])
        if self._frames and at <= self._latest:
            yield from self.finish()
        if not self._frames:
            self._line = number
        self._latest = at
        if len(self._frames) == MAX_LISTED:
            yield BadLine(number, f"over {MAX_LISTED} frames of one video")
            return
        self._frames.append(frame)

    def finish(self) -> Iterator[HashLine | BadLine]:
        """Yield the last video."""
        if self._frames:
            frames, self._frames = self._frames, []
            yield _video(self._line, frames)


def read_vpdq_value(number: int, text: str) -> HashLine | BadLine:
    """Read a value of the signal type `vpdq`."""
    try:
        return _video(number, parse_vpdq(text))
    except VideoInvalid as error:
        return BadLine(number, str(error.fields["reason"]), error.code)


def _video(number: int, frames: list[Listed]) -> HashLine | BadLine:
    try:
        codes, track, quality = folded(frames)
    except VideoInvalid as error:
        return BadLine(number, str(error.fields["reason"]), error.code)
    return HashLine(number, codes, quality=quality, video=track)
