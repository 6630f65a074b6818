"""Match an audit's fingerprints at another register, which keeps its bank.

What is sent are bodies of one size, filled with decoys, in random order: codes and digests, without
names, places or sizes. See docs/decisions/0029-remote-matching.md.
"""

from __future__ import annotations

import math
import random
import secrets
import time
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, TypeVar

from egide.domain.model import DIGEST_SIGNALS, SIGNAL_BYTES, Signal
from egide.errors import (
    FetchError,
    FetchRefused,
    FetchTooLarge,
    MatcherBusy,
    MatcherChanged,
    MatcherError,
    MatcherInvalid,
    MatcherUnreachable,
)
from egide.hashing.decoys import decoy_anchored, decoy_pdqs
from egide.matching.apart import joined, pieces
from egide.partners.matcher import MatcherAsksToWaitError
from egide.partners.packed import Shape, pack, pack_anchored, pack_record
from egide.settings import MatcherPatience

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from egide.domain.model import AnchoredQuery, Fingerprint, Match, Pdq
    from egide.matching.apart import Piece
    from egide.partners.matcher import MatcherAnswer, MatcherClient, MatcherScope

BATCH_RECORDS = 1024
"""Records of a body, whatever the dataset: 380 KB with all variants."""
BATCH_ANCHORED = 32
"""Records of anchored hashes of a body: 540 KB."""
_MAX_WAITING = 8 * BATCH_RECORDS
_FIRST_WAIT_S = 1.0
_LONGEST_BACKOFF_S = 60.0
_BURST_S = 1.0
# A register lets a key ask for a second's worth before it has to wait.
_chance = random.SystemRandom()
Tag = TypeVar("Tag")


@dataclass(slots=True)
class _Group(Generic[Tag]):
    """Fingerprints that are answered together.

    Attributes:
        found: what was found so far, for each fingerprint.
        left: records without an answer.
    """

    tag: Tag
    fingerprints: Sequence[Fingerprint]
    found: list[list[tuple[Piece, list[Match]]]]
    left: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class _Record(Generic[Tag]):
    piece: Piece
    group: _Group[Tag]
    position: int


def wait(wait_s: float, _reason: str) -> None:
    """Wait, and tell nobody."""
    time.sleep(wait_s)


@dataclass(slots=True)
class RemoteMatcher:
    """Matches at one register.

    Attributes:
        client: of the register.
        patience: with it.
        on_wait: waits so many seconds, for a reason; it may tell somebody.
        scope: what the register searches, as it said at the beginning.
        revisions: the first and the last that was searched; None before the first answer.
    """

    client: MatcherClient
    patience: MatcherPatience = field(default_factory=MatcherPatience)
    on_wait: Callable[[float, str], None] = wait
    scope: MatcherScope = field(init=False)
    revisions: tuple[int, int] | None = None
    _served_at_s: float = 0.0
    _decoy_pdqs: Iterator[Pdq] = field(default_factory=decoy_pdqs)
    _decoy_anchored: Iterator[AnchoredQuery] = field(default_factory=decoy_anchored)

    def __post_init__(self) -> None:
        self.scope = self._patiently(self.client.scope)

    def answers(
        self, groups: Iterable[tuple[Tag, Sequence[Fingerprint]]]
    ) -> Iterator[tuple[Tag, list[list[Match]]]]:
        """Match fingerprints, whatever their number, in bodies of one size.

        Args:
            groups: fingerprints that are answered together, each with a tag of the caller's; taken
                one by one as answers come.

        Yields:
            each group's tag and, for each of its fingerprints, the matches as `Matcher.match` gives
            them; in the order of the groups.

        Raises:
            MatcherError: one of its kinds; what was yielded stands.
        """
        anchored = any(bank.anchored for bank in self.scope.banks)
        waiting: deque[_Group[Tag]] = deque()
        queues: dict[Shape, list[_Record[Tag]]] = {shape: [] for shape in Shape}
        for tag, fingerprints in groups:
            group = _Group(tag, fingerprints, [[] for _ in fingerprints])
            waiting.append(group)
            for position, fingerprint in enumerate(fingerprints):
                for piece in pieces(fingerprint, self.scope.signals, anchored=anchored):
                    shape = _shape_of(piece, fingerprint)
                    queues[shape].append(_Record(piece, group, position))
                    group.left += 1
            # A shape that few records have must not hold back what else is answered.
            late = sum(len(each.fingerprints) for each in waiting) > _MAX_WAITING
            for shape, queue in queues.items():
                size = self._size(shape)
                while len(queue) >= size or (late and queue):
                    self._send(shape, queue[:size])
                    del queue[:size]
            yield from _answered(waiting)
        for shape, queue in queues.items():
            if queue:
                self._send(shape, queue)
        yield from _answered(waiting)

    def confirm(self) -> None:
        """Check at the end that the register still searches what it did at the beginning.

        Raises:
            MatcherChanged: its banks or their radii are others.
        """
        now, then = self._patiently(self.client.scope), self.scope
        if now.store_id != then.store_id:
            raise MatcherChanged(matcher=self.client.name, reason="it has another store")
        if _searched(now) != _searched(then):
            raise MatcherChanged(
                matcher=self.client.name, reason="other banks are searched, or within other radii"
            )

    def _size(self, shape: Shape) -> int:
        if shape is Shape.ANCHORED:
            return min(BATCH_ANCHORED, self.scope.max_anchored_records)
        return min(BATCH_RECORDS, self.scope.max_records)

    def _send(self, shape: Shape, records: Sequence[_Record[Tag]]) -> None:
        """Ask about records, and give their groups what was found."""
        size = self._size(shape)
        slots: list[_Record[Tag] | None] = [*records, *[None] * (size - len(records))]
        _chance.shuffle(slots)
        body = pack(
            shape,
            [self._packed(shape, None if record is None else record.piece) for record in slots],
        )
        try:
            answer = self._patiently(lambda: self._ask(shape, body, size))
        except FetchTooLarge:
            # A bank of near-equal entries: fewer records, and more decoys, have fewer matches.
            if len(records) == 1:
                raise MatcherInvalid(matcher=self.client.name, reason="it is too large") from None
            half = len(records) // 2
            self._send(shape, records[:half])
            self._send(shape, records[half:])
            return
        first, last = self.revisions or (answer.revision, answer.revision)
        self.revisions = min(first, answer.revision), max(last, answer.revision)
        for record, matches in zip(slots, answer.matches, strict=True):
            if any(record is None or not _sent(record.piece, match) for match in matches):
                raise MatcherInvalid(
                    matcher=self.client.name, reason="it matched a decoy, which no picture has"
                )
            if record is not None:
                record.group.found[record.position].append((record.piece, matches))
                record.group.left -= 1

    def _packed(self, shape: Shape, piece: Piece | None) -> bytes:
        """Pack a piece, and a decoy for what it lacks."""
        if shape is Shape.ANCHORED:
            query = None if piece is None else piece.anchored
            return pack_anchored(query or next(self._decoy_anchored))
        if shape is Shape.DIGESTS:
            return pack_record(b"", _digests(piece))
        pdq = (None if piece is None else piece.pdq) or next(self._decoy_pdqs)
        return pack_record(pdq.variants if shape is Shape.VARIANTS else pdq.code, _digests(piece))

    def _ask(self, shape: Shape, body: bytes, count: int) -> MatcherAnswer:
        pace_s = count / self.scope.per_second
        early_s = self._served_at_s - time.monotonic() - _BURST_S
        if early_s > 0:
            raise MatcherAsksToWaitError("its key's rate", early_s)
        answer = self.client.match(shape, body, count, self.scope)
        if answer.stale:
            raise MatcherAsksToWaitError("register-stale", None)
        self._served_at_s = max(self._served_at_s, time.monotonic()) + pace_s
        return answer

    def _patiently(self, ask: Callable[[], Answered]) -> Answered:
        """Ask again where that may help.

        Raises:
            FetchTooLarge: the answer is.
            MatcherError: one of its kinds.
        """
        failures, waited_s = 0, 0.0
        while True:
            wait_s: float | None = None
            try:
                return ask()
            except FetchTooLarge:
                raise
            except FetchRefused as error:
                reason = str(error.fields["reason"])
                raise MatcherError(matcher=self.client.name, reason=reason) from error
            except MatcherAsksToWaitError as asked:
                reason, wait_s = asked.reason, asked.wait_s
            except FetchError as error:
                reason = str(error.fields.get("reason", error.message))
            if wait_s is None:
                failures += 1
                if failures >= self.patience.tries:
                    raise MatcherUnreachable(
                        matcher=self.client.name, tries=failures, reason=reason
                    )
                wait_s = _backoff_s(failures)
            waited_s += wait_s
            if waited_s > self.patience.max_wait_s:
                raise MatcherBusy(matcher=self.client.name, wait_s=math.ceil(wait_s), reason=reason)
            self.on_wait(wait_s, reason)


Answered = TypeVar("Answered")


def _backoff_s(failures: int) -> float:
    # The jitter keeps many audits from returning at the same moment.
    longest = min(_LONGEST_BACKOFF_S, _FIRST_WAIT_S * 2.0 ** (failures - 1))
    return longest * _chance.uniform(0.5, 1.0)


def _answered(waiting: deque[_Group[Tag]]) -> Iterator[tuple[Tag, list[list[Match]]]]:
    """Take the groups from the front of which nothing is missing."""
    while waiting and not waiting[0].left:
        group = waiting.popleft()
        yield (
            group.tag,
            [
                joined(fingerprint, found)
                for fingerprint, found in zip(group.fingerprints, group.found, strict=True)
            ],
        )


def _searched(scope: MatcherScope) -> object:
    banks = {(bank.name, bank.kind, bank.radius_bits) for bank in scope.banks}
    return banks, set(scope.disabled)


def _shape_of(piece: Piece, fingerprint: Fingerprint) -> Shape:
    if piece.anchored is not None:
        return Shape.ANCHORED
    codes = piece.pdq or fingerprint.pdq
    if codes is None:
        return Shape.DIGESTS
    # Digests of a picture without a usable PDQ go beside a decoy's: it is not told apart.
    return Shape.VARIANTS if codes.variants else Shape.CODE


def _digests(piece: Piece | None) -> list[bytes]:
    sent = {} if piece is None else piece.digests
    return [
        sent.get(signal) or secrets.token_bytes(SIGNAL_BYTES[signal]) for signal in DIGEST_SIGNALS
    ]


def _sent(piece: Piece, match: Match) -> bool:
    """Whether a match is by something that is no decoy."""
    if match.signal in DIGEST_SIGNALS:
        return match.signal in piece.digests
    return match.signal is Signal.ANCHORED or piece.pdq is not None
