"""What was not looked at, as values."""

from __future__ import annotations

import pytest

from egide.domain.coverage import Gap, GapKind, gaps_within
from egide.domain.model import Fingerprint
from egide.errors import (
    ArchiveNotOpened,
    DecodeFailed,
    EgideError,
    LineError,
    SourceTruncated,
    ValueMissing,
)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (DecodeFailed(name="a", reason="b"), GapKind.ITEM),
        (ValueMissing(name="a", reason="b"), GapKind.ROW),
        (LineError(line=1, reason="b"), GapKind.ROW),
        (ArchiveNotOpened(name="a"), GapKind.ARCHIVE),
        (SourceTruncated(name="a", items=1, reason="b"), GapKind.ARCHIVE),
    ],
)
def test_an_error_leaves_a_gap_of_its_own_unit(error: EgideError, kind: GapKind) -> None:
    gap = Gap.of("a", error)
    assert (gap.kind, gap.code, gap.message, gap.count) == (kind, error.code, str(error), 1)


def test_a_compared_picture_says_what_of_it_was_not_looked_at() -> None:
    frames, pixels = gaps_within("a.gif", Fingerprint((), frames_skipped=7, share_read=0.999))
    assert (frames.kind, frames.count) == (GapKind.FRAME, 7)
    assert pixels.kind is GapKind.PIXELS
    assert "99 %" in pixels.message  # never said to be whole
    assert gaps_within("a.png", Fingerprint(())) == []
