"""The records of the log: content, hashes, reading."""

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
"""The `previous` hash of the first record."""
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
    """A record of one act.

    Attributes:
        seq: from 1, without gaps.
        at: Unix seconds.
        actor: a key's name, `local` for the command line, `egide` for the register itself.
        action: `register`, `withdraw`, `create-key` …
        bank: the bank's name, or None.
        revision: the store's revision that the act made, or None.
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
        """The value that `hash` must have."""
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
    """The records in order, in constant memory.

    Args:
        connection: stays in use from the first record to the last.
        after: only records with a greater number.
        subject: only records that name this entry's reference.
        banks: only records of acts with one of these; None for all.
        limit: the most to return.

    Raises:
        LogBroken: a row cannot have been written by Egide.
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
    """The canonical JSON that is hashed and stored."""
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
