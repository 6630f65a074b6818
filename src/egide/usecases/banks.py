"""Banks: made, changed, emptied."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egide.model import DEFAULT_RADIUS_BITS, State
from egide.store.changing import ChangingStore
from egide.usecases.withdraw import settle_after_act

if TYPE_CHECKING:
    from egide.model import Bank
    from egide.store import Store


def create_bank(
    store: Store, name: str, *, radius_bits: int = DEFAULT_RADIUS_BITS, description: str = ""
) -> Bank:
    """Add an empty, enabled bank.

    Raises:
        BankNameInvalid, BankExists, RadiusInvalid: the name or the radius will not do.
    """
    return ChangingStore.of(store).create_bank(
        name, radius_bits=radius_bits, description=description
    )


def update_bank(
    store: Store,
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
    return ChangingStore.of(store).update_bank(
        name, radius_bits=radius_bits, description=description, enabled=enabled
    )


def empty_bank(store: Store, name: str) -> None:
    """Withdraw all that a bank holds, and disable it; its name stays.

    Raises:
        BankMissing: there is none of that name.
    """
    changing = ChangingStore.of(store)
    changing.update_bank(name, enabled=False)  # first: nothing of it matches while it is emptied
    held = [entry.id for entry in changing.entries(name, state=State.ACTIVE)]
    if held:
        changing.withdraw(name, held)
    settle_after_act(store)
