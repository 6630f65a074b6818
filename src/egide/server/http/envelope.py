"""Wrap every request: its id, its line in the log, its headers, and its errors."""

from __future__ import annotations

import logging
import re
import secrets
import time
from typing import TYPE_CHECKING

from fastapi.routing import iter_route_contexts
from starlette.datastructures import MutableHeaders
from starlette.requests import ClientDisconnect

from egide.server.http.auth import KEY
from egide.server.http.logs import FIELDS, log
from egide.server.http.problems import CODE, Answering, always_problem, as_egide_error

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

_logger = logging.getLogger("egide.server")
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_CLIENT_GONE = 499
_PREFIXES = ("/v1", "/hma")
"""Prefixes of included routers; a route's path lacks them."""

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
"""Default headers of every answer."""


class Envelope:
    """Answers every error with a problem, and writes every request to the log and the metrics."""

    def __init__(self, app: ASGIApp, answering: Answering = always_problem) -> None:
        self._app = app
        self._answering = answering

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = secrets.token_hex(8)
        started_at = time.perf_counter()
        status = 0

        async def framed_send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                headers["X-Request-Id"] = request_id
            await send(message)

        try:
            await self._app(scope, receive, framed_send)
        except ClientDisconnect:
            status = _CLIENT_GONE
        except Exception as error:  # a request ends with an answer, whatever happens
            code = as_egide_error(error).code
            scope.setdefault("state", {})[CODE] = code
            if code == "unexpected":
                fields = {"request_id": request_id}
                _logger.error("unexpected error", exc_info=error, extra={FIELDS: fields})
            if status == 0:
                await self._answering(scope, error)(scope, receive, framed_send)
        finally:
            self._record(scope, status, time.perf_counter() - started_at, request_id)

    def _record(self, scope: Scope, status: int, took_s: float, request_id: str) -> None:
        method = scope["method"] if scope["method"] in _METHODS else "other"
        route = template_of(scope)
        state = scope.get("state", {})
        key = state.get(KEY)
        scope["app"].state.service.metrics.count_request(method, route, status, took_s)
        log(
            _logger,
            logging.INFO,
            "request",
            method=method,
            route=route,
            status=status,
            ms=round(took_s * 1000, 2),
            key=None if key is None else key.name,
            code=state.get(CODE),
            request_id=request_id,
        )


def template_of(scope: Scope) -> str:
    """Return the declared path of a route, which holds nothing of the request."""
    template: str | None = getattr(scope.get("route"), "path", None)
    if template is None:
        return _declared(scope)
    prefix = next((start for start in _PREFIXES if scope["path"].startswith(f"{start}/")), "")
    return prefix + template.removeprefix(prefix)


def _declared(scope: Scope) -> str:
    """Find the route of a request that was answered before routing, e.g. without a key."""
    state = scope["app"].state
    if not hasattr(state, "templates"):
        state.templates = [
            (route.methods or (), re.compile(route.path_regex), route.path)
            for route in iter_route_contexts(scope["app"].routes)
        ]
    for methods, pattern, template in state.templates:
        if scope["method"] in methods and pattern.match(scope["path"]):
            return str(template)
    return "unknown"
