"""The values that pass between layers: frozen, slotted, made of bytes and numbers.

Fingerprints are bytes here; hexadecimal digits exist only at the edges (hash lists, the command
line). Nothing in this module prints a fingerprint: `repr` of the classes that hold one is short.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from itertools import pairwise
from typing import TYPE_CHECKING, Protocol, Self, TypeVar

from egide.errors import AnchoredInvalid

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from egide.domain.video import Track, VideoEvidence


PDQ_BYTES = 32
DEFAULT_RADIUS_BITS = 31
MAX_RADIUS_BITS = 63
MIN_MATCHABLE_QUALITY = 50
"""Under this PDQ quality the perceptual hash is not used; only exact digests match."""
DISTINCT_BITS = 10
"""A frame within this many bits of a kept one is dropped: a search that finds one finds the other,
at most a third of the default radius further away."""
MAX_REGIONS = 16
"""Most parts of one picture, over all its frames, that are fingerprinted beside the whole."""
ANCHORED_VERSION = 1
"""Of the definition of the regions that anchored hashes are of."""
MAX_ANCHORED = 64
"""Most anchored hashes of one picture that are taken from a list or a partner."""
REGISTERED_ANCHORED = 62
"""Most that are made of one: with two more, a row would not fit on half a page of SQLite's."""
MAX_ANCHORED_QUERY = 510
"""Most codes that a picture's parts are searched by: 255 regions, each as it is and mirrored."""
WHOLE_REGIONS = 160
"""A query's regions with a lower number are of the whole picture, the others of parts of it."""
_ONES = 128
# A hash of a region sets the half of its bits that lie over the median.
_NOT_A_REGION_HASH = f"one of them has not {_ONES} ones, as every hash of a region has"
_REGIONS = 256
# A region's number is a byte.
KEYPOINT_BYTES = 32
MIN_KEYPOINTS = 24
"""A picture with fewer keypoints has too little detail to be matched by them."""


class Mode(StrEnum):
    """How pixels are obtained for PDQ."""

    EXACT = "exact"
    """Full decode; the reference hash, bit for bit. For registration."""
    FAST = "fast"
    """JPEG decoded at a fraction of its size; within a few bits of exact. For scanning."""


class Transform(StrEnum):
    """The symmetries of a rectangle, applied to the registered picture to get the query.

    Rotations are clockwise. The order is that of `Pdq.variants`.
    """

    IDENTITY = "identity"
    ROTATE_90 = "rotate-90"
    ROTATE_180 = "rotate-180"
    ROTATE_270 = "rotate-270"
    FLIP_HORIZONTAL = "flip-horizontal"
    FLIP_VERTICAL = "flip-vertical"
    TRANSPOSE = "transpose"
    TRANSVERSE = "transverse"


TRANSFORMS: tuple[Transform, ...] = tuple(Transform)


class Signal(StrEnum):
    """A kind of fingerprint that an entry can hold and a query can match."""

    PDQ = "pdq"
    SHA256 = "sha256"
    SHA1 = "sha1"
    MD5 = "md5"
    URL_SHA256 = "url_sha256"
    """Of the address of a picture, not of the picture: see `egide.hashlist.addresses`."""
    URL_MD5 = "url_md5"
    ANCHORED = "pdq-anchored"
    """PDQs of a picture's regions; see `AnchoredHashes`."""
    KEYPOINTS = "patches"
    """Keypoints; never in a hash list."""


FILE_SIGNALS = (Signal.SHA256, Signal.SHA1, Signal.MD5)
"""Exact digests of a file, the one that is hardest to forge first."""
URL_SIGNALS = (Signal.URL_SHA256, Signal.URL_MD5)
"""Exact digests of an address."""
DIGEST_SIGNALS = FILE_SIGNALS + URL_SIGNALS
"""Each is also the name of the field that holds it."""
SIGNAL_BYTES = {
    Signal.PDQ: 32,
    Signal.SHA256: 32,
    Signal.SHA1: 20,
    Signal.MD5: 16,
    Signal.URL_SHA256: 32,
    Signal.URL_MD5: 16,
}
"""Of the signals that are one value, and can be all that an entry has."""


@dataclass(frozen=True, slots=True)
class Pdq:
    """The PDQ of one frame.

    Attributes:
        code: the 256-bit hash, 32 bytes, most significant bit first as in the reference's hex form.
        quality: 0–100, or None if unknown (a hash from a list).
        variants: one code for each `Transform` in order, 8 × 32 bytes in all, or empty if only the
            code is known. `variants[:32] == code`. Variant t is the hash of the frame with
            transform t *undone*: a hit on it means that the query is the entry with t applied.
    """

    code: bytes = field(repr=False)
    quality: int | None
    variants: bytes = field(default=b"", repr=False)

    @property
    def matchable(self) -> bool:
        """Whether the hash may be searched for: its quality is unknown or at least 50."""
        return self.quality is None or self.quality >= MIN_MATCHABLE_QUALITY

    def queries(self) -> Iterator[tuple[Transform, bytes]]:
        """The codes to search for, each with the transform that a hit means."""
        if not self.variants:
            yield Transform.IDENTITY, self.code
            return
        for index, transform in enumerate(TRANSFORMS):
            yield transform, self.variants[index * PDQ_BYTES : (index + 1) * PDQ_BYTES]


@dataclass(frozen=True, slots=True)
class Rectangle:
    """A part of a frame, in stored pixels from its top left corner."""

    left: int
    top: int
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Region:
    """A part of a frame that looks like a picture: a frame without its borders, or a collage part.

    Attributes:
        frame: the position of its frame in `Fingerprint.frames`.
        trimmed: whether it is the frame without its borders; else it is one of several parts.
    """

    frame: int
    rectangle: Rectangle
    pdq: Pdq
    trimmed: bool


@dataclass(frozen=True, slots=True)
class KeypointSet:
    """The keypoints of one frame: small patches of detail, found again in edited copies.

    They reveal far more of a picture than PDQ. Format and source: `egide.hashing.keypoint_set`.

    Attributes:
        width, height: of the frame, in stored pixels.
        keypoints: position, size and angle of each, as `egide.hashing.keypoint_set` packs them.
        descriptors: 32 bytes for each.
        signs: the directions of brightness on a coarse grid over the frame.
    """

    width: int
    height: int
    keypoints: bytes = field(repr=False)
    descriptors: bytes = field(repr=False)
    signs: bytes = field(repr=False)

    @property
    def count(self) -> int:
        """The number of keypoints."""
        return len(self.descriptors) // KEYPOINT_BYTES

    @property
    def searchable(self) -> bool:
        """Whether the picture has enough detail to be matched by keypoints."""
        return self.count >= MIN_KEYPOINTS


@dataclass(frozen=True, slots=True)
class KeypointQuery:
    """The keypoints of a query picture.

    Attributes:
        straight: of the frame as stored; registering keeps the first of them.
        mirrored: of the frame mirrored left to right, in the mirrored frame's pixels.
        luma: the frame's brightness, one byte a sample, row by row.
        luma_width, luma_height: samples.
    """

    straight: KeypointSet
    mirrored: KeypointSet
    luma: bytes = field(repr=False)
    luma_width: int
    luma_height: int


@dataclass(frozen=True, slots=True)
class AnchoredHashes:
    """What is registered of a picture's parts: a PDQ of each of its regions, without places.

    Attributes:
        codes: 32 bytes each, sorted, each once, so that their order tells nothing.
        version: of the definition of their regions.

    Raises:
        AnchoredInvalid: the codes are not such a list.
    """

    codes: bytes = field(repr=False)
    version: int = ANCHORED_VERSION

    def __post_init__(self) -> None:
        reason = _wrong_with(self.codes, self.version)
        if reason:
            raise AnchoredInvalid(reason=reason)

    @classmethod
    def of(cls, codes: Iterable[bytes], version: int = ANCHORED_VERSION) -> Self:
        """Bring codes into order.

        Args:
            codes: 32 bytes each, in any order, of at most `MAX_ANCHORED` different regions.
            version: of the definition of their regions.

        Raises:
            AnchoredInvalid: one is no such code, or they are too many.
        """
        return cls(b"".join(sorted(set(codes))), version)

    @classmethod
    def kept(cls, codes: bytes, version: int) -> Self:
        """Take codes as they are: a store holds what was checked before, and a million of it."""
        made = object.__new__(cls)
        object.__setattr__(made, "codes", codes)
        object.__setattr__(made, "version", version)
        return made

    def __len__(self) -> int:
        return len(self.codes) // PDQ_BYTES

    def __iter__(self) -> Iterator[bytes]:
        return _each_code(self.codes)


@dataclass(frozen=True, slots=True)
class AnchoredQuery:
    """What a picture's parts are searched by: PDQs of its regions, as they are and mirrored.

    Attributes:
        codes: 32 bytes each, those of the strongest region first.
        regions: for each code the number of its region, as a byte.
        version: of the definition of the regions.
    """

    codes: bytes = field(repr=False)
    regions: bytes = field(repr=False)
    version: int = ANCHORED_VERSION

    @classmethod
    def of(cls, codes: Sequence[bytes]) -> Self:
        """Make a query of codes of which nothing else is known, so that each is its own region.

        Of more than 256, two neighbours count as one region.

        Args:
            codes: 1 to `MAX_ANCHORED_QUERY` of them.

        Raises:
            AnchoredInvalid: one is no hash of a region, or they are none or too many.
        """
        reason = ""
        if not 1 <= len(codes) <= MAX_ANCHORED_QUERY:
            reason = f"they are {len(codes)}, and 1 to {MAX_ANCHORED_QUERY} can be searched for"
        elif any(len(code) != PDQ_BYTES for code in codes):
            reason = f"one of them has not {PDQ_BYTES} bytes"
        elif not all(map(_is_region_hash, codes)):
            reason = _NOT_A_REGION_HASH
        if reason:
            raise AnchoredInvalid(reason=reason)
        shared = 1 if len(codes) <= _REGIONS else 2
        return cls(b"".join(codes), bytes(at // shared for at in range(len(codes))))

    def registered(self) -> AnchoredHashes:
        """What to keep of the picture: of each of its strongest regions the first code."""
        first = {region: code for code, region in reversed([*zip(self, self.regions, strict=True)])}
        whole = sorted(region for region in first if region < WHOLE_REGIONS)
        return AnchoredHashes.of(first[region] for region in whole[:REGISTERED_ANCHORED])

    def __iter__(self) -> Iterator[bytes]:
        return _each_code(self.codes)


def _each_code(codes: bytes) -> Iterator[bytes]:
    return (codes[at : at + PDQ_BYTES] for at in range(0, len(codes), PDQ_BYTES))


def _is_region_hash(code: bytes) -> bool:
    return int.from_bytes(code).bit_count() == _ONES


def _wrong_with(codes: bytes, version: int) -> str:
    """Why codes are no list of anchored hashes; empty if they are."""
    if version != ANCHORED_VERSION:
        return f"they are of version {version}, and this Egide knows version {ANCHORED_VERSION}"
    if not codes or len(codes) % PDQ_BYTES:
        return f"{len(codes)} bytes are not one or more hashes of {PDQ_BYTES}"
    if len(codes) > MAX_ANCHORED * PDQ_BYTES:
        return f"they are {len(codes) // PDQ_BYTES}, and {MAX_ANCHORED} is the most"
    each = [*_each_code(codes)]
    if not all(map(_is_region_hash, each)):
        return _NOT_A_REGION_HASH
    if any(one >= next_one for one, next_one in pairwise(each)):
        return "they are not sorted, or one is there twice"
    return ""


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """The hashes of one image file, computed from it or read from a hash list.

    Attributes:
        frames: the PDQ of each distinct frame, the still picture first; empty if only digests are
            known.
        sha256, sha1, md5: of the file's bytes; None if unknown (a hash list, a PIL image) or not
            asked for.
        url_sha256, url_md5: of the address that the file is from, in each form that a list may
            have hashed; empty if unknown.
        width, height: stored pixels of the first frame, before any EXIF rotation; 0 if unknown.
        frames_skipped: frames of an animation that were not looked at; of a video, instants.
        share_read: the share of the picture that was read; below 1, the file is truncated.
        regions: parts of the frames that look like pictures, at most `MAX_REGIONS`, of a video
            `MAX_VIDEO_REGIONS`.
        keypoints: of the first frame; None if not requested.
        anchored: of the first frame, of a video the first kept one that has any; None if not
            requested, or if it has too little detail.
        as_stored: of the first frame's samples as the file stores them, see
            `egide.media.pixels.stored_samples`; None if not requested, or if they are what is seen.
        video: when each of the frames is seen; None if the file is no video. A video's frames are
            all matchable unless there is only one, and the same picture may come again.
    """

    frames: tuple[Pdq, ...]
    sha256: bytes | None = field(default=None, repr=False)
    md5: bytes | None = field(default=None, repr=False)
    width: int = 0
    height: int = 0
    frames_skipped: int = 0
    share_read: float = 1.0
    regions: tuple[Region, ...] = ()
    keypoints: KeypointQuery | None = None
    anchored: AnchoredQuery | None = None
    sha1: bytes | None = field(default=None, repr=False)
    url_sha256: tuple[bytes, ...] = field(default=(), repr=False)
    url_md5: tuple[bytes, ...] = field(default=(), repr=False)
    as_stored: Pdq | None = None
    video: Track | None = None

    @property
    def pdq(self) -> Pdq | None:
        """The PDQ of the first frame."""
        return self.frames[0] if self.frames else None

    @property
    def matchable(self) -> bool:
        """Whether any frame or part of one can be searched for; else only digests match."""
        return (
            any(frame.matchable for frame in self.frames)
            or bool(self.regions)
            or self.anchored is not None
        )

    def digests(self, signal: Signal) -> tuple[bytes, ...]:
        """The digests of one of `DIGEST_SIGNALS`: of a file at most one, of its address several."""
        held: bytes | tuple[bytes, ...] | None = getattr(self, signal)
        if isinstance(held, bytes):
            return (held,)
        return held or ()


class Trust(StrEnum):
    """The reviewers' judgement of an entry. Only `confirmed` may block by itself."""

    UNVERIFIED = "unverified"
    CONFIRMED = "confirmed"
    DISPUTED = "disputed"


class State(StrEnum):
    """The consent state of an entry. Only `active` entries match."""

    ACTIVE = "active"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"
    TOMBSTONED = "tombstoned"
    """A confirmed false positive."""


class BankKind(StrEnum):
    """What a match with an entry of a bank means."""

    POSITIVE = "positive"
    """The picture is what nobody may share."""
    NEGATIVE = "negative"
    """The picture is known to be harmless; see `egide.domain.veto`."""


class FeedbackKind(StrEnum):
    """What a partner reports about a match with an entry."""

    MATCHED = "matched"
    REMOVED = "removed"
    DECLINED = "declined"
    """The partner reviewed the picture and left it in place."""
    FALSE_POSITIVE = "false-positive"


@dataclass(frozen=True, slots=True)
class Bank:
    """A named collection of entries, with its own match radius.

    Attributes:
        kind: whether a match with one of its entries is found, or vetoes what else is found.
        enabled_ratio: the share of HMA's look-ups that it takes part in while it is enabled, above
            0 and at most 1. Nothing but HMA's look-ups knows it.
        kept: whether a program made it through HMA, and so may rename and delete it.
    """

    id: int
    name: str
    radius_bits: int
    description: str
    enabled: bool
    kind: BankKind = BankKind.POSITIVE
    enabled_ratio: float = 1.0
    kept: bool = False


@dataclass(frozen=True, slots=True)
class Registration:
    """One fingerprint to register in a bank.

    Attributes:
        pdqs: the codes of the matchable frames, each 32 bytes; may be empty.
        trimmed_pdqs: codes of the frames without their borders, kept and searched like `pdqs`.
        quality: of the first frame; None if unknown.
        source: its origin, e.g. `local`, a list's name or a case. Source, digests and `pdqs`
            identify an entry, so the same picture from two people makes two entries.
        metadata: what a program says of it, as JSON; kept beside the note, and erased with it.
        video: when each of `pdqs` is seen, which then come in that order and may repeat; None if a
            picture is registered. A video has no `trimmed_pdqs`: a frame without its borders is
            one more of `pdqs`, seen at the same time.
        keypoints: kept only if given, sealed with a key that is not in the store.
        anchored: of the first frame; kept if given, searched like `pdqs`, and carried wherever
            they are.
    """

    pdqs: tuple[bytes, ...] = field(repr=False)
    sha256: bytes | None = field(default=None, repr=False)
    md5: bytes | None = field(default=None, repr=False)
    quality: int | None = None
    source: str = "local"
    note: str = field(default="", repr=False)
    trust: Trust = Trust.UNVERIFIED
    expires: datetime | None = None
    trimmed_pdqs: tuple[bytes, ...] = field(default=(), repr=False)
    keypoints: KeypointSet | None = None
    anchored: AnchoredHashes | None = None
    sha1: bytes | None = field(default=None, repr=False)
    url_sha256: bytes | None = field(default=None, repr=False)
    url_md5: bytes | None = field(default=None, repr=False)
    metadata: str = field(default="", repr=False)
    video: Track | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """One registered fingerprint with its consent state.

    Attributes:
        pdqs, sha256, sha1, md5, url_sha256, url_md5: empty or None unless the entry is active: all
            other states erase them.
        revision: the store's revision at which the entry last changed.
        added, changed: UTC; `expires`: UTC, or None for no end.
        trimmed_pdqs: as in `Registration`; searched like `pdqs` and erased with them, but never
            in a hash list.
        has_keypoints: whether keypoints are kept; only `Keypoints.read` reads them.
        anchored_count: how many anchored hashes are kept.
        anchored: read only where entries leave the register; else `Store.anchored` reads them.
        video: as in `Registration`.
    """

    id: int
    bank: str
    pdqs: tuple[bytes, ...] = field(repr=False)
    sha256: bytes | None = field(repr=False)
    md5: bytes | None = field(repr=False)
    quality: int | None
    trust: Trust
    state: State
    source: str
    note: str = field(repr=False)
    added: datetime
    changed: datetime
    expires: datetime | None
    revision: int
    trimmed_pdqs: tuple[bytes, ...] = field(default=(), repr=False)
    has_keypoints: bool = False
    anchored_count: int = 0
    anchored: AnchoredHashes | None = None
    sha1: bytes | None = field(default=None, repr=False)
    url_sha256: bytes | None = field(default=None, repr=False)
    url_md5: bytes | None = field(default=None, repr=False)
    video: Track | None = None

    @property
    def signals(self) -> tuple[Signal, ...]:
        """The kinds of fingerprint that can match it, in the order of `Signal`."""
        held = {signal for signal, _ in digests_of(self)}
        if self.pdqs:
            held.add(Signal.PDQ)
        if self.anchored_count:
            held.add(Signal.ANCHORED)
        return tuple(signal for signal in Signal if signal in held)


Digest_co = TypeVar("Digest_co", bytes, str, covariant=True)


class HoldsDigests(Protocol[Digest_co]):
    """What has at most one digest of each kind: a registration, an entry, a line of a list."""

    @property
    def sha256(self) -> Digest_co | None:
        """Of a file; the other digests stand beside it, each in a field of its signal's name."""


def digests_of(one: HoldsDigests[Digest_co]) -> Iterator[tuple[Signal, Digest_co]]:
    """The digests that something holds, in the order of `DIGEST_SIGNALS`."""
    for signal in DIGEST_SIGNALS:
        value: Digest_co | None = getattr(one, signal)
        if value:
            yield signal, value


@dataclass(frozen=True, slots=True)
class KeypointEvidence:
    """The evidence from keypoints that a query shows an entry's picture, or a part of it.

    Attributes:
        inliers: pairs of keypoints, one from each picture, that agree on one transform.
        coverage: 0–1, the share of the visible part of the entry's picture that has inliers.
        agreement: 0–1, the share of brightness directions that agree in the aligned pictures.
        matrix: affine, from the registered picture's stored pixels to the query's:
            x' = m[0]·x + m[1]·y + m[2], y' = m[3]·x + m[4]·y + m[5].
        polygon: outline of the registered picture in the query, clipped to the query's edges, in
            stored pixels as x, y.
    """

    inliers: int
    coverage: float
    agreement: float
    matrix: tuple[float, float, float, float, float, float]
    polygon: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class AnchoredEvidence:
    """The evidence from anchored hashes that a query shows a part of an entry's picture.

    Attributes:
        met: how many of the entry's anchored hashes regions of the query come close to; as many
            different regions do.
        registered: how many anchored hashes the entry has.
    """

    met: int
    registered: int


@dataclass(frozen=True, slots=True)
class Match:
    """A match of a query with an entry.

    Attributes:
        distance: in bits, 0 for an exact digest, the smallest one for anchored hashes, None for
            keypoints, which have no distance.
        signal: the kind of fingerprint that matched; digests outrank PDQ, then come anchored
            hashes, then keypoints.
        transform: turns the registered picture into the query; for keypoints the nearest of the
            eight; None for anchored hashes, which do not tell.
        frame: the query's frame that matched, 0 for a still picture.
        revision: the store's revision that was searched.
        rectangle: the part of the frame that matched; None for the whole frame, and for anchored
            hashes and keypoints.
        evidence: for keypoints only.
        anchored: for anchored hashes only.
        kind: of the bank; see `egide.domain.veto` for a negative one.
        video: if the query or the entry is a video, when they show the same.
    """

    entry: int
    bank: str
    signal: Signal
    distance: int | None
    transform: Transform | None
    trust: Trust
    frame: int
    revision: int
    rectangle: Rectangle | None = None
    evidence: KeypointEvidence | None = None
    anchored: AnchoredEvidence | None = None
    kind: BankKind = BankKind.POSITIVE
    video: VideoEvidence | None = None

    @property
    def tier(self) -> int:
        """0: digests and PDQ, of the whole or of a rectangle; 1: anchored hashes and keypoints."""
        return 1 if self.signal in {Signal.ANCHORED, Signal.KEYPOINTS} else 0

    @property
    def by_part(self) -> bool:
        """Whether only a part is known to match: of a frame, or some frames of a video."""
        part_of_video = self.video is not None and not self.video.whole
        return part_of_video or self.rectangle is not None or self.signal is Signal.ANCHORED


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits on the work for one file, as settings; see docs/reference/settings.md."""

    max_file_bytes: int = 256 * 1024 * 1024
    max_pixels: int = 178_000_000
    max_scaled_pixels: int = 400_000_000
    """The same for a JPEG that fast mode decodes at an eighth of its size."""
    max_frames: int = 512
    """Frames of an animation that are looked at, chosen evenly over its length."""
    item_timeout_s: float = 60.0
    """Time to read and decode one item; then the worker is replaced, the item is unreadable."""
    worker_memory_bytes: int = 4 * 1024 * 1024 * 1024
    """Private memory of one audit worker; 0 for no limit."""
    max_expansion: int = 100
    """How many times its own size an archive or table may expand to while it is read."""
    expansion_floor_bytes: int = 1024 * 1024 * 1024
    """Any archive or table may expand to this size, however small it is."""
    max_nesting: int = 3
    """How many archives or tables may stand around another that is still opened."""
    max_video_bytes: int = 4 * 1024 * 1024 * 1024
    max_video_pixels: int = 36_000_000
    """Of one frame of a video: 8K, and no more."""
    max_video_s: float = 21600.0
    """The length of a video, from its beginning, that is looked at."""
    video_timeout_s: float = 900.0
    """Time to read and decode one video; what was decoded by then is compared."""


DEFAULT_LIMITS = Limits()


class OutcomeKind(StrEnum):
    """What registering did with one fingerprint."""

    ADDED = "added"
    RENEWED = "renewed"
    """It had expired (or was withdrawn and `again` was given) and is active again."""
    KNOWN = "known"
    REFUSED = "refused"
    """It is withdrawn, or tombstoned as a false positive, and remains so."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What registering did with one fingerprint.

    Attributes:
        entry: its number.
        anchored_count: how many anchored hashes the entry has now.
    """

    entry: int
    kind: OutcomeKind
    anchored_count: int = 0


@dataclass(frozen=True, slots=True)
class Registered:
    """The total effect of registering.

    Attributes:
        added, renewed, known, refused: the number of registrations of each `OutcomeKind`.
        revision: the store's revision afterwards; unchanged if nothing changed.
        outcomes: one for each registration in order, if requested.
        withdrawn: entries that their source has ended.
    """

    added: int
    renewed: int
    known: int
    refused: int
    revision: int
    outcomes: tuple[Outcome, ...] = ()
    withdrawn: int = 0


@dataclass(frozen=True, slots=True)
class Revision:
    """One change of the store.

    Attributes:
        action: `create-bank`, `register`, `withdraw` …
        bank: the name of the changed bank, None for several.
        entries: the number of changed entries.
    """

    id: int
    at: datetime
    action: str
    bank: str | None
    entries: int


@dataclass(frozen=True, slots=True)
class BankCounts:
    """The number of entries in a bank by state and trust; zero counts are left out."""

    by_state_and_trust: Mapping[tuple[State, Trust], int]

    @property
    def total(self) -> int:
        """All entries, whatever their state."""
        return sum(self.by_state_and_trust.values())

    def state(self, state: State) -> int:
        """Entries in one state, whatever their trust."""
        return sum(n for (found, _), n in self.by_state_and_trust.items() if found is state)

    def trust(self, trust: Trust) -> int:
        """Active entries of one trust."""
        return self.by_state_and_trust.get((State.ACTIVE, trust), 0)
