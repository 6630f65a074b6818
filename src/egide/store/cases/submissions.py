"""What was submitted lately, so that a form whose answer was lost can be sent again."""

from __future__ import annotations

import struct
from hashlib import blake2b
from typing import TYPE_CHECKING, NamedTuple

import sqlalchemy as sa

from egide.errors import SubmissionConflict
from egide.store.tables.cases import cases, submissions

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from egide.domain.cases import NewImage

KEPT_S = 24 * 3600
"""Longer than a proof of work holds: after it, nothing can be submitted a second time."""
_UNKNOWN_QUALITY = 255
_lengths = struct.Struct(">BBB").pack


class Submitted(NamedTuple):
    """What a submission has led to.

    Attributes:
        pin_hash: of the case.
        new: whether it was done now, and not the first time it was sent.
    """

    case_id: int
    pin_hash: str
    new: bool


def digest_of(images: Iterable[NewImage], identity_key: bytes) -> bytes:
    """What tells a submission from another, 32 bytes, useless without the key.

    The PIN is no part of it: a fast hash of one would be guessed.
    """
    digest = blake2b(digest_size=32, key=identity_key, person=b"submission")
    for image in images:
        pdq = image.pdq or b""
        quality = _UNKNOWN_QUALITY if image.quality is None else image.quality
        digest.update(_lengths(list(type(image.kind)).index(image.kind), len(pdq), quality))
        digest.update(pdq + image.sha256)
    return digest.digest()


def find(connection: sa.Connection, submission: bytes, digest: bytes) -> Submitted | None:
    """What a submission led to when it was sent before.

    Raises:
        SubmissionConflict: it had another content.
    """
    row = connection.execute(
        sa.select(submissions.c.case_id, submissions.c.digest, cases.c.pin_hash)
        .join(cases, cases.c.id == submissions.c.case_id)
        .where(submissions.c.id == submission)
    ).one_or_none()
    if row is None:
        return None
    if bytes(row.digest) != digest:
        raise SubmissionConflict
    return Submitted(row.case_id, row.pin_hash, new=False)


def keep(
    connection: sa.Connection, submission: bytes, digest: bytes, *, case_id: int, at: int
) -> None:
    """Remember a submission, in the transaction that does what it asks for."""
    connection.execute(
        sa.insert(submissions).values(id=submission, case_id=case_id, digest=digest, created=at)
    )


def forget(connection: sa.Connection, now_unix_s: int) -> None:
    """Forget those whose time is over; those that a clock once put into the future are of now."""
    created = submissions.c.created
    connection.execute(
        sa.update(submissions).where(created > now_unix_s).values(created=now_unix_s)
    )
    connection.execute(sa.delete(submissions).where(created < now_unix_s - KEPT_S))


def forget_cases(connection: sa.Connection, case_ids: Collection[int]) -> None:
    """Forget those of these cases."""
    connection.execute(sa.delete(submissions).where(submissions.c.case_id.in_(case_ids)))


def any_due(connection: sa.Connection, now_unix_s: int) -> bool:
    """Whether `forget` has anything to do."""
    created = submissions.c.created
    due = sa.or_(created < now_unix_s - KEPT_S, created > now_unix_s)
    return connection.execute(sa.select(submissions.c.id).where(due).limit(1)).scalar() is not None
