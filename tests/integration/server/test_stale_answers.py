"""A store that stops answering, under a register that is served: no answer is silently old."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from threading import Event, Semaphore
from typing import Any

import pytest

from egide.domain.access import Role
from egide.domain.model import Registration
from egide.errors import SnapshotUnwritable, StoreLocked, StoreUnreadable
from egide.live import rebuilding
from egide.live import register as live_module
from egide.live.register import LiveRegister
from egide.server.service import Service
from egide.server.settings import ServerSettings
from egide.store.changing import ChangingStore
from egide.store.entries.entries import Entries
from server_samples import Served, serve

STALE_AFTER_S = 0.8


def code(number: int) -> bytes:
    return sha256(b"stale %d" % number).digest()


def until(condition: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + 45
    while not condition():
        assert time.monotonic() < end, f"waited in vain: {what}"
        time.sleep(0.02)


@contextmanager
def silent(store: Any, monkeypatch: pytest.MonkeyPatch, how: str) -> Iterator[None]:
    """Have a store hang, or fail, as whoever follows it sees it."""
    back = Event()

    def hang(*_: object) -> None:
        back.wait(60)
        raise StoreUnreadable(store="test", reason="it was silent")

    def fail(*_: object) -> None:
        raise StoreUnreadable(store="test", reason="nobody listens")

    def locked(*_: object) -> None:
        raise StoreLocked(store="test")

    ways = {
        "wait-hangs": ("wait_for_change", hang), "revision-hangs": ("revision", hang),
        "fails": ("wait_for_change", fail), "locked": ("revision", locked),
    }  # fmt: skip
    with monkeypatch.context() as patched:
        patched.setattr(store, *ways[how])
        try:
            yield
        finally:
            back.set()


@contextmanager
def answering(folder: Path, **settings: Any) -> Iterator[Served]:
    """A register of two entries, the first one confirmed."""
    with serve(folder, hma_enabled=True, stale_after_s=STALE_AFTER_S, **settings) as served:
        store = ChangingStore.of(served.service.store)
        store.banks.create("helpline")
        store.entries.register("helpline", [Registration((code(number),)) for number in range(2)])
        store.entries.confirm("helpline", [1])
        served.wait_for(store.revision())
        yield served


def ask(served: Served, headers: dict[str, str]) -> Any:
    asked = {"fingerprints": [{"pdq": code(number).hex()} for number in (0, 1, 9)]}
    return served.client.post("/v1/match/fingerprints", headers=headers, json=asked)


def actions(body: dict[str, Any]) -> list[str]:
    return [one["decision"]["action"] for one in body["results"]]


def metric(served: Served, headers: dict[str, str], name: str) -> float:
    lines = served.client.get("/metrics", headers=headers).text.splitlines()
    return float(next(line.split()[1] for line in lines if line.startswith(f"{name} ")))


@pytest.mark.parametrize("mode", ["say", "review", "refuse"])
def test_answers_of_a_silent_store_are_never_silently_allowed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    with answering(tmp_path, stale_answers=mode) as served:
        key = served.as_role(Role.MATCHER)
        look_up = {"signal_type": "pdq", "signal": code(9).hex()}
        fresh = ask(served, key).json()
        assert (fresh["stale"], actions(fresh)) == (False, ["block", "review", "allow"])
        with silent(served.service.store, monkeypatch, "wait-hangs"):
            until(lambda: served.service.stale, "answers to be stale")
            answer = ask(served, key)
            mounted = served.client.get("/hma/m/lookup", headers=key, params=look_up)
            ready = served.client.get("/readyz")
            assert (ready.status_code, ready.json()["code"]) == (503, "register-stale")
            assert served.client.get("/healthz").status_code == 200
            assert served.client.get("/hma/status", headers=key).text == "INDEX-STALE"
            assert served.client.get("/v1/status", headers=key).json()["stale"]
            assert metric(served, key, "egide_stalled_seconds") > STALE_AFTER_S
            if mode == "refuse":
                assert (answer.status_code, answer.json()["code"]) == (503, "register-stale")
                assert (mounted.status_code, mounted.headers["egide-code"]) == (
                    503, "register-stale",
                )  # fmt: skip
            else:
                body = answer.json()
                assert body["stale"]
                assert body["age_s"] > STALE_AFTER_S
                last = "allow" if mode == "say" else "review"
                assert actions(body) == ["block", "review", last]
                assert ("stale-register" in body["results"][2]["decision"]["reasons"]) is (
                    mode == "review"
                )
                assert mounted.headers["egide-action"] == last
                assert mounted.headers["egide-stale"] == "true"
                assert float(mounted.headers["egide-age"]) > STALE_AFTER_S
        until(lambda: served.client.get("/readyz").status_code == 200, "it to be ready")
        assert actions(ask(served, key).json()) == ["block", "review", "allow"]


def test_a_known_key_is_answered_at_once_while_the_store_hangs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither finding the key nor learning what webhooks want waits for it."""

    def hang(*_: object) -> None:
        raise AssertionError("a request waits for the store")

    look_up = {"signal_type": "pdq", "signal": code(9).hex()}
    with answering(tmp_path, hma_networks="10.0.0.0/8") as served:
        key = served.as_role(Role.MATCHER)
        network = served.another_client(client=("10.1.2.3", 50000))
        ask(served, key)
        network.get("/hma/m/lookup", params=look_up)
        store = served.service.store
        with silent(store, monkeypatch, "wait-hangs"):
            until(lambda: served.service.live.stalled_s > 2.1, "the store to be silent")
            with monkeypatch.context() as patched:
                patched.setattr(type(store.keys), "find", hang)
                patched.setattr(type(store.keys), "get", hang)
                patched.setattr(type(store.webhooks), "wanted", hang)
                assert ask(served, key).json()["stale"]
                mounted = network.get("/hma/m/lookup", params=look_up)
                assert mounted.headers["egide-action"] == "review"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[ChangingStore]:
    with ChangingStore.open(f"sqlite:///{tmp_path}/egide.db", create=True) as opened:
        opened.banks.create("helpline")
        yield opened


@contextmanager
def following(store: ChangingStore) -> Iterator[LiveRegister]:
    live = LiveRegister(store)
    live.start()
    try:
        assert live.wait_until_ready(45)
        yield live
    finally:
        live.close()


@pytest.mark.parametrize("how", ["wait-hangs", "revision-hangs", "fails", "locked"])
def test_both_ages_grow_however_the_store_stops_answering(
    store: ChangingStore, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    with following(store) as live:
        with silent(store, monkeypatch, how):
            until(lambda: min(live.age_s, live.stalled_s) > 1.2, "the ages to grow")
        until(lambda: max(live.age_s, live.stalled_s) < 1.2, "it to be current again")


def test_a_long_import_stalls_nothing_though_the_age_grows(
    store: ChangingStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    more = Semaphore(0)
    changes = Entries.changes

    def slowly(self: Entries, *arguments: Any, **limits: Any) -> Iterator[Any]:
        for entry in changes(self, *arguments, **limits):
            more.acquire()
            yield entry

    monkeypatch.setattr(live_module, "_CHANGES_PER_VIEW", 1)
    with following(store) as live:
        monkeypatch.setattr(Entries, "changes", slowly)
        for number in range(4):
            store.entries.register("helpline", [Registration((code(number),))])
        until(lambda: live.stalled_s > 0.7, "it to wait for the first change")
        more.release(3)
        until(lambda: live.stalled_s < live.age_s - 0.5, "some of them to be taken in")
        more.release(100)
        until(lambda: live.revision == store.revision(), "all of them")


@pytest.mark.parametrize("kind", ["missing", "a file", "a closed place"])
def test_a_snapshot_folder_that_cannot_be_used_stops_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    folder = {"missing": tmp_path / "no", "a file": tmp_path / "file"}.get(kind, Path("/proc/1"))
    (tmp_path / "file").touch()
    monkeypatch.setenv("EGIDE_SNAPSHOT_DIR", str(folder))
    settings = ServerSettings(store=f"sqlite:///{tmp_path / 'egide.db'}")
    with pytest.raises(SnapshotUnwritable, match="EGIDE_SNAPSHOT_DIR"):
        Service.open(settings)


def test_a_snapshot_folder_that_goes_away_is_told_and_delays_no_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    folder, away = tmp_path / "snapshots", tmp_path / "away"
    folder.mkdir()
    monkeypatch.setenv("EGIDE_SNAPSHOT_DIR", str(folder))
    monkeypatch.setattr(rebuilding, "_FIRST_PAUSE_S", 0.1)
    with answering(tmp_path) as served:
        live, key = served.service.live, served.as_role(Role.MATCHER)
        folder.rename(away)

        def said() -> dict[str, str]:
            return served.client.get("/readyz").json()  # type: ignore[no-any-return]

        until(lambda: said().get("failure") == "snapshot-unwritable", "it to be told")
        assert metric(served, key, "egide_failing") == 1
        assert "snapshot-unwritable" in caplog.text
        store = ChangingStore.of(served.service.store)
        for number in range(10, 14):
            store.entries.register("helpline", [Registration((code(number),))])
            began = time.monotonic()
            until(lambda: live.revision == store.revision(), "the change")
            assert time.monotonic() - began < 4  # it was 5 s and more between two tries
        assert served.client.get("/readyz").status_code == 200
        away.rename(folder)
        until(lambda: said() == {"status": "ready"}, "it to be well again")
