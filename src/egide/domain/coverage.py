"""What a run did not look at, as values: an answer of 'no match' says nothing about these things.

A gap is counted in its own unit, and says why and what can be done. A file that cannot hold a
picture, such as a text, is no gap.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Self

from egide.errors import (
    ArchiveNotOpened,
    FramesSkipped,
    LineError,
    PixelsMissing,
    SourceError,
    ValueMissing,
    VideoSkipped,
)

if TYPE_CHECKING:
    from egide.domain.model import Fingerprint
    from egide.errors import EgideError


class GapKind(StrEnum):
    """The unit in which something was not looked at."""

    SOURCE = "source"
    """Could not be listed or opened at all."""
    LISTING = "listing"
    """A folder or prefix inside a source that was not listed, or only in part."""
    ARCHIVE = "archive"
    """A container that was not opened, or read only in part."""
    COLUMN = "column"
    """Of a table."""
    ROW = "row"
    """Of a table or list, such as one with a URL and no picture."""
    ITEM = "item"
    """A file or member that is or claims to be a picture, and could not be compared."""
    FRAME = "frame"
    """Frames of an animation, or half seconds of a video; the others were compared."""
    PIXELS = "pixels"
    """A truncated picture: compared, but only a share of it was read."""


_KINDS: tuple[tuple[type[EgideError] | tuple[type[EgideError], ...], GapKind], ...] = (
    ((ValueMissing, LineError), GapKind.ROW),
    (ArchiveNotOpened, GapKind.ARCHIVE),
    ((FramesSkipped, VideoSkipped), GapKind.FRAME),
    (PixelsMissing, GapKind.PIXELS),
    (SourceError, GapKind.ARCHIVE),
)
"""What an error leaves out, unless its finder says otherwise; of all others an item."""


@dataclass(frozen=True, slots=True)
class Gap:
    """Something that was not looked at.

    Attributes:
        kind: the unit of `count`.
        name: as reports show it.
        code: an error's stable code.
        message: why, and the remedy.
        count: how many of the kind, at least 1.
    """

    kind: GapKind
    name: str
    code: str
    message: str
    count: int = 1

    @classmethod
    def of(
        cls, name: str, error: EgideError, kind: GapKind | None = None, *, count: int = 1
    ) -> Self:
        """Make the gap that an error leaves; its kind follows from the error unless given."""
        if kind is None:
            kind = next((gap for errors, gap in _KINDS if isinstance(error, errors)), GapKind.ITEM)
        return cls(kind, name, error.code, str(error), count)


def gaps_within(name: str, print_: Fingerprint) -> list[Gap]:
    """Return what of a compared picture was not looked at: frames, and missing pixels."""
    gaps = []
    if skipped := print_.frames_skipped:
        kind = FramesSkipped if print_.video is None else VideoSkipped
        error: EgideError = kind(name=name, skipped=skipped)
        gaps.append(Gap.of(name, error, count=skipped))
    if print_.share_read < 1 and print_.video is None:
        share = f"{int(print_.share_read * 100)} %"
        gaps.append(Gap.of(name, PixelsMissing(name=name, share=share)))
    return gaps
