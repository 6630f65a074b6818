"""The store: the one door to the database that holds banks and entries."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from egide.store.entries import banks as bank_rows
from egide.store.entries import keypoints as patch_rows
from egide.store.entries import reading
from egide.store.entries.keypoints import Sealer
from egide.store.entries.records import unix_seconds
from egide.store.served import ServedStore

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from egide.domain.model import Bank, BankCounts, Entry, State, Trust
    from egide.security.sealing import PatchKey
    from egide.store.entries.keypoints import SealedPatches
    from egide.store.entries.reading import ActiveView


class Store(ServedStore):
    """Banks and entries in a database, shared by threads and processes.

    `Store.open` opens one. What changes its entries is in `egide.usecases`. All methods raise
    StoreError of the fitting kind when the database does not play along: StoreLocked,
    StoreReadOnly, StoreFull, StoreUnreadable; nothing was changed then.

    Attributes:
        url: where the store is, without its password.
        path: of the SQLite file.
        id: a random UUID that tells this store from every other; a copy of the file has the same.
    """

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
        with self._database.read(long=True) as connection:
            return bank_rows.count_entries(connection, bank_rows.get_bank(connection, name))

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
        with self._database.read(long=True) as connection:
            yield reading.read_active(connection, self.id)

    @contextmanager
    def read_patches(
        self,
        key: PatchKey,
        banks: Collection[str] | None = None,
        *,
        now: datetime | None = None,
    ) -> Iterator[SealedPatches]:
        """Revision and keypoints, all of one moment: what an index of keypoints is built from.

        Args:
            key: that sealed them.
            banks: names; None for all.
            now: entries that have expired by then are left out; by default the present.

        Raises:
            BankMissing: there is none of that name.
            PatchKeyWrong: they were sealed with another key; raised before any is read.
            PatchesUnavailable: `cryptography` is not installed.
        """
        at = unix_seconds(now or datetime.now(UTC))
        with self._database.read(long=True) as connection:
            yield patch_rows.read(connection, self._sealer(key), banks=banks, now_unix_s=at)

    def has_patches(self, banks: Collection[str] | None = None) -> bool:
        """Whether any entry of these banks, by default of all, has keypoints.

        Raises:
            BankMissing: there is none of that name.
        """
        with self._database.read() as connection:
            return patch_rows.held(connection, banks)

    def count_patches(self, bank: str) -> int:
        """How many entries of a bank have keypoints.

        Raises:
            BankMissing: there is none of that name.
        """
        with self._database.read(long=True) as connection:
            return patch_rows.count(connection, bank_rows.get_bank(connection, bank))

    def entries_with_patches(
        self, bank: str, *, after: int = 0, limit: int | None = None
    ) -> list[int]:
        """The numbers of the entries of a bank that have keypoints, in order.

        Args:
            bank: the name of the bank.
            after: only entries with a greater number.
            limit: at most so many.

        Raises:
            BankMissing: there is none of that name.
        """
        with self._database.read() as connection:
            found = bank_rows.get_bank(connection, bank)
            return patch_rows.entry_ids(connection, found, after=after, limit=limit)

    def patch_key_id(self) -> bytes | None:
        """The `PatchKey.key_id` that sealed the store's keypoints; None where there are none."""
        with self._database.read() as connection:
            return patch_rows.key_id(connection)

    def _sealer(self, key: PatchKey | None) -> Sealer:
        return Sealer(self.id, self.url, key)
