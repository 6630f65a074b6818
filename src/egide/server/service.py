"""What the routes work with: one store, one live index, one pool of decoders, one set of limits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Self

from fastapi import Depends, Request

from egide.access import Key
from egide.engine.decoding import DecodingPool
from egide.engine.live import LiveRegister
from egide.engine.rebuilding import RebuildRules
from egide.net.fetch import fetch
from egide.policy import Decision
from egide.server.auth import Authenticator
from egide.server.background import Background
from egide.server.counts import EntryCounts
from egide.server.delivering import DecisionEvents
from egide.server.limits import Allowances
from egide.server.metrics import Metrics
from egide.server.settings import ServerSettings
from egide.store import Store

_PATIENCE_S = 2.0


@dataclass(frozen=True, slots=True, eq=False)
class Service:
    """A register that is being served.

    Attributes:
        settings: it was opened with these.
        store: writes go through `acting`, so that the log names who did them.
        live: answers what matches.
        decoding: turns uploads into fingerprints, in processes of their own.
        authenticator: tells who sends a request.
        allowances: how much each key may still ask.
        counts: how many entries each bank has.
        metrics: what is counted.
        events: decisions on their way to webhooks.
        background: threads that run beside the requests.
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
    background: Background

    @classmethod
    def open(cls, settings: ServerSettings) -> Self:
        """Open the store, creating it where there is none; nothing runs yet.

        Raises:
            StoreError: of the fitting kind, StoreTooOld among them.
        """
        store = Store.open(
            settings.store,
            create=True,
            timeout_s=settings.store_timeout_s,
            forget_at_once=False,
        )
        live = LiveRegister(
            store, url=settings.store, rules=RebuildRules(forget_after_s=settings.forget_after_s)
        )
        decoding = DecodingPool(settings.limits, settings.workers, max_waiting=settings.max_waiting)
        metrics = Metrics(live, decoding)
        return cls(
            settings=settings,
            store=store,
            live=live,
            decoding=decoding,
            authenticator=Authenticator(store.keys, settings.max_failures_per_minute),
            allowances=Allowances(store.keys, settings.max_requests_per_second),
            counts=EntryCounts(store),
            metrics=metrics,
            events=DecisionEvents(store, metrics.count_unsent),
            background=Background(),
        )

    def start(self) -> None:
        """Start the decoders, the index and the threads beside them.

        A large index goes on loading; `live.ready` says when it is done.

        Raises:
            NotReady: the decoders do not start.
        """
        self.live.start()
        self.decoding.start()
        self.live.wait_until_ready(_PATIENCE_S)
        self.background.start(self)

    def close(self) -> None:
        """Stop all of it, in the order in which the one needs the other."""
        self.background.stop()
        self.decoding.close()
        self.live.close()
        self.store.close()

    def acting(self, actor: str) -> Store:
        """The store, in whose log `actor` stands, a key's name."""
        return self.store.acting_as(actor)

    def fetch(self, url: str) -> bytes:
        """Fetch a picture from an allowed host.

        Raises:
            FetchError: one of its kinds, FetchDisabled where no host is allowed.
        """
        return fetch(url, self.settings.fetch_policy)

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
    # What is no coroutine FastAPI calls in a thread: 0.5 of the 3.3 ms that a look-up took.
    return service_of(request)


ServiceDep = Annotated[Service, Depends(_served)]
