"""Webhooks: receivers, their events, and the secrets that sign messages."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from egide.domain.names import check_name
from egide.domain.partners import Webhook, WebhookEvent
from egide.domain.times import moment
from egide.errors import UsageError, WebhookExists, WebhookMissing
from egide.store.log import log
from egide.store.tables.service import outbox, webhooks

if TYPE_CHECKING:
    from collections.abc import Collection

    from egide.store.database.interface import Database

MAX_URL_CHARS = 2000


class Webhooks:
    """The webhooks of a store; see `Store.webhooks`."""

    def __init__(self, database: Database, actor: str) -> None:
        self._database = database
        self._actor = actor

    def add(self, name: str, url: str, secret: str, events: Collection[WebhookEvent]) -> Webhook:
        """Add a webhook.

        Args:
            name: must follow the rule for names.
            url: where to post; the caller has checked that it may be reached.
            secret: signs the messages.
            events: at least one.

        Raises:
            NameInvalid: the name breaks the rule.
            UsageError: the URL is too long, or there is no event.
            WebhookExists: a webhook has that name already.
        """
        check_name(name)
        if len(url) > MAX_URL_CHARS:
            raise UsageError(reason=f"a webhook's URL has at most {MAX_URL_CHARS} characters")
        if not events:
            raise UsageError(reason="a webhook needs at least one event")
        chosen = ",".join(event.value for event in WebhookEvent if event in set(events))
        at = int(time.time())
        with self._database.write() as connection:
            if _find(connection, name) is not None:
                raise WebhookExists(webhook=name)
            connection.execute(
                sa.insert(webhooks).values(
                    name=name,
                    url=url,
                    secret=secret.encode(),
                    events=chosen,
                    enabled=True,
                    created=at,
                )
            )
            log.append(
                connection,
                at=at,
                actor=self._actor,
                action="create-webhook",
                detail={"webhook": name, "events": chosen},
            )
        return self.get(name)

    def get(self, name: str) -> Webhook:
        """The webhook with that name.

        Raises:
            WebhookMissing: no webhook has that name.
        """
        for webhook in self.list():
            if webhook.name == name:
                return webhook
        raise WebhookMissing(webhook=name)

    def list(self) -> list[Webhook]:
        """All webhooks, in the order of their creation."""
        counts = sa.select(outbox.c.webhook_id, outbox.c.state, sa.func.count()).group_by(
            outbox.c.webhook_id, outbox.c.state
        )
        with self._database.read() as connection:
            held = {(row[0], row[1]): row[2] for row in connection.execute(counts)}
            rows = connection.execute(sa.select(webhooks).order_by(webhooks.c.id)).all()
        return [
            Webhook(
                id=row.id,
                name=row.name,
                url=row.url,
                events=events_of(row.events),
                enabled=row.enabled,
                created=moment(row.created),
                last_try=None if row.last_try is None else moment(row.last_try),
                last_success=None if row.last_success is None else moment(row.last_success),
                last_status=row.last_status,
                last_error=row.last_error,
                failures=row.failures,
                waiting=held.get((row.id, "pending"), 0),
                dead=held.get((row.id, "dead"), 0),
            )
            for row in rows
        ]

    def remove(self, name: str) -> None:
        """Remove a webhook and all messages to it.

        Raises:
            WebhookMissing: no webhook has that name.
        """
        with self._database.write() as connection:
            webhook_id = find_id(connection, name)
            connection.execute(sa.delete(outbox).where(outbox.c.webhook_id == webhook_id))
            connection.execute(sa.delete(webhooks).where(webhooks.c.id == webhook_id))
            log.append(
                connection,
                at=int(time.time()),
                actor=self._actor,
                action="remove-webhook",
                detail={"webhook": name},
            )

    def failing(self) -> int:
        """The number of webhooks that did not accept their last message."""
        query = sa.select(sa.func.count()).select_from(webhooks).where(webhooks.c.failures > 0)
        with self._database.read() as connection:
            return connection.execute(query).scalar_one()

    def tested(self, name: str, *, status: int | None, error: str | None, taken: bool) -> None:
        """Record the result of a test message; does nothing if there is no such webhook."""
        at = int(time.time())
        with self._database.write() as connection:
            if _find(connection, name) is None:
                return
            note_try(connection, name, at=at, status=status, error=error, taken=taken)
            log.append(
                connection,
                at=at,
                actor=self._actor,
                action="test-webhook",
                detail={"webhook": name},
            )

    def wanted(self) -> frozenset[WebhookEvent]:
        """The events that any enabled webhook subscribes to."""
        with self._database.read() as connection:
            rows = connection.execute(
                sa.select(webhooks.c.events).where(webhooks.c.enabled.is_(True))
            ).scalars()
            return frozenset(event for text in rows for event in events_of(text))


def events_of(text: str) -> tuple[WebhookEvent, ...]:
    """The events that a row names; unknown ones, of a later Egide, are ignored."""
    known = {event.value: event for event in WebhookEvent}
    return tuple(known[word] for word in text.split(",") if word in known)


def find_id(connection: sa.Connection, name: str) -> int:
    """The number of a webhook.

    Raises:
        WebhookMissing: no webhook has that name.
    """
    found = _find(connection, name)
    if found is None:
        raise WebhookMissing(webhook=name)
    return found


def note_try(
    connection: sa.Connection,
    name: str,
    *,
    at: int,
    status: int | None,
    error: str | None,
    taken: bool,
) -> None:
    """Record the result of a message in its webhook's row.

    Args:
        connection: of the transaction.
        name: of the webhook; nothing happens if it was removed.
        at: Unix seconds.
        status: the receiver's HTTP status, if it answered.
        error: a code of ours, if it did not.
        taken: whether the receiver accepted the message.
    """
    values: dict[str, Any] = {"last_try": at, "last_status": status, "last_error": error}
    if taken:
        values |= {"last_success": at, "failures": 0}
    else:
        values["failures"] = webhooks.c.failures + 1
    connection.execute(sa.update(webhooks).where(webhooks.c.name == name).values(**values))


def _find(connection: sa.Connection, name: str) -> int | None:
    return connection.execute(
        sa.select(webhooks.c.id).where(webhooks.c.name == name)
    ).scalar_one_or_none()
