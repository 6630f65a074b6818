"""Search for the parts of a fingerprint one by one, and join what they found.

A fingerprint may be searched in pieces, each with at most one PDQ and one digest of each kind. So a
register that answers them need not know which of them belong together. Joined, they give what
`Matcher.match` gives for the whole.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import TYPE_CHECKING

from egide.domain.model import DIGEST_SIGNALS, Signal, Transform
from egide.domain.video import Span, VideoEvidence
from egide.matching.fingerprints import MAX_MATCHES, RANKED_SIGNALS, WHOLE, searched_codes

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from egide.domain.model import AnchoredQuery, Fingerprint, Match, Pdq
    from egide.domain.video import Track


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a fingerprint that is searched by itself.

    Attributes:
        frame: of the PDQ, in the fingerprint.
        region: of the PDQ, a position in `Fingerprint.regions`, or `WHOLE`.
        pdq: None if only digests are searched.
        digests: at most one of each kind.
        anchored: then there is nothing else.
    """

    frame: int
    region: int
    pdq: Pdq | None
    digests: Mapping[Signal, bytes]
    anchored: AnchoredQuery | None = None


def pieces(
    fingerprint: Fingerprint, held: Collection[Signal], *, anchored: bool
) -> Iterator[Piece]:
    """Take a fingerprint apart.

    Args:
        fingerprint: without keypoints, or they are ignored.
        held: the signals that are searched; others are left out.
        anchored: whether anchored hashes are.

    Yields:
        nothing if there is nothing to search by.
    """
    rounds: list[dict[Signal, bytes]] = []
    for signal in DIGEST_SIGNALS:
        for number, digest in enumerate(fingerprint.digests(signal) if signal in held else ()):
            if number == len(rounds):
                rounds.append({})
            rounds[number][signal] = digest
    codes = searched_codes(fingerprint) if Signal.PDQ in held else ()
    for code, digests in zip_longest(codes, rounds):
        frame, region, pdq = code or (0, WHOLE, None)
        yield Piece(frame, region, pdq, digests or {})
    if anchored and fingerprint.anchored is not None:
        yield Piece(0, WHOLE, None, {}, fingerprint.anchored)


def joined(fingerprint: Fingerprint, found: Iterable[tuple[Piece, Sequence[Match]]]) -> list[Match]:
    """Join the matches of a fingerprint's pieces.

    Args:
        fingerprint: that was taken apart.
        found: each piece with its matches, which name no frame and no rectangle; those of anchored
            hashes in the order of `Matcher.match`.

    Returns:
        what `Matcher.match` returns for the fingerprint. Of a video, an entry is reported by any
        of its frames: the register tells no times, so that none can be compared.
    """
    best: dict[int, tuple[tuple[int, ...], Match]] = {}
    of_parts: list[Match] = []
    frames: dict[int, set[int]] = defaultdict(set)
    for piece, matches in found:
        for match in matches:
            if match.signal is Signal.ANCHORED:
                of_parts.append(match)
                continue
            by_code = match.signal is Signal.PDQ
            if by_code:
                frames[match.entry].add(piece.frame)
            frame, region = (piece.frame, piece.region) if by_code else (0, WHOLE)
            assert match.distance is not None  # of anchored hashes and keypoints alone
            order = (
                RANKED_SIGNALS.index(match.signal),
                match.distance,
                region,
                _TRANSFORMS[match.transform or Transform.IDENTITY],
                frame,
            )
            if match.entry not in best or order < best[match.entry][0]:
                part = None if region == WHOLE else fingerprint.regions[region].rectangle
                best[match.entry] = order, replace(match, frame=frame, rectangle=part)
    nearest = [match for _, match in best.values()]
    if fingerprint.video is not None:
        nearest = [_with_frames(match, fingerprint.video, frames) for match in nearest]
    nearest.sort(key=lambda match: (match.distance, match.entry))
    del nearest[MAX_MATCHES:]
    known = {match.entry for match in nearest}
    nearest += [match for match in of_parts if match.entry not in known]
    return nearest[:MAX_MATCHES]


def _with_frames(match: Match, track: Track, frames: Mapping[int, Collection[int]]) -> Match:
    """Say in how many of a video's frames an entry was found, and when."""
    if match.signal is not Signal.PDQ:
        return match
    some = sorted(frames[match.entry])
    span = Span(track.starts[some[0]], max(track.ends[at] for at in some))
    agreeing_ms = sum(track.ends[at] - track.starts[at] for at in some)
    return replace(match, video=VideoEvidence(len(some), span, None, agreeing_ms=agreeing_ms))


_TRANSFORMS = {transform: number for number, transform in enumerate(Transform)}
