"""Partners: upstream registers, webhooks, feedback, and records of what was sent."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from egide.domain.model import BankKind, FeedbackKind, State, Trust
from egide.domain.names import source_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from egide.domain.model import AnchoredHashes, Entry
    from egide.domain.video import Track

RETRY_DELAYS_S = (5, 60, 300, 1800, 7200, 28_800, 86_400)
"""The delay after each attempt except the last: eight attempts in about a day and a half."""


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """A reader's position: all before revision `since`, and of that entries up to `after`."""

    since: int
    after: int


@dataclass(frozen=True, slots=True)
class FeedPage:
    """A page of changes, all read at one moment.

    Attributes:
        entries: in their present state, ordered by (revision, number).
        revision: the store's at that moment.
        next: where to continue; past everything that was read, including what was filtered out.
        more: whether further changes existed at that moment.
        negative: names of banks whose entries are harmless.
    """

    entries: tuple[Entry, ...]
    revision: int
    next: Position
    more: bool
    negative: frozenset[str] = frozenset()


DEFAULT_TRUST_MAP = {
    Trust.UNVERIFIED: Trust.UNVERIFIED,
    Trust.CONFIRMED: Trust.UNVERIFIED,
    Trust.DISPUTED: Trust.DISPUTED,
}
"""The trust that partners' entries get here, unless configured otherwise."""


@dataclass(frozen=True, slots=True)
class Upstream:
    """A partner's register that this one follows.

    Attributes:
        key_file: the file with the API key; the key itself is not in the store.
        remote_bank: the partner's bank; `bank` is the local one.
        trust_map: the local trust for each remote trust.
        enabled: False while paused.
        remote_store_id: id of the partner's store; None before the first contact.
        position: how far its changes have been applied here.
        ended: the same for ended entries, which are fetched first.
        feedback_sent: the number of the last feedback that was sent to it.
        last_try, last_success: UTC, or None.
        last_error: the code of the last error, None if there was none.
        failures: consecutive failures.
        leased_until: Unix seconds; until then only one process follows it.
    """

    id: int
    name: str
    url: str = field(repr=False)
    key_file: str = field(repr=False)
    remote_bank: str
    bank: str
    trust_map: Mapping[Trust, Trust]
    enabled: bool
    remote_store_id: str | None
    position: Position
    ended: Position
    feedback_sent: int
    last_try: datetime | None
    last_success: datetime | None
    last_error: str | None
    failures: int
    leased_until: int

    @property
    def source(self) -> str:
        """The source of its entries here, and its name in the log."""
        return source_of(self.name)


@dataclass(frozen=True, slots=True)
class RemoteVideo:
    """The frames of a video in another register.

    Attributes:
        pdqs: all codes, in order.
        track: when each is seen.
    """

    pdqs: tuple[bytes, ...] = field(repr=False)
    track: Track


@dataclass(frozen=True, slots=True)
class RemoteEntry:
    """The present state of an entry in another register.

    Attributes:
        id: its number there.
        revision: the remote revision at which it last changed.
        pdqs, sha256, sha1, md5, url_sha256, url_md5: at least one for an active entry; empty or
            None for an ended one, whatever the partner sent.
        added, changed, expires: UTC.
            Of a video these are at most 1,024 codes, as a register of before videos takes them.
        video: its frames, if it is one and they were not refused.
        anchored: None if it has none, or they were refused.
        anchored_refused: whether it came with codes that no region has.
        kind: of its bank there.
    """

    id: int
    bank: str
    revision: int
    state: State
    trust: Trust
    pdqs: tuple[bytes, ...] = field(repr=False)
    sha256: bytes | None = field(repr=False)
    md5: bytes | None = field(repr=False)
    quality: int | None
    added: datetime
    changed: datetime
    expires: datetime | None
    anchored: AnchoredHashes | None = None
    anchored_refused: bool = False
    sha1: bytes | None = field(default=None, repr=False)
    url_sha256: bytes | None = field(default=None, repr=False)
    url_md5: bytes | None = field(default=None, repr=False)
    kind: BankKind = BankKind.POSITIVE
    video: RemoteVideo | None = None


@dataclass(frozen=True, slots=True)
class RemoteChanges:
    """A page of changes.

    Attributes:
        entries: ordered by (revision, id), all after the requested position.
        next_since, next_after: the next position to request; never before the last one.
        revision: of the remote store, now.
        more: whether another page is available now.
    """

    entries: tuple[RemoteEntry, ...]
    next_since: int
    next_after: int
    revision: int
    store_id: str
    more: bool


@dataclass(frozen=True, slots=True)
class RemoteFeedback:
    """Feedback on a match with an entry of another register.

    Attributes:
        entry: the entry's number there.
        bank: the entry's bank there.
        kind: `matched`, `removed`, `declined` or `false-positive`.
        at: time with its time zone.
    """

    entry: int
    bank: str
    kind: str
    at: datetime


class WebhookEvent(StrEnum):
    """The events that a webhook can subscribe to."""

    DECISION_BLOCK = "decision.block"
    """A query matched a confirmed entry."""
    DECISION_REVIEW = "decision.review"
    """A query has a match that a person must review."""
    ENTRY_CHANGED = "entry.changed"
    """Entries were registered, withdrawn or judged, or they expired."""


@dataclass(frozen=True, slots=True)
class Webhook:
    """A receiver of events.

    Attributes:
        events: the events that are sent to it.
        enabled: False once the receiver has answered that it is gone.
        last_try, last_success: UTC, or None.
        last_status: the receiver's last HTTP status, None without an answer.
        last_error: a code of ours, None if there was an answer.
        failures: consecutive messages that the receiver did not accept.
        waiting: the number of messages still to be delivered.
        dead: the number of messages given up.
    """

    id: int
    name: str
    url: str = field(repr=False)
    events: tuple[WebhookEvent, ...]
    enabled: bool
    created: datetime
    last_try: datetime | None
    last_success: datetime | None
    last_status: int | None
    last_error: str | None
    failures: int
    waiting: int
    dead: int


@dataclass(frozen=True, slots=True)
class Delivery:
    """A claimed message, to be posted now.

    Attributes:
        id: the message's number here; the receiver recognises repeats by `message_id`.
        attempt: from 1.
        secret: signs the message.
    """

    id: int
    webhook: str
    url: str = field(repr=False)
    secret: str = field(repr=False)
    message_id: str
    event: str
    body: str = field(repr=False)
    attempt: int


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that was given up.

    Attributes:
        last_status: the receiver's last HTTP status, None without an answer.
        last_error: a code of ours, None if there was an answer.
    """

    id: int
    webhook: str
    message_id: str
    event: str
    created: datetime
    attempts: int
    last_status: int | None
    last_error: str | None


@dataclass(frozen=True, slots=True)
class Feedback:
    """One report by a partner about an entry.

    Attributes:
        at: the time of the reported event, UTC.
    """

    id: int
    entry: int
    partner: str
    kind: FeedbackKind
    at: datetime


@dataclass(frozen=True, slots=True)
class UpstreamFeedback:
    """Local feedback on an entry that came from another register.

    Attributes:
        id: the feedback's number here.
        remote_entry: the entry's number there.
        at: UTC.
    """

    id: int
    remote_entry: int
    kind: FeedbackKind
    at: datetime


class Sent(NamedTuple):
    """A partner was given an image; the time is UTC."""

    image_id: int
    partner: str
    at: datetime


class Said(NamedTuple):
    """A partner's last feedback of one kind on an image; the time is UTC."""

    image_id: int
    partner: str
    kind: FeedbackKind
    at: datetime


@dataclass(frozen=True, slots=True)
class Applied:
    """How pages of a partner's changes affected the local entries: a count for each effect.

    Attributes:
        added, renewed: new entries, and entries that are active again after they ended remotely.
        withdrawn: ended here because they ended remotely; their fingerprints are erased.
        tombstoned: false positives there, and therefore here.
        judged: changed in trust.
        rescheduled: changed in expiry.
        kept: left as they are, since somebody here withdrew or tombstoned them.
        skipped: ended remotely before they were known here, or have a meaningless hash.
        completed: known entries that got anchored hashes.
        anchored_refused: taken without their anchored hashes, which no picture has.
    """

    added: int = 0
    renewed: int = 0
    withdrawn: int = 0
    tombstoned: int = 0
    judged: int = 0
    rescheduled: int = 0
    kept: int = 0
    skipped: int = 0
    completed: int = 0
    anchored_refused: int = 0

    def __add__(self, other: Applied) -> Applied:
        return Applied(**(Counter(asdict(self)) + Counter(asdict(other))))

    def counts(self) -> dict[str, int]:
        """The counts that are not zero, by name."""
        return {name: count for name, count in asdict(self).items() if count}
