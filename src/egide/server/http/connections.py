"""HTTP connections that no client can hold open by sending slowly or by not reading."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from egide.server.http.address import is_within, site_of

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterable, Sequence
    from ipaddress import IPv4Network, IPv6Network

    from starlette.types import Scope

    from egide.server.settings import ServerSettings

MAX_HEAD_BYTES = 64 * 1024
"""Of the request line and headers, and of trailers; uvicorn sets no limit."""
MAX_HEADERS = 128
MAX_PIPELINED = 16
"""Requests of a connection that wait for an earlier answer. Uvicorn keeps all of them, with their
bodies: one connection filled 600 MB in 8 s."""
_LINGER_S = 2.0
"""For the rest of a body after its answer: closing at once may destroy the answer."""
_LEAST_READ_BYTES = 64 * 1024
"""Bytes that the client must read in `write_timeout_s`, unless fewer are left."""
_PROXY = "proxy"
_GONE = "egide.gone"
_FULL = (
    b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: text/plain; charset=utf-8\r\n"
    b"retry-after: 5\r\nconnection: close\r\ncontent-length: 20\r\n\r\nToo many connections"
)


class Turns:
    """Begins requests one by one, with the addresses in turn.

    Each round of the event loop begins one request and accepts one new connection. Otherwise a new
    client would wait until all pipelined requests of 300 earlier ones were answered.
    """

    def __init__(self) -> None:
        self._waiting: dict[str, deque[Callable[[], None]]] = {}
        self._scheduled = False

    def add(self, address: str, begin: Callable[[], None], loop: asyncio.AbstractEventLoop) -> None:
        """Queue a request of an address."""
        self._waiting.setdefault(address, deque()).append(begin)
        if not self._scheduled:
            self._scheduled = True
            loop.call_soon(self._begin, loop)

    def _begin(self, loop: asyncio.AbstractEventLoop) -> None:
        address = next(iter(self._waiting))
        waiting = self._waiting.pop(address)
        begin = waiting.popleft()
        if waiting:
            self._waiting[address] = waiting  # behind the others
        self._scheduled = bool(self._waiting)
        if self._scheduled:
            loop.call_soon(self._begin, loop)
        begin()


@dataclass(frozen=True, slots=True)
class ConnectionRules:
    """Limits on connections, and the open ones by address.

    Attributes:
        header_timeout_s: in which a request head must arrive.
        write_timeout_s: in which the client must read some of an answer.
        answer_timeout_s: in which the client must read all of an answer.
        max_connections: in total.
        max_per_address: of one address, see `egide.server.http.address`.
        proxies: networks whose addresses are not limited.
        open_from: open connections by address, oldest first.
        turns: of their requests.
    """

    header_timeout_s: float
    write_timeout_s: float
    answer_timeout_s: float
    max_connections: int
    max_per_address: int
    proxies: Sequence[IPv4Network | IPv6Network] = ()
    open_from: dict[str, dict[BoundedHttp, None]] = field(default_factory=dict)
    turns: Turns = field(default_factory=Turns)

    @classmethod
    def of(cls, settings: ServerSettings) -> ConnectionRules:
        """Take the limits from the settings."""
        return cls(
            header_timeout_s=settings.header_timeout_s,
            write_timeout_s=settings.write_timeout_s,
            answer_timeout_s=settings.answer_timeout_s,
            max_connections=settings.max_connections,
            max_per_address=settings.max_connections_per_address,
            proxies=settings.trusted_proxies,
        )


class BoundedHttp(HttpToolsProtocol):
    """HTTP/1.1 with deadlines for sending and reading, and a share of connections per address.

    Without it, a few hundred connections that send a byte a minute, or read nothing, keep everybody
    else out.
    """

    def __init__(self, rules: ConnectionRules, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self._rules = rules
        self._site: str | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._begun: RequestResponseCycle | None = None
        self._in_head = True
        self._in_body = False
        self._head_bytes = 0
        self._ended_here = False
        self._unread_since: float | None = None
        self._looked_at = 0.0
        self._unread_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Refuse a connection beyond the limits; else start the timer for the first head."""
        super().connection_made(transport)
        peer = self.client[0] if self.client else ""
        rules = self._rules
        if not is_within(peer, rules.proxies):
            self._site = site_of(peer)
            own = rules.open_from.setdefault(self._site, {})
            room = len(own) < rules.max_per_address or _make_room(own)
            own[self] = None
            if not room:
                self._refuse()
                return
        if len(self.connections) > rules.max_connections and not self._make_room_for_all():
            self._refuse()
            return
        self._start_timer(rules.header_timeout_s)

    def connection_lost(self, exc: Exception | None) -> None:
        """Remove the connection."""
        self._stop_timer()
        self._leave_site()
        super().connection_lost(exc)
        # Uvicorn tells only the last request, not one that others wait behind.
        if self._begun is not None:
            self._begun.disconnected = True
            self._begun.message_event.set()
        self.pipeline.clear()

    def data_received(self, data: bytes) -> None:
        """Refuse an endless head."""
        if self.transport.is_closing():
            return
        self._ended_here = False
        super().data_received(data)
        # Data that ends a message may begin the next head; that part is not counted.
        if self._in_head and not self._ended_here and not self.transport.is_closing():
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES:
                self.send_400_response("Request head too large.")

    def on_message_begin(self) -> None:
        """Start the timer for a further head."""
        super().on_message_begin()
        self.scope["extensions"] = {_GONE: {"is": self.transport.is_closing}}
        self._in_head = True
        self._head_bytes = 0
        self._start_timer(self._rules.header_timeout_s)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Limit trailers, which nobody reads."""
        if not self._in_head:
            self._head_bytes += len(name) + len(value) + 4
            if self._head_bytes > MAX_HEAD_BYTES:
                raise ValueError("trailers too large")  # the parser turns it into a refusal
            return
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Stop the timer; refuse a head that is too large, or too many pipelined requests."""
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
        """Wait for a further head."""
        self._in_head = self._ended_here = True
        self._in_body = False
        self._head_bytes = 0
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Pause reading while requests wait; read only a little of a refused body."""
        super().on_response_complete()
        if self.pipeline:
            self.flow.pause_reading()
        elif self._in_body:
            self._start_timer(_LINGER_S)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        begin = partial(self._begin, cycle, app)
        self._rules.turns.add(self._site or _PROXY, begin, self.loop)

    def _begin(self, cycle: RequestResponseCycle, app: Any) -> None:
        if not (cycle.disconnected or self.transport.is_closing()):
            self._begun = cycle
            super()._start_asgi_task(cycle, app)

    def resume_writing(self) -> None:
        """Measure anew how much of a streamed answer is unread."""
        self._looked_at = self.loop.time()
        self._unread_bytes = self.transport.get_write_buffer_size()
        super().resume_writing()

    def look(self, now: float) -> None:
        """Abort the connection if its client does not read; called about once a second."""
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

    @property
    def awaits_peer(self) -> bool:
        """Whether the connection waits for its client to send or to read."""
        cycle = self.cycle
        working = cycle is not None and not cycle.response_complete and not cycle.more_body
        return not working or self.transport.get_write_buffer_size() > 0

    def let_go(self) -> None:
        """End the connection, to make room for another."""
        self._leave_site()
        self.transport.abort()

    def _make_room_for_all(self) -> bool:
        """End one connection of the address with the most; return whether one could be ended."""
        most = max(self._rules.open_from.values(), key=len, default={})
        return _make_room([one for one in most if one is not self])

    def _leave_site(self) -> None:
        if self._site is not None:
            own = self._rules.open_from[self._site]
            own.pop(self, None)
            if not own:
                del self._rules.open_from[self._site]
            self._site = None

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


def _make_room(held: Iterable[BoundedHttp]) -> bool:
    """End the oldest connection that waits for its client; return whether there was one.

    So many slow connections take no place from others at that address.
    """
    for one in held:
        if one.awaits_peer:
            one.let_go()
            return True
    return False


def is_gone(scope: Scope) -> bool:
    """Whether the client of a request has gone."""
    extension = scope.get("extensions", {}).get(_GONE)
    return extension is not None and bool(extension["is"]())


def bounded_http(settings: ServerSettings) -> Any:
    """Return the protocol factory for uvicorn."""
    return partial(BoundedHttp, ConnectionRules.of(settings))
