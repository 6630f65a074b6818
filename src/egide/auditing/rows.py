"""Findings of an audit, as values and as table schemas: matches, and what was not compared."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from egide.auditing.sources.base import printable
from egide.domain.model import URL_SIGNALS, Signal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from egide.auditing.sources import Item
    from egide.domain.coverage import Gap
    from egide.domain.model import Fingerprint, Match
    from egide.domain.video import Span


@dataclass(frozen=True, slots=True)
class MatchRow:
    """An item that matches an entry of a bank: one row of `matches.parquet`.

    Attributes:
        item, shard: names, as the source gives them.
        key: webdataset key or Parquet column; `offset`: of the bytes in a tar, or the row.
        tier: 0 for digests and PDQ, 1 for anchored hashes and keypoints.
        signal, transform, trust: values of the enumerations of those names in `egide.domain.model`;
            transform is None for anchored hashes.
        distance: in bits; 0 for an exact digest, the smallest one of anchored hashes, None for
            keypoints.
        frame: which frame of the item, 0 for a still picture.
        width, height: of the item's first frame in stored pixels; 0 if unknown.
        rectangle: left, top, width, height of the part that matched; None for the whole frame.
        anchored_met, anchored_registered: of `AnchoredEvidence`; else None.
        inliers, coverage, agreement, matrix: of `KeypointEvidence`; else None.
        polygon: x, y, x, y … of the registered picture's outline in the item; only for keypoints.
        sha256: of the item's bytes, hexadecimal; None if only a hash list was audited.
        video_ms: of frames of a registered video, from when to when they are seen there; else None.
        item_ms: if the item is a video, from when to when it shows the entry; else None.
        whole_video: whether most of both videos agree; None if neither is one, or a digest met.
        vetoed_by: entries of negative banks that veto it: such a row stands in `vetoed.parquet`.
    """

    item: str
    shard: str
    key: str | None
    offset: int | None
    entry: int
    bank: str
    tier: int
    signal: str
    distance: int | None
    transform: str | None
    frame: int
    trust: str
    width: int
    height: int
    rectangle: list[int] | None
    anchored_met: int | None
    anchored_registered: int | None
    inliers: int | None
    coverage: float | None
    agreement: float | None
    matrix: list[float] | None
    polygon: list[int] | None
    sha256: str | None = field(repr=False)
    vetoed_by: list[int] | None = None
    video_ms: list[int] | None = None
    item_ms: list[int] | None = None
    whole_video: bool | None = None

    @property
    def way(self) -> str:
        """How the item was found: one of `WAYS`."""
        return way_of(self)

    @property
    def by_part(self) -> bool:
        """Whether only a part is known to match: of a frame, or some frames of a video."""
        return self.rectangle is not None or self.whole_video is False


@dataclass(frozen=True, slots=True)
class GapRow:
    """Something that was not compared, and why: one row of `not_compared.parquet`.

    Attributes:
        kind: the unit of `count`, a value of `egide.GapKind`.
        name: of the item, folder, archive, column or row; `shard`: where it was met.
        code, message: of the error.
    """

    kind: str
    name: str
    shard: str
    code: str
    message: str
    count: int


Finding = MatchRow | GapRow


WAYS = ("file", "whole", "part", "anchored", "patches", "address")
"""How an item can be found: by an exact digest, by the PDQ of a whole frame or of a part of it;
in tier 1 by anchored hashes and by keypoints; and by its address alone."""
BY_PART = frozenset({"part", "anchored", "patches"})
"""Ways that find a part of a picture: by itself it never takes an item out of a dataset."""


def way_of(match: Match | MatchRow) -> str:
    """How a match was found: one of `WAYS`."""
    if match.signal == Signal.KEYPOINTS:
        return "patches"
    if match.signal == Signal.ANCHORED:
        return "anchored"
    if match.signal in URL_SIGNALS:
        return "address"
    if match.signal != Signal.PDQ:
        return "file"
    return "part" if match.by_part else "whole"


def match_row(
    item: Item, shard: str, print_: Fingerprint, match: Match, vetoes: Sequence[Match] = ()
) -> MatchRow:
    """Turn a match into its row, with what vetoes it."""
    part, anchored, evidence = match.rectangle, match.anchored, match.evidence
    video = match.video
    return MatchRow(
        item=printable(item.name),
        shard=printable(shard),
        key=None if item.key is None else printable(item.key),
        offset=item.offset,
        entry=match.entry,
        bank=match.bank,
        tier=match.tier,
        signal=match.signal.value,
        distance=match.distance,
        transform=None if match.transform is None else match.transform.value,
        frame=match.frame,
        trust=match.trust.value,
        width=print_.width,
        height=print_.height,
        rectangle=[part.left, part.top, part.width, part.height] if part else None,
        anchored_met=anchored.met if anchored else None,
        anchored_registered=anchored.registered if anchored else None,
        inliers=evidence.inliers if evidence else None,
        coverage=round(evidence.coverage, 4) if evidence else None,
        agreement=round(evidence.agreement, 4) if evidence else None,
        matrix=list(evidence.matrix) if evidence else None,
        polygon=[value for point in evidence.polygon for value in point] if evidence else None,
        sha256=print_.sha256.hex() if print_.sha256 else None,
        vetoed_by=sorted({veto.entry for veto in vetoes}) or None,
        video_ms=_times(video.entry) if video else None,
        item_ms=_times(video.query) if video else None,
        whole_video=video.whole if video else None,
    )


def _times(span: Span | None) -> list[int] | None:
    return None if span is None else [span.start_ms, span.end_ms]


def gap_row(gap: Gap, shard: str) -> GapRow:
    """Turn a gap into its row."""
    return GapRow(
        kind=gap.kind.value,
        name=printable(gap.name),
        shard=printable(shard),
        code=gap.code,
        message=printable(gap.message),
        count=gap.count,
    )


def match_schema() -> Any:
    """Return the Arrow schema of `matches.parquet`."""
    import pyarrow as pa

    return pa.schema(
        [
            pa.field("item", pa.string(), nullable=False),
            pa.field("shard", pa.string(), nullable=False),
            pa.field("key", pa.string()),
            pa.field("offset", pa.int64()),
            pa.field("entry", pa.int64(), nullable=False),
            pa.field("bank", pa.string(), nullable=False),
            pa.field("tier", pa.int8(), nullable=False),
            pa.field("signal", pa.string(), nullable=False),
            pa.field("distance", pa.int16()),
            pa.field("transform", pa.string()),
            pa.field("frame", pa.int32(), nullable=False),
            pa.field("trust", pa.string(), nullable=False),
            pa.field("width", pa.int32(), nullable=False),
            pa.field("height", pa.int32(), nullable=False),
            pa.field("rectangle", pa.list_(pa.int32())),
            pa.field("anchored_met", pa.int16()),
            pa.field("anchored_registered", pa.int16()),
            pa.field("inliers", pa.int32()),
            pa.field("coverage", pa.float64()),
            pa.field("agreement", pa.float64()),
            pa.field("matrix", pa.list_(pa.float64())),
            pa.field("polygon", pa.list_(pa.int32())),
            pa.field("sha256", pa.string()),
            pa.field("video_ms", pa.list_(pa.int64())),
            pa.field("item_ms", pa.list_(pa.int64())),
            pa.field("whole_video", pa.bool_()),
        ]
    )


def vetoed_schema() -> Any:
    """Return the Arrow schema of `vetoed.parquet`."""
    import pyarrow as pa

    return match_schema().append(pa.field("vetoed_by", pa.list_(pa.int64())))


def gap_schema() -> Any:
    """Return the Arrow schema of `not_compared.parquet`."""
    import pyarrow as pa

    texts = [
        pa.field(name, pa.string(), nullable=False)
        for name in ("kind", "name", "shard", "code", "message")
    ]
    return pa.schema([*texts, pa.field("count", pa.int64(), nullable=False)])
