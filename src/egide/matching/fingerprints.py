"""Match fingerprints by digests, PDQ and anchored hashes, with regard to the state of entries."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np

from egide.domain.model import (
    DIGEST_SIGNALS,
    FILE_SIGNALS,
    PDQ_BYTES,
    TRANSFORMS,
    URL_SIGNALS,
    BankKind,
    Match,
    Signal,
    Trust,
)
from egide.index.kernel import check_radius
from egide.index.snapshot import Snapshot, unix_us
from egide.matching.anchored import match_anchored
from egide.matching.scope import scope_of
from egide.matching.video import FOUND, match_video, nearest_of_each, of_still

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from numpy.typing import NDArray

    from egide.domain.model import AnchoredQuery, Fingerprint, Pdq
    from egide.domain.video import VideoEvidence
    from egide.index.searched import Searched
    from egide.index.snapshot import Entries

RANKED_SIGNALS = (*FILE_SIGNALS, Signal.PDQ, *URL_SIGNALS)
"""An exact digest of a file outranks PDQ; what its address says comes last."""
MAX_MATCHES = 1000
"""The most entries reported for one fingerprint, the nearest ones: a bank of near-equal entries
must not turn one picture into a million matches."""
_QUERIES_PER_SEARCH = 8192
"""Queries per search; their hits are reduced to one an entry before the next search."""


class Matcher:
    """Matches fingerprints against the banks of one snapshot or one live view.

    Attributes:
        searched: the snapshot or live view.
        banks: the banks that are searched: enabled ones, see `scope_of`.
        disabled: the names of requested banks that are not searched.
        radius_bits: the widest radius among the banks, for PDQ; 0 without banks.
        revision: the store's revision that is searched.
    """

    def __init__(
        self,
        searched: Searched,
        *,
        banks: Collection[str] | None = None,
        radius_bits: int | None = None,
        now: datetime | None = None,
    ) -> None:
        """Choose the banks and the radius.

        Args:
            searched: a snapshot, kept open by the caller, or a live view.
            banks: search only these, if enabled; None for all enabled ones.
            radius_bits: 0–63, instead of each bank's own. It asks for what is within a distance,
                so anchored hashes, which have a rule of their own, are then not searched.
            now: entries that have expired by then do not match; None for the time of each match.

        Raises:
            BankMissing: no bank has that name.
            RadiusInvalid: a radius is outside 0–63.
        """
        self.searched = searched
        self.revision = searched.revision
        scope = scope_of(searched.banks, banks)
        self.banks, self.disabled = scope.searched, scope.disabled
        self._now = now
        self._by_distance = radius_bits is not None
        # −1 for banks that are not searched: no distance is so small.
        self._radius_of_bank = np.full(len(searched.banks), -1, np.int16)
        for bank in self.banks:
            # What is harmless is so within the bank's own radius, whatever is asked for.
            own = radius_bits is None or bank.kind is BankKind.NEGATIVE
            radius = bank.radius_bits if own or radius_bits is None else radius_bits
            check_radius(radius)
            self._radius_of_bank[searched.banks.index(bank)] = radius
        self.radius_bits = max(0, int(self._radius_of_bank.max(initial=0)))

    @property
    def snapshot(self) -> Snapshot:
        """The snapshot that is searched, for callers that never search a live view.

        Raises:
            TypeError: a live view is searched.
        """
        if not isinstance(self.searched, Snapshot):
            raise TypeError("a live view is searched, not a snapshot")
        return self.searched

    def match(self, fingerprints: Sequence[Fingerprint]) -> list[list[Match]]:
        """Match many fingerprints at once, which is much quicker than one by one.

        Searches for every matchable frame and region in all variants, for every digest, and for
        anchored hashes. An entry is reported once for a fingerprint: by an equal digest, else by
        the least distance, else by anchored hashes. Ties go to a whole frame before a region, then
        to the first transform in the order of `TRANSFORMS`, then to the first frame and the first
        region. A video matches a registered video by frames that agree in time, see
        `egide.matching.video`.

        Args:
            fingerprints: any number.

        Returns:
            for each fingerprint its nearest `MAX_MATCHES`, sorted by distance, then entry; then
            those that only anchored hashes found, as `match_anchored` sorts them.

        Raises:
            SnapshotDamaged: the snapshot's content is wrong.
            SnapshotError: the snapshot was closed.
        """
        if not self.banks:
            return [[] for _ in fingerprints]
        matches = self._first_tier(fingerprints)
        if not self._by_distance:
            for fingerprint, found in zip(fingerprints, matches, strict=True):
                if fingerprint.anchored is not None:
                    self._add_anchored(fingerprint.anchored, found, fingerprint.video is not None)
        return matches

    def _first_tier(self, fingerprints: Sequence[Fingerprint]) -> list[list[Match]]:
        matches: list[list[Match]] = [[] for _ in fingerprints]
        shown: dict[tuple[int, int], VideoEvidence] = {}
        parts = [part for part in self._candidates(fingerprints, shown) if len(part)]
        if not parts:
            return matches
        found = _best(parts[0] if len(parts) == 1 else np.concatenate(parts))
        entry_id = self.searched.columns(found["owner"]).id
        order = np.lexsort((entry_id, found["distance"], found["item"]))
        found = found[order]
        found = found[_rank(found["item"]) < MAX_MATCHES]
        entries = self.searched.columns(found["owner"])
        banks = self.searched.banks
        for hit, entry, bank, trust, of_video in zip(
            found.tolist(),
            entries.id.tolist(),
            entries.bank.tolist(),
            entries.trust.tolist(),
            self.searched.are_videos(found["owner"]).tolist(),
            strict=True,
        ):
            item, owner, rank, distance, region, transform, frame, row = hit
            by_pdq = RANKED_SIGNALS[rank] is Signal.PDQ
            video = shown.get((item, owner)) if by_pdq else None
            if by_pdq and of_video and video is None:
                video = of_still(self.searched, row)
            matches[item].append(
                Match(
                    entry=entry,
                    bank=banks[bank].name,
                    kind=banks[bank].kind,
                    signal=RANKED_SIGNALS[rank],
                    distance=distance,
                    transform=TRANSFORMS[transform],
                    trust=self.searched.trusts[trust],
                    frame=frame,
                    revision=self.revision,
                    rectangle=(
                        None if region == WHOLE else fingerprints[item].regions[region].rectangle
                    ),
                    video=video,
                )
            )
        return matches

    def _add_anchored(self, query: AnchoredQuery, found: list[Match], is_video: bool) -> None:
        """Add the entries that only anchored hashes find.

        Those of a video are of one frame, such as of an intro. So they find no registered video
        where frames that agree in time have found one, nor a confirmed one where one that is
        confirmed was found.
        """
        known = {match.entry for match in found}
        agreed = {
            match.trust is Trust.CONFIRMED
            for match in found
            if is_video and match.video is not None and match.video.entry is not None
        }
        met = match_anchored(self.searched, query, self.searches)
        owners = np.array([each.owner for each in met], np.int64)
        if agreed:
            entries = self.searched.columns(owners)
            confirmed = entries.trust == self.searched.trusts.index(Trust.CONFIRMED)
            hidden = self.searched.are_videos(owners) & (~confirmed | (True in agreed))
            met = [each for each, hide in zip(met, hidden.tolist(), strict=True) if not hide]
            owners = owners[~hidden]
        entries = self.searched.columns(owners)
        for each, entry, bank, trust in zip(
            met, entries.id.tolist(), entries.bank.tolist(), entries.trust.tolist(), strict=True
        ):
            if entry not in known and len(found) < MAX_MATCHES:
                found.append(
                    Match(
                        entry=entry,
                        bank=self.searched.banks[bank].name,
                        kind=self.searched.banks[bank].kind,
                        signal=Signal.ANCHORED,
                        distance=each.distance,
                        transform=None,
                        trust=self.searched.trusts[trust],
                        frame=0,
                        revision=self.revision,
                        anchored=each.evidence,
                    )
                )

    def _candidates(
        self, fingerprints: Sequence[Fingerprint], shown: dict[tuple[int, int], VideoEvidence]
    ) -> Iterator[NDArray[np.void]]:
        """All candidates; what shows that a video matches is added to `shown`."""
        yield from self._digest_hits(fingerprints)
        are_videos = np.array([each.video is not None for each in fingerprints])
        of_videos: list[NDArray[np.void]] = []
        for found in self._pdq(fingerprints):
            of_video = are_videos[found["item"]]
            if of_video.any():
                of_videos.append(nearest_of_each(found[of_video]))
            yield _best(found[~of_video])
        if of_videos:
            yield from self._videos(fingerprints, np.concatenate(of_videos), shown)

    def _videos(
        self,
        fingerprints: Sequence[Fingerprint],
        hits: NDArray[np.void],
        shown: dict[tuple[int, int], VideoEvidence],
    ) -> Iterator[NDArray[np.void]]:
        """The candidates of fingerprints that are videos."""
        hits = self._without_harmless(hits)
        for item in np.unique(hits["item"]).tolist():
            own = nearest_of_each(hits[hits["item"] == item])
            for nearest, evidence in match_video(self.searched, fingerprints[item], own):
                shown[item, int(nearest["owner"][0])] = evidence
                yield nearest

    def _without_harmless(self, hits: NDArray[np.void]) -> NDArray[np.void]:
        """Leave out frames of videos that a negative bank says are harmless.

        A whole frame of a positive bank's entry is, by the rules of `egide.domain.veto`, if an
        entry of a negative bank is nearer, or as near and the other is not confirmed.
        """
        negative = np.array([bank.kind is BankKind.NEGATIVE for bank in self.searched.banks])
        if not negative.any():
            return hits
        columns = self.searched.columns(hits["owner"])
        trust = np.array(self.searched.trusts, object)[columns.trust]
        harmless, whole = negative[columns.bank], hits["region"] == WHOLE
        able = harmless & whole & (trust != Trust.DISPUTED)
        frame = np.unique(np.stack([hits["item"], hits["frame"]]), axis=1, return_inverse=True)[1]
        nearest = np.full(len(hits), np.iinfo(np.int16).max, np.int16)
        np.minimum.at(nearest, frame[able], hits["distance"][able])
        bits = nearest[frame]
        tied = (hits["distance"] == bits) & (trust != Trust.CONFIRMED)
        vetoed = ~harmless & whole & ((bits < hits["distance"]) | tied)
        left: NDArray[np.void] = hits[~vetoed]
        return left

    def _digest_hits(self, fingerprints: Sequence[Fingerprint]) -> Iterator[NDArray[np.void]]:
        for signal in DIGEST_SIGNALS:
            known = [
                (item, digest)
                for item, each in enumerate(fingerprints)
                for digest in each.digests(signal)
            ]
            if not known:
                continue
            hits = self.searched.find_digests(signal, [digest for _, digest in known])
            if not len(hits.query):
                continue
            found = np.zeros(len(hits.query), FOUND)
            found["item"] = np.array([item for item, _ in known])[hits.query]
            found["owner"] = hits.owner
            found["rank"] = RANKED_SIGNALS.index(signal)
            found["region"] = WHOLE
            found["row"] = -1
            yield self._allowed(found)

    def _pdq(self, fingerprints: Sequence[Fingerprint]) -> Iterator[NDArray[np.void]]:
        codes: list[bytes] = []
        places: list[tuple[int, int, int]] = []
        for item, fingerprint in enumerate(fingerprints):
            for frame, region, pdq in searched_codes(fingerprint):
                codes.append(pdq.variants or pdq.code)
                places.append((item, frame, region))
        if not codes:
            return
        queries = np.frombuffer(b"".join(codes), np.uint8).reshape(-1, PDQ_BYTES)
        ends = np.cumsum([len(variants) // PDQ_BYTES for variants in codes])
        item_of, frame_of, region_of = np.array(places).T
        for first in range(0, len(queries), _QUERIES_PER_SEARCH):
            some = queries[first : first + _QUERIES_PER_SEARCH]
            hits = self.searched.search(some, self.radius_bits)
            if not len(hits):
                continue
            query = hits.query + first
            searched = np.searchsorted(ends, query, "right")
            found = np.zeros(len(query), FOUND)
            found["item"] = item_of[searched]
            found["owner"] = self.searched.owners(hits.row)
            found["rank"] = RANKED_SIGNALS.index(Signal.PDQ)
            found["distance"] = hits.distance
            found["transform"] = query - np.concatenate([[0], ends[:-1]])[searched]
            found["frame"] = frame_of[searched]
            found["region"] = region_of[searched]
            found["row"] = hits.row
            yield self._allowed(found)

    def _allowed(self, found: NDArray[np.void]) -> NDArray[np.void]:
        """Drop candidates outside their bank's radius, not searched, expired or gone."""
        owner = found["owner"]
        entries = self.searched.columns(owner)
        near = found["distance"] <= self._radius_of_bank[entries.bank]
        allowed: NDArray[np.void] = found[near & self._may_match(owner, entries)]
        return allowed

    def searches(self, owner: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which entries may match: in a searched bank, not expired and not gone.

        Args:
            owner: int64[k], positions of entries.

        Raises:
            SnapshotError: the snapshot was closed.
        """
        return self._may_match(owner, self.searched.columns(owner))

    def _may_match(self, owner: NDArray[np.int64], entries: Entries) -> NDArray[np.bool_]:
        now_us = unix_us(self._now or datetime.now(UTC))
        inside = self._radius_of_bank[entries.bank] >= 0
        may: NDArray[np.bool_] = (
            inside & (entries.expires_us > now_us) & self.searched.present(owner)
        )
        return may


WHOLE = -1
"""A region's position that means the whole frame, which sorts before any region."""


def searched_codes(fingerprint: Fingerprint) -> Iterator[tuple[int, int, Pdq]]:
    """Each hash that may be searched for, with its frame and region."""
    for frame, pdq in enumerate(fingerprint.frames):
        if pdq.matchable:
            yield frame, WHOLE, pdq
    for position, region in enumerate(fingerprint.regions):
        if region.pdq.matchable:
            yield region.frame, position, region.pdq


def _best(found: NDArray[np.void]) -> NDArray[np.void]:
    """Keep the best candidate of each fingerprint and entry; see `Matcher.match`."""
    order = np.lexsort([found[key] for key in reversed(FOUND.names or ())])
    found = found[order]
    first = np.ones(len(found), np.bool_)
    first[1:] = (found["item"][1:] != found["item"][:-1]) | (
        found["owner"][1:] != found["owner"][:-1]
    )
    return found[first]


def _rank(groups: NDArray[np.int64]) -> NDArray[np.int64]:
    """Number the members of each run of equal values from 0."""
    position = np.arange(len(groups))
    starts = np.flatnonzero(np.diff(groups, prepend=-1))
    return position - np.repeat(starts, np.diff(starts, append=len(groups)))
