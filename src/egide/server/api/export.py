"""The route that exports a whole bank."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter
from fastapi.responses import StreamingResponse

from egide.domain.access import Key, Permission
from egide.errors import ApprovalInvalid, ApprovalNeeded, BankMissing
from egide.server.api.schemas.common import BankPath
from egide.server.api.scope import ApprovalHeader, permitted_in_bank
from egide.server.http.problems import problem_responses
from egide.server.service import ServiceDep
from egide.usecases.export import export_with_key

router = APIRouter(prefix="/banks/{bank}/export", tags=["banks"])
_CSV = "text/csv; charset=utf-8"


@router.get(
    "",
    response_class=StreamingResponse,
    responses={
        200: {
            "description": "A hash list, as `egide bank export` writes it.",
            "content": {"text/csv": {"schema": {"type": "string"}}},
        },
        **problem_responses(BankMissing, ApprovalNeeded, ApprovalInvalid),
    },
)
def export_bank(
    bank: BankPath,
    service: ServiceDep,
    key: Annotated[Key, permitted_in_bank(Permission.EXPORT)],
    approval: ApprovalHeader = None,
) -> StreamingResponse:
    """Export the active entries of a bank with their fingerprints; needs a second person.

    Each export needs its own approval and is recorded in the log. Fingerprints are personal data:
    give them only to recipients that the people agreed to.
    """
    pieces = export_with_key(service.store, bank, key=key, approval_id=approval)
    headers = {"Content-Disposition": f'attachment; filename="{bank}.csv"'}
    return StreamingResponse(pieces, media_type=_CSV, headers=headers)
