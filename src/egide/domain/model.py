"""The values that pass between layers: frozen, slotted, made of bytes and numbers.

Fingerprints are bytes here; hexadecimal digits exist only at the edges (hash lists, the command
line). Nothing in this module prints a fingerprint: `repr` of the classes that hold one is short.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime


PDQ_BYTES = 32
DEFAULT_RADIUS_BITS = 31
MAX_RADIUS_BITS = 63
MIN_MATCHABLE_QUALITY = 50
"""Under this PDQ quality the perceptual hash is not used; only exact digests match."""
MAX_REGIONS = 16
"""Parts of one picture, over all its frames, that are fingerprinted beside the whole."""
KEYPOINT_BYTES = 32
MIN_KEYPOINTS = 24
"""A picture with fewer keypoints has not enough detail to be told from others by them."""


class Mode(StrEnum):
    """How pixels are obtained for PDQ."""

    EXACT = "exact"
    """Full decode; the reference hash, bit for bit. For registration."""
    FAST = "fast"
    """JPEG decoded at a fraction of its size; within a few bits of exact. For scanning."""


class Transform(StrEnum):
    """The symmetries of a rectangle: what was done to the registered picture to get the query.

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
    MD5 = "md5"
    KEYPOINTS = "patches"
    """Keypoints; never in a hash list."""


SIGNAL_BYTES = {Signal.PDQ: 32, Signal.SHA256: 32, Signal.MD5: 16}


@dataclass(frozen=True, slots=True)
class Pdq:
    """The PDQ of one frame.

    Attributes:
        code: the 256-bit hash, 32 bytes, most significant bit first as in the reference's hex form.
        quality: 0–100, or None where it is not known (a hash from a list).
        variants: one code for each `Transform` in order, 8 × 32 bytes in all, or empty where only
            the code is known. `variants[:32] == code`. Variant t is the hash of the frame with
            transform t *undone*, so a hit on it says: the query is the entry with t applied.
    """

    code: bytes = field(repr=False)
    quality: int | None
    variants: bytes = field(default=b"", repr=False)

    @property
    def matchable(self) -> bool:
        """Whether the hash may be searched for: quality unknown, or at least 50."""
        return self.quality is None or self.quality >= MIN_MATCHABLE_QUALITY

    def queries(self) -> Iterator[tuple[Transform, bytes]]:
        """The codes to search for, each with the transform that a hit would mean."""
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
    """A part of a frame that looks like a picture of its own: without borders, or in a collage.

    Attributes:
        frame: position in `Fingerprint.frames` of the frame that it is a part of.
        trimmed: all of the frame but its borders; else one of several parts.
    """

    frame: int
    rectangle: Rectangle
    pdq: Pdq
    trimmed: bool


@dataclass(frozen=True, slots=True)
class KeypointSet:
    """The keypoints of one frame: small patches of detail, found again in edited copies.

    They say far more of the picture than PDQ does. Format and source: `egide.hashing.keypoint_set`.

    Attributes:
        width, height: of the frame, in stored pixels.
        keypoints: position, size and angle of each, as `egide.hashing.keypoint_set` packs them.
        descriptors: 256 bits of each, 32 bytes.
        signs: the directions of brightness on a coarse grid over the frame.
    """

    width: int
    height: int
    keypoints: bytes = field(repr=False)
    descriptors: bytes = field(repr=False)
    signs: bytes = field(repr=False)

    @property
    def count(self) -> int:
        """How many keypoints there are."""
        return len(self.descriptors) // KEYPOINT_BYTES

    @property
    def searchable(self) -> bool:
        """Whether there is enough detail to tell this picture from others."""
        return self.count >= MIN_KEYPOINTS


@dataclass(frozen=True, slots=True)
class KeypointQuery:
    """The keypoints of a picture that is searched for, which need not be kept.

    Attributes:
        straight: of the frame as it is stored; registering keeps the first of them.
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
class Fingerprint:
    """What is computed from one image file, or read of it from a hash list.

    Attributes:
        frames: the PDQ of each distinct frame, the first being the still picture; empty where only
            digests are known.
        sha256, md5: of the file's bytes; None where unknown (a hash list, a PIL image).
        width, height: stored pixels of the first frame, before any EXIF rotation; 0 where unknown.
        frames_skipped: frames of an animation beyond the limit, which were not looked at.
        regions: parts of the frames that look like pictures of their own, at most `MAX_REGIONS`.
        keypoints: of the first frame; None where they were not asked for.
    """

    frames: tuple[Pdq, ...]
    sha256: bytes | None = field(default=None, repr=False)
    md5: bytes | None = field(default=None, repr=False)
    width: int = 0
    height: int = 0
    frames_skipped: int = 0
    regions: tuple[Region, ...] = ()
    keypoints: KeypointQuery | None = None

    @property
    def pdq(self) -> Pdq | None:
        """The PDQ of the first frame."""
        return self.frames[0] if self.frames else None

    @property
    def matchable(self) -> bool:
        """Whether the PDQ of any frame or region may be searched for; else only digests match."""
        return any(frame.matchable for frame in self.frames) or bool(self.regions)


class Trust(StrEnum):
    """What reviewers have said of an entry. Only `confirmed` may block by itself."""

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


class FeedbackKind(StrEnum):
    """What a partner says became of a match with an entry."""

    MATCHED = "matched"
    REMOVED = "removed"
    DECLINED = "declined"
    """It was seen and is left where it is."""
    FALSE_POSITIVE = "false-positive"


@dataclass(frozen=True, slots=True)
class Bank:
    """A named collection of entries, with its own match radius."""

    id: int
    name: str
    radius_bits: int
    description: str
    enabled: bool


@dataclass(frozen=True, slots=True)
class Registration:
    """What a caller asks a bank to hold: the input of registering.

    Attributes:
        pdqs: the codes of the matchable frames, each 32 bytes; may be empty.
        trimmed_pdqs: codes of the frames without their borders, kept and searched for like `pdqs`.
        quality: of the first frame; None where unknown.
        source: who or what it came from, e.g. `local`, a list's name, later a case; with the
            digests and `pdqs` it identifies an entry, so that two people's same picture stay apart.
        keypoints: kept only if given, sealed with a key that is not in the store.
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


@dataclass(frozen=True, slots=True)
class Entry:
    """One registered fingerprint with its consent state.

    Attributes:
        pdqs, sha256, md5: empty or None once the entry is withdrawn or expired: they are erased.
        revision: the store's revision at which the entry last changed.
        added, changed: UTC; `expires`: UTC, or None for no end.
        trimmed_pdqs: as in `Registration`; searched for like `pdqs`, never in a hash list, and
            erased with them.
        has_keypoints: whether keypoints are kept; they are read by `Keypoints.read` alone.
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


@dataclass(frozen=True, slots=True)
class KeypointEvidence:
    """Why keypoints say that a query shows an entry's picture, or a part of it.

    Attributes:
        inliers: pairs of keypoints, one of each picture, that agree on one transform.
        coverage: 0–1, how much of what is visible of the entry's picture holds such pairs.
        agreement: 0–1, how alike the directions of brightness are, laid over one another.
        matrix: affine, from the registered picture's stored pixels to the query's:
            x' = m[0]·x + m[1]·y + m[2], y' = m[3]·x + m[4]·y + m[5].
        polygon: outline of the registered picture in the query, cut off at its edges, in stored
            pixels as x, y.
    """

    inliers: int
    coverage: float
    agreement: float
    matrix: tuple[float, float, float, float, float, float]
    polygon: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Match:
    """A query met an entry.

    Attributes:
        distance: in bits, 0 for an exact digest, None for keypoints, which have no distance.
        signal: which kind of fingerprint matched; an exact digest outranks PDQ, PDQ keypoints.
        transform: what was done to the registered picture to get the query; for keypoints the
            nearest of the eight.
        frame: the query's frame that matched, 0 for a still picture.
        revision: the store's revision that was searched.
        rectangle: the part of the frame that matched; None for all of it, and for keypoints.
        evidence: for keypoints only.
    """

    entry: int
    bank: str
    signal: Signal
    distance: int | None
    transform: Transform
    trust: Trust
    frame: int
    revision: int
    rectangle: Rectangle | None = None
    evidence: KeypointEvidence | None = None

    @property
    def tier(self) -> int:
        """0: digests and PDQ, of the whole or of a rectangle; 1: keypoints."""
        return 1 if self.signal is Signal.KEYPOINTS else 0


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one file may ask of this machine: settings, see docs/reference/settings.md."""

    max_file_bytes: int = 256 * 1024 * 1024
    max_pixels: int = 178_000_000
    max_frames: int = 32
    """Distinct frames of an animation that are fingerprinted."""
    max_decoded_frames: int = 512
    """Frames of an animation that are decoded in search of distinct ones."""
    item_timeout_s: float = 60.0
    """Reading and decoding one item; past it the worker is replaced and the item is unreadable."""
    worker_memory_bytes: int = 4 * 1024 * 1024 * 1024
    """Private memory of one audit worker; 0 for no limit."""
    max_expansion: int = 100
    """How many times its own size an archive or table may expand to while it is read,"""
    expansion_floor_bytes: int = 1024 * 1024 * 1024
    """and that it may expand to, however small it is."""


DEFAULT_LIMITS = Limits()


class OutcomeKind(StrEnum):
    """What registering did with one fingerprint."""

    ADDED = "added"
    RENEWED = "renewed"
    """It had expired (or was withdrawn and `again` was given) and is active again."""
    KNOWN = "known"
    REFUSED = "refused"
    """It was withdrawn, or tombstoned as a false positive, and stays so."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What registering did with one fingerprint, and under which number it stands."""

    entry: int
    kind: OutcomeKind


@dataclass(frozen=True, slots=True)
class Registered:
    """What registering did in all.

    Attributes:
        added, renewed, known, refused: how many registrations, one for each `OutcomeKind`.
        revision: the store's revision afterwards; the one before where nothing changed.
        outcomes: one for each registration in order, where they were asked for.
    """

    added: int
    renewed: int
    known: int
    refused: int
    revision: int
    outcomes: tuple[Outcome, ...] = ()


@dataclass(frozen=True, slots=True)
class Revision:
    """One change of the store.

    Attributes:
        action: a word for what was done: `create-bank`, `register`, `withdraw` …
        bank: the name of the bank it was done to, None for several.
        entries: how many entries it changed.
    """

    id: int
    at: datetime
    action: str
    bank: str | None
    entries: int


@dataclass(frozen=True, slots=True)
class BankCounts:
    """How many entries a bank holds, by state and trust; pairs that do not occur are left out."""

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
