"""The store: the one door to the database that holds banks and entries."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Self

import sqlalchemy as sa

from egide.errors import StoreError, UsageError
from egide.model import DEFAULT_RADIUS_BITS, State, Trust
from egide.store import banks as bank_rows
from egide.store import consent, reading
from egide.store.lifecycle import open_database
from egide.store.records import unix_seconds
from egide.store.register import register
from egide.store.revisions import change, current_revision, find_revision
from egide.store.schema import store_meta

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from egide.model import Bank, Entry, Registration
    from egide.store.connect import Database
    from egide.store.reading import ActiveView
    from egide.store.records import BankCounts, Registered, Revision
    from egide.store.revisions import Change

DEFAULT_URL = "sqlite:///egide.db"
DEFAULT_BUSY_TIMEOUT_S = 10.0


class Store:
    """Banks and entries in a database, shared by threads and processes.

    Every method that changes something is one transaction and makes at most one revision. All of
    them raise StoreError of the fitting kind when the database does not play along: StoreLocked,
    StoreReadOnly, StoreFull, StoreUnreadable; nothing was changed then.

    Attributes:
        url: where the store is, without its password.
        path: of the SQLite file.
        id: a random UUID that tells this store from every other; a copy of the file has the same.
    """

    def __init__(self, database: Database) -> None:
        """Take over an opened database; use `Store.open`."""
        self._database = database
        self.url = database.shown
        self.path: Path | None = database.path
        with database.read() as connection:
            row = connection.execute(
                sa.select(store_meta.c.store_id, store_meta.c.identity_key)
            ).one()
        self.id: str = row.store_id
        self._identity_key: bytes = row.identity_key
        self._log_holds_erased = False

    @classmethod
    def open(
        cls,
        url: str = DEFAULT_URL,
        *,
        create: bool = False,
        busy_timeout_s: float = DEFAULT_BUSY_TIMEOUT_S,
    ) -> Self:
        """Open the store at `url`, an SQLAlchemy URL such as `sqlite:///folder/egide.db`.

        Args:
            url: of the store.
            create: make it where there is none, readable by its owner only.
            busy_timeout_s: how long a write waits for another process that writes.

        Raises:
            UsageError: the URL is a path, in memory, or of a database that Egide cannot use.
            StoreMissing: there is none, and `create` is False.
            StoreForeign: the database belongs to something else.
            StoreTooOld: `Store.upgrade` it first.
            StoreTooNew: a newer Egide wrote it.
        """
        return cls._open(url, create=create, upgrade=False, busy_timeout_s=busy_timeout_s)

    @classmethod
    def upgrade(
        cls, url: str = DEFAULT_URL, *, busy_timeout_s: float = DEFAULT_BUSY_TIMEOUT_S
    ) -> Self:
        """Open the store at `url` and bring the tables of an older Egide up to date.

        Raises:
            UsageError, StoreMissing, StoreForeign, StoreTooNew: as for `open`.
        """
        return cls._open(url, create=False, upgrade=True, busy_timeout_s=busy_timeout_s)

    @classmethod
    def _open(cls, url: str, *, create: bool, upgrade: bool, busy_timeout_s: float) -> Self:
        database = open_database(url, create=create, upgrade=upgrade, busy_timeout_s=busy_timeout_s)
        try:
            return cls(database)
        except BaseException:
            database.close()
            raise

    def close(self) -> None:
        """Close the store; what was erased leaves the write-ahead log now at the latest."""
        if self._log_holds_erased:
            self._forget_erased()
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Store({self.url!r})"

    def revision(self) -> int:
        """The number of the last change, 0 for a new store."""
        with self._database.read() as connection:
            return current_revision(connection)

    def revision_info(self, revision: int) -> Revision:
        """When a change was made, and what it was.

        Raises:
            UsageError: there is no such revision.
        """
        with self._database.read() as connection:
            found = find_revision(connection, revision)
        if found is None:
            raise UsageError(reason=f"the store has no revision {revision}")
        return found

    def create_bank(
        self, name: str, *, radius_bits: int = DEFAULT_RADIUS_BITS, description: str = ""
    ) -> Bank:
        """Add an empty, enabled bank.

        Raises:
            BankNameInvalid, BankExists, RadiusInvalid: the name or the radius will not do.
        """
        with change(self._database, "create-bank") as made:
            return bank_rows.create_bank(
                made, name, radius_bits=radius_bits, description=description
            )

    def update_bank(
        self,
        name: str,
        *,
        radius_bits: int | None = None,
        description: str | None = None,
        enabled: bool | None = None,
    ) -> Bank:
        """Change what is given of a bank, and leave the rest.

        Raises:
            BankMissing: there is none of that name.
            RadiusInvalid: it is not within 0 to 63.
        """
        with change(self._database, "update-bank") as made:
            return bank_rows.update_bank(
                made, name, radius_bits=radius_bits, description=description, enabled=enabled
            )

    def bank(self, name: str) -> Bank:
        """The bank of that name.

        Raises:
            BankMissing: there is none.
        """
        with self._database.read() as connection:
            return bank_rows.get_bank(connection, name)

    def banks(self) -> list[Bank]:
        """All banks, in the order of their creation."""
        with self._database.read() as connection:
            return bank_rows.list_banks(connection)

    def bank_counts(self, name: str) -> BankCounts:
        """How many entries a bank holds, by state and trust.

        Raises:
            BankMissing: there is none of that name.
        """
        with self._database.read() as connection:
            return bank_rows.count_entries(connection, bank_rows.get_bank(connection, name))

    def register(
        self,
        bank: str,
        registrations: Iterable[Registration],
        *,
        again: bool = False,
        outcomes: bool = False,
    ) -> Registered:
        """Register fingerprints, as many as there are, in one transaction and in flat memory.

        The same fingerprint of the same source is the same entry: an active one is left as it is
        (its note, expiry and trust too), an expired one becomes active again, a withdrawn one
        stays withdrawn and a tombstoned one stays tombstoned.

        Args:
            bank: the name of the bank.
            registrations: read once; if it raises, nothing was registered.
            again: the person changed their mind: a withdrawn entry becomes active again.
            outcomes: also return the entry of each registration, in order.

        Raises:
            BankMissing: there is none of that name.
            HashInvalid: a fingerprint has the wrong length.
            UsageError: a registration holds no fingerprint or an impossible source.
        """
        with change(self._database, "register") as made:
            return register(
                made,
                bank_rows.get_bank(made.connection, bank),
                registrations,
                identity_key=self._identity_key,
                again=again,
                outcomes=outcomes,
            )

    def withdraw(self, bank: str, entry_ids: Sequence[int]) -> int:
        """Withdraw entries: they no longer match, and their fingerprints and notes are erased.

        Only the keyed identity stays, so that the same fingerprint is recognised when a list
        brings it again. Active and expired entries can be withdrawn; for withdrawn ones nothing
        happens. All of them or none.

        Returns:
            the store's revision afterwards.

        Raises:
            BankMissing, EntryMissing: there is no such bank, or no such entry in it.
            StateConflict: an entry is tombstoned.
        """
        return self._erase(
            "withdraw",
            lambda made: consent.withdraw(
                made, bank_rows.get_bank(made.connection, bank), entry_ids
            ),
        )[0]

    def withdraw_source(self, bank: str, source: str) -> int:
        """Withdraw all that one source registered; tombstoned entries stay as they are.

        Returns:
            the store's revision afterwards; as before where the source has nothing to withdraw.

        Raises:
            BankMissing: there is none of that name.
        """
        return self._erase(
            "withdraw-source",
            lambda made: consent.withdraw_source(
                made, bank_rows.get_bank(made.connection, bank), source
            ),
        )[0]

    def expire(self, now: datetime | None = None, bank: str | None = None) -> int:
        """Erase the active entries whose time is up, like withdrawn ones.

        Args:
            now: the time that counts, by default the present.
            bank: only this one's.

        Returns:
            how many entries expired.

        Raises:
            BankMissing: there is none of that name.
        """
        at = unix_seconds(now or datetime.now(UTC))
        return self._erase(
            "expire",
            lambda made: consent.expire(
                made, None if bank is None else bank_rows.get_bank(made.connection, bank), at
            ),
        )[1]

    def _erase(self, action: str, erase: Callable[[Change], None]) -> tuple[int, int]:
        with change(self._database, action) as made:
            erase(made)
            revision = made.final_revision()
        if made.entries:
            self._forget_erased()
        return revision, made.entries

    def _forget_erased(self) -> None:
        try:
            self._log_holds_erased = not self._database.truncate_log()
        except StoreError:
            self._log_holds_erased = True

    def tombstone(self, bank: str, entry_ids: Sequence[int]) -> int:
        """Mark active entries as confirmed false positives: kept, but never matching again.

        Returns:
            the store's revision afterwards.

        Raises:
            BankMissing, EntryMissing: there is no such bank, or no such entry in it.
            StateConflict: an entry is withdrawn or expired.
        """
        with change(self._database, "tombstone") as made:
            consent.tombstone(made, bank_rows.get_bank(made.connection, bank), entry_ids)
            return made.final_revision()

    def confirm(self, bank: str, entry_ids: Sequence[int]) -> int:
        """Write down that a reviewer confirmed active entries.

        Returns:
            the store's revision afterwards.

        Raises:
            BankMissing, EntryMissing: there is no such bank, or no such entry in it.
            StateConflict: an entry is not active.
        """
        return self._set_trust("confirm", bank, entry_ids, Trust.CONFIRMED)

    def dispute(self, bank: str, entry_ids: Sequence[int]) -> int:
        """Write down that a reviewer disputes active entries; otherwise as `confirm`."""
        return self._set_trust("dispute", bank, entry_ids, Trust.DISPUTED)

    def _set_trust(self, action: str, bank: str, entry_ids: Sequence[int], trust: Trust) -> int:
        with change(self._database, action) as made:
            consent.set_trust(made, bank_rows.get_bank(made.connection, bank), entry_ids, trust)
            return made.final_revision()

    def entry(self, bank: str, entry_id: int) -> Entry:
        """One entry.

        Raises:
            BankMissing, EntryMissing: there is no such bank, or no such entry in it.
        """
        with self._database.read() as connection:
            return reading.find_entry(connection, bank, entry_id)

    def entries(
        self,
        bank: str,
        *,
        state: State | None = None,
        trust: Trust | None = None,
        source: str | None = None,
        after: int = 0,
        limit: int | None = None,
    ) -> Iterator[Entry]:
        """The entries of a bank by number, in flat memory.

        Args:
            bank: the name of the bank.
            state: only those in this state.
            trust: only those of this trust.
            source: only those that this source registered.
            after: only entries with a greater number.
            limit: at most so many.

        Raises:
            BankMissing: there is none of that name; raised at once, not at the first entry.
        """
        return reading.list_entries(
            self._database,
            self.bank(bank),
            state=state,
            trust=trust,
            source=source,
            after=after,
            limit=limit,
        )

    def changes(
        self, since: int, *, after_entry: int | None = None, limit: int | None = None
    ) -> Iterator[Entry]:
        """Entries that changed after a revision: registered, withdrawn, expired, judged alike.

        Each entry comes once, as it is now, ordered by (revision, number). A revision can hold
        millions of entries: who reads with a `limit` goes on with both numbers of the last one,
        `changes(last.revision, after_entry=last.id)`.

        Args:
            since: the last revision that is known already.
            after_entry: of revision `since`, entries with a greater number are not known yet.
            limit: at most so many.
        """
        return reading.list_changes(self._database, since, after_entry=after_entry, limit=limit)

    @contextmanager
    def read_active(self) -> Iterator[ActiveView]:
        """Revision, banks and active entries, all of one moment: what a snapshot is built from."""
        with self._database.read() as connection:
            yield reading.read_active(connection, self.id)
