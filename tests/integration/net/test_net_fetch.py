from __future__ import annotations

import gzip
import socket
import ssl
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from egide.errors import EgideError, FetchError, FetchRefused, FetchTimeout, FetchTooLarge
from egide.net import connect
from egide.net.fetch import fetch
from net_peer import answering, ok, serving

BOMB = gzip.compress(bytes(10_000_000))


def redirect(location: str, status: int = 302) -> bytes:
    return (
        f"HTTP/1.1 {status} Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n"
    ).encode()


def redirecting(path: str, host: str = "127.0.0.1"):
    def answer(connection, request, peer):
        connection.sendall(redirect(peer.url(path, host)))

    return answer


def test_body_is_fetched_with_nothing_but_what_is_needed(monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    body = bytes(range(256)) * 100
    with serving(answering(ok(body, b"Set-Cookie: a=b"))) as peer:
        assert fetch(peer.url("/a%20b?c"), peer.policy()) == body
    head = peer.requests[0].decode().lower()
    assert head.startswith("get /a%20b?c http/1.1\r\n")
    assert f"host: 127.0.0.1:{peer.port}\r\n" in head
    assert "user-agent: egide/" in head
    assert "accept-encoding: identity\r\n" in head
    for header in ("cookie", "authorization", "referer", "proxy"):
        assert header not in head


def test_body_in_chunks_is_fetched():
    chunks = b"3\r\nabc\r\n4;x=y\r\ndefg\r\n0\r\nTrailer: x\r\n\r\n"
    answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks
    with serving(answering(answer)) as peer:
        assert fetch(peer.url(), peer.policy()) == b"abcdefg"


def test_body_without_length_ends_with_the_connection():
    with serving(answering(b"HTTP/1.0 200 OK\r\n\r\nabc")) as peer:
        assert fetch(peer.url(), peer.policy()) == b"abc"


def test_body_of_exactly_the_limit_is_fetched():
    with serving(answering(ok(b"x" * 1000))) as peer:
        assert len(fetch(peer.url(), peer.policy(max_bytes=1000))) == 1000
        with pytest.raises(FetchTooLarge, match="999"):
            fetch(peer.url(), peer.policy(max_bytes=999))


def test_allowed_redirect_is_followed():
    def answer(connection, request, peer):
        moved = b"GET /old" in request
        connection.sendall(redirect("../new?a=b") if moved else ok(b"here"))

    with serving(answer) as peer:
        assert fetch(peer.url("/old"), peer.policy()) == b"here"
    assert peer.requests[1].startswith(b"GET /new?a=b ")


@pytest.mark.parametrize(
    "location",
    [
        "http://localhost:{port}/",
        "http://localhost.:{port}/",
        "http://127.0.0.2:{port}/",
        "http://127.1:{port}/",
        "http://2130706433:{port}/",
        "http://[::1]:{port}/",
        "http://[::ffff:127.0.0.1]:{port}/",
        "http://169.254.169.254/latest/meta-data/",
        "http://127.0.0.1:22/",
        "http://127.0.0.1@169.254.169.254:{port}/",
        "http://evil.example.com/",
        "//evil.example.com:{port}/",
        "\\\\evil.example.com\\",
        "https://evil.example.com/",
        "file:///etc/passwd",
        "ftp://127.0.0.1:{port}/",
        "gopher://127.0.0.1:{port}/_x",
        "data:,x",
        "http://[",
        "http://\u00e4.example/",
    ],
)
def test_redirect_to_what_is_not_allowed_is_refused(location):
    looked_up = []
    answer = redirect(location)

    def reply(connection, request, peer):
        connection.sendall(answer.replace(b"{port}", str(peer.port).encode()))

    with serving(reply) as peer, pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", lambda *asked, **_: looked_up.append(asked) or [])
        with pytest.raises(FetchRefused):
            fetch(peer.url(), peer.policy())
    assert len(peer.requests) == 1
    assert not looked_up


def test_redirect_of_an_allowed_name_to_loopback_is_refused():
    with serving(redirecting("/", "localhost")) as peer:
        policy = peer.policy(allowed_hosts=("127.0.0.1", "localhost"), allowed_networks=())
        with pytest.raises(FetchRefused, match="not public"):
            fetch(peer.url("/", "localhost"), policy)
    assert not peer.requests


def test_endless_redirects_end():
    with serving(redirecting("/")) as peer, pytest.raises(FetchError, match="more than 3"):
        fetch(peer.url(), peer.policy())
    assert len(peer.requests) == 4


@pytest.mark.parametrize("status", [201, 204, 206, 304, 400, 401, 403, 404, 410, 429, 500, 503])
def test_any_other_status_is_an_error_with_its_number(status):
    answer = f"HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n".encode()
    with serving(answering(answer)) as peer, pytest.raises(FetchError, match=str(status)):
        fetch(peer.url(), peer.policy())


def test_redirect_without_one_location_is_an_error():
    twice = b"HTTP/1.1 302 X\r\nLocation: /a\r\nLocation: /b\r\n\r\n"
    for answer in (b"HTTP/1.1 302 X\r\n\r\n", twice):
        with serving(answering(answer)) as peer, pytest.raises(FetchError, match="302"):
            fetch(peer.url(), peer.policy())


@pytest.mark.parametrize("declared", [b"", b"Content-Length: 10\r\n"])
def test_endless_body_is_stopped(declared):
    sent = 0

    def endless(connection, request, peer):
        nonlocal sent
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while not peer.stopping.is_set():
            connection.sendall(b"1000\r\n" + b"x" * 4096 + b"\r\n")
            sent += 4096

    with serving(endless) as peer, pytest.raises(FetchTooLarge, match="100000"):
        fetch(peer.url(), peer.policy())
    # What the kernel buffers on both sides counts too.
    assert sent < 50_000_000


def test_body_beyond_its_declared_length_is_left():
    with serving(answering(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcdef")) as peer:
        assert fetch(peer.url(), peer.policy()) == b"abc"


def test_declared_length_over_the_limit_is_refused_at_once():
    answer = answering(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n")
    with serving(answer) as peer, pytest.raises(FetchTooLarge):
        fetch(peer.url(), peer.policy())


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n64\r\nabc",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
    ],
)
def test_body_that_ends_too_early_is_an_error(answer):
    with serving(answering(answer)) as peer, pytest.raises(FetchError, match=r"too early|not HTTP"):
        fetch(peer.url(), peer.policy())


@pytest.mark.parametrize(
    "headers",
    [b"Content-Encoding: gzip", b"Content-Encoding: br", b"Content-Encoding: identity, gzip",
     b"Transfer-Encoding: gzip, chunked", b"Transfer-Encoding: gzip"],
)  # fmt: skip
def test_compressed_answer_is_refused_unread(headers):
    with (
        serving(answering(ok(BOMB, headers))) as peer,
        pytest.raises(FetchError, match="compressed"),
    ):
        fetch(peer.url(), peer.policy())


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"220 mail.example.org ESMTP\r\n",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"HTTP/1.1 99999 OK\r\n\r\n",
        b"HTTP/9.9 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X-A: b\r\n" * 1000 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nX-A: " + b"b" * 100_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\nabc\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1" * 70_000 + b"\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(100),
    ],
)
def test_answer_that_is_not_http_is_an_error(answer):
    with serving(answering(answer)) as peer, pytest.raises(FetchError):
        fetch(peer.url(), peer.policy())


def test_chunk_of_length_minus_one_does_not_fill_the_memory():
    # Python's own reader takes it for "all there is".
    sent = 0

    def endless(connection, request, peer):
        nonlocal sent
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n")
        while not peer.stopping.is_set():
            connection.sendall(b"x" * 65536)
            sent += 65536

    with serving(endless) as peer, pytest.raises(FetchTooLarge):
        fetch(peer.url(), peer.policy())
    assert sent < 50_000_000


@pytest.mark.parametrize(
    "start",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nX-Endless: ",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n",
    ],
)
def test_byte_now_and_then_does_not_prolong_the_deadline(start):
    def drip(connection, request, peer):
        connection.sendall(start)
        while not peer.stopping.wait(0.05):
            connection.sendall(b"1")

    with serving(drip) as peer, pytest.raises(FetchTimeout, match=r"0\.5 s"):
        fetch(peer.url(), peer.policy(timeout_s=0.5))


@pytest.mark.parametrize("flood", [b"HTTP/1.1 100 Continue\r\n\r\n", b"X: y\r\n"])
def test_flood_of_headers_ends(flood):
    def endless(connection, request, peer):
        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        while not peer.stopping.is_set():
            connection.sendall(flood * 1000)

    with serving(endless) as peer, pytest.raises(FetchError):
        fetch(peer.url(), peer.policy())


def test_deadline_holds_over_redirects():
    def slow(connection, request, peer):
        peer.stopping.wait(0.2)
        connection.sendall(redirect(peer.url()))

    with serving(slow) as peer, pytest.raises(FetchTimeout):
        fetch(peer.url(), peer.policy(timeout_s=0.5, max_redirects=1000))
    assert len(peer.requests) <= 3


def test_closed_port_is_an_error_that_names_no_address():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with serving(answering(b"")) as peer, pytest.raises(FetchError) as failed:
        fetch(f"http://127.0.0.1:{port}/secret", peer.policy(ports=(port,)))
    assert "127.0.0.1" not in str(failed.value)


def test_messages_hold_no_path_query_or_address():
    answers = [ok(b"x" * 200_000), redirect("/secret-2"), redirect("file:///secret-3"), b"", b"x",
               b"HTTP/1.1 404 /secret-4\r\n\r\n"]  # fmt: skip
    for answer in answers:
        with serving(answering(answer)) as peer, pytest.raises(EgideError) as failed:
            fetch(peer.url("/secret?token=secret"), peer.policy())
        shown = f"{failed.value} {failed.value.fields}"
        assert "secret" not in shown
        assert "127.0.0.1" not in shown


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    """A certificate of its own authority for `localhost` and 127.0.0.1."""
    pytest.importorskip("cryptography")
    from ipaddress import ip_address

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "egide test")])
    now = datetime.now(UTC)
    names = [x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    folder = tmp_path_factory.mktemp("certificates")
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    (folder / "both.pem").write_bytes(
        private + certificate.public_bytes(serialization.Encoding.PEM)
    )
    (folder / "authority.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    return folder


@pytest.fixture
def tls_server(certificates):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates / "both.pem")
    return context


@pytest.fixture
def trusted(certificates, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates / "authority.pem"))
    connect._tls.cache_clear()
    yield
    connect._tls.cache_clear()


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_body_is_fetched_over_tls(tls_server, trusted, host):
    with serving(answering(ok(b"hidden" * 10_000)), tls_server) as peer:
        policy = peer.policy(allowed_hosts=(host,), schemes=("https",))
        assert fetch(f"https://{host}:{peer.port}/", policy) == b"hidden" * 10_000


def test_certificate_of_another_name_is_refused(tls_server, trusted, monkeypatch):
    with serving(answering(ok(b"x")), tls_server) as peer:
        found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", peer.port))]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
        policy = peer.policy(allowed_hosts=("example.org",))
        with pytest.raises(FetchError, match="certificate"):
            fetch(f"https://example.org:{peer.port}/", policy)
    assert not peer.requests


def test_certificate_of_an_unknown_authority_is_refused(tls_server):
    connect._tls.cache_clear()
    with serving(answering(ok(b"x")), tls_server) as peer, pytest.raises(FetchError, match="cert"):
        fetch(f"https://127.0.0.1:{peer.port}/", peer.policy())
    assert not peer.requests


def test_redirect_from_https_to_http_is_refused(tls_server, trusted):
    with (
        serving(answering(ok(b"x"))) as plain,
        serving(answering(redirect(plain.url())), tls_server) as peer,
        pytest.raises(FetchRefused, match="https to http"),
    ):
        fetch(f"https://127.0.0.1:{peer.port}/", peer.policy(ports=(peer.port, plain.port)))
    assert not plain.requests


def test_slow_drip_over_tls_ends_with_the_deadline(tls_server, trusted):
    def drip(connection, request, peer):
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while not peer.stopping.wait(0.05):
            connection.sendall(b"1")

    with serving(drip, tls_server) as peer, pytest.raises(FetchTimeout):
        fetch(f"https://127.0.0.1:{peer.port}/", peer.policy(timeout_s=0.7))


def test_silent_handshake_ends_with_the_deadline():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with serving(answering(b"")) as peer, pytest.raises(FetchTimeout):
            fetch(f"https://127.0.0.1:{port}/", peer.policy(ports=(port,), timeout_s=0.5))


def test_plain_server_under_https_is_an_error():
    with serving(answering(b"")) as peer, socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

        def greet():
            connection, _ = listener.accept()
            with connection:
                connection.sendall(b"220 mail.example.org ESMTP\r\n")
                connection.recv(65536)

        greeting = threading.Thread(target=greet)
        greeting.start()
        with pytest.raises(FetchError, match="no secure connection"):
            fetch(f"https://127.0.0.1:{port}/", peer.policy(ports=(port,)))
        greeting.join()


def test_many_fetches_leave_nothing_open():
    with serving(answering(ok(b"x"))) as peer:
        policy = peer.policy()
        fetch(peer.url(), policy)
        before = len(list(Path("/proc/self/fd").iterdir()))
        for _ in range(50):
            fetch(peer.url(), policy)
        end = time.monotonic() + 30
        # The server's own sockets close a moment later.
        while len(list(Path("/proc/self/fd").iterdir())) > before and time.monotonic() < end:
            time.sleep(0.01)
        assert len(list(Path("/proc/self/fd").iterdir())) <= before
