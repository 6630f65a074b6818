"""Bodies of the routes about webhooks and partner registers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Self

from pydantic import Field

from egide.domain.partners import WebhookEvent
from egide.server.api.schemas.common import Answer, Name, Request, ShownTime
from egide.store.messages.webhooks import MAX_URL_CHARS

if TYPE_CHECKING:
    from egide.domain.partners import DeadLetter, Upstream, Webhook
    from egide.usecases.webhooks import Tested


class NewWebhook(Request):
    """A webhook to add."""

    name: Name
    url: Annotated[str, Field(min_length=1, max_length=MAX_URL_CHARS)] = Field(
        description="Messages are posted here.", examples=["https://hooks.example.org/egide"]
    )
    events: Annotated[
        list[Annotated[WebhookEvent, Field(strict=False)]],
        Field(min_length=1, max_length=len(WebhookEvent), fail_fast=True),
    ] = Field(description="Events to report.")


class WebhookShown(Answer):
    """A webhook without its URL, which may hold a secret, and without its signing secret."""

    name: str
    events: list[WebhookEvent]
    enabled: bool = Field(description="False once the receiver answered 410 (gone).")
    created: ShownTime
    last_try: ShownTime | None = Field(description="When a message was last posted to it.")
    last_success: ShownTime | None = Field(description="When it last took one.")
    last_status: int | None = Field(description="Status of its last answer; null for no answer.")
    last_error: str | None = Field(description="The error code if there was no answer.")
    failures: int = Field(description="Consecutive messages that were not taken.")
    waiting: int = Field(description="Messages still to be delivered.")
    dead: int = Field(description="Messages that were given up.")

    @classmethod
    def of(cls, webhook: Webhook) -> Self:
        """Show a webhook."""
        return cls(
            name=webhook.name,
            events=list(webhook.events),
            enabled=webhook.enabled,
            created=webhook.created,
            last_try=webhook.last_try,
            last_success=webhook.last_success,
            last_status=webhook.last_status,
            last_error=webhook.last_error,
            failures=webhook.failures,
            waiting=webhook.waiting,
            dead=webhook.dead,
        )


class WebhookMade(Answer):
    """A new webhook."""

    webhook: WebhookShown
    secret: str | None = Field(
        description="Signs the messages, see standardwebhooks.com. It is shown only once; null "
        "if the request was repeated with its idempotency key."
    )

    def without_secret(self) -> WebhookMade:
        """The answer as it may be stored."""
        return WebhookMade(webhook=self.webhook, secret=None)


class WebhooksShown(Answer):
    """All webhooks."""

    webhooks: list[WebhookShown]


class WebhookTested(Answer):
    """What became of a test message."""

    name: str
    taken: bool = Field(description="Whether the receiver took it, with a status from 200 to 299.")
    status: int | None = Field(description="Status of its answer; null for no answer.")
    error: str | None = Field(description="The error code if there was no answer.")
    reason: str | None = Field(description="The same in words.")

    @classmethod
    def of(cls, name: str, tested: Tested) -> Self:
        """Show the outcome of a test."""
        return cls(
            name=name,
            taken=tested.taken,
            status=tested.status,
            error=tested.error,
            reason=tested.reason,
        )


class WebhookRemoved(Answer):
    """A webhook that was removed."""

    name: str


class DeadLetterShown(Answer):
    """A message that was given up."""

    id: int
    webhook: str
    message: str = Field(description="The message's id, by which a receiver detects repeats.")
    event: str
    created: ShownTime
    attempts: int
    last_status: int | None = Field(description="The receiver's last answer; null for none.")
    last_error: str | None = Field(description="The error code if there was no answer.")

    @classmethod
    def of(cls, letter: DeadLetter) -> Self:
        """Show a message without its content."""
        return cls(
            id=letter.id,
            webhook=letter.webhook,
            message=letter.message_id,
            event=letter.event,
            created=letter.created,
            attempts=letter.attempts,
            last_status=letter.last_status,
            last_error=letter.last_error,
        )


class DeadLettersShown(Answer):
    """A page of messages that were given up."""

    dead_letters: list[DeadLetterShown]
    next: int | None = Field(description="The cursor of the next page; null on the last one.")


class UpstreamShown(Answer):
    """A partner register that this one follows, without its URL and key."""

    name: str
    remote_bank: str = Field(description="The bank there.")
    bank: str = Field(description="The bank here that its entries go to.")
    enabled: bool = Field(description="False while it is paused.")
    revision: int = Field(
        description="The partner's revision up to which all changes are known here."
    )
    last_success: ShownTime | None
    last_try: ShownTime | None
    last_error: str | None = Field(description="The code of the last error.")
    failures: int = Field(description="Consecutive failures to follow it.")

    @classmethod
    def of(cls, upstream: Upstream) -> Self:
        """Show an upstream."""
        return cls(
            name=upstream.name,
            remote_bank=upstream.remote_bank,
            bank=upstream.bank,
            enabled=upstream.enabled,
            revision=upstream.position.since,
            last_success=upstream.last_success,
            last_try=upstream.last_try,
            last_error=upstream.last_error,
            failures=upstream.failures,
        )


class UpstreamsShown(Answer):
    """The partner registers that the key may know of."""

    upstreams: list[UpstreamShown]
