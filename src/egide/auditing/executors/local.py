"""Run shards in worker processes on this machine."""

from __future__ import annotations

import json
import os
import selectors
import tempfile
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self

from egide import errors
from egide.auditing.executors.base import Done, Job, Setup, Tick
from egide.auditing.executors.serving import SLOT
from egide.errors import DecoderCrashed, DecodeTimeout, WorkerFailed
from egide.sandbox.starting import start

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from types import TracebackType

POLL_S = 0.2
MAX_UNEXPLAINED_DEATHS = 3
"""The audit fails when this many workers have died over one shard without reading an item."""


class LocalExecutor:
    """A pool of worker processes, each of which may die without harm to the others.

    Args:
        setup: how many workers, and what they are told.
    """

    module = "egide.auditing.executors.worker"

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self._workers: list[_Worker] = []
        self._selector = selectors.DefaultSelector()

    def __enter__(self) -> Self:
        """Start the workers: they load for half a second, while the caller plans."""
        try:
            for _ in range(self._setup.workers):
                self._start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the workers."""
        for worker in self._workers:
            worker.stop()
        self._selector.close()

    def _start(self) -> _Worker:
        setup = self._setup
        module = setup.module or self.module
        worker = _Worker(module, setup.settings, setup.inherit, setup.environment)
        self._workers.append(worker)
        self._selector.register(worker.output, selectors.EVENT_READ, worker)
        return worker

    def run(self, jobs: Iterator[Job]) -> Iterator[Done | Tick]:
        """Scan every job; yield each as it is done, and a tick several times a second.

        Raises:
            OutputUnwritable: a part could not be written.
            WorkerFailed: a worker cannot start, or a bug in Egide stopped it.
        """
        waiting: list[Job] = []
        while True:
            self._hand_out(jobs, waiting)
            if all(worker.job is None for worker in self._workers):
                return
            for key, _ in self._selector.select(POLL_S):
                worker: _Worker = key.data
                reply = worker.receive()
                if reply is not None:
                    assert worker.job is not None  # it replied to one
                    yield Done(worker.job, reply)
                    worker.job = None
                elif worker.ended:
                    self._selector.unregister(worker.output)
                    self._workers.remove(worker)
                    if (job := worker.bury()) is not None:
                        waiting.append(job)
            flying = [worker.progress() for worker in self._workers]
            yield Tick(sum(each[0] for each in flying), sum(each[1] for each in flying))
            for worker in self._workers:
                worker.kill_if_stuck(self._setup.item_timeout_s)

    def _hand_out(self, jobs: Iterator[Job], waiting: list[Job]) -> None:
        idle = [worker for worker in self._workers if worker.job is None]
        while idle or len(self._workers) < self._setup.workers:
            job = waiting.pop() if waiting else next(jobs, None)
            if job is None:
                return
            worker = idle.pop() if idle else self._start()
            worker.send(job)


class _Worker:
    """One child process and its current job."""

    def __init__(
        self,
        module: str,
        settings: dict[str, Any],
        inherit: tuple[int, ...],
        environment: Mapping[str, str] | None,
    ) -> None:
        self.job: Job | None = None
        self.ended = False
        self._killed = False
        self._buffer = b""
        self._slot = tempfile.TemporaryFile()  # noqa: SIM115 - closed in `stop`
        os.pwrite(self._slot.fileno(), SLOT.pack(-1, 0, 0.0), 0)
        try:
            self._process = start(
                module, environment=environment, pass_fds=[self._slot.fileno(), *inherit]
            )
        except BaseException:
            self._slot.close()
            raise
        assert self._process.stdout is not None
        self.output = self._process.stdout
        os.set_blocking(self.output.fileno(), False)
        own = {"slot": self._slot.fileno(), "parent": os.getpid()}
        self._write(json.dumps({**settings, **own}) + "\n")

    def _write(self, line: str) -> None:
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):  # its death shows on its output
            left = memoryview(line.encode())
            while left:
                left = left[self._process.stdin.write(left) :]

    def send(self, job: Job) -> None:
        self.job = job
        os.pwrite(self._slot.fileno(), SLOT.pack(-1, 0, 0.0), 0)
        self._write(job.line())

    def receive(self) -> dict[str, Any] | None:
        """Return the reply to the job, once it is finished; raise the error that it reports."""
        data = os.read(self.output.fileno(), 1 << 16)
        self.ended = not data
        self._buffer += data
        while b"\n" in self._buffer:
            line, _, self._buffer = self._buffer.partition(b"\n")
            reply: dict[str, Any] = json.loads(line)
            if "failed" in reply:
                kind: type[errors.EgideError] = getattr(errors, reply["failed"]["kind"])
                raise kind(**reply["failed"]["fields"])
            if "done" in reply:
                return reply
        return None

    def slot(self) -> tuple[int, int, float]:
        number, bytes_read, started = SLOT.unpack(os.pread(self._slot.fileno(), SLOT.size, 0))
        return number, bytes_read, started

    def progress(self) -> tuple[int, int]:
        """Bytes and items read of the current job, beyond the parts already on disk."""
        if self.job is None:
            return 0, 0
        number, bytes_read, _ = self.slot()
        kept = self.job.kept
        return max(bytes_read - kept.total("bytes"), 0), max(number - kept.position, 0)

    def kill_if_stuck(self, timeout_s: float) -> None:
        number, _, started = self.slot()
        if number >= 0 and self.job is not None and time.monotonic() - started > timeout_s:
            self._killed = True
            self._process.kill()

    def bury(self) -> Job | None:
        """Clean up after a dead worker; return its job, with the item blamed, to run again.

        Raises:
            WorkerFailed: workers keep dying over this job without reading an item.
        """
        job, (number, _, _) = self.job, self.slot()
        self.job = None
        status = self._process.wait()
        self.stop()
        if job is None:
            return None
        if number >= 0:
            job.blame(number, DecodeTimeout.__name__ if self._killed else DecoderCrashed.__name__)
            return job
        job.unexplained += 1
        if job.unexplained >= MAX_UNEXPLAINED_DEATHS:
            raise WorkerFailed(name=job.shard.name, reason=f"it ended with status {status}")
        return job

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._slot):
            if stream is not None:
                with suppress(BrokenPipeError):
                    stream.close()
