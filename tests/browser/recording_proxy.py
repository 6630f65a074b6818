"""A proxy that a browser sends everything through: nothing leaves it without being written down."""

from __future__ import annotations

import socket
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.client import parse_headers
from threading import Lock, Thread
from typing import TYPE_CHECKING, BinaryIO
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator
    from http.client import HTTPMessage

_TIMEOUT_S = 30.0
_REFUSED = b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Sent:
    """One request, as it went over the wire.

    Attributes:
        target: `host:port` that it was for.
        raw: its line, its headers and its body.
    """

    method: str
    url: str
    target: str
    headers: HTTPMessage = field(repr=False)
    body: bytes = field(repr=False)
    raw: bytes = field(repr=False)


class RecordingProxy:
    """Forwards requests to one origin; all others are written down and refused."""

    def __init__(self, origin: str) -> None:
        self._origin = urlsplit(origin).netloc
        self._lock = Lock()
        self._requests: list[Sent] = []
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._threads: list[Thread] = []
        self._open: set[socket.socket] = set()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._listening.getsockname()[1]}"

    @property
    def requests(self) -> list[Sent]:
        with self._lock:
            return list(self._requests)

    @contextmanager
    def running(self) -> Iterator[RecordingProxy]:
        """Take connections until the block ends."""
        accepting = Thread(target=self._accept)
        accepting.start()
        try:
            yield self
        finally:
            # Closing alone does not wake a thread that waits in accept().
            self._listening.shutdown(socket.SHUT_RDWR)
            self._listening.close()
            accepting.join(_TIMEOUT_S)
            with self._lock:
                for connection in self._open:
                    with suppress(OSError):
                        connection.shutdown(socket.SHUT_RDWR)
            for thread in self._threads:
                thread.join(_TIMEOUT_S)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            thread = Thread(target=self._serve, args=(connection,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        connection.settimeout(_TIMEOUT_S)
        with self._lock:
            self._open.add(connection)
        with suppress(OSError), connection, connection.makefile("rb") as stream:
            # One request a connection, so that no answer has to be parsed to find its end.
            sent = _read(stream)
            if sent is not None:
                with self._lock:
                    self._requests.append(sent)
                if sent.target == self._origin and sent.method != "CONNECT":
                    self._forward(sent, connection)
                else:
                    connection.sendall(_REFUSED)
        with self._lock:
            self._open.discard(connection)

    def _forward(self, sent: Sent, connection: socket.socket) -> None:
        host, port = self._origin.split(":")
        parts = urlsplit(sent.url)
        path = parts.path + (f"?{parts.query}" if parts.query else "")
        kept = [
            f"{name}: {value}"
            for name, value in sent.headers.items()
            if name.lower() not in {"connection", "proxy-connection"}
        ]
        head = "\r\n".join([f"{sent.method} {path} HTTP/1.1", *kept, "Connection: close", "", ""])
        with socket.create_connection((host, int(port)), timeout=_TIMEOUT_S) as onward:
            onward.sendall(head.encode("latin-1") + sent.body)
            while part := onward.recv(65536):
                connection.sendall(part)


def _read(stream: BinaryIO) -> Sent | None:
    line = stream.readline(65536)
    if not line:
        return None
    method, url, _ = line.decode("latin-1").split(" ", 2)
    start = _Kept(stream)
    headers = parse_headers(start)
    assert headers.get("transfer-encoding") is None, "a body without a length is not expected"
    body = stream.read(int(headers.get("content-length", "0")))
    target = url if method == "CONNECT" else urlsplit(url).netloc
    return Sent(method, url, target, headers, body, line + bytes(start.read_so_far) + body)


class _Kept:
    """Lines of a stream, which are kept as they are read."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.read_so_far = bytearray()

    def readline(self, limit: int = -1) -> bytes:
        line = self._stream.readline(limit)
        self.read_so_far += line
        return line
