"""All routes below `/hma`, and the answer to unknown paths."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import APIRouter, Request, Response
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse

from egide.domain.access import Role
from egide.errors import SettingInvalid
from egide.server.hma import banks, catalogue, content, matching
from egide.server.hma.answers import HmaRoute

if TYPE_CHECKING:
    from egide.server.settings import ServerSettings

PREFIX = "/hma"
_ROLES_OF_NETWORKS = (Role.MATCHER, Role.CURATOR)


def hma_router(settings: ServerSettings) -> APIRouter:
    """Return the routes below `/hma`, for `settings.hma_enabled`.

    Raises:
        SettingInvalid: a network would get a role that only a person may have.
    """
    if settings.hma_networks and settings.hma_role not in _ROLES_OF_NETWORKS:
        raise SettingInvalid(
            name="hma_role",
            reason="a network without keys acts as matcher or curator, and no other role",
        )
    router = APIRouter(prefix=PREFIX, include_in_schema=False)
    for part in (catalogue, matching, banks, content):
        router.include_router(part.router)
    missing = APIRouter(route_class=HmaRoute)
    missing.add_api_route(
        "/{path:path}", _missing, methods=["GET", "POST", "PUT", "PATCH", "DELETE"]
    )
    router.include_router(missing)
    return router


async def _missing(request: Request, path: str) -> Response:
    """Merge slashes as HMA does: clients append `/c/…` to a URL that may end with a slash."""
    if "//" in f"/{path}":
        merged = "/".join(part for part in path.split("/") if part)
        target = request.url.replace(path=f"{PREFIX}/{merged}")
        return RedirectResponse(
            f"{target.path}?{target.query}" if target.query else target.path, status_code=308
        )
    raise HTTPException(404, "no such route, or not with this method")
