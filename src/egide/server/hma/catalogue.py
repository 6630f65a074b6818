"""`/status`, and HMA's configuration: signal and content types, exchanges."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import PlainTextResponse

from egide.domain.access import Key, Permission
from egide.errors import RegisterStale
from egide.server.health import require_ready
from egide.server.hma.answers import HmaRoute
from egide.server.hma.callers import allowed
from egide.server.hma.matching import current_to_unix_s
from egide.server.hma.media import CONTENT_TYPES, SIGNAL_TYPES, check_signal_type
from egide.server.service import ServiceDep

router = APIRouter(route_class=HmaRoute)
StatusKey = Annotated[Key, allowed(Permission.STATUS)]
_ALIVE = "I-AM-ALIVE"
_NO_EXCHANGES = (
    "No such exchange type: none is offered here, follow another register with `egide sync add`"
)


@router.get("/status/live")
async def live() -> PlainTextResponse:
    """Say that the process answers, whatever it can answer."""
    return PlainTextResponse(_ALIVE)


@router.get("/status")
async def status(service: ServiceDep) -> PlainTextResponse:
    """Say whether matches can be answered and are current."""
    if not service.live.ready:
        return PlainTextResponse("INDEX-NOT-LOADED", 503)
    try:
        require_ready(service)
    except RegisterStale:
        return PlainTextResponse("INDEX-STALE", 503)
    return PlainTextResponse(_ALIVE)


@router.get("/c/signal_type")
async def list_signal_types(_key: StatusKey) -> list[dict[str, Any]]:
    """List the signal types."""
    return [{"name": name, "enabled_ratio": 1.0} for name in SIGNAL_TYPES]


@router.get("/c/signal_type/index")
async def show_signal_index(
    request: Request, service: ServiceDep, _key: StatusKey
) -> dict[str, Any]:
    """Compare the index with the database."""
    wanted = request.query_params.get("signal_type")
    if wanted is not None:
        check_signal_type(wanted)
    behind = await run_in_threadpool(service.store.revision) > service.live.revision
    size, current_to = service.live.entry_count, current_to_unix_s(service)
    return {
        name: {
            "db_size": size,
            "index_size": size,
            "index_out_of_date": behind,
            "newest_db_item": current_to,
            "index_built_to": current_to,
        }
        for name in ([wanted] if wanted else SIGNAL_TYPES)
    }


@router.put("/c/signal_type/{name}")
async def change_signal_type(_key: Annotated[Key, allowed(Permission.MANAGE_BANKS)]) -> None:
    """Say that the signal types are always on."""
    raise HTTPException(501, "Signal types cannot be changed: disable banks instead")


@router.get("/c/content_type")
async def list_content_types(_key: StatusKey) -> list[dict[str, Any]]:
    """List the content types."""
    return [{"name": name, "enabled": True} for name in CONTENT_TYPES]


@router.get("/c/exchanges")
@router.get("/c/exchanges/apis")
async def list_exchanges(_key: StatusKey) -> list[str]:
    """List exchanges, or their kinds: there are none."""
    return []


@router.post("/c/exchanges")
async def create_exchange(_key: StatusKey) -> None:
    """Refuse as HMA refuses a kind that it does not have, and name the alternative."""
    raise HTTPException(400, _NO_EXCHANGES)


@router.get("/c/exchanges/api/{name}")
@router.post("/c/exchanges/api/{name}")
async def show_exchange_api(_key: StatusKey) -> None:
    """Say that there is no such kind of exchange."""
    raise HTTPException(400, "no such Exchange API")


@router.get("/c/exchanges/api/{name}/schema")
async def show_exchange_schema(_key: StatusKey) -> None:
    """Say that there is no such kind of exchange, with HMA's status for its schema."""
    raise HTTPException(404, "Exchange API not found")


@router.delete("/c/exchange/{name}")
async def delete_exchange(_key: StatusKey) -> dict[str, str]:
    """Say that it is gone, as HMA does of any name: there never was one."""
    return {"message": "Exchange deleted"}


@router.get("/c/exchange/{name}")
@router.put("/c/exchange/{name}")
@router.get("/c/exchange/{name}/status")
@router.post("/c/exchange/{name}/credentials")
async def show_exchange(_key: StatusKey) -> None:
    """Say that there is no such exchange."""
    raise HTTPException(404, "Exchange not found")
