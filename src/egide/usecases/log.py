"""The log, as the holder of a key may read it."""

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

    With a key that is kept to some banks, only what was done with those: the rest tells of others.

    Args:
        store: an open store.
        by: the key of whoever reads.
        after: only records of a greater number.
        limit: at most so many.
        entry: only records that name this entry.

    Raises:
        Forbidden: the key's role is not for this.
        EntryMissing, LogBroken: as for `Log.records`.
    """
    by.require(Permission.READ_LOG)
    return list(store.log.records(after=after, limit=limit, entry=entry, banks=by.banks))
