"""Delivering messages to webhooks: several at once, few to one, each until it is taken or dead."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from egide.domain.access import Permission
from egide.errors import EgideError, FetchRefused, FetchTimeout, Forbidden, WebhookRefused
from egide.net.webhooks import new_secret, post, webhook_policy

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from egide.domain.access import Key
    from egide.net.addresses import Network
    from egide.store import Store
    from egide.store.outbox import Delivery
    from egide.store.webhooks import Webhook, WebhookEvent

AT_ONCE = 8
AT_ONCE_TO_ONE = 2
LEASE_S = 60
"""Longer than an attempt can take, see `egide.net.webhooks.webhook_policy`."""
_PERMISSION = Permission.MANAGE_WEBHOOKS.value
_TAKEN = range(200, 300)
_OWN_NETWORKS = "EGIDE_WEBHOOK_NETWORKS names networks of one's own"
_HTTPS_ALONE = f"messages go over https, and over http only where {_OWN_NETWORKS}"


class _Fate(StrEnum):
    DELIVERED = "delivered"
    FAILED = "failed"
    DEAD = "dead"


@dataclass(frozen=True, slots=True)
class Delivered:
    """What became of messages: taken, to be tried again, given up."""

    delivered: int
    failed: int
    dead: int

    @property
    def tried(self) -> int:
        """All of them."""
        return self.delivered + self.failed + self.dead


def require_all_banks(key: Key) -> None:
    """Refuse a key that is kept to some banks: a webhook tells of all of them.

    Raises:
        Forbidden: it is.
    """
    if key.banks is not None:
        raise Forbidden(role=f"{key.role.value}, kept to some banks,", permission=_PERMISSION)


def add_webhook(
    store: Store,
    name: str,
    url: str,
    events: Collection[WebhookEvent],
    *,
    allowed_networks: tuple[Network, ...] = (),
) -> tuple[Webhook, str]:
    """Add a webhook with a new secret.

    Args:
        store: to add it to.
        name: of the webhook.
        url: to post to; without encryption only where networks of one's own are named.
        events: to tell of.
        allowed_networks: of one's own, beside the public internet.

    Returns:
        the webhook and its secret, which is shown to nobody again.

    Raises:
        WebhookRefused: the URL is none that may be posted to.
        UsageError, WebhookExists: as for `Webhooks.add`.
    """
    if url.lower().startswith("http://") and not allowed_networks:
        raise WebhookRefused(reason=_HTTPS_ALONE)
    try:
        webhook_policy(url, allowed_networks=allowed_networks, allow_http=bool(allowed_networks))
    except FetchRefused as error:
        raise WebhookRefused(reason=error.fields["reason"]) from error
    secret = new_secret()
    return store.webhooks.add(name, url, secret, events), secret


@dataclass(frozen=True, slots=True)
class Tested:
    """What became of a test message.

    Attributes:
        taken: whether the receiver took it.
        status: that it answered; None where it did not.
        error: the code of why it did not, None where it did.
        reason: the same in words.
    """

    taken: bool
    status: int | None = None
    error: str | None = None
    reason: str | None = None


def send_test(store: Store, name: str, *, allowed_networks: tuple[Network, ...] = ()) -> Tested:
    """Send a webhook a signed message that tells of nothing, now, and note what comes back.

    Args:
        store: of the webhook.
        name: of the webhook; one that is switched off is tested too, and stays so.
        allowed_networks: of one's own, beside the public internet.

    Raises:
        WebhookMissing: there is none of that name.
    """
    delivery = store.outbox.test_message(name)
    try:
        status = post_delivery(delivery, allowed_networks=allowed_networks)
    except EgideError as error:
        tested = Tested(taken=False, error=error.code, reason=_why_unanswered(error))
    else:
        tested = Tested(taken=status in _TAKEN, status=status)
    store.webhooks.tested(name, status=tested.status, error=tested.error, taken=tested.taken)
    return tested


def _why_unanswered(error: EgideError) -> str:
    if isinstance(error, FetchTimeout):
        return f"it did not answer within {error.fields['limit_s']} s"
    reason = str(error.fields.get("reason", error))
    return f"{reason}; {_OWN_NETWORKS}" if isinstance(error, FetchRefused) else reason


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
    """Try the messages that are due, some at once; call it again as long as any was tried.

    Args:
        store: whose outbox is delivered; several processes may do so at once.
        post: sends one message and returns the status of the answer.

    Raises:
        StoreError: what became of a message cannot be written down; it is tried again, under the
            same identifier.
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
        if status in _TAKEN:
            store.outbox.delivered(delivery, status)
            return _Fate.DELIVERED
        dead = store.outbox.failed(delivery, status=status)
    return _Fate.DEAD if dead else _Fate.FAILED
