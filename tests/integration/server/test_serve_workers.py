"""`egide serve --workers 2`: one register, one set of limits, whichever process answers."""

from __future__ import annotations

import json
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from urllib3 import HTTPConnectionPool, HTTPResponse

from egide.domain.access import Role
from egide.store import Store
from served_process import DEADLINE_S, Server, started

CODE = bytes(range(32))
BODY = {"fingerprints": [{"pdq": CODE.hex()}]}

pytestmark = pytest.mark.skipif(not Path("/proc/self/net/tcp").exists(), reason="no /proc/net/tcp")


class Worker:
    """A connection that stays with one of the workers."""

    def __init__(
        self, server: Server, pool: HTTPConnectionPool, connection: socket.socket, pid: int
    ) -> None:
        self.pid = pid
        self.connection = connection
        self._server = server
        self._pool = pool

    def ask(self, method: str, path: str, key: str | None = None, **rest: Any) -> HTTPResponse:
        headers = {"Authorization": f"Bearer {key or self._server.key}"}
        answer = self._pool.request(method, path, headers=headers, **rest)
        assert isinstance(answer, HTTPResponse)
        return answer

    def metric(self, name: str) -> float:
        text = self.ask("GET", "/metrics").data.decode()
        return sum(float(line.split()[-1]) for line in text.splitlines() if line.startswith(name))


def pids_of(server: Server) -> set[int]:
    path = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children")
    return {int(pid) for pid in path.read_text().split()}


def connect(server: Server, kept: ExitStack, among: set[int]) -> Worker:
    """Connect again and again, until a worker of these took the connection."""
    host, port = server.address.removeprefix("http://").split(":")
    ends_at = time.monotonic() + DEADLINE_S
    while time.monotonic() < ends_at:
        pool = HTTPConnectionPool(host, int(port), retries=False, timeout=60, maxsize=1)
        kept.callback(pool.close)
        pool.request("GET", "/healthz")
        connection = pool.pool.get()  # type: ignore[union-attr]
        pool.pool.put(connection)  # type: ignore[union-attr]
        own = connection.sock.getsockname()[1]
        for pid in among:
            if _holds(pid, int(port), own):
                return Worker(server, pool, connection.sock, pid)
    raise AssertionError(f"no connection went to {among}")


def _holds(pid: int, port: int, peer: int) -> bool:
    """Whether a process has the end at `port` of a connection from the port `peer`."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    inodes = {
        f"socket:[{row[9]}]"
        for row in rows
        if row[1].endswith(f":{port:04X}") and row[2].endswith(f":{peer:04X}")
    }
    for link in Path(f"/proc/{pid}/fd").iterdir():
        try:
            if str(link.readlink()) in inodes:
                return True
        except OSError:
            continue  # closed meanwhile
    return False


def until(true: Callable[[], bool], what: str) -> None:
    ends_at = time.monotonic() + DEADLINE_S
    while not true():
        assert time.monotonic() < ends_at, what
        time.sleep(0.05)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("workers")
    with started(
        folder, "--workers", "2", "--decoders", "2", EGIDE_MAX_FAILURES_PER_MINUTE="6"
    ) as running:
        running.await_address()
        yield running
        assert end_with_all(running, signal.SIGTERM) == 0


@pytest.fixture
def workers(server: Server) -> Iterator[tuple[Worker, Worker]]:
    """A connection to each worker."""
    with ExitStack() as kept:
        first = connect(server, kept, pids_of(server))
        yield first, connect(server, kept, pids_of(server) - {first.pid})


def test_change_through_one_worker_is_seen_by_the_other(workers: tuple[Worker, Worker]) -> None:
    one, other = workers
    assert one.ask("POST", "/v1/banks", json={"name": "shared"}).status == 201
    entry = {"entries": [{"pdq": [CODE.hex()]}]}
    added = one.ask("POST", "/v1/banks/shared/entries", json=entry)
    assert added.status in {200, 201}, added.data

    def found() -> int:
        answer = other.ask("POST", "/v1/match/fingerprints", json=BODY)
        return len(json.loads(answer.data)["results"][0]["matches"])

    until(lambda: found() == 1, "the other worker does not find it")
    (number,) = [outcome["entry"] for outcome in json.loads(added.data)["outcomes"]]
    withdrawn = one.ask("POST", f"/v1/banks/shared/entries/{number}/withdraw")
    assert withdrawn.status == 200, withdrawn.data
    until(lambda: found() == 0, "the other worker still finds it")


def test_limits_are_those_of_one_server(server: Server, workers: tuple[Worker, Worker]) -> None:
    one, other = workers
    with Store.open(f"sqlite:///{server.log.parent / 'egide.db'}") as store:
        key = store.keys.create("few", Role.MATCHER, "x", per_day=3)[1]
    statuses = [
        worker.ask("POST", "/v1/match/fingerprints", key, json=BODY).status
        for worker in (one, other, one, other, one, other)
    ]
    assert statuses == [200, 200, 200, 429, 429, 429]
    guesses = [
        worker.ask("GET", "/v1/status", f"egide_{'a' * 12}_{'b' * 43}").status
        for worker in (one, other) * 8
    ]
    assert 6 <= guesses.count(401) <= 8  # a further one each ten seconds
    assert set(guesses) == {401, 429}


def test_metrics_are_those_of_all_workers(workers: tuple[Worker, Worker]) -> None:
    one, other = workers
    name = 'egide_requests_total{method="GET",route="/v1/status"'
    before = one.metric(name)
    for worker in (one, one, one, other, other):
        assert worker.ask("GET", "/v1/status").status == 200
    # A request is counted once its answer is sent.
    until(lambda: one.metric(name) == before + 5, "a request is not counted")
    assert other.metric(name) == before + 5
    assert one.metric("egide_ready") == 1
    assert one.metric("process_open_fds") > 0


def test_killed_worker_is_replaced_and_costs_the_other_nothing(
    server: Server, workers: tuple[Worker, Worker]
) -> None:
    one, other = workers
    counted = other.metric("egide_requests_total")
    before = pids_of(server)
    body = json.dumps(BODY).encode()
    head = (
        f"POST /v1/match/fingerprints HTTP/1.1\r\nHost: x\r\n"
        f"Authorization: Bearer {server.key}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    with ExitStack() as kept:
        other.connection.sendall(head.encode() + body[:10])
        os.kill(one.pid, signal.SIGKILL)
        until(lambda: len(pids_of(server) - before) == 1, "it is not replaced")
        other.connection.sendall(body[10:])
        assert other.connection.recv(65536).startswith(b"HTTP/1.1 200")
        successor = connect(server, kept, pids_of(server) - before)
        assert successor.ask("GET", "/readyz").status == 200
        assert successor.metric("egide_requests_total") > counted
    assert any(line.get("code") == "worker-ended" for line in server.lines())


def end_with_all(server: Server, number: signal.Signals) -> int:
    """End a server; no process of its workers may be left."""
    workers = pids_of(server)
    assert len(workers) == 2
    tasks = [task for pid in workers for task in Path(f"/proc/{pid}/task").iterdir()]
    below = [int(pid) for task in tasks for pid in (task / "children").read_text().split()]
    assert below, "there are no decoders"
    status = server.end(number)
    until(
        lambda: not any(Path(f"/proc/{pid}/exe").exists() for pid in (*workers, *below)),
        "a process outlives the server",
    )
    return status


def test_workers_end_with_a_server_that_is_killed(tmp_path: Path) -> None:
    with started(tmp_path, "--workers", "2", "--decoders", "2") as running:
        running.await_address()
        assert end_with_all(running, signal.SIGKILL) == -signal.SIGKILL


@pytest.mark.slow
def test_worker_that_cannot_start_is_said(tmp_path: Path) -> None:
    with started(
        tmp_path, "--workers", "2", "--decoders", "2", EGIDE_WORKER_MEMORY_BYTES="1000000"
    ) as running:
        assert running.process.wait(DEADLINE_S) == 3
        assert running.process.stdout is not None
        assert "not-ready" in running.process.stdout.read()
