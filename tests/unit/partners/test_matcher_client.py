"""A register that answers an audit may be hostile: nothing but what was promised is taken."""

from __future__ import annotations

import json
import socket
from copy import deepcopy
from typing import Any

import pytest

from egide.domain.model import Signal
from egide.errors import (
    FetchError,
    FetchRefused,
    FetchTimeout,
    FetchTooLarge,
    MatcherError,
    MatcherInvalid,
    MatcherKeyInvalid,
    MatcherRefused,
)
from egide.partners.client import partner_policy
from egide.partners.matcher import MatcherAsksToWaitError, MatcherClient
from egide.partners.packed import Shape
from net_peer import Peer, answering, ok, serving

JSON = b"Content-Type: application/json"
SCOPE: dict[str, Any] = {
    "store_id": "s", "revision": 4, "revision_at": "2026-11-22T12:00:00Z",
    "banks": [{"name": "helpline", "kind": "positive", "radius_bits": 31, "entries": 2,
               "anchored": 1}],
    "disabled_banks": ["off"], "signals": ["pdq", "sha256"], "keypoints": False,
    "max_records": 1024, "max_anchored_records": 32, "per_second": 100, "per_day": 1000,
}  # fmt: skip
MATCH: dict[str, Any] = {
    "query": 1, "bank": "helpline", "entry": 7, "signal": "pdq", "distance": 4,
    "transform": "rotate-90", "trust": "confirmed", "anchored": None,
}  # fmt: skip
ANSWER: dict[str, Any] = {
    "count": 3, "store_id": "s", "revision": 5, "stale": False, "banks": ["helpline"],
    "disabled_banks": ["off"], "matches": [MATCH],
}  # fmt: skip
ANCHORED: dict[str, Any] = MATCH | {
    "signal": "pdq-anchored", "transform": None, "distance": 36,
    "anchored": {"met": 2, "registered": 62},
}  # fmt: skip


def said(values: object) -> bytes:
    return ok(json.dumps(values).encode(), JSON)


def client(peer: Peer, **bounds: Any) -> MatcherClient:
    return MatcherClient(peer.url(), "key", partner_policy(peer.url(), **bounds))


def ask(values: object, shape: Shape = Shape.VARIANTS) -> Any:
    """What is made of an answer to three records."""
    asked = iter((SCOPE, values))

    def answer(connection: socket.socket, request: bytes, peer: Peer) -> None:
        connection.sendall(said(next(asked)))

    with serving(answer) as peer:
        asking = client(peer)
        return asking.match(shape, b"body", 3, asking.scope())


def test_what_a_register_promises_is_read() -> None:
    found = ask(ANSWER)
    assert (found.revision, found.stale) == (5, False)
    ((match,),) = [each for each in found.matches if each]
    assert found.matches[1] == [match]
    assert (match.entry, match.signal, match.distance, match.frame) == (7, Signal.PDQ, 4, 0)
    (part,) = ask(ANSWER | {"matches": [ANCHORED]}, Shape.ANCHORED).matches[1]
    assert (part.anchored.met, part.anchored.registered) == (2, 62)


def changed(**fields: Any) -> dict[str, Any]:
    return ANSWER | {"matches": [MATCH | fields]}


@pytest.mark.parametrize(
    "values",
    [
        [], None, "x", ANSWER | {"count": 2}, ANSWER | {"count": 3.0}, ANSWER | {"more": 1},
        {name: value for name, value in ANSWER.items() if name != "stale"},
        ANSWER | {"store_id": "other"}, ANSWER | {"banks": []}, ANSWER | {"banks": ["a", "b"]},
        ANSWER | {"disabled_banks": []}, ANSWER | {"stale": None}, ANSWER | {"revision": -1},
        ANSWER | {"matches": {}}, ANSWER | {"matches": [MATCH, MATCH]},
        ANSWER | {"matches": [MATCH, MATCH | {"query": 0, "entry": 8}]},
        ANSWER | {"matches": [MATCH | {"entry": at} for at in range(1, 1002)]},
        changed(query=3), changed(query=-1), changed(query=True), changed(bank="off"),
        changed(entry=0), changed(entry="7"), changed(distance=32), changed(distance=None),
        changed(signal="patches"), changed(signal="pdq-anchored"), changed(transform="x"),
        changed(transform=None), changed(trust="sure"), changed(note="x"),
        changed(anchored={"met": 1, "registered": 2}),
        changed(signal="sha256"), changed(signal="sha256", transform="identity", distance=1),
    ],
)  # fmt: skip
def test_what_is_not_as_promised_is_refused(values: object) -> None:
    with pytest.raises(MatcherInvalid):
        ask(deepcopy(values))


@pytest.mark.parametrize(
    ("fields", "shape"),
    [
        ({"distance": 38}, Shape.ANCHORED),
        ({"anchored": None}, Shape.ANCHORED),
        ({"anchored": {"met": 3, "registered": 2}}, Shape.ANCHORED),
        ({"anchored": {"met": 1, "registered": 65}}, Shape.ANCHORED),
        ({"transform": "identity"}, Shape.ANCHORED),
        ({"signal": "pdq", "transform": "identity", "anchored": None}, Shape.ANCHORED),
        ({"signal": "pdq", "transform": "identity", "anchored": None}, Shape.DIGESTS),
        ({"signal": "pdq", "transform": "rotate-90", "anchored": None}, Shape.CODE),
    ],
)
def test_a_match_by_what_was_not_sent_is_refused(fields: dict[str, Any], shape: Shape) -> None:
    with pytest.raises(MatcherInvalid):
        ask(ANSWER | {"matches": [ANCHORED | fields]}, shape)


@pytest.mark.parametrize(
    "values",
    [
        SCOPE | {"more": 1}, SCOPE | {"banks": [SCOPE["banks"][0] | {"radius_bits": 64}]},
        SCOPE | {"banks": [SCOPE["banks"][0] | {"kind": "x"}]}, SCOPE | {"signals": ["x"]},
        SCOPE | {"signals": [], "banks": [SCOPE["banks"][0] | {"anchored": 0}]},
        SCOPE | {"max_records": 0}, SCOPE | {"per_second": 0}, SCOPE | {"revision_at": "now"},
        SCOPE | {"banks": [SCOPE["banks"][0] | {"name": "\x1b[31m"}]},
    ],
)  # fmt: skip
def test_a_scope_that_is_not_as_promised_is_refused(values: object) -> None:
    with serving(answering(said(values))) as peer, pytest.raises(MatcherInvalid):
        client(peer).scope()


def status(number: int, body: bytes = b"", *headers: bytes) -> bytes:
    lines = [b"HTTP/1.1 %d x" % number, b"Content-Length: %d" % len(body), *headers, b"", body]
    return b"\r\n".join(lines)


BUSY = b'{"code": "rate-limited", "detail": "\\u001b[31m"}'


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (status(401), MatcherRefused, "401"),
        (status(403), MatcherRefused, "403"),
        (status(302, b"", b"Location: http://127.0.0.1/"), MatcherError, "status 302"),
        (status(404, b'{"code": "path-missing"}'), MatcherError, "may be older"),
        (status(418, b'{"code": "\x1b[31m"}'), MatcherError, "status 418$|status 418\\."),
        (status(200, b"{}"), MatcherInvalid, "no JSON"),
        (ok(b"{", JSON), MatcherInvalid, "not readable"),
        (ok(b'{"a": 1, "a": 2}', JSON), MatcherInvalid, "not readable"),
        (ok(b"[" * 200_000, JSON), MatcherInvalid, "too many"),
        (ok(b'"' + b"x" * 2_000_000 + b'"', JSON), MatcherInvalid, "too large"),
        (status(500, b"x" * 100_000), MatcherAsksToWaitError, "status 500"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n" + JSON + b"\r\n\r\n{", FetchError, "early"),
        (b"nonsense\r\n\r\n", FetchError, "HTTP"),
        (b"", FetchError, "HTTP|failed"),
    ],
)
def test_every_other_answer_is_an_error(answer: bytes, kind: type[Exception], words: str) -> None:
    with serving(answering(answer)) as peer, pytest.raises(kind, match=words):
        client(peer, max_bytes=1_000_000).scope()


@pytest.mark.parametrize(
    ("answer", "reason", "wait_s"),
    [
        (status(429, BUSY, b"Retry-After: 12"), "rate-limited", 12),
        (status(429, b"", b"Retry-After: tomorrow"), "status 429", None),
        (status(429, b"", b"Retry-After: 0"), "status 429", 1),  # it would be asked for ever
        (status(429, b"", b"Retry-After: " + b"9" * 20), "status 429", None),
        (status(503, b"<html>"), "status 503", None),
    ],
)
def test_a_register_may_ask_to_wait(answer: bytes, reason: str, wait_s: int | None) -> None:
    with serving(answering(answer)) as peer, pytest.raises(MatcherAsksToWaitError) as asked:
        client(peer).scope()
    assert (asked.value.reason, asked.value.wait_s) == (reason, wait_s)


def test_an_answer_with_too_many_matches_may_be_asked_for_in_parts() -> None:
    asked = iter((said(SCOPE), ok(b'"' + b"x" * 2_000_000 + b'"', JSON)))

    def answer(connection: socket.socket, request: bytes, peer: Peer) -> None:
        connection.sendall(next(asked))

    with serving(answer) as peer:
        asking = client(peer, max_bytes=1_000_000)
        scope = asking.scope()
        with pytest.raises(FetchTooLarge):
            asking.match(Shape.VARIANTS, b"body", 3, scope)


def test_a_register_that_never_ends_its_answer_is_left() -> None:
    def drip(connection: socket.socket, request: bytes, peer: Peer) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n" + JSON + b"\r\n\r\n")
        while not peer.stopping.wait(0.02):
            connection.sendall(b" ")

    with serving(drip) as peer, pytest.raises(FetchTimeout):
        client(peer, timeout_s=0.3).scope()


@pytest.mark.parametrize(
    ("url", "kind"),
    [("http://192.0.2.1", FetchRefused), ("https://a.example/?key=x", FetchRefused),
     ("https://u:p@a.example", FetchRefused)],
)  # fmt: skip
def test_an_address_that_cannot_be_a_registers_is_refused(url: str, kind: type[Exception]) -> None:
    with pytest.raises(kind):
        MatcherClient(url, "key", partner_policy(url))


def test_a_key_is_told_nowhere() -> None:
    url = "https://register.example"
    with pytest.raises(MatcherKeyInvalid) as refused:
        MatcherClient(url, "sesame open", partner_policy(url))
    assert "sesame" not in str(refused.value)
    assert "sesame" not in repr(MatcherClient(url, "sesame", partner_policy(url)))


def test_what_is_sent_has_the_key_in_its_header_alone() -> None:
    with serving(answering(said(SCOPE))) as peer:
        MatcherClient(peer.url("/deep/"), "sesame", partner_policy(peer.url()), ["a", "b"]).scope()
    (request,) = peer.requests
    first, _, rest = request.partition(b"\r\n")
    assert first == b"GET /deep/v1/match/banks?bank=a&bank=b HTTP/1.1"
    assert rest.count(b"sesame") == rest.count(b"Authorization: Bearer sesame") == 1
