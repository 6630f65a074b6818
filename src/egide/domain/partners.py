"""Partners: registers that are followed, services that are told, and what was said and sent."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from egide.domain.model import (
    FeedbackKind,
    State,
    Trust,
)
from egide.domain.names import source_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from egide.domain.model import Entry


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """How far somebody has read: all before revision `since`, and of it entries up to `after`."""

    since: int
    after: int


@dataclass(frozen=True, slots=True)
class FeedPage:
    """Some changes, all seen at one moment.

    Attributes:
        entries: as they are now, ordered by (revision, number).
        revision: the store's at that moment.
        next: from where to go on; past all that was looked at, also what was not asked for.
        more: whether there were further ones at that moment.
    """

    entries: tuple[Entry, ...]
    revision: int
    next: Position
    more: bool


DEFAULT_TRUST_MAP = {
    Trust.UNVERIFIED: Trust.UNVERIFIED,
    Trust.CONFIRMED: Trust.UNVERIFIED,
    Trust.DISPUTED: Trust.DISPUTED,
}
"""What a partner's word counts for here, unless somebody decides otherwise."""


@dataclass(frozen=True, slots=True)
class Upstream:
    """A partner's register that this one follows.

    Attributes:
        key_file: holds the key for it; the key itself is not in the store.
        remote_bank: the bank there; `bank` is the one here.
        trust_map: which trust an entry gets here, by its trust there.
        enabled: False while it is paused.
        remote_store_id: of the register behind the URL; None until it was followed once.
        position: how far its changes are known here.
        ended: the same for the entries that ended, which are asked for first.
        feedback_sent: the number of the last feedback that it has.
        last_try, last_success: UTC, or None.
        last_error: the code of what went wrong last, None if nothing did.
        failures: how often in a row it could not be followed.
        leased_until: Unix seconds; until then one process follows it and no other.
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
        """What its entries have for a source here, and what the log calls it."""
        return source_of(self.name)


@dataclass(frozen=True, slots=True)
class RemoteEntry:
    """An entry of another register, as it is there now.

    Attributes:
        id: its number there.
        revision: there, at which it last changed.
        pdqs, sha256, md5: at least one for an active entry; empty or None for one that was
            withdrawn or has expired, whatever was sent.
        added, changed, expires: UTC.
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


@dataclass(frozen=True, slots=True)
class RemoteChanges:
    """A page of changes.

    Attributes:
        entries: ordered by (revision, id), all after the position that was asked from.
        next_since, next_after: the position to ask from next; never before the last one.
        revision: of the store there, now.
        more: whether there is more after this page already.
    """

    entries: tuple[RemoteEntry, ...]
    next_since: int
    next_after: int
    revision: int
    store_id: str
    more: bool


@dataclass(frozen=True, slots=True)
class RemoteFeedback:
    """What became of a match on an entry of another register.

    Attributes:
        entry: its number there.
        bank: its bank there.
        kind: `matched`, `removed`, `declined` or `false-positive`.
        at: when, with its time zone.
    """

    entry: int
    bank: str
    kind: str
    at: datetime


class WebhookEvent(StrEnum):
    """What a webhook can be told of."""

    DECISION_BLOCK = "decision.block"
    """Something was asked about and matched a confirmed entry."""
    DECISION_REVIEW = "decision.review"
    """Something was asked about and matched in a way that a person has to look at."""
    ENTRY_CHANGED = "entry.changed"
    """Entries were registered, withdrawn, judged, or expired."""


@dataclass(frozen=True, slots=True)
class Webhook:
    """Somebody who is told of events.

    Attributes:
        events: those that are sent.
        enabled: False once the receiver has said that it is gone.
        last_try, last_success: UTC, or None.
        last_status: what the receiver answered last, None where it did not.
        last_error: a code of ours, None where there was an answer.
        failures: how often in a row a message was not taken.
        waiting: messages that are still to be delivered.
        dead: messages that were given up.
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
    """A message that was claimed, to be posted now.

    Attributes:
        id: of the message here; `message_id` is what the receiver tells repeats by.
        attempt: from 1.
        secret: signs it.
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
        last_status: the receiver's last answer, None where there was none.
        last_error: a code of ours, None where there was an answer.
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
    """What a partner said of an entry once.

    Attributes:
        at: when it came to be so, UTC.
    """

    id: int
    entry: int
    partner: str
    kind: FeedbackKind
    at: datetime


@dataclass(frozen=True, slots=True)
class UpstreamFeedback:
    """What was said here of an entry that came from another register.

    Attributes:
        id: of the feedback, here.
        remote_entry: the entry's number there.
        at: UTC.
    """

    id: int
    remote_entry: int
    kind: FeedbackKind
    at: datetime


class Sent(NamedTuple):
    """That a partner was given an image; the time is UTC."""

    image_id: int
    partner: str
    at: datetime


class Said(NamedTuple):
    """What a partner said of an image last, of each kind; the time is UTC."""

    image_id: int
    partner: str
    kind: FeedbackKind
    at: datetime


@dataclass(frozen=True, slots=True)
class Applied:
    """What pages did to the entries here.

    Attributes:
        added, renewed: new here, and active again after they had ended there.
        withdrawn: ended here because they ended there; their fingerprints are erased.
        tombstoned: false positives there, and so here.
        judged: got another trust.
        rescheduled: got another end.
        kept: somebody here has withdrawn or tombstoned them, and so it stays.
        skipped: ended there before they were known here, or hold what is no picture's fingerprint.
    """

    added: int = 0
    renewed: int = 0
    withdrawn: int = 0
    tombstoned: int = 0
    judged: int = 0
    rescheduled: int = 0
    kept: int = 0
    skipped: int = 0

    def __add__(self, other: Applied) -> Applied:
        return Applied(**(Counter(asdict(self)) + Counter(asdict(other))))

    def counts(self) -> dict[str, int]:
        """Those that are not zero, by name."""
        return {name: count for name, count in asdict(self).items() if count}
