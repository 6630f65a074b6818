"""The route that other registers follow."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse

from egide.domain.access import Key, Permission
from egide.errors import BankMissing
from egide.server.api.schemas.common import MAX_NUMBER, NAME_PATTERN, LimitQuery
from egide.server.api.schemas.register import Changes, changed_entry
from egide.server.http.auth import permitted
from egide.server.http.kinds import MAX_PAGE
from egide.server.http.problems import problem_responses
from egide.server.service import ServiceDep
from egide.usecases.export import give_changes

router = APIRouter(prefix="/changes", tags=["changes"])
_Position = Annotated[int, Query(ge=0, le=MAX_NUMBER)]


@router.get("", response_model=Changes, responses=problem_responses(BankMissing))
def list_changes(
    service: ServiceDep,
    key: Annotated[Key, permitted(Permission.READ_CHANGES)],
    since: _Position = 0,
    after: _Position | None = None,
    limit: LimitQuery = MAX_PAGE,
    bank: Annotated[
        str | None, Query(pattern=NAME_PATTERN, description="Only this bank's.")
    ] = None,
    only: Annotated[
        Literal["ended"] | None,
        Query(description="`ended`: only entries that must no longer match."),
    ] = None,
) -> JSONResponse:
    """List entries that changed after a position, in their present state, with fingerprints.

    Begin with `since=0`; continue with `next` of the previous page, stored along with its entries.
    Fetch ended entries first, and erase every ended entry. The log records what was given to whom;
    while it cannot be written, only ended entries are given.
    """
    page = give_changes(
        service.store,
        key,
        since,
        after=after,
        limit=limit,
        bank=bank,
        ended_only=only is not None,
    )
    return JSONResponse(
        {
            "store_id": service.store.id,
            "revision": page.revision,
            "entries": [
                changed_entry(entry, negative=entry.bank in page.negative) for entry in page.entries
            ],
            "next": {"since": page.next.since, "after": page.next.after},
            "more": page.more,
        }
    )
