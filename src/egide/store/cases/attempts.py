"""Limit attempts to sign in to a case, by case number and by origin.

Numbers without a case are counted like others, so that neither the limits nor the stored counts
reveal which numbers exist. docs/decisions/0015-case-numbers-and-pins.md has the figures.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import blake2b
from typing import TYPE_CHECKING, Final

import sqlalchemy as sa

from egide.domain.times import unix_seconds
from egide.errors import TooManyAttempts
from egide.store.tables.cases import case_attempts

if TYPE_CHECKING:
    from egide.store.database.interface import Database

KEPT_S: Final = 24 * 3600
"""How long a count is kept after the last attempt, and the origin of a successful sign-in."""
_SUBJECT_BYTES = 16


@dataclass(frozen=True, slots=True)
class Limit:
    """How failures delay further attempts; nobody is locked out for good.

    Attributes:
        free: failures without consequence.
        first_s: the wait after the next failure; each further failure doubles it.
        longest_s: the longest wait.
    """

    free: int
    first_s: int
    longest_s: int

    def wait_s(self, failures: int) -> int:
        """The wait after this many failures."""
        if failures <= self.free:
            return 0
        doublings = min(failures - self.free - 1, 32)
        return min(self.first_s << doublings, self.longest_s)


PAIR = Limit(free=5, first_s=30, longest_s=3600)
"""One number from one origin: somebody who mistypes, or guesses at home."""
CASE = Limit(free=20, first_s=60, longest_s=3600)
"""One number from all origins without a successful sign-in within a day."""
ORIGIN = Limit(free=50, first_s=30, longest_s=900)
"""One origin and any numbers; a shelter or a Tor node is one origin for many people."""


@dataclass(frozen=True, slots=True)
class _Count:
    """The count of one subject; times in Unix seconds, `next_at` is the next permitted attempt."""

    failures: int = 0
    next_at: int = 0
    last: int = 0
    succeeded: int | None = None


@dataclass(frozen=True, slots=True)
class Attempt:
    """An attempt in progress, which counts as failed until it succeeds.

    Attributes:
        pair: the subject of number and origin together.
        before: each counted subject's earlier count, and until when it must wait now.
    """

    pair: bytes
    before: tuple[tuple[bytes, _Count, int], ...]


class Attempts:
    """The counts of a store. They are not logged: they concern no entry."""

    def __init__(self, database: Database, identity_key: bytes) -> None:
        self._database = database
        self._identity_key = identity_key

    def begin(self, number: str, origin: str, *, now: datetime | None = None) -> Attempt:
        """Count an attempt before it is made, so that concurrent attempts are counted too.

        Args:
            number: a case number, whether or not a case has it.
            origin: any text that identifies where the attempt comes from.
            now: the time to use; by default the present.

        Raises:
            TooManyAttempts: the attempt must wait.
        """
        at = unix_seconds(now or datetime.now(UTC))
        subjects = self._subjects(number, origin)
        # Read first: a flood of attempts must not block writers.
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
        """Uncount a successful attempt.

        Its origin is known from now on: for a day, failures elsewhere do not delay it. Failures
        elsewhere stay counted; otherwise each visit of the owner would help someone who guesses.
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
        """Delete counts without an attempt for a day; return how many."""
        at = unix_seconds(now or datetime.now(UTC))
        with self._database.write() as connection:
            _move_back(connection, at)
            return connection.execute(
                sa.delete(case_attempts).where(case_attempts.c.last <= at - KEPT_S)
            ).rowcount

    def _subjects(self, number: str, origin: str) -> dict[bytes, Limit]:
        """The subjects of an attempt, the pair of number and origin first."""
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
    """Return the subjects that an attempt counts for: only the pair if its origin is known.

    Raises:
        TooManyAttempts: one of the subjects must wait.
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
    """Set times that were written while the clock was ahead to the present.

    Otherwise everybody would wait until the clock shows that time again.
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
    """Subtract one failure, and restore the wait unless another attempt failed meanwhile."""
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
