"""Answers to writes, kept for a while: a client that repeats a request gets the first answer."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from typing import TYPE_CHECKING

import sqlalchemy as sa

from egide.domain.times import unix_seconds
from egide.errors import IdempotencyBusy, IdempotencyConflict
from egide.store.tables.service import idempotency

if TYPE_CHECKING:
    from egide.store.database.interface import Database

TAKEN_OVER_AFTER_S = 60
"""The process of a request that has run this long without an answer is presumed dead."""


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """The first answer to a request.

    Attributes:
        status: HTTP status.
        response: its body, JSON text without fingerprints.
    """

    status: int
    response: str = field(repr=False)


class Idempotency:
    """The answers that a store keeps, by key and client's token.

    A token is kept as its SHA-256. Nothing here is logged: it is no act of a person.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def begin(
        self, key_id: int, token: str, request_digest: bytes, *, now: datetime | None = None
    ) -> StoredAnswer | None:
        """Return the first answer, or claim the request so that the caller answers it.

        Args:
            key_id: of the request's key.
            token: chosen by the client for this request.
            request_digest: of the whole request.
            now: the time to use; by default the present.

        Returns:
            the first answer; None if the caller must answer, then `finish` or `abandon`.

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
            if not running or row.created > at:  # taken over, or begun while the clock was ahead
                connection.execute(sa.update(idempotency).where(which).values(created=at))
        if running:
            raise IdempotencyBusy
        return None

    def finish(self, key_id: int, token: str, status: int, response: str) -> None:
        """Store the answer; see `StoredAnswer`."""
        with self._database.write() as connection:
            connection.execute(
                sa.update(idempotency)
                .where(_which(key_id, token))
                .values(status=status, response=response)
            )

    def abandon(self, key_id: int, token: str) -> None:
        """Release the request, so that it can be made again; a stored answer is kept."""
        with self._database.write() as connection:
            connection.execute(
                sa.delete(idempotency)
                .where(_which(key_id, token))
                .where(idempotency.c.status.is_(None))
            )

    def forget(self, older_than: datetime, *, now: datetime | None = None) -> int:
        """Delete requests that began before a time; return how many.

        A request that began while the clock was ahead counts as begun `now`.
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
