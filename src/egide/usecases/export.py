"""Every way that fingerprints leave the register, each with its permission and log record.

- A whole bank: with a key, by two people, once per approval; or on the command line and in
  Python, by anyone with access to the database.
- Changes, and single entries: with partners' keys, each of which took two people to make.

A fingerprint leaves only after the log has recorded it. An ended entry leaves without its
fingerprint. Backups count too: `Store.backup` writes its own log record.
"""

from __future__ import annotations

import time
from dataclasses import replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, TextIO

from egide.domain.access import Permission
from egide.domain.model import DIGEST_SIGNALS, State
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
"""Entries read at a time: a slow export holds few entries that may end meanwhile."""


class Way(StrEnum):
    """The way that fingerprints leave, as the log names it."""

    LOCAL = "local"
    """The command line, or Python."""
    API = "api"
    CHANGES = "changes"
    HMA = "hma"


def export_hashes(
    store: Store, bank: str, out: TextIO, hash_list_format: HashListFormat = HashListFormat.CSV
) -> int:
    """Write the active entries of a bank as a hash list; return how many.

    The log records the export before the first line is written.

    Raises:
        BankMissing: there is no such bank.
        StoreError: the log cannot be written; nothing was exported.
    """
    detail = {"way": Way.LOCAL.value, "format": hash_list_format.value}
    kind = store.banks.get(bank).kind
    count = store.given.bank(bank, detail)
    return write_hash_list(_active(store, bank, count), out, hash_list_format, kind)


def export_with_key(store: Store, bank: str, *, key: Key, approval_id: int | None) -> Iterator[str]:
    """Export the active entries of a bank as CSV, in pieces, with a second person's approval.

    The log records the export before the first piece is read.

    Args:
        store: an open store.
        bank: a bank's name.
        key: of the person who exports.
        approval_id: of the second person's approval, if there is one.

    Raises:
        Forbidden: the key's role does not permit it.
        BankMissing: there is no such bank, or the key does not reach it.
        ApprovalNeeded, ApprovalInvalid: see `TwoPeople.check_export`.
        StoreError: the log cannot be written; nothing was exported.
    """
    key.require(Permission.EXPORT)
    key.require_bank(bank)
    kind = store.banks.get(bank).kind
    TwoPeople(store).check_export(key, bank, approval_id)
    detail: dict[str, str | int] = {"way": Way.API.value, "format": HashListFormat.CSV.value}
    if approval_id is not None:
        detail["approval"] = approval_id
    count = store.acting_as(key.name).given.bank(bank, detail)
    return csv_pieces(_active(store, bank, count), kind)


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
    """Give a key the next changes after a position; active entries include their fingerprints.

    If the log cannot be written, ended entries are still given: the page stops before its first
    active entry. It is refused only if it begins with an active entry.

    Args:
        store: an open store.
        key: of the follower.
        since: the last known revision.
        after: the last known entry of revision `since`; None if all of them are known.
        limit: most entries in the page.
        bank: the only bank to include.
        ended_only: leave out active entries.

    Raises:
        Forbidden: the key's role does not permit it.
        BankMissing: there is no such bank, or the key does not reach it.
        StoreError: the store cannot be read, or the log cannot be written.
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
    # An entry that ended since the page was read appears in a later page.
    left = (one for one in entries if one.state is not State.ACTIVE or one.id in given)
    return replace(page, entries=tuple(left))


def give_entry(store: Store, key: Key, bank: str, entry_id: int) -> Entry:
    """Give a key one entry, with its fingerprint while it is active.

    An entry from another register is not passed on, as in `give_changes`.

    Raises:
        Forbidden: the key's role does not permit it.
        BankMissing: there is no such bank, or the key does not reach it.
        EntryMissing: there is no such entry that may be given.
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
    """Return an entry as it may leave: without its fingerprint if it has ended."""
    state = State.EXPIRED if _is_over(entry) else entry.state
    if state is State.ACTIVE:
        return entry
    without_digests: dict[str, Any] = dict.fromkeys(DIGEST_SIGNALS)
    return replace(
        entry,
        state=state,
        pdqs=(),
        trimmed_pdqs=(),
        anchored=None,
        video=None,
        note="",
        **without_digests,
    )


def _is_over(entry: Entry) -> bool:
    """Whether an entry is past its expiry although its state is still active."""
    return (
        entry.state is State.ACTIVE
        and entry.expires is not None
        and entry.expires.timestamp() <= time.time()
    )


def _active(store: Store, bank: str, count: int) -> Iterator[Entry]:
    """Yield active entries of a bank, read page by page, at most as many as the log records."""
    after = 0
    while count > 0:
        page = list(
            store.entries.list(
                bank, state=State.ACTIVE, after=after, limit=min(_PAGE, count), anchored=True
            )
        )
        if not page:
            return
        active = [entry for entry in page if not _is_over(entry)]
        yield from active
        count -= len(active)
        after = page[-1].id
