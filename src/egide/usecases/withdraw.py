"""Every change of an entry's state or trust: withdrawing, expiring, judging, and the erasure.

An entry that ends is erased, here and in every file of ours; see `egide.live.snapshots`. Pass a
store that is `acting_as` the person or key: the log names them.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from egide.errors import StoreError
from egide.live.forgetting import settle
from egide.store.changing import ChangingStore

if TYPE_CHECKING:
    from collections.abc import Sequence

    from egide.store import Store


def withdraw(store: Store, bank: str, entries: Sequence[int]) -> int:
    """Withdraw entries, whatever their state: they no longer match and are erased.

    Returns:
        the revision from which on they no longer match.

    Raises:
        BankMissing, EntryMissing: the bank or one of the entries is missing; none was withdrawn.
        SnapshotNotRemoved: withdrawn, but the snapshot must be deleted by hand.
    """
    revision = ChangingStore.of(store).entries.withdraw(bank, entries)
    settle_after_act(store)
    return revision


def withdraw_source(store: Store, bank: str, source: str) -> int:
    """Withdraw everything that one source registered; return the revision afterwards."""
    revision = ChangingStore.of(store).entries.withdraw_source(bank, source)
    settle_after_act(store)
    return revision


def expire(store: Store, bank: str | None = None, now: datetime | None = None) -> int:
    """End the entries past their expiry and erase their fingerprints; return how many."""
    count = ChangingStore.of(store).entries.expire(now or datetime.now(UTC), bank=bank)
    settle_after_act(store)
    return count


def tombstone(store: Store, bank: str, entries: Sequence[int]) -> int:
    """Erase active entries that are confirmed false positives: they never match again.

    Returns:
        the revision from which on they no longer match.

    Raises:
        BankMissing, EntryMissing, StateConflict: nothing was changed.
        SnapshotNotRemoved: erased, but the snapshot must be deleted by hand.
    """
    revision = ChangingStore.of(store).entries.tombstone(bank, entries)
    settle_after_act(store)
    return revision


def confirm(store: Store, bank: str, entries: Sequence[int]) -> int:
    """Record that a reviewer confirmed active entries; return the revision afterwards.

    Raises:
        BankMissing, EntryMissing, StateConflict: nothing was changed.
    """
    return ChangingStore.of(store).entries.confirm(bank, entries)


def dispute(store: Store, bank: str, entries: Sequence[int]) -> int:
    """Record that a reviewer disputes active entries; otherwise as `confirm`."""
    return ChangingStore.of(store).entries.dispute(bank, entries)


def drop_keypoints(store: Store, bank: str, entries: Sequence[int] | None = None) -> int:
    """Erase the keypoints of entries, by default of a whole bank; return how many had any."""
    count = ChangingStore.of(store).keypoints.erase(bank, entries)
    settle_after_act(store)
    return count


def settle_after_act(store: Store) -> None:
    """Remove what an act erased from the files now, unless a served register does so.

    Raises:
        SnapshotNotRemoved: a snapshot must be deleted by hand.
    """
    if store.forgets_at_once:
        with suppress(StoreError):  # the act is done; the store remembers pending erasures
            settle(store)
