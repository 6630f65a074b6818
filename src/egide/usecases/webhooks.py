"""Add and test webhooks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from egide.domain.access import Permission
from egide.errors import EgideError, FetchRefused, FetchTimeout, Forbidden, WebhookRefused
from egide.partners.delivering import TAKEN, post_delivery
from egide.partners.webhooks import new_secret, webhook_policy

if TYPE_CHECKING:
    from collections.abc import Collection

    from egide.domain.access import Key
    from egide.domain.partners import Webhook, WebhookEvent
    from egide.net.addresses import Network
    from egide.store import Store

_PERMISSION = Permission.MANAGE_WEBHOOKS.value
_OWN_NETWORKS = "EGIDE_WEBHOOK_NETWORKS names networks of one's own"
_HTTPS_ALONE = f"messages go over https, and over http only where {_OWN_NETWORKS}"


def require_all_banks(key: Key) -> None:
    """Refuse a key that is restricted to some banks: a webhook reports on all of them.

    Raises:
        Forbidden: the key is restricted to some banks.
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
        url: to post to; without encryption only if `allowed_networks` are given.
        events: to report.
        allowed_networks: private networks, in addition to the public internet.

    Returns:
        the webhook and its secret, which is never shown again.

    Raises:
        WebhookRefused: the policy forbids the URL.
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
        taken: whether the receiver accepted it.
        status: of the answer; None if there was none.
        error: the error code if there was no answer, else None.
        reason: the same in words.
    """

    taken: bool
    status: int | None = None
    error: str | None = None
    reason: str | None = None


def send_test(store: Store, name: str, *, allowed_networks: tuple[Network, ...] = ()) -> Tested:
    """Send a webhook a signed test message now, and record the answer.

    Args:
        store: of the webhook.
        name: of the webhook; a disabled one is tested too, and stays disabled.
        allowed_networks: private networks, in addition to the public internet.

    Raises:
        WebhookMissing: there is no such webhook.
    """
    delivery = store.outbox.test_message(name)
    try:
        status = post_delivery(delivery, allowed_networks=allowed_networks)
    except EgideError as error:
        tested = Tested(taken=False, error=error.code, reason=_why_unanswered(error))
    else:
        tested = Tested(taken=status in TAKEN, status=status)
    store.webhooks.tested(name, status=tested.status, error=tested.error, taken=tested.taken)
    return tested


def _why_unanswered(error: EgideError) -> str:
    if isinstance(error, FetchTimeout):
        return f"it did not answer within {error.fields['limit_s']} s"
    reason = str(error.fields.get("reason", error))
    return f"{reason}; {_OWN_NETWORKS}" if isinstance(error, FetchRefused) else reason
