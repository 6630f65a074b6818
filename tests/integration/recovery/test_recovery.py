"""Processes that are killed under load: what was acknowledged stays, the rest goes on by itself."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from egide.domain.model import Registration
from egide.live.snapshots import snapshot_path
from egide.store.changing import ChangingStore as Store
from pictures import encoded, pictures
from recovery_processes import alive, command_of, descendants, serve
from register_load import BANK, STANDING, Load, client, new_register, pdq, until
from served_process import Server

pytestmark = pytest.mark.slow

BASE = 10_000
TAKEN_S = 0.5
"""So long after a request was sent, the process has begun to read it."""
log = logging.getLogger(__name__)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def url(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("EGIDE_SNAPSHOT_DIR", str(tmp_path))
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/egide.db"
    new: Callable[[], str] = request.getfixturevalue("postgres_url")
    return new()


@pytest.fixture
def running() -> Iterator[ExitStack]:
    """Ends the processes that a test has started."""
    with ExitStack() as stack:
        yield stack


def test_a_process_killed_under_load_loses_nothing_and_the_other_goes_on(
    url: str, tmp_path: Path, running: ExitStack
) -> None:
    token = new_register(url)
    doomed, other = (serve(running, tmp_path, url) for _ in range(2))
    load = Load(token)
    try:
        for server in (doomed, other):
            server.await_address()
            load.write_to(server.address)
            load.read_from(server.address)
        load.await_done(doomed.address, 20)
        doomed.process.kill()
        load.await_done(other.address, 20)
        again = serve(running, tmp_path, url)
        again.await_address()
        with client(again.address, token) as asking:
            until(lambda: asking.readiness()[0] == 200, "the restarted process to be ready")
        load.write_to(again.address)
        load.read_from(again.address)
        load.await_done(again.address, 20)
    finally:
        load.stop()
    assert not load.refused
    with Store.open(url) as store:
        load.check(store, other.address, again.address)
    assert other.end() == again.end() == 0


def stopped_builder(server: Server, folder: Path) -> int | None:
    """Wait for a build and stop it in the midst of writing; None where it was too quick."""
    found: list[int] = []

    def begun() -> bool:
        found.extend(
            child
            for child in descendants(server.process.pid)
            if b"egide.live.rebuilding" in command_of(child)
        )
        return bool(found)

    until(begun, "a build")
    while alive(found[0]):
        if unfinished(folder):
            os.kill(found[0], signal.SIGSTOP)
            if unfinished(folder):
                return found[0]
            os.kill(found[0], signal.SIGCONT)
    return None


def unfinished(folder: Path) -> list[Path]:
    return list(folder.glob(".*.part"))


@pytest.mark.slow
def test_a_process_killed_in_mid_rebuild_leaves_nothing_that_breaks(
    url: str, tmp_path: Path, running: ExitStack
) -> None:
    token = new_register(url, BASE)
    settings = {"EGIDE_FORGET_AFTER_S": "0.1"}
    first = serve(running, tmp_path, url, **settings)
    first.await_address()
    builder = None
    withdrawn = STANDING
    with client(first.address, token) as asking:
        while builder is None:
            assert withdrawn < STANDING + 30, "no build was met in its midst"
            path = f"/v1/banks/{BANK}/entries/{withdrawn + 1}/withdraw"
            assert asking.ask("POST", path)[0] == 200
            withdrawn += 1
            builder = stopped_builder(first, tmp_path)
    first.process.kill()
    os.kill(builder, signal.SIGKILL)
    assert unfinished(tmp_path), "what is to do no harm"

    second = serve(running, tmp_path, url, **settings)
    second.await_address()
    gone = range(STANDING, withdrawn)
    with Store.open(url) as store, client(second.address, token) as asking:
        until(lambda: asking.readiness()[0] == 200, "the restarted process to be ready")
        assert asking.matched(gone) == [[] for _ in gone]
        assert asking.matched(range(STANDING)) == [[number + 1] for number in range(STANDING)]
        path = snapshot_path(store)
    until(
        lambda: path.exists() and not any(pdq(number) in path.read_bytes() for number in gone),
        "a snapshot without what was withdrawn",
    )
    assert second.end() == 0


def test_a_change_from_elsewhere_is_live_within_a_second(
    url: str, tmp_path: Path, running: ExitStack
) -> None:
    token = new_register(url)
    server = serve(running, tmp_path, url)
    server.await_address()
    with Store.open(url) as store, client(server.address, token) as asking:

        def command(*arguments: str) -> None:
            done = subprocess.run(
                [sys.executable, "-m", "egide.cli.main", *arguments, "--store", url],
                input=f"{pdq(777).hex()}\n", text=True, capture_output=True, check=False,
            )  # fmt: skip
            assert done.returncode == 0, done.stdout + done.stderr

        def delay_s(number: int, expected: list[int]) -> float:
            """From the end of a change; the promise is a second, on a machine with time for it."""
            delay = until(lambda: asking.matched([number]) == [expected], "the change")
            assert delay < 5, f"the change of number {number} took {delay:.2f} s"
            return delay

        store.entries.register(BANK, [Registration(pdqs=(pdq(666),))])
        delays = [delay_s(666, [STANDING + 1])]
        store.entries.withdraw(BANK, [1])
        delays.append(delay_s(0, []))
        command("bank", "import", BANK, "-")
        delays.append(delay_s(777, [STANDING + 2]))
        command("bank", "withdraw", BANK, "2")
        delays.append(delay_s(1, []))
    log.info("changes were live after %s s", [round(delay, 3) for delay in delays])
    assert server.end() == 0


def test_every_request_that_was_taken_is_answered_when_told_to_end(
    tmp_path: Path, running: ExitStack
) -> None:
    url = f"sqlite:///{tmp_path}/egide.db"
    token = new_register(url)
    server = serve(running, tmp_path, url)
    server.await_address()
    load = Load(token)
    picture = encoded(pictures(1)[0].resize((2400, 1800)), "PNG")
    try:
        load.write_to(server.address, threads=3)
        load.read_from(server.address)
        load.repeat(lambda own: own.matched(range(10**6, 10**6 + 2000)), server.address)
        # One decoder: most of these wait for it.
        load.repeat(lambda own: own.upload(picture), server.address, threads=12)
        load.await_done(server.address, 30)
        until(lambda: load.waiting(time.monotonic() - TAKEN_S) >= 6, "requests to pile up")
        children = descendants(server.process.pid)
        assert children
        told_at = time.monotonic()
        assert server.end() == 0
    finally:
        load.stop()
    assert load.waiting(told_at - TAKEN_S) == 0
    assert not load.refused
    requests = [line for line in server.lines() if line.get("message") == "request"]
    assert {"/v1/match", "/v1/match/fingerprints"} < {line["route"] for line in requests}
    assert {line["status"] for line in requests} == {200, 201}
    assert {line["request_id"] for line in requests} <= load.answered
    with Store.open(url) as store:
        load.check(store, undone=True)
    until(lambda: not any(map(alive, children)), "the children to be gone")
