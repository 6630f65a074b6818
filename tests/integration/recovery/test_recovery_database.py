"""A database that is killed, or has no space left, under processes that serve from it."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from egide.store.changing import ChangingStore as Store
from postgres_fixtures import PostgresServer
from recovery_processes import serve
from register_load import BANK, STANDING, Client, Load, client, new_register, pdq, until

pytestmark = pytest.mark.slow

log = logging.getLogger(__name__)


@pytest.fixture
def running() -> Iterator[ExitStack]:
    """Ends the processes that a test has started."""
    with ExitStack() as stack:
        yield stack


def register(asking: Client, *numbers: int) -> tuple[int, str]:
    """Register codes; return the status, and the code of what went wrong."""
    entries = [{"pdq": [pdq(number).hex()]} for number in numbers]
    status, said = asking.ask("POST", f"/v1/banks/{BANK}/entries", {"entries": entries})
    return status, said.get("code", "")


def test_while_postgresql_is_dead_matching_goes_on_and_then_everything(
    postgres_server: PostgresServer,
    postgres_url: Callable[..., str],
    tmp_path: Path,
    running: ExitStack,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("EGIDE_SNAPSHOT_DIR", str(tmp_path))
    url = postgres_url()
    database = url.rpartition("/")[2]
    token = new_register(url)
    server = serve(running, tmp_path, url, EGIDE_READY_MAX_AGE_S="1")
    server.await_address()
    load = Load(token)
    with client(server.address, token) as asking:
        try:
            load.write_to(server.address)
            load.read_from(server.address)
            load.await_done(server.address, 10)
            postgres_server.execute("CHECKPOINT")  # it runs without flushing
            postgres_server.stop(signal.SIGKILL)
            try:
                until(lambda: asking.readiness() == (503, "register-stale"), "it to be said")
                assert asking.ask("GET", "/healthz")[0] == 200
                assert asking.matched(range(STANDING)) == [[n + 1] for n in range(STANDING)]
                assert register(asking, 1) == (503, "store-unreadable")
                assert asking.ask("GET", f"/v1/banks/{BANK}/entries")[0] == 503
            finally:
                postgres_server.start()
            back_s = until(lambda: asking.readiness()[0] == 200, "it to be ready again")
            load.await_done(server.address, 10)
        finally:
            load.stop()
        assert {status for status, _ in load.refused} == {503}
        assert {code for _, code in load.refused} <= {"store-unreadable", "store-locked"}
        listening = "SELECT 1 FROM pg_stat_activity WHERE query LIKE 'LISTEN %' AND datname = "
        until(lambda: bool(postgres_server.execute(f"{listening}'{database}'")), "it to listen")
        with Store.open(url) as store:
            load.check(store, server.address)
            store.entries.withdraw(BANK, [1])
            live_s = until(lambda: asking.matched([0]) == [[]], "a change to be live")
            assert live_s < 5, f"a change took {live_s:.2f} s"
    log.info("ready again after %.2f s; a change is live after %.3f s", back_s, live_s)
    assert server.end() == 0
    assert not [line for line in server.lines() if line["level"] == "error"]


@pytest.fixture(params=["sqlite", "postgresql"])
def small(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """The URL of a new store on a file system of 32 MiB, and where that is."""
    with ExitStack() as stack:
        if request.param == "sqlite":
            folder = tmp_path / "small"
            mount(folder, stack)
            yield f"sqlite:///{folder}/egide.db", folder
            return
        server: PostgresServer = request.getfixturevalue("postgres_server")
        folder = server.folder / "small"
        mount(folder, stack)
        space = folder / "space"
        space.mkdir()
        if os.geteuid() == 0:
            shutil.chown(space, "postgres", "postgres")
        server.execute(f"CREATE TABLESPACE small LOCATION '{space}'")
        stack.callback(server.execute, "DROP TABLESPACE small")
        server.execute("CREATE DATABASE small TEMPLATE template0 TABLESPACE small")
        stack.callback(server.drop, "small")
        yield server.url("small"), folder


def mount(folder: Path, stack: ExitStack) -> None:
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=32m", "tmpfs", str(folder)],
        capture_output=True, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        pytest.skip("mounting a small file system is not permitted here: a full disk was not tried")
    stack.callback(folder.rmdir)
    stack.callback(subprocess.run, ["umount", str(folder)], check=True)


def test_on_a_full_disk_reading_goes_on_and_writing_once_there_is_space(
    small: tuple[str, Path], tmp_path: Path, running: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, folder = small
    monkeypatch.setenv("EGIDE_SNAPSHOT_DIR", str(tmp_path))
    token = new_register(url)
    server = serve(running, tmp_path, url)
    server.await_address()
    filler = folder / "filler"
    numbers = range(10**6, 10**6 + 5000)
    with client(server.address, token) as asking:
        filler.write_bytes(bytes(os.statvfs(folder).f_bavail * 4096))
        assert register(asking, *numbers) == (503, "store-full")
        assert asking.matched([0, numbers[0]]) == [[1], []]
        assert asking.readiness()[0] == 200
        status, said = asking.ask("GET", f"/v1/banks/{BANK}/entries")
        assert (status, len(said["entries"])) == (200, STANDING)
        filler.unlink()
        assert register(asking, *numbers) == (201, "")
        until(lambda: asking.matched([numbers[-1]]) != [[]], "what was registered")
    with Store.open(url) as store:
        assert sum(1 for _ in store.entries.list(BANK)) == STANDING + len(numbers)
        store.log.verify()
    assert server.end() == 0
