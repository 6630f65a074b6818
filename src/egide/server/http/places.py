"""Places for requests: some are reserved for keys, some for leaving; each asker has a share."""

from __future__ import annotations

import asyncio
import math
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from enum import Enum, auto
from typing import TYPE_CHECKING

from egide.errors import Overloaded

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Hashable, Iterator

    from starlette.types import Message, Send

    from egide.server.settings import ServerSettings

_PATIENCE_S = 5.0
_AT_WORK = 4
"""Requests without a key that run at once. They use the interpreter, not the disk: more at once
would finish no sooner, and slow down all others."""


class Purpose(Enum):
    """What places are reserved for."""

    ANY = auto()
    KEYED = auto()
    LEAVING = auto()


class Places:
    """Counts the running requests.

    A purpose may use its reserved places, and free places that are reserved for none.
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
        self._at_work = asyncio.Semaphore(_AT_WORK)

    @property
    def taken(self) -> int:
        """How many requests are running."""
        return sum(self._taken.values())

    @asynccontextmanager
    async def work(self, purpose: Purpose) -> AsyncIterator[None]:
        """Hold a place; requests without a key also wait for their turn.

        Raises:
            Overloaded: no place is free for this purpose.
        """
        with self._one(purpose):
            if purpose is not Purpose.ANY:
                yield
                return
            async with self._at_work:
                yield

    @contextmanager
    def _one(self, purpose: Purpose) -> Iterator[None]:
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
    """Lets each asker run a few requests at a time; further ones wait.

    A browser behind a proxy asks for fifty scripts at once, and must get them all.
    """

    def __init__(self) -> None:
        self._of: dict[Hashable, _Share] = {}

    @asynccontextmanager
    async def one(self, asker: Hashable, most: int, most_asking: int) -> AsyncIterator[None]:
        """Hold one place of an asker's share.

        Args:
            asker: an address or a key.
            most: requests that may run at a time.
            most_asking: requests that may run or wait.

        Raises:
            Overloaded: the share stays full for some seconds, or too many requests wait.
        """
        share = self._of.setdefault(asker, _Share(most))
        if share.asking >= most_asking:
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
                self._of.pop(asker, None)


class _Share:
    """The share of one asker.

    Attributes:
        free: its free places.
        asking: its requests, running or waiting.
    """

    def __init__(self, most: int) -> None:
        self.free = asyncio.Semaphore(most)
        self.asking = 0


class Holding(AsyncExitStack):
    """The places that a request holds while it runs.

    They are released when a complete answer, with a known length, begins to be sent: a slow reader
    holds none. A streamed answer is made while it is read, so it holds them to its end.
    """

    def ending(self, send: Send) -> Send:
        """Return a `send` that releases everything when a complete answer begins."""

        async def ending_send(message: Message) -> None:
            if message["type"] == "http.response.start" and any(
                name.lower() == b"content-length" for name, _ in message["headers"]
            ):
                await self.aclose()
            await send(message)

        return ending_send
