"""Metrics for Prometheus: counts and times, without data of entries, banks or keys."""

from __future__ import annotations

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
)
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from collections.abc import Iterable

    from prometheus_client.core import Metric

    from egide.domain.policy import Action
    from egide.live.register import LiveRegister
    from egide.partners.delivering import Delivered
    from egide.sandbox.decoding import DecodingPool

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class Metrics:
    """The counters of one service."""

    def __init__(self, live: LiveRegister, decoding: DecodingPool) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # unneeded second series of each counter
        self._registry = CollectorRegistry()
        for own in (ProcessCollector, PlatformCollector, GCCollector):
            own(registry=self._registry)
        self._registry.register(_Present(live, decoding))
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
        )

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

    def text(self) -> bytes:
        """Return all metrics in the text format of Prometheus."""
        return generate_latest(self._registry)


class _Present(Collector):
    """Metrics that are read on request."""

    def __init__(self, live: LiveRegister, decoding: DecodingPool) -> None:
        self._live = live
        self._decoding = decoding

    def describe(self) -> Iterable[Metric]:
        """Describe nothing in advance: the index may not be loaded yet."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """Yield the present values."""
        yield GaugeMetricFamily(
            "egide_ready", "1 once the index is loaded.", value=float(self._live.ready)
        )
        if not self._live.ready:
            return
        yield GaugeMetricFamily(
            "egide_revision", "Revision that is matched against.", value=self._live.revision
        )
        yield GaugeMetricFamily(
            "egide_age_seconds",
            "Since the index was last known to be current with the store.",
            value=self._live.age_s,
        )
        yield GaugeMetricFamily(
            "egide_stalled_seconds",
            "Since the store was last heard: answers are stale after EGIDE_STALE_AFTER_S.",
            value=self._live.stalled_s,
        )
        yield GaugeMetricFamily(
            "egide_failing",
            "1 while the index cannot follow the store or be renewed.",
            value=float(self._live.failure is not None),
        )
        yield GaugeMetricFamily(
            "egide_entries", "Entries that can match.", value=self._live.entry_count
        )
        yield GaugeMetricFamily(
            "egide_decoding_waiting",
            "Pictures that wait for a decoder.",
            value=self._decoding.status().waiting,
        )
