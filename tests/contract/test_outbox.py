"""Webhooks and their messages, on every database."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

import pytest

from egide.domain.partners import RETRY_DELAYS_S, Delivery, WebhookEvent
from egide.errors import FetchTimeout, NameInvalid, UsageError, WebhookExists, WebhookMissing
from egide.partners.delivering import deliver_due
from egide.store.changing import ChangingStore as Store
from egide.store.messages.outbox import KEPT_DELIVERED_S, MAX_ATTEMPTS
from store_samples import picture

URL = "https://hooks.example.org/egide"
SECRET = "whsec_" + "A" * 44
DECISION = (WebhookEvent.DECISION_BLOCK, {"action": "block", "revision": 3})


@pytest.fixture
def hooked(store: Store) -> Store:
    """A store with a webhook `all` for every event."""
    store.webhooks.add("all", URL, SECRET, list(WebhookEvent))
    return store


def claim(store: Store, **options: int) -> list[Delivery]:
    return store.outbox.claim(**{"limit": 100, "per_webhook": 100, "lease_s": 60} | options)


def test_a_change_and_its_message_are_one_transaction(hooked: Store) -> None:
    hooked.entries.register("helpline", map(picture, range(3)))
    with pytest.raises(RuntimeError):
        hooked.entries.register(
            "helpline", (picture(n) if n < 9 else _fail() for n in range(5, 10))
        )
    hooked.acting_as("ada").entries.withdraw("helpline", [2])

    bodies = [json.loads(delivery.body) for delivery in claim(hooked)]
    assert [body["type"] for body in bodies] == ["entry.changed"] * 2
    assert bodies[1]["data"] == {
        "action": "withdraw",
        "bank": "helpline",
        "entries": [2],
        "count": 1,
        "revision": hooked.revision(),
        "by": "ada",
    }
    assert sorted(bodies[0]["data"]["entries"]) == [1, 2, 3]
    written = json.dumps(bodies)
    for number in range(3):
        one = picture(number)
        for value in (*one.pdqs, one.sha256, one.md5):
            assert value is not None
            assert value.hex() not in written
        assert one.note not in written


def _fail() -> None:
    raise RuntimeError


def test_many_entries_are_counted_instead_of_named(hooked: Store) -> None:
    hooked.entries.register("helpline", map(picture, range(150)))
    (delivery,) = claim(hooked)
    data = json.loads(delivery.body)["data"]
    assert (data["entries"], data["count"]) == ([], 150)


def test_only_who_wants_an_event_is_told(store: Store) -> None:
    assert store.outbox.add([DECISION]) == 0
    store.webhooks.add("reviews", URL, SECRET, [WebhookEvent.DECISION_REVIEW])
    store.webhooks.add("blocks", URL, SECRET, [WebhookEvent.DECISION_BLOCK])
    assert store.webhooks.wanted() == {WebhookEvent.DECISION_BLOCK, WebhookEvent.DECISION_REVIEW}
    assert store.outbox.add([DECISION, DECISION]) == 2
    store.entries.register("helpline", [picture(1)])
    assert [delivery.webhook for delivery in claim(store)] == ["blocks", "blocks"]


def test_a_claimed_message_is_nobody_elses_until_its_lease_ends(
    hooked: Store, open_store: Callable[[], Store]
) -> None:
    other = open_store()
    hooked.outbox.add([DECISION] * 5)
    first = claim(hooked, limit=3)
    second = claim(other)
    assert len(first) == 3
    assert {one.id for one in first} | {one.id for one in second} == {1, 2, 3, 4, 5}
    assert claim(other) == []
    again = claim(other, now_unix_s=int(time.time()) + 61)
    assert [one.attempt for one in again] == [2] * 5
    assert {one.message_id for one in again} == {one.message_id for one in first + second}


def test_what_became_of_an_old_claim_does_not_count(hooked: Store) -> None:
    hooked.outbox.add([DECISION])
    (old,) = claim(hooked)
    (new,) = claim(hooked, now_unix_s=int(time.time()) + 61)
    hooked.outbox.failed(old, status=500)
    hooked.outbox.delivered(new, 204)
    assert hooked.outbox.counts() == {"delivered": 1}


def test_a_slow_receiver_holds_up_no_other(hooked: Store) -> None:
    hooked.outbox.add([DECISION] * 10)
    hooked.webhooks.add("late", URL, SECRET, [WebhookEvent.DECISION_BLOCK])
    hooked.outbox.add([DECISION])
    webhooks = [one.webhook for one in claim(hooked, limit=8, per_webhook=2)]
    assert sorted(webhooks) == ["all", "all", "late"]


def test_a_message_is_tried_eight_times_then_dead_and_can_be_tried_again(
    hooked: Store,
) -> None:
    hooked.outbox.add([DECISION])
    now = int(time.time())
    for attempt in range(1, MAX_ATTEMPTS + 1):
        (delivery,) = claim(hooked, now_unix_s=now)
        assert delivery.attempt == attempt
        dead = hooked.outbox.failed(delivery, status=503, now_unix_s=now)
        assert dead is (attempt == MAX_ATTEMPTS)
        if not dead:
            now += RETRY_DELAYS_S[attempt - 1]
            assert claim(hooked, now_unix_s=now - 1) == []
    (letter,) = hooked.outbox.dead_letters()
    assert (letter.webhook, letter.attempts, letter.last_status) == ("all", MAX_ATTEMPTS, 503)
    assert claim(hooked, now_unix_s=now + 10**6) == []
    assert hooked.webhooks.get("all").dead == 1

    assert hooked.outbox.retry("all") == 1
    (delivery,) = claim(hooked)
    assert (delivery.attempt, delivery.message_id) == (1, letter.message_id)


def test_a_webhook_tells_what_became_of_the_last_message_and_how_often_none_was_taken(
    hooked: Store,
) -> None:
    def fail(_: Delivery) -> int:
        raise FetchTimeout(limit_s=10)

    def seen() -> tuple[int | None, str | None, int, bool]:
        one = hooked.webhooks.get("all")
        assert (one.last_try is None) == (one.failures == 0 and one.last_success is None)
        return one.last_status, one.last_error, one.failures, one.last_success is not None

    def deliver(post: Callable[[Delivery], int]) -> None:
        hooked.outbox.add([DECISION])
        deliver_due(hooked, post)

    assert seen() == (None, None, 0, False)
    deliver(lambda _: 500)
    assert seen() == (500, None, 1, False)
    deliver(fail)
    assert seen() == (None, "fetch-timeout", 2, False)
    assert hooked.webhooks.failing() == 1
    deliver(lambda _: 204)
    assert seen() == (204, None, 0, True)
    deliver(lambda _: 302)
    assert seen() == (302, None, 1, True)
    hooked.webhooks.tested("all", status=200, error=None, taken=True)
    assert (seen(), hooked.webhooks.failing()) == ((200, None, 0, True), 0)


def test_a_receiver_that_is_gone_is_switched_off(hooked: Store) -> None:
    hooked.outbox.add([DECISION])
    assert deliver_due(hooked, lambda _: 410).dead == 1
    assert not hooked.webhooks.get("all").enabled
    assert hooked.outbox.add([DECISION]) == 0
    hooked.outbox.retry("all")
    assert hooked.webhooks.get("all").enabled


def test_delivering_writes_down_what_became_of_each(hooked: Store) -> None:
    hooked.outbox.add([(WebhookEvent.DECISION_BLOCK, {"number": n}) for n in range(4)])
    answers = {0: 200, 1: 204, 2: 302}
    seen: list[int] = []

    def post(delivery: Delivery) -> int:
        number = json.loads(delivery.body)["data"]["number"]
        seen.append(number)
        if number == 3:
            raise FetchTimeout(limit_s=10)
        return answers[number]

    tried = [deliver_due(hooked, post), deliver_due(hooked, post)]
    assert sorted(seen) == [0, 1, 2, 3]
    assert sum(one.delivered for one in tried) == 2
    assert sum(one.failed for one in tried) == 2
    assert hooked.outbox.counts() == {"delivered": 2, "pending": 2}
    assert hooked.webhooks.get("all").waiting == 2


def test_delivered_messages_are_deleted_after_a_day(hooked: Store) -> None:
    hooked.outbox.add([DECISION] * 2)
    deliver_due(hooked, lambda _: 200)
    assert hooked.outbox.forget() == 0
    assert hooked.outbox.forget(now_unix_s=int(time.time()) + KEPT_DELIVERED_S + 120) == 2


def test_a_removed_webhook_takes_its_messages_along(hooked: Store) -> None:
    hooked.outbox.add([DECISION])
    hooked.webhooks.remove("all")
    assert hooked.webhooks.list() == []
    assert claim(hooked) == []
    with pytest.raises(WebhookMissing):
        hooked.webhooks.remove("all")


def test_webhooks_are_checked_and_logged_without_url_or_secret(hooked: Store) -> None:
    with pytest.raises(WebhookExists):
        hooked.webhooks.add("all", URL, SECRET, [WebhookEvent.ENTRY_CHANGED])
    with pytest.raises(NameInvalid):
        hooked.webhooks.add("a b", URL, SECRET, [WebhookEvent.ENTRY_CHANGED])
    with pytest.raises(UsageError):
        hooked.webhooks.add("none", URL, SECRET, [])
    *_, record = hooked.log.records(limit=100)
    assert record.action == "create-webhook"
    assert URL not in str(record.detail)
    assert SECRET not in repr(hooked.webhooks.list()) + str(record.detail)
