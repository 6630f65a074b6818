"""All routes below `/hma`, their document, and the answer to unknown paths."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request, Response
from fastapi.openapi.utils import get_openapi
from starlette.exceptions import HTTPException

from egide._version import __version__
from egide.domain.access import Role
from egide.errors import SettingInvalid
from egide.server.hma import banks, catalogue, content, matching
from egide.server.hma.answers import HmaRoute
from egide.server.hma.mount import PREFIX

if TYPE_CHECKING:
    from egide.server.settings import ServerSettings

_ROLES_OF_NETWORKS = (Role.MATCHER, Role.CURATOR, Role.KEEPER)
_PARTS = (catalogue, matching, banks, content)
_TITLE = "Open Media Match API"
"""HMA's own title: clients recognise it by this."""
_DESCRIPTION = "The routes of HMA that an Egide register answers: its documentation tells how."


def hma_router(settings: ServerSettings) -> APIRouter:
    """Return the routes below `/hma`, for `settings.hma_enabled`.

    Raises:
        SettingInvalid: a network would get a role that only a person may have.
    """
    if settings.hma_networks and settings.hma_role not in _ROLES_OF_NETWORKS:
        raise SettingInvalid(
            name="hma_role",
            reason="a network without keys acts as matcher, curator or keeper, and no other role",
        )
    router = APIRouter(prefix=PREFIX, include_in_schema=False)
    for part in _PARTS:
        router.include_router(part.router)
    described = APIRouter(route_class=HmaRoute)
    described.add_api_route("/openapi", _document)
    described.add_api_route("/openapi/openapi.json", _document)
    described.add_api_route("/site-map", _site_map)
    described.add_api_route(
        "/{path:path}", _missing, methods=["GET", "POST", "PUT", "PATCH", "DELETE"]
    )
    router.include_router(described)
    return router


async def _document(request: Request) -> dict[str, Any]:
    """Describe the routes, as HMA does below `/openapi`."""
    state = request.app.state
    if not hasattr(state, "hma_document"):
        state.hma_document = get_openapi(
            title=_TITLE,
            version=__version__,
            description=_DESCRIPTION,
            routes=[route for part in _PARTS for route in part.router.routes],
            servers=[{"url": PREFIX}],
        )
    document: dict[str, Any] = state.hma_document
    return document


async def _site_map() -> list[str]:
    """List the paths."""
    paths = {getattr(route, "path", "") for part in _PARTS for route in part.router.routes}
    return sorted(paths | {"/openapi", "/openapi/openapi.json", "/site-map"})


async def _missing() -> Response:
    """Refuse every other path; HMA's pages for people are among them."""
    raise HTTPException(404, "no such route, or not with this method")
