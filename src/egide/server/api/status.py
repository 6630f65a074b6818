"""The status route: which register this is, and how current its answers are."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter

from egide._version import __version__
from egide.domain.access import Key, Permission
from egide.server.api.schemas.matching import BankStatus, StatusResponse
from egide.server.http.auth import permitted
from egide.server.service import ServiceDep

router = APIRouter(tags=["operations"])


@router.get("/status", summary="Revision, age and banks")
def status(
    service: ServiceDep, key: Annotated[Key, permitted(Permission.STATUS)]
) -> StatusResponse:
    """Show which register this is, how current its answers are, and the banks the key reaches."""
    banks = [bank for bank in service.store.banks.list() if key.reaches(bank.name)]
    return StatusResponse(
        store_id=service.store.id,
        revision=service.live.revision,
        age_s=round(service.live.age_s, 3),
        stale=service.stale,
        ready=service.live.ready,
        banks=[
            BankStatus(
                name=bank.name,
                entries=service.counts.active(bank.name),
                radius_bits=bank.radius_bits,
                enabled=bank.enabled,
            )
            for bank in banks
        ],
        version=__version__,
    )
