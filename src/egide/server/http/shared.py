"""What all workers of a server share: their limits' counts, and whether each can answer."""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

import numpy as np

from egide.security import passwords
from egide.server.http.bodies import PARSED_AT_ONCE, share_parsing
from egide.server.http.memory import Memory, SharedSemaphore
from egide.server.http.rates import KeyUse, Rates

if TYPE_CHECKING:
    from pathlib import Path


class Readiness(IntEnum):
    """What a worker last said of itself."""

    ABSENT = 0
    """It takes no connections."""
    NOT_READY = 1
    READY = 2


class Shared:
    """Made before the workers are forked; in a server without workers, by it alone.

    Attributes:
        memory: that holds all of it.
        metrics: the folder in which each worker keeps its metrics; None without workers.
        failures: requests without a valid key, by address.
        use: of each key.
        cases: that were opened, by origin.
        submissions: of the pages, that were counted as a case.
    """

    def __init__(self, workers: int = 1, metrics: Path | None = None) -> None:
        """Prepare.

        Args:
            workers: processes that will share this.
            metrics: see above.

        Raises:
            OSError: several workers need a folder for temporary files, and there is none.
        """
        self.memory = memory = Memory(workers)
        self.metrics = metrics
        self.failures = Rates(memory=memory)
        self.use = KeyUse(memory)
        self.cases = Rates(memory=memory)
        self.submissions = Rates(memory=memory)
        self._readiness = memory.array(np.int64, workers)
        self._pids = memory.array(np.int64, workers)
        self._connections = memory.array(np.int64, workers)
        self._lanes = [
            SharedSemaphore(memory, places)
            for places in (passwords.AT_WORK, passwords.IN_LINE, PARSED_AT_ONCE)
        ]

    @property
    def leads(self) -> bool:
        """Whether this process does what one has to do for all workers."""
        return self.memory.worker == 0

    @property
    def pids(self) -> list[int]:
        """The processes of the workers."""
        return [int(pid) for pid in self._pids if pid]

    def enter(self, worker: int, pid: int) -> None:
        """Make this process one of several workers."""
        self.memory.worker = worker
        self._pids[worker] = pid
        at_work, in_line, parsing = self._lanes
        passwords.share_lanes(at_work, in_line)
        share_parsing(parsing)

    def say(self, *, ready: bool) -> None:
        """Say whether this worker can answer."""
        self._readiness[self.memory.worker] = Readiness.READY if ready else Readiness.NOT_READY

    def count_connections(self, own: int) -> int:
        """Say how many connections this worker has; return how many fewer another one has."""
        self._connections[self.memory.worker] = own
        takes = self._readiness != Readiness.ABSENT
        return own - int(self._connections[takes].min(initial=own))

    @property
    def all_ready(self) -> bool:
        """Whether each other worker that takes connections can answer, as it last said."""
        others = np.arange(self.memory.workers) != self.memory.worker
        return not (self._readiness[others] == Readiness.NOT_READY).any()

    def forget(self, worker: int) -> None:
        """Clear what a worker held: it has ended."""
        self._readiness[worker] = Readiness.ABSENT
        self._pids[worker] = 0
        self.memory.forget(worker)
