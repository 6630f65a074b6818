"""Which banks a request searches: those that its key reaches, and that are enabled."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from egide.access import Key
    from egide.server.service import Service


def banks_to_search(
    service: Service, key: Key, wanted: Sequence[str] | None
) -> tuple[str, ...] | None:
    """Return the names to give to `LiveRegister.match`, which takes a named bank for enabled.

    The store is asked only for a bank that the index does not know, so that matching goes on while
    it cannot be reached.

    Args:
        service: that answers.
        key: that asks.
        wanted: banks that are asked for; None for all that the key reaches.

    Returns:
        None for all that are enabled.

    Raises:
        BankMissing: one that was asked for is out of scope, or there is none.
        NotReady: nothing can be searched yet.
        StoreError: the store cannot tell whether there is a bank.
    """
    names = key.scoped(wanted)
    if names is None:
        return None
    enabled = {bank.name: bank.enabled for bank in service.live.banks}
    for name in wanted or ():
        if name not in enabled:
            service.store.bank(name)  # made within the last second, and empty for now; or none
    return tuple(name for name in names if enabled.get(name))
