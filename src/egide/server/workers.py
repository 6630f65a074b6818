"""Several processes that serve one register: forked, watched, replaced, ended.

The parent serves nothing and has one thread. Two pipes lead to each worker. By one the parent tells
it to end; when the parent is gone that pipe is closed, and the worker ends. By the other a worker
says that it serves, or why it cannot; when the worker is gone that one is closed.
"""

from __future__ import annotations

import gc
import json
import logging
import os
import selectors
import signal
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from egide import errors
from egide.errors import EgideError, WorkerEnded
from egide.sandbox.starting import fork
from egide.server.http.logs import log

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

    Work = Callable[["Place"], None]

END = b"e"
END_AT_ONCE = b"!"
_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_SERVES = b"{}\n"
_FAILED = 3
_SOUND_S = 10.0
"""A worker that lived so long is replaced at once, and so is the first that did not; one after it
waits, ever longer."""
_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 30.0
_CLOSING_S = 60.0
"""For what a worker does after its last request, before it is killed."""
_MESSAGE_BYTES = 65536
_logger = logging.getLogger("egide.server")


@dataclass(frozen=True, slots=True)
class Place:
    """What a worker knows of its place among the others.

    Attributes:
        number: from 0; its successor has the same.
        succeeds: whether it takes the place of one that ended.
        orders: file descriptor, from which it reads `END` or `END_AT_ONCE`; at the end of the file
            the parent is gone.
        answers: file descriptor; use `serves`.
    """

    number: int
    succeeds: bool
    orders: int
    answers: int

    def serves(self) -> None:
        """Tell the parent that this worker serves."""
        os.write(self.answers, _SERVES)


@dataclass(slots=True)
class _Worker:
    """A worker as the parent sees it, or its place while there is none.

    Attributes:
        pid: None while there is none.
        orders: the end of the pipe to write to.
        answers: the end of the other pipe to read from.
        serves: whether it said so.
        said: the error that it ends with, if it said any.
        due_at: when to start it, by `time.monotonic`.
        failures: of starts in a row.
    """

    number: int
    pid: int | None = None
    orders: int = -1
    answers: int = -1
    serves: bool = False
    said: EgideError | None = None
    began_at: float = 0.0
    due_at: float = 0.0
    failures: int = 0


@dataclass(slots=True)
class Workers:
    """The parent of the workers.

    Attributes:
        count: of workers.
        work: what a worker does, until its place tells it to end; in its process.
        on_end: called with the number of a worker that has ended.
        on_serving: called once, when all serve.
        on_ending: called once, before they are told to end.
        graceful_s: how long requests in progress have at the end.
    """

    count: int
    work: Work
    on_end: Callable[[int], None]
    on_serving: Callable[[], None]
    on_ending: Callable[[], None]
    graceful_s: float
    _all: list[_Worker] = field(default_factory=list)
    _selector: selectors.BaseSelector = field(default_factory=selectors.DefaultSelector)
    _ended: dict[int, int] = field(default_factory=dict)
    _told: int = 0
    _began: bool = False
    _failure: EgideError | None = None
    _kill_at: float | None = None

    def run(self) -> None:
        """Start the workers, and replace those that end, until told to end by a signal.

        Raises:
            EgideError: a worker cannot start; all others have ended.
        """
        self._all = [_Worker(number) for number in range(self.count)]
        # What there is at the fork stays in pages that all processes share.
        gc.collect()
        gc.freeze()
        woken, waking = os.pipe()
        os.set_blocking(waking, False)
        before = {number: signal.signal(number, self._on_signal) for number in _SIGNALS}
        before[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, lambda *_: None)  # it wakes
        signal.set_wakeup_fd(waking, warn_on_full_buffer=False)
        self._selector.register(woken, selectors.EVENT_READ, None)
        try:
            while True:
                self._start_due()
                self._give_orders()
                if self._ending and not any(worker.pid for worker in self._all):
                    break
                for key, _ in self._selector.select(self._wait_s()):
                    if key.data is None:
                        os.read(woken, _MESSAGE_BYTES)
                    else:
                        self._hear(key.data)
                self._reap()
        finally:
            signal.set_wakeup_fd(-1)
            for number, handler in before.items():
                signal.signal(number, handler)
            self._selector.close()
            os.close(woken)
            os.close(waking)
            gc.unfreeze()
        if self._failure is not None:
            raise self._failure

    @property
    def _ending(self) -> bool:
        return self._told > 0 or self._failure is not None

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        self._told += 1

    def _wait_s(self) -> float | None:
        """How long there is nothing to do unless something happens."""
        due = [worker.due_at for worker in self._all if worker.pid is None]
        if self._ending:
            due = [] if self._kill_at is None else [self._kill_at]
        return max(0.0, min(due) - time.monotonic()) if due else None

    def _start_due(self) -> None:
        for worker in self._all:
            if worker.pid is None and not self._ending and worker.due_at <= time.monotonic():
                try:
                    self._start(worker)
                except EgideError as error:
                    self._failed(worker, error)

    def _start(self, worker: _Worker) -> None:
        """Fork a worker.

        Raises:
            EgideError: there cannot be a further process or file.
        """
        orders, worker.orders = os.pipe()
        worker.answers, answers = os.pipe()
        place = Place(worker.number, self._began, orders, answers)
        worker.serves, worker.said, worker.began_at = False, None, time.monotonic()
        try:
            with _held_back():
                worker.pid = fork(lambda: self._be(place))
        except BaseException:
            os.close(worker.orders)
            os.close(worker.answers)
            raise
        finally:
            os.close(orders)
            os.close(answers)
        self._selector.register(worker.answers, selectors.EVENT_READ, worker)

    def _be(self, place: Place) -> int:
        """Be a worker; return the status to end with."""
        # The parent alone is told to end: Ctrl-C and systemd tell the whole group at once, and a
        # second word would mean not to wait for the requests in progress.
        signal.set_wakeup_fd(-1)
        for number in (*_SIGNALS, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
        self._selector.close()
        for other in self._all:  # else none would notice that the parent is gone
            for end in (other.orders, other.answers):
                if other.pid is not None or other.number == place.number:
                    os.close(end)
        try:
            self.work(place)
        except EgideError as error:
            fields = {name: str(value) for name, value in error.fields.items()}
            said = json.dumps({"kind": type(error).__name__, "fields": fields})
            with suppress(OSError):
                os.write(place.answers, said.encode() + b"\n")
            return _FAILED
        except BaseException:
            _logger.exception("worker failed")
            return 1
        return 0

    def _hear(self, worker: _Worker) -> None:
        """Take in what a worker said, or that it has ended."""
        said = os.read(worker.answers, _MESSAGE_BYTES)
        if not said:
            self._bury(worker)
        for line in said.splitlines():
            told = json.loads(line)
            if told:
                worker.said = getattr(errors, told["kind"])(**told["fields"])
                continue
            worker.serves = True
            if not self._began and all(each.serves for each in self._all):
                self._began = True
                self.on_serving()

    def _reap(self) -> None:
        """Let ended children go: as the first process of a container, also those of workers."""
        with suppress(ChildProcessError):  # there are none
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if not pid:
                    return
                if any(worker.pid == pid for worker in self._all):
                    self._ended[pid] = status

    def _bury(self, worker: _Worker) -> None:
        self._selector.unregister(worker.answers)
        os.close(worker.answers)
        os.close(worker.orders)
        assert worker.pid is not None
        status = self._ended.pop(worker.pid, None)
        if status is None:
            _, status = os.waitpid(worker.pid, 0)
        worker.pid = None
        self.on_end(worker.number)
        if self._ending:
            return
        code = os.waitstatus_to_exitcode(status)
        how = f"signal {-code}" if code < 0 else f"status {code}"
        self._failed(worker, worker.said or WorkerEnded(worker=worker.number, how=how))

    def _failed(self, worker: _Worker, error: EgideError) -> None:
        """Start a worker anew, at once or later; before all have served once, give up."""
        if not self._began:
            self._failure = error
            return
        pause_s = 0.0
        if time.monotonic() - worker.began_at >= _SOUND_S:
            worker.failures = 0
        if worker.failures:
            pause_s = min(_FIRST_PAUSE_S * 2**worker.failures, _LONGEST_PAUSE_S)
        worker.failures += 1
        worker.due_at = time.monotonic() + pause_s
        log(
            _logger,
            logging.ERROR,
            "worker ended and is replaced",
            worker=worker.number,
            code=error.code,
            reason=error.message,
            after_s=pause_s,
        )

    def _give_orders(self) -> None:
        """Ask the workers to end, if this process was told to; kill those that do not."""
        if not self._ending:
            return
        now = time.monotonic()
        if self._kill_at is None:
            self._kill_at = now + self.graceful_s + _CLOSING_S
            self.on_ending()
            self._order(END)
        if self._told > 1:
            self._order(END_AT_ONCE)
            self._kill_at = min(self._kill_at, now + _CLOSING_S)
        if now >= self._kill_at:
            for worker in self._all:
                if worker.pid is not None:
                    os.kill(worker.pid, signal.SIGKILL)
            self._kill_at = now + _CLOSING_S

    def _order(self, order: bytes) -> None:
        for worker in self._all:
            if worker.pid is not None:
                with suppress(OSError):  # it has just ended
                    os.write(worker.orders, order)


@contextmanager
def _held_back() -> Iterator[None]:
    """Hold signals back, so that a child meets none before it says what it does with them."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
