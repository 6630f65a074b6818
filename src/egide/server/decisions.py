"""Decisions on their way to the outbox of the webhooks."""

from __future__ import annotations

import logging
import time
from collections import deque
from contextlib import suppress
from dataclasses import asdict
from threading import Lock
from typing import TYPE_CHECKING, Any

from egide.domain.partners import WebhookEvent
from egide.domain.policy import Action
from egide.errors import StoreError
from egide.server.http.logs import log

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from egide.domain.access import Key
    from egide.domain.model import Match
    from egide.domain.policy import Decision
    from egide.store import Store

MAX_WAITING = 10_000
"""Most decisions that wait to be written: more than a second's worth, unless the store stalls."""
_BATCH = 500
_WANTED_FOR_S = 1.0
_EVENTS = {
    Action.BLOCK: WebhookEvent.DECISION_BLOCK,
    Action.REVIEW: WebhookEvent.DECISION_REVIEW,
}
_logger = logging.getLogger("egide.server")


class DecisionEvents:
    """Turns decisions into messages after their answer, so that no request waits for a write.

    Events that no webhook wants are ignored. While the store cannot be written, decisions wait;
    once the queue is full, further ones are counted and logged.
    """

    def __init__(
        self,
        store: Store,
        count_unsent: Callable[[int], None],
        *,
        max_waiting: int = MAX_WAITING,
        silent: Callable[[], bool] = lambda: False,
    ) -> None:
        """Prepare to fill a store's outbox; nothing is read yet.

        Args:
            store: whose outbox is filled.
            count_unsent: called with the number of decisions that were dropped.
            max_waiting: size of the queue.
            silent: whether the store is known not to respond; then no request waits for it.
        """
        self._store = store
        self._count_unsent = count_unsent
        self._max_waiting = max_waiting
        self._silent = silent
        self._waiting: deque[tuple[WebhookEvent, dict[str, Any]]] = deque()
        self._writing = Lock()
        self._wanted: frozenset[WebhookEvent] = frozenset()
        self._wanted_at: float | None = None

    def offer(self, key: Key, decisions: Sequence[Decision]) -> None:
        """Queue decisions without waiting; `allow`, or a decision without matches, is no event."""
        wanted = self._wanted_events()
        if not wanted:
            return
        unsent = 0
        for decision in decisions:
            event = _EVENTS.get(decision.action)
            if event not in wanted or event is None or not decision.matches:
                continue
            if len(self._waiting) >= self._max_waiting:
                unsent += 1
            else:
                self._waiting.append((event, _data(key, decision)))
        if unsent:
            self._count_unsent(unsent)
            log(_logger, logging.ERROR, "decisions not sent to webhooks", count=unsent)

    def flush(self) -> None:
        """Write the queue to the outbox.

        Raises:
            StoreError: the outbox cannot be written; the decisions stay in the queue.
        """
        with self._writing:
            while self._waiting:
                count = min(len(self._waiting), _BATCH)
                batch = [self._waiting[at] for at in range(count)]
                self._store.outbox.add(batch)
                for _ in range(count):
                    self._waiting.popleft()

    def _wanted_events(self) -> frozenset[WebhookEvent]:
        now = time.monotonic()
        if self._silent():
            return self._wanted
        if self._wanted_at is None or now - self._wanted_at >= _WANTED_FOR_S:
            self._wanted_at = now
            # If the store does not respond, keep the last known events.
            with suppress(StoreError):
                self._wanted = self._store.webhooks.wanted()
        return self._wanted


def _data(key: Key, decision: Decision) -> dict[str, Any]:
    return {
        "action": decision.action.value,
        "reasons": [reason.value for reason in decision.reasons],
        "matches": [_match_data(match) for match in decision.matches],
        "revision": decision.revision,
        "key": key.name,
    }


def _match_data(match: Match) -> dict[str, Any]:
    data: dict[str, Any] = {
        "bank": match.bank,
        "entry": match.entry,
        "signal": match.signal.value,
        "by_part": match.by_part,
    }
    if match.anchored is not None:
        data["anchored"] = {"met": match.anchored.met, "registered": match.anchored.registered}
    if match.video is not None:
        data["video"] = asdict(match.video)
    return data
