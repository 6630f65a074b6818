"""When partners were given the images of cases, and their feedback on them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from egide.domain.access import Role
from egide.domain.model import FeedbackKind
from egide.domain.names import PERSON_SOURCE
from egide.domain.partners import Said, Sent
from egide.domain.times import moment
from egide.store.tables.cases import case_images, partner_reads
from egide.store.tables.service import feedback, keys

if TYPE_CHECKING:
    from collections.abc import Sequence

    from egide.domain.access import Key
    from egide.domain.model import Entry
    from egide.store.database.interface import Database

_CHUNK = 2000


class PartnerReads:
    """The images of cases that partners were given: at most one row for each image and key."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def sent(self, case_id: int) -> list[Sent]:
        """Which partner was given which image of a case, and when it was first given."""
        with self._database.read() as connection:
            rows = connection.execute(
                sa.select(partner_reads.c.image_id, keys.c.name, partner_reads.c.at)
                .join(case_images, case_images.c.id == partner_reads.c.image_id)
                .join(keys, keys.c.id == partner_reads.c.key_id)
                .where(case_images.c.case_id == case_id)
                .order_by(partner_reads.c.at, keys.c.id, partner_reads.c.image_id)
            )
            return [Sent(image, partner, moment(at)) for image, partner, at in rows]

    def said(self, case_id: int) -> list[Said]:
        """The last feedback of each partner and kind on each image of a case."""
        last = sa.func.max(feedback.c.at)
        with self._database.read() as connection:
            rows = connection.execute(
                sa.select(case_images.c.id, feedback.c.partner, feedback.c.kind, last)
                .join(feedback, feedback.c.entry_id == case_images.c.entry_id)
                .where(case_images.c.case_id == case_id)
                .group_by(case_images.c.id, feedback.c.partner, feedback.c.kind)
                .order_by(last, feedback.c.partner, feedback.c.kind)
            )
            return [
                Said(image, partner, FeedbackKind(kind), moment(at))
                for image, partner, kind, at in rows
            ]


def note_reads(connection: sa.Connection, key: Key, entries: Sequence[Entry], at: int) -> None:
    """Record which entries of cases a partner's key is given, within the same transaction.

    Only the first time is recorded.

    Args:
        connection: of the transaction.
        key: the receiver.
        entries: with their fingerprints.
        at: Unix seconds.
    """
    if key.role is not Role.PARTNER:
        return
    of_cases = [entry.id for entry in entries if entry.source.startswith(PERSON_SOURCE)]
    unread = _unread(connection, key.id, of_cases)
    if unread:
        connection.execute(
            sa.insert(partner_reads),
            [{"image_id": image, "key_id": key.id, "at": at} for image in unread],
        )


def _unread(connection: sa.Connection, key_id: int, entry_ids: Sequence[int]) -> list[int]:
    """The images of these entries that a key has not been given yet."""
    found: list[int] = []
    for start in range(0, len(entry_ids), _CHUNK):
        found.extend(
            connection.execute(
                sa.select(case_images.c.id)
                .where(case_images.c.entry_id.in_(entry_ids[start : start + _CHUNK]))
                .where(
                    ~sa.exists()
                    .where(partner_reads.c.image_id == case_images.c.id)
                    .where(partner_reads.c.key_id == key_id)
                )
            ).scalars()
        )
    return found
