"""Connections that cannot be held open, or filled, by requests that never begin."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

if TYPE_CHECKING:
    import asyncio

MAX_HEAD_BYTES = 64 * 1024
"""Of the request line and the headers; uvicorn sets no limit."""
MAX_PIPELINED = 16
"""Requests of a connection that wait for an earlier one's answer. Uvicorn keeps all that come, with
their bodies: one connection filled 600 MB in 8 s."""


class BoundedHttp(HttpToolsProtocol):
    """HTTP/1.1 whose heads have to arrive in time and to have an end, few of them in advance.

    Without this a few hundred connections that send a byte a minute keep everybody else out.
    """

    head_timeout_s = 15.0
    _timer: asyncio.TimerHandle | None = None
    _in_head = True
    _head_bytes = 0
    _ended_here = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Give the first head its time."""
        super().connection_made(transport)
        self._start_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the timer."""
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Refuse a head without an end."""
        self._ended_here = False
        super().data_received(data)
        # Data that ends a message may begin the next head; that beginning is not counted.
        if self._in_head and not self._ended_here and not self.transport.is_closing():
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES:
                self.send_400_response("Request head too large.")

    def on_message_begin(self) -> None:
        """Give a further head its time."""
        super().on_message_begin()
        self._in_head = True
        self._head_bytes = 0
        self._start_timer()

    def on_headers_complete(self) -> None:
        """See that the head came in time, is not too large, and not one of too many."""
        self._in_head = False
        self._stop_timer()
        size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        if size > MAX_HEAD_BYTES:
            raise ValueError("head too large")  # the parser makes it a refusal
        if len(self.pipeline) >= MAX_PIPELINED:
            raise ValueError("too many requests in advance")
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Await a further head."""
        self._in_head = self._ended_here = True
        self._head_bytes = 0
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Read no further requests while there are some."""
        super().on_response_complete()
        if self.pipeline:
            self.flow.pause_reading()

    def _start_timer(self) -> None:
        if self._timer is None:
            self._timer = self.loop.call_later(self.head_timeout_s, self._give_up)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _give_up(self) -> None:
        self._timer = None
        self.transport.close()


def bounded_http(head_timeout_s: float) -> type[Any]:
    """Return a protocol class for uvicorn whose heads have this long to arrive."""
    return type("BoundedHttp", (BoundedHttp,), {"head_timeout_s": head_timeout_s})
