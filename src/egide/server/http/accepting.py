"""Take connections from a socket that several workers have in common, so that each has as many."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from egide.server.http.logs import log

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from egide.server.http.shared import Shared

_HOLD_BACK_S = 0.002
"""How long a worker leaves a new connection to another that has one fewer; longer for more."""
_LONGEST_S = 0.02
_EXHAUSTED_S = 1.0
_logger = logging.getLogger("egide.server")


class Accepting:
    """Accepts connections for one worker.

    The system gives a new connection to whichever worker asks first: of eight connections that came
    at once, one of two workers took seven, and the other had a core to spare for as long as they
    stayed open. So a worker that has more than another holds back, but not for long.
    """

    def __init__(
        self,
        listening: socket.socket,
        protocol: Callable[[], asyncio.Protocol],
        count_open: Callable[[], int],
        shared: Shared,
    ) -> None:
        """Begin; call this in the event loop.

        Args:
            listening: the workers' socket, which does not block.
            protocol: makes what answers a connection.
            count_open: how many connections this worker has.
            shared: with the other workers.
        """
        self._loop = asyncio.get_running_loop()
        self._listening = listening
        self._protocol = protocol
        self._count_open = count_open
        self._shared = shared
        self._opening: set[asyncio.Task[object]] = set()
        self._later: asyncio.TimerHandle | None = None
        self._loop.add_reader(listening, self._come)

    def close(self) -> None:
        """Take no further connection."""
        if self._later is not None:
            self._later.cancel()
        self._loop.remove_reader(self._listening)

    def tell(self) -> int:
        """Tell the others how many this worker has; return how many fewer another has."""
        return self._shared.count_connections(self._count_open() + len(self._opening))

    def _come(self) -> None:
        """Somebody comes."""
        more = self.tell()
        if more:
            self._wait(min(more * _HOLD_BACK_S, _LONGEST_S))
        else:
            self._accept()

    def _accept(self) -> None:
        try:
            connection, _ = self._listening.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return  # another worker was faster, or whoever came has gone
        except OSError as error:
            log(_logger, logging.ERROR, "cannot take connections", reason=error.strerror)
            self._wait(_EXHAUSTED_S)
            return
        connection.setblocking(False)
        opening = self._loop.create_task(self._open(connection))
        self._opening.add(opening)
        opening.add_done_callback(self._opening.discard)

    async def _open(self, connection: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(self._protocol, connection)
        except OSError:
            connection.close()

    def _wait(self, pause_s: float) -> None:
        self._loop.remove_reader(self._listening)
        self._later = self._loop.call_later(pause_s, self._go_on)

    def _go_on(self) -> None:
        self._later = None
        self._loop.add_reader(self._listening, self._come)
        self._accept()
