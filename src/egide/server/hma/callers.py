"""Identify the callers of the HMA routes: by key, or by a network that needs none."""

from __future__ import annotations

import time
from contextlib import suppress
from datetime import UTC, datetime
from ipaddress import IPv6Address, ip_address
from typing import TYPE_CHECKING, Any

from fastapi import Depends, Request
from starlette.concurrency import run_in_threadpool

from egide.domain.access import NETWORK_RATE
from egide.errors import KeyExists, KeyMissing, StoreError
from egide.server.http.auth import CACHE_S, KEY, STALE_S, address_of, identify
from egide.server.service import service_of

if TYPE_CHECKING:
    from egide.domain.access import Key, Permission
    from egide.server.service import Service

_HOLDER = "HMA clients without a key"
_OF_BROWSERS = ("origin", "sec-fetch-site")
# Browsers send these headers, HMA clients do not. Without the check, a page on the web could use
# the browser of someone within the network.


class NetworkCallers:
    """Maps callers without a key to one key of the store, to count, log and revoke them.

    The key is named `hma-` and its role, and made when first needed. An operator who makes a key of
    that name and role beforehand chooses its rates and banks; else it has `NETWORK_RATE`.
    """

    def __init__(self, service: Service) -> None:
        self._service = service
        self._networks = service.settings.hma_networks
        self._role = service.settings.hma_role
        self._known: tuple[Key, float] | None = None
        self._asked = False

    async def find(self, request: Request) -> Key | None:
        """Return the key for a request without one; None if its network is not allowed.

        Only the peer's address counts, no header.
        """
        if not self._covers(address_of(request)) or any(
            name in request.headers for name in _OF_BROWSERS
        ):
            return None
        key = await self._key()
        return key if key.role is self._role and key.live(datetime.now(UTC)) else None

    async def _key(self) -> Key:
        """Return the key, cached while the store is silent, as `Authenticator` does."""
        known, now_s = self._known, time.monotonic()
        if known is not None:
            known_for_s = STALE_S if self._asked or self._service.live.silent else CACHE_S
            if now_s - known[1] < known_for_s:
                return known[0]
        self._asked = True
        try:
            self._known = known = await run_in_threadpool(self._read), now_s
        except StoreError:
            if known is None or now_s - known[1] > STALE_S:
                raise
        finally:
            self._asked = False
        return known[0]

    def _covers(self, text: str) -> bool:
        try:
            address = ip_address(text)
        except ValueError:
            return False  # a Unix socket has no address
        if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        return any(address in network for network in self._networks)

    def _read(self) -> Key:
        keys = self._service.acting("egide").keys
        name = f"hma-{self._role.value}"
        try:
            return keys.get(name)
        except KeyMissing:
            with suppress(KeyExists):  # another process made it meanwhile
                keys.create(
                    name,
                    self._role,
                    _HOLDER,
                    per_second=NETWORK_RATE.per_second,
                    per_day=NETWORK_RATE.per_day,
                )
            return keys.get(name)


def allowed(permission: Permission, *others: Permission) -> Any:
    """Return a dependency that gives the key of a request whose role has one of the permissions."""

    async def allowed_key(request: Request) -> Key:
        key = await identify_caller(request)
        if not any(map(key.may, others)):
            key.require(permission)
        return key

    return Depends(allowed_key)


async def identify_caller(request: Request) -> Key:
    """Return the key of a request or of its network, and store it in the request's state.

    Raises:
        Unauthorized, RateLimited, StoreError: see `egide.server.http.auth.identify`.
    """
    known: Key | None = getattr(request.state, KEY, None)
    if known is not None:
        return known
    key = None
    if "authorization" not in request.headers:
        key = await _callers(request).find(request)
    if key is None:
        return await identify(request)
    service_of(request).allowances.count_request(key)
    setattr(request.state, KEY, key)
    return key


def _callers(request: Request) -> NetworkCallers:
    state = request.app.state
    if not hasattr(state, "hma_callers"):
        state.hma_callers = NetworkCallers(service_of(request))
    callers: NetworkCallers = state.hma_callers
    return callers
