"""Recent submissions, so that a form whose answer was lost can be sent again."""

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
"""Longer than a proof of work is valid: afterwards nothing can be submitted a second time."""
_UNKNOWN_QUALITY = 255
_ANCHORED = b"\xff"
# No image begins with it, so that the digest of those without anchored hashes is as it was.
_lengths = struct.Struct(">BBB").pack


class Submitted(NamedTuple):
    """The result of a submission.

    Attributes:
        pin_hash: of the case.
        new: whether it was done now; False if it is repeated.
    """

    case_id: int
    pin_hash: str
    new: bool


def digest_of(images: Iterable[NewImage], identity_key: bytes) -> bytes:
    """A keyed digest of a submission, 32 bytes.

    The PIN is left out: it could be guessed from a fast hash.
    """
    digest = blake2b(digest_size=32, key=identity_key, person=b"submission")
    for image in images:
        pdq = image.pdq or b""
        quality = _UNKNOWN_QUALITY if image.quality is None else image.quality
        digest.update(_lengths(list(type(image.kind)).index(image.kind), len(pdq), quality))
        digest.update(pdq + image.sha256)
        if image.anchored is not None:
            digest.update(_ANCHORED + bytes([len(image.anchored)]) + image.anchored.codes)
    return digest.digest()


def find(connection: sa.Connection, submission: bytes, digest: bytes) -> Submitted | None:
    """The result of an earlier, equal submission.

    Raises:
        SubmissionConflict: it had other content.
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
    """Record a submission, in the transaction that carries it out."""
    connection.execute(
        sa.insert(submissions).values(id=submission, case_id=case_id, digest=digest, created=at)
    )


def forget(connection: sa.Connection, now_unix_s: int) -> None:
    """Delete old submissions; those dated in the future, by a clock ahead, count as of now."""
    created = submissions.c.created
    connection.execute(
        sa.update(submissions).where(created > now_unix_s).values(created=now_unix_s)
    )
    connection.execute(sa.delete(submissions).where(created < now_unix_s - KEPT_S))


def forget_cases(connection: sa.Connection, case_ids: Collection[int]) -> None:
    """Delete the submissions of these cases."""
    connection.execute(sa.delete(submissions).where(submissions.c.case_id.in_(case_ids)))


def any_due(connection: sa.Connection, now_unix_s: int) -> bool:
    """Whether `forget` has anything to do."""
    created = submissions.c.created
    due = sa.or_(created < now_unix_s - KEPT_S, created > now_unix_s)
    return connection.execute(sa.select(submissions.c.id).where(due).limit(1)).scalar() is not None
