"""How a request comes in: who sends it, then its body, then a place to be worked on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import Request

from egide.errors import RequestInvalid
from egide.server.address import origin_of
from egide.server.bodies import Bodies
from egide.server.kinds import Kinds
from egide.server.places import Places, Purpose, Shares

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from starlette.types import ASGIApp, Receive, Scope, Send

    from egide.access import Key
    from egide.server.kinds import Kind
    from egide.server.settings import ServerSettings

    Identify = Callable[[Request], Awaitable[Key]]

_UNCOUNTED = ("/healthz", "/readyz", "/metrics")
"""They answer when everything else is refused."""
_MAX_QUERY_BYTES = 8192


class Admission:
    """Lets requests in, so that no client holds what others need.

    A key is demanded before anything of a body is read. A request takes one of the `max_requests`
    places once its body is there: bytes that arrive slowly hold none. Without a key, an address has
    a share of them.
    """

    def __init__(
        self, app: ASGIApp, settings: ServerSettings, identify: Mapping[str, Identify]
    ) -> None:
        """Prepare.

        Args:
            app: gets the requests.
            settings: of the server.
            identify: what finds the key of a request, or raises, by the first part of paths that
                need one.
        """
        self._app = app
        self._proxies = settings.trusted_proxies
        self._identify = dict(identify)
        self._kinds = Kinds(settings)
        self._bodies = Bodies(settings)
        self._places = Places(settings)
        self._shares = Shares(settings)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, whole, or raise.

        Raises:
            Unauthorized, RateLimited, StoreError: it has no key where one is needed.
            RequestInvalid: its query is too long.
            Overloaded: its address has taken its share, or there is no place.
            EgideError: its body will not do, see `Bodies.take`.
        """
        if scope["type"] != "http" or scope["path"] in _UNCOUNTED:
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        key = await self._key_of(request)
        if len(scope["query_string"]) > _MAX_QUERY_BYTES:
            raise RequestInvalid(reason=f"the query has over {_MAX_QUERY_BYTES} bytes")
        kind = self._kinds.of(scope["path"])
        if key is not None:
            await self._work(request, receive, send, kind, key)
            return
        async with self._shares.one(origin_of(request, self._proxies), leaving=kind.leaving):
            await self._work(request, receive, send, kind, None)

    async def _key_of(self, request: Request) -> Key | None:
        path = request.scope["path"]
        for start, identify in self._identify.items():
            if path.startswith(start):
                return await identify(request)
        return None

    async def _work(
        self, request: Request, receive: Receive, send: Send, kind: Kind, key: Key | None
    ) -> None:
        asker = origin_of(request, self._proxies) if key is None else key.id
        body = await self._bodies.take(request.headers, receive, kind, asker, keyed=key is not None)
        purpose = Purpose.KEYED if key is not None else Purpose.ANY
        try:
            with self._places.one(Purpose.LEAVING if kind.leaving else purpose):
                await self._app(request.scope, body.receive, send)
        finally:
            body.forget()
