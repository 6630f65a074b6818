"""The only door to other machines: a request to a checked address, bounded in time and bytes.

Time and bytes are counted at the socket. So no framing of an answer can evade the bounds: one byte
a second, endless headers, chunks of negative length.
"""

from __future__ import annotations

import http.client
import socket
import ssl
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from egide._version import __version__
from egide.errors import FetchError, FetchTooLarge
from egide.net.guard import resolve

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from egide.net.addresses import Address
    from egide.net.deadline import Deadline
    from egide.net.guard import FetchPolicy, Target

USER_AGENT = f"egide/{__version__}"
_READ_BYTES = 64 * 1024
_HEAD_BYTES = 256 * 1024


class _BudgetSpentError(OSError):
    """More bytes arrived than allowed."""


class _Bounds:
    """The remaining time and bytes of one connection; both kinds of sockets check it first."""

    def __init__(self, deadline: Deadline, received_bytes: int) -> None:
        self.deadline = deadline
        self.left_bytes = received_bytes

    def count(self, received: int) -> int:
        self.left_bytes -= received
        if self.left_bytes < 0:
            raise _BudgetSpentError
        return received


class _PlainSocket(socket.socket):
    bounds: _Bounds

    def recv_into(self, *args: Any, **options: Any) -> int:
        self.settimeout(self.bounds.deadline.remaining_s())
        return self.bounds.count(super().recv_into(*args, **options))

    def sendall(self, *args: Any) -> None:
        self.settimeout(self.bounds.deadline.remaining_s())
        super().sendall(*args)


class _TlsSocket(ssl.SSLSocket):
    bounds: _Bounds

    def recv_into(self, *args: Any, **options: Any) -> int:
        self.settimeout(self.bounds.deadline.remaining_s())
        return self.bounds.count(super().recv_into(*args, **options))

    def send(self, *args: Any, **options: Any) -> int:
        self.settimeout(self.bounds.deadline.remaining_s())
        return super().send(*args, **options)


@contextmanager
def request(
    method: str,
    target: Target,
    policy: FetchPolicy,
    deadline: Deadline,
    *,
    headers: Mapping[str, str],
    body: bytes | None = None,
) -> Iterator[http.client.HTTPResponse]:
    """Send a request and yield the answer once its headers arrived; reading it is bounded too.

    Cookies, proxies, redirects and the environment are not used, except OpenSSL's own
    SSL_CERT_FILE and SSL_CERT_DIR.

    Args:
        method: GET or POST.
        target: from `check_url`.
        policy: the allowed addresses and the largest answer.
        deadline: for the whole request.
        headers: beside Host, User-Agent, Accept-Encoding and Connection.
        body: to send.

    Raises:
        FetchRefused: the host has an address that may not be reached.
        FetchTooLarge: more bytes arrive than an answer of `max_bytes` could need.
        FetchTimeout: the deadline has passed.
        FetchError: no connection, no valid certificate, no HTTP.
    """
    connection = http.client.HTTPConnection(target.host, target.port)
    try:
        connection.sock = _open(target, policy, deadline)
        connection.request(
            method,
            target.path,
            body=body,
            headers={
                "Host": target.authority,
                "User-Agent": USER_AGENT,
                "Accept-Encoding": "identity",
                "Connection": "close",
                **headers,
            },
        )
        with connection.getresponse() as response:
            yield response
    except _BudgetSpentError:
        raise FetchTooLarge(limit=policy.max_bytes) from None
    except TimeoutError:
        raise deadline.error() from None
    except ssl.SSLCertVerificationError:
        raise FetchError(reason="its certificate is not valid for it") from None
    except ssl.SSLError:
        raise FetchError(reason="no secure connection could be made") from None
    except http.client.IncompleteRead:
        raise FetchError(reason="the answer ends too early") from None
    except OSError:
        raise FetchError(reason="the connection failed") from None
    # http.client raises ValueError for some numbers, e.g. a negative chunk length.
    except (http.client.HTTPException, ValueError):
        raise FetchError(reason="the answer is not HTTP") from None
    finally:
        connection.close()


def read_answer(response: http.client.HTTPResponse, max_bytes: int) -> bytes:
    """Read all of an answer's body, inside `request`.

    Raises:
        FetchTooLarge: its declared or actual size is over `max_bytes`.
        FetchError: it is encoded against our request, or shorter than its declared length.
    """
    encodings = response.headers.get_all("Content-Encoding", [])
    framing = response.headers.get_all("Transfer-Encoding", [])
    if any(coding.strip().lower() not in {"", "identity"} for coding in encodings) or (
        framing and [coding.strip().lower() for coding in framing] != ["chunked"]
    ):
        raise FetchError(reason="the answer is compressed, although we asked for plain data")
    promised = response.length
    if promised is not None and promised > max_bytes:
        raise FetchTooLarge(limit=max_bytes)
    body = bytearray()
    while piece := response.read(min(_READ_BYTES, max_bytes - len(body) + 1)):
        body += piece
        if len(body) > max_bytes:
            raise FetchTooLarge(limit=max_bytes)
    if promised is not None and len(body) < promised:
        raise FetchError(reason="the answer ends too early")
    return bytes(body)


def _open(target: Target, policy: FetchPolicy, deadline: Deadline) -> socket.socket:
    addresses = resolve(target, policy, deadline)
    # Twice the limit leaves room for the framing of small chunks.
    bounds = _Bounds(deadline, 2 * policy.max_bytes + _HEAD_BYTES)
    plain = _connect_first(addresses, target.port, policy, bounds)
    if target.scheme == "http":
        return plain
    try:
        secure = _tls().wrap_socket(
            plain, server_hostname=target.host, do_handshake_on_connect=False
        )
    except BaseException:
        plain.close()
        raise
    assert isinstance(secure, _TlsSocket)
    try:
        secure.bounds = bounds
        # The socket's time-out ends OpenSSL's loop over the whole handshake.
        secure.settimeout(deadline.remaining_s())
        secure.do_handshake()
    except BaseException:
        secure.close()
        raise
    return secure


def _connect_first(
    addresses: tuple[Address, ...], port: int, policy: FetchPolicy, bounds: _Bounds
) -> socket.socket:
    """Connect to the first address that answers."""
    failure: OSError | None = None
    for address in addresses:
        try:
            limit_s = min(policy.connect_timeout_s, bounds.deadline.remaining_s())
            return _connect(address, port, limit_s, bounds)
        except OSError as error:
            failure = error
    bounds.deadline.remaining_s()
    if isinstance(failure, TimeoutError):
        raise FetchError(reason="its host cannot be reached")
    raise failure or AssertionError


def _connect(address: Address, port: int, limit_s: float, bounds: _Bounds) -> socket.socket:
    """Connect to one address within `limit_s` seconds."""
    family = socket.AF_INET6 if address.version == 6 else socket.AF_INET
    connected = _PlainSocket(family, socket.SOCK_STREAM)
    try:
        connected.bounds = bounds
        connected.settimeout(limit_s)
        connected.connect((str(address), port))
    except BaseException:
        connected.close()
        raise
    return connected


@lru_cache(maxsize=1)
def _tls() -> ssl.SSLContext:
    # Reading the system's certificates takes some 10 ms, so once per process.
    context = ssl.create_default_context()
    context.sslsocket_class = _TlsSocket
    context.set_alpn_protocols(["http/1.1"])
    return context
