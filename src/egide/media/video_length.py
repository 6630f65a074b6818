"""How long a video says that it is: to tell how much of it was not looked at."""

from __future__ import annotations

import re
from io import SEEK_END
from typing import TYPE_CHECKING, Any, BinaryIO

from egide.domain.video import SAMPLE_MS

if TYPE_CHECKING:
    from fractions import Fraction

_MOST = 1 << 31
# A lying header may declare more.
_CLOCK = re.compile(r"(\d+):(\d\d):(\d\d(?:\.\d+)?)")


def declared_instants(container: Any, stream: Any) -> tuple[int, bool]:
    """The instants that a track declares, and whether it says so of itself.

    Returns:
        0 if nothing is said; False if the length is the file's, whose sound may go on for longer.
    """
    milliseconds = _own(stream)
    if milliseconds is not None:
        return _instants(milliseconds), True
    if container.duration is None:
        return 0, False
    return _instants(container.duration / 1000), False


def ends_early(stream: BinaryIO) -> bool:
    """Whether an AVI file is shorter than it says; of others the length tells."""
    stream.seek(0)
    head = stream.read(12)
    size = stream.seek(0, SEEK_END)
    stream.seek(0)
    is_avi = head[:4] == b"RIFF" and head[8:] == b"AVI "
    return is_avi and size < 8 + int.from_bytes(head[4:8], "little")


def _own(stream: Any) -> Fraction | float | None:
    if stream.duration is not None and stream.time_base is not None:
        length: Fraction = 1000 * stream.duration * stream.time_base
        return length
    # Matroska keeps it as a tag of the track.
    clock = _CLOCK.match(stream.metadata.get("DURATION", ""))
    if clock is None:
        return None
    hours, minutes, seconds = clock.groups()
    return 1000 * (3600 * int(hours) + 60 * int(minutes) + float(seconds))


def _instants(milliseconds: Fraction | float) -> int:
    return min(max(-int(-milliseconds // SAMPLE_MS), 0), _MOST)
