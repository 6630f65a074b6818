"""A connection to PostgreSQL that waits for no answer longer than it is told to.

A server can stop answering without a word: its process is stopped, a router drops what it should
pass on. Neither libpq nor the system notices, as long as the other end confirms what arrives.
"""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any

import psycopg

if TYPE_CHECKING:
    from psycopg.abc import PQGen


class NoAnswer(psycopg.OperationalError):
    """The server did not answer in time; the connection is closed, since it may do so late."""


class BoundedConnection(psycopg.Connection[Any]):
    """A connection of psycopg, each of whose exchanges ends.

    Attributes:
        limit_s: for one exchange: a statement, a page of a cursor, a part of a copy.
    """

    limit_s: float = math.inf

    def wait(self, gen: PQGen[Any], *arguments: Any, **options: Any) -> Any:
        """Consume what psycopg exchanges with the server.

        Raises:
            NoAnswer: it is not done in time.
        """
        return super().wait(self._bounded(gen), *arguments, **options)

    def _bounded(self, exchange: PQGen[Any]) -> PQGen[Any]:
        end = time.monotonic() + self.limit_s
        try:
            state = next(exchange)
            while True:
                # Comes back ten times a second, whether or not the server says anything.
                ready = yield state
                if time.monotonic() > end:
                    self.pgconn.finish()
                    raise NoAnswer("no answer in time")
                state = exchange.send(ready)
        except StopIteration as done:
            return done.value
