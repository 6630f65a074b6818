"""The records of the log: their content, their hashes, how they are read."""

from __future__ import annotations

import json
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from egide.errors import LogBroken
from egide.store.tables.service import log

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

START = bytes(32)
"""What stands in the first record in place of a hash before it."""
_CHUNK = 1000
_COLUMNS = (
    log.c.seq,
    log.c.at,
    log.c.actor,
    log.c.action,
    log.c.bank,
    log.c.revision,
    log.c.subjects,
    log.c.detail,
    log.c.previous,
    log.c.hash,
)


@dataclass(frozen=True, slots=True)
class LogRecord:
    """One thing that was done.

    Attributes:
        seq: from 1, without a gap.
        at: Unix seconds.
        actor: a key's name, `local` for the command line, `egide` for the register itself.
        action: a word: `register`, `withdraw`, `create-key` …
        bank: its name, or None.
        revision: of the store, that it made; None where nothing changed that has revisions.
        subjects: references of the entries, see `egide.store.log.log.entry_reference`.
        detail: further words and numbers.
        previous: the hash of record `seq` − 1, or `START`.
        hash: SHA-256 of all of this.
    """

    seq: int
    at: int
    actor: str
    action: str
    bank: str | None
    revision: int | None
    subjects: tuple[str, ...]
    detail: Mapping[str, str | int]
    previous: bytes
    hash: bytes

    def computed_hash(self) -> bytes:
        """What `hash` has to be."""
        content = [
            self.seq,
            self.at,
            self.actor,
            self.action,
            self.bank,
            self.revision,
            list(self.subjects),
            dict(self.detail),
        ]
        return sha256(self.previous + canonical(content).encode()).digest()


def read_records(
    connection: sa.Connection,
    *,
    after: int = 0,
    subject: str | None = None,
    banks: Collection[str] | None = None,
    limit: int | None = None,
) -> Iterator[LogRecord]:
    """The records in order, in flat memory.

    Args:
        connection: to read with, from the first record to the last.
        after: only records of a greater number.
        subject: only records that name this reference of an entry.
        banks: only records of acts with one of these; None for all.
        limit: at most so many.

    Raises:
        LogBroken: a row that nothing of ours has written.
    """
    query = sa.select(*_COLUMNS).order_by(log.c.seq)
    if subject is not None:
        query = query.where(log.c.subjects.contains(subject, autoescape=True))
    if banks is not None:
        query = query.where(log.c.bank.in_(banks))
    left = limit
    while left is None or left > 0:
        size = _CHUNK if left is None else min(_CHUNK, left)
        rows = connection.execute(query.where(log.c.seq > after).limit(size)).all()
        yield from (_record_of(row) for row in rows)
        if len(rows) < size:
            return
        after = rows[-1].seq
        left = None if left is None else left - size


def canonical(value: object) -> str:
    """The one spelling in JSON that is hashed and stored."""
    return json.dumps(value, ensure_ascii=True, sort_keys=True, separators=(",", ":"))


def _record_of(row: Sequence[Any]) -> LogRecord:
    seq, at, actor, action, bank, revision, subjects, detail, previous, hash_ = row
    try:
        words = json.loads(detail)
        sound = canonical(words) == detail and isinstance(words, dict)
        named = tuple(subjects.split(",")) if subjects else ()
    except (AttributeError, TypeError, ValueError) as error:
        raise LogBroken(seq=seq, reason="it cannot be read") from error
    if not (sound and isinstance(previous, bytes) and isinstance(hash_, bytes)):
        raise LogBroken(seq=seq, reason="it cannot be read")
    return LogRecord(seq, at, actor, action, bank, revision, named, words, previous, hash_)
