"""The state behind the routes: one store, one live index, one pool of decoders, the limits."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from threading import Lock
from typing import Annotated, Self

from fastapi import Depends, Request

from egide.domain.access import Key
from egide.domain.model import State
from egide.domain.policy import Decision
from egide.errors import (
    NotReady,
    RegisterStale,
    SnapshotNotRemoved,
    SnapshotUnwritable,
    StoreError,
)
from egide.live.forgetting import settle
from egide.live.rebuilding import RebuildRules
from egide.live.register import LiveRegister
from egide.live.snapshots import require_folder, snapshot_path
from egide.net.fetch import fetch
from egide.sandbox.decoding import DecodingPool
from egide.server.decisions import DecisionEvents
from egide.server.http.auth import Authenticator
from egide.server.http.logs import log
from egide.server.http.rates import Allowances
from egide.server.http.shared import Shared
from egide.server.metrics import Metrics
from egide.server.settings import ServerSettings
from egide.store import Store
from egide.usecases.cases import Casework
from egide.usecases.review import CaseReview

_logger = logging.getLogger("egide.server")
_PATIENCE_S = 2.0
_COUNTS_LAST_S = 1.0


class EntryCounts:
    """Counts of entries, cached while the store does not change: a million takes 0.1 s to count."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._counts: dict[tuple[str, Callable[[str], int]], int] = {}
        self._revision = -1
        self._counted_at = 0.0
        self._lock = Lock()

    def active(self, bank: str) -> int:
        """Return how many active entries a bank has, or had a second ago.

        Raises:
            BankMissing: there is no such bank.
        """
        return self._count(bank, self._active)

    def anchored(self, bank: str) -> int:
        """Return how many of them have anchored hashes.

        Raises:
            BankMissing: there is no such bank.
        """
        return self._count(bank, self._anchored)

    def _active(self, bank: str) -> int:
        return self._store.banks.counts(bank).state(State.ACTIVE)

    def _anchored(self, bank: str) -> int:
        return self._store.anchored.count(bank)

    def _count(self, bank: str, count: Callable[[str], int]) -> int:
        with self._lock:
            revision, now = self._store.revision(), time.monotonic()
            if revision != self._revision and now - self._counted_at > _COUNTS_LAST_S:
                self._counts.clear()
                self._revision, self._counted_at = revision, now
            if (bank, count) not in self._counts:
                self._counts[bank, count] = count(bank)
            return self._counts[bank, count]


@dataclass(frozen=True, slots=True, eq=False)
class Service:
    """A register that is being served.

    Attributes:
        settings: that it was opened with.
        store: writes go through `acting`, so that the log names the actor.
        live: finds matches.
        decoding: turns uploads into fingerprints, in separate processes.
        authenticator: identifies the sender of a request.
        allowances: how much each key may still use.
        counts: how many entries each bank has.
        metrics: for Prometheus.
        events: decisions on their way to webhooks.
        shared: what all workers of the server count together.
    """

    settings: ServerSettings
    store: Store
    live: LiveRegister
    decoding: DecodingPool
    authenticator: Authenticator
    allowances: Allowances
    counts: EntryCounts
    metrics: Metrics
    events: DecisionEvents
    shared: Shared

    @classmethod
    def open(cls, settings: ServerSettings, shared: Shared | None = None) -> Self:
        """Open the store, and create it if it does not exist; nothing runs yet.

        Args:
            settings: of this process.
            shared: with the other workers; by default there are none.

        Raises:
            StoreError: one of its kinds, for instance StoreTooOld.
            SnapshotUnwritable: the folder for the search snapshot cannot be used.
        """
        shared = shared or Shared()
        store = Store.open(
            settings.store,
            create=True,
            timeout_s=settings.store_timeout_s,
            forget_at_once=False,
        )
        try:
            require_folder(snapshot_path(store))
        except SnapshotUnwritable:
            store.close()
            raise
        live = LiveRegister(
            store, url=settings.store, rules=RebuildRules(forget_after_s=settings.forget_after_s)
        )
        decoding = DecodingPool(
            settings.limits, settings.decoders, max_waiting=settings.max_waiting
        )
        metrics = Metrics(live, decoding, shared)

        def silent() -> bool:
            return live.silent

        return cls(
            settings=settings,
            store=store,
            live=live,
            decoding=decoding,
            authenticator=Authenticator(
                store.keys,
                settings.max_failures_per_minute,
                silent=silent,
                failures=shared.failures,
            ),
            allowances=Allowances(store.keys, settings.max_requests_per_second, use=shared.use),
            counts=EntryCounts(store),
            metrics=metrics,
            events=DecisionEvents(store, metrics.count_unsent, silent=silent),
            shared=shared,
        )

    def start(self) -> None:
        """Start the decoders and the index.

        A large index continues to load; `live.ready` tells when it is loaded.

        Raises:
            NotReady: the decoders do not start.
        """
        self.live.start()
        with suppress(StoreError):  # the chore tries again
            settle(self.store, snapshot=False)
        self.decoding.start()
        self.live.wait_until_ready(_PATIENCE_S)

    def close(self) -> None:
        """Stop everything, in the order of dependence."""
        self.decoding.close()
        self.live.close()
        try:
            settle(self.store)
        except (SnapshotNotRemoved, StoreError) as error:
            log(_logger, logging.WARNING, "erased fingerprints left in files", code=error.code)
        self.store.close()

    def acting(self, actor: str) -> Store:
        """The store, whose log names `actor`, a key's name."""
        return self.store.acting_as(actor)

    @property
    def casework(self) -> Casework:
        """The acts of people on their cases."""
        settings = self.settings
        return Casework(self.store, settings.pages_bank, settings.case_rules)

    @property
    def case_review(self) -> CaseReview:
        """The acts of a helpline's workers on the cases."""
        settings = self.settings
        return CaseReview(self.store, settings.pages_bank, settings.case_rules)

    def fetch(self, url: str) -> bytes:
        """Fetch a picture from an allowed host.

        Raises:
            FetchError: one of its kinds; FetchDisabled if no host is allowed.
        """
        return fetch(url, self.settings.fetch_policy)

    def say_ready(self) -> None:
        """Tell the other workers whether this one can answer, and what its metrics are now."""
        self.shared.say(ready=self.unready() is None)
        self.metrics.refresh()

    def unready(self) -> NotReady | RegisterStale | None:
        """Why this process cannot answer: its index is not loaded, or may be out of date."""
        if not self.live.ready:
            failure = self.live.failure
            return NotReady(
                reason="the search index is being loaded"
                if failure is None
                else f"the search index cannot be loaded: {failure}"
            )
        stalled_s = self.live.stalled_s
        if stalled_s > min(self.settings.ready_max_age_s, self.settings.stale_after_s):
            return RegisterStale(stalled_s=round(stalled_s))
        return None

    @property
    def stale(self) -> bool:
        """Whether the store has been silent so long that answers are stale."""
        return self.live.stalled_s > self.settings.stale_after_s

    def decided(self, key: Key, decisions: Sequence[Decision]) -> None:
        """Count decisions; webhooks learn of those that are not `allow`."""
        for action, count in Counter(decision.action for decision in decisions).items():
            self.metrics.count_decisions(action, count)
        self.events.offer(key, decisions)


def service_of(request: Request) -> Service:
    """Return the service that answers a request."""
    service: Service = request.app.state.service
    return service


async def _served(request: Request) -> Service:
    # FastAPI calls a plain function in a thread: that took 0.5 of a look-up's 3.3 ms.
    return service_of(request)


ServiceDep = Annotated[Service, Depends(_served)]
