"""Change banks, entries and keypoints; each act makes at most one revision."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from egide.domain.model import DEFAULT_RADIUS_BITS, BankKind, Trust
from egide.domain.times import unix_seconds
from egide.store.entries import consent
from egide.store.entries.banks import (
    Banks,
    create_bank,
    free_name,
    get_bank,
    rename_bank,
    update_bank,
)
from egide.store.entries.entries import Entries
from egide.store.entries.keypoints import Keypoints, Sealer
from egide.store.entries.registering import check_note, register

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from contextlib import AbstractContextManager

    from egide.domain.model import Bank, Registered, Registration
    from egide.security.sealing import KeypointKey
    from egide.store.database.interface import Database
    from egide.store.entries.revisions import Change

    Changing = Callable[[str], AbstractContextManager[Change]]


class BankChanges(Banks):
    """The banks of a store, for changing."""

    def __init__(self, database: Database, changing: Changing) -> None:
        super().__init__(database)
        self._changing = changing

    def create(
        self,
        name: str,
        *,
        radius_bits: int = DEFAULT_RADIUS_BITS,
        description: str = "",
        kind: BankKind = BankKind.POSITIVE,
        kept: bool = False,
    ) -> Bank:
        """Add an empty, enabled bank; `kept`: it is a program's.

        Raises:
            BankNameInvalid, BankExists, RadiusInvalid: the name or the radius is not acceptable.
        """
        with self._changing("create-bank") as made:
            return create_bank(
                made,
                name,
                radius_bits=radius_bits,
                description=description,
                kind=kind,
                kept=kept,
            )

    def update(
        self,
        name: str,
        *,
        radius_bits: int | None = None,
        description: str | None = None,
        enabled: bool | None = None,
        enabled_ratio: float | None = None,
        kept: bool | None = None,
    ) -> Bank:
        """Change the given properties of a bank, and leave the rest.

        Raises:
            BankMissing: no bank has that name.
            RadiusInvalid: the radius is outside 0–63.
        """
        with self._changing("update-bank") as made:
            return update_bank(
                made,
                name,
                radius_bits=radius_bits,
                description=description,
                enabled=enabled,
                enabled_ratio=enabled_ratio,
                kept=kept,
            )

    def rename(self, name: str, new_name: str) -> Bank:
        """Give a bank another name; earlier records of the log keep the name of their time.

        All its active entries count as changed, so that whoever follows learns of it.

        Raises:
            BankMissing: no bank has that name.
            BankNameInvalid, BankExists: the new name is not acceptable.
        """
        with self._changing("rename-bank") as made:
            bank = rename_bank(made, name, new_name)
            if made.made_revision:
                consent.touch_active(made, bank)
            return bank

    def delete(self, name: str) -> int:
        """Withdraw all entries of a bank, in any state, and free its name; all in one revision.

        Returns:
            the number of withdrawn entries.

        Raises:
            BankMissing: no bank has that name.
            BankInUse: people registered in it, or a partner's entries go into it.
        """
        with self._changing("delete-bank") as made:
            bank = update_bank(made, name, radius_bits=None, description=None, enabled=False)
            consent.withdraw_all(made, bank)
            free_name(made, bank)
            return made.entries

    def empty(self, name: str) -> int:
        """Disable a bank and withdraw all its remaining entries, in one revision.

        Returns:
            the number of withdrawn entries.

        Raises:
            BankMissing: no bank has that name.
        """
        with self._changing("empty-bank") as made:
            bank = update_bank(made, name, radius_bits=None, description=None, enabled=False)
            consent.withdraw_all(made, bank)
            return made.entries


class EntryChanges(Entries):
    """The entries of a store, for changing."""

    def __init__(
        self,
        database: Database,
        store_id: str,
        shown: str,
        identity_key: bytes,
        changing: Changing,
    ) -> None:
        super().__init__(database, store_id)
        self._shown = shown
        self._identity_key = identity_key
        self._changing = changing

    def register(
        self,
        bank: str,
        registrations: Iterable[Registration],
        *,
        again: bool = False,
        outcomes: bool = False,
        keypoint_key: KeypointKey | None = None,
        ended: Iterable[Registration] = (),
    ) -> Registered:
        """Register any number of fingerprints in one transaction and in constant memory.

        The same fingerprint from the same source is the same entry. An active entry stays as it is,
        including its note, expiry and trust. An expired entry becomes active again; a withdrawn or
        tombstoned one stays so. New keypoints are added to an active entry or replace its old ones,
        which counts as a change; without new ones it keeps the old ones. Anchored hashes are added
        to an active entry that has none, which counts as a change too.

        Args:
            bank: the name of the bank.
            registrations: read once; if it raises, nothing was registered.
            again: the person changed their mind: a withdrawn entry becomes active again.
            outcomes: also return the entry of each registration, in order.
            keypoint_key: seals keypoints; it is not stored.
            ended: read once after them: their entries are withdrawn, where there are any.

        Raises:
            BankMissing: no bank has that name.
            HashInvalid: a fingerprint has the wrong length.
            UsageError: a registration holds no fingerprint or an impossible source.
            KeypointKeyMissing: a registration holds keypoints, and there is no key to seal them.
            KeypointKeyWrong: the store's other keypoints were sealed with another key.
            KeypointsUnavailable: `cryptography` is not installed.
        """
        with self._changing("register") as made:
            return register(
                made,
                get_bank(made.connection, bank),
                registrations,
                identity_key=self._identity_key,
                sealer=Sealer(self._store_id, self._shown, keypoint_key),
                again=again,
                outcomes=outcomes,
                ended=ended,
            )

    def annotate(self, bank: str, entry_id: int, note: str) -> None:
        """Give an active entry another note, or none; the old one is erased.

        Raises:
            BankMissing, EntryMissing: there is no such bank, or no such entry in it.
            StateConflict: the entry is not active.
            UsageError: the note cannot be stored.
        """
        check_note(note)
        with self._changing("annotate") as made:
            consent.annotate(made, get_bank(made.connection, bank), entry_id, note)

    def withdraw(self, bank: str, entry_ids: Sequence[int]) -> int:
        """Withdraw entries: they no longer match; all fingerprints and notes are erased.

        Only the keyed identity stays, so that the same fingerprint is recognised in a later list.
        Entries can be withdrawn from every state; withdrawn ones do not change. Either all are
        withdrawn or none.

        Returns:
            the store's revision afterwards.

        Raises:
            BankMissing, EntryMissing: there is no such bank, or no such entry in it.
        """
        with self._changing("withdraw") as made:
            consent.withdraw(made, get_bank(made.connection, bank), entry_ids)
            return made.final_revision()

    def withdraw_source(self, bank: str, source: str) -> int:
        """Withdraw all entries that one source registered.

        Returns:
            the store's revision afterwards; unchanged if the source has nothing to withdraw.

        Raises:
            BankMissing: no bank has that name.
        """
        with self._changing("withdraw-source") as made:
            consent.withdraw_source(made, get_bank(made.connection, bank), source)
            return made.final_revision()

    def expire(self, now: datetime | None = None, bank: str | None = None) -> int:
        """Erase the active entries that have expired, like withdrawn ones.

        Args:
            now: the time to use; by default the present.
            bank: only entries of this bank.

        Returns:
            how many entries expired.

        Raises:
            BankMissing: no bank has that name.
        """
        at = unix_seconds(now or datetime.now(UTC))
        with self._changing("expire") as made:
            swept = None if bank is None else get_bank(made.connection, bank)
            consent.expire(made, swept, at)
            return made.entries

    def tombstone(self, bank: str, entry_ids: Sequence[int]) -> int:
        """Erase active entries that are confirmed false positives: they never match again.

        Only the keyed identity stays, so that the same fingerprint from that source is refused.

        Returns:
            the store's revision afterwards.

        Raises:
            BankMissing, EntryMissing: there is no such bank, or no such entry in it.
            StateConflict: an entry is withdrawn or expired.
        """
        with self._changing("tombstone") as made:
            consent.tombstone(made, get_bank(made.connection, bank), entry_ids)
            return made.final_revision()

    def confirm(self, bank: str, entry_ids: Sequence[int]) -> int:
        """Record that a reviewer confirmed active entries.

        Returns:
            the store's revision afterwards.

        Raises:
            BankMissing, EntryMissing: there is no such bank, or no such entry in it.
            StateConflict: an entry is not active.
        """
        return self._set_trust("confirm", bank, entry_ids, Trust.CONFIRMED)

    def dispute(self, bank: str, entry_ids: Sequence[int]) -> int:
        """Record that a reviewer disputes active entries; otherwise as `confirm`."""
        return self._set_trust("dispute", bank, entry_ids, Trust.DISPUTED)

    def _set_trust(self, action: str, bank: str, entry_ids: Sequence[int], trust: Trust) -> int:
        with self._changing(action) as made:
            consent.set_trust(made, get_bank(made.connection, bank), entry_ids, trust)
            return made.final_revision()


class KeypointChanges(Keypoints):
    """The keypoints of a store's entries, for erasing; registering an entry stores them."""

    def __init__(self, database: Database, store_id: str, shown: str, changing: Changing) -> None:
        super().__init__(database, store_id, shown)
        self._changing = changing

    def erase(self, bank: str, entry_ids: Sequence[int] | None = None) -> int:
        """Erase the keypoints of entries and nothing else; needs no key.

        Args:
            bank: the name of the bank.
            entry_ids: of the bank; None for all. Entries without keypoints do not change.

        Returns:
            how many entries had keypoints.

        Raises:
            BankMissing, EntryMissing: there is no such bank, or no such entry in it.
        """
        with self._changing("erase-patches") as made:
            found = get_bank(made.connection, bank)
            consent.erase_keypoints(made, found, entry_ids)
            return made.entries
