"""Connections that nobody can hold open, or fill, by sending slowly or by not reading."""

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
"""Of the request line and the headers; uvicorn sets no limit. Of what follows a body, too."""
MAX_HEADERS = 128
MAX_PIPELINED = 16
"""Requests of a connection that wait for an earlier one's answer. Uvicorn keeps all that come, with
their bodies: one connection filled 600 MB in 8 s."""
_LINGER_S = 2.0
"""For what is left of a body after its answer: to close at once may destroy the answer."""
_LEAST_READ_BYTES = 64 * 1024
"""In `write_timeout_s`; or all that there is to be read."""
_PROXY = "proxy"
_GONE = "egide.gone"
_FULL = (
    b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: text/plain; charset=utf-8\r\n"
    b"retry-after: 5\r\nconnection: close\r\ncontent-length: 20\r\n\r\nToo many connections"
)


class Turns:
    """Begins requests one by one, each address in its turn.

    One begins in a round of the event loop, which also takes one new connection: else who comes
    last waits until 300 that came before were answered all that they had sent in advance.
    """

    def __init__(self) -> None:
        self._waiting: dict[str, deque[Callable[[], None]]] = {}
        self._scheduled = False

    def add(self, address: str, begin: Callable[[], None], loop: asyncio.AbstractEventLoop) -> None:
        """Begin something of an address in its turn."""
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
    """What connections may do, and how many there are from where.

    Attributes:
        header_timeout_s: in which a head has to arrive.
        write_timeout_s: in which something of an answer has to be read.
        answer_timeout_s: in which all of it has to be.
        max_connections: of all.
        max_per_address: of one address, see `egide.server.http.address`.
        proxies: networks in which no address has a share of its own.
        open_from: those that there are, by address, the oldest first.
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
        self._begun: RequestResponseCycle | None = None
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
        """Forget it."""
        self._stop_timer()
        self._leave_site()
        super().connection_lost(exc)
        # Uvicorn tells the last request alone, not one that others wait behind.
        if self._begun is not None:
            self._begun.disconnected = True
            self._begun.message_event.set()
        self.pipeline.clear()

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

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        begin = partial(self._begin, cycle, app)
        self._rules.turns.add(self._site or _PROXY, begin, self.loop)

    def _begin(self, cycle: RequestResponseCycle, app: Any) -> None:
        if not (cycle.disconnected or self.transport.is_closing()):
            self._begun = cycle
            super()._start_asgi_task(cycle, app)

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

    @property
    def awaits_peer(self) -> bool:
        """Whether the next thing to happen is the other side's: to send, or to read."""
        cycle = self.cycle
        working = cycle is not None and not cycle.response_complete and not cycle.more_body
        return not working or self.transport.get_write_buffer_size() > 0

    def let_go(self) -> None:
        """End it, for another of its address that has something to say."""
        self._leave_site()
        self.transport.abort()

    def _make_room_for_all(self) -> bool:
        """Let one go of the address that has the most; return whether there was one."""
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
    """Let the oldest connection go that its other side keeps waiting; say whether there was one.

    So whoever holds many, and sends or reads slowly, takes no place from others of that address.
    """
    for one in held:
        if one.awaits_peer:
            one.let_go()
            return True
    return False


def is_gone(scope: Scope) -> bool:
    """Return whether nobody is there any longer to read the answer to a request."""
    extension = scope.get("extensions", {}).get(_GONE)
    return extension is not None and bool(extension["is"]())


def bounded_http(settings: ServerSettings) -> Any:
    """Return what makes protocols for uvicorn."""
    return partial(BoundedHttp, ConnectionRules.of(settings))
