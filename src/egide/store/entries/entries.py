"""Read entries: one, many in order, changed ones, and all active ones."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from egide.domain.model import State
from egide.domain.origin import Origin
from egide.domain.times import moment
from egide.errors import EntryMissing
from egide.store.entries.anchored import with_anchored
from egide.store.entries.banks import get_bank, list_banks
from egide.store.entries.records import ENTRY_COLUMNS, entry_of, in_pages, read_some
from egide.store.entries.revisions import current_revision
from egide.store.log.bank_names import bank_names
from egide.store.tables.register import MAX_ENTRY_ID, details, entries

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from egide.domain.model import Bank, Entry, Trust
    from egide.store.database.interface import Database

_PAGE = 5000


@dataclass(frozen=True, slots=True)
class ActiveView:
    """One state of the store, from which a search snapshot is built.

    Attributes:
        store_id: of the store.
        revision: the store's revision in this view.
        banks: all banks, enabled or not.
        entries: active entries of every bank by number, with their anchored hashes; can be read
            once, while the view is open.
    """

    store_id: str
    revision: int
    banks: tuple[Bank, ...]
    entries: Iterator[Entry]


class Entries:
    """The entries of a store."""

    def __init__(self, database: Database, store_id: str) -> None:
        self._database = database
        self._store_id = store_id

    def get(self, bank: str, entry_id: int) -> Entry:
        """One entry.

        Raises:
            BankMissing, EntryMissing: there is no such bank, or no such entry in it.
        """
        with self._database.read() as connection:
            return find_entry(connection, bank, entry_id)

    def origins(self, entry_ids: Collection[int]) -> dict[int, Origin]:
        """Where entries came from, by their numbers, of any bank; missing ones are left out."""
        found: dict[int, Origin] = {}
        wanted = sorted(entry for entry in entry_ids if 0 < entry <= MAX_ENTRY_ID)
        query = sa.select(entries.c.id, entries.c.source, entries.c.added)
        with self._database.read() as connection:
            for start in range(0, len(wanted), _PAGE):
                some = wanted[start : start + _PAGE]
                for entry, source, added in connection.execute(query.where(entries.c.id.in_(some))):
                    found[entry] = Origin.of(source, moment(added))
        return found

    def metadata(self, entry_id: int) -> str:
        """What a program said of an entry, as JSON; empty if nothing."""
        query = sa.select(details.c.metadata).where(details.c.entry_id == entry_id)
        with self._database.read() as connection:
            return connection.execute(query).scalar() or ""

    def list(
        self,
        bank: str,
        *,
        state: State | None = None,
        trust: Trust | None = None,
        source: str | None = None,
        after: int = 0,
        limit: int | None = None,
        anchored: bool = False,
    ) -> Iterator[Entry]:
        """The entries of a bank by number, in constant memory.

        Args:
            bank: the name of the bank.
            state: only entries in this state.
            trust: only entries with this trust.
            source: only entries that this source registered.
            after: only entries with a greater number.
            limit: the most to return.
            anchored: also read their anchored hashes.

        Raises:
            BankMissing: no bank has that name; raised at once, not at the first entry.
        """
        with self._database.read() as connection:
            held = get_bank(connection, bank)
        return list_entries(
            self._database,
            held,
            state=state,
            trust=trust,
            source=source,
            after=after,
            limit=limit,
            anchored=anchored,
        )

    def changes(
        self,
        since: int,
        *,
        after_entry: int | None = None,
        limit: int | None = None,
        anchored: bool = False,
    ) -> Iterator[Entry]:
        """Entries that changed after a revision: registered, withdrawn, expired or judged.

        Each entry comes once, in its present state, ordered by (revision, number). A revision can
        hold millions of entries. With a `limit`, continue from both numbers of the last entry:
        `changes(last.revision, after_entry=last.id)`.

        Args:
            since: the last revision that is known already.
            after_entry: entries of revision `since` with a greater number are not known yet.
            limit: the most to return.
            anchored: also read their anchored hashes.
        """
        return list_changes(
            self._database, since, after_entry=after_entry, limit=limit, anchored=anchored
        )

    @contextmanager
    def active(self) -> Iterator[ActiveView]:
        """Revision, banks and active entries, all at one moment, to build a snapshot from."""
        with self._database.read(long=True) as connection:
            yield read_active(connection, self._store_id)


def find_entry(connection: sa.Connection, bank: str, entry_id: int) -> Entry:
    """One entry; see `Entries.get`."""
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
    anchored: bool,
) -> Iterator[Entry]:
    """The entries of a bank by number; see `Entries.list`."""
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
        page, more = _fetch(
            database, query.where(entries.c.id > after).limit(size), anchored=anchored
        )
        yield from page
        if len(page) < size and not more:
            return
        after = page[-1].id
        if left is not None:
            left -= len(page)


def list_changes(
    database: Database,
    since: int,
    *,
    after_entry: int | None,
    limit: int | None,
    anchored: bool,
) -> Iterator[Entry]:
    """Entries that changed, in the order of their changes; see `Entries.changes`."""
    query = sa.select(*ENTRY_COLUMNS).order_by(entries.c.revision, entries.c.id)
    revision, entry_id = since, after_entry
    left = limit
    while left is None or left > 0:
        # First the rest of one revision, then later ones: each is one step in the index. With
        # `(revision, id) > (?, ?)` SQLite walked the whole revision for every page.
        which = (
            entries.c.revision > revision
            if entry_id is None
            else sa.and_(entries.c.revision == revision, entries.c.id > entry_id)
        )
        size = _PAGE if left is None else min(_PAGE, left)
        page, more = _fetch(database, query.where(which).limit(size), anchored=anchored)
        yield from page
        if left is not None:
            left -= len(page)
        if len(page) == size or more:
            revision, entry_id = page[-1].revision, page[-1].id
        elif entry_id is None:
            return
        else:
            entry_id = None


def read_active(connection: sa.Connection, store_id: str) -> ActiveView:
    """All active entries within the transaction of `connection`; see `Entries.active`."""
    names = bank_names(connection)
    active = (
        sa.select(*ENTRY_COLUMNS)
        .where(entries.c.state == State.ACTIVE.value)
        .order_by(entries.c.id)
    )
    return ActiveView(
        store_id=store_id,
        revision=current_revision(connection),
        banks=tuple(list_banks(connection)),
        entries=(
            entry
            for page in in_pages(connection, active, names, _PAGE)
            for entry in with_anchored(connection, page)
        ),
    )


def _fetch(
    database: Database, page: sa.Select[Any], *, anchored: bool = False
) -> tuple[list[Entry], bool]:
    """One page of entries, in a transaction of its own, and whether it ends early.

    So a reader that takes an hour over a list holds no transaction open, which would keep erased
    fingerprints in the write-ahead log.
    """
    with database.read() as connection:
        names = bank_names(connection)
        found, more = read_some(connection, page, names)
        return (with_anchored(connection, found) if anchored else found), more
