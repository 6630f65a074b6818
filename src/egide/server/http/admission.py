"""Admit requests: identify the sender, take in the body, then give it a place."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import Request
from starlette.requests import ClientDisconnect

from egide.errors import RequestInvalid
from egide.server.http.address import origin_of
from egide.server.http.bodies import Bodies
from egide.server.http.connections import is_gone
from egide.server.http.kinds import Kinds
from egide.server.http.memory import Memory
from egide.server.http.places import Holding, Places, Purpose, Shares, most_askers

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from contextlib import AbstractAsyncContextManager

    from starlette.types import ASGIApp, Receive, Scope, Send

    from egide.domain.access import Key
    from egide.server.http.kinds import Kind
    from egide.server.settings import ServerSettings

    Identify = Callable[[Request], Awaitable[Key]]

_UNCOUNTED = ("/healthz", "/readyz", "/metrics")
"""Paths that answer even when everything else is refused."""
_MAX_QUERY_BYTES = 8192
_LEAVING_PART = 4
"""An address gets one in this many of its places for leaving: signing in is slow on purpose, and
few can do so at a time (`passwords`)."""
_READING = ("GET", "HEAD")


class Admission:
    """Admits requests so that no client holds what others need.

    The key is checked before the body is read. A request takes one of the `max_requests` places
    once its body has arrived, so a slow sender holds none. Each key, and each address without a
    key, has a share of the places.
    """

    def __init__(
        self,
        app: ASGIApp,
        settings: ServerSettings,
        identify: Mapping[str, Identify | None],
        memory: Memory | None = None,
    ) -> None:
        """Prepare.

        Args:
            app: receives the requests.
            settings: of the server.
            identify: finds the key of a request, or raises; by the prefix of paths that need one.
                The first prefix of a path counts; None for paths that need no key.
            memory: of the workers; by default that of this process alone.
        """
        self._app = app
        self._proxies = settings.trusted_proxies
        self._identify = dict(identify)
        self._kinds = Kinds(settings)
        memory = memory or Memory()
        self._bodies = Bodies(settings, memory)
        self._places = Places(settings, memory)
        self._shares = Shares(most_askers(settings), memory)
        self._per_address = settings.max_requests_per_address
        self._asking_per_address = settings.max_connections_per_address
        self._per_key = settings.max_requests_per_key
        self._asking_per_key = settings.max_requests

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, complete, or raise.

        Raises:
            Unauthorized, RateLimited, StoreError: a key is needed and missing or invalid.
            RequestInvalid: the query is too long.
            Overloaded: the sender's share is used up, or no place is free.
            EgideError: the body is refused, see `Bodies.take`.
            ClientDisconnect: the sender has gone, and the request need not be carried out.
        """
        if scope["type"] != "http" or scope["path"] in _UNCOUNTED:
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        # Connections that are reset at once cost their sender nothing. Two thousand of them in the
        # backlog kept everybody out while their pages were made.
        if scope["method"] in _READING and is_gone(scope):
            raise ClientDisconnect
        key = await self._key_of(request)
        if len(scope["query_string"]) > _MAX_QUERY_BYTES:
            raise RequestInvalid(reason=f"the query has over {_MAX_QUERY_BYTES} bytes")
        kind = self._kinds.of(scope["path"])
        asker = origin_of(request, self._proxies) if key is None else key.id
        body = await self._bodies.take(request.headers, receive, kind, asker, keyed=key is not None)
        purpose = Purpose.ANY if key is None else Purpose.KEYED
        try:
            async with Holding() as held:
                share = self._share_of(request, kind, key)
                if share is not None:
                    await held.enter_async_context(share)
                # Requests with a key, leaving and withdrawing are carried out even if nobody waits.
                wanted = key is not None or kind.leaving
                if is_gone(scope) and (scope["method"] in _READING or not wanted):
                    raise ClientDisconnect
                place = self._places.work(Purpose.LEAVING if kind.leaving else purpose)
                await held.enter_async_context(place)
                await self._app(scope, body.receive, held.ending(send))
        finally:
            body.forget()

    def _share_of(
        self, request: Request, kind: Kind, key: Key | None
    ) -> AbstractAsyncContextManager[None] | None:
        """The sender's share of places; None, for no limit, if a key leaves."""
        if key is None:
            # Leaving has its own share, so that others at this address can still leave.
            asker = (origin_of(request, self._proxies), kind.leaving)
            most = self._per_address // _LEAVING_PART if kind.leaving else self._per_address
            return self._shares.one(asker, max(1, most), self._asking_per_address)
        if kind.leaving:
            return None
        return self._shares.one(key.id, self._per_key, self._asking_per_key)

    async def _key_of(self, request: Request) -> Key | None:
        path = request.scope["path"]
        for start, identify in self._identify.items():
            if path.startswith(start):
                return None if identify is None else await identify(request)
        return None
