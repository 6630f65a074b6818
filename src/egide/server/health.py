"""Routes for operators: liveness, readiness, metrics."""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING

from fastapi import APIRouter, Request, Response

from egide.domain.access import Permission
from egide.errors import NotReady
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
    """Answer while the process lives; check `/readyz` before you send requests."""
    return {"status": "ok"}


@router.head("/readyz", include_in_schema=False)
@router.get("/readyz", summary="Whether it can answer", response_description="It can.")
async def readyz(service: ServiceDep) -> dict[str, str]:
    """Answer 503 while the index of any worker loads, or once it may be out of date.

    `failure` is the error code if the index cannot be renewed.
    """
    require_ready(service)
    failure = service.live.failure
    return {"status": "ready"} | ({} if failure is None else {"failure": failure})


def require_ready(service: Service) -> None:
    """Refuse to answer from an index that is not loaded or may be out of date.

    Raises:
        NotReady: the index is not loaded; it gives the reason.
        RegisterStale: the store has been silent for too long.
    """
    reason = service.unready()
    if reason is not None:
        raise reason
    if not service.shared.all_ready:
        raise NotReady(reason="the search index of another worker is being loaded")


@router.get("/metrics", summary="Counts and times for Prometheus", response_class=Response)
async def metrics(request: Request, service: ServiceDep) -> Response:
    """Answer any key; networks of the setting `metrics_networks` need none."""
    if not within(request, service.settings.metrics_networks):
        (await identify(request)).require(Permission.STATUS)
    return Response(service.metrics.text(), media_type=CONTENT_TYPE)


def within(request: Request, networks: Iterable[IPv4Network | IPv6Network]) -> bool:
    """Whether the peer's address is in one of these networks."""
    try:
        address = ip_address(address_of(request))
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None) or address
    return any(mapped in network for network in networks)
