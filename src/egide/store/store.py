"""The store: the one door to the database that holds banks and entries."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from egide.model import DEFAULT_RADIUS_BITS, State, Trust
from egide.store import banks as bank_rows
from egide.store import consent, reading
from egide.store import patches as patch_rows
from egide.store.patches import Sealer
from egide.store.records import unix_seconds
from egide.store.register import register
from egide.store.served import ServedStore

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from egide.model import Bank, Entry, Registration
    from egide.sealing import PatchKey
    from egide.store.patches import SealedPatches
    from egide.store.reading import ActiveView
    from egide.store.records import BankCounts, Registered


class Store(ServedStore):
    """Banks and entries in a database, shared by threads and processes.

    Every method that changes something is one transaction and makes at most one revision. All of
    them raise StoreError of the fitting kind when the database does not play along: StoreLocked,
    StoreReadOnly, StoreFull, StoreUnreadable; nothing was changed then. `Store.open` opens one.

    Attributes:
        url: where the store is, without its password.
        path: of the SQLite file.
        id: a random UUID that tells this store from every other; a copy of the file has the same.
    """

    def create_bank(
        self, name: str, *, radius_bits: int = DEFAULT_RADIUS_BITS, description: str = ""
    ) -> Bank:
        """Add an empty, enabled bank.

        Raises:
            BankNameInvalid, BankExists, RadiusInvalid: the name or the radius will not do.
        """
        with self._changing("create-bank") as made:
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
        with self._changing("update-bank") as made:
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
        patch_key: PatchKey | None = None,
    ) -> Registered:
        """Register fingerprints, as many as there are, in one transaction and in flat memory.

        The same fingerprint of the same source is the same entry: an active one is left as it is
        (its note, expiry and trust too), an expired one becomes active again, a withdrawn one
        stays withdrawn and a tombstoned one stays tombstoned. Keypoints are added to an active
        entry, or replace its own, and that is a change; without them it keeps those that it has.

        Args:
            bank: the name of the bank.
            registrations: read once; if it raises, nothing was registered.
            again: the person changed their mind: a withdrawn entry becomes active again.
            outcomes: also return the entry of each registration, in order.
            patch_key: seals keypoints, and is kept nowhere in the store.

        Raises:
            BankMissing: there is none of that name.
            HashInvalid: a fingerprint has the wrong length.
            UsageError: a registration holds no fingerprint or an impossible source.
            PatchKeyMissing: a registration holds keypoints, and there is no key to seal them.
            PatchKeyWrong: the store's other keypoints were sealed with another key.
            PatchesUnavailable: `cryptography` is not installed.
        """
        with self._changing("register") as made:
            return register(
                made,
                bank_rows.get_bank(made.connection, bank),
                registrations,
                identity_key=self._identity_key,
                sealer=self._sealer(patch_key),
                again=again,
                outcomes=outcomes,
            )

    def withdraw(self, bank: str, entry_ids: Sequence[int]) -> int:
        """Withdraw entries: they no longer match; fingerprints, keypoints and notes are erased.

        Only the keyed identity stays, so that the same fingerprint is recognised when a list
        brings it again. Active and expired entries can be withdrawn; for withdrawn ones nothing
        happens. All of them or none.

        Returns:
            the store's revision afterwards.

        Raises:
            BankMissing, EntryMissing: there is no such bank, or no such entry in it.
            StateConflict: an entry is tombstoned.
        """
        with self._changing("withdraw") as made:
            consent.withdraw(made, bank_rows.get_bank(made.connection, bank), entry_ids)
            return made.final_revision()

    def withdraw_source(self, bank: str, source: str) -> int:
        """Withdraw all that one source registered; tombstoned entries stay as they are.

        Returns:
            the store's revision afterwards; as before where the source has nothing to withdraw.

        Raises:
            BankMissing: there is none of that name.
        """
        with self._changing("withdraw-source") as made:
            consent.withdraw_source(made, bank_rows.get_bank(made.connection, bank), source)
            return made.final_revision()

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
        with self._changing("expire") as made:
            swept = None if bank is None else bank_rows.get_bank(made.connection, bank)
            consent.expire(made, swept, at)
            return made.entries

    def tombstone(self, bank: str, entry_ids: Sequence[int]) -> int:
        """Mark active entries as confirmed false positives: kept, but never matching again.

        Their keypoints are erased: nothing needs them any more.

        Returns:
            the store's revision afterwards.

        Raises:
            BankMissing, EntryMissing: there is no such bank, or no such entry in it.
            StateConflict: an entry is withdrawn or expired.
        """
        with self._changing("tombstone") as made:
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
        with self._changing(action) as made:
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
        with self._database.read() as connection:
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
        with self._database.read() as connection:
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

    def erase_patches(self, bank: str, entry_ids: Sequence[int] | None = None) -> int:
        """Erase the keypoints of entries and leave all else of them; needs no key.

        Args:
            bank: the name of the bank.
            entry_ids: of the bank; None for all. Nothing happens to those without keypoints.

        Returns:
            how many entries had keypoints.

        Raises:
            BankMissing, EntryMissing: there is no such bank, or no such entry in it.
        """
        with self._changing("erase-patches") as made:
            found = bank_rows.get_bank(made.connection, bank)
            consent.erase_patches(made, found, entry_ids)
            return made.entries

    def _sealer(self, key: PatchKey | None) -> Sealer:
        return Sealer(self.id, self.url, key)
