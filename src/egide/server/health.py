"""Whether the process lives, whether it can answer, and what it has counted."""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING

from fastapi import APIRouter, Request, Response

from egide.domain.access import Permission
from egide.errors import NotReady, RegisterStale
from egide.server.http.auth import address_of, identify
from egide.server.metrics import CONTENT_TYPE
from egide.server.service import Service, ServiceDep

if TYPE_CHECKING:
    from collections.abc import Iterable
    from ipaddress import IPv4Network, IPv6Network

router = APIRouter(tags=["operations"])


@router.head("/healthz", include_in_schema=False)
@router.get("/healthz", summary="Whether the process lives", response_description="It does.")
async def healthz() -> dict[str, str]:
    """Answer as long as the process does; look at `/readyz` before sending requests."""
    return {"status": "ok"}


@router.head("/readyz", include_in_schema=False)
@router.get("/readyz", summary="Whether it can answer", response_description="It can.")
async def readyz(service: ServiceDep) -> dict[str, str]:
    """Answer 503 while the index loads, or once it may be out of date.

    `failure` is the code of what keeps the index from being renewed, where something does.
    """
    require_ready(service)
    failure = service.live.failure
    return {"status": "ready"} | ({} if failure is None else {"failure": failure})


def require_ready(service: Service) -> None:
    """Refuse to answer from an index that is not loaded or may be out of date.

    Raises:
        NotReady: it is not loaded, and why not.
        RegisterStale: the store is silent for too long.
    """
    if not service.live.ready:
        failure = service.live.failure
        raise NotReady(
            reason="the search index is being loaded"
            if failure is None
            else f"the search index cannot be loaded: {failure}"
        )
    settings = service.settings
    stalled_s = service.live.stalled_s
    if stalled_s > min(settings.ready_max_age_s, settings.stale_after_s):
        raise RegisterStale(stalled_s=round(stalled_s))


@router.get("/metrics", summary="Counts and times for Prometheus", response_class=Response)
async def metrics(request: Request, service: ServiceDep) -> Response:
    """Answer any key, or a network of the setting `metrics_networks` without one."""
    if not within(request, service.settings.metrics_networks):
        (await identify(request)).require(Permission.STATUS)
    return Response(service.metrics.text(), media_type=CONTENT_TYPE)


def within(request: Request, networks: Iterable[IPv4Network | IPv6Network]) -> bool:
    """Return whether the other end of the connection is in one of these networks."""
    try:
        address = ip_address(address_of(request))
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None) or address
    return any(mapped in network for network in networks)
