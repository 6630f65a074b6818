"""Messages to webhooks, until they are delivered or given up.

A message about a change of entries is written in the transaction of that change, so neither exists
without the other. Several processes may deliver at once: a process claims a message for a while by
postponing its due time.
"""

from __future__ import annotations

import json
import secrets
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from egide.domain.partners import RETRY_DELAYS_S, DeadLetter, Delivery, WebhookEvent
from egide.domain.times import CLOCKS_DIFFER_S, moment
from egide.store.log import log
from egide.store.messages.webhooks import events_of, find_id, note_try
from egide.store.tables.service import outbox, webhooks

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from egide.store.database.interface import Database

MAX_ATTEMPTS = len(RETRY_DELAYS_S) + 1
TEST_EVENT = "webhook.test"
"""The type of a test message; it needs no subscription."""
KEPT_DELIVERED_S = 86_400
KEPT_DEAD_S = 30 * 86_400
_LONGEST_WAIT_S = max(RETRY_DELAYS_S) + CLOCKS_DIFFER_S
_MESSAGE_ID_BYTES = 16
_GONE = 410


class Outbox:
    """The messages of a store; see `Store.outbox`."""

    def __init__(self, database: Database, actor: str) -> None:
        self._database = database
        self._actor = actor

    def add(self, messages: Iterable[tuple[WebhookEvent, Mapping[str, Any]]]) -> int:
        """Write messages to all subscribed webhooks in one transaction.

        Args:
            messages: each an event and its data, which must hold no fingerprint.

        Returns:
            the number of messages written: 0 if no webhook subscribes to the events.
        """
        with self._database.write() as connection:
            return add_messages(connection, int(time.time()), messages)

    def claim(
        self, *, limit: int, per_webhook: int, lease_s: int, now_unix_s: int | None = None
    ) -> list[Delivery]:
        """Claim due messages; for `lease_s` seconds no other process gets them.

        Args:
            limit: the most to return.
            per_webhook: the most for one webhook, so that a slow one delays no other.
            lease_s: a process that has not reported the result by then is presumed dead.
            now_unix_s: by default the present.
        """
        now = int(time.time()) if now_unix_s is None else now_unix_s
        is_due = (
            outbox.c.state == "pending",
            # A due time beyond the longest wait was written while the clock was ahead.
            sa.or_(outbox.c.next_at <= now, outbox.c.next_at > now + _LONGEST_WAIT_S),
            webhooks.c.enabled.is_(True),
        )
        to_webhook = outbox.join(webhooks, webhooks.c.id == outbox.c.webhook_id)
        any_due = sa.select(outbox.c.id).select_from(to_webhook).where(*is_due).limit(1)
        with self._database.read() as connection:
            if connection.execute(any_due).first() is None:
                return []
        position = (
            sa.func.row_number()
            .over(partition_by=outbox.c.webhook_id, order_by=(outbox.c.next_at, outbox.c.id))
            .label("position")
        )
        first = sa.select(outbox.c.id, position).select_from(to_webhook).where(*is_due).subquery()
        query = (
            sa.select(outbox, webhooks.c.name, webhooks.c.url, webhooks.c.secret)
            .join(webhooks, webhooks.c.id == outbox.c.webhook_id)
            .join(first, first.c.id == outbox.c.id)
            .where(first.c.position <= per_webhook)
            .order_by(outbox.c.next_at, outbox.c.id)
            .limit(limit)
        )
        with self._database.write() as connection:
            rows = connection.execute(query).all()
            connection.execute(
                sa.update(outbox)
                .where(outbox.c.id.in_([row.id for row in rows]))
                .values(next_at=now + lease_s, attempts=outbox.c.attempts + 1)
            )
        return [
            Delivery(
                id=row.id,
                webhook=row.name,
                url=row.url,
                secret=row.secret.decode(),
                message_id=row.message_id,
                event=row.event,
                body=row.payload,
                attempt=row.attempts + 1,
            )
            for row in rows
        ]

    def test_message(self, webhook: str) -> Delivery:
        """A test message, to be posted now; it is not stored.

        Raises:
            WebhookMissing: no webhook has that name.
        """
        with self._database.read() as connection:
            row = connection.execute(
                sa.select(webhooks.c.url, webhooks.c.secret).where(
                    webhooks.c.id == find_id(connection, webhook)
                )
            ).one()
        return Delivery(
            id=0,
            webhook=webhook,
            url=row.url,
            secret=row.secret.decode(),
            message_id=_new_message_id(),
            event=TEST_EVENT,
            body=_body(TEST_EVENT, int(time.time()), {}),
            attempt=1,
        )

    def delivered(self, delivery: Delivery, status: int) -> None:
        """Record that the receiver accepted a message."""
        with self._database.write() as connection:
            _settle(
                connection,
                delivery,
                {"state": "delivered", "last_status": status, "last_error": None},
            )
            at = int(time.time())
            note_try(connection, delivery.webhook, at=at, status=status, error=None, taken=True)

    def failed(
        self,
        delivery: Delivery,
        *,
        status: int | None = None,
        error: str | None = None,
        now_unix_s: int | None = None,
    ) -> bool:
        """Record that an attempt failed; after the last one the message is dead.

        A receiver that answers 410 is gone: its webhook is disabled too.

        Args:
            delivery: the failed delivery.
            status: the receiver's HTTP status, if it answered.
            error: a code of ours, if it did not.
            now_unix_s: by default the present.

        Returns:
            whether the message is dead.
        """
        now = int(time.time()) if now_unix_s is None else now_unix_s
        gone = status == _GONE
        dead = gone or delivery.attempt >= MAX_ATTEMPTS
        with self._database.write() as connection:
            values: dict[str, Any] = {"last_status": status, "last_error": error}
            if dead:
                values["state"] = "dead"
            else:
                values["next_at"] = now + RETRY_DELAYS_S[delivery.attempt - 1]
            _settle(connection, delivery, values)
            note_try(connection, delivery.webhook, at=now, status=status, error=error, taken=False)
            if gone:
                _switch_off(connection, delivery.webhook, now)
        return dead

    def dead_letters(self, *, after: int = 0, limit: int = 100) -> list[DeadLetter]:
        """The messages that were given up, by number."""
        query = (
            sa.select(outbox, webhooks.c.name)
            .join(webhooks, webhooks.c.id == outbox.c.webhook_id)
            .where(outbox.c.state == "dead", outbox.c.id > after)
            .order_by(outbox.c.id)
            .limit(limit)
        )
        with self._database.read() as connection:
            rows = connection.execute(query).all()
        return [
            DeadLetter(
                id=row.id,
                webhook=row.name,
                message_id=row.message_id,
                event=row.event,
                created=moment(row.created),
                attempts=row.attempts,
                last_status=row.last_status,
                last_error=row.last_error,
            )
            for row in rows
        ]

    def retry(self, webhook: str) -> int:
        """Retry all dead messages to a webhook as if they were new, and enable it.

        Returns:
            the number of messages.

        Raises:
            WebhookMissing: no webhook has that name.
        """
        now = int(time.time())
        with self._database.write() as connection:
            webhook_id = find_id(connection, webhook)
            count = connection.execute(
                sa.update(outbox)
                .where(outbox.c.webhook_id == webhook_id, outbox.c.state == "dead")
                .values(state="pending", attempts=0, next_at=now)
            ).rowcount
            connection.execute(
                sa.update(webhooks).where(webhooks.c.id == webhook_id).values(enabled=True)
            )
            log.append(
                connection,
                at=now,
                actor=self._actor,
                action="retry-webhook",
                detail={"webhook": webhook, "messages": count},
            )
        return count

    def forget(self, *, now_unix_s: int | None = None) -> int:
        """Delete messages that were delivered over a day ago, or given up over 30 days ago.

        Times that were written while the clock was ahead count as now.

        Returns:
            the number of deleted messages.
        """
        now = int(time.time()) if now_unix_s is None else now_unix_s
        old = sa.or_(
            # The lease of a delivered message ended soon after its delivery.
            sa.and_(outbox.c.state == "delivered", outbox.c.next_at < now - KEPT_DELIVERED_S),
            sa.and_(outbox.c.state == "dead", outbox.c.next_at < now - KEPT_DEAD_S),
        )
        ahead = sa.and_(outbox.c.state != "pending", outbox.c.next_at > now + _LONGEST_WAIT_S)
        either = sa.select(outbox.c.id).where(sa.or_(old, ahead)).limit(1)
        with self._database.read() as connection:
            if connection.execute(either).first() is None:
                return 0
        with self._database.write() as connection:
            connection.execute(sa.update(outbox).where(ahead).values(next_at=now))
            return connection.execute(sa.delete(outbox).where(old)).rowcount

    def counts(self) -> dict[str, int]:
        """The number of messages by state: `pending`, `delivered` and `dead`."""
        query = sa.select(outbox.c.state, sa.func.count()).group_by(outbox.c.state)
        with self._database.read() as connection:
            return Counter({row[0]: row[1] for row in connection.execute(query)})


def add_messages(
    connection: sa.Connection,
    at: int,
    messages: Iterable[tuple[WebhookEvent, Mapping[str, Any]]],
) -> int:
    """Write messages within a transaction; see `Outbox.add`.

    Returns:
        the number of rows written.
    """
    receivers = connection.execute(
        sa.select(webhooks.c.id, webhooks.c.events)
        .where(webhooks.c.enabled.is_(True))
        .order_by(webhooks.c.id)
    ).all()
    if not receivers:
        return 0
    wanted = [(row.id, events_of(row.events)) for row in receivers]
    rows = [
        {
            "webhook_id": webhook_id,
            "message_id": _new_message_id(),
            "event": event.value,
            "payload": _body(event.value, at, data),
            "state": "pending",
            "created": at,
            "next_at": at,
            "attempts": 0,
        }
        for event, data in messages
        for webhook_id, events in wanted
        if event in events
    ]
    if rows:
        connection.execute(sa.insert(outbox), rows)
    return len(rows)


def announce_change(
    connection: sa.Connection,
    *,
    at: int,
    action: str,
    bank: str | None,
    revision: int,
    entry_ids: Sequence[int],
    entries: int,
    actor: str,
) -> None:
    """Write the messages about a change of entries, within its transaction.

    Args:
        connection: of the transaction.
        at: Unix seconds.
        action: the act, as in the log.
        bank: the bank's name, None for several.
        revision: the change's revision.
        entry_ids: of the entries; empty if they are too many to name.
        entries: the number of entries.
        actor: who did it, as in the log.
    """
    data = {
        "action": action,
        "bank": bank,
        "entries": list(entry_ids),
        "count": entries,
        "revision": revision,
        "by": actor,
    }
    add_messages(connection, at, [(WebhookEvent.ENTRY_CHANGED, data)])


def _new_message_id() -> str:
    return f"msg_{secrets.token_urlsafe(_MESSAGE_ID_BYTES)}"


def _body(event: str, at: int, data: Mapping[str, Any]) -> str:
    content = {"type": event, "timestamp": moment(at).isoformat(), "data": dict(data)}
    return json.dumps(content, ensure_ascii=False, separators=(",", ":"))


def _settle(connection: sa.Connection, delivery: Delivery, values: Mapping[str, Any]) -> None:
    """Change a message, unless another claim replaced this delivery's expired lease."""
    connection.execute(
        sa.update(outbox)
        .where(
            outbox.c.id == delivery.id,
            outbox.c.state == "pending",
            outbox.c.attempts == delivery.attempt,
        )
        .values(**values)
    )


def _switch_off(connection: sa.Connection, name: str, now: int) -> None:
    connection.execute(sa.update(webhooks).where(webhooks.c.name == name).values(enabled=False))
    log.append(
        connection, at=now, actor="egide", action="switch-off-webhook", detail={"webhook": name}
    )
