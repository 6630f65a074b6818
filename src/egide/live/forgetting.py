"""Erased fingerprints leave every file of this machine: the database, snapshots, leftovers.

The store remembers what is to be erased, so that a kill loses none of it: every process does it
when it starts, when it ends, and after an act that erases. A served register does it beside its
requests: within seconds in the database, and in the snapshot when `forget_after_s` is over.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

from egide.live.snapshots import forget_snapshot

if TYPE_CHECKING:
    from egide.store import Store


def settle(store: Store, *, snapshot: bool = True) -> bool:
    """Have what the store has erased leave the files of this machine.

    All of it is tried, whatever fails.

    Args:
        store: an open store.
        snapshot: also remove the search snapshot, if it may hold something of it.

    Returns:
        whether the database is done; False while somebody reads an earlier state of it.

    Raises:
        SnapshotNotRemoved: a snapshot has to be deleted by hand.
        StoreError: the store cannot be asked.
    """
    with ExitStack() as left:
        if snapshot:
            left.callback(forget_snapshot, store)
        left.callback(store.erasure.remove_abandoned)
        return store.forget_erased()
