"""Deliver messages to webhooks: several at once, few to one, each until accepted or given up."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from egide.errors import EgideError
from egide.partners.webhooks import post, webhook_policy

if TYPE_CHECKING:
    from collections.abc import Callable

    from egide.domain.partners import Delivery
    from egide.net.addresses import Network
    from egide.store import Store

AT_ONCE = 8
AT_ONCE_TO_ONE = 2
LEASE_S = 60
"""Longer than an attempt can take, see `egide.partners.webhooks.webhook_policy`."""
TAKEN = range(200, 300)
"""Statuses by which a receiver accepts a message."""


class _Fate(StrEnum):
    DELIVERED = "delivered"
    FAILED = "failed"
    DEAD = "dead"


@dataclass(frozen=True, slots=True)
class Delivered:
    """Counts of messages: accepted, to be retried, given up."""

    delivered: int
    failed: int
    dead: int

    @property
    def tried(self) -> int:
        """All of them."""
        return self.delivered + self.failed + self.dead


def post_delivery(delivery: Delivery, *, allowed_networks: tuple[Network, ...] = ()) -> int:
    """Post one message; return the status of the answer.

    Raises:
        FetchError: there is no answer, or the URL may not be reached.
    """
    policy = webhook_policy(
        delivery.url, allowed_networks=allowed_networks, allow_http=bool(allowed_networks)
    )
    return post(delivery.url, delivery.secret, delivery.message_id, delivery.body.encode(), policy)


def deliver_due(store: Store, post: Callable[[Delivery], int]) -> Delivered:
    """Deliver some of the due messages, in parallel; repeat while any was tried.

    Args:
        store: whose outbox is delivered; several processes may do so at once.
        post: sends one message and returns the status of the answer.

    Raises:
        StoreError: an outcome cannot be recorded; the message is retried with the same id.
    """
    due = store.outbox.claim(limit=AT_ONCE, per_webhook=AT_ONCE_TO_ONE, lease_s=LEASE_S)
    if not due:
        return Delivered(0, 0, 0)
    with ThreadPoolExecutor(len(due), thread_name_prefix="egide-webhook") as pool:
        fates = list(pool.map(lambda delivery: _deliver(store, post, delivery), due))
    return Delivered(*(fates.count(fate) for fate in _Fate))


def _deliver(store: Store, post: Callable[[Delivery], int], delivery: Delivery) -> _Fate:
    try:
        status = post(delivery)
    except EgideError as error:
        dead = store.outbox.failed(delivery, error=error.code)
    else:
        if status in TAKEN:
            store.outbox.delivered(delivery, status)
            return _Fate.DELIVERED
        dead = store.outbox.failed(delivery, status=status)
    return _Fate.DEAD if dead else _Fate.FAILED
