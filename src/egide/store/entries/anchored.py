"""Anchored hashes of entries: codes of a picture's regions, beside the codes of its frames."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from egide.domain.model import PDQ_BYTES, AnchoredHashes, State
from egide.domain.times import unix_seconds
from egide.store.entries.banks import get_bank
from egide.store.entries.revisions import current_revision
from egide.store.tables.register import anchored, entries

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from egide.domain.model import Entry
    from egide.store.database.interface import Database
    from egide.store.entries.revisions import Change

_CHUNK = 1000
# Rows of 2 KB at most: a thousand at a time are 2 MB.

# Not a join: SQLite would walk the bank's entries, and sort all codes by number.
_bank_id = (
    sa.select(entries.c.bank_id)
    .where(entries.c.id == anchored.c.entry_id)
    .correlate(anchored)
    .scalar_subquery()
)


@dataclass(frozen=True, slots=True)
class ActiveAnchored:
    """The anchored hashes that may match, at one moment.

    Yields entry and anchored hashes, by number, in constant memory; only once, while the view is
    open.

    Attributes:
        revision: the store's revision in this view.
    """

    revision: int
    _rows: Iterator[tuple[int, AnchoredHashes]]

    def __iter__(self) -> Iterator[tuple[int, AnchoredHashes]]:
        return self._rows


class Anchored:
    """The anchored hashes of a store's entries."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of(self, entry_ids: Collection[int]) -> dict[int, AnchoredHashes]:
        """The anchored hashes of entries, by number; those that have none are left out."""
        with self._database.read() as connection:
            return read_anchored(connection, entry_ids)

    @contextmanager
    def active(
        self, banks: Collection[str] | None = None, *, now: datetime | None = None
    ) -> Iterator[ActiveAnchored]:
        """Revision and anchored hashes of active entries, all at one moment.

        Args:
            banks: names; None for all.
            now: entries that have expired by this time are left out; by default the present.

        Raises:
            BankMissing: no bank has that name.
        """
        at = unix_seconds(now or datetime.now(UTC))
        with self._database.read(long=True) as connection:
            yield read_active_anchored(connection, banks=banks, now_unix_s=at)

    def count(self, bank: str) -> int:
        """How many entries of a bank have anchored hashes.

        Raises:
            BankMissing: no bank has that name.
        """
        with self._database.read(long=True) as connection:
            found: int = connection.execute(
                sa.select(sa.func.count())
                .select_from(anchored)
                .where(_bank_id == get_bank(connection, bank).id)
            ).scalar_one()
            return found


def read_anchored(
    connection: sa.Connection, entry_ids: Collection[int]
) -> dict[int, AnchoredHashes]:
    """The anchored hashes of entries, within the transaction; see `Anchored.of`."""
    found: dict[int, AnchoredHashes] = {}
    wanted = list(entry_ids)
    for start in range(0, len(wanted), _CHUNK):
        rows = connection.execute(
            sa.select(anchored.c.entry_id, anchored.c.codes, anchored.c.version).where(
                anchored.c.entry_id.in_(wanted[start : start + _CHUNK])
            )
        )
        found |= {entry: AnchoredHashes.kept(codes, version) for entry, codes, version in rows}
    return found


def with_anchored(connection: sa.Connection, some: Iterable[Entry]) -> list[Entry]:
    """Entries with their anchored hashes, within the transaction in which they were read."""
    listed = list(some)
    found = read_anchored(connection, [entry.id for entry in listed if entry.anchored_count])
    return [
        replace(entry, anchored=found[entry.id]) if entry.id in found else entry for entry in listed
    ]


def counts(connection: sa.Connection, entry_ids: Collection[int]) -> dict[int, int]:
    """How many anchored hashes each of some entries has, a few thousand at most."""
    rows = connection.execute(
        sa.select(anchored.c.entry_id, sa.func.length(anchored.c.codes)).where(
            anchored.c.entry_id.in_(entry_ids)
        )
    )
    return {entry: size // PDQ_BYTES for entry, size in rows}


def read_active_anchored(
    connection: sa.Connection, *, banks: Collection[str] | None, now_unix_s: int
) -> ActiveAnchored:
    """The anchored hashes of active entries, within the transaction; see `Anchored.active`."""
    query = (
        sa.select(anchored.c.entry_id, anchored.c.codes, anchored.c.version)
        .join(entries, entries.c.id == anchored.c.entry_id)
        .where(entries.c.state == State.ACTIVE.value)
        .where(sa.or_(entries.c.expires.is_(None), entries.c.expires > now_unix_s))
        .order_by(anchored.c.entry_id)
    )
    if banks is not None:
        chosen = [get_bank(connection, name).id for name in banks]
        query = query.where(_bank_id.in_(chosen))
    return ActiveAnchored(current_revision(connection), _in_pages(connection, query))


def _in_pages(
    connection: sa.Connection, query: sa.Select[Any]
) -> Iterator[tuple[int, AnchoredHashes]]:
    rows = connection.execution_options(yield_per=_CHUNK).execute(query)
    for page in rows.partitions():
        for entry, codes, version in page:
            yield entry, AnchoredHashes.kept(codes, version)


def keep(change: Change, wanted: Mapping[int, AnchoredHashes]) -> int:
    """Store the anchored hashes of active entries that have none; the others keep theirs.

    Args:
        change: the transaction.
        wanted: by the entry's number; a few thousand at most.

    Returns:
        how many entries were changed that this change had not touched yet.
    """
    if not wanted:
        return 0
    held = sa.select(anchored.c.entry_id).where(anchored.c.entry_id.in_(list(wanted)))
    old = set(change.connection.execute(held).scalars())
    new = {entry: kept for entry, kept in wanted.items() if entry not in old}
    if not new:
        return 0
    change.connection.execute(
        sa.insert(anchored),
        [
            {"entry_id": entry, "version": kept.version, "codes": kept.codes}
            for entry, kept in new.items()
        ],
    )
    change.touch(new)
    return change.mark(list(new))
