"""Make, change and empty banks. With a key, any radius but the default takes a second person.

A bank that a program made through HMA is *kept*: a key that may only keep banks reaches these and
no others, so that nothing that people registered is within its reach.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from egide.domain.access import Permission
from egide.domain.model import DEFAULT_RADIUS_BITS, BankKind
from egide.errors import BankExists, BankMissing, BankNotKept
from egide.store.changing import ChangingStore
from egide.usecases.approvals import TwoPeople
from egide.usecases.withdraw import settle_after_act

if TYPE_CHECKING:
    from egide.domain.access import Key
    from egide.domain.model import Bank
    from egide.store import Store


def create_bank(
    store: Store,
    name: str,
    *,
    radius_bits: int = DEFAULT_RADIUS_BITS,
    description: str = "",
    enabled: bool = True,
    kind: BankKind = BankKind.POSITIVE,
    enabled_ratio: float = 1.0,
    kept: bool = False,
    by: Key | None = None,
    approval_id: int | None = None,
) -> Bank:
    """Add an empty bank.

    Args:
        store: an open store.
        name: of the bank.
        radius_bits: the greatest distance of a match, in bits of 256.
        description: what it is for.
        enabled: whether searches use it.
        kind: a match in a negative bank vetoes others; it cannot be changed later.
        enabled_ratio: the share of HMA's look-ups that it takes part in.
        kept: whether a program makes it, which may then rename and delete it.
        by: the key of the person who makes it; None for direct access to the database.
        approval_id: of a second person's approval, if there is one.

    Raises:
        Forbidden: the key's role does not permit it.
        BankMissing: the name is not among the key's banks.
        BankNameInvalid, BankExists, RadiusInvalid: the name or the radius is not acceptable.
        ApprovalNeeded, ApprovalInvalid: see `TwoPeople.check_radius`.
    """
    if by is not None:
        if not (kept and by.may(Permission.KEEP_BANKS)):
            by.require(Permission.MANAGE_BANKS)
        by.require_bank(name)
        store = store.acting_as(by.name)
        if radius_bits != DEFAULT_RADIUS_BITS:
            _require_free(store, name)
            TwoPeople(store).check_radius(by, name, radius_bits, approval_id, old_radius_bits=None)
    changing = ChangingStore.of(store)
    bank = changing.banks.create(
        name, radius_bits=radius_bits, description=description, kind=kind, kept=kept
    )
    if enabled and enabled_ratio == 1:
        return bank
    return changing.banks.update(name, enabled=enabled, enabled_ratio=enabled_ratio)


def ensure_bank_of_people(store: Store, name: str, description: str) -> None:
    """Make a bank that people register in, if it does not exist; no program keeps it from now on.

    Raises:
        BankNameInvalid: the name is not acceptable.
        StoreError: the bank cannot be made.
    """
    try:
        if store.banks.get(name).kept:
            ChangingStore.of(store).banks.update(name, kept=False)
    except BankMissing:
        with suppress(BankExists):  # another process has just made it
            create_bank(store, name, description=description)


def update_bank(
    store: Store,
    name: str,
    *,
    radius_bits: int | None = None,
    description: str | None = None,
    enabled: bool | None = None,
    enabled_ratio: float | None = None,
    by: Key | None = None,
    approval_id: int | None = None,
) -> Bank:
    """Change the given properties of a bank.

    Args:
        store: an open store.
        name: of the bank.
        radius_bits: the greatest distance of a match, in bits of 256.
        description: what it is for.
        enabled: whether searches use it.
        enabled_ratio: the share of HMA's look-ups that it takes part in.
        by: the key of the person who changes it; None for direct access to the database.
        approval_id: of a second person's approval, if there is one.

    Raises:
        Forbidden: the key's role does not permit it.
        BankMissing: there is no such bank, or the key does not reach it.
        RadiusInvalid: the radius is not within 0 to 63.
        ApprovalNeeded, ApprovalInvalid: see `TwoPeople.check_radius`.
    """
    if by is not None:
        old_bits = require_within(store, by, Permission.MANAGE_BANKS, name).radius_bits
        store = store.acting_as(by.name)
        if radius_bits == old_bits:
            radius_bits = None  # no change: do not undo somebody else's change meanwhile
        if radius_bits is not None:
            TwoPeople(store).check_radius(
                by, name, radius_bits, approval_id, old_radius_bits=old_bits
            )
    return ChangingStore.of(store).banks.update(
        name,
        radius_bits=radius_bits,
        description=description,
        enabled=enabled,
        enabled_ratio=enabled_ratio,
    )


def rename_bank(store: Store, name: str, new_name: str, *, by: Key) -> Bank:
    """Give a kept bank another name.

    Raises:
        Forbidden: the key's role does not permit it.
        BankMissing: there is no such bank, or the key does not reach it or the new name.
        BankNotKept: no program keeps the bank.
        BankNameInvalid, BankExists: the new name is not acceptable.
    """
    bank = require_within(store, by, Permission.MANAGE_BANKS, name)
    by.require_bank(new_name)
    if not bank.kept:
        raise BankNotKept(bank=name)
    return ChangingStore.of(store).acting_as(by.name).banks.rename(name, new_name)


def delete_bank(store: Store, name: str, *, by: Key) -> int:
    """Withdraw all entries of a kept bank, and free its name.

    A bank that no program keeps is emptied and disabled, and its name remains: what was withdrawn
    from it is still refused in later lists.

    Returns:
        how many entries were withdrawn.

    Raises:
        Forbidden: the key's role does not permit it.
        BankMissing: there is no such bank, or the key does not reach it.
        BankInUse: people registered in it, or a partner's entries go into it.
        SnapshotNotRemoved: withdrawn, but the snapshot must be deleted by hand.
    """
    if not store.banks.get(name).kept:
        return empty_bank(store, name, by=by)
    store = _managed(store, name, by)
    count = ChangingStore.of(store).banks.delete(name)
    settle_after_act(store)
    return count


def annotate(store: Store, bank: str, entry: int, note: str) -> None:
    """Give an active entry another note, or none.

    Raises:
        BankMissing, EntryMissing, StateConflict: nothing was changed.
        UsageError: the note cannot be stored.
    """
    ChangingStore.of(store).entries.annotate(bank, entry, note)
    settle_after_act(store)


def banks_within(store: Store, key: Key, permission: Permission) -> list[Bank]:
    """The banks on which a key may use a permission: all in its scope, or of these the kept ones.

    Raises:
        Forbidden: the key's role has neither the permission nor keeps banks.
    """
    if not key.may(Permission.KEEP_BANKS):
        key.require(permission)
    return [
        bank
        for bank in store.banks.list()
        if key.reaches(bank.name) and (bank.kept or key.may(permission))
    ]


def require_within(store: Store, key: Key, permission: Permission, name: str) -> Bank:
    """The bank, if a key may use a permission on it; see `banks_within`.

    Raises:
        Forbidden: the key's role has neither the permission nor keeps banks.
        BankMissing: there is no such bank, or none within the key's reach.
    """
    if not key.may(Permission.KEEP_BANKS):
        key.require(permission)
    key.require_bank(name)
    bank = store.banks.get(name)
    if not (bank.kept or key.may(permission)):
        raise BankMissing(bank=name)
    return bank


def empty_bank(store: Store, name: str, *, by: Key | None = None) -> int:
    """Disable a bank and withdraw all its entries, whatever their state; its name remains.

    All entries are withdrawn or none. A call after an interruption completes the rest.

    Returns:
        how many entries were withdrawn.

    Raises:
        Forbidden: the key's role does not permit it.
        BankMissing: there is no such bank, or the key does not reach it.
        SnapshotNotRemoved: withdrawn, but the snapshot must be deleted by hand.
    """
    if by is not None:
        by.require(Permission.WITHDRAW)
        store = _managed(store, name, by)
    count = ChangingStore.of(store).banks.empty(name)
    settle_after_act(store)
    return count


def _managed(store: Store, name: str, by: Key) -> Store:
    """The store in the key's name, if the key may manage the bank, or keeps it."""
    require_within(store, by, Permission.MANAGE_BANKS, name)
    return store.acting_as(by.name)


def _require_free(store: Store, name: str) -> None:
    """Fail before a second person is asked, and before an approval is spent."""
    try:
        store.banks.get(name)
    except BankMissing:
        return
    raise BankExists(bank=name)
