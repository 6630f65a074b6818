"""Import hash lists as entries. For the way back, see `egide.usecases.export`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, BinaryIO

from egide.domain.model import Registration, Signal, Trust
from egide.hashlist import BadLine, read_hash_list
from egide.store.changing import ChangingStore
from egide.usecases.withdraw import settle_after_act

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from egide.store import Store


@dataclass(frozen=True, slots=True)
class ImportReport:
    """Counts of what became of a hash list's lines."""

    added: int
    renewed: int
    known: int
    refused: int
    bad_lines: int
    revision: int


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

    Args:
        store: an open store.
        bank: a bank's name.
        stream: the list; see docs/reference/hash-lists.md for its formats.
        name: of the list in messages; also the entries' source, unless `source` or the list gives
            another.
        signal: of plain lines of digits whose length does not tell it.
        source: overrides every source in the list.
        trust: of the entries; the list's own claim is ignored.
        on_bad_line: called with each bad line.

    Raises:
        BankMissing, SchemaTooNew, StoreError: nothing was imported.
    """
    bad = 0

    def registrations() -> Iterator[Registration]:
        nonlocal bad
        for line in read_hash_list(stream, name=name, signal=signal):
            if isinstance(line, BadLine):
                bad += 1
                if on_bad_line is not None:
                    on_bad_line(line)
            else:
                registration = line.registration(default_source=name, trust=trust)
                yield replace(registration, source=source) if source else registration

    registered = ChangingStore.of(store).entries.register(bank, registrations())
    settle_after_act(store)  # renewing an overdue entry may have erased some of it
    return ImportReport(
        added=registered.added,
        renewed=registered.renewed,
        known=registered.known,
        refused=registered.refused,
        bad_lines=bad,
        revision=registered.revision,
    )
