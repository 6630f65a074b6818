"""The route of partner registers; they are added on the command line, beside their key files."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter

from egide.domain.access import Key, Permission
from egide.server.api.schemas.reaching import UpstreamShown, UpstreamsShown
from egide.server.http.auth import permitted
from egide.server.service import ServiceDep

router = APIRouter(prefix="/upstreams", tags=["upstreams"])


@router.get("", response_model=UpstreamsShown)
def list_upstreams(
    service: ServiceDep, key: Annotated[Key, permitted(Permission.MANAGE_UPSTREAMS)]
) -> UpstreamsShown:
    """List the partner registers that this one follows, and the progress with each."""
    return UpstreamsShown(
        upstreams=[
            UpstreamShown.of(upstream)
            for upstream in service.store.upstreams.list()
            if key.reaches(upstream.bank)
        ]
    )
