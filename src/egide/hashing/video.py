"""Compute the fingerprint of a video: of the frame of each half second, like neighbours folded.

docs/explain/video.md is the definition, docs/decisions/0031-video.md has the numbers.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, BinaryIO

from egide.domain.model import DISTINCT_BITS, Fingerprint
from egide.domain.video import MAX_VIDEO_FRAMES, MAX_VIDEO_REGIONS, SAMPLE_MS, Track
from egide.hashing.anchored import MIN_SCALED_SIDE as MIN_SIDE_FOR_ANCHORED
from egide.hashing.anchored import anchored_query
from egide.hashing.frames import hash_regions
from egide.hashing.keypoints import MIN_SCALED_SIDE as MIN_SIDE_FOR_KEYPOINTS
from egide.hashing.keypoints import extract
from egide.hashing.pdq import hash_coefficients
from egide.hashing.product import mirror_coefficients
from egide.media.decode import MIN_SCALED_SIDE
from egide.media.video import open_video

if TYPE_CHECKING:
    from collections.abc import Sequence

    from egide.domain.model import AnchoredQuery, KeypointQuery, Limits, Pdq, Region
    from egide.media import Frame
    from egide.media.video import Shown

FRAME_REGIONS = 4
"""Most regions of one frame; one, once all frames together have nearly `MAX_VIDEO_REGIONS`."""
_TRIES = 8
# Frames that are searched for anchored hashes; after so many without any, there are hardly some.
_PIECE_BYTES = 1 << 20


def fingerprint_video(
    stream: BinaryIO,
    kind: str,
    *,
    name: str,
    limits: Limits,
    md5: bool = True,
    sha1: bool = True,
    regions: bool = True,
    anchored: bool = False,
    keypoints: bool = False,
) -> Fingerprint:
    """Compute the fingerprint of a video.

    The file, a stream, is read twice, and never held in memory as a whole. Its kind is what
    `egide.media.video.video_kind` says; all else is as of `egide.fingerprint`.

    Raises:
        FormatUnsupported: the extra `video` is not installed.
        ItemError: anything that is wrong with the file.
    """
    with open_video(stream, kind, name=name, limits=limits) as video:
        folded = _Folded(regions=regions, anchored=anchored, keypoints=keypoints)
        for shown in video.shown():
            folded.add(shown)
    frames, found, track = folded.kept(video.instants)
    digests = _digests(stream, md5=md5, sha1=sha1)
    whole = video.instants + video.skipped
    return Fingerprint(
        frames,
        sha256=digests["sha256"],
        sha1=digests.get("sha1"),
        md5=digests.get("md5"),
        width=video.width,
        height=video.height,
        frames_skipped=video.skipped + max(len(folded.runs) - len(frames), 0),
        share_read=max(whole - video.skipped, 1) / whole,
        regions=found,
        anchored=folded.anchored,
        keypoints=folded.keypoints,
        video=track,
    )


@dataclass(slots=True)
class _Run:
    """A frame that is kept, and the instants that it stands for; their number is `last` + 1."""

    pdq: Pdq
    first: int
    last: int
    regions: tuple[Region, ...] = ()


class _Folded:
    """The runs of a video's frames, and what is computed of one frame alone."""

    def __init__(self, *, regions: bool, anchored: bool, keypoints: bool) -> None:
        self.runs: list[_Run] = []
        self.anchored: AnchoredQuery | None = None
        self.keypoints: KeypointQuery | None = None
        self._with_regions = regions
        self._tries = _TRIES if anchored else 0
        self._with_keypoints = keypoints
        self._regions = 0
        self._code = 0
        self._best: _Run | None = None
        # The frame with the most detail, until there is one with enough.

    def add(self, shown: Shown) -> None:
        """Go on with the last run, or begin one, or leave the frame out."""
        frame = shown.frame(MIN_SCALED_SIDE)
        pdq = _hashed(frame)
        if not pdq.matchable:
            if not self.runs and (self._best is None or _detail(pdq) > _detail(self._best.pdq)):
                self._best = _Run(pdq, shown.first, shown.last)
            return
        code = int.from_bytes(pdq.code)
        if self.runs and (code ^ self._code).bit_count() <= DISTINCT_BITS:
            self.runs[-1].last = shown.last
            return
        self._code = code
        run = _Run(pdq, shown.first, shown.last)
        if self._with_regions:
            run.regions = hash_regions(frame, pdq, len(self.runs), self._room())
            self._regions += len(run.regions)
        self.runs.append(run)
        self._look_closer(shown, run)

    def kept(self, instants: int) -> tuple[tuple[Pdq, ...], tuple[Region, ...], Track]:
        """The frames that are kept, their regions, and their times."""
        runs = self.runs or [self._best] if self._best else self.runs
        chosen = [runs[at] for at in evenly(len(runs), MAX_VIDEO_FRAMES)]
        return (
            tuple(run.pdq for run in chosen),
            tuple(
                replace(region, frame=number)
                for number, run in enumerate(chosen)
                for region in run.regions
            ),
            Track(
                tuple(run.first * SAMPLE_MS for run in chosen),
                tuple((run.last + 1) * SAMPLE_MS for run in chosen),
                instants * SAMPLE_MS,
            ),
        )

    def _room(self) -> int:
        left = MAX_VIDEO_REGIONS - self._regions
        return min(FRAME_REGIONS if left > MAX_VIDEO_REGIONS // 2 else 1, left)

    def _look_closer(self, shown: Shown, run: _Run) -> None:
        """Anchored hashes and keypoints, of the first kept frame that has any."""
        if self._tries and self.anchored is None:
            self._tries -= 1
            self.anchored = anchored_query(shown.frame(MIN_SIDE_FOR_ANCHORED), run.regions)
        if self._with_keypoints and self.keypoints is None:
            parts = [region.rectangle for region in run.regions]
            self.keypoints = extract(shown.frame(MIN_SIDE_FOR_KEYPOINTS), parts)


def evenly(count: int, most: int) -> Sequence[int]:
    """Choose at most so many of a number of things, evenly, with the first and the last."""
    if count <= most:
        return range(count)
    return [k * (count - 1) // (most - 1) for k in range(most)]


def _hashed(frame: Frame) -> Pdq:
    return hash_coefficients(
        *mirror_coefficients(frame.pixels, (frame.rows, frame.columns), frame.scale)
    )


def _detail(pdq: Pdq) -> int:
    return pdq.quality or 0


def _digests(stream: BinaryIO, *, md5: bool, sha1: bool) -> dict[str, bytes]:
    made = {"sha256": hashlib.sha256()}
    if sha1:
        made["sha1"] = hashlib.sha1(usedforsecurity=False)
    if md5:
        made["md5"] = hashlib.md5(usedforsecurity=False)
    stream.seek(0)
    while piece := stream.read(_PIECE_BYTES):
        for digest in made.values():
            digest.update(piece)
    return {name: digest.digest() for name, digest in made.items()}
