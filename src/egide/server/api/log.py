"""The route of the log."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from egide.domain.access import Key, Permission
from egide.server.api.schemas.common import MAX_NUMBER, LimitQuery
from egide.server.api.schemas.people import LogHead, LogRecordShown, LogShown
from egide.server.http.auth import permitted
from egide.server.service import ServiceDep
from egide.usecases.log import log_page

router = APIRouter(prefix="/log", tags=["log"])


@router.get("", response_model=LogShown)
def read_log(
    service: ServiceDep,
    key: Annotated[Key, permitted(Permission.READ_LOG)],
    entry: Annotated[
        int | None, Query(ge=1, le=MAX_NUMBER, description="Only records that name this entry.")
    ] = None,
    cursor: Annotated[
        int, Query(ge=0, le=MAX_NUMBER, description="`next` of the previous page.")
    ] = 0,
    limit: LimitQuery = 100,
) -> LogShown:
    """Read who did what and when. `egide log verify` checks that no record was changed."""
    found = log_page(service.store, key, after=cursor, limit=limit + 1, entry=entry)
    seq, hash_ = service.store.log.head()
    page = found[:limit]
    return LogShown(
        records=[LogRecordShown.of(record) for record in page],
        next=page[-1].seq if len(found) > limit else None,
        head=LogHead(seq=seq, hash=hash_.hex()),
    )
