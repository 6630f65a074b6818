"""`egide serve` as a process: its first key, its settings, its log, its end."""

from __future__ import annotations

import json
import signal
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import pytest

import egide
from commands import egide_in
from egide.domain.model import Registration
from egide.store.changing import ChangingStore
from pictures import encoded, pictures
from served_process import DEADLINE_S, Server, started

CODE = bytes(range(32))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("served")
    with started(
        folder,
        EGIDE_BODY_TIMEOUT_S="1",
        EGIDE_HEADER_TIMEOUT_S="1",
        EGIDE_MAX_BODY_BYTES="100000",
    ) as running:
        running.await_address()
        yield running


def test_first_start_makes_the_store_and_one_key_and_the_second_none(tmp_path: Path) -> None:
    """And a request in progress is finished at the end."""
    with started(tmp_path) as first:
        first.await_address()
        assert first.key.startswith("egide_")
        assert first.ask("GET", "/v1/status").status == 200
        with first.connect() as connection:
            body = json.dumps({"fingerprints": [{"pdq": CODE.hex()}]}).encode()
            head = (
                f"POST /v1/match/fingerprints HTTP/1.1\r\nHost: x\r\n"
                f"Authorization: Bearer {first.key}\r\nContent-Length: {len(body)}\r\n"
                f"Expect: 100-continue\r\n\r\n"
            )
            connection.sendall(head.encode() + body[:10])
            assert connection.recv(1000).startswith(b"HTTP/1.1 100")  # it is being read
            first.process.send_signal(signal.SIGTERM)
            first.await_refusal()
            connection.sendall(body[10:])
            assert connection.recv(65536).startswith(b"HTTP/1.1 200")
        assert first.process.wait(DEADLINE_S) == 0
        assert first.key not in first.log.read_text("utf-8")
    with started(tmp_path) as second:
        second.await_address()
        assert second.key == ""
        assert second.ask("GET", "/v1/status", key=first.key).status == 200
        assert second.end(signal.SIGINT) == 0


def test_store_of_an_older_version_is_refused(tmp_path: Path) -> None:
    with egide.open_store(f"sqlite:///{tmp_path / 'egide.db'}", create=True):
        pass
    with sqlite3.connect(tmp_path / "egide.db") as database:
        database.execute("UPDATE alembic_version SET version_num = '0002'")
    database.close()
    done = egide_in(tmp_path, "serve", "--json", "--port", "0")
    assert (done.code, "store-too-old" in done.out) == (3, True)


def test_port_in_use_is_said(tmp_path: Path, server: Server) -> None:
    port = server.address.rpartition(":")[2]
    done = egide_in(tmp_path, "serve", "--json", "--port", port, "--decoders", "1")
    assert (done.code, "address-in-use" in done.out) == (3, True)


def test_unknown_setting_in_the_file_is_said(tmp_path: Path) -> None:
    (tmp_path / "egide.toml").write_text("prot = 1\n", "utf-8")
    done = egide_in(tmp_path, "serve", "--json", "--config", "egide.toml")
    assert (done.code, "prot" in done.out) == (3, True)


def test_second_signal_ends_it_at_once(tmp_path: Path) -> None:
    with started(tmp_path, EGIDE_BODY_TIMEOUT_S="300", EGIDE_GRACEFUL_TIMEOUT_S="300") as server:
        server.await_address()
        with server.connect() as connection:
            connection.sendall(
                f"POST /v1/match/fingerprints HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n"
                f"Authorization: Bearer {server.key}\r\nExpect: 100-continue\r\n\r\n".encode()
            )
            assert connection.recv(1000).startswith(b"HTTP/1.1 100")  # it is being read
            server.process.send_signal(signal.SIGTERM)
            time.sleep(0.5)
            assert server.process.poll() is None
            server.process.send_signal(signal.SIGTERM)
            server.process.wait(DEADLINE_S)


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"rubbish\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nX: " + b"x" * 70_000 + b"\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 20_000, b"400"),
        (b"GET /v1/../v1/status HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", b"401"),
        (b"GET //v1/status HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", b"404"),
        (b"GET /%76%31/status HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", b"401"),
        (b"GET /V1/status HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", b"404"),
        (b"GET /docs/%2e%2e/%2e%2e/etc/passwd HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
         b"404"),
        (b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 1\r\nConnection: close\r\n\r\n",
         b"200"),
    ],
)  # fmt: skip
def test_strange_requests_are_answered(sent: bytes, status: bytes, server: Server) -> None:
    with server.connect() as connection:
        connection.sendall(sent)
        answer = connection.recv(65536)
    assert answer.startswith(b"HTTP/1.1 " + status), answer[:200]
    assert b"server:" not in answer.lower()


def test_slow_heads_and_bodies_are_given_up(server: Server) -> None:
    with server.connect() as silent, server.connect() as slow_head, server.connect() as slow_body:
        slow_head.sendall(b"GET / HTTP/1.1\r\nX-")
        slow_body.sendall(
            f"POST /v1/match/fingerprints HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n"
            f"Authorization: Bearer {server.key}\r\n\r\n{{".encode()
        )
        assert silent.recv(10) == b""
        assert slow_head.recv(10) == b""
        answer = b"".join(iter(lambda: slow_body.recv(65536), b""))  # until it is closed
        assert answer.startswith(b"HTTP/1.1 408")


def test_body_without_an_end_is_cut_off(server: Server) -> None:
    with server.connect() as connection:
        connection.sendall(
            f"POST /v1/match/fingerprints HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
            f"Authorization: Bearer {server.key}\r\n\r\n".encode()
        )

        def send() -> None:
            try:
                while True:
                    connection.sendall(b"2710\r\n" + b" " * 10_000 + b"\r\n")
            except OSError:
                pass

        sender = Thread(target=send)
        sender.start()
        answer = connection.recv(65536)
        sender.join(DEADLINE_S)
    assert answer.startswith(b"HTTP/1.1 413")


def test_upgrade_to_websocket_is_not_taken(server: Server) -> None:
    with server.connect() as connection:
        connection.sendall(
            b"GET /v1/match HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        assert b" 101 " not in connection.recv(65536)


def test_log_holds_nothing_that_a_request_says(tmp_path: Path) -> None:
    """After a full run: no fingerprint, key, file name, note, query or unknown path is in it."""
    picture = encoded(pictures(1)[0], "PNG")
    with started(tmp_path, EGIDE_LOG_LEVEL="debug") as server:
        server.await_address()
        with egide.open_store(f"sqlite:///{tmp_path / 'egide.db'}") as store:
            ChangingStore.of(store).banks.create("helpline")
            ChangingStore.of(store).entries.register(
                "helpline", [Registration((CODE,), note="SECRETNOTE")]
            )
        asked = json.dumps({"fingerprints": [{"pdq": CODE.hex()}, {"pdq": "SECRETPDQ"}]})
        for path, rest in (
            ("/v1/match/fingerprints", {"body": asked}),
            ("/v1/match/fingerprints", {"body": asked.replace(', {"pdq": "SECRETPDQ"}', "")}),
            ("/v1/match", {"fields": {"file": ("SECRETNAME.png", picture)}}),
            ("/v1/match", {"fields": {"file": ("SECRETNAME.png", picture[:999])}}),
            ("/v1/match", {"body": '{"url": "https://SECRETHOST/a"}'}),
            ("/v1/SECRETPATH?SECRETQUERY=1", {}),
            ("/SECRETPATH", {}),
            ("/v1/banks/SECRETBANK/entries", {"body": "{}"}),
        ):
            server.ask("POST", path, **rest)
        server.ask("SECRETMETHOD", "/v1/status")
        server.ask("GET", "/v1/status", key="egide_SECRETKEY")
        assert server.end() == 0
        text = server.log.read_text("utf-8")
        assert "SECRET" not in text.upper()
        assert server.key.rpartition("_")[2] not in text
        assert CODE.hex() not in text.lower()
        requests = [line for line in server.lines() if line.get("message") == "request"]
        assert len(requests) == 9, "a method that does not exist is no request"
        first = requests[0]
        assert first["route"] == "/v1/match/fingerprints"
        assert first["key"] == "first-admin"
        assert first["code"] == "request-invalid"
        assert {"method", "status", "ms", "request_id", "at"} <= set(first)
