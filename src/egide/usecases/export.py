"""Every way on which fingerprints leave the register: each with its permission and its record.

- A whole bank: with a key, by two people, once for each approval; on the command line and in
  Python by whoever has the database.
- What changed, and one entry: to keys of partners, whose making took two people.

What the log cannot tell of does not leave. What has ended leaves without its fingerprint. A backup
is a way too: `Store.backup` writes it into the log itself.
"""

from __future__ import annotations

import time
from dataclasses import replace
from enum import StrEnum
from typing import TYPE_CHECKING, TextIO

from egide.domain.access import Permission
from egide.domain.model import State
from egide.domain.names import FOLLOWED
from egide.domain.partners import Position
from egide.errors import EntryMissing, StoreError
from egide.hashlist import HashListFormat
from egide.hashlist.write import csv_pieces, write_hash_list
from egide.usecases.approvals import TwoPeople

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egide.domain.access import Key
    from egide.domain.model import Entry
    from egide.domain.partners import FeedPage
    from egide.store import Store

_PAGE = 500
"""Entries that are read at a time: an export that is taken slowly holds no more that may end."""


class Way(StrEnum):
    """On which fingerprints leave, as the log calls it."""

    LOCAL = "local"
    """The command line, or Python."""
    API = "api"
    CHANGES = "changes"
    HMA = "hma"


def export_hashes(
    store: Store, bank: str, out: TextIO, hash_list_format: HashListFormat = HashListFormat.CSV
) -> int:
    """Write the active entries of a bank as a hash list; return how many.

    The log tells of it before the first line is written.

    Raises:
        BankMissing: there is none of that name.
        StoreError: the log cannot be written; nothing left.
    """
    detail = {"way": Way.LOCAL.value, "format": hash_list_format.value}
    count = store.given.bank(bank, detail)
    return write_hash_list(_active(store, bank, count), out, hash_list_format)


def export_with_key(store: Store, bank: str, *, key: Key, approval_id: int | None) -> Iterator[str]:
    """Export the active entries of a bank as CSV, in pieces, with a second person's approval.

    The log tells of it before the first piece is read: from then on fingerprints may have left.

    Args:
        store: an open store.
        bank: a bank's name.
        key: of whoever exports.
        approval_id: of the second person's approval, if there is one.

    Raises:
        Forbidden: the key's role is not for this.
        BankMissing: the key does not reach the bank, or there is none.
        ApprovalNeeded, ApprovalInvalid: see `TwoPeople.check_export`.
        StoreError: the log cannot be written; nothing left.
    """
    key.require(Permission.EXPORT)
    key.require_bank(bank)
    store.banks.get(bank)
    TwoPeople(store).check_export(key, bank, approval_id)
    detail: dict[str, str | int] = {"way": Way.API.value, "format": HashListFormat.CSV.value}
    if approval_id is not None:
        detail["approval"] = approval_id
    count = store.acting_as(key.name).given.bank(bank, detail)
    return csv_pieces(_active(store, bank, count))


def give_changes(
    store: Store,
    key: Key,
    since: int,
    *,
    after: int | None = None,
    limit: int,
    bank: str | None = None,
    ended_only: bool = False,
) -> FeedPage:
    """Give a key the next changes after a position, active entries with their fingerprints.

    Where the log cannot be written, what has ended is still told of: a page ends before its first
    active entry then, and one that begins with an active entry is refused. Pages of ended entries
    alone are never refused for that.

    Args:
        store: an open store.
        key: of whoever follows.
        since: the last revision that is known already.
        after: of it, the last entry that is known; None for all of it.
        limit: at most so many entries.
        bank: only this one's.
        ended_only: leave out active entries.

    Raises:
        Forbidden: the key's role is not for this.
        BankMissing: the key does not reach the bank, or there is none.
        StoreError: the store cannot be read, or the log not written.
    """
    key.require(Permission.READ_CHANGES)
    banks = key.scoped(None if bank is None else [bank])
    if bank is not None:
        store.banks.get(bank)
    page = store.feed.page(
        since,
        after=after,
        limit=limit,
        banks=banks,
        ended_only=ended_only,
    )
    entries = [_as_it_leaves(entry) for entry in page.entries]
    active = [entry for entry in entries if entry.state is State.ACTIVE]
    try:
        given = store.acting_as(key.name).given.entries(key, active, way=Way.CHANGES)
    except StoreError:
        ended = entries[: entries.index(active[0])]
        if not ended:
            raise
        end = Position(ended[-1].revision, ended[-1].id)
        return replace(page, entries=tuple(ended), next=end, more=True)
    # Whatever ended since the page was read stands in a later one, as it is now.
    left = (one for one in entries if one.state is not State.ACTIVE or one.id in given)
    return replace(page, entries=tuple(left))


def give_entry(store: Store, key: Key, bank: str, entry_id: int) -> Entry:
    """Give a key one entry, with its fingerprint while it is active.

    What came from another register is not passed on, as in `give_changes`.

    Raises:
        Forbidden: the key's role is not for this.
        BankMissing: the key does not reach the bank, or there is none.
        EntryMissing: there is none of that number to be given.
        StoreError: the log cannot be written; the fingerprint did not leave.
    """
    key.require(Permission.READ_CHANGES)
    key.require_bank(bank)
    entry = _as_it_leaves(store.entries.get(bank, entry_id))
    if entry.source.startswith(FOLLOWED):
        raise EntryMissing(entry=entry_id, bank=bank)
    if entry.state is not State.ACTIVE:
        return entry
    given = store.acting_as(key.name).given.entries(key, [entry], way=Way.HMA)
    return entry if entry.id in given else _as_it_leaves(store.entries.get(bank, entry_id))


def _as_it_leaves(entry: Entry) -> Entry:
    """An entry without what must not leave: of one that has ended, the fingerprint."""
    state = State.EXPIRED if _is_over(entry) else entry.state
    if state is State.ACTIVE:
        return entry
    return replace(entry, state=state, pdqs=(), trimmed_pdqs=(), sha256=None, md5=None, note="")


def _is_over(entry: Entry) -> bool:
    """Whether an entry is still called active although its time is up."""
    return (
        entry.state is State.ACTIVE
        and entry.expires is not None
        and entry.expires.timestamp() <= time.time()
    )


def _active(store: Store, bank: str, count: int) -> Iterator[Entry]:
    """The active entries of a bank, at most as many as the log tells of, each read when it goes."""
    after = 0
    while count > 0:
        page = list(
            store.entries.list(bank, state=State.ACTIVE, after=after, limit=min(_PAGE, count))
        )
        if not page:
            return
        active = [entry for entry in page if not _is_over(entry)]
        yield from active
        count -= len(active)
        after = page[-1].id
