"""Places for requests: some are reserved for keys, some for leaving; each asker has a share."""

from __future__ import annotations

import asyncio
import math
import operator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from enum import Enum, auto
from typing import TYPE_CHECKING

from egide.errors import Overloaded
from egide.server.http.memory import Memory

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Hashable, Iterator

    from starlette.types import Message, Send

    from egide.server.settings import ServerSettings

_PATIENCE_S = 5.0
_AT_WORK = 4
"""Requests without a key that run at once in a worker. They use its interpreter, not the disk: more
at once would finish no sooner, and slow down all others."""
_SPARE_ROWS = 16
_LOOK_EVERY_S = 0.01
"""How often who waits looks whether another worker has freed a place."""


def most_askers(settings: ServerSettings) -> int:
    """How many may have requests at a time: over a connection each, or one that was left."""
    return settings.max_connections + settings.max_requests + _SPARE_ROWS


class Purpose(Enum):
    """What places are reserved for."""

    ANY = auto()
    KEYED = auto()
    LEAVING = auto()


class Places:
    """Counts the running requests of all workers.

    A purpose may use its reserved places, and free places that are reserved for none.
    """

    def __init__(self, settings: ServerSettings, memory: Memory | None = None) -> None:
        total = settings.max_requests
        self._kept = {
            Purpose.ANY: 0,
            Purpose.KEYED: math.ceil(total * settings.keys_share),
            Purpose.LEAVING: math.ceil(total * settings.leaving_share),
        }
        self._common = max(1, total - sum(self._kept.values()))
        self._taken = (memory or Memory()).tally(len(Purpose))
        self._at_work = asyncio.Semaphore(_AT_WORK)

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
        with self._taken.memory:
            if self._taken.total(purpose) >= self._kept[purpose]:
                over = (self._taken.total(one) - self._kept[one] for one in Purpose)
                if sum(max(0, more) for more in over) >= self._common:
                    raise Overloaded(retry_after_s=1)
            self._taken.add(purpose)
        try:
            yield
        finally:
            self._taken.give_back(purpose)


class Shares:
    """Lets each asker run a few requests at a time, in all workers together; further ones wait.

    A browser behind a proxy asks for fifty scripts at once, and must get them all.
    """

    def __init__(self, askers: int, memory: Memory | None = None) -> None:
        """Prepare.

        Args:
            askers: that may have requests at a time.
            memory: of the workers; by default that of this process alone.
        """
        memory = memory or Memory()
        self._running = memory.tally(askers)
        self._asking = memory.tally(askers)
        self._lines: dict[Hashable, _Line] = {}

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
        if not self._asking.add(asker, most=most_asking):
            raise Overloaded(retry_after_s=1)
        line = self._lines.setdefault(asker, _Line())
        line.length += 1
        try:
            try:
                async with asyncio.timeout(_PATIENCE_S), line.first:
                    while not self._take(asker, most):
                        await line.wait()
            except TimeoutError:
                raise Overloaded(retry_after_s=1) from None
            try:
                yield
            finally:
                self._running.give_back(asker)
                line.freed.set()
        finally:
            self._asking.give_back(asker)
            line.length -= 1
            if not line.length:
                self._lines.pop(asker, None)

    def _take(self, asker: Hashable, most: int) -> bool:
        """Take a place if one is free; leave others their part if they wait in other workers."""
        with self._running.memory as memory:
            if memory.workers > 1:
                running = self._running.by_worker(asker)
                asking = self._asking.by_worker(asker)
                waiting = sum(map(operator.gt, asking, running))  # this worker is one of them
                if running[memory.worker] >= math.ceil(most / waiting):
                    return False
            return self._running.add(asker, most=most)


class _Line:
    """The requests of one asker in this worker.

    Attributes:
        first: held by the one that looks for a free place; the others wait behind it.
        freed: set when one ends here.
        length: how many run or wait.
    """

    def __init__(self) -> None:
        self.first = asyncio.Lock()
        self.freed = asyncio.Event()
        self.length = 0

    async def wait(self) -> None:
        """Wait until one ends here, or for as long as it may take to see one end elsewhere."""
        self.freed.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(_LOOK_EVERY_S):
                await self.freed.wait()


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
