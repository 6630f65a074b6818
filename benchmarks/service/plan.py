"""What is measured, how often, and what is to be reached."""

from __future__ import annotations

from dataclasses import dataclass

PARTS = (
    "batches",
    "singles",
    "uploads",
    "workers",
    "endurance-sqlite",
    "endurance-postgresql",
    "peer",
)
RADIUS_BITS = 31
EFFECT_S = 1.0
"""A change that is older, counted from its acknowledgement, has to be seen by every look-up."""

BATCH_GOAL = 4000.0
"""Fingerprints a second."""
P50_GOAL_MS = 5.0
P99_GOAL_MS = 25.0
UPLOADS_GOAL = 60.0
"""Pictures a second."""
GROWTH_GOAL = 0.05
"""Of the memory after the warm-up: more than that is no flat memory."""


class BenchmarkFailed(Exception):
    """The register did not do what it has to, so there is nothing to measure."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is done.

    Attributes:
        rows: entries in the bank, one random code each.
        batch_rounds: of each size of batch and number of clients; the median is the figure.
        fingerprints_per_round: at most so many, in each, but one request of each client.
        max_requests: in each, of all clients together.
        singles_per_s: arrivals of single look-ups.
        singles_s: how long each run of them lasts.
        singles_runs: of each kind of arrivals.
        upload_clients: each with one picture in flight.
        uploads_s: how long each run of uploads lasts.
        uploads_runs: of them.
        endurance_s: how long changes and look-ups go on together.
        changes: additions and withdrawals in that time.
        readers: clients that ask all the time,
        pause_s: and wait so long after each answer: without it they take the whole interpreter,
            and changes fall behind their schedule (50 a second, not 67).
        writers: connections that changes are sent over.
        peer_rounds: of each kind of look-up in the peer's index.
        workers_s: how long one server, with one worker or with two, is asked in a round.
        workers_rounds: of them.
    """

    rows: int = 1_000_000
    batch_rounds: int = 7
    fingerprints_per_round: int = 40_000
    max_requests: int = 400
    singles_per_s: int = 200
    singles_s: float = 60.0
    singles_runs: int = 3
    upload_clients: int = 8
    uploads_s: float = 20.0
    uploads_runs: int = 5
    endurance_s: float = 300.0
    changes: int = 20_000
    readers: int = 8
    pause_s: float = 0.1
    writers: int = 4
    peer_rounds: int = 5
    workers_s: float = 8.0
    workers_rounds: int = 9


def quick() -> Plan:
    """A small plan, to see that everything runs; its figures stand for nothing."""
    return Plan(
        rows=50_000,
        batch_rounds=3,
        fingerprints_per_round=10_000,
        max_requests=100,
        singles_s=3.0,
        singles_runs=1,
        uploads_s=3.0,
        uploads_runs=1,
        endurance_s=8.0,
        changes=300,
        peer_rounds=2,
        workers_s=2.0,
        workers_rounds=2,
    )
