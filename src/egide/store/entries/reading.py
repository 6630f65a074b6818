"""Reading entries: one, many in order, what changed, and all that is active."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from egide.domain.model import State
from egide.errors import EntryMissing
from egide.store.entries.banks import bank_names, get_bank, list_banks
from egide.store.entries.records import ENTRY_COLUMNS, entry_of
from egide.store.entries.revisions import current_revision
from egide.store.tables.register import MAX_ENTRY_ID, entries

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egide.domain.model import Bank, Entry, Trust
    from egide.store.database.interface import Database

_PAGE = 5000


@dataclass(frozen=True, slots=True)
class ActiveView:
    """What a search snapshot is built from: one state of the store, seen at once.

    Attributes:
        store_id: of the store.
        revision: the store's revision that is seen.
        banks: all of them, enabled or not.
        entries: the active ones of every bank by number; can be read once, while the view is open.
    """

    store_id: str
    revision: int
    banks: tuple[Bank, ...]
    entries: Iterator[Entry]


def find_entry(connection: sa.Connection, bank: str, entry_id: int) -> Entry:
    """One entry; see `Store.entry`."""
    held = get_bank(connection, bank)
    if not 0 < entry_id <= MAX_ENTRY_ID:
        raise EntryMissing(entry=entry_id, bank=bank)
    row = connection.execute(
        sa.select(*ENTRY_COLUMNS)
        .where(entries.c.id == entry_id)
        .where(entries.c.bank_id == held.id)
    ).one_or_none()
    if row is None:
        raise EntryMissing(entry=entry_id, bank=bank)
    return entry_of(row, {held.id: held.name})


def list_entries(
    database: Database,
    bank: Bank,
    *,
    state: State | None,
    trust: Trust | None,
    source: str | None,
    after: int,
    limit: int | None,
) -> Iterator[Entry]:
    """The entries of a bank by number; see `Store.entries`."""
    which = [entries.c.bank_id == bank.id]
    if state is not None:
        which.append(entries.c.state == state.value)
    if trust is not None:
        which.append(entries.c.trust == trust.value)
    if source is not None:
        which.append(entries.c.source == source)
    query = sa.select(*ENTRY_COLUMNS).where(*which).order_by(entries.c.id)
    left = limit
    while left is None or left > 0:
        size = _PAGE if left is None else min(_PAGE, left)
        page = _fetch(database, query.where(entries.c.id > after).limit(size))
        yield from page
        if len(page) < size:
            return
        after = page[-1].id
        if left is not None:
            left -= size


def list_changes(
    database: Database, since: int, *, after_entry: int | None, limit: int | None
) -> Iterator[Entry]:
    """Entries that changed, in the order of their changes; see `Store.changes`."""
    query = sa.select(*ENTRY_COLUMNS).order_by(entries.c.revision, entries.c.id)
    revision, entry_id = since, after_entry
    left = limit
    while left is None or left > 0:
        # The rest of one revision first, then those after it: each is one step in the index,
        # where `(revision, id) > (?, ?)` made SQLite walk the whole revision for every page.
        which = (
            entries.c.revision > revision
            if entry_id is None
            else sa.and_(entries.c.revision == revision, entries.c.id > entry_id)
        )
        size = _PAGE if left is None else min(_PAGE, left)
        page = _fetch(database, query.where(which).limit(size))
        yield from page
        if left is not None:
            left -= len(page)
        if len(page) == size:
            revision, entry_id = page[-1].revision, page[-1].id
        elif entry_id is None:
            return
        else:
            entry_id = None


def read_active(connection: sa.Connection, store_id: str) -> ActiveView:
    """All active entries within the transaction of `connection`; see `Store.read_active`."""
    names = bank_names(connection)
    rows = connection.execution_options(yield_per=_PAGE).execute(
        sa.select(*ENTRY_COLUMNS)
        .where(entries.c.state == State.ACTIVE.value)
        .order_by(entries.c.id)
    )
    return ActiveView(
        store_id=store_id,
        revision=current_revision(connection),
        banks=tuple(list_banks(connection)),
        entries=(entry_of(row, names) for page in rows.partitions() for row in page),
    )


def _fetch(database: Database, page: sa.Select[Any]) -> list[Entry]:
    """One page of entries, in a transaction of its own.

    A reader that takes an hour over a list therefore holds nothing open meanwhile: an open
    transaction would keep erased fingerprints in the write-ahead log.
    """
    with database.read() as connection:
        names = bank_names(connection)
        return [entry_of(row, names) for row in connection.execute(page).all()]
