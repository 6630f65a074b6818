"""Read one case with its images, or a page of summaries."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from egide.domain.cases import (
    Authority,
    Case,
    CaseImage,
    CaseState,
    CaseSummary,
    ImageKind,
    image_tag,
)
from egide.domain.model import State, Trust
from egide.domain.times import moment
from egide.errors import CaseNotFound
from egide.store.tables.cases import case_images, cases
from egide.store.tables.register import MAX_ENTRY_ID, banks, entries

if TYPE_CHECKING:
    from collections.abc import Sequence


def read_case(connection: sa.Connection, case_id: int, now_unix_s: int) -> Case:
    """A case with all its images.

    An overdue case is shown as expired, even before it is marked so.

    Raises:
        CaseNotFound: no case has that id.
    """
    row = None
    if 0 < case_id <= MAX_ENTRY_ID:
        row = connection.execute(
            sa.select(cases, banks.c.name.label("bank"))
            .join(banks, banks.c.id == cases.c.bank_id)
            .where(cases.c.id == case_id)
        ).one_or_none()
    if row is None:
        raise CaseNotFound
    state, ended = _standing(row.state, row.expires, row.ended, now_unix_s)
    return Case(
        id=row.id,
        number=row.number,
        bank=row.bank,
        state=state,
        created=moment(row.created),
        expires=moment(row.expires),
        ended=None if ended is None else moment(ended),
        authority=Authority(row.authority),
        opened_by=row.opened_by,
        images=_images(connection, row.id, overdue=state is CaseState.EXPIRED),
    )


def _images(connection: sa.Connection, case_id: int, *, overdue: bool) -> tuple[CaseImage, ...]:
    rows = connection.execute(
        sa.select(
            case_images.c.id,
            case_images.c.entry_id,
            case_images.c.kind,
            case_images.c.added,
            entries.c.state,
            entries.c.trust,
        )
        .join(entries, entries.c.id == case_images.c.entry_id)
        .where(case_images.c.case_id == case_id)
        .order_by(case_images.c.id)
    )
    return tuple(
        CaseImage(
            image,
            entry,
            ImageKind(kind),
            moment(added),
            State.EXPIRED if overdue and state == State.ACTIVE else State(state),
            Trust(trust),
        )
        for image, entry, kind, added, state, trust in rows
    )


def read_tags(connection: sa.Connection, case_id: int, salt: bytes) -> dict[int, str]:
    """A tag for each image of a case that still has its SHA-256; see `Cases.tags`."""
    rows = connection.execute(
        sa.select(case_images.c.id, entries.c.sha256)
        .join(entries, entries.c.id == case_images.c.entry_id)
        .where(case_images.c.case_id == case_id, entries.c.state == State.ACTIVE.value)
        .where(entries.c.sha256.is_not(None))
        .order_by(case_images.c.id)
    )
    return {image: image_tag(bytes(digest), salt) for image, digest in rows}


def count_with_active(connection: sa.Connection, bank: str, now_unix_s: int, trust: Trust) -> int:
    """The number of open cases in a bank with an active image of this trust."""
    return connection.execute(
        sa.select(sa.func.count())
        .select_from(cases)
        .join(banks, banks.c.id == cases.c.bank_id)
        .where(banks.c.name == bank, cases.c.state == CaseState.OPEN.value)
        .where(cases.c.expires > now_unix_s, _holds_active(trust))
    ).scalar_one()


def read_summaries(
    connection: sa.Connection,
    bank: str,
    now_unix_s: int,
    *,
    before: int | None,
    limit: int,
    state: CaseState | None,
    trust: Trust | None,
) -> list[CaseSummary]:
    """Summaries of a bank's cases, newest first; see `Cases.page`."""
    query = (
        sa.select(cases)
        .join(banks, banks.c.id == cases.c.bank_id)
        .where(banks.c.name == bank)
        .order_by(cases.c.id.desc())
        .limit(limit)
    )
    if before is not None:
        query = query.where(cases.c.id < min(before, MAX_ENTRY_ID))
    is_open = cases.c.state == CaseState.OPEN.value
    overdue = sa.and_(is_open, cases.c.expires <= now_unix_s)
    if state is CaseState.OPEN:
        query = query.where(is_open, cases.c.expires > now_unix_s)
    elif state is CaseState.EXPIRED:
        query = query.where(sa.or_(cases.c.state == state.value, overdue))
    elif state is not None:
        query = query.where(cases.c.state == state.value)
    if trust is not None:
        # Images of an overdue case no longer count as active.
        query = query.where(_holds_active(trust), sa.not_(overdue))
    rows = connection.execute(query).all()
    counts = _counts(connection, [row.id for row in rows])
    found: list[CaseSummary] = []
    for row in rows:
        shown, ended = _standing(row.state, row.expires, row.ended, now_unix_s)
        own = counts.get(row.id, {})
        active = {trust: n for (one, trust), n in own.items() if one == State.ACTIVE}
        if shown is CaseState.EXPIRED:
            active = {}
        found.append(
            CaseSummary(
                id=row.id,
                number=row.number,
                state=shown,
                created=moment(row.created),
                expires=moment(row.expires),
                ended=None if ended is None else moment(ended),
                authority=Authority(row.authority),
                opened_by=row.opened_by,
                images=sum(own.values()),
                active=sum(active.values()),
                unverified=active.get(Trust.UNVERIFIED, 0),
                confirmed=active.get(Trust.CONFIRMED, 0),
                disputed=active.get(Trust.DISPUTED, 0),
                false_positives=sum(n for (one, _), n in own.items() if one == State.TOMBSTONED),
            )
        )
    return found


def _holds_active(trust: Trust) -> sa.ColumnElement[bool]:
    """Condition: a case has an active image of this trust."""
    return (
        sa.exists()
        .where(case_images.c.case_id == cases.c.id)
        .where(case_images.c.entry_id == entries.c.id)
        .where(entries.c.state == State.ACTIVE.value, entries.c.trust == trust.value)
    )


def _counts(
    connection: sa.Connection, case_ids: Sequence[int]
) -> dict[int, dict[tuple[str, str], int]]:
    """The number of entries of each case, by state and trust."""
    counts: dict[int, dict[tuple[str, str], int]] = {}
    rows = connection.execute(
        sa.select(case_images.c.case_id, entries.c.state, entries.c.trust, sa.func.count())
        .join(entries, entries.c.id == case_images.c.entry_id)
        .where(case_images.c.case_id.in_(case_ids))
        .group_by(case_images.c.case_id, entries.c.state, entries.c.trust)
    )
    for case_id, state, trust, count in rows:
        counts.setdefault(case_id, {})[state, trust] = count
    return counts


def _standing(
    state: str, expires: int, ended: int | None, now_unix_s: int
) -> tuple[CaseState, int | None]:
    """The state of a case and its end, in Unix seconds."""
    if state == CaseState.OPEN and expires <= now_unix_s:
        return CaseState.EXPIRED, expires
    return CaseState(state), ended
