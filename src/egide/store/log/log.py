"""The log: who did what, when, to which entry, in a chain that shows tampering.

Each record holds the hash of the previous one. Keyed references name entries; they are meaningless
without the store and stay when a fingerprint is erased. No record holds a fingerprint, a note or a
file name.
"""

from __future__ import annotations

import time
from functools import partial
from hashlib import blake2b
from typing import TYPE_CHECKING

import sqlalchemy as sa

from egide.errors import EntryMissing
from egide.store.log import check
from egide.store.log.records import START, LogRecord, canonical, read_records
from egide.store.tables.register import MAX_ENTRY_ID
from egide.store.tables.service import log

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Mapping

    from egide.store.database.interface import Database
    from egide.store.log.check import LogVerdict

MAX_SUBJECTS = 100
"""The most entries that a record names; for more it has only their number and the revision."""
_REFERENCE_BYTES = 12


class Log:
    """The log of a store: read it, check it, append to it."""

    def __init__(self, database: Database, identity_key: bytes, actor: str) -> None:
        self._database = database
        self._identity_key = identity_key
        self._actor = actor

    def append(
        self,
        action: str,
        *,
        bank: str | None = None,
        entry_ids: Iterable[int] = (),
        detail: Mapping[str, str | int] | None = None,
    ) -> None:
        """Record an act that makes no revision, such as an export, in its own transaction.

        Args:
            action: a word for the act.
            bank: the bank that it concerns.
            entry_ids: the entries that it concerns, if they are at most `MAX_SUBJECTS`.
            detail: further words; never a fingerprint, a key, a note or a file name.
        """
        with self._database.write() as connection:
            append(
                connection,
                at=int(time.time()),
                actor=self._actor,
                action=action,
                bank=bank,
                subjects=[entry_reference(self._identity_key, entry) for entry in entry_ids],
                detail=detail,
            )

    def records(
        self,
        *,
        after: int = 0,
        limit: int | None = None,
        entry: int | None = None,
        banks: Collection[str] | None = None,
    ) -> Generator[LogRecord]:
        """The records in order, in constant memory; a read transaction stays open until the last.

        Args:
            after: only records with a greater number.
            limit: the most to return.
            entry: only records that name this entry. Acts on more than `MAX_SUBJECTS` entries
                name none.
            banks: only records of acts with one of these; None for all records.

        Raises:
            EntryMissing: no entry can have this number.
            LogBroken: a record cannot be read.
        """
        subject = None
        if entry is not None:
            if not 0 < entry <= MAX_ENTRY_ID:
                raise EntryMissing(entry=entry, bank="any")
            subject = entry_reference(self._identity_key, entry)
        read = partial(read_records, after=after, limit=limit, subject=subject, banks=banks)
        return self._read(read)

    def _read(self, read: Callable[[sa.Connection], Iterator[LogRecord]]) -> Generator[LogRecord]:
        with self._database.read() as connection:
            yield from read(connection)

    def head(self) -> tuple[int, bytes]:
        """Number and hash of the last record; 0 and `START` if the log is empty."""
        with self._database.read() as connection:
            return _head(connection)

    def verify(
        self,
        *,
        expected_head: tuple[int, bytes] | None = None,
        on_progress: Callable[[int], None] | None = None,
    ) -> LogVerdict:
        """Check every record, their chain, and their agreement with the store's revisions and keys.

        Someone who can write the whole database can also write a new chain. So note the number and
        hash of a record elsewhere and give them here.

        Args:
            expected_head: number and hash of a record, as noted earlier.
            on_progress: called from time to time with the number of checked records.

        Raises:
            LogBroken: a record is wrong; the message names the first one.
        """
        with self._database.read() as connection:
            return check.verify(connection, expected_head=expected_head, on_progress=on_progress)


def append(
    connection: sa.Connection,
    *,
    at: int,
    actor: str,
    action: str,
    bank: str | None = None,
    revision: int | None = None,
    subjects: Iterable[str] = (),
    detail: Mapping[str, str | int] | None = None,
) -> None:
    """Write a record, within the write transaction of the act itself.

    Arguments are the fields of `LogRecord`.
    """
    last, previous = _head(connection)
    record = LogRecord(
        last + 1, at, actor, action, bank, revision, tuple(subjects), detail or {}, previous, b""
    )
    connection.execute(
        sa.insert(log).values(
            seq=record.seq,
            at=at,
            actor=actor,
            action=action,
            bank=bank,
            revision=revision,
            subjects=",".join(record.subjects),
            detail=canonical(dict(record.detail)),
            previous=previous,
            hash=record.computed_hash(),
        )
    )


def entry_reference(identity_key: bytes, entry_id: int) -> str:
    """The log's reference to an entry: 24 hexadecimal digits, derived with a secret key."""
    digest = blake2b(
        entry_id.to_bytes(8), digest_size=_REFERENCE_BYTES, key=identity_key, person=b"log-entry"
    )
    return digest.hexdigest()


def _head(connection: sa.Connection) -> tuple[int, bytes]:
    last = connection.execute(
        sa.select(log.c.seq, log.c.hash).order_by(log.c.seq.desc()).limit(1)
    ).one_or_none()
    return (0, START) if last is None else (last.seq, last.hash)
