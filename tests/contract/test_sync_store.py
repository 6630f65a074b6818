"""What following a partner does to the entries here, on every database."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from egide.domain.model import BankKind, Entry, FeedbackKind, State, Trust
from egide.domain.partners import RemoteChanges
from egide.errors import (
    BankMissing,
    HashInvalid,
    NameInvalid,
    SyncError,
    UpstreamBusy,
    UpstreamChanged,
    UpstreamExists,
    UpstreamMissing,
)
from egide.store.changing import ChangingStore as Store
from egide.usecases.sync import follow_once, send_feedback, sync_once
from store_samples import anchored, picture
from sync_samples import Partner

SOURCE = "sync:partner"


@pytest.fixture
def remote(tmp_path: Path) -> Iterator[Store]:
    with Store.open(f"sqlite:///{tmp_path}/remote.db", create=True) as opened:
        opened.banks.create("ncii")
        yield opened


@pytest.fixture
def partner(remote: Store, store: Store) -> Partner:
    """A partner whose bank `ncii` is followed into `helpline`."""
    store.upstreams.add(
        "partner", "https://partner.example", "/key", remote_bank="ncii", bank="helpline"
    )
    return Partner(remote)


def sync(store: Store, partner: Partner, **options: int) -> dict[str, int]:
    return follow_once(store, "partner", partner.client, **options).applied.counts()


def held(store: Store) -> list[Entry]:
    return list(store.entries.list("helpline"))


def only(store: Store) -> Entry:
    (entry,) = held(store)
    return entry


def test_entries_arrive_unverified_without_notes_and_named_by_their_source(
    store: Store, remote: Store, partner: Partner
) -> None:
    expires = datetime(2099, 1, 1, tzinfo=UTC)
    remote.entries.register(
        "ncii", [picture(1, trust=Trust.CONFIRMED, expires=expires), picture(2)]
    )

    assert sync(store, partner) == {"added": 2}

    first, second = held(store)
    assert (first.pdqs, first.sha256, first.md5) == (
        picture(1).pdqs,
        picture(1).sha256,
        picture(1).md5,
    )
    assert (first.trust, first.state, first.source) == (Trust.UNVERIFIED, State.ACTIVE, SOURCE)
    assert (first.note, first.quality, first.expires) == ("", 90, expires)
    assert second.expires is None
    *_, record = store.log.records(limit=1000)
    assert (record.actor, record.action, record.bank) == (SOURCE, "sync", "helpline")
    assert record.detail["added"] == 2


def test_what_is_no_pictures_fingerprint_is_not_taken_from_a_partner(
    store: Store, remote: Store, partner: Partner
) -> None:
    remote.entries.register("ncii", [replace(picture(1), pdqs=(bytes(32),)), picture(2)])

    assert sync(store, partner) == {"added": 1, "skipped": 1}

    assert only(store).pdqs == picture(2).pdqs
    assert sync(store, partner) == {}


def test_an_entry_from_before_anchored_hashes_gets_them(
    store: Store, remote: Store, partner: Partner
) -> None:
    remote.entries.register("ncii", [picture(1, anchored=None), picture(2)])
    assert sync(store, partner) == {"added": 2}
    remote.entries.register("ncii", [picture(1)])
    revision = store.revision()

    assert sync(store, partner) == {"completed": 1}

    first, second = (entry.id for entry in held(store))
    assert store.anchored.of([first, second]) == {first: anchored(1), second: anchored(2)}
    assert store.revision_info(revision + 1).entries == 1


def test_an_entry_is_taken_without_anchored_hashes_that_no_picture_has(
    store: Store, remote: Store, partner: Partner, monkeypatch: pytest.MonkeyPatch
) -> None:
    remote.entries.register("ncii", [picture(1)])
    changes = partner.changes

    def refused(*asked: object, **options: object) -> RemoteChanges:
        page = changes(*asked, **options)  # type: ignore[arg-type]
        without = [replace(one, anchored=None, anchored_refused=True) for one in page.entries]
        return replace(page, entries=tuple(without))

    monkeypatch.setattr(partner, "changes", refused)

    assert sync(store, partner) == {"added": 1, "anchored_refused": 1}
    assert only(store).pdqs == picture(1).pdqs
    assert only(store).anchored_count == 0


def test_what_is_known_already_changes_nothing(
    store: Store, remote: Store, partner: Partner
) -> None:
    remote.entries.register("ncii", map(picture, range(5)))
    sync(store, partner)
    revision = store.revision()

    assert sync(store, partner) == {}
    assert store.revision() == revision


def test_a_withdrawal_there_erases_here(store: Store, remote: Store, partner: Partner) -> None:
    remote.entries.register("ncii", [picture(1), picture(2)])
    sync(store, partner)
    remote.entries.withdraw("ncii", [1])

    assert sync(store, partner) == {"withdrawn": 1}

    first, second = held(store)
    assert (first.state, first.pdqs, first.sha256, first.md5) == (State.WITHDRAWN, (), None, None)
    assert second.state is State.ACTIVE


def test_a_false_positive_spreads(store: Store, remote: Store, partner: Partner) -> None:
    remote.entries.register("ncii", [picture(1)])
    sync(store, partner)
    remote.entries.tombstone("ncii", [1])

    assert sync(store, partner) == {"tombstoned": 1}
    assert only(store).state is State.TOMBSTONED


def test_whoever_takes_out_what_a_partner_found_false_may_come_back_here_too(
    store: Store, remote: Store, partner: Partner
) -> None:
    remote.entries.register("ncii", [picture(1), picture(2)])
    sync(store, partner)
    ours = next(entry.id for entry in held(store) if entry.pdqs == picture(2).pdqs)
    store.entries.tombstone("helpline", [ours])
    remote.entries.tombstone("ncii", [1, 2])
    sync(store, partner)

    remote.entries.withdraw("ncii", [1, 2])
    assert sync(store, partner) == {"withdrawn": 1}
    remote.entries.register("ncii", [picture(1), picture(2)], again=True)
    assert sync(store, partner) == {"renewed": 1, "kept": 1}
    states = {entry.id: entry.state for entry in held(store)}
    assert states.pop(ours) is State.TOMBSTONED
    assert list(states.values()) == [State.ACTIVE]


def test_what_expired_there_is_erased_here(store: Store, remote: Store, partner: Partner) -> None:
    later = datetime.now(UTC) + timedelta(days=1)
    remote.entries.register("ncii", [picture(1, expires=later)])
    sync(store, partner)
    remote.entries.expire(later + timedelta(seconds=1))

    assert sync(store, partner) == {"withdrawn": 1}
    assert only(store).pdqs == ()


def test_what_is_overdue_there_never_becomes_active_here(
    store: Store, remote: Store, partner: Partner
) -> None:
    remote.entries.register("ncii", [picture(1, expires=datetime.now(UTC) - timedelta(seconds=5))])

    assert sync(store, partner) == {"skipped": 1}
    assert held(store) == []


def test_who_changed_their_mind_there_is_active_again_here(
    store: Store, remote: Store, partner: Partner
) -> None:
    remote.entries.register("ncii", [picture(1)])
    sync(store, partner)
    remote.entries.withdraw("ncii", [1])
    sync(store, partner)
    remote.entries.register("ncii", [picture(1)], again=True)

    assert sync(store, partner) == {"renewed": 1}
    assert only(store).state is State.ACTIVE
    assert only(store).pdqs == picture(1).pdqs

    remote.entries.withdraw("ncii", [1])
    assert sync(store, partner) == {"withdrawn": 1}


@pytest.mark.parametrize("ended", [State.WITHDRAWN, State.TOMBSTONED])
def test_what_somebody_here_ended_no_partner_brings_back(
    store: Store, remote: Store, partner: Partner, ended: State
) -> None:
    remote.entries.register("ncii", [picture(1)])
    sync(store, partner)
    end = store.entries.withdraw if ended is State.WITHDRAWN else store.entries.tombstone
    end("helpline", [1])

    remote.entries.dispute("ncii", [1])
    assert sync(store, partner) == {"kept": 1}
    remote.entries.withdraw("ncii", [1])
    sync(store, partner)
    remote.entries.register("ncii", [picture(1)], again=True)
    assert sync(store, partner) == {"kept": 1}
    assert only(store).state is ended


def test_the_same_picture_of_somebody_else_stays(
    store: Store, remote: Store, partner: Partner
) -> None:
    store.entries.register("helpline", [picture(1)])
    remote.entries.register("ncii", [picture(1), picture(1, source="another person")])
    assert sync(store, partner) == {"added": 2}
    remote.entries.withdraw("ncii", [1])
    sync(store, partner)

    assert [(entry.source, entry.state) for entry in held(store)] == [
        ("local", State.ACTIVE),
        (SOURCE, State.WITHDRAWN),
        (SOURCE, State.ACTIVE),
    ]


def test_trust_follows_the_map(store: Store, remote: Store) -> None:
    store.upstreams.add(
        "partner",
        "https://partner.example",
        "/key",
        remote_bank="ncii",
        bank="helpline",
        trust_map={Trust.CONFIRMED: Trust.CONFIRMED},
    )
    partner = Partner(remote)
    remote.entries.register("ncii", [picture(1)])
    sync(store, partner)
    assert only(store).trust is Trust.UNVERIFIED
    remote.entries.confirm("ncii", [1])
    assert sync(store, partner) == {"judged": 1}
    assert only(store).trust is Trust.CONFIRMED
    remote.entries.dispute("ncii", [1])
    sync(store, partner)
    assert only(store).trust is Trust.DISPUTED


def test_a_judgement_here_stands_but_for_a_dispute(
    store: Store, remote: Store, partner: Partner
) -> None:
    remote.entries.register("ncii", [picture(1)])
    sync(store, partner)
    store.entries.confirm("helpline", [1])
    remote.entries.confirm("ncii", [1])
    assert sync(store, partner) == {}
    assert only(store).trust is Trust.CONFIRMED

    remote.entries.dispute("ncii", [1])
    sync(store, partner)
    assert only(store).trust is Trust.DISPUTED
    store.entries.confirm("helpline", [1])
    remote.entries.confirm("ncii", [1])
    sync(store, partner)
    assert only(store).trust is Trust.CONFIRMED


def test_withdrawals_come_before_anything_else(
    store: Store, remote: Store, partner: Partner
) -> None:
    remote.entries.register("ncii", map(picture, range(3)))
    sync(store, partner)
    remote.entries.register("ncii", map(picture, range(10, 40)))
    remote.entries.withdraw("ncii", [1, 2, 3])

    states: list[list[State]] = []

    def note(partner: Partner) -> None:
        if not partner.asked[-1][2]:
            states.append([store.entries.get("helpline", number).state for number in (1, 2, 3)])

    partner.before = note
    sync(store, partner, page_entries=10)
    assert len(states) > 2
    assert states[0] == [State.WITHDRAWN] * 3


def test_following_goes_on_where_it_broke(store: Store, remote: Store, partner: Partner) -> None:
    remote.entries.register("ncii", map(picture, range(95)))
    remote.entries.withdraw("ncii", list(range(1, 96, 7)))

    def fail(partner: Partner) -> None:
        if len(partner.asked) % 3 == 0:
            raise SyncError(upstream="partner", reason="gone")

    partner.before = fail
    breaks = 0
    while True:
        try:
            sync(store, partner, page_entries=10)
            break
        except SyncError:
            breaks += 1
    assert breaks > 3

    assert len(held(store)) == 81
    assert [entry.pdqs for entry in held(store)] == [
        picture(n).pdqs for n in range(95) if n % 7 != 0
    ]
    partner.before = lambda _: None
    assert sync(store, partner) == {}


def test_a_page_is_applied_whole_or_not_at_all(
    store: Store, remote: Store, partner: Partner
) -> None:
    remote.entries.register("ncii", map(picture, range(10)))
    upstream = store.upstreams.get("partner")
    page = partner.changes(0, 0, 1000, "ncii")
    broken = replace(page, entries=(*page.entries[:9], replace(page.entries[9], pdqs=(b"short",))))
    before = store.revision()

    with pytest.raises(HashInvalid):
        store.upstreams.apply(upstream, broken, ended=False)
    assert held(store) == []
    assert store.revision() == before
    assert store.upstreams.get("partner") == upstream

    assert sync(store, partner) == {"added": 10}


def test_a_page_that_is_older_than_what_is_here_is_not_used(
    store: Store, remote: Store, partner: Partner
) -> None:
    remote.entries.register("ncii", [picture(1)])
    old = store.upstreams.get("partner")
    page = partner.changes(0, 0, 1000, "ncii")
    sync(store, partner)
    remote.entries.withdraw("ncii", [1])
    sync(store, partner)

    with pytest.raises(UpstreamBusy):
        store.upstreams.apply(old, page, ended=False)
    assert only(store).state is State.WITHDRAWN


def test_another_register_behind_the_same_url_is_refused(
    store: Store, remote: Store, partner: Partner, tmp_path: Path
) -> None:
    remote.entries.register("ncii", [picture(1)])
    sync(store, partner)
    with Store.open(f"sqlite:///{tmp_path}/third.db", create=True) as third:
        third.banks.create("ncii")
        third.entries.register("ncii", map(picture, range(5)))
        third.entries.withdraw("ncii", [1])
        with pytest.raises(UpstreamChanged):
            sync(store, Partner(third))
    assert only(store).state is State.ACTIVE


def test_a_register_that_went_back_in_time_is_refused(
    store: Store, remote: Store, partner: Partner
) -> None:
    remote.entries.register("ncii", [picture(1)])
    upstream = store.upstreams.get("partner")
    page = partner.changes(0, 0, 1000, "ncii")
    store.upstreams.apply(upstream, page, ended=False)
    upstream = store.upstreams.get("partner")
    with pytest.raises(UpstreamChanged):
        store.upstreams.apply(
            upstream, replace(page, entries=(), revision=page.revision - 1), ended=False
        )


def test_a_number_that_means_another_picture_is_refused(
    store: Store, remote: Store, partner: Partner
) -> None:
    remote.entries.register("ncii", [picture(1)])
    sync(store, partner)
    remote.entries.confirm("ncii", [1])
    upstream = store.upstreams.get("partner")
    page = partner.changes(upstream.position.since, upstream.position.after, 10, "ncii")
    (entry,) = page.entries
    other = replace(page, entries=(replace(entry, pdqs=picture(9).pdqs),))
    with pytest.raises(UpstreamChanged):
        store.upstreams.apply(upstream, other, ended=False)
    assert only(store).pdqs == picture(1).pdqs


def test_a_register_does_not_follow_itself(store: Store) -> None:
    store.entries.register("helpline", [picture(1)])
    store.upstreams.add(
        "partner", "https://self.example", "/key", remote_bank="helpline", bank="helpline"
    )
    with pytest.raises(SyncError, match="itself"):
        sync(store, Partner(store))
    assert len(held(store)) == 1


@pytest.mark.parametrize("there", list(BankKind))
def test_entries_are_followed_into_a_bank_of_their_kind_alone(
    store: Store, remote: Store, there: BankKind
) -> None:
    for kind in BankKind:
        store.banks.create(f"here-{kind}", kind=kind)
        store.upstreams.add(
            f"into-{kind}", "https://p.example", "/key", remote_bank="there", bank=f"here-{kind}"
        )
    remote.banks.create("there", kind=there)
    remote.entries.register("there", [picture(1)])
    partner = Partner(remote)
    for kind in BankKind:
        if kind is there:
            follow_once(store, f"into-{kind}", partner.client)
        else:
            with pytest.raises(SyncError, match=f"bank there is {there} and here-{kind} here"):
                follow_once(store, f"into-{kind}", partner.client)
        assert len(list(store.entries.list(f"here-{kind}"))) == (kind is there)


def test_two_registers_that_follow_each_other_do_not_echo(
    store: Store, remote: Store, partner: Partner
) -> None:
    remote.upstreams.add(
        "partner", "https://back.example", "/key", remote_bank="helpline", bank="ncii"
    )
    back = Partner(store)
    remote.entries.register("ncii", [picture(1)])
    store.entries.register("helpline", [picture(2)])
    for _ in range(3):
        sync(store, partner)
        sync(remote, back)
    assert len(held(store)) == len(list(remote.entries.list("ncii"))) == 2

    remote.entries.withdraw("ncii", [1])
    sync(store, partner)
    sync(remote, back)
    held_there = [
        entry for one in (store, remote) for entry in one.entries.list(one.banks.list()[0].name)
    ]
    assert [entry.state for entry in held_there].count(State.WITHDRAWN) == 2


def test_a_paused_upstream_goes_on_later(store: Store, remote: Store, partner: Partner) -> None:
    remote.entries.register("ncii", [picture(1)])
    store.upstreams.set_enabled("partner", False)
    with pytest.raises(SyncError, match="paused"):
        sync(store, partner)
    assert held(store) == []
    store.upstreams.set_enabled("partner", True)
    assert sync(store, partner) == {"added": 1}


def test_removing_an_upstream_erases_its_entries_and_adding_it_brings_them_back(
    store: Store, remote: Store, partner: Partner
) -> None:
    remote.entries.register("ncii", map(picture, range(3)))
    sync(store, partner)
    store.entries.register("helpline", [picture(50)])

    assert store.upstreams.remove("partner") == 3
    assert [(entry.state, bool(entry.pdqs)) for entry in held(store)] == [
        (State.EXPIRED, False)
    ] * 3 + [(State.ACTIVE, True)]
    with pytest.raises(UpstreamMissing):
        store.upstreams.get("partner")

    store.upstreams.add(
        "partner", "https://partner.example", "/key", remote_bank="ncii", bank="helpline"
    )
    assert sync(store, partner) == {"renewed": 3}
    assert len(held(store)) == 4


def test_changes_count_as_followed_where_only_the_feedback_failed(
    store: Store, remote: Store, partner: Partner, monkeypatch: pytest.MonkeyPatch
) -> None:
    remote.entries.register("ncii", [picture(1)])
    monkeypatch.setattr("egide.usecases.sync.connect", lambda *_, **__: partner.client)
    sync_once(store, "partner")
    at = datetime(2026, 11, 1, 12, tzinfo=UTC)
    store.feedback.add_all("helpline", [(1, FeedbackKind.REMOVED, at)], partner="platform")

    def refuse(_: object) -> None:
        raise SyncError(upstream="partner", reason="gone")

    monkeypatch.setattr(partner, "send_feedback", refuse)
    with pytest.raises(SyncError):
        sync_once(store, "partner")
    upstream = store.upstreams.get("partner")
    assert (upstream.failures, upstream.last_error) == (0, SyncError.code)


def test_upstreams_have_a_name_and_a_bank(store: Store, partner: Partner) -> None:
    add = store.upstreams.add
    with pytest.raises(UpstreamExists):
        add("partner", "https://x.example", "/key", remote_bank="ncii", bank="helpline")
    with pytest.raises(NameInvalid):
        add("a/b", "https://x.example", "/key", remote_bank="ncii", bank="helpline")
    with pytest.raises(BankMissing):
        add("other", "https://x.example", "/key", remote_bank="ncii", bank="nowhere")
    assert [one.name for one in store.upstreams.list()] == ["partner"]


def test_one_process_at_a_time_follows(
    open_store: Callable[[], Store], store: Store, partner: Partner
) -> None:
    other = open_store()
    assert store.upstreams.lease("partner", "a", 60)
    assert not other.upstreams.lease("partner", "b", 60)
    assert store.upstreams.lease("partner", "a", 60)
    store.upstreams.release("a")
    assert other.upstreams.lease("partner", "b", 0)
    assert store.upstreams.lease("partner", "a", 60)


def test_failures_are_counted_until_the_next_success(store: Store, partner: Partner) -> None:
    assert store.upstreams.failed("partner", "sync-failed") == 1
    assert store.upstreams.failed("partner", "upstream-refused") == 2
    upstream = store.upstreams.get("partner")
    assert (upstream.failures, upstream.last_error) == (2, "upstream-refused")
    assert upstream.last_success is None
    store.upstreams.succeeded("partner")
    upstream = store.upstreams.get("partner")
    assert (upstream.failures, upstream.last_error) == (0, None)
    assert upstream.last_success is not None


def test_feedback_reaches_the_partner_once_and_dated(
    store: Store, remote: Store, partner: Partner
) -> None:
    remote.entries.register("ncii", [picture(7), picture(8)])
    store.entries.register("helpline", [picture(1)])
    sync(store, partner)
    at = datetime(2026, 11, 1, 12, tzinfo=UTC)
    number = next(entry.id for entry in held(store) if entry.pdqs == picture(8).pdqs)
    store.feedback.add_all("helpline", [(number, FeedbackKind.REMOVED, at)], partner="platform")
    store.feedback.add_all("helpline", [(1, FeedbackKind.REMOVED, at)], partner="platform")

    def fail(_: Partner) -> None:
        raise SyncError(upstream="partner", reason="gone")

    partner.before = fail
    with pytest.raises(SyncError):
        send_feedback(store, "partner", partner.client)
    partner.before = lambda _: None
    assert send_feedback(store, "partner", partner.client) == 1
    assert send_feedback(store, "partner", partner.client) == 0

    (said,) = remote.feedback.of_entry("ncii", 2)
    assert (said.partner, said.kind, said.at) == ("partner", FeedbackKind.REMOVED, at)
    assert remote.feedback.of_entry("ncii", 1) == []
