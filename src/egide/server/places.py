"""Places for requests: some are kept for keys, some for leaving, and an address has a share."""

from __future__ import annotations

import asyncio
import math
from contextlib import asynccontextmanager, contextmanager
from enum import Enum, auto
from typing import TYPE_CHECKING

from egide.errors import Overloaded

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Hashable, Iterator

    from egide.server.settings import ServerSettings

_PATIENCE_S = 5.0
_LEAVING_PART = 8
"""Signing in takes long on purpose, and few do it at a time (`egide.passwords`): one address may
not be all of them."""


class Purpose(Enum):
    """What places are kept for."""

    ANY = auto()
    KEYED = auto()
    LEAVING = auto()


class Places:
    """Counts the requests that are being worked on.

    A purpose has its kept places, and whatever is free of those that are kept for none.
    """

    def __init__(self, settings: ServerSettings) -> None:
        total = settings.max_requests
        self._kept = {
            Purpose.ANY: 0,
            Purpose.KEYED: math.ceil(total * settings.keys_share),
            Purpose.LEAVING: math.ceil(total * settings.leaving_share),
        }
        self._common = max(1, total - sum(self._kept.values()))
        self._taken = dict.fromkeys(Purpose, 0)

    @property
    def taken(self) -> int:
        """How many requests are being worked on."""
        return sum(self._taken.values())

    @contextmanager
    def one(self, purpose: Purpose) -> Iterator[None]:
        """Hold a place.

        Raises:
            Overloaded: none is free for this.
        """
        if self._taken[purpose] >= self._kept[purpose]:
            common = sum(max(0, self._taken[one] - self._kept[one]) for one in Purpose)
            if common >= self._common:
                raise Overloaded(retry_after_s=1)
        self._taken[purpose] += 1
        try:
            yield
        finally:
            self._taken[purpose] -= 1


class Shares:
    """Lets one address have a few requests at a time, from their heads to their last bytes.

    A browser behind a proxy asks for fifty scripts at once: those beyond the share wait.
    """

    def __init__(self, settings: ServerSettings) -> None:
        self._most = settings.max_requests_per_address
        self._most_waiting = settings.max_connections_per_address
        self._of: dict[Hashable, _Share] = {}

    @asynccontextmanager
    async def one(self, origin: str, *, leaving: bool) -> AsyncIterator[None]:
        """Hold a part of an address's share.

        Args:
            origin: the address, see `egide.server.address`.
            leaving: from a share apart: who fills the other one up keeps nobody beside them in.

        Raises:
            Overloaded: the share is taken, and stays so for some seconds.
        """
        share = self._of.setdefault(
            (origin, leaving),
            _Share(max(1, self._most // _LEAVING_PART) if leaving else self._most),
        )
        if share.asking >= self._most_waiting:
            raise Overloaded(retry_after_s=1)
        share.asking += 1
        try:
            try:
                async with asyncio.timeout(_PATIENCE_S):
                    await share.free.acquire()
            except TimeoutError:
                raise Overloaded(retry_after_s=1) from None
            try:
                yield
            finally:
                share.free.release()
        finally:
            share.asking -= 1
            if not share.asking:
                self._of.pop((origin, leaving), None)


class _Share:
    """What one address holds.

    Attributes:
        free: what it may still hold.
        asking: its requests, those that wait among them.
    """

    def __init__(self, most: int) -> None:
        self.free = asyncio.Semaphore(most)
        self.asking = 0
