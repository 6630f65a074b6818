"""Authenticate a request by its key, before the body is read; then check permissions."""

from __future__ import annotations

import time
from collections import OrderedDict
from dataclasses import dataclass
from datetime import UTC, datetime
from threading import Lock
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import Request, Security
from fastapi.security import HTTPBearer
from starlette.concurrency import run_in_threadpool

from egide.domain.access import Key, Permission, parse_token, secret_matches
from egide.errors import RateLimited, StoreError, Unauthorized
from egide.server.http.rates import Rates

if TYPE_CHECKING:
    from collections.abc import Callable

    from egide.store.access.keys import Keys

CACHE_S = 0.9
"""How long a key is cached: a revoked one opens nothing a second after its revocation."""
STALE_S = 60.0
"""While the store is unreachable, a key stays valid for this long after it was last read."""
_CACHED_KEYS = 4096
_MINUTE_S = 60.0
_NO_HANDLE = ""
_NO_SECRET = bytes(32)
KEY = "egide_key"
"""Name of the key in a request's state."""
SCHEME = "key"
"""Name of the security scheme in the OpenAPI document."""

_bearer = HTTPBearer(
    scheme_name=SCHEME,
    bearerFormat="egide_…",
    description="A key of this register, as `egide key create` prints it.",
    auto_error=False,
)


@dataclass(frozen=True, slots=True)
class _Cached:
    """The store's answer for a handle: its key or None, and when, by the monotonic clock."""

    found: tuple[Key, bytes] | None
    read_at: float


class Authenticator:
    """Finds the key of a request, and counts failures by address.

    Whatever is wrong with a key, the answer and the work are the same: a look-up by handle, and a
    constant-time comparison of digests.
    """

    def __init__(
        self,
        keys: Keys,
        max_failures_per_minute: int,
        clock: Callable[[], float] = time.monotonic,
        *,
        silent: Callable[[], bool] = lambda: False,
        failures: Rates | None = None,
    ) -> None:
        """Prepare to look up keys.

        Args:
            keys: of the store.
            max_failures_per_minute: of one address.
            clock: monotonic.
            silent: whether the store is known not to respond; then a cached key does not wait.
            failures: that all workers count; by default those of this process alone.
        """
        self._silent = silent
        self._asked: set[str] = set()
        self._keys = keys
        self._failures_per_second = max_failures_per_minute / _MINUTE_S
        self._clock = clock
        self._failures = failures or Rates(clock)
        self._cache: OrderedDict[str, _Cached] = OrderedDict()
        self._lock = Lock()

    async def authenticate(self, authorization: str | None, address: str) -> Key:
        """Return the key that an `Authorization` header carries.

        Args:
            authorization: the header; None if absent.
            address: of the peer.

        Raises:
            Unauthorized: no valid key, for whatever reason.
            RateLimited: too many such requests from this address.
            StoreError: the store cannot be read, and the key is not cached.
        """
        key = await self._find(authorization)
        if key is not None and key.live(datetime.now(UTC)):
            return key
        wait_s = self._failures.spend(address, self._failures_per_second, 1, burst_s=_MINUTE_S)
        if wait_s:
            raise RateLimited(retry_after_s=wait_s)
        raise Unauthorized

    async def _find(self, authorization: str | None) -> Key | None:
        scheme, _, token = (authorization or "").partition(" ")
        parsed = parse_token(token.strip()) if scheme.lower() == "bearer" else None
        handle, secret = parsed or (_NO_HANDLE, _NO_SECRET)
        found = await self._look_up(handle)
        key, expected = found or (None, _NO_SECRET)
        return key if secret_matches(secret, expected) else None

    async def _look_up(self, handle: str) -> tuple[Key, bytes] | None:
        now = self._clock()
        with self._lock:
            cached = self._cache.get(handle)
        if cached is not None:
            # Only one request at a time asks: with a store that hangs, all threads would wait.
            known_for_s = STALE_S if handle in self._asked or self._silent() else CACHE_S
            if now - cached.read_at < known_for_s:
                return cached.found
        self._asked.add(handle)
        try:
            found = await run_in_threadpool(self._keys.find, handle)
        except StoreError:
            if cached is None or now - cached.read_at > STALE_S:
                raise
            return cached.found
        finally:
            self._asked.discard(handle)
        with self._lock:
            self._cache[handle] = _Cached(found, now)
            self._cache.move_to_end(handle)
            if len(self._cache) > _CACHED_KEYS:
                self._cache.popitem(last=False)
        return found


async def identify(request: Request) -> Key:
    """Return the key of a request, and store it in the request's state.

    Raises:
        Unauthorized, RateLimited, StoreError: see `Authenticator.authenticate`.
    """
    known: Key | None = getattr(request.state, KEY, None)
    if known is not None:
        return known
    service = request.app.state.service
    key: Key = await service.authenticator.authenticate(
        request.headers.get("authorization"), address_of(request)
    )
    service.allowances.count_request(key)
    setattr(request.state, KEY, key)
    return key


def address_of(request: Request) -> str:
    """Return the peer's address; no header can change it."""
    return request.client.host if request.client else "unknown"


def permitted(permission: Permission) -> Any:
    """Return a dependency that gives the key of a request whose role has the permission.

    Use it as `key: Annotated[Key, permitted(Permission.MATCH)]`. The OpenAPI document names the
    permission as `x-permission`.
    """

    async def permitted_key(
        request: Request, _credentials: Annotated[object, Security(_bearer)]
    ) -> Key:
        key = await identify(request)
        key.require(permission)
        return key

    # The scope appears in the OpenAPI document, where `egide.server.api.openapi` reads it.
    return Security(permitted_key, scopes=[permission.value])
