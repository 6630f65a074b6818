"""`egide webhook …`: services that are told of events."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from egide.cli.terminal import (
    DEFAULT_STORE,
    AfterOption,
    Exit,
    JsonOption,
    StoreOption,
    counted,
    examples,
    print_json,
    print_list,
    print_table,
    say,
    warn,
)
from egide.errors import UsageError

if TYPE_CHECKING:
    from datetime import datetime

    from egide.domain.partners import DeadLetter, Webhook, WebhookEvent

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="The webhook's name.")]
_SHOWN = 100


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command(
        "add",
        epilog=examples(
            "egide webhook add reviews https://hooks.example.org/egide --event decision.review",
            "egide webhook add all https://… --event decision.block --event entry.changed",
        ),
    )(add)
    app.command("list", epilog=examples("egide webhook list --json"))(list_webhooks)
    app.command("dead", epilog=examples("egide webhook dead --json"))(dead)
    app.command("test", epilog=examples("egide webhook test reviews"))(send_test_message)
    app.command("retry", epilog=examples("egide webhook retry reviews"))(retry)
    app.command("remove", epilog=examples("egide webhook remove reviews"))(remove)


def add(
    name: NameArgument,
    url: Annotated[str, typer.Argument(metavar="URL", help="Messages are posted here.")],
    events: Annotated[
        list[str],
        typer.Option(
            "--event",
            metavar="EVENT",
            help="decision.block, decision.review or entry.changed; repeat for more.",
        ),
    ],
    store: StoreOption = DEFAULT_STORE,
    json: JsonOption = False,
) -> None:
    """Tell a URL of events, in messages signed as Standard Webhooks specifies.

    The signing secret is printed once. `egide serve` delivers the messages.
    """
    import egide
    from egide.net.addresses import WEBHOOK_NETWORKS, own_networks
    from egide.usecases.webhooks import add_webhook

    wanted = [_event_of(text) for text in events]
    with egide.open_store(store) as opened:
        webhook, secret = add_webhook(
            opened, name, url, wanted, allowed_networks=own_networks(WEBHOOK_NETWORKS)
        )
    if json:
        print_json({**_values(webhook), "secret": secret})
        return
    warn(f"Webhook {name} is told of {', '.join(webhook.events)}. The secret that signs what it")
    warn("gets is shown this once:")
    say(secret)


def list_webhooks(store: StoreOption = DEFAULT_STORE, json: JsonOption = False) -> None:
    """List the webhooks, with the messages that wait for each and the last answer."""
    import egide

    with egide.open_store(store) as opened:
        rows = [_values(webhook) for webhook in opened.webhooks.list()]
    if json:
        print_list(rows)
        return
    if not rows:
        say("No webhooks yet: make one with egide webhook add.")
        return
    print_table(
        "",
        [
            ("name", "left"),
            ("events", "left"),
            ("enabled", "left"),
            ("waiting", "right"),
            ("dead", "right"),
            ("last answer", "left"),
            ("failures", "right"),
            ("last taken", "left"),
        ],
        (
            [
                row["name"],
                ", ".join(row["events"]),
                "yes" if row["enabled"] else "no",
                str(row["waiting"]),
                str(row["dead"]),
                str(row["last_status"] or row["last_error"] or "–"),
                str(row["failures"]),
                row["last_success"] or "–",
            ]
            for row in rows
        ),
    )


def dead(
    after: AfterOption = 0,
    store: StoreOption = DEFAULT_STORE,
    json: JsonOption = False,
) -> None:
    """List messages that were given up, a hundred at a time."""
    import egide

    with egide.open_store(store) as opened:
        letters = opened.outbox.dead_letters(after=after, limit=_SHOWN)
    if json:
        print_list(map(_letter_values, letters))
        return
    if not letters:
        say("No messages were given up.")
        return
    print_table(
        "",
        [
            ("id", "right"),
            ("webhook", "left"),
            ("event", "left"),
            ("created", "left"),
            ("attempts", "right"),
            ("last answer", "left"),
        ],
        (
            [
                str(letter.id),
                letter.webhook,
                letter.event,
                letter.created.isoformat(),
                str(letter.attempts),
                str(letter.last_status or letter.last_error or "–"),
            ]
            for letter in letters
        ),
    )


def send_test_message(
    name: NameArgument, store: StoreOption = DEFAULT_STORE, json: JsonOption = False
) -> None:
    """Send a webhook a signed test message, and show the answer.

    Exits with 1 if the message was not taken.
    """
    import egide
    from egide.net.addresses import WEBHOOK_NETWORKS, own_networks
    from egide.usecases.webhooks import send_test

    with egide.open_store(store) as opened:
        tested = send_test(opened, name, allowed_networks=own_networks(WEBHOOK_NETWORKS))
    if json:
        print_json(
            {
                "name": name,
                "taken": tested.taken,
                "status": tested.status,
                "error": tested.error,
                "reason": tested.reason,
            }
        )
    elif tested.taken:
        say(f"{name} took the message and answered {tested.status}.")
    elif tested.status is not None:
        say(f"{name} answered {tested.status}: the message counts as not taken.")
    else:
        say(f"{name} did not get the message: {tested.reason} [{tested.error}].")
    if not tested.taken:
        raise typer.Exit(Exit.FOUND)


def retry(name: NameArgument, store: StoreOption = DEFAULT_STORE, json: JsonOption = False) -> None:
    """Retry all messages to a webhook that were given up, and enable the webhook."""
    import egide

    with egide.open_store(store) as opened:
        count = opened.outbox.retry(name)
    if json:
        print_json({"name": name, "messages": count})
    else:
        say(f"Tried again: {counted(count, 'message')} to {name}.")


def remove(
    name: NameArgument, store: StoreOption = DEFAULT_STORE, json: JsonOption = False
) -> None:
    """Remove a webhook and all messages that wait for it."""
    import egide

    with egide.open_store(store) as opened:
        opened.webhooks.remove(name)
    if json:
        print_json({"name": name})
    else:
        say(f"{name} is removed.")


def _event_of(text: str) -> WebhookEvent:
    from egide.domain.partners import WebhookEvent

    try:
        return WebhookEvent(text)
    except ValueError:
        known = ", ".join(WebhookEvent)
        raise UsageError(reason=f"there is no event {text}; there are {known}") from None


def _letter_values(letter: DeadLetter) -> dict[str, Any]:
    return {
        "id": letter.id,
        "webhook": letter.webhook,
        "message": letter.message_id,
        "event": letter.event,
        "created": letter.created.isoformat(),
        "attempts": letter.attempts,
        "last_status": letter.last_status,
        "last_error": letter.last_error,
    }


def _iso(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()


def _values(webhook: Webhook) -> dict[str, Any]:
    return {
        "name": webhook.name,
        "events": [event.value for event in webhook.events],
        "enabled": webhook.enabled,
        "last_try": _iso(webhook.last_try),
        "last_success": _iso(webhook.last_success),
        "last_status": webhook.last_status,
        "last_error": webhook.last_error,
        "failures": webhook.failures,
        "waiting": webhook.waiting,
        "dead": webhook.dead,
    }
