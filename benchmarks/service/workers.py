"""Two workers against one: single look-ups of clients that never pause, in turns.

Both servers run all the time and serve copies of one store; each round asks one and then the other,
so that what else the machine does falls on both. One thread asks, over connections that stay open:
a client that takes more of the cores than it must would hide what a second worker gives.
"""

from __future__ import annotations

import re
import selectors
import socket
import statistics
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from service.client import Answer
from service.prepared import make_keys, working_copy
from service.processes import tree_s
from service.progress import say
from service.questions import PATH, Question, check, draw
from service.served import serve

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from service.plan import Plan
    from service.served import Server

WORKERS_GOAL = 1.7
_COUNTS = (1, 2)
_CONNECTIONS = 16
_QUESTIONS = 2000
_LENGTH = re.compile(rb"\r\ncontent-length: (\d+)\r\n", re.IGNORECASE)
_KIB_PER_MIB = 1024.0


@dataclass(frozen=True, slots=True)
class Shared:
    """Memory of one worker, in MiB.

    Attributes:
        resident: all of it.
        private: what no other process has: what this worker costs.
        part: with its part of what it shares.
    """

    resident: float
    private: float
    part: float


@dataclass(frozen=True, slots=True)
class Scaling:
    """What two workers do against one.

    Attributes:
        one_per_s: look-ups a second of one worker, by round.
        two_per_s: of two.
        one_cpu_ms: processor time of the server for a look-up, by round.
        two_cpu_ms: of two.
        memory: of each of the two workers, after the rounds.
    """

    one_per_s: tuple[float, ...]
    two_per_s: tuple[float, ...]
    one_cpu_ms: tuple[float, ...]
    two_cpu_ms: tuple[float, ...]
    memory: tuple[Shared, ...]

    @property
    def ratio(self) -> float:
        """The median of the rounds' ratios."""
        return statistics.median(
            two / one for one, two in zip(self.one_per_s, self.two_per_s, strict=True)
        )


def measure_workers(prepared: Path, codes: NDArray[np.uint8], plan: Plan) -> Scaling:
    """Ask both in turns; every answer is checked afterwards."""
    rng = np.random.default_rng(11)
    questions = [draw(codes, 1, rng, first=number % 2) for number in range(_QUESTIONS)]
    rates: dict[int, list[float]] = {count: [] for count in _COUNTS}
    costs: dict[int, list[float]] = {count: [] for count in _COUNTS}
    with ExitStack() as kept:
        servers: dict[int, tuple[Server, str]] = {}
        for count in reversed(_COUNTS):
            path = kept.enter_context(working_copy(prepared))
            token = make_keys(f"sqlite:///{path}").matcher
            log = path.parent / "log"
            arguments = ("--workers", str(count))
            server = kept.enter_context(serve(f"sqlite:///{path}", log, *arguments))
            servers[count] = server, token
        for number in range(plan.workers_rounds + 1):
            for count in _COUNTS:
                server, token = servers[count]
                used_s = tree_s(server.pid)
                per_s, answered = _ask(server, token, questions, plan.workers_s)
                if number:  # the first one reads the index, and compiles
                    rates[count].append(per_s)
                    costs[count].append((tree_s(server.pid) - used_s) / answered * 1e3)
            if number:
                one, two = rates[1][-1], rates[2][-1]
                say(f"one worker {one:,.0f}/s, two {two:,.0f}/s, ratio {two / one:.2f}")
        memory = tuple(_memory_of(pid) for pid in _children(servers[2][0].pid))
    return Scaling(tuple(rates[1]), tuple(rates[2]), tuple(costs[1]), tuple(costs[2]), memory)


def _ask(
    server: Server, token: str, questions: list[Question], seconds: float
) -> tuple[float, int]:
    """Ask for so long; return the look-ups a second, and how many there were."""
    host, _, port = server.address.removeprefix("http://").rpartition(":")
    head = (
        f"POST {PATH} HTTP/1.1\r\nHost: {host}:{port}\r\nAuthorization: Bearer {token}\r\n"
        "Content-Type: application/json\r\n"
    )
    requests = [
        f"{head}Content-Length: {len(question.body)}\r\n\r\n".encode() + question.body
        for question in questions
    ]
    answers: list[tuple[Question, bytes]] = []
    with selectors.DefaultSelector() as selector, ExitStack() as kept:
        for number in range(_CONNECTIONS):
            connection = kept.enter_context(socket.create_connection((host, int(port)), timeout=60))
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            selector.register(connection, selectors.EVENT_READ, [number, b""])
            connection.sendall(requests[number])
        began = time.perf_counter()
        asked = _CONNECTIONS
        while (taken_s := time.perf_counter() - began) < seconds:
            for key, _ in selector.select():
                received = key.data[1] + key.fileobj.recv(65536)  # type: ignore[union-attr]
                if not _is_whole(received):
                    key.data[1] = received
                    continue
                answers.append((questions[key.data[0]], received))
                key.data[:] = asked % len(requests), b""
                key.fileobj.sendall(requests[key.data[0]])  # type: ignore[union-attr]
                asked += 1
    for question, received in answers:
        first, _, body = received.partition(b"\r\n\r\n")
        check(question, Answer(int(first.split(b" ", 2)[1]), body))
    return len(answers) / taken_s, len(answers)


def _is_whole(received: bytes) -> bool:
    end = received.find(b"\r\n\r\n")
    length = _LENGTH.search(received)
    return end >= 0 and length is not None and len(received) >= end + 4 + int(length[1])


def _children(pid: int) -> list[int]:
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _memory_of(pid: int) -> Shared:
    kib: dict[str, int] = {}
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]:
        name, _, value = line.partition(":")
        kib[name] = int(value.split()[0])
    return Shared(
        kib["Rss"] / _KIB_PER_MIB,
        (kib["Private_Clean"] + kib["Private_Dirty"]) / _KIB_PER_MIB,
        kib["Pss"] / _KIB_PER_MIB,
    )
