"""The store's monotonic change counter."""

from __future__ import annotations

import time
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING

import sqlalchemy as sa

from egide.domain.model import Revision
from egide.domain.times import moment
from egide.store.database.erasure import note_erasure
from egide.store.log import log
from egide.store.log.bank_names import name_at
from egide.store.messages.outbox import announce_change
from egide.store.tables.register import anchored, details, entries, keypoints, revisions, videos

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

    from egide.store.database.interface import Database

_IN_SNAPSHOTS = (anchored, videos)
_BESIDE = (*_IN_SNAPSHOTS, details, keypoints)
"""Tables of what an entry has besides its row, and has no longer when it ends."""
# Any plan is fast for fewer rows; updating statistics takes PostgreSQL some milliseconds.
_NOTICED_FROM = 2000


class Change:
    """One write transaction and its revision, which is made when the first row needs it.

    So a call that changes nothing makes no revision.

    Attributes:
        connection: where to write.
        at: Unix seconds to stamp rows with.
        entries: how many entries the change touches; counted by the caller.
        erased: whether it erases or replaces data that must not stay in the database's files; set
            by the caller, like `erased_entries`.
        erased_entries: whether it erases fingerprints of entries, which a snapshot may also hold.
        detail: further words for the log.
    """

    def __init__(
        self,
        connection: sa.Connection,
        action: str,
        *,
        actor: str,
        identity_key: bytes,
        notice_growth: Callable[[sa.Connection], None],
    ) -> None:
        self.connection = connection
        self.at = int(time.time())
        self.entries = 0
        self.erased = False
        self.erased_entries = False
        self.bank_id: int | None = None
        self.detail: dict[str, str | int] = {}
        self._action = action
        self._actor = actor
        self._identity_key = identity_key
        self._revision: int | None = None
        self._touched: set[int] = set()
        self._notice_growth = notice_growth
        self._added = 0
        self._noticed = _NOTICED_FROM

    def revision(self) -> int:
        """The revision to stamp changed rows with."""
        if self._revision is None:
            # Not a database sequence: PostgreSQL's leaves a gap when a change is rolled back.
            number = current_revision(self.connection) + 1
            self.connection.execute(
                sa.insert(revisions).values(id=number, at=self.at, action=self._action, entries=0)
            )
            self._revision = number
        return self._revision

    @property
    def made_revision(self) -> bool:
        """Whether anything was changed."""
        return self._revision is not None

    def final_revision(self) -> int:
        """The store's revision after this change is committed, whether or not it made one."""
        if self._revision is None:
            return current_revision(self.connection)
        return self._revision

    def touch(self, entry_ids: Iterable[int]) -> None:
        """Name these entries in the log, unless the change has too many."""
        if len(self._touched) <= log.MAX_SUBJECTS:
            self._touched.update(islice(entry_ids, log.MAX_SUBJECTS + 1))

    def mark(self, entry_ids: Collection[int]) -> int:
        """Stamp entries, at most as many as fit in a statement, as changed.

        Returns:
            how many of them this change had not stamped yet.
        """
        return self.connection.execute(
            sa.update(entries)
            .where(entries.c.id.in_(entry_ids))
            .where(entries.c.revision < self.revision())
            .values(changed=self.at, revision=self.revision())
        ).rowcount

    def erase_beside(self, entry_ids: Sequence[int], tables: Iterable[sa.Table] = _BESIDE) -> None:
        """Delete what entries, at most as many as fit in a statement, have besides their rows."""
        if not entry_ids:
            return
        for table in tables:
            deleted = self.connection.execute(
                sa.delete(table).where(table.c.entry_id.in_(entry_ids))
            ).rowcount
            self.erased_entries |= deleted > 0 and table in _IN_SNAPSHOTS
            self.erased |= deleted > 0 and table not in _IN_SNAPSHOTS

    def grew(self, entries: int) -> None:
        """Notify the database when the entries added by this change have doubled."""
        self._added += entries
        if self._added >= self._noticed:
            self._notice_growth(self.connection)
            self._noticed = 2 * self._added

    def close(self) -> None:
        """Record what the revision did, for readers of changes and in the log."""
        if self._revision is None:
            return
        if self.erased or self.erased_entries:
            note_erasure(
                self.connection,
                at=self.at,
                revision=self._revision if self.erased_entries else None,
            )
        self.connection.execute(
            sa.update(revisions)
            .where(revisions.c.id == self._revision)
            .values(entries=self.entries, bank_id=self.bank_id)
        )
        bank = None
        if self.bank_id is not None:
            bank = name_at(self.connection, self.bank_id, self._revision)
        named = sorted(self._touched) if len(self._touched) <= log.MAX_SUBJECTS else ()
        log.append(
            self.connection,
            at=self.at,
            actor=self._actor,
            action=self._action,
            bank=bank,
            revision=self._revision,
            subjects=[log.entry_reference(self._identity_key, entry) for entry in named],
            detail={"entries": self.entries, **self.detail},
        )
        if self.entries:
            announce_change(
                self.connection,
                at=self.at,
                action=self._action,
                bank=bank,
                revision=self._revision,
                entry_ids=named,
                entries=self.entries,
                actor=self._actor,
            )


@contextmanager
def change(database: Database, action: str, *, actor: str, identity_key: bytes) -> Iterator[Change]:
    """A write transaction that makes at most one revision; an exception undoes all of it.

    Args:
        database: to write to.
        action: the act, for the log.
        actor: their name in the log.
        identity_key: of the store; hides the numbers of entries in the log.
    """
    with database.write() as connection:
        made = Change(
            connection,
            action,
            actor=actor,
            identity_key=identity_key,
            notice_growth=database.notice_growth,
        )
        yield made
        made.close()
        if made.made_revision:
            database.announce(connection)


def current_revision(connection: sa.Connection) -> int:
    """The last revision, 0 for a new store."""
    return connection.execute(sa.select(sa.func.max(revisions.c.id))).scalar() or 0


def find_revision(connection: sa.Connection, number: int) -> Revision | None:
    """The revision with that number, or None."""
    row = connection.execute(
        sa.select(
            revisions.c.id,
            revisions.c.at,
            revisions.c.action,
            revisions.c.bank_id,
            revisions.c.entries,
        ).where(revisions.c.id == number)
    ).one_or_none()
    if row is None:
        return None
    bank = None if row.bank_id is None else name_at(connection, row.bank_id, row.id)
    return Revision(row.id, moment(row.at), row.action, bank, row.entries)
