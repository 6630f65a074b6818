"""Bodies of the routes about banks, entries, changes and feedback."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Self

from pydantic import ConfigDict, Field, model_validator

from egide.domain.model import (
    DEFAULT_RADIUS_BITS,
    DIGEST_SIGNALS,
    MAX_ANCHORED,
    MAX_RADIUS_BITS,
    BankKind,
    FeedbackKind,
    State,
    Trust,
    digests_of,
)
from egide.domain.video import MAX_VIDEO_FRAMES, SAMPLE_MS
from egide.server.api.schemas.common import (
    TEXT_PATTERN,
    Answer,
    GivenTime,
    Md5Hex,
    Name,
    Note,
    Number,
    PdqHex,
    Request,
    Sha1Hex,
    Sha256Hex,
    ShownTime,
    Whole,
    shown_time,
)
from egide.server.http.kinds import MAX_ENTRIES, MAX_PAGE
from egide.store import OutcomeKind

if TYPE_CHECKING:
    from egide.domain.model import Bank, BankCounts, Entry

MAX_CODES = 64
"""PDQ codes of one entry: the frames of an animation."""
MAX_GIVEN_CODES = 1024
"""Most PDQ codes that a register of before videos takes of one entry."""
SOURCE_PATTERN = r"^[A-Za-z0-9._-]{1,100}$"

Description = Annotated[str, Field(max_length=1000, pattern=TEXT_PATTERN)]
Milliseconds = Annotated[
    int, Field(ge=0, le=2**32 - 1, multiple_of=SAMPLE_MS, description="On the half second."), Whole
]
Radius = Annotated[int, Field(ge=0, le=MAX_RADIUS_BITS, description="Bits of 256."), Whole]


class NewBank(Request):
    """A bank to make."""

    name: Name
    radius_bits: Radius = DEFAULT_RADIUS_BITS
    description: Description = ""
    kind: Annotated[BankKind, Field(strict=False)] = Field(
        default=BankKind.POSITIVE,
        description="A match in a negative bank vetoes matches in others.",
    )


class BankChange(Request):
    """Changes to a bank; omitted properties stay."""

    radius_bits: Radius | None = Field(
        default=None, description="Another radius needs a second person."
    )
    description: Description | None = None
    enabled: bool | None = Field(default=None, description="Whether searches use it.")


class BankShown(Answer):
    """A bank and how many entries it holds."""

    name: str
    radius_bits: int
    description: str
    enabled: bool
    kind: BankKind
    states: dict[State, int] = Field(description="Entries by state.")
    trust: dict[Trust, int] = Field(description="Active entries by trust.")

    @classmethod
    def of(cls, bank: Bank, counts: BankCounts) -> Self:
        """Show a bank."""
        return cls(
            name=bank.name,
            radius_bits=bank.radius_bits,
            description=bank.description,
            enabled=bank.enabled,
            kind=bank.kind,
            states={state: counts.state(state) for state in State},
            trust={trust: counts.trust(trust) for trust in Trust},
        )


class BanksShown(Answer):
    """The banks that the key reaches."""

    banks: list[BankShown]


Source = Annotated[
    str,
    Field(
        pattern=SOURCE_PATTERN,
        examples=["case-17"],
        description="The sender's own name for where it comes from, such as a case number; it "
        "follows the key's name. The same picture from another source is another entry.",
    ),
]


class NewVideo(Request):
    """When the frames of a video are seen, in milliseconds from its first one."""

    duration_ms: Milliseconds
    starts_ms: list[Milliseconds] = Field(
        min_length=1,
        max_length=MAX_VIDEO_FRAMES,
        fail_fast=True,
        description="One for each of `pdq`, in order.",
    )
    ends_ms: list[Milliseconds] = Field(
        min_length=1, max_length=MAX_VIDEO_FRAMES, fail_fast=True, description="Likewise."
    )


class NewEntry(Request):
    """A fingerprint to register: at least one PDQ or digest."""

    model_config = ConfigDict(
        json_schema_extra={
            "anyOf": [
                {"required": ["pdq"], "properties": {"pdq": {"minItems": 1}}},
                {"required": ["sha256"], "properties": {"sha256": {"type": "string"}}},
                {"required": ["sha1"], "properties": {"sha1": {"type": "string"}}},
                {"required": ["md5"], "properties": {"md5": {"type": "string"}}},
                {"required": ["url_sha256"], "properties": {"url_sha256": {"type": "string"}}},
                {"required": ["url_md5"], "properties": {"url_md5": {"type": "string"}}},
            ]
        }
    )

    pdq: list[PdqHex] = Field(
        default=[],
        max_length=MAX_VIDEO_FRAMES,
        fail_fast=True,
        description=f"One for each distinct frame, {MAX_CODES} at most; of a video one for each "
        "frame in order.",
    )
    video: NewVideo | None = Field(default=None, description="If it is of a video.")
    anchored: list[PdqHex] = Field(
        default=[],
        max_length=MAX_ANCHORED,
        fail_fast=True,
        description="Anchored hashes of the first frame, in any order: they find crops of it, and "
        "it in collages.",
    )
    sha256: Sha256Hex | None = None
    sha1: Sha1Hex | None = None
    md5: Md5Hex | None = None
    url_sha256: Sha256Hex | None = Field(
        default=None, description="Of the picture's address, in its canonical form."
    )
    url_md5: Md5Hex | None = Field(
        default=None, description="Of the picture's address, as a list has it."
    )
    quality: Annotated[int, Field(ge=0, le=100), Whole] | None = Field(
        default=None, description="PDQ quality of the first frame."
    )
    note: Note = Field(default="", description="Erased with the fingerprint on withdrawal.")
    source: Source | None = None
    expires: GivenTime | None = Field(default=None, description="When it expires.")

    @model_validator(mode="after")
    def _holds_something(self) -> Self:
        if not (self.pdq or any(digests_of(self))):
            raise ValueError("a PDQ or a digest is needed")
        if self.video is None and len(self.pdq) > MAX_CODES:
            raise ValueError(f"more than {MAX_CODES} PDQs, and no video")
        return self


class NewEntries(Request):
    """Fingerprints to register in one transaction: all or none."""

    entries: list[NewEntry] = Field(min_length=1, max_length=MAX_ENTRIES, fail_fast=True)
    again: bool = Field(
        default=False, description="Also register withdrawn ones again: the person agreed anew."
    )


class OutcomeShown(Answer):
    """What became of one fingerprint."""

    entry: int
    outcome: OutcomeKind
    anchored_count: int = Field(description="How many anchored hashes the entry has now.")


class Registered(Answer):
    """What became of the fingerprints, in order, and the register's revision afterwards."""

    outcomes: list[OutcomeShown]
    revision: int


class EntryShown(Answer):
    """An entry without its fingerprint."""

    entry: int
    bank: str
    state: State
    trust: Trust
    source: str
    note: str
    signals: list[str] = Field(description="The kinds of hash that can match it.")
    pdq_count: int
    video_ms: int | None = Field(description="How long the video is; null of a picture.")
    anchored_count: int
    has_patches: bool
    quality: int | None
    added: ShownTime
    changed: ShownTime
    expires: ShownTime | None
    revision: int = Field(description="Of its last change.")

    @classmethod
    def of(cls, entry: Entry) -> Self:
        """Show an entry."""
        return cls(
            entry=entry.id,
            bank=entry.bank,
            state=entry.state,
            trust=entry.trust,
            source=entry.source,
            note=entry.note,
            signals=[signal.value for signal in entry.signals],
            pdq_count=len(entry.pdqs),
            video_ms=None if entry.video is None else entry.video.duration_ms,
            anchored_count=entry.anchored_count,
            has_patches=entry.has_keypoints,
            quality=entry.quality,
            added=entry.added,
            changed=entry.changed,
            expires=entry.expires,
            revision=entry.revision,
        )

    def without_note(self) -> EntryShown:
        """The answer as it may be stored: the note must be erased with the fingerprint."""
        return self.model_copy(update={"note": ""})


class EntriesShown(Answer):
    """A page of entries by number."""

    entries: list[EntryShown]
    next: int | None = Field(description="The cursor of the next page; null on the last one.")


class FeedbackShown(Answer):
    """What a partner or platform reported on an entry."""

    partner: str
    kind: FeedbackKind
    at: ShownTime


class FeedbacksShown(Answer):
    """All feedback on an entry, in order of arrival."""

    feedback: list[FeedbackShown]


class NewFeedback(Request):
    """What became of a match with one entry."""

    entry: Number
    bank: Name
    kind: Annotated[FeedbackKind, Field(strict=False)]
    at: GivenTime


class NewFeedbacks(Request):
    """Feedback on several matches: all of it is taken or none."""

    feedback: list[NewFeedback] = Field(min_length=1, max_length=MAX_PAGE, fail_fast=True)


class FeedbackTaken(Answer):
    """How much feedback was taken."""

    taken: int


class ChangedVideo(Answer):
    """The frames of a registered video."""

    version: int = Field(description="Of the way in which frames are chosen.")
    duration_ms: int
    pdq: list[str] | None = Field(
        description=f"All codes, in order; null if they are those of the fingerprint's `pdq`, "
        f"which has at most {MAX_GIVEN_CODES:,}."
    )
    starts_ms: list[int] = Field(description="From when each is seen, in the video.")
    ends_ms: list[int] = Field(description="Until when.")


class ChangedFingerprint(Answer):
    """A fingerprint as partners get it, without trimmed codes and keypoints."""

    pdq: list[str]
    anchored: list[str] = Field(description="Anchored hashes, sorted; empty if there are none.")
    video: ChangedVideo | None = Field(description="When the codes are seen, if it is a video.")
    sha256: str | None
    sha1: str | None
    md5: str | None
    url_sha256: str | None = Field(description="Of the picture's address, canonical.")
    url_md5: str | None = Field(description="Of the picture's address, as a list has it.")


class ChangedEntry(Answer):
    """The present state of an entry; an ended one has no fingerprint."""

    id: int
    bank: str
    bank_kind: BankKind = Field(
        description="A follower may take an entry over only into a bank of this kind."
    )
    revision: int
    state: State
    trust: Trust
    fingerprint: ChangedFingerprint | None
    quality: int | None
    added: ShownTime
    changed: ShownTime
    expires: ShownTime | None


_DIGESTS = tuple(signal.value for signal in DIGEST_SIGNALS)


def changed_entry(entry: Entry, *, negative: bool) -> dict[str, object]:
    """Return the fields of `ChangedEntry`; with the models, a page took five times as long."""
    fingerprint = None
    if entry.state is State.ACTIVE:
        codes = [code.hex() for code in entry.pdqs]
        fingerprint = {
            "pdq": _evenly(codes, MAX_GIVEN_CODES),
            "anchored": [code.hex() for code in entry.anchored or ()],
            "video": _changed_video(entry, codes),
            **dict.fromkeys(_DIGESTS),
            **{signal.value: digest.hex() for signal, digest in digests_of(entry)},
        }
    return {
        "id": entry.id,
        "bank": entry.bank,
        "bank_kind": (BankKind.NEGATIVE if negative else BankKind.POSITIVE).value,
        "revision": entry.revision,
        "state": entry.state.value,
        "trust": entry.trust.value,
        "fingerprint": fingerprint,
        "quality": entry.quality,
        "added": shown_time(entry.added),
        "changed": shown_time(entry.changed),
        "expires": None if entry.expires is None else shown_time(entry.expires),
    }


def _changed_video(entry: Entry, codes: list[str]) -> dict[str, object] | None:
    track = entry.video
    if track is None:
        return None
    return {
        "version": track.version,
        "duration_ms": track.duration_ms,
        "pdq": codes if len(codes) > MAX_GIVEN_CODES else None,
        "starts_ms": track.starts,
        "ends_ms": track.ends,
    }


def _evenly(codes: list[str], most: int) -> list[str]:
    """At most so many of some codes; a follower knows an entry again by them."""
    if len(codes) <= most:
        return codes
    return [codes[at * len(codes) // most] for at in range(most)]


class NextPosition(Answer):
    """The position of the next page."""

    since: int
    after: int


class Changes(Answer):
    """A page of changes."""

    store_id: str = Field(description="If it changes, this is another register: begin anew.")
    revision: int = Field(description="Of the register, at the moment of the page.")
    entries: list[ChangedEntry]
    next: NextPosition
    more: bool
