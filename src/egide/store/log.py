"""The log: who did what, when, to which entry, in a chain that shows tampering.

Each record holds the hash of the one before it. Entries are named by keyed references, which say
nothing without the store and stay when a fingerprint is erased. No record holds a fingerprint, a
note or a file name.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from hashlib import blake2b, sha256
from typing import TYPE_CHECKING

import sqlalchemy as sa

from egide.store.service_schema import log

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

START = bytes(32)
"""What stands in the first record in place of a hash before it."""
MAX_SUBJECTS = 100
"""A record names so many entries; of more it says the revision that changed them, and how many."""
_REFERENCE_BYTES = 12


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
        subjects: references of the entries, see `entry_reference`.
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
        return sha256(self.previous + _canonical(content).encode()).digest()


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
    """Write a record, within the one write transaction that does what it tells of.

    Arguments are the fields of `LogRecord`.
    """
    last = connection.execute(
        sa.select(log.c.seq, log.c.hash).order_by(log.c.seq.desc()).limit(1)
    ).one_or_none()
    seq, previous = (1, START) if last is None else (last.seq + 1, last.hash)
    record = LogRecord(
        seq, at, actor, action, bank, revision, tuple(subjects), detail or {}, previous, b""
    )
    connection.execute(
        sa.insert(log).values(
            seq=seq,
            at=at,
            actor=actor,
            action=action,
            bank=bank,
            revision=revision,
            subjects=",".join(record.subjects),
            detail=_canonical(dict(record.detail)),
            previous=previous,
            hash=record.computed_hash(),
        )
    )


def entry_reference(identity_key: bytes, entry_id: int) -> str:
    """What the log calls an entry: 24 hexadecimal digits, not to be guessed without the key."""
    digest = blake2b(
        entry_id.to_bytes(8), digest_size=_REFERENCE_BYTES, key=identity_key, person=b"log-entry"
    )
    return digest.hexdigest()


def _canonical(value: object) -> str:
    return json.dumps(value, ensure_ascii=True, sort_keys=True, separators=(",", ":"))
