"""Connections that nobody can hold open, or fill, by sending slowly or by not reading."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from egide.server.address import is_within, site_of

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Sequence
    from ipaddress import IPv4Network, IPv6Network

    from starlette.types import Scope

    from egide.server.settings import ServerSettings

MAX_HEAD_BYTES = 64 * 1024
"""Of the request line and the headers; uvicorn sets no limit. Of what follows a body, too."""
MAX_HEADERS = 128
MAX_PIPELINED = 16
"""Requests of a connection that wait for an earlier one's answer. Uvicorn keeps all that come, with
their bodies: one connection filled 600 MB in 8 s."""
_LINGER_S = 2.0
"""For what is left of a body after its answer: to close at once may destroy the answer."""
_LEAST_READ_BYTES = 64 * 1024
"""In `write_timeout_s`; or all that there is to be read."""
_GONE = "egide.gone"
_FULL = (
    b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: text/plain; charset=utf-8\r\n"
    b"retry-after: 5\r\nconnection: close\r\ncontent-length: 20\r\n\r\nToo many connections"
)


@dataclass(frozen=True, slots=True)
class ConnectionRules:
    """What connections may do, and how many there are from where.

    Attributes:
        header_timeout_s: in which a head has to arrive.
        write_timeout_s: in which something of an answer has to be read.
        answer_timeout_s: in which all of it has to be.
        max_connections: of all.
        max_per_address: of one address, see `egide.server.address`.
        proxies: networks in which no address has a share of its own.
        open_from: how many there are, by address.
    """

    header_timeout_s: float
    write_timeout_s: float
    answer_timeout_s: float
    max_connections: int
    max_per_address: int
    proxies: Sequence[IPv4Network | IPv6Network] = ()
    open_from: Counter[str] = field(default_factory=Counter)

    @classmethod
    def of(cls, settings: ServerSettings) -> ConnectionRules:
        """Take them from the settings."""
        return cls(
            header_timeout_s=settings.header_timeout_s,
            write_timeout_s=settings.write_timeout_s,
            answer_timeout_s=settings.answer_timeout_s,
            max_connections=settings.max_connections,
            max_per_address=settings.max_connections_per_address,
            proxies=settings.trusted_proxies,
        )


class BoundedHttp(HttpToolsProtocol):
    """HTTP/1.1 that has to be sent and read in time, and of which one address has a share.

    Without this a few hundred connections that send a byte a minute, or that read none, keep
    everybody else out.
    """

    def __init__(self, rules: ConnectionRules, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self._rules = rules
        self._site: str | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._in_head = True
        self._in_body = False
        self._head_bytes = 0
        self._ended_here = False
        self._unread_since: float | None = None
        self._looked_at = 0.0
        self._unread_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Refuse one too many; give the first head its time."""
        super().connection_made(transport)
        peer = self.client[0] if self.client else ""
        rules = self._rules
        if not is_within(peer, rules.proxies):
            self._site = site_of(peer)
            rules.open_from[self._site] += 1
            if rules.open_from[self._site] > rules.max_per_address:
                self._refuse()
                return
        if len(self.connections) > rules.max_connections:
            self._refuse()
            return
        self._start_timer(rules.header_timeout_s)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        self._stop_timer()
        if self._site is not None:
            self._rules.open_from[self._site] -= 1
            if not self._rules.open_from[self._site]:
                del self._rules.open_from[self._site]
            self._site = None
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Refuse a head without an end."""
        if self.transport.is_closing():
            return
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
        self.scope["extensions"] = {_GONE: {"is": self.transport.is_closing}}
        self._in_head = True
        self._head_bytes = 0
        self._start_timer(self._rules.header_timeout_s)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Bound what comes after a body, which nobody reads."""
        if not self._in_head:
            self._head_bytes += len(name) + len(value) + 4
            if self._head_bytes > MAX_HEAD_BYTES:
                raise ValueError("trailers too large")  # the parser makes it a refusal
            return
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """See that the head came in time, is not too large, and not one of too many."""
        self._in_head = False
        self._in_body = True
        self._head_bytes = 0
        self._stop_timer()
        size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        if size > MAX_HEAD_BYTES or len(self.headers) > MAX_HEADERS:
            raise ValueError("head too large")
        if len(self.pipeline) >= MAX_PIPELINED:
            raise ValueError("too many requests in advance")
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Await a further head."""
        self._in_head = self._ended_here = True
        self._in_body = False
        self._head_bytes = 0
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Read no further requests while there are some, and little of a body that is refused."""
        super().on_response_complete()
        if self.pipeline:
            self.flow.pause_reading()
        elif self._in_body:
            self._start_timer(_LINGER_S)

    def resume_writing(self) -> None:
        """Count what is read of an answer that comes in pieces."""
        self._looked_at = self.loop.time()
        self._unread_bytes = self.transport.get_write_buffer_size()
        super().resume_writing()

    def look(self, now: float) -> None:
        """Cut it off if what was written to it is not read; to be called each second or so."""
        unread = self.transport.get_write_buffer_size()
        if not unread:
            self._unread_since = None
            return
        rules = self._rules
        if self._unread_since is None:
            self._unread_since = self._looked_at = now
            self._unread_bytes = unread
        elif now - self._unread_since > rules.answer_timeout_s:
            self.transport.abort()
        elif now - self._looked_at > rules.write_timeout_s:
            if self._unread_bytes - unread < _LEAST_READ_BYTES:
                self.transport.abort()
            self._looked_at = now
            self._unread_bytes = unread

    def _refuse(self) -> None:
        self.transport.write(_FULL)
        self.transport.close()

    def _start_timer(self, within_s: float) -> None:
        if self._timer is None:
            self._timer = self.loop.call_later(within_s, self._give_up)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _give_up(self) -> None:
        self._timer = None
        self.transport.close()


def is_gone(scope: Scope) -> bool:
    """Return whether nobody is there any longer to read the answer to a request."""
    extension = scope.get("extensions", {}).get(_GONE)
    return extension is not None and bool(extension["is"]())


def bounded_http(settings: ServerSettings) -> Any:
    """Return what makes protocols for uvicorn."""
    return partial(BoundedHttp, ConnectionRules.of(settings))
