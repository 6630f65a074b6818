"""Withdraw, expire, tombstone, confirm and dispute entries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from egide.domain.model import DIGEST_SIGNALS, State, Trust
from egide.errors import EntryMissing, StateConflict
from egide.store.entries import keypoints as keypoint_rows
from egide.store.tables.register import MAX_ENTRY_ID, entries, keypoints

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from egide.domain.model import Bank
    from egide.store.entries.revisions import Change

_CHUNK = 2000
_ERASED: dict[str, Any] = {
    "pdqs": None,
    "trimmed": 0,
    **dict.fromkeys(DIGEST_SIGNALS),
    "note": "",
}


def withdraw(change: Change, bank: Bank, entry_ids: Sequence[int]) -> None:
    """Erase entries whose consent is withdrawn; see `EntryChanges.withdraw`."""
    rows = _check(change.connection, bank, entry_ids, action="withdrawn", allowed=set(State))
    ids = [entry for entry, (state, _) in rows.items() if state is not State.WITHDRAWN]
    _update(change, bank, ids, {**_ERASED, "state": State.WITHDRAWN.value})


def withdraw_source(change: Change, bank: Bank, source: str) -> None:
    """Withdraw all entries that one source registered; see `EntryChanges.withdraw_source`."""
    _update_where(
        change,
        bank,
        sa.and_(entries.c.source == source, entries.c.state != State.WITHDRAWN.value),
        {**_ERASED, "state": State.WITHDRAWN.value},
    )


def withdraw_all(change: Change, bank: Bank) -> None:
    """Withdraw all entries of a bank, in any state; see `BankChanges.empty`."""
    _update_where(
        change,
        bank,
        entries.c.state != State.WITHDRAWN.value,
        {**_ERASED, "state": State.WITHDRAWN.value},
    )


def tombstone(change: Change, bank: Bank, entry_ids: Sequence[int]) -> None:
    """Erase entries that are confirmed false positives; see `EntryChanges.tombstone`."""
    rows = _check(
        change.connection,
        bank,
        entry_ids,
        action="tombstoned",
        allowed={State.ACTIVE, State.TOMBSTONED},
    )
    ids = [entry for entry, (state, _) in rows.items() if state is State.ACTIVE]
    _update(change, bank, ids, {**_ERASED, "state": State.TOMBSTONED.value})


def set_trust(change: Change, bank: Bank, entry_ids: Sequence[int], trust: Trust) -> None:
    """Record a reviewer's judgement; see `EntryChanges.confirm` and `EntryChanges.dispute`."""
    rows = _check(change.connection, bank, entry_ids, action=trust.value, allowed={State.ACTIVE})
    ids = [entry for entry, (_, old) in rows.items() if old is not trust]
    _update(change, bank, ids, {"trust": trust.value})


def expire(change: Change, bank: Bank | None, now_unix_s: int) -> None:
    """Erase active entries that have expired; see `EntryChanges.expire`."""
    _update_where(
        change,
        bank,
        sa.and_(entries.c.state == State.ACTIVE.value, entries.c.expires <= now_unix_s),
        {**_ERASED, "state": State.EXPIRED.value},
    )


def expire_source(change: Change, bank: Bank, source: str) -> None:
    """Expire the active entries of a source that is no longer followed; it may renew them."""
    _update_where(
        change,
        bank,
        sa.and_(entries.c.source == source, entries.c.state == State.ACTIVE.value),
        {**_ERASED, "state": State.EXPIRED.value},
    )


def expire_entries(change: Change, bank: Bank, entry_ids: Sequence[int]) -> None:
    """Erase the active ones among these entries of a bank, like expired ones."""
    for chunk in _chunks(entry_ids):
        which = sa.and_(entries.c.state == State.ACTIVE.value, entries.c.id.in_(chunk))
        _update_where(change, bank, which, {**_ERASED, "state": State.EXPIRED.value})


def touch_active(change: Change, bank: Bank) -> None:
    """Count the active entries of a bank as changed; see `BankChanges.rename`."""
    _update_where(change, bank, entries.c.state == State.ACTIVE.value, {})


def annotate(change: Change, bank: Bank, entry_id: int, note: str) -> None:
    """Replace the note of an active entry; see `EntryChanges.annotate`."""
    _check(change.connection, bank, [entry_id], action="annotated", allowed={State.ACTIVE})
    _update(change, bank, [entry_id], {"note": note})
    change.erased = True  # the old note


def erase_keypoints(change: Change, bank: Bank, entry_ids: Sequence[int] | None) -> None:
    """Erase the keypoints of entries and nothing else; see `KeypointChanges.erase`."""
    if entry_ids is not None:
        _check(change.connection, bank, entry_ids, action="changed", allowed=set(State))
    held = keypoint_rows.entry_ids(change.connection, bank)
    ids = held if entry_ids is None else sorted(set(held).intersection(entry_ids))
    _update(change, bank, ids, {})
    for chunk in _chunks(ids):
        change.erase_beside(chunk, [keypoints])


def _check(
    connection: sa.Connection,
    bank: Bank,
    entry_ids: Sequence[int],
    *,
    action: str,
    allowed: set[State],
) -> dict[int, tuple[State, Trust]]:
    found: dict[int, tuple[State, Trust]] = {}
    for chunk in _chunks([entry for entry in entry_ids if 0 < entry <= MAX_ENTRY_ID]):
        rows = connection.execute(
            sa.select(entries.c.id, entries.c.state, entries.c.trust)
            .where(entries.c.bank_id == bank.id)
            .where(entries.c.id.in_(chunk))
        )
        found |= {entry: (State(state), Trust(trust)) for entry, state, trust in rows}
    for entry in entry_ids:
        if entry not in found:
            raise EntryMissing(entry=entry, bank=bank.name)
        if found[entry][0] not in allowed:
            raise StateConflict(entry=entry, state=found[entry][0].value, action=action)
    return found


def _update_where(
    change: Change, bank: Bank | None, which: sa.ColumnElement[bool], values: dict[str, Any]
) -> None:
    """Update the entries that `which` selects."""
    if bank is not None:
        which = sa.and_(entries.c.bank_id == bank.id, which)
    query = sa.select(entries.c.id).where(which).order_by(entries.c.id).limit(_CHUNK)
    last = 0
    while entry_ids := (
        change.connection.execute(query.where(entries.c.id > last)).scalars().all()
    ):
        _update(change, bank, entry_ids, values)
        last = entry_ids[-1]


def _update(
    change: Change, bank: Bank | None, entry_ids: Sequence[int], values: dict[str, Any]
) -> None:
    change.bank_id = None if bank is None else bank.id
    change.erased_entries |= bool(entry_ids) and values.items() >= _ERASED.items()
    # In chunks: one statement over a million rows held 200 MB of undo log.
    for chunk in _chunks(entry_ids):
        result = change.connection.execute(
            sa.update(entries)
            .where(entries.c.id.in_(chunk))
            .values(**values, changed=change.at, revision=change.revision())
        )
        change.entries += result.rowcount
        change.touch(chunk)
        if "state" in values:  # an entry that is no longer active has none of them
            change.erase_beside(chunk)


def _chunks(entry_ids: Sequence[int]) -> Iterator[Sequence[int]]:
    for start in range(0, len(entry_ids), _CHUNK):
        yield entry_ids[start : start + _CHUNK]
