"""Messages to webhooks, until they are delivered or given up.

A message about a change of entries is written in the transaction of that change, so that neither is
there without the other. Several processes may deliver at once: a message is claimed for a while by
moving on the time at which it is due.
"""

from __future__ import annotations

import json
import secrets
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from egide.domain.partners import DeadLetter, Delivery, WebhookEvent
from egide.store.entries.records import CLOCKS_DIFFER_S, moment
from egide.store.log import log
from egide.store.partners.webhooks import events_of, find_id, note_try
from egide.store.tables.service import outbox, webhooks

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from egide.store.database.interface import Database

RETRY_DELAYS_S = (5, 60, 300, 1800, 7200, 28_800, 86_400)
"""After each attempt but the last, which makes eight in about a day and a half."""
MAX_ATTEMPTS = len(RETRY_DELAYS_S) + 1
TEST_EVENT = "webhook.test"
"""The type of a message that tells of nothing; it needs no subscription."""
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
        """Write messages to whoever wants them, all in one transaction.

        Args:
            messages: each an event and its data, which must hold no fingerprint.

        Returns:
            how many were written: none where no webhook wants any.
        """
        with self._database.write() as connection:
            return add_messages(connection, int(time.time()), messages)

    def claim(
        self, *, limit: int, per_webhook: int, lease_s: int, now_unix_s: int | None = None
    ) -> list[Delivery]:
        """Take messages that are due; for `lease_s` seconds no other process gets them.

        Args:
            limit: at most so many.
            per_webhook: at most so many to one, so that a slow receiver holds up no other.
            lease_s: whoever has not said by then what became of a message is taken for dead.
            now_unix_s: by default the present.
        """
        now = int(time.time()) if now_unix_s is None else now_unix_s
        is_due = (
            outbox.c.state == "pending",
            # Later than any wait is what a clock that was ahead has left.
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
        """A message that tells of nothing, to be posted now and kept nowhere.

        Raises:
            WebhookMissing: there is none of that name.
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
        """Write down that the receiver took a message."""
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
        """Write down that an attempt failed; after the last one the message is dead.

        A receiver that answers 410 is gone: its webhook is switched off with the message.

        Args:
            delivery: that failed.
            status: what the receiver answered, if it did.
            error: a code, if it did not.
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
        """Try all dead messages to a webhook again, as if they were new, and switch it on.

        Returns:
            how many there are.

        Raises:
            WebhookMissing: there is none of that name.
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

        What was delivered or given up while the clock was ahead counts as of now.

        Returns:
            how many.
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
        """How many messages there are by state, `pending`, `delivered` and `dead`."""
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
        how many rows were written.
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
        action: what was done, as the log says it.
        bank: its name, None for several.
        revision: that the change made.
        entry_ids: of the entries; empty where they are too many to name.
        entries: how many there are.
        actor: who did it, as the log says it.
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
    """Change a message, unless it was claimed again after the lease of this delivery."""
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
