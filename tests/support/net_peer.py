"""A server on loopback that answers whatever bytes a test wants, at whatever pace."""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from ipaddress import IPv4Network
from typing import TYPE_CHECKING

from egide.net.guard import FetchPolicy

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator

LOOPBACK = IPv4Network("127.0.0.0/8")


@dataclass
class Peer:
    """A running server.

    Attributes:
        port: on 127.0.0.1.
        requests: head and body of each, as they came.
        stopping: set when the test is over; endless answers look at it.
    """

    port: int
    requests: list[bytes] = field(default_factory=list)
    stopping: threading.Event = field(default_factory=threading.Event)

    def url(self, path: str = "/", host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}{path}"

    def policy(self, **changes) -> FetchPolicy:
        fields = {
            "allowed_hosts": ("127.0.0.1",),
            "allowed_networks": (LOOPBACK,),
            "schemes": ("https", "http"),
            "ports": (self.port,),
            "timeout_s": 20.0,
            "max_bytes": 100_000,
        }
        return FetchPolicy(**(fields | changes))


@contextmanager
def serving(
    answer: Callable[[socket.socket, bytes, Peer], None], context: ssl.SSLContext | None = None
) -> Iterator[Peer]:
    """Serve until the block ends; `answer` gets each connection once its request is there."""
    listener = socket.create_server(("127.0.0.1", 0))
    peer = Peer(listener.getsockname()[1])
    threads: list[threading.Thread] = []

    def serve(connection: socket.socket) -> None:
        # The client hangs up when it has had enough: that is what is tested.
        with connection, suppress(OSError):
            # However long a client stays silent, the test ends.
            connection.settimeout(30)
            stream = context.wrap_socket(connection, server_side=True) if context else connection
            with stream:
                request = _read_request(stream)
                peer.requests.append(request)
                answer(stream, request, peer)

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threads.append(threading.Thread(target=serve, args=(connection,)))
            threads[-1].start()

    accepting = threading.Thread(target=accept)
    accepting.start()
    try:
        yield peer
    finally:
        peer.stopping.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        accepting.join()
        for thread in threads:
            thread.join()


def answering(*pieces: bytes) -> Callable[[socket.socket, bytes, Peer], None]:
    """An answer of these bytes to every request."""

    def answer(connection: socket.socket, request: bytes, peer: Peer) -> None:
        connection.sendall(b"".join(pieces))

    return answer


def ok(body: bytes, *headers: bytes) -> bytes:
    lines = [b"HTTP/1.1 200 OK", b"Content-Length: %d" % len(body), *headers, b"", body]
    return b"\r\n".join(lines)


def _read_request(stream: socket.socket) -> bytes:
    request = b""
    while b"\r\n\r\n" not in request:
        piece = stream.recv(65536)
        if not piece:
            return request
        request += piece
    head, _, body = request.partition(b"\r\n\r\n")
    length = 0
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    while len(body) < length:
        piece = stream.recv(65536)
        if not piece:
            break
        body += piece
    return head + b"\r\n\r\n" + body
