"""Background threads: quotas, erasure and expiry, partners, webhooks."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from threading import Event, Thread
from typing import TYPE_CHECKING

from egide.errors import EgideError
from egide.live.forgetting import settle
from egide.live.snapshots import forget_other_snapshots
from egide.partners.delivering import deliver_due, post_delivery
from egide.server.http.logs import FIELDS
from egide.usecases.follow import Follower
from egide.usecases.sync import connect
from egide.usecases.withdraw import expire

if TYPE_CHECKING:
    from collections.abc import Callable

    from egide.server.service import Service

_logger = logging.getLogger("egide.server")
_FLUSH_EVERY_S = 1.0
_ERASE_EVERY_S = 5.0
_FORGET_EVERY_S = 60.0
_JOIN_S = 10.0


@dataclass(frozen=True, slots=True)
class Chore:
    """A repeated task.

    Attributes:
        every_s: pause between two runs.
        also_last: whether to run it once more at the end.
    """

    name: str
    every_s: float
    do: Callable[[], object]
    also_last: bool = False


class Chores:
    """Runs each chore in its own thread; a failed chore is logged by its code and runs again."""

    def __init__(self, service: Service) -> None:
        """Prepare the chores of a running service; `start` begins."""
        self._stopping = Event()
        self._chores = chores(service, self._stopping.is_set)
        self._threads: list[Thread] = []
        self._follower = None
        if service.shared.leads:
            self._follower = Follower(
                service.store,
                interval_s=service.settings.sync_interval_s,
                connect=partial(connect, allowed_networks=service.settings.sync_networks),
            )

    def start(self) -> None:
        """Start all chores, and follow the service's upstreams."""
        if self._follower is not None:
            self._follower.start()
        for chore in self._chores:
            thread = Thread(target=self._repeat, args=(chore,), name=f"egide-{chore.name}")
            thread.start()
            self._threads.append(thread)

    def stop(self) -> None:
        """Let each chore finish, then end its thread; call this before the store is closed."""
        self._stopping.set()
        if self._follower is not None:
            self._follower.stop()
        for thread in self._threads:
            thread.join(_JOIN_S)

    def _repeat(self, chore: Chore) -> None:
        while not self._stopping.wait(chore.every_s):
            _do(chore)
        if chore.also_last:
            _do(chore)


def _do(chore: Chore) -> None:
    try:
        chore.do()
    except EgideError as error:
        fields = {"chore": chore.name, "code": error.code}
        _logger.warning("chore failed", extra={FIELDS: fields})
    except Exception:
        _logger.exception("chore failed", extra={FIELDS: {"chore": chore.name}})


def chores(service: Service, stopping: Callable[[], bool]) -> tuple[Chore, ...]:
    """Return the chores of a service; the first worker has those of the register too.

    Args:
        service: a running one.
        stopping: whether it is about to end.
    """
    store, settings = service.store, service.settings
    cases = service.casework

    def forget() -> None:
        now = datetime.now(UTC)
        cases.expire(now)
        cases.forget(now)
        expire(store)
        store.sessions.forget(now)
        store.idempotency.forget(now - timedelta(seconds=settings.idempotency_ttl_s))

    own = (
        Chore("quotas", _FLUSH_EVERY_S, service.allowances.flush, also_last=True),
        Chore("decisions", _FLUSH_EVERY_S, service.events.flush, also_last=True),
        Chore("readiness", _FLUSH_EVERY_S, service.say_ready),
    )
    if not service.shared.leads:
        return own
    return (
        *own,
        Chore("webhooks", _FLUSH_EVERY_S, partial(_deliver, service, stopping)),
        Chore("erasing", _ERASE_EVERY_S, partial(settle, store, snapshot=False)),
        Chore("forgetting", _FORGET_EVERY_S, forget),
        Chore(
            "snapshots",
            min(_FORGET_EVERY_S, settings.forget_after_s),
            partial(forget_other_snapshots, store, after_s=settings.forget_after_s),
        ),
    )


def _deliver(service: Service, stopping: Callable[[], bool]) -> None:
    """Deliver all due messages, and delete those delivered long ago.

    Raises:
        StoreError: of the service's store.
    """
    send = partial(post_delivery, allowed_networks=service.settings.webhook_networks)
    while not stopping():
        done = deliver_due(service.store, send)
        if not done.tried:
            break
        service.metrics.count_deliveries(done)
    service.metrics.set_webhooks_failing(service.store.webhooks.failing())
    service.store.outbox.forget()
