"""One keep-alive connection to a served register, with as little of a client in it as may be."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from typing import Self

TIMEOUT_S = 60.0
_RECEIVE_BYTES = 1 << 18


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back.

    Attributes:
        status: of HTTP.
        body: all of it.
    """

    status: int
    body: bytes


def multipart(data: bytes) -> tuple[str, bytes]:
    """Return the content type and the body of a form whose `file` is a picture."""
    boundary = "egide-benchmark-4b1d3c0f6a2e"
    head = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="picture.jpg"\r\n'
        "Content-Type: image/jpeg\r\n\r\n"
    )
    body = head.encode() + data + f"\r\n--{boundary}--\r\n".encode()
    return f"multipart/form-data; boundary={boundary}", body


class Connection:
    """Sends one request after the other. For one thread at a time."""

    def __init__(self, address: str, token: str) -> None:
        """Connect.

        Args:
            address: such as `http://127.0.0.1:8000`.
            token: of the key.
        """
        host, _, port = address.removeprefix("http://").rpartition(":")
        self._host = host
        self._head = f"Host: {host}:{port}\r\nAuthorization: Bearer {token}\r\n".encode()
        self._socket = socket.create_connection((host, int(port)), timeout=TIMEOUT_S)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Disconnect."""
        self._socket.close()

    def ask(
        self, method: str, path: str, body: bytes = b"", content_type: str = "application/json"
    ) -> Answer:
        """Send a request and wait for all of its answer.

        Raises:
            OSError: the connection broke, or nothing came for `TIMEOUT_S`.
        """
        head = f"{method} {path} HTTP/1.1\r\n".encode() + self._head
        if body:
            head += f"Content-Type: {content_type}\r\nContent-Length: {len(body)}\r\n".encode()
        self._socket.sendall(head + b"\r\n" + body)
        received = bytearray()
        while (end := received.find(b"\r\n\r\n")) < 0:
            received += self._receive()
        status, length = _read_head(bytes(received[:end]))
        whole = end + 4 + length
        while len(received) < whole:
            received += self._receive()
        return Answer(status, bytes(received[end + 4 : whole]))

    def _receive(self) -> bytes:
        some = self._socket.recv(_RECEIVE_BYTES)
        if not some:
            raise ConnectionError("the server closed the connection")
        return some


def _read_head(head: bytes) -> tuple[int, int]:
    """Return the status and the length of the body."""
    first, *lines = head.split(b"\r\n")
    for line in lines:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(first.split(b" ", 2)[1]), int(value)
    raise ConnectionError("an answer without a length")
