"""Webhooks of a served register; the receiver checks signatures with another library."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from standardwebhooks import Webhook

from commands import Result, egide_in
from egide.domain.access import Role
from egide.store.changing import ChangingStore
from server_samples import Served, serve
from store_samples import picture

DEADLINE_S = 60.0


class Receiver(ThreadingHTTPServer):
    """Takes messages; the first `refusals` are answered with 503."""

    refusals = 0

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.taken: list[tuple[dict[str, str], bytes]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/hook"

    def wait_for(self, count: int) -> None:
        end = time.monotonic() + DEADLINE_S
        while len(self.taken) < count:
            assert time.monotonic() < end, f"{len(self.taken)} of {count} messages arrived"
            time.sleep(0.02)


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.server.refusals > 0:
            self.server.refusals -= 1
            self.send_response(503)
        else:
            self.server.taken.append((dict(self.headers), body))
            self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        pass


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with serve(tmp_path, webhook_networks=("127.0.0.0/8",)) as running:
        ChangingStore.of(running.service.store).banks.create("helpline")
        yield running


def test_decisions_and_changes_arrive_signed(served: Served, receiver: Receiver) -> None:
    admin = served.as_role(Role.ADMIN)
    made = served.client.post(
        "/v1/webhooks",
        json={
            "name": "all",
            "url": receiver.url,
            "events": ["decision.block", "decision.review", "entry.changed"],
        },
        headers=admin,
    )
    assert made.status_code == 201, made.text
    secret = made.json()["secret"]

    receiver.refusals = 1
    one = picture(1)
    store = served.service.store.acting_as("ada")
    ChangingStore.of(store).entries.register("helpline", [one])
    served.wait_for(store.revision())
    assert one.sha256 is not None
    asked = served.client.post(
        "/v1/match/fingerprints",
        json={"fingerprints": [{"sha256": one.sha256.hex()}]},
        headers=served.as_role(Role.MATCHER),
    )
    assert asked.status_code == 200
    receiver.wait_for(2)

    contents = {}
    for headers, body in receiver.taken:
        content = Webhook(secret).verify(body, headers)
        contents[content["type"]] = content["data"]
        assert one.sha256.hex().encode() not in body
    assert contents["entry.changed"] == {
        "action": "register",
        "bank": "helpline",
        "entries": [1],
        "count": 1,
        "revision": store.revision(),
        "by": "ada",
    }
    assert contents["decision.review"] == {
        "action": "review",
        "reasons": ["unverified-match", "not-matchable"],
        "matches": [{"bank": "helpline", "entry": 1, "signal": "sha256", "by_part": False}],
        "revision": store.revision(),
        "key": "matcher",
    }

    listed = served.client.get("/v1/webhooks", headers=admin).text
    assert secret not in listed
    assert receiver.url not in listed
    assert json.loads(listed)["webhooks"][0]["dead"] == 0


def test_webhooks_are_removed_and_refused(served: Served) -> None:
    admin = served.as_role(Role.ADMIN)
    wanted = {"name": "all", "url": "https://hooks.example.org/x", "events": ["entry.changed"]}
    client = served.client
    assert client.post("/v1/webhooks", json=wanted, headers=admin).status_code == 201
    again = client.post("/v1/webhooks", json=wanted, headers=admin)
    assert (again.status_code, again.json()["code"]) == (409, "webhook-exists")
    for url in ("ftp://x.example/", "https://user@x.example/", "http://[::1%25lo]/", "nonsense"):
        bad = client.post("/v1/webhooks", json=wanted | {"name": "b", "url": url}, headers=admin)
        assert bad.json()["code"] == "webhook-refused", url
    scoped = served.as_role(Role.ADMIN, name="scoped", banks=["helpline"])
    assert client.get("/v1/webhooks", headers=scoped).status_code == 403
    assert client.get("/v1/webhooks/dead-letters", headers=admin).json() == {
        "dead_letters": [],
        "next": None,
    }
    assert client.delete("/v1/webhooks/all", headers=admin).status_code == 200
    assert client.delete("/v1/webhooks/all", headers=admin).status_code == 404


def test_a_test_message_is_sent_at_once_and_what_comes_back_is_said_everywhere(
    served: Served, receiver: Receiver, tmp_path: Path
) -> None:
    admin = served.as_role(Role.ADMIN)
    wanted = {"name": "hook", "url": receiver.url, "events": ["decision.block"]}
    made = served.client.post("/v1/webhooks", json=wanted, headers=admin)

    def told(*arguments: str) -> Result:
        own = {"EGIDE_WEBHOOK_NETWORKS": "127.0.0.0/8"}
        store = ("--store", served.service.store.url)
        return egide_in(tmp_path, "webhook", *arguments, *store, **own)

    def asked() -> dict[str, Any]:
        answer = served.client.post("/v1/webhooks/hook/test", headers=admin)
        assert answer.status_code == 200
        taken: dict[str, Any] = answer.json()
        return taken

    def listed() -> tuple[Any, ...]:
        (one,) = served.client.get("/v1/webhooks", headers=admin).json()["webhooks"]
        assert one["waiting"] == 0
        return one["last_status"], one["last_error"], one["failures"], one["last_success"]

    assert asked() == {
        "name": "hook", "taken": True, "status": 204, "error": None, "reason": None,
    }  # fmt: skip
    ((headers, body),) = receiver.taken
    content = Webhook(made.json()["secret"]).verify(body, headers)
    assert (content["type"], content["data"]) == ("webhook.test", {})
    assert listed()[:3] == (204, None, 0)

    receiver.refusals = 1
    tried = told("test", "hook")
    assert (tried.code, "answered 503" in tried.out) == (1, True)
    receiver.server_close()
    receiver.shutdown()
    tried = told("test", "hook", "--json")
    assert (tried.code, tried.json()["error"], tried.json()["taken"]) == (1, "fetch-failed", False)
    assert asked()["error"] == "fetch-failed"
    assert listed()[:3] == (None, "fetch-failed", 3)
    assert listed()[3] is not None
    assert "fetch-failed" in told("list", "--json").out
    matcher = served.as_role(Role.MATCHER)
    end = time.monotonic() + DEADLINE_S
    while "egide_webhooks_failing 1.0" not in served.client.get("/metrics", headers=matcher).text:
        assert time.monotonic() < end
        time.sleep(0.05)
    assert served.client.post("/v1/webhooks/none/test", headers=admin).status_code == 404


def test_a_webhook_over_http_is_told_that_it_takes_https(tmp_path: Path) -> None:
    at = ("--store", f"sqlite:///{tmp_path}/egide.db")
    assert egide_in(tmp_path, "bank", "create", "helpline", *at).code == 0
    url = "http://hooks.example.org/in"
    told = egide_in(tmp_path, "webhook", "add", "w", url, "--event", "decision.block", *at)
    assert told.code == 3
    for words in ("[webhook-refused]", "https", "EGIDE_WEBHOOK_NETWORKS"):
        assert words in told.err
    assert "fetch" not in told.err
