"""Answers to writes, kept a while: a client that repeats a request gets the first answer."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from typing import TYPE_CHECKING

import sqlalchemy as sa

from egide.errors import IdempotencyBusy, IdempotencyConflict
from egide.store.entries.records import unix_seconds
from egide.store.tables.service import idempotency

if TYPE_CHECKING:
    from egide.store.database.interface import Database

TAKEN_OVER_AFTER_S = 60
"""A request that has run so long without an answer is taken for one whose process died."""


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """What was answered the first time.

    Attributes:
        status: of HTTP.
        response: its body, JSON text without fingerprints.
    """

    status: int
    response: str = field(repr=False)


class Idempotency:
    """The answers that a store keeps, by key and by the client's token.

    A token is kept as its SHA-256. It is no act of a person, so the log does not tell of it.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def begin(
        self, key_id: int, token: str, request_digest: bytes, *, now: datetime | None = None
    ) -> StoredAnswer | None:
        """Ask for the first answer, or take it on oneself to give it.

        Args:
            key_id: of the key that the request came with.
            token: that the client chose for it.
            request_digest: of all that makes the request what it is.
            now: the time that counts, by default the present.

        Returns:
            the first answer; None if there is none and the caller is to `finish` or `abandon`.

        Raises:
            IdempotencyConflict: the token was used for another request.
            IdempotencyBusy: the first request is still running.
        """
        at = unix_seconds(now or datetime.now(UTC))
        which = _which(key_id, token)
        with self._database.write() as connection:
            row = connection.execute(
                sa.select(
                    idempotency.c.request_digest,
                    idempotency.c.status,
                    idempotency.c.response,
                    idempotency.c.created,
                ).where(which)
            ).one_or_none()
            if row is None:
                connection.execute(
                    sa.insert(idempotency).values(
                        key_id=key_id,
                        token_hash=_hash(token),
                        request_digest=request_digest,
                        created=at,
                    )
                )
                return None
            if bytes(row.request_digest) != request_digest:
                raise IdempotencyConflict
            if row.status is not None:
                return StoredAnswer(row.status, row.response)
            running = row.created + TAKEN_OVER_AFTER_S > at
            if not running or row.created > at:  # taken over; or the clock was ahead, and is not
                connection.execute(sa.update(idempotency).where(which).values(created=at))
        if running:
            raise IdempotencyBusy
        return None

    def finish(self, key_id: int, token: str, status: int, response: str) -> None:
        """Keep the answer; see `StoredAnswer`."""
        with self._database.write() as connection:
            connection.execute(
                sa.update(idempotency)
                .where(_which(key_id, token))
                .values(status=status, response=response)
            )

    def abandon(self, key_id: int, token: str) -> None:
        """Give no answer, so that the request may be made again; one that stands is kept."""
        with self._database.write() as connection:
            connection.execute(
                sa.delete(idempotency)
                .where(_which(key_id, token))
                .where(idempotency.c.status.is_(None))
            )

    def forget(self, older_than: datetime, *, now: datetime | None = None) -> int:
        """Drop what began before a time; return how many.

        What began while the clock was ahead counts as begun now, by default the present.
        """
        at = unix_seconds(now or datetime.now(UTC))
        created = idempotency.c.created
        with self._database.write() as connection:
            connection.execute(sa.update(idempotency).where(created > at).values(created=at))
            return connection.execute(
                sa.delete(idempotency).where(created < unix_seconds(older_than))
            ).rowcount


def _hash(token: str) -> bytes:
    return sha256(token.encode()).digest()


def _which(key_id: int, token: str) -> sa.ColumnElement[bool]:
    return sa.and_(idempotency.c.key_id == key_id, idempotency.c.token_hash == _hash(token))
