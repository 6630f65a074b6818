"""Crowds of connections that send slowly, or do not read: they keep nobody out, and come to an end.

Each crowd comes from three addresses of loopback, 100 connections from each: more than there are
places. Who is kept out otherwise comes from other addresses.
"""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, suppress

import pytest

from attacked import Target, head, read_answer, target
from egide.domain.access import Role
from egide.store import Store

pytestmark = pytest.mark.slow
PDQ = "f0" * 32
CROWD = ("127.0.0.11", "127.0.0.12", "127.0.0.13")
EACH = 100
PERSON = "127.0.0.2"
PROXY = "127.0.0.3"
QUICK_S = 1.0
DEADLINE_S = 2
SMALL_BUFFER_BYTES = 4096
_KEYS: dict[tuple[int, str], str] = {}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    with target(
        tmp_path_factory.mktemp("crowded"),
        EGIDE_PAGES="true",
        EGIDE_TRUSTED_PROXIES=f"{PROXY}/32",
        EGIDE_HEADER_TIMEOUT_S=str(DEADLINE_S),
        EGIDE_BODY_TIMEOUT_S=str(2 * DEADLINE_S),
        EGIDE_WRITE_TIMEOUT_S=str(DEADLINE_S),
        EGIDE_KEEP_ALIVE_S=str(DEADLINE_S),
    ) as running:
        entries = {"entries": [{"sha256": f"{number:064x}"} for number in range(900)]}
        running.ask("POST", "/v1/banks/helpline/entries", entries)
        with closing(Store.open(f"sqlite:///{running.folder / 'egide.db'}")) as store:
            for name, role in (("other", Role.ADMIN), ("partner", Role.PARTNER)):
                _KEYS[running.port, name] = store.keys.create(name, role, "somebody else")[1]
        yield running


def slow_head(served: Target) -> bytes:
    return b"GET /en/ HTTP/1.1\r\nHost"


def slow_form(served: Target) -> bytes:
    return b"POST /en/case HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\nn"


def slow_leaving(served: Target) -> bytes:
    return b"POST /en/leave HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\nn"


def slow_json(served: Target) -> bytes:
    return head(served, "/v1/match/fingerprints", "Content-Length: 99") + b"{"


def slow_picture(served: Target) -> bytes:
    kind = "Content-Type: multipart/form-data; boundary=b"
    return head(served, "/v1/match", kind, "Transfer-Encoding: chunked") + b"1\r\n-\r\n"


def unread_script(served: Target) -> bytes:
    return _get(_largest_asset(served)) * 3


def unread_list(served: Target) -> bytes:
    asked = head(served, "/v1/changes?since=0", method="GET")
    return asked.replace(served.key.encode(), _KEYS[served.port, "partner"].encode()) * 9


def in_advance(served: Target) -> bytes:
    return _get("/en/goodbye") * 4


def refused_with_a_body_to_come(served: Target) -> bytes:
    return b"POST /v1/match HTTP/1.1\r\nHost: x\r\nContent-Length: 9999\r\n\r\nx"


CROWDS = [
    slow_head,
    slow_form,
    slow_leaving,
    slow_json,
    slow_picture,
    unread_script,
    unread_list,
    in_advance,
    refused_with_a_body_to_come,
]


@pytest.mark.parametrize("sent", CROWDS, ids=lambda sent: sent.__name__)
def test_crowd_keeps_nobody_out_and_comes_to_an_end(
    served: Target, sent: Callable[[Target], bytes]
) -> None:
    before = served.sockets()
    # A list takes a key, and 10 ms of the interpreter: a few are more than a key may have at once.
    with Crowd(served, sent(served), 8 if sent is unread_list else EACH):
        served.ask("GET", "/v1/status", source=PERSON)  # in line behind all that they sent
        for _ in range(3):
            _assert_all_are_served(served)
        _assert_cut_off(served, before)
    _assert_all_are_served(served)


def test_idle_connections_of_a_crowd_keep_nobody_out(served: Target) -> None:
    with Crowd(served, _get("/healthz")) as connections:
        for connection in connections:
            assert read_answer(connection).status == 200
        _assert_all_are_served(served)


@pytest.mark.parametrize(
    "sent",
    [b"", slow_head, slow_form, slow_json],
    ids=["nothing", "slow_head", "slow_form", "slow_json"],
)
def test_who_holds_the_share_of_an_address_keeps_out_nobody_of_that_address(
    served: Target, sent: bytes | Callable[[Target], bytes]
) -> None:
    with ExitStack() as opened:
        for _ in range(150):
            held = opened.enter_context(served.connect(CROWD[0]))
            held.sendall(sent if isinstance(sent, bytes) else sent(served))
        for path, key in (("/v1/status", served.key), ("/en/goodbye", ""), ("/en/case", "")):
            began = time.monotonic()
            assert served.ask("GET", path, source=CROWD[0], key=key).status == 200
            assert time.monotonic() - began < QUICK_S
        _assert_all_are_served(served)


def test_one_address_behind_a_proxy_has_a_share_of_requests(served: Target) -> None:
    forwarded = (
        b"POST /en/case HTTP/1.1\r\nX-Forwarded-For: 198.51.100.%d\r\nContent-Length: 9\r\n\r\n"
    )
    with ExitStack() as opened:
        crowd = [opened.enter_context(served.connect(PROXY)) for _ in range(200)]
        for connection in crowd:
            connection.sendall(forwarded % 1)
        time.sleep(0.2)
        began = time.monotonic()
        other = (
            b"GET /en/case HTTP/1.1\r\nX-Forwarded-For: 198.51.100.2\r\nConnection: close\r\n\r\n"
        )
        assert served.raw(other, PROXY).status == 200
        assert time.monotonic() - began < QUICK_S
        answers = {read_answer(connection).status for connection in crowd[::20]}
    assert answers <= {408, 503}


class Crowd(ExitStack):
    """Connections from several addresses that send something and leave it at that."""

    def __init__(self, served: Target, sent: bytes, each: int = EACH) -> None:
        super().__init__()
        self._each = each
        self._served = served
        self._sent = sent

    def __enter__(self) -> list[socket.socket]:  # type: ignore[override]
        super().__enter__()
        connections = []
        for number in range(len(CROWD) * self._each):
            source = CROWD[number % len(CROWD)]
            connection = self._served.connect(source, SMALL_BUFFER_BYTES)
            connections.append(self.enter_context(connection))
            connection.setblocking(False)
            with suppress(OSError):
                connection.send(self._sent)
            connection.settimeout(20)
        return connections


def _get(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode()


def _largest_asset(served: Target) -> str:
    page = served.ask("GET", "/en/", key="").body.decode()
    found = re.search(r"/static/[0-9a-f]+/", page)
    assert found
    return f"{found[0]}vendor/libheif/libheif.wasm"


def _assert_all_are_served(served: Target) -> None:
    """Health, a look-up, the way out, and a withdrawal are answered quickly."""
    key = _KEYS[served.port, "other"]
    query = {"fingerprints": [{"pdq": PDQ}]}
    registering = {"entries": [{"pdq": [PDQ]}], "again": True}
    entry = served.ask("POST", "/v1/banks/helpline/entries", registering, key=key)
    number = entry.json()["outcomes"][0]["entry"]
    for method, path, body, source, statuses in (
        ("GET", "/healthz", b"", PERSON, {200}),
        ("POST", "/v1/match/fingerprints", query, PERSON, {200}),
        ("GET", "/en/goodbye", b"", PERSON, {200}),
        ("POST", "/en/leave", b"", PERSON, {303}),
        ("GET", "/en/case", b"", PERSON, {200}),
        ("GET", "/en/case/withdraw", b"", PERSON, {401}),
        ("POST", f"/v1/banks/helpline/entries/{number}/withdraw", b"", PERSON, {200}),
    ):
        took_s = []
        while not took_s or (took_s[-1] >= QUICK_S and len(took_s) < 2):  # others use this machine
            began = time.monotonic()
            answer = served.ask(method, path, body, source=source, key=key)
            took_s.append(time.monotonic() - began)
            assert answer.status in statuses, (path, answer)
        assert min(took_s) < QUICK_S, (path, took_s)


def _assert_cut_off(served: Target, before: int) -> None:
    """The server ends all of them: it holds no more sockets than before."""
    until = time.monotonic() + 30
    while served.sockets() > before + 2:
        assert time.monotonic() < until, f"{served.sockets() - before} are held open"
        time.sleep(0.1)
