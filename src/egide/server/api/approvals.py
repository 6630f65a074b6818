"""Routes for requests to a second person."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Response

from egide.domain.access import ApprovalState, Key, Permission
from egide.errors import ApprovalInvalid
from egide.server.api.idempotency import WriteDep, write_responses
from egide.server.api.schemas.common import MAX_NUMBER, LimitQuery
from egide.server.api.schemas.people import ApprovalShown, ApprovalsShown
from egide.server.http.auth import permitted
from egide.server.service import ServiceDep

router = APIRouter(prefix="/approvals", tags=["approvals"])
_DECIDED = write_responses(ApprovalInvalid)
_ApprovalPath = Annotated[
    int, Path(ge=1, le=MAX_NUMBER, description="The request's number.", examples=[1])
]


@router.get("", response_model=ApprovalsShown)
def list_approvals(
    service: ServiceDep,
    key: Annotated[Key, permitted(Permission.APPROVE)],
    state: ApprovalState | None = None,
    cursor: Annotated[
        int, Query(ge=0, le=MAX_NUMBER, description="`next` of the previous page.")
    ] = 0,
    limit: LimitQuery = 100,
) -> ApprovalsShown:
    """List requests for a second person's approval."""
    found = service.store.approvals.list(state, by=key, after=cursor, limit=limit + 1)
    page = found[:limit]
    return ApprovalsShown(
        approvals=[ApprovalShown.of(one) for one in page],
        next=page[-1].id if len(found) > limit else None,
    )


@router.post("/{approval}/approve", response_model=ApprovalShown, responses=_DECIDED)
def approve(
    approval: _ApprovalPath,
    service: ServiceDep,
    key: Annotated[Key, permitted(Permission.APPROVE)],
    write: WriteDep,
) -> Response:
    """Approve another person's request; they then repeat it with the approval's number."""
    return write.once(
        key,
        lambda: ApprovalShown.of(
            service.acting(key.name).approvals.decide(approval, approve=True, by=key)
        ),
    )


@router.post("/{approval}/refuse", response_model=ApprovalShown, responses=_DECIDED)
def refuse(
    approval: _ApprovalPath,
    service: ServiceDep,
    key: Annotated[Key, permitted(Permission.APPROVE)],
    write: WriteDep,
) -> Response:
    """Refuse another person's request."""
    return write.once(
        key,
        lambda: ApprovalShown.of(
            service.acting(key.name).approvals.decide(approval, approve=False, by=key)
        ),
    )
