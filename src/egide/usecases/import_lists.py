"""Import hash lists as entries. For the way back, see `egide.usecases.export`."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, BinaryIO

from egide.domain.model import Registration, Signal, Trust, digests_of
from egide.hashlist import BadLine, Cut, HashLine, read_hash_list
from egide.store.changing import ChangingStore
from egide.usecases.withdraw import settle_after_act

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from egide.hashlist.values import Read
    from egide.store import Store

_MAX_REASONS = 100


@dataclass(frozen=True, slots=True)
class ImportReport:
    """Counts of what became of a hash list's lines and records.

    Attributes:
        added, renewed, known, refused: as in `Registered`.
        kinds: hashes that were taken, by signal: what values alone were taken for, too.
        bad_lines: lines and records that were left out.
        reasons: how many of them for each reason.
        not_taken: fingerprints of kinds that Egide cannot search, by kind; what else their record
            holds was taken.
        ended: lines and records that say that their source has withdrawn or deleted them.
        withdrawn: entries from that source that were withdrawn for it.
        cut: why nothing after some place was read; empty if the list is whole.
        revision: the store's revision afterwards.
    """

    added: int
    renewed: int
    known: int
    refused: int
    kinds: dict[str, int]
    bad_lines: int
    reasons: dict[str, int]
    not_taken: dict[str, int]
    ended: int
    withdrawn: int
    cut: str
    revision: int

    @property
    def is_whole(self) -> bool:
        """Whether everything in the list was understood and is in the bank now."""
        return not (self.bad_lines or self.refused or self.not_taken or self.cut)


def import_hashes(
    store: Store,
    bank: str,
    stream: BinaryIO,
    *,
    name: str,
    signal: Signal | None = None,
    source: str | None = None,
    trust: Trust = Trust.UNVERIFIED,
    on_bad_line: Callable[[BadLine], None] | None = None,
) -> ImportReport:
    """Register the lines of a hash list in one transaction; bad lines are left out.

    What the list says its source has ended is withdrawn in the same transaction, if it was
    registered from that source before.

    Args:
        store: an open store.
        bank: a bank's name.
        stream: the list; see docs/reference/hash-lists.md for its formats.
        name: of the list in messages; also the entries' source, unless `source` or the list gives
            another.
        signal: of values of which nothing else tells it.
        source: overrides every source in the list.
        trust: of the entries; the list's own claim is ignored.
        on_bad_line: called with each bad line.

    Raises:
        BankMissing, SchemaTooNew, HashKindUnsure, ListUnreadable, StoreError: nothing was imported.
    """
    kind = store.banks.get(bank).kind
    reading = _Reading(name, source, trust, on_bad_line)
    registered = ChangingStore.of(store).entries.register(
        bank,
        reading.registrations(read_hash_list(stream, name=name, signal=signal, kind=kind)),
        ended=reading.ended.values(),
    )
    settle_after_act(store)  # renewing an overdue entry may have erased some of it
    return ImportReport(
        added=registered.added,
        renewed=registered.renewed,
        known=registered.known,
        refused=registered.refused,
        kinds=dict((+reading.kinds).most_common()),
        bad_lines=reading.reasons.total(),
        reasons=dict(reading.reasons.most_common(_MAX_REASONS)),
        not_taken=dict(reading.not_taken.most_common()),
        ended=reading.ended_count,
        withdrawn=registered.withdrawn,
        cut=reading.cut,
        revision=registered.revision,
    )


class _Reading:
    """Turns what a list says into registrations, and counts the rest.

    Attributes:
        ended: what the list says last of each that has ended, by what identifies it.
    """

    def __init__(
        self,
        name: str,
        source: str | None,
        trust: Trust,
        on_bad_line: Callable[[BadLine], None] | None,
    ) -> None:
        self.kinds: Counter[str] = Counter()
        self.reasons: Counter[str] = Counter()
        self.not_taken: Counter[str] = Counter()
        self.ended: dict[Registration, Registration] = {}
        self.ended_count = 0
        self.cut = ""
        self._name = name
        self._source = source
        self._trust = trust
        self._on_bad_line = on_bad_line

    def registrations(self, events: Iterable[Read]) -> Iterator[Registration]:
        """Each that is to be registered."""
        for event in events:
            if isinstance(event, HashLine):
                registration = event.registration(default_source=self._name, trust=self._trust)
                if self._source:
                    registration = replace(registration, source=self._source)
                if event.ended:
                    self.ended_count += 1
                    self.ended[_identifying(registration)] = registration
                    continue
                if self.ended:  # the last word counts
                    self.ended.pop(_identifying(registration), None)
                self.kinds[Signal.PDQ.value] += len(registration.pdqs)
                self.kinds.update(signal.value for signal, _ in digests_of(registration))
                yield registration
            elif isinstance(event, BadLine):
                self.reasons[event.reason] += 1
                if self._on_bad_line is not None:
                    self._on_bad_line(event)
            elif isinstance(event, Cut):
                self.cut = f"after {event.unit} {event.line:,}: {event.reason}"
            else:
                self.not_taken[event.kind] += 1


def _identifying(registration: Registration) -> Registration:
    """A registration without what does not identify it."""
    return replace(
        registration, quality=None, note="", expires=None, anchored=None, trust=Trust.UNVERIFIED
    )
