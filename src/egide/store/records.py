"""What the store says beside entries and banks, and how rows become values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from egide.domain.model import PDQ_BYTES, Bank, Entry, State, Trust
from egide.store.schema import banks, entries, patches

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

CLOCKS_DIFFER_S = 60
"""So far the clocks of processes that share a store may be apart."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_STATES = {state.value: state for state in State}
_TRUSTS = {trust.value: trust for trust in Trust}

ENTRY_COLUMNS = (
    entries.c.id,
    entries.c.bank_id,
    entries.c.pdqs,
    entries.c.sha256,
    entries.c.md5,
    entries.c.quality,
    entries.c.trust,
    entries.c.state,
    entries.c.source,
    entries.c.note,
    entries.c.added,
    entries.c.changed,
    entries.c.expires,
    entries.c.revision,
    entries.c.trimmed,
    sa.exists().where(patches.c.entry_id == entries.c.id),
)
"""In the order of the fields of `Entry`."""

BANK_COLUMNS = (
    banks.c.id,
    banks.c.name,
    banks.c.radius_bits,
    banks.c.description,
    banks.c.enabled,
)


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


@lru_cache(maxsize=4096)  # the entries of one import share their times
def moment(unix_s: int) -> datetime:
    """Unix seconds as a UTC time."""
    return _EPOCH + timedelta(seconds=unix_s)


def unix_seconds(at: datetime) -> int:
    """A time in whole Unix seconds, rounded down; a time without a zone is read as UTC."""
    if at.tzinfo is None:
        at = at.replace(tzinfo=UTC)
    return (at - _EPOCH) // timedelta(seconds=1)


def bank_of(row: Sequence[Any]) -> Bank:
    """The bank in a row of `BANK_COLUMNS`."""
    bank_id, name, radius_bits, description, enabled = row
    return Bank(bank_id, name, radius_bits, description, enabled)


def entry_of(row: Sequence[Any], bank_names: Mapping[int, str]) -> Entry:
    """The entry in a row of `ENTRY_COLUMNS`."""
    (
        entry_id,
        bank_id,
        codes,
        sha256,
        md5,
        quality,
        trust,
        state,
        source,
        note,
        added,
        changed,
        expires,
        revision,
        trimmed,
        has_patches,
    ) = row
    pdqs = split_codes(codes)
    trimmed_pdqs: tuple[bytes, ...] = ()
    if trimmed:
        pdqs, trimmed_pdqs = pdqs[:-trimmed], pdqs[-trimmed:]
    return Entry(
        entry_id,
        bank_names[bank_id],
        pdqs,
        sha256,
        md5,
        quality,
        _TRUSTS[trust],
        _STATES[state],
        source,
        note,
        moment(added),
        moment(changed),
        None if expires is None else moment(expires),
        revision,
        trimmed_pdqs,
        bool(has_patches),
    )


def split_codes(codes: bytes | None) -> tuple[bytes, ...]:
    """The PDQ codes of an entry, stored end to end."""
    if codes is None:
        return ()
    if len(codes) == PDQ_BYTES:
        return (codes,)
    return tuple(codes[at : at + PDQ_BYTES] for at in range(0, len(codes), PDQ_BYTES))
