"""A connection to PostgreSQL with a time limit for every answer.

A server can stop answering silently: its process is stopped, or a router drops packets. Neither
libpq nor the system notices while the other end still acknowledges packets.
"""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any

import psycopg

if TYPE_CHECKING:
    from psycopg.abc import PQGen


class NoAnswer(psycopg.OperationalError):
    """The server did not answer in time. The connection is closed: an answer may come late."""


class BoundedConnection(psycopg.Connection[Any]):
    """A psycopg connection whose exchanges have a time limit.

    Attributes:
        limit_s: for one exchange: a statement, a page of a cursor, a part of a copy.
    """

    limit_s: float = math.inf

    def wait(self, gen: PQGen[Any], *arguments: Any, **options: Any) -> Any:
        """Run one exchange of psycopg with the server.

        Raises:
            NoAnswer: the exchange takes longer than `limit_s`.
        """
        return super().wait(self._bounded(gen), *arguments, **options)

    def _bounded(self, exchange: PQGen[Any]) -> PQGen[Any]:
        end = time.monotonic() + self.limit_s
        try:
            state = next(exchange)
            while True:
                # Resumes ten times a second, even if the server sends nothing.
                ready = yield state
                if time.monotonic() > end:
                    self.pgconn.finish()
                    raise NoAnswer("no answer in time")
                state = exchange.send(ready)
        except StopIteration as done:
            return done.value
