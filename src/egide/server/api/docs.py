"""The interactive page of the API: Swagger UI from an installed package, not a third party."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from fastapi import APIRouter, Response
from starlette.responses import HTMLResponse

router = APIRouter(include_in_schema=False)

# Only the package's copy of Swagger UI is used, not its code.
_PACKAGE = "fastapi_swagger"
_KINDS = {".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8"}
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; "
    "form-action 'none'"
)
_CACHED = {"Cache-Control": "public, max-age=3600"}
_PAGE = """\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Egide API</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="docs/swagger-ui.css">
<div id="page"></div>
<script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/start.js"></script>
</html>
"""
_START = """\
SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#page",
  deepLinking: true,
  validatorUrl: null,
  docExpansion: "list",
});
"""


@router.get("/docs")
async def page() -> Response:
    """Show the page."""
    return HTMLResponse(_PAGE, headers={"Content-Security-Policy": _POLICY})


@router.get("/docs/start.js")
async def start() -> Response:
    """Give the script that starts the page; the policy forbids inline scripts."""
    return Response(_START, media_type=_KINDS[".js"], headers=_CACHED)


@router.get("/docs/swagger-ui-bundle.js")
def script() -> Response:
    """Give Swagger UI."""
    return _asset("swagger-ui-bundle.js")


@router.get("/docs/swagger-ui.css")
def style() -> Response:
    """Give the style sheet."""
    return _asset("swagger-ui.css")


def _asset(name: str) -> Response:
    kind = next(kind for ending, kind in _KINDS.items() if name.endswith(ending))
    return Response(_content(name), media_type=kind, headers=_CACHED)


@cache
def _content(name: str) -> bytes:
    return (files(_PACKAGE) / "resources" / name).read_bytes()
