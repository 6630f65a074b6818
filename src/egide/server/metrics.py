"""Metrics for Prometheus: counts and times, without data of entries, banks or keys."""

from __future__ import annotations

import os
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
    values,
)
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from prometheus_client.core import Metric

    from egide.domain.policy import Action
    from egide.live.register import LiveRegister
    from egide.partners.delivering import Delivered
    from egide.sandbox.decoding import DecodingPool
    from egide.server.http.shared import Shared

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_FOLDER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
_PRESENT: dict[str, tuple[str, str, Callable[[LiveRegister, DecodingPool], float]]] = {
    "egide_revision": (
        "Revision that is matched against.",
        "livemin",
        lambda live, _: live.revision,
    ),
    "egide_age_seconds": (
        "Since the index was last known to be current with the store.",
        "livemax",
        lambda live, _: live.age_s,
    ),
    "egide_stalled_seconds": (
        "Since the store was last heard: answers are stale after EGIDE_STALE_AFTER_S.",
        "livemax",
        lambda live, _: live.stalled_s,
    ),
    "egide_failing": (
        "1 while the index cannot follow the store or be renewed.",
        "livemax",
        lambda live, _: live.failure is not None,
    ),
    "egide_entries": (
        "Entries that can match.",
        "livemin",
        lambda live, _: live.entry_count,
    ),
    "egide_decoding_waiting": (
        "Pictures that wait for a decoder.",
        "livesum",
        lambda _, decoding: decoding.status().waiting,
    ),
}
"""Known once the index is loaded: what it is, and what is told of several workers: the worst of
them, or the sum."""


class Metrics:
    """The counters of one service; `text` tells those of all its workers."""

    def __init__(self, live: LiveRegister, decoding: DecodingPool, shared: Shared) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # unneeded second series of each counter
        self._live = live
        self._decoding = decoding
        self._shared = shared
        self._registry = CollectorRegistry()
        if shared.metrics is not None:
            _keep_in(shared.metrics, shared.memory.worker)
        self._ready = Gauge(
            "egide_ready",
            "1 once the index is loaded.",
            registry=self._registry,
            multiprocess_mode="livemin",
        )
        self._present: dict[str, Gauge] = {}
        self._refreshing = Lock()
        self._requests = Counter(
            "egide_requests",
            "Requests answered.",
            ("method", "route", "status"),
            registry=self._registry,
        )
        self._seconds = Histogram(
            "egide_request_seconds",
            "From the first byte of a request to the end of its answer.",
            ("route",),
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._decisions = Counter(
            "egide_decisions", "Answers to match requests.", ("action",), registry=self._registry
        )
        self._lost = Counter(
            "egide_decisions_unsent",
            "Decisions that no webhook was told of, since too many waited.",
            registry=self._registry,
        )

        self._deliveries = Counter(
            "egide_webhook_deliveries",
            "Attempts to deliver messages to webhooks, by what became of them.",
            ("outcome",),
            registry=self._registry,
        )
        self._failing = Gauge(
            "egide_webhooks_failing",
            "Webhooks that did not take the last message to them.",
            registry=self._registry,
            multiprocess_mode="livemax",
        )
        # A registry of what is told of all processes, beside that of what this one counts.
        self._told = self._registry
        if shared.metrics is not None:
            self._told = CollectorRegistry()
            MultiProcessCollector(self._told, path=str(shared.metrics))  # type: ignore[no-untyped-call]
        else:
            GCCollector(registry=self._told)
        PlatformCollector(registry=self._told)
        self._told.register(_Processes(shared))

    def count_request(self, method: str, route: str, status: int, took_s: float) -> None:
        """Count a request by its route's template, never by its path."""
        self._requests.labels(method, route, str(status)).inc()
        self._seconds.labels(route).observe(took_s)

    def count_decisions(self, action: Action, count: int = 1) -> None:
        """Count decisions on pictures or fingerprints."""
        self._decisions.labels(action.value).inc(count)

    def count_unsent(self, count: int = 1) -> None:
        """Count decisions that webhooks were not told of."""
        self._lost.inc(count)

    def count_deliveries(self, done: Delivered) -> None:
        """Count attempts to deliver messages to webhooks."""
        self._deliveries.labels("delivered").inc(done.delivered)
        self._deliveries.labels("failed").inc(done.failed)
        self._deliveries.labels("dead").inc(done.dead)

    def set_webhooks_failing(self, count: int) -> None:
        """Set how many webhooks did not take their last message."""
        self._failing.set(count)

    def refresh(self) -> None:
        """Set the values of the present."""
        self._ready.set(self._live.ready)
        if not self._live.ready:
            return
        with self._refreshing:
            for name, (text, mode, value) in _PRESENT.items():
                if name not in self._present:
                    self._present[name] = Gauge(
                        name,
                        text,
                        registry=self._registry,
                        multiprocess_mode=mode,  # type: ignore[arg-type]
                    )
                self._present[name].set(value(self._live, self._decoding))

    def text(self) -> bytes:
        """Return all metrics in the text format of Prometheus."""
        self.refresh()
        return generate_latest(self._told)


def forget_gauges(folder: Path, worker: int) -> None:
    """Remove what a worker that has ended said of the present; what it counted stays."""
    for left in folder.glob(f"gauge_live*_{worker}.db"):
        left.unlink(missing_ok=True)


def _keep_in(folder: Path, worker: int) -> None:
    """Have prometheus_client keep this process's values in files, which all workers read."""
    os.environ[_FOLDER_VARIABLE] = str(folder)
    values.ValueClass = values.MultiProcessValue(lambda: worker)  # type: ignore[no-untyped-call]


class _Processes(Collector):
    """What the processes of all workers use together, as `ProcessCollector` says of one."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared

    def describe(self) -> Iterable[Metric]:
        """Describe nothing in advance."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """Yield sums; of the times at which they started, the first."""
        together: dict[str, Metric] = {}
        for pid in self._shared.pids or [os.getpid()]:
            for metric in ProcessCollector(pid=partial(int, pid), registry=None).collect():
                known = together.setdefault(metric.name, metric)
                if known is not metric:
                    first, more = known.samples[0], metric.samples[0]
                    join = min if metric.name.endswith("start_time_seconds") else _sum
                    known.samples[0] = first._replace(value=join(first.value, more.value))
        return together.values()


def _sum(one: float, other: float) -> float:
    return one + other
