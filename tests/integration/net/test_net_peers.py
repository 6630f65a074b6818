from __future__ import annotations

import json
import logging
import socket
from datetime import UTC, datetime, timedelta, timezone
from urllib.parse import parse_qs, urlsplit

import pytest
from standardwebhooks.webhooks import Webhook

from egide.domain.partners import RemoteFeedback
from egide.errors import (
    EgideError,
    FetchError,
    FetchRefused,
    FetchTimeout,
    SyncError,
    UpstreamRefused,
)
from egide.partners.client import RegisterClient, partner_policy
from egide.partners.webhooks import new_secret, post, webhook_policy
from net_peer import LOOPBACK, answering, ok, serving

KEY = "egide_abcdefghijkl_thesecretpartofthekey"
PAGE = json.dumps(
    {
        "store_id": "a-b",
        "revision": 3,
        "entries": [],
        "next": {"since": 3, "after": 0},
        "more": False,
    }
).encode()
IS_JSON = b"Content-Type: application/json"


def client_of(peer, **bounds):
    url = peer.url("/register/")
    return RegisterClient(url, KEY, partner_policy(url, **bounds), name="helpline")


def silence(connection, request, peer):
    peer.stopping.wait(30)


def headers_of(request):
    head = request.partition(b"\r\n\r\n")[0].decode()
    return {
        name.lower(): value.strip()
        for name, _, value in (line.partition(":") for line in head.split("\r\n")[1:])
    }


def path_of(request):
    return request.split(b" ", 2)[1].decode()


def test_register_is_asked_for_changes_from_a_position():
    with serving(answering(ok(PAGE, IS_JSON + b"; charset=utf-8"))) as peer:
        client = client_of(peer)
        client.changes(0)
        page = client.changes(2, 7, limit=50, bank="helpline", only_ended=True)
    assert (page.next_since, page.next_after, page.more) == (3, 0, False)
    assert path_of(peer.requests[0]).startswith("/register/v1/changes?")
    assert headers_of(peer.requests[0])["authorization"] == f"Bearer {KEY}"
    asked = [parse_qs(urlsplit(path_of(request)).query) for request in peer.requests]
    assert asked[0] == {"since": ["0"], "limit": ["1000"]}
    assert asked[1] == {
        "since": ["2"],
        "after": ["7"],
        "limit": ["50"],
        "bank": ["helpline"],
        "only": ["ended"],
    }


def test_feedback_is_sent_once_whatever_is_lost():
    at = datetime(2026, 11, 22, 12, tzinfo=timezone(timedelta(hours=2)))
    feedback = [RemoteFeedback(5, "helpline", "removed", at)]
    with serving(answering(ok(b"not looked at"))) as peer:
        client_of(peer).send_feedback(feedback)
        client_of(peer).send_feedback(feedback)
        later = [RemoteFeedback(5, "helpline", "removed", at + timedelta(days=1))]
        client_of(peer).send_feedback(later)
    first, second, third = peer.requests
    assert path_of(first) == "/register/v1/feedback"
    assert json.loads(first.partition(b"\r\n\r\n")[2]) == {
        "feedback": [
            {"entry": 5, "bank": "helpline", "kind": "removed", "at": "2026-11-22T10:00:00Z"}
        ]
    }
    tokens = [headers_of(request)["idempotency-key"] for request in (first, second, third)]
    assert tokens[0] == tokens[1] != tokens[2]


@pytest.mark.parametrize("status", [401, 403])
def test_refused_key_is_an_error_of_its_own(status):
    with serving(answering(f"HTTP/1.1 {status} X\r\n\r\n".encode())) as peer:
        client = client_of(peer)
        for ask in (lambda: client.changes(0), lambda: client.send_feedback([])):
            with pytest.raises(UpstreamRefused, match=str(status)):
                ask()


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"HTTP/1.1 500 X\r\n\r\n", "status 500"),
        (b"HTTP/1.1 503 X\r\nRetry-After: 9\r\n\r\n", "status 503"),
        (b"HTTP/1.1 429 X\r\n\r\n", "status 429"),
        (b"HTTP/1.1 404 X\r\n\r\n", "status 404"),
        (b"HTTP/1.1 204 X\r\n\r\n", "status 204"),
        (b"", "connection failed"),
        (b"SSH-2.0-OpenSSH\r\n", "not HTTP"),
        (ok(b"{}", IS_JSON), "not as promised"),
        (ok(b"", IS_JSON), "not as promised"),
        (ok(PAGE, b"Content-Type: text/html"), "not as promised"),
        (ok(PAGE), "not as promised"),
        (ok(PAGE, IS_JSON, b"Content-Encoding: gzip"), "compressed"),
        (ok(b" " * 33 * 1024 * 1024, IS_JSON), "too large"),
        (ok(PAGE, IS_JSON)[:-3], "too early"),
    ],
)
def test_register_in_trouble_is_a_sync_error(answer, reason):
    with serving(answering(answer)) as peer, pytest.raises(SyncError, match=reason):
        client_of(peer).changes(0)


def test_register_that_is_gone_is_a_sync_error():
    with serving(answering(b"")) as peer:
        client = client_of(peer)
    with pytest.raises(SyncError, match="connection failed"):
        client.changes(0)


def test_silent_register_is_a_sync_error():
    with serving(silence) as peer, pytest.raises(SyncError, match="in time"):
        client_of(peer, timeout_s=0.3).changes(0)


def test_key_is_not_taken_along_a_redirect():
    with serving(answering(ok(PAGE, IS_JSON))) as other:
        moved = f"HTTP/1.1 302 X\r\nLocation: {other.url()}\r\n\r\n".encode()
        with serving(answering(moved)) as peer, pytest.raises(SyncError, match="302"):
            client_of(peer).changes(0)
    assert not other.requests


def test_partner_whose_name_moves_to_loopback_is_not_asked(monkeypatch):
    with serving(answering(ok(PAGE, IS_JSON))) as peer:
        found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", peer.port))]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
        url = peer.url("/", "register.example.org")
        client = RegisterClient(url, KEY, partner_policy(url, allow_http=True))
        with pytest.raises(SyncError, match="not public"):
            client.changes(0)
    assert not peer.requests


def test_key_and_secret_stand_in_no_message_and_no_log(caplog):
    caplog.set_level(logging.DEBUG)
    secret = new_secret()
    answers = [b"", b"HTTP/1.1 401 X\r\n\r\n", b"HTTP/1.1 500 X\r\n\r\n", ok(b"{}", IS_JSON)]
    for answer in answers:
        with serving(answering(answer)) as peer:
            url = peer.url("/secret-path")
            policy = webhook_policy(url, allow_http=True, allowed_networks=(LOOPBACK,))
            for ask in (
                lambda peer=peer: client_of(peer).changes(0),
                lambda url=url, policy=policy: post(url, secret, "msg_1", b"{}", policy),
            ):
                try:
                    ask()
                except EgideError as error:
                    shown = f"{error} {error.fields} {error.__cause__!r}"
                    assert KEY not in shown
                    assert secret not in shown
                    assert "secret-path" not in shown
    assert KEY not in caplog.text
    assert secret not in caplog.text


def webhook(peer, path="/in", **bounds):
    url = peer.url(path)
    policy = webhook_policy(url, allow_http=True, allowed_networks=(LOOPBACK,), **bounds)
    return url, policy


def test_delivered_message_is_verified_by_the_reference_library():
    secret, body = new_secret(), '{"event":"entry.changed","who":"\u00e9"}'.encode()
    with serving(answering(ok(b"thanks"))) as peer:
        url, policy = webhook(peer)
        assert post(url, secret, "msg_1", body, policy) == 200
    head, _, received = peer.requests[0].partition(b"\r\n\r\n")
    headers = headers_of(peer.requests[0])
    assert head.startswith(b"POST /in HTTP/1.1\r\n")
    assert received == body
    assert headers["content-type"] == "application/json"
    assert Webhook(secret).verify(received, headers) == json.loads(body)
    sent = datetime.fromtimestamp(int(headers["webhook-timestamp"]), UTC)
    assert abs(datetime.now(UTC) - sent) < timedelta(minutes=5)


@pytest.mark.parametrize("status", [200, 204, 301, 302, 400, 410, 429, 500])
def test_status_of_the_receiver_is_returned_and_nothing_followed(status):
    location = b"Location: http://169.254.169.254/\r\n"
    answer = f"HTTP/1.1 {status} X\r\n".encode() + location + b"\r\n"
    with serving(answering(answer)) as peer:
        url, policy = webhook(peer)
        assert post(url, new_secret(), "msg_1", b"{}", policy) == status
    assert len(peer.requests) == 1


def test_answer_that_never_ends_does_not_undo_the_delivery():
    def endless(connection, request, peer):
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while not peer.stopping.wait(0.05):
            connection.sendall(b"x" * 10)

    with serving(endless) as peer:
        url, policy = webhook(peer, timeout_s=0.5)
        assert post(url, new_secret(), "msg_1", b"{}", policy) == 200


def test_silent_receiver_is_a_timeout():
    with serving(silence) as peer:
        url, policy = webhook(peer, timeout_s=0.3)
        with pytest.raises(FetchTimeout):
            post(url, new_secret(), "msg_1", b"{}", policy)


def test_receiver_that_hangs_up_is_an_error():
    with serving(answering(b"")) as peer:
        url, policy = webhook(peer)
        with pytest.raises(FetchError, match="connection failed"):
            post(url, new_secret(), "msg_1", b"{}", policy)


def test_large_message_to_a_receiver_that_does_not_read_is_a_timeout():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        policy = webhook_policy(url, allow_http=True, allowed_networks=(LOOPBACK,), timeout_s=0.5)
        with pytest.raises(FetchTimeout):
            post(url, new_secret(), "msg_1", b"x" * 50_000_000, policy)


def test_webhook_in_a_private_network_is_not_reached_unless_it_is_allowed():
    with serving(answering(ok(b""))) as peer:
        url = peer.url("/in", "localhost")
        with pytest.raises(FetchRefused, match="not public"):
            post(url, new_secret(), "msg_1", b"{}", webhook_policy(url, allow_http=True))
    assert not peer.requests
