"""The route that other registers follow."""

from __future__ import annotations

import logging
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse

from egide.access import Key, Permission
from egide.errors import BankMissing, StoreError
from egide.server.api.schemas_common import MAX_NUMBER, MAX_PAGE, NAME_PATTERN, LimitQuery
from egide.server.api.schemas_register import Changes, changed_entry
from egide.server.auth import permitted
from egide.server.logs import log
from egide.server.problems import problem_responses
from egide.server.service import ServiceDep

_logger = logging.getLogger("egide.server")
router = APIRouter(prefix="/changes", tags=["changes"])
_Position = Annotated[int, Query(ge=0, le=MAX_NUMBER)]


@router.get("", response_model=Changes, responses=problem_responses(BankMissing))
def list_changes(
    service: ServiceDep,
    key: Annotated[Key, permitted(Permission.READ_CHANGES)],
    since: _Position = 0,
    after: _Position | None = None,
    limit: LimitQuery = MAX_PAGE,
    bank: Annotated[str | None, Query(pattern=NAME_PATTERN, description="Only this one's.")] = None,
    only: Annotated[
        Literal["ended"] | None,
        Query(description="`ended`: what must no longer match, and nothing else."),
    ] = None,
) -> JSONResponse:
    """List entries that changed after a position, each as it is now, with its fingerprint.

    Begin with `since=0`; go on with `next` of the page before, kept with what the page brought.
    Fetch ended entries first. Whatever has ended is to be erased.
    """
    page = service.store.feed.page(
        since,
        after=after,
        limit=limit,
        banks=key.scoped(None if bank is None else [service.store.bank(bank).name]),
        ended_only=only is not None,
    )
    try:
        service.store.partner_reads.record(key, page.entries)
    except StoreError as error:
        # What has ended has to reach the partner, even where nothing can be written: it is told,
        # and the case says "sent" from a later reading on.
        log(_logger, logging.WARNING, "reading of a partner not recorded", code=error.code)
    return JSONResponse(
        {
            "store_id": service.store.id,
            "revision": page.revision,
            "entries": [changed_entry(entry) for entry in page.entries],
            "next": {"since": page.next.since, "after": page.next.after},
            "more": page.more,
        }
    )
