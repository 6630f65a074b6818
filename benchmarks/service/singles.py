"""Single look-ups at a given rate: each is due at a time, whether those before are answered or not.

A look-up's latency is counted from the moment at which it was due, so that a server that stalls is
charged for all who came meanwhile.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING

import numpy as np

from service.client import Connection
from service.progress import say
from service.questions import PATH, Question, check, draw

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from service.client import Answer
    from service.plan import Plan
    from service.served import Server

_CONNECTIONS = 32
_LEAD_S = 0.2
EVEN = "even"
RANDOM = "random"
ARRIVALS = (EVEN, RANDOM)
"""At even distances, and as of a Poisson process: one that many independent users make."""


@dataclass(frozen=True, slots=True)
class Singles:
    """Latencies of one run, in milliseconds from when a look-up was due.

    Attributes:
        arrivals: EVEN or RANDOM.
        sent_late_p99: of it, how much later than due a look-up was sent, which is the client's.
    """

    arrivals: str
    p50: float
    p90: float
    p99: float
    worst: float
    sent_late_p99: float


def measure_singles(
    server: Server, token: str, codes: NDArray[np.uint8], plan: Plan
) -> list[Singles]:
    """Measure each kind of arrivals in turn; every answer is checked afterwards."""
    rng = np.random.default_rng(3)
    _run(server, token, codes, np.arange(0, 2, 1 / plan.singles_per_s), rng)  # warms up
    runs = []
    for _ in range(plan.singles_runs):
        for arrivals in ARRIVALS:
            looked_up = int(plan.singles_per_s * plan.singles_s)
            gaps = np.full(looked_up, 1 / plan.singles_per_s)
            if arrivals == RANDOM:
                gaps = rng.exponential(1 / plan.singles_per_s, looked_up)
            latency_s, late_s = _run(server, token, codes, np.cumsum(gaps), rng)
            p50, p90, p99 = np.percentile(latency_s, (50, 90, 99)) * 1e3
            late_p99 = float(np.percentile(late_s, 99)) * 1e3
            worst = float(latency_s.max()) * 1e3
            runs.append(Singles(arrivals, float(p50), float(p90), float(p99), worst, late_p99))
            say(f"singles, {arrivals}: p50 {p50:.2f} ms, p99 {p99:.2f} ms, worst {worst:.0f} ms")
    return runs


def _run(
    server: Server,
    token: str,
    codes: NDArray[np.uint8],
    due_s: NDArray[np.float64],
    rng: np.random.Generator,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return for each look-up how long after it was due it was answered, and was sent, seconds."""
    questions = [draw(codes, 1, rng, first=number % 2) for number in range(len(due_s))]
    run = _Run(questions, due_s)
    connections = [Connection(server.address, token) for _ in range(_CONNECTIONS)]
    try:
        with ThreadPoolExecutor(_CONNECTIONS) as threads:
            run.began = time.perf_counter() + _LEAD_S
            for worker in [threads.submit(run.work, connection) for connection in connections]:
                worker.result()
    finally:
        for connection in connections:
            connection.close()
    for question, answer in zip(questions, run.answers, strict=True):
        assert answer is not None
        check(question, answer)
    return run.answered_s - due_s, run.sent_s - due_s


class _Run:
    """Look-ups that are due, for threads that take one after the other."""

    def __init__(self, questions: list[Question], due_s: NDArray[np.float64]) -> None:
        self.began = 0.0
        self.answers: list[Answer | None] = [None] * len(questions)
        self.sent_s = np.zeros(len(questions))
        self.answered_s = np.zeros(len(questions))
        self._questions = questions
        self._due_s = due_s.tolist()
        self._numbers = count()

    def work(self, connection: Connection) -> None:
        """Send what is due next, until nothing is."""
        while (number := next(self._numbers)) < len(self._questions):
            early_s = self.began + self._due_s[number] - time.perf_counter()
            if early_s > 0:
                time.sleep(early_s)
            self.sent_s[number] = time.perf_counter() - self.began
            self.answers[number] = connection.ask("POST", PATH, self._questions[number].body)
            self.answered_s[number] = time.perf_counter() - self.began
