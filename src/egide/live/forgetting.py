"""Erased fingerprints leave every file of this machine: the database, snapshots, leftovers.

The store records pending erasures, so a killed process loses none. Every process completes them at
start, at exit, and after each act that erases. A served register completes them beside its
requests: in the database within seconds, in the snapshot after `forget_after_s`.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

from egide.live.snapshots import forget_snapshot

if TYPE_CHECKING:
    from egide.store import Store


def settle(store: Store, *, snapshot: bool = True) -> bool:
    """Remove erased fingerprints from the files of this machine.

    Every step is tried, even if another fails.

    Args:
        store: an open store.
        snapshot: also remove the search snapshot, if it may hold erased fingerprints.

    Returns:
        whether the database is done; False while another reader uses an earlier state of it.

    Raises:
        SnapshotNotRemoved: a snapshot must be deleted by hand.
        StoreError: the store cannot be read.
    """
    with ExitStack() as left:
        if snapshot:
            left.callback(forget_snapshot, store)
        left.callback(store.erasure.remove_abandoned)
        return store.forget_erased()
