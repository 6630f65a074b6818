"""Hash lists to entries and back."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, BinaryIO, TextIO

from egide.hashlist import (
    BadLine,
    HashListFormat,
    csv_pieces,
    read_hash_list,
    write_hash_list,
)
from egide.model import Registration, Signal, State, Trust
from egide.store.changing import ChangingStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from egide.access import Key
    from egide.store import Store
    from egide.usecases.approving import TwoPeople


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What became of the lines of a hash list."""

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
    """Register the lines of a hash list in one transaction; a bad line costs no other.

    Args:
        store: an open store.
        bank: a bank's name.
        stream: the list; see docs/hash-lists.md for its formats.
        name: what messages call the list, and the entries' source unless `source` says another or
            the list names its own.
        signal: what plain lines of digits are, where their length does not tell.
        source: overrides every source in the list.
        trust: what to think of the entries; a list's own claim is not believed.
        on_bad_line: called with each line that was left out.

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

    registered = ChangingStore.of(store).register(bank, registrations())
    return ImportReport(
        added=registered.added,
        renewed=registered.renewed,
        known=registered.known,
        refused=registered.refused,
        bad_lines=bad,
        revision=registered.revision,
    )


def export_hashes(
    store: Store, bank: str, out: TextIO, hash_list_format: HashListFormat = HashListFormat.CSV
) -> int:
    """Write the active entries of a bank as a hash list; return how many."""
    return write_hash_list(store.entries(bank, state=State.ACTIVE), out, hash_list_format)


def export_with_key(
    store: Store, bank: str, *, key: Key, two_people: TwoPeople, approval_id: int | None
) -> Iterator[str]:
    """Export the active entries of a bank as CSV, in pieces, with a second person's approval.

    The log tells of it before the first piece is read: from then on fingerprints may have left.

    Args:
        store: an open store.
        bank: a bank's name.
        key: of whoever exports.
        two_people: tells whether somebody else agreed.
        approval_id: of that person's approval, if there is one.

    Raises:
        BankMissing: the key does not reach the bank, or there is none.
        ApprovalNeeded, ApprovalInvalid: see `TwoPeople.check_export`.
    """
    key.require_bank(bank)
    store.bank(bank)
    two_people.check_export(key, bank, approval_id)
    active = store.bank_counts(bank).state(State.ACTIVE)
    detail: dict[str, str | int] = {"entries": active}
    if approval_id is not None:
        detail["approval"] = approval_id
    store.acting_as(key.name).log.append("export", bank=bank, detail=detail)
    return csv_pieces(store.entries(bank, state=State.ACTIVE))
