"""Read the log with a key."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egide.domain.access import Permission

if TYPE_CHECKING:
    from egide.domain.access import Key
    from egide.store import Store
    from egide.store.log.records import LogRecord


def log_page(
    store: Store, by: Key, *, after: int = 0, limit: int, entry: int | None = None
) -> list[LogRecord]:
    """Records of the log in order.

    A key that is restricted to some banks gets only the records of those.

    Args:
        store: an open store.
        by: the reader's key.
        after: only records with a greater number.
        limit: of records.
        entry: only records that name this entry.

    Raises:
        Forbidden: the key's role does not permit it.
        EntryMissing, LogBroken: as for `Log.records`.
    """
    by.require(Permission.READ_LOG)
    return list(store.log.records(after=after, limit=limit, entry=entry, banks=by.banks))
