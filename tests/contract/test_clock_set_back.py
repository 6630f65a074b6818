"""A clock that was ahead and is set back: nobody waits, and nothing stands, longer than it may."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from hashlib import sha256

import pytest

from case_samples import app_code, image, submission
from egide.domain.access import ApprovalState, Role
from egide.domain.cases import new_number
from egide.domain.partners import WebhookEvent
from egide.errors import ApprovalInvalid, IdempotencyBusy, ProofExpired, TooManyAttempts
from egide.security import proof_of_work as proof
from egide.security.one_time_codes import STEP_S, accepted_step, app_uri
from egide.store.access.sessions import Sessions
from egide.store.cases import attempts, submissions
from egide.store.cases.attempts import CASE, ORIGIN, PAIR
from egide.store.changing import ChangingStore as Store
from egide.store.partners import outbox

NOW = datetime.now(UTC).replace(microsecond=0)
AHEAD = NOW + timedelta(days=400)
SECOND = timedelta(seconds=1)
HOME = "192.0.2.1"
DIGEST = sha256(b"request").digest()


def wait_s(store: Store, number: str, origin: str, now: datetime) -> int:
    try:
        store.attempts.begin(number, origin, now=now)
    except TooManyAttempts as error:
        return int(str(error.fields["retry_after_s"]))
    return 0


@pytest.mark.parametrize(
    ("limit", "numbers", "origins"),
    [(PAIR, 1, 1), (CASE, 1, 100), (ORIGIN, 100, 1)],
    ids=["number and place", "number", "place"],
)
def test_attempts_wait_as_long_as_the_rule_says_and_then_no_more(
    store: Store, limit: attempts.Limit, numbers: int, origins: int
) -> None:
    failed = 0
    while wait_s(store, f"n{failed % numbers}", f"o{failed % origins}", AHEAD) == 0:
        failed += 1
    waits = wait_s(store, f"n{failed % numbers}", f"o{failed % origins}", NOW)
    assert waits == limit.first_s
    assert wait_s(store, "n0", "o0", NOW + timedelta(seconds=waits)) == 0


def test_a_place_counts_as_known_for_a_day_and_no_longer(store: Store) -> None:
    store.attempts.succeed(store.attempts.begin("n", HOME, now=AHEAD), now=AHEAD)
    for place in range(CASE.free + 1):
        wait_s(store, "n", f"place {place}", NOW)
    assert wait_s(store, "n", HOME, NOW) == 0
    day = timedelta(seconds=attempts.KEPT_S)
    for place in range(CASE.free + 1):
        wait_s(store, "n", f"place {place}", NOW + day)
    assert wait_s(store, "n", HOME, NOW + day) > 0


def test_attempts_are_forgotten_a_day_after_the_clock_is_right(store: Store) -> None:
    store.attempts.begin("n", HOME, now=AHEAD)
    assert store.attempts.forget(NOW) == 0
    assert store.attempts.forget(NOW + timedelta(seconds=attempts.KEPT_S)) == 3


def test_a_session_is_over(store: Store) -> None:
    clock = AHEAD.timestamp()
    sessions = Sessions(store._database, lambda: clock)
    token = sessions.start("case", 7, idle_s=60, longest_s=120)
    assert sessions.find(token) is not None
    clock = NOW.timestamp()
    assert sessions.find(token) is None
    assert sessions.forget(NOW) == 1


def test_a_submission_is_kept_for_a_day(store: Store) -> None:
    lifetime = timedelta(days=900)
    store.cases.open(
        "helpline", [image(1)], new_number=new_number, pin_hash="$none$",
        lifetime=lifetime, submission=submission(1),
    )  # fmt: skip
    before = NOW - timedelta(days=400)
    assert store.cases.submitted(submission(1), [image(1)]) is not None
    store.cases.forget(lifetime, before)
    assert store.cases.submitted(submission(1), [image(1)]) is not None
    store.cases.forget(lifetime, before + timedelta(seconds=submissions.KEPT_S) + SECOND)
    assert store.cases.submitted(submission(1), [image(1)]) is None


def test_a_proof_of_work_holds_no_longer_than_any() -> None:
    challenge = proof.new_challenge(b"k", 0, AHEAD)
    with pytest.raises(ProofExpired):
        proof.solved(b"k", challenge, 0, NOW)


def test_a_request_is_busy_for_a_minute(store: Store) -> None:
    key_id = store.keys.create("anna", Role.CURATOR, "Anna")[0].id
    store.idempotency.begin(key_id, "token", DIGEST, now=AHEAD)
    with pytest.raises(IdempotencyBusy):
        store.idempotency.begin(key_id, "token", DIGEST, now=NOW)
    assert store.idempotency.begin(key_id, "token", DIGEST, now=NOW + 60 * SECOND) is None


def test_an_answer_is_kept_no_longer_than_any(store: Store) -> None:
    key_id = store.keys.create("anna", Role.CURATOR, "Anna")[0].id
    store.idempotency.begin(key_id, "token", DIGEST, now=AHEAD)
    store.idempotency.finish(key_id, "token", 200, "{}")
    assert store.idempotency.forget(NOW - 60 * SECOND, now=NOW) == 0
    assert store.idempotency.forget(NOW + SECOND, now=NOW + 61 * SECOND) == 1


def test_another_process_follows(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.upstreams.add(
        "partner", "https://partner.example", "/etc/key", remote_bank="theirs", bank="helpline"
    )
    monkeypatch.setattr("egide.store.partners.upstreams.time.time", AHEAD.timestamp)
    assert store.upstreams.lease("partner", "a", 20)
    monkeypatch.setattr("egide.store.partners.upstreams.time.time", NOW.timestamp)
    assert store.upstreams.lease("partner", "b", 20)
    assert not store.upstreams.lease("partner", "a", 20)


def test_a_message_is_due(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.webhooks.add("w", "https://w.example/", "secret", [WebhookEvent.ENTRY_CHANGED])
    monkeypatch.setattr(outbox.time, "time", AHEAD.timestamp)
    store.outbox.add([(WebhookEvent.ENTRY_CHANGED, {})])
    due = store.outbox.claim(limit=9, per_webhook=9, lease_s=60, now_unix_s=int(NOW.timestamp()))
    assert len(due) == 1


def test_a_message_is_kept_no_longer_than_any(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.webhooks.add("w", "https://w.example/", "secret", [WebhookEvent.ENTRY_CHANGED])
    monkeypatch.setattr(outbox.time, "time", AHEAD.timestamp)
    store.outbox.add([(WebhookEvent.ENTRY_CHANGED, {})])
    (delivery,) = store.outbox.claim(limit=9, per_webhook=9, lease_s=60)
    store.outbox.delivered(delivery, 204)
    now = int(NOW.timestamp())
    assert store.outbox.forget(now_unix_s=now) == 0
    assert store.outbox.forget(now_unix_s=now + outbox.KEPT_DELIVERED_S + 1) == 1


def test_that_a_partner_is_followed_is_written_down(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.upstreams.add(
        "partner", "https://partner.example", "/etc/key", remote_bank="theirs", bank="helpline"
    )
    for now in (AHEAD, NOW):
        monkeypatch.setattr("egide.store.partners.upstreams.time.time", now.timestamp)
        store.upstreams.succeeded("partner")
        assert store.upstreams.get("partner").last_success == now


def test_an_approval_stands_no_longer_than_any(store: Store) -> None:
    ada, _ = store.keys.create("ada", Role.ADMIN, "Ada")
    grace, _ = store.keys.create("grace", Role.ADMIN, "Grace")
    ask = ("export", "helpline", {}, DIGEST)
    asked = store.approvals.request(*ask, by=ada, ttl_s=3600, now=AHEAD)
    store.approvals.decide(asked.id, True, by=grace, now=AHEAD)
    with pytest.raises(ApprovalInvalid, match="expired"):
        store.approvals.use(asked.id, "export", "helpline", DIGEST, by=ada, now=NOW)
    assert [one.id for one in store.approvals.list(ApprovalState.EXPIRED, now=NOW)] == [asked.id]
    assert store.approvals.list(ApprovalState.APPROVED, now=NOW) == []
    assert store.approvals.request(*ask, by=ada, ttl_s=3600, now=NOW).id != asked.id


def test_a_workers_code_is_taken() -> None:
    now = NOW.timestamp()
    step = int(now) // STEP_S
    secret = b"12345678901234567890"
    later = int(AHEAD.timestamp()) // STEP_S
    code = app_code(app_uri(secret, account="amina", issuer="Helpline"), now)
    assert accepted_step(secret, code, now, after=later) == step


def test_a_worker_signs_in_once_with_a_code(store: Store) -> None:
    store.staff.create("amina", "$none$", b"secret")
    step, later = (int(at.timestamp()) // STEP_S for at in (NOW, AHEAD))
    found = store.staff.credentials("amina")
    assert found is not None
    assert store.staff.signed_in(found, later)
    assert store.staff.signed_in(found, step)
    assert not store.staff.signed_in(found, step)
