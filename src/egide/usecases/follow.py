"""Follow all upstreams, each in its own thread, so that a broken one does not delay the others."""

from __future__ import annotations

import logging
import random
import time
import uuid
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Event, Thread
from typing import TYPE_CHECKING

from egide.errors import EgideError, SyncError, UpstreamMissing
from egide.usecases.sync import SyncReport, connect, follow_once, send_feedback
from egide.usecases.withdraw import settle_after_act

if TYPE_CHECKING:
    from collections.abc import Callable

    from egide.domain.partners import Upstream
    from egide.partners.client import RegisterClient
    from egide.store import Store

DEFAULT_INTERVAL_S = 2.0
LEASE_S = 20
"""How soon another process takes over from one that died."""
MAX_BACKOFF_S = 300.0
_LOOK_EVERY_S = 1.0
_JOIN_S = 40.0
_UNEXPECTED = "unexpected"
_logger = logging.getLogger("egide.sync")
_chance = random.SystemRandom()
"""Its own source: a thread that draws from the program's shared one changes what others draw."""


def backoff_s(failures: int) -> float:
    """How long to wait after consecutive failures: 1 s, doubled up to 5 min, with jitter."""
    longest = min(MAX_BACKOFF_S, 2.0 ** min(max(failures, 1) - 1, 16))
    # The jitter, down to half, keeps many followers from returning at the same moment.
    return longest * _chance.uniform(0.5, 1.0)


@dataclass(slots=True)
class _Worker:
    """State, between rounds, of the thread that follows one upstream."""

    name: str
    holder: str = field(default_factory=lambda: str(uuid.uuid4()))
    leased_at: float | None = None
    failures: int = 0
    last_error: str | None = None
    feedback_failures: int = 0
    feedback_error: str | None = None
    feedback_due: float = 0.0


class Follower:
    """Follows every enabled upstream of a store until it is stopped.

    Only one process at a time follows an upstream. Any process may add, pause or remove upstreams;
    the follower notices within a second.
    """

    def __init__(
        self,
        store: Store,
        *,
        interval_s: float = DEFAULT_INTERVAL_S,
        connect: Callable[[Upstream], RegisterClient] = connect,
        on_round: Callable[[str, SyncReport | EgideError], None] | None = None,
    ) -> None:
        """Prepare to follow; `start` begins.

        Args:
            store: of this register; the caller closes it.
            interval_s: pause between requests to an upstream with no further changes.
            connect: makes the client for an upstream.
            on_round: called after each round that changed something or failed, in its thread.
        """
        self._store = store
        self._interval_s = interval_s
        self._connect = connect
        self._on_round = on_round
        self._stopping = Event()
        self._threads: dict[str, Thread] = {}
        self._supervisor: Thread | None = None

    def start(self) -> None:
        """Begin to follow."""
        self._supervisor = Thread(target=self._supervise, name="egide-following")
        self._supervisor.start()

    def stop(self) -> None:
        """Stop after the current page; the rest is taken the next time."""
        self._stopping.set()
        if self._supervisor is not None:
            self._supervisor.join(_JOIN_S)
            self._supervisor = None
        for thread in self._threads.values():
            thread.join(_JOIN_S)
        self._threads.clear()

    def _supervise(self) -> None:
        while not self._stopping.is_set():
            try:
                for upstream in self._store.upstreams.list():
                    running = self._threads.get(upstream.name)
                    if upstream.enabled and (running is None or not running.is_alive()):
                        self._begin(upstream.name)
            except Exception as error:  # noqa: BLE001 - the next attempt may succeed
                if not isinstance(error, EgideError):
                    _logger.error("cannot look for upstreams: %s", type(error).__name__)
            self._stopping.wait(_LOOK_EVERY_S)

    def _begin(self, name: str) -> None:
        thread = Thread(target=self._follow, args=(_Worker(name),), name=f"egide-sync-{name}")
        self._threads[name] = thread
        thread.start()

    def _follow(self, worker: _Worker) -> None:
        try:
            while not self._stopping.is_set():
                wait_s = self._round(worker)
                if wait_s is None:
                    return
                self._stopping.wait(wait_s)
        finally:
            with suppress(EgideError):
                self._store.upstreams.release(worker.holder)

    def _round(self, worker: _Worker) -> float | None:
        """Follow once; return how long to wait, or None if the upstream is gone or paused."""
        try:
            upstream = self._store.upstreams.get(worker.name)
            if not upstream.enabled:
                return None
            if not self._lease(worker):
                return min(self._interval_s, LEASE_S / 4)
            client = self._connect(upstream)
            try:
                report = follow_once(
                    self._store,
                    worker.name,
                    client,
                    go_on=lambda _: not self._stopping.is_set() and self._lease(worker),
                )
            finally:
                settle_after_act(self._store)
            if not report.caught_up:
                return 0.0
            self._tell(worker, client)
            self._store.upstreams.succeeded(worker.name, error=worker.feedback_error)
        except UpstreamMissing:
            return None
        except EgideError as error:
            return self._failed(worker, error.code, error)
        except Exception as error:  # noqa: BLE001 - one upstream must not end the others
            # The type only: the text of an error may hold a fingerprint.
            wrapped = SyncError(upstream=worker.name, reason=type(error).__name__)
            return self._failed(worker, _UNEXPECTED, wrapped)
        if worker.failures:
            _log(logging.INFO, "upstream answers again", worker.name)
        worker.failures, worker.last_error = 0, None
        if report.pages:
            _log(logging.INFO, "upstream followed", worker.name, **report.applied.counts())
            if self._on_round is not None:
                self._on_round(worker.name, report)
        return self._interval_s

    def _lease(self, worker: _Worker) -> bool:
        now = time.monotonic()
        if worker.leased_at is not None and now - worker.leased_at < LEASE_S / 3:
            return True
        held = self._store.upstreams.lease(worker.name, worker.holder, LEASE_S)
        worker.leased_at = now if held else None
        return held

    def _tell(self, worker: _Worker, client: RegisterClient) -> None:
        """Send feedback; a failure must not keep withdrawals from coming in."""
        if time.monotonic() < worker.feedback_due:
            return
        try:
            send_feedback(self._store, worker.name, client)
        except SyncError as error:
            worker.feedback_failures += 1
            worker.feedback_due = time.monotonic() + backoff_s(worker.feedback_failures)
            if worker.feedback_error != error.code:
                _log(logging.WARNING, "upstream takes no feedback", worker.name, code=error.code)
            worker.feedback_error = error.code
        else:
            worker.feedback_failures, worker.feedback_error = 0, None

    def _failed(self, worker: _Worker, code: str, error: EgideError) -> float:
        worker.failures += 1
        with suppress(EgideError):  # the store itself may be what fails
            self._store.upstreams.failed(worker.name, code)
        if worker.last_error != code:
            _log(logging.WARNING, "upstream cannot be followed", worker.name, code=code)
        worker.last_error = code
        if self._on_round is not None:
            self._on_round(worker.name, error)
        return backoff_s(worker.failures)


def _log(level: int, message: str, upstream: str, **fields: str | int) -> None:
    _logger.log(level, message, extra={"egide_fields": {"upstream": upstream, **fields}})
