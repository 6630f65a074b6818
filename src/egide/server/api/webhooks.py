"""Routes about webhooks. Webhooks report on every bank, so a key restricted to some is refused."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Response

from egide.domain.access import Key, Permission
from egide.errors import Forbidden, WebhookExists, WebhookMissing, WebhookRefused
from egide.server.api.idempotency import WriteDep, write_responses
from egide.server.api.schemas.common import MAX_NUMBER, NAME_PATTERN, LimitQuery
from egide.server.api.schemas.reaching import (
    DeadLetterShown,
    DeadLettersShown,
    NewWebhook,
    WebhookMade,
    WebhookRemoved,
    WebhookShown,
    WebhooksShown,
    WebhookTested,
)
from egide.server.http.auth import permitted
from egide.server.http.problems import problem_responses
from egide.server.service import ServiceDep
from egide.usecases.webhooks import add_webhook, require_all_banks, send_test

router = APIRouter(prefix="/webhooks", tags=["webhooks"])
_AdminKey = Annotated[Key, permitted(Permission.MANAGE_WEBHOOKS)]
_Name = Annotated[
    str, Path(pattern=NAME_PATTERN, description="The webhook's name.", examples=["reviews"])
]


@router.get("", response_model=WebhooksShown)
def list_webhooks(service: ServiceDep, key: _AdminKey) -> WebhooksShown:
    """List the webhooks, without their URLs and secrets."""
    require_all_banks(key)
    return WebhooksShown(
        webhooks=[WebhookShown.of(webhook) for webhook in service.store.webhooks.list()]
    )


@router.post(
    "",
    status_code=201,
    response_model=WebhookMade,
    responses=write_responses(WebhookExists, WebhookRefused, Forbidden),
)
def make_webhook(
    body: NewWebhook, service: ServiceDep, key: _AdminKey, write: WriteDep
) -> Response:
    """Add a webhook. The answer holds the secret that signs its messages, this once."""
    require_all_banks(key)

    def make() -> WebhookMade:
        webhook, secret = add_webhook(
            service.acting(key.name),
            body.name,
            body.url,
            body.events,
            allowed_networks=service.settings.webhook_networks,
        )
        return WebhookMade(webhook=WebhookShown.of(webhook), secret=secret)

    return write.once(key, make, status=201, kept=WebhookMade.without_secret)


@router.get("/dead-letters", response_model=DeadLettersShown)
def list_dead_letters(
    service: ServiceDep,
    key: _AdminKey,
    cursor: Annotated[
        int, Query(ge=0, le=MAX_NUMBER, description="`next` of the previous page.")
    ] = 0,
    limit: LimitQuery = 100,
) -> DeadLettersShown:
    """List the messages that were given up. `egide webhook retry` retries them."""
    require_all_banks(key)
    found = service.store.outbox.dead_letters(after=cursor, limit=limit + 1)
    page = found[:limit]
    return DeadLettersShown(
        dead_letters=[DeadLetterShown.of(letter) for letter in page],
        next=page[-1].id if len(found) > limit else None,
    )


@router.post(
    "/{name}/test",
    response_model=WebhookTested,
    responses=problem_responses(WebhookMissing, Forbidden),
)
def try_webhook(name: _Name, service: ServiceDep, key: _AdminKey) -> WebhookTested:
    """Send a signed test message of type `webhook.test`; return the receiver's answer."""
    require_all_banks(key)
    tested = send_test(
        service.acting(key.name), name, allowed_networks=service.settings.webhook_networks
    )
    return WebhookTested.of(name, tested)


@router.delete(
    "/{name}", response_model=WebhookRemoved, responses=write_responses(WebhookMissing, Forbidden)
)
def remove_webhook(
    name: _Name,
    service: ServiceDep,
    key: _AdminKey,
    write: WriteDep,
) -> Response:
    """Remove a webhook and all messages that wait for it."""
    require_all_banks(key)

    def remove() -> WebhookRemoved:
        service.acting(key.name).webhooks.remove(name)
        return WebhookRemoved(name=name)

    return write.once(key, remove)
