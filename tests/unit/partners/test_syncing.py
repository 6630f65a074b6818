"""Keys in files, waiting after failures, and a broken partner beside a sound one."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from egide.domain.access import Key, Role
from egide.domain.model import Match, Signal, Transform, Trust
from egide.domain.partners import Upstream, WebhookEvent
from egide.domain.policy import Action, Decision, Reason
from egide.errors import StoreLocked, SyncError, UpstreamKeyInvalid
from egide.partners.client import RegisterClient
from egide.server.decisions import DecisionEvents
from egide.store.changing import ChangingStore as Store
from egide.store.partners.upstreams import Upstreams
from egide.usecases.follow import MAX_BACKOFF_S, Follower, backoff_s
from egide.usecases.sync import read_key_file
from store_samples import picture
from sync_samples import Partner

DEADLINE_S = 30.0


def key_file(folder: Path, content: str, mode: int = 0o600) -> Path:
    path = folder / "partner.key"
    path.write_text(content)
    path.chmod(mode)
    return path


def test_a_key_is_read_without_its_line_end(tmp_path: Path) -> None:
    assert read_key_file(key_file(tmp_path, " egide_abc_def\n"), "p") == "egide_abc_def"


@pytest.mark.parametrize(("content", "mode"), [
    ("egide_abc_def", 0o640), ("egide_abc_def", 0o604), ("", 0o600), ("two words", 0o600),
    ("x" * 600, 0o600), ("clé", 0o600),
])  # fmt: skip
def test_a_key_that_others_may_read_or_that_is_none_is_refused(
    tmp_path: Path, content: str, mode: int
) -> None:
    with pytest.raises(UpstreamKeyInvalid) as caught:
        read_key_file(key_file(tmp_path, content, mode), "p")
    assert not content or content not in str(caught.value)


def test_a_missing_key_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(UpstreamKeyInvalid):
            read_key_file(path, "p")


@pytest.mark.parametrize(("failures", "longest"), [(1, 1), (4, 8), (9, 256), (10, 300), (99, 300)])
def test_waiting_doubles_up_to_five_minutes(failures: int, longest: float) -> None:
    waits = [backoff_s(failures) for _ in range(200)]
    assert max(waits) <= min(longest, MAX_BACKOFF_S)
    assert min(waits) >= longest / 2
    assert len(set(waits)) > 100


def test_a_broken_partner_holds_up_no_other(tmp_path: Path) -> None:
    with (
        Store.open(f"sqlite:///{tmp_path}/here.db", create=True) as here,
        Store.open(f"sqlite:///{tmp_path}/remote.db", create=True) as remote,
    ):
        remote.banks.create("ncii")
        here.banks.create("helpline")
        for name in ("broken", "corrupt", "sound"):
            here.upstreams.add(name, "https://x.example", "/k", remote_bank="ncii", bank="helpline")
        partner = Partner(remote)

        def connect(upstream: Upstream) -> RegisterClient:
            if upstream.name == "broken":
                raise SyncError(upstream="broken", reason="its answer is not as promised")
            if upstream.name == "corrupt":
                raise ValueError("a defect")
            return partner.client

        follower = Follower(here, interval_s=0.05, connect=connect)
        follower.start()
        try:
            remote.entries.register("ncii", [picture(1)])
            _wait(lambda: len(list(here.entries.list("helpline"))) == 1)
            remote.entries.withdraw("ncii", [1])
            _wait(lambda: here.entries.get("helpline", 1).pdqs == ())
            _wait(lambda: here.upstreams.get("corrupt").failures > 1)
            here.upstreams.set_enabled("sound", False)
        finally:
            follower.stop()
        assert here.upstreams.get("broken").last_error == "sync-failed"
        assert here.upstreams.get("corrupt").last_error == "unexpected"
        assert here.upstreams.get("sound").failures == 0
        assert [one.leased_until for one in here.upstreams.list()] == [0, 0, 0]


def test_an_unforeseen_error_does_not_end_the_looking_for_upstreams(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[int] = []

    def broken(_: Upstreams) -> list[Upstream]:
        looks.append(1)
        raise RuntimeError

    monkeypatch.setattr("egide.usecases.follow._LOOK_EVERY_S", 0.01)
    monkeypatch.setattr(Upstreams, "list", broken)
    with Store.open(f"sqlite:///{tmp_path}/here.db", create=True) as here:
        follower = Follower(here)
        follower.start()
        try:
            _wait(lambda: len(looks) > 1)
        finally:
            follower.stop()


def _wait(done) -> None:  # type: ignore[no-untyped-def]
    end = time.monotonic() + DEADLINE_S
    while not done():
        assert time.monotonic() < end
        time.sleep(0.01)


class _Outbox:
    """A store whose outbox is locked until it is opened."""

    def __init__(self) -> None:
        self.locked = True
        self.wants = frozenset({WebhookEvent.DECISION_BLOCK})
        self.written: list[tuple[WebhookEvent, dict[str, object]]] = []
        self.outbox = self.webhooks = self

    def wanted(self) -> frozenset[WebhookEvent]:
        return self.wants

    def add(self, messages: list[tuple[WebhookEvent, dict[str, object]]]) -> int:
        if self.locked:
            raise StoreLocked(store="s")
        self.written += messages
        return len(messages)


def _key() -> Key:
    from datetime import UTC, datetime

    now = datetime.now(UTC)
    return Key(1, "uploads", "h", Role.MATCHER, "x", None, 1, 1, now, "local", None, None)


def _decision(action: Action) -> Decision:
    match = Match(
        entry=1, bank="helpline", signal=Signal.PDQ, distance=0, transform=Transform.IDENTITY,
        trust=Trust.CONFIRMED, frame=0, revision=7,
    )  # fmt: skip
    return Decision(action, (Reason.CONFIRMED_MATCH,), (match,), 7)


def test_what_is_reviewed_only_since_the_register_is_stale_is_no_event() -> None:
    """Every upload would be one, while the store is down."""
    store, unsent = _Outbox(), list[int]()
    store.locked = False
    events = DecisionEvents(store, unsent.append)  # type: ignore[arg-type]
    events.offer(_key(), [Decision(Action.REVIEW, (Reason.STALE_REGISTER,), (), 7)])
    events.flush()
    assert store.written == []


def test_decisions_wait_while_the_store_is_locked_and_what_finds_no_room_is_counted() -> None:
    store, unsent = _Outbox(), list[int]()
    events = DecisionEvents(store, unsent.append, max_waiting=3)  # type: ignore[arg-type]
    events.offer(_key(), [_decision(Action.ALLOW), _decision(Action.REVIEW)])
    events.offer(_key(), [_decision(Action.BLOCK)] * 5)
    assert unsent == [2]
    with pytest.raises(StoreLocked):
        events.flush()
    store.locked = False
    events.flush()
    assert [event for event, _ in store.written] == [WebhookEvent.DECISION_BLOCK] * 3
    assert store.written[0][1]["key"] == "uploads"
    events.flush()
    assert len(store.written) == 3
