"""Find, count, end and delete the rows of cases within a transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import sqlalchemy as sa

from egide.domain.cases import CaseState
from egide.domain.model import State
from egide.errors import CaseEnded, CaseNotFound
from egide.store.cases import submissions
from egide.store.entries.records import BANK_COLUMNS, bank_of
from egide.store.tables.cases import case_images, cases, partner_reads, sessions
from egide.store.tables.register import MAX_ENTRY_ID, banks, entries

if TYPE_CHECKING:
    from collections.abc import Sequence

    from egide.domain.model import Bank


class CaseRow(NamedTuple):
    """The row of a case; times in Unix seconds."""

    id: int
    bank: Bank
    state: CaseState
    expires: int


def find_row(connection: sa.Connection, case_id: int) -> CaseRow:
    """The case with that id.

    Raises:
        CaseNotFound: no case has that id.
    """
    row = None
    if 0 < case_id <= MAX_ENTRY_ID:
        row = connection.execute(
            sa.select(cases.c.id, cases.c.state, cases.c.expires, *BANK_COLUMNS[1:], banks.c.id)
            .join(banks, banks.c.id == cases.c.bank_id)
            .where(cases.c.id == case_id)
        ).one_or_none()
    if row is None:
        raise CaseNotFound
    found, state, expires, *bank, bank_id = row
    return CaseRow(found, bank_of([bank_id, *bank]), CaseState(state), expires)


def open_row(connection: sa.Connection, case_id: int, now_unix_s: int) -> CaseRow:
    """The case with that id, if it is open and has not expired.

    Raises:
        CaseNotFound: no case has that id.
        CaseEnded: the case has ended or expired.
    """
    row = find_row(connection, case_id)
    if row.state is not CaseState.OPEN:
        raise CaseEnded(state=row.state.value)
    if row.expires <= now_unix_s:
        raise CaseEnded(state=CaseState.EXPIRED.value)
    return row


def number_is_taken(connection: sa.Connection, number: str) -> bool:
    """Whether a case in any bank has that number."""
    taken = sa.select(cases.c.id).where(cases.c.number == number)
    return connection.execute(taken).scalar() is not None


def entry_of_image(connection: sa.Connection, case_id: int, image_id: int) -> int | None:
    """The entry number of an image of this case, or None."""
    if not 0 < image_id <= MAX_ENTRY_ID:
        return None
    return connection.execute(
        sa.select(case_images.c.entry_id).where(
            case_images.c.case_id == case_id, case_images.c.id == image_id
        )
    ).scalar()


def entry_ids(
    connection: sa.Connection, case_id: int, which: sa.ColumnElement[bool]
) -> Sequence[int]:
    """The numbers of a case's entries that `which` selects, in order."""
    return (
        connection.execute(
            sa.select(entries.c.id)
            .join(case_images, case_images.c.entry_id == entries.c.id)
            .where(case_images.c.case_id == case_id, which)
            .order_by(entries.c.id)
        )
        .scalars()
        .all()
    )


def active(connection: sa.Connection, case_id: int) -> Sequence[int]:
    """The numbers of the active entries of a case."""
    return entry_ids(connection, case_id, entries.c.state == State.ACTIVE.value)


def erasable(connection: sa.Connection, case_id: int) -> Sequence[int]:
    """The numbers of the entries of a case that are not withdrawn yet."""
    return entry_ids(connection, case_id, entries.c.state != State.WITHDRAWN.value)


def active_entries(connection: sa.Connection, case_id: int) -> dict[bytes, int]:
    """The active entries of a case, by the SHA-256 of their images."""
    rows = connection.execute(
        sa.select(entries.c.sha256, entries.c.id)
        .join(case_images, case_images.c.entry_id == entries.c.id)
        .where(case_images.c.case_id == case_id, entries.c.state == State.ACTIVE.value)
    )
    return {bytes(digest): entry for digest, entry in rows}


def count_images(connection: sa.Connection, case_id: int) -> int:
    """The number of a case's images, including ended ones."""
    return connection.execute(
        sa.select(sa.func.count()).where(case_images.c.case_id == case_id)
    ).scalar_one()


def end(connection: sa.Connection, case_id: int, state: CaseState, at: int) -> None:
    """Record the end of a case at a time, Unix seconds; its entries do not change."""
    connection.execute(
        sa.update(cases).where(cases.c.id == case_id).values(state=state.value, ended=at)
    )


def delete(connection: sa.Connection, case_ids: Sequence[int]) -> None:
    """Delete cases and all their data, except their entries."""
    own_images = sa.select(case_images.c.id).where(case_images.c.case_id.in_(case_ids))
    connection.execute(sa.delete(partner_reads).where(partner_reads.c.image_id.in_(own_images)))
    connection.execute(sa.delete(case_images).where(case_images.c.case_id.in_(case_ids)))
    submissions.forget_cases(connection, case_ids)
    connection.execute(
        sa.delete(sessions).where(sessions.c.kind == "case", sessions.c.subject_id.in_(case_ids))
    )
    connection.execute(sa.delete(cases).where(cases.c.id.in_(case_ids)))
