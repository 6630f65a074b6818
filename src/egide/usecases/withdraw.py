"""Every change of an entry's state or trust: withdrawing, expiring, judging, and what follows.

Whatever ends an entry erases it, here and in every file of ours; see `egide.live.snapshots`. Give a
store that is `acting_as` who does it: the log names them.
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
    """End the consent of entries, from whatever state: they match no more and are erased.

    Returns:
        the revision from which on they no longer match.

    Raises:
        BankMissing, EntryMissing: there is no such bank, or one is not in it; none was withdrawn.
        SnapshotNotRemoved: withdrawn, but the snapshot has to be deleted by hand.
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
    """End the entries whose time is over and erase their fingerprints; return how many."""
    count = ChangingStore.of(store).entries.expire(now or datetime.now(UTC), bank=bank)
    settle_after_act(store)
    return count


def tombstone(store: Store, bank: str, entries: Sequence[int]) -> int:
    """Erase active entries that are confirmed false positives: they never match again.

    Returns:
        the revision from which on they no longer match.

    Raises:
        BankMissing, EntryMissing, StateConflict: nothing was changed.
        SnapshotNotRemoved: erased, but the snapshot has to be deleted by hand.
    """
    revision = ChangingStore.of(store).entries.tombstone(bank, entries)
    settle_after_act(store)
    return revision


def confirm(store: Store, bank: str, entries: Sequence[int]) -> int:
    """Write down that a reviewer confirmed active entries; return the revision afterwards.

    Raises:
        BankMissing, EntryMissing, StateConflict: nothing was changed.
    """
    return ChangingStore.of(store).entries.confirm(bank, entries)


def dispute(store: Store, bank: str, entries: Sequence[int]) -> int:
    """Write down that a reviewer disputes active entries; otherwise as `confirm`."""
    return ChangingStore.of(store).entries.dispute(bank, entries)


def drop_keypoints(store: Store, bank: str, entries: Sequence[int] | None = None) -> int:
    """Erase the keypoints of entries, by default of all of a bank; return how many had any."""
    count = ChangingStore.of(store).keypoints.erase(bank, entries)
    settle_after_act(store)
    return count


def settle_after_act(store: Store) -> None:
    """Have what an act erased leave the files now, unless a served register does so beside it.

    Raises:
        SnapshotNotRemoved: a snapshot has to be deleted by hand.
    """
    if store.forgets_at_once:
        with suppress(StoreError):  # it is done, and the store remembers what is left to do
            settle(store)
