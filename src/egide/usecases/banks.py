"""Make, change and empty banks. With a key, any radius but the default takes a second person."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egide.domain.access import Permission
from egide.domain.model import DEFAULT_RADIUS_BITS, BankKind
from egide.errors import BankExists, BankMissing
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
        by: the key of the person who makes it; None for direct access to the database.
        approval_id: of a second person's approval, if there is one.

    Raises:
        Forbidden: the key's role does not permit it.
        BankMissing: the name is not among the key's banks.
        BankNameInvalid, BankExists, RadiusInvalid: the name or the radius is not acceptable.
        ApprovalNeeded, ApprovalInvalid: see `TwoPeople.check_radius`.
    """
    if by is not None:
        store = _managed(store, name, by)
        if radius_bits != DEFAULT_RADIUS_BITS:
            _require_free(store, name)
            TwoPeople(store).check_radius(by, name, radius_bits, approval_id, old_radius_bits=None)
    changing = ChangingStore.of(store)
    bank = changing.banks.create(name, radius_bits=radius_bits, description=description, kind=kind)
    return bank if enabled else changing.banks.update(name, enabled=False)


def update_bank(
    store: Store,
    name: str,
    *,
    radius_bits: int | None = None,
    description: str | None = None,
    enabled: bool | None = None,
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
        by: the key of the person who changes it; None for direct access to the database.
        approval_id: of a second person's approval, if there is one.

    Raises:
        Forbidden: the key's role does not permit it.
        BankMissing: there is no such bank, or the key does not reach it.
        RadiusInvalid: the radius is not within 0 to 63.
        ApprovalNeeded, ApprovalInvalid: see `TwoPeople.check_radius`.
    """
    if by is not None:
        store = _managed(store, name, by)
        old_bits = store.banks.get(name).radius_bits
        if radius_bits == old_bits:
            radius_bits = None  # no change: do not undo somebody else's change meanwhile
        if radius_bits is not None:
            TwoPeople(store).check_radius(
                by, name, radius_bits, approval_id, old_radius_bits=old_bits
            )
    return ChangingStore.of(store).banks.update(
        name, radius_bits=radius_bits, description=description, enabled=enabled
    )


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
    by.require(Permission.MANAGE_BANKS)
    by.require_bank(name)
    return store.acting_as(by.name)


def _require_free(store: Store, name: str) -> None:
    """Fail before a second person is asked, and before an approval is spent."""
    try:
        store.banks.get(name)
    except BankMissing:
        return
    raise BankExists(bank=name)
