"""Batches of look-ups, each client sending the next when the one before is answered."""

from __future__ import annotations

import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
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

_SIZES_AND_CLIENTS = ((1, 1), (1, 8), (1000, 1), (1000, 4), (10_000, 1), (10_000, 4))


@dataclass(frozen=True, slots=True)
class Batches:
    """How quick batches of one size are.

    Attributes:
        size: fingerprints in a request.
        clients: that send at once.
        requests: of each client in a round.
        per_s: fingerprints a second, of each round.
    """

    size: int
    clients: int
    requests: int
    per_s: tuple[float, ...]

    @property
    def median_per_s(self) -> float:
        """Fingerprints a second, the median of the rounds."""
        return statistics.median(self.per_s)


def measure_batches(
    server: Server, token: str, codes: NDArray[np.uint8], plan: Plan
) -> list[Batches]:
    """Measure every size with one client and with several; every answer is checked afterwards."""
    rng = np.random.default_rng(2)
    measured = []
    for size, clients in _SIZES_AND_CLIENTS:
        requests = max(1, min(plan.max_requests, plan.fingerprints_per_round // size) // clients)
        rates = []
        for number in range(plan.batch_rounds + 1):
            questions = [
                [draw(codes, size, rng, first=place % 2) for place in range(requests)]
                for _ in range(clients)
            ]
            taken_s = _round(server, token, questions)
            if number:  # the first one reads the index from the disk
                rates.append(size * requests * clients / taken_s)
        measured.append(Batches(size, clients, requests, tuple(rates)))
        median = measured[-1].median_per_s
        say(f"batches of {size:,}, clients {clients}: {median:,.0f} fingerprints/s")
    return measured


def _round(server: Server, token: str, questions: list[list[Question]]) -> float:
    """Send each client's questions, check the answers, return the seconds of the sending."""
    connections = [Connection(server.address, token) for _ in questions]
    try:
        with ThreadPoolExecutor(len(questions)) as threads:
            began = time.perf_counter()
            answered = list(threads.map(_ask_all, connections, questions))
            taken_s = time.perf_counter() - began
    finally:
        for connection in connections:
            connection.close()
    for asked, answers in zip(questions, answered, strict=True):
        for question, answer in zip(asked, answers, strict=True):
            check(question, answer)
    return taken_s


def _ask_all(connection: Connection, questions: list[Question]) -> list[Answer]:
    return [connection.ask("POST", PATH, question.body) for question in questions]
