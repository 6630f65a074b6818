"""Sessions of people who are signed in. Only a hash of a session's token is stored."""

from __future__ import annotations

import secrets
import time
from hashlib import sha256
from typing import TYPE_CHECKING, Any, cast

import sqlalchemy as sa

from egide.domain.staff import Session, SessionKind
from egide.domain.times import CLOCKS_DIFFER_S, moment, unix_seconds
from egide.errors import StoreError
from egide.store.tables.cases import sessions

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from egide.store.database.interface import Database

_TOKEN_BYTES = 32
TOUCH_S = 10
"""The least time between writes of a session's last use, so that a page load makes one write."""


class Sessions:
    """The sessions of a store.

    A token has 256 random bits, so a plain hash is safe: nobody who reads the database can take
    over a session.
    """

    def __init__(self, database: Database, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._clock = clock

    def start(self, kind: SessionKind, subject_id: int, *, idle_s: int, longest_s: int) -> str:
        """Start a session.

        Args:
            kind: to a case, or as staff.
            subject_id: the number of the case, or of the member of staff.
            idle_s: the session ends after this time without use.
            longest_s: the longest duration of the session.

        Returns:
            its token, 43 characters that are safe in a cookie; it is not stored.
        """
        token = secrets.token_urlsafe(_TOKEN_BYTES)
        now = int(self._clock())
        with self._database.write() as connection:
            connection.execute(
                sa.insert(sessions).values(
                    token_hash=_hash(token),
                    kind=kind,
                    subject_id=subject_id,
                    created=now,
                    seen=now,
                    ends=now + longest_s,
                    idle_s=idle_s,
                )
            )
        return token

    def find(self, token: str) -> Session | None:
        """The session of a token, or None if it is over. Restarts its idle time.

        Uses are written at most every `TOUCH_S` seconds, so a session can end that much early.
        While the store cannot be written, the idle time keeps running.

        Raises:
            StoreError: the store cannot be read.
        """
        token_hash = _hash(token)
        now = int(self._clock())
        with self._database.read() as connection:
            row = connection.execute(
                sa.select(sessions).where(sessions.c.token_hash == token_hash).where(_lives(now))
            ).one_or_none()
        if row is None:
            return None
        if now - row.seen >= TOUCH_S:
            try:
                kept = self._touch(token_hash, now)
            except StoreError:
                kept = True  # a store that is locked or full has just said that it lives
            if not kept:
                return None
        return _session_of(row)

    def _touch(self, token_hash: bytes, now: int) -> bool:
        """Record the use of a session; False if it was ended meanwhile."""
        with self._database.write() as connection:
            used = sa.update(sessions).where(sessions.c.token_hash == token_hash).values(seen=now)
            return bool(connection.execute(used).rowcount)

    def end(self, token: str) -> None:
        """End a session, unless it is over."""
        own = sessions.c.token_hash == _hash(token)
        # Read first: a flood of invented cookies must not block writers.
        with self._database.read() as connection:
            if connection.execute(sa.select(sessions.c.kind).where(own)).scalar() is None:
                return
        with self._database.write() as connection:
            connection.execute(sa.delete(sessions).where(own))

    def end_all(self, kind: SessionKind, subject_id: int) -> None:
        """End all sessions of a case or of a member of staff."""
        with self._database.write() as connection:
            end_all(connection, kind, subject_id)

    def forget(self, now: datetime) -> int:
        """Delete the sessions that are over at `now`.

        Returns:
            the number of deleted sessions.
        """
        with self._database.write() as connection:
            return connection.execute(
                sa.delete(sessions).where(sa.not_(_lives(unix_seconds(now))))
            ).rowcount


def end_all(connection: sa.Connection, kind: SessionKind, subject_id: int) -> None:
    """End all sessions of one subject, within the write transaction that requires it."""
    connection.execute(
        sa.delete(sessions)
        .where(sessions.c.kind == kind)
        .where(sessions.c.subject_id == subject_id)
    )


def _lives(now: int) -> sa.ColumnElement[bool]:
    """Condition: a session is not over; one that began while the clock was ahead is over."""
    return sa.and_(
        sessions.c.ends > now,
        sessions.c.seen + sessions.c.idle_s > now,
        sessions.c.seen <= now + CLOCKS_DIFFER_S,
    )


def _hash(token: str) -> bytes:
    return sha256(token.encode()).digest()


def _session_of(row: Any) -> Session:
    return Session(
        kind=cast("SessionKind", row.kind),
        subject_id=row.subject_id,
        created=moment(row.created),
        ends=moment(row.ends),
        idle_s=row.idle_s,
    )
