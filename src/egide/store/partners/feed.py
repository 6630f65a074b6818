"""Changes in pages, which another register can follow and resume after any break."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from egide.domain.model import BankKind, State
from egide.domain.names import FOLLOWED
from egide.domain.partners import FeedPage, Position
from egide.store.entries.anchored import with_anchored
from egide.store.entries.records import ENTRY_COLUMNS, read_some
from egide.store.entries.revisions import current_revision
from egide.store.log.bank_names import bank_names
from egide.store.tables.register import banks as bank_table
from egide.store.tables.register import entries

if TYPE_CHECKING:
    from collections.abc import Collection

    from egide.domain.model import Entry
    from egide.store.database.interface import Database


class Feed:
    """The changes of a store, for followers; see `Store.feed`.

    Entries from another register are not passed on; a partner can follow that register itself.
    Otherwise two registers that follow each other would keep each other's withdrawn entries alive.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def page(
        self,
        since: int,
        *,
        after: int | None = None,
        limit: int,
        banks: Collection[str] | None = None,
        ended_only: bool = False,
    ) -> FeedPage:
        """The next changes after a position, with the entries' anchored hashes.

        A page ends early where its entries have `MAX_CODES_READ` codes: videos have many.

        Args:
            since: the last revision that is known already.
            after: entries of revision `since` with a greater number are not known yet; None if
                all of the revision is known.
            limit: the most entries.
            banks: only entries of these banks; None for all.
            ended_only: leave out active entries.
        """
        wanted = (
            sa.select(*ENTRY_COLUMNS)
            .where(entries.c.source.not_like(f"{FOLLOWED}%"))
            .order_by(entries.c.revision, entries.c.id)
        )
        if banks is not None:
            ids = sa.select(bank_table.c.id).where(bank_table.c.name.in_(banks))
            wanted = wanted.where(entries.c.bank_id.in_(ids))
        if ended_only:
            wanted = wanted.where(entries.c.state != State.ACTIVE.value)
        with self._database.read() as connection:
            names = bank_names(connection)
            found: list[Entry] = []
            full = False
            # First one revision, then later ones: each is one step in the index, as in
            # `entries.list_changes`.
            if after is not None:
                rest = wanted.where(entries.c.revision == since, entries.c.id > after)
                found, full = read_some(connection, rest.limit(limit + 1), names)
            if len(found) <= limit and not full:
                later = wanted.where(entries.c.revision > since)
                left = limit + 1 - len(found)
                others, full = read_some(connection, later.limit(left), names)
                found += others
            more = full or len(found) > limit
            found = with_anchored(connection, found[:limit])
            revision = current_revision(connection)
            is_negative = bank_table.c.kind == BankKind.NEGATIVE.value
            negative = connection.execute(sa.select(bank_table.c.name).where(is_negative))
            harmless = frozenset(negative.scalars())
            head = connection.execute(
                sa.select(entries.c.revision, entries.c.id)
                .order_by(entries.c.revision.desc(), entries.c.id.desc())
                .limit(1)
            ).one_or_none()
        position = Position(since, after or 0)
        if more:
            position = Position(found[-1].revision, found[-1].id)
        elif head is not None:
            # Also past filtered entries, which every poll would otherwise read again.
            position = max(position, Position(head.revision, head.id))
        return FeedPage(tuple(found), revision, position, more, harmless)
