"""Memory that the workers of one server share: what they count, they count together.

A worker is a fork of the process that made this memory. A worker that is killed may leave its
counts behind, so each has a column of its own, and `Memory.forget` clears it.
"""

from __future__ import annotations

import fcntl
import math
import mmap
import os
import tempfile
import time
import weakref
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from egide.errors import Overloaded

if TYPE_CHECKING:
    from collections.abc import Hashable

    from numpy.typing import DTypeLike, NDArray

_POLL_S = 0.005


class Memory:
    """Shared arrays, and one lock for all of them: `with memory:` holds it.

    Attributes:
        workers: how many processes share it.
        worker: which of them this process is, from 0.
    """

    def __init__(self, workers: int = 1) -> None:
        """Prepare; call this before the workers are forked.

        Raises:
            OSError: several need a folder for temporary files, and there is none.
        """
        self.workers = workers
        self.worker = 0
        self._threads = RLock()
        self._depth = 0
        # The system frees a lock on a file when its holder is killed. A semaphore stays taken.
        self._file: int | None = None
        if workers > 1:
            self._file, name = tempfile.mkstemp()
            Path(name).unlink()
            weakref.finalize(self, os.close, self._file)
        self._tallies: list[Tally] = []

    def array(self, dtype: DTypeLike, *shape: int) -> NDArray[Any]:
        """Make an array of zeros that all workers see."""
        size = math.prod(shape)
        content = mmap.mmap(-1, size * np.dtype(dtype).itemsize)
        return np.frombuffer(content, dtype, size).reshape(shape)

    def tally(self, rows: int) -> Tally:
        """Make a tally with room for so many askers at a time."""
        made = Tally(self, rows)
        self._tallies.append(made)
        return made

    def forget(self, worker: int) -> None:
        """Clear what a worker held: it has ended."""
        with self:
            for tally in self._tallies:
                tally.forget(worker)

    def __enter__(self) -> Self:
        self._threads.acquire()
        self._depth += 1
        if self._depth == 1 and self._file is not None:
            fcntl.lockf(self._file, fcntl.LOCK_EX)
        return self

    def __exit__(self, *error: object) -> None:
        self._depth -= 1
        if not self._depth and self._file is not None:
            fcntl.lockf(self._file, fcntl.LOCK_UN)
        self._threads.release()


class Tally:
    """What each asker holds in all workers together. Make it by `Memory.tally`.

    Askers are told apart by `hash`, which is the same in all forks of a process, and random.
    """

    def __init__(self, memory: Memory, rows: int) -> None:
        self.memory = memory
        self._asker = memory.array(np.int64, rows)
        self._held = memory.array(np.int64, rows, memory.workers)
        self._total = memory.array(np.int64, rows)
        self._known: dict[Hashable, int] = {}

    def add(self, asker: Hashable, count: int = 1, *, most: int | None = None) -> bool:
        """Hold more, unless the asker would then hold over `most`; return whether it is held.

        Raises:
            Overloaded: there is no room for a further asker.
        """
        with self.memory:
            row = self._row(asker)
            if most is not None and self._total[row] + count > most:
                return False
            self._held[row, self.memory.worker] += count
            self._total[row] += count
            return True

    def give_back(self, asker: Hashable, count: int = 1) -> None:
        """Hold less."""
        with self.memory:
            row = self._row(asker)
            self._held[row, self.memory.worker] -= count
            self._total[row] -= count

    def total(self, asker: Hashable) -> int:
        """What the asker holds in all workers."""
        with self.memory:
            return int(self._total[self._row(asker)])

    def by_worker(self, asker: Hashable) -> NDArray[np.int64]:
        """What the asker holds in each worker."""
        with self.memory:
            held: NDArray[np.int64] = self._held[self._row(asker)].copy()
            return held

    def forget(self, worker: int) -> None:
        """Clear a worker's column."""
        self._held[:, worker] = 0
        self._total[:] = self._held.sum(axis=1)

    def _row(self, asker: Hashable) -> int:
        """The row of an asker; a row of nobody's is taken for one that has none."""
        number = hash(asker)
        row = self._known.get(number)
        if row is not None and self._asker[row] == number:
            return row
        rows = np.flatnonzero(self._asker == number)
        if not len(rows):
            rows = np.flatnonzero(self._total == 0)
            if not len(rows):
                raise Overloaded(retry_after_s=1)
            self._asker[rows[0]] = number
        if len(self._known) > len(self._asker):
            self._known.clear()
        row = self._known[number] = int(rows[0])
        return row


class SharedSemaphore:
    """Like `threading.Semaphore`, for the threads of all workers."""

    def __init__(self, memory: Memory, places: int) -> None:
        self._held = memory.tally(1)
        self._places = places

    def acquire(self, blocking: bool = True) -> bool:
        """Take a place; return whether there was one. Others are not told of a free one: look."""
        while not self._held.add("", most=self._places):
            if not blocking:
                return False
            time.sleep(_POLL_S)
        return True

    def release(self) -> None:
        """Give a place back."""
        self._held.give_back("")

    def __enter__(self) -> None:
        self.acquire()

    def __exit__(self, *error: object) -> None:
        self.release()
