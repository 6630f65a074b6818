"""Attempts to sign in to a case, limited by number and by where they come from.

A number that no case has is counted like any other, so that neither the counting nor what is kept
of it tells which numbers exist. See docs/decisions/0015-case-numbers-and-pins.md for the figures.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import blake2b
from typing import TYPE_CHECKING, Final

import sqlalchemy as sa

from egide.errors import TooManyAttempts
from egide.store.entries.records import unix_seconds
from egide.store.tables.cases import case_attempts

if TYPE_CHECKING:
    from egide.store.database.interface import Database

KEPT_S: Final = 24 * 3600
"""A count is forgotten so long after the last attempt, and where somebody has signed in from."""
_SUBJECT_BYTES = 16


@dataclass(frozen=True, slots=True)
class Limit:
    """How failures slow down further attempts; none is refused for good.

    Attributes:
        free: so many fail without consequence.
        first_s: the wait after the next one; each further one doubles it,
        longest_s: … up to this.
    """

    free: int
    first_s: int
    longest_s: int

    def wait_s(self, failures: int) -> int:
        """How long nobody may try again after so many failures."""
        if failures <= self.free:
            return 0
        doublings = min(failures - self.free - 1, 32)
        return min(self.first_s << doublings, self.longest_s)


PAIR = Limit(free=5, first_s=30, longest_s=3600)
"""One number from one place: somebody who mistypes, or who guesses at home."""
CASE = Limit(free=20, first_s=60, longest_s=3600)
"""One number from anywhere else than where it was opened with success within a day."""
ORIGIN = Limit(free=50, first_s=30, longest_s=900)
"""One place and any numbers; a shelter, or a node of Tor, is one place for many people."""


@dataclass(frozen=True, slots=True)
class _Count:
    """How a subject stands; times are in Unix seconds, `next_at` is when it may be tried again."""

    failures: int = 0
    next_at: int = 0
    last: int = 0
    succeeded: int | None = None


@dataclass(frozen=True, slots=True)
class Attempt:
    """An attempt that is under way and counts as failed until it is known to have succeeded.

    Attributes:
        pair: the subject of number and place together.
        before: how each subject that was counted stood before, and until when it waits now.
    """

    pair: bytes
    before: tuple[tuple[bytes, _Count, int], ...]


class Attempts:
    """The counts of a store. It is no act on an entry, so the log does not tell of it."""

    def __init__(self, database: Database, identity_key: bytes) -> None:
        self._database = database
        self._identity_key = identity_key

    def begin(self, number: str, origin: str, *, now: datetime | None = None) -> Attempt:
        """Count an attempt before it is made, so that many at once are counted too.

        Args:
            number: of a case, whether or not there is one.
            origin: where it comes from, in whatever spelling tells one place from another.
            now: the time that counts, by default the present.

        Raises:
            TooManyAttempts: it must wait.
        """
        at = unix_seconds(now or datetime.now(UTC))
        subjects = self._subjects(number, origin)
        # Reading first: whoever hammers holds up no writer.
        with self._database.read() as connection:
            counts = _counts(connection, list(subjects))
            ahead = any(count.last > at for count in counts.values())
            if not ahead:
                _check(counts, subjects, at)
        if ahead:
            with self._database.write() as connection:
                _move_back(connection, at, case_attempts.c.subject.in_(subjects))
        with self._database.write() as connection:
            counts = _counts(connection, list(subjects))
            counted = _check(counts, subjects, at)
            before: list[tuple[bytes, _Count, int]] = []
            for subject, limit in counted.items():
                old = counts.get(subject)
                failures = (old.failures if old else 0) + 1
                next_at = at + limit.wait_s(failures)
                _keep(connection, subject, old, failures=failures, next_at=next_at, last=at)
                before.append((subject, old or _Count(), next_at))
        return Attempt(next(iter(subjects)), tuple(before))

    def succeed(self, attempt: Attempt, *, now: datetime | None = None) -> None:
        """Take an attempt back that was none to guess.

        Its place is known from now on: for a day, failures elsewhere do not make it wait. Failures
        elsewhere stay counted, or whoever guesses could make use of each time the owner comes.
        """
        at = unix_seconds(now or datetime.now(UTC))
        values = {"failures": 0, "next_at": 0, "last": at, "succeeded": at}
        with self._database.write() as connection:
            for subject, old, next_at in attempt.before:
                if subject != attempt.pair:
                    _take_back(connection, subject, old, next_at)
            connection.execute(
                sa.update(case_attempts)
                .where(case_attempts.c.subject == attempt.pair)
                .values(**values)
            )

    def forget(self, now: datetime | None = None) -> int:
        """Forget what has not been tried for a day; return how many subjects."""
        at = unix_seconds(now or datetime.now(UTC))
        with self._database.write() as connection:
            _move_back(connection, at)
            return connection.execute(
                sa.delete(case_attempts).where(case_attempts.c.last <= at - KEPT_S)
            ).rowcount

    def _subjects(self, number: str, origin: str) -> dict[bytes, Limit]:
        """The subjects of an attempt, the pair of number and place first."""
        return {
            self._subject("pair", number, origin): PAIR,
            self._subject("case", number, ""): CASE,
            self._subject("origin", "", origin): ORIGIN,
        }

    def _subject(self, kind: str, number: str, origin: str) -> bytes:
        digest = blake2b(
            digest_size=_SUBJECT_BYTES, key=self._identity_key, person=b"case-attempts"
        )
        digest.update("\0".join((kind, number, origin)).encode(errors="surrogatepass"))
        return digest.digest()


def _check(
    counts: dict[bytes, _Count], subjects: dict[bytes, Limit], at: int
) -> dict[bytes, Limit]:
    """Return what an attempt counts for; where its place is known, that is the pair alone.

    Raises:
        TooManyAttempts: one of them must wait.
    """
    pair = next(iter(subjects))
    succeeded = counts[pair].succeeded if pair in counts else None
    known = succeeded is not None and at < succeeded + KEPT_S
    counted = {pair: subjects[pair]} if known else subjects
    next_at = max((counts[one].next_at for one in counted if one in counts), default=0)
    if next_at > at:
        raise TooManyAttempts(retry_after_s=next_at - at)
    return counted


def _counts(connection: sa.Connection, subjects: list[bytes]) -> dict[bytes, _Count]:
    rows = connection.execute(
        sa.select(
            case_attempts.c.subject,
            case_attempts.c.failures,
            case_attempts.c.next_at,
            case_attempts.c.last,
            case_attempts.c.succeeded,
        ).where(case_attempts.c.subject.in_(subjects))
    )
    return {
        bytes(subject): _Count(failures, next_at, last, succeeded)
        for subject, failures, next_at, last, succeeded in rows
    }


def _move_back(
    connection: sa.Connection, at: int, which: sa.ColumnElement[bool] | None = None
) -> None:
    """Have what was written while the clock was ahead have happened now.

    Else everybody waits until the time that the clock once showed comes again.
    """
    late = case_attempts.c.last - at
    moved = sa.update(case_attempts).where(case_attempts.c.last > at)
    connection.execute(
        (moved if which is None else moved.where(which)).values(
            next_at=case_attempts.c.next_at - late,
            succeeded=case_attempts.c.succeeded - late,
            last=at,
        )
    )


def _take_back(connection: sa.Connection, subject: bytes, old: _Count, next_at: int) -> None:
    """Count one failure less, and wait as before unless another has failed meanwhile."""
    waits = case_attempts.c.next_at
    connection.execute(
        sa.update(case_attempts)
        .where(case_attempts.c.subject == subject, case_attempts.c.failures > 0)
        .values(
            failures=case_attempts.c.failures - 1,
            next_at=sa.case((waits == next_at, old.next_at), else_=waits),
        )
    )


def _keep(
    connection: sa.Connection,
    subject: bytes,
    old: _Count | None,
    *,
    failures: int,
    next_at: int,
    last: int,
) -> None:
    values = {"failures": failures, "next_at": next_at, "last": last}
    if old is None:
        connection.execute(sa.insert(case_attempts).values(subject=subject, **values))
    else:
        connection.execute(
            sa.update(case_attempts).where(case_attempts.c.subject == subject).values(**values)
        )
