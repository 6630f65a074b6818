"""Cases, attempts and what partners were given, whatever database holds them."""

from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from case_samples import image, submission
from egide.domain.access import Key, Role
from egide.domain.cases import Authority, Case, CaseState, ConfirmReason, ImageKind, new_number
from egide.domain.model import FeedbackKind, State, Trust
from egide.errors import (
    BankMissing,
    CaseEnded,
    CaseFull,
    CaseNotFound,
    ImageMissing,
    SubmissionConflict,
    TooManyAttempts,
)
from egide.store.cases.attempts import CASE, ORIGIN, PAIR, Attempts
from egide.store.changing import ChangingStore as Store
from egide.store.copying import restore_store
from egide.store.tables.cases import case_attempts, case_images, cases, partner_reads, sessions
from egide.store.tables.register import entries

LIFETIME = timedelta(days=730)
DAY = timedelta(days=1)
NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
NUMBER, OTHER = "482177309154", "000000005724"
HOME, ELSEWHERE = "192.0.2.1", "198.51.100.7"
_submissions = count()


@pytest.fixture
def patient(store: Store, store_url: str) -> Iterator[Store]:
    """The same store for many threads, which wait for one another as long as it takes."""
    with Store.open(store_url, busy_timeout_s=60) as opened:
        yield opened


def opened(store: Store, *numbers: int, lifetime: timedelta = LIFETIME) -> Case:
    """A case with these pictures."""
    made = store.cases.open(
        "helpline",
        [image(number) for number in numbers or (1, 2)],
        new_number=new_number,
        pin_hash="a hash",
        lifetime=lifetime,
        submission=submission(next(_submissions)),
    )
    return store.cases.get(made.case_id)


def added(store: Store, case: Case, *numbers: int, max_images: int = 100) -> Case:
    images = [image(number) for number in numbers]
    name = submission(next(_submissions))
    store.cases.add(case.id, images, submission=name, max_images=max_images)
    return store.cases.get(case.id)


def make_overdue(store: Store, case: Case) -> None:
    """Have the time of a case be up, as if it had been opened long ago."""
    with store._database.write() as connection:
        past = int(datetime.now(UTC).timestamp()) - 10
        own = [one.entry for one in case.images]
        connection.execute(sa.update(cases).where(cases.c.id == case.id).values(expires=past))
        connection.execute(sa.update(entries).where(entries.c.id.in_(own)).values(expires=past))


def states(case: Case) -> list[State]:
    return [one.state for one in case.images]


def logged(store: Store) -> list[str]:
    return [record.action for record in store.log.records()]


def active_digests(store: Store) -> Counter[bytes | None]:
    return Counter(one.sha256 for one in store.entries.list("helpline", state=State.ACTIVE))


def rows(store: Store, table: sa.Table) -> int:
    with store._database.read() as connection:
        return connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()


class TestOpening:
    def test_each_image_becomes_an_unverified_entry_of_its_own_source(self, store: Store) -> None:
        case = opened(store, 1, 2, 3)
        found = list(store.entries.list("helpline"))
        assert [one.entry for one in case.images] == [one.id for one in found]
        assert [one.pdqs for one in found] == [(image(number).pdq,) for number in (1, 2, 3)]
        assert {(one.state, one.trust, one.note) for one in found} == {
            (State.ACTIVE, Trust.UNVERIFIED, "")
        }
        assert len({one.source for one in found}) == 3
        assert all(one.source.startswith("person-") for one in found)
        assert {one.expires for one in found} == {case.expires}
        assert case.expires - case.created == LIFETIME
        assert (case.state, case.ended) == (CaseState.OPEN, None)
        assert (case.authority, case.opened_by) == (Authority.SELF, None)

    def test_one_picture_in_two_cases_is_two_entries(self, store: Store) -> None:
        opened(store, 1)
        opened(store, 1)
        assert active_digests(store) == {image(1).sha256: 2}

    def test_case_is_found_by_its_number_in_its_own_bank(self, store: Store) -> None:
        store.banks.create("other")
        case = opened(store)
        assert store.cases.find("helpline", case.number) == (case.id, "a hash")
        assert store.cases.find("other", case.number) is None
        assert store.cases.find("helpline", OTHER) is None

    def test_number_that_is_taken_is_drawn_again(self, store: Store) -> None:
        numbers = iter([NUMBER, NUMBER, OTHER])
        for name in (1001, 1002):
            store.cases.open(
                "helpline",
                [image(1)],
                new_number=lambda: next(numbers),
                pin_hash="a hash",
                lifetime=LIFETIME,
                submission=submission(name),
            )
        assert store.cases.find("helpline", OTHER) is not None

    def test_nothing_stays_of_a_case_for_a_missing_bank(self, store: Store) -> None:
        with pytest.raises(BankMissing):
            store.cases.open(
                "nowhere",
                [image(1)],
                new_number=new_number,
                pin_hash="a hash",
                lifetime=LIFETIME,
                submission=submission(1003),
            )
        assert rows(store, cases) == 0
        assert "case-open" not in logged(store)

    def test_what_is_sent_twice_is_one_case(self, store: Store) -> None:
        def send(*numbers: int) -> tuple[int, bool]:
            made = store.cases.open(
                "helpline",
                [image(number) for number in numbers],
                new_number=new_number,
                pin_hash="a hash",
                lifetime=LIFETIME,
                submission=submission(1004),
            )
            return made.case_id, made.new

        first, again = send(1, 2), send(1, 2)
        assert first == (again[0], True)
        assert again[1] is False
        assert len(list(store.entries.list("helpline"))) == 2
        assert logged(store).count("case-open") == 1
        with pytest.raises(SubmissionConflict):
            send(1, 3)
        with pytest.raises(SubmissionConflict):
            store.cases.submitted(submission(1004), [image(1)])
        known = store.cases.submitted(submission(1004), [image(1), image(2)])
        assert known is not None
        assert known.case_id == first[0]

    def test_what_is_sent_by_two_at_once_is_one_case(self, patient: Store) -> None:
        def send(_: int) -> int:
            return patient.cases.open(
                "helpline",
                [image(1)],
                new_number=new_number,
                pin_hash="a hash",
                lifetime=LIFETIME,
                submission=submission(1005),
            ).case_id

        with ThreadPoolExecutor(8) as pool:
            assert len(set(pool.map(send, range(8)))) == 1
        assert rows(patient, cases) == 1
        assert len(list(patient.entries.list("helpline"))) == 1


class TestAdding:
    def test_new_images_stand_beside_the_old_ones(self, store: Store) -> None:
        case = added(store, opened(store, 1), 2, 3)
        assert len(case.images) == 3
        assert len({one.source for one in store.entries.list("helpline")}) == 3
        assert {one.expires for one in store.entries.list("helpline")} == {case.expires}

    def test_images_that_are_there_are_left_as_they_are(self, store: Store) -> None:
        case = opened(store, 1, 2)
        revision = store.revision()
        assert added(store, case, 2, 1) == case
        assert store.revision() == revision
        assert len(added(store, case, 2, 3).images) == 3

    def test_withdrawn_image_can_be_added_again(self, store: Store) -> None:
        case = opened(store, 1)
        store.cases.withdraw_image(case.id, case.images[0].id)
        assert states(added(store, case, 1)) == [State.WITHDRAWN, State.ACTIVE]

    def test_image_from_before_anchored_hashes_gets_them(self, store: Store) -> None:
        case = store.cases.get(
            store.cases.open(
                "helpline",
                [replace(image(1), anchored=None), image(2)],
                new_number=new_number,
                pin_hash="a hash",
                lifetime=LIFETIME,
                submission=submission(next(_submissions)),
            ).case_id
        )
        entries_of = [one.entry for one in case.images]
        assert set(store.anchored.of(entries_of)) == {entries_of[1]}
        revision = store.revision()
        assert added(store, case, 1, 2).images == case.images
        kept = {entries_of[0]: image(1).anchored, entries_of[1]: image(2).anchored}
        assert store.anchored.of(entries_of) == kept
        assert store.revision() == revision + 1
        assert store.revision_info(revision + 1).entries == 1
        added(store, case, 1, 2)
        assert store.revision() == revision + 1

    def test_case_holds_so_many_and_no_more(self, store: Store) -> None:
        case = opened(store, 1, 2)
        with pytest.raises(CaseFull) as raised:
            added(store, case, 3, 4, max_images=3)
        assert raised.value.fields == {"limit": 3}
        assert store.cases.get(case.id) == case
        store.cases.withdraw_image(case.id, case.images[0].id)
        assert len(added(store, case, 3, max_images=3).images) == 3
        with pytest.raises(CaseFull):  # or one case could hold any number, one after another
            added(store, case, 4, max_images=3)

    def test_same_submission_adds_once_and_to_one_case(self, store: Store) -> None:
        one, other = opened(store, 1), opened(store, 2)
        for _ in range(2):
            store.cases.add(one.id, [image(9)], submission=submission(1006), max_images=9)
        assert len(store.cases.get(one.id).images) == 2
        with pytest.raises(SubmissionConflict):
            store.cases.add(other.id, [image(9)], submission=submission(1006), max_images=9)

    def test_ended_case_takes_nothing(self, store: Store) -> None:
        case = opened(store)
        store.cases.withdraw(case.id)
        with pytest.raises(CaseEnded) as raised:
            added(store, case, 3)
        assert raised.value.fields == {"state": "withdrawn"}
        assert len(list(store.entries.list("helpline"))) == 2

    def test_overdue_case_takes_nothing_although_nobody_has_swept(self, store: Store) -> None:
        case = opened(store)
        make_overdue(store, case)
        with pytest.raises(CaseEnded) as raised:
            added(store, case, 3)
        assert raised.value.fields == {"state": "expired"}

    def test_adding_while_withdrawing_leaves_nothing_active(self, patient: Store) -> None:
        case = opened(patient, 0)

        def act(number: int) -> None:
            if number == 3:
                patient.cases.withdraw(case.id)
                return
            try:
                added(patient, case, 10 + number)
            except CaseEnded:
                return

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(act, range(8)))
        assert active_digests(patient) == {}
        assert set(states(patient.cases.get(case.id))) == {State.WITHDRAWN}


class TestWithdrawing:
    def test_fingerprints_of_the_case_are_erased_and_no_others(self, store: Store) -> None:
        case, other = opened(store, 1, 2), opened(store, 2, 3)
        revision = store.revision()
        store.cases.withdraw(case.id)
        withdrawn = store.cases.get(case.id)
        assert withdrawn.state is CaseState.WITHDRAWN
        assert withdrawn.ended is not None
        assert states(withdrawn) == [State.WITHDRAWN, State.WITHDRAWN]
        assert store.cases.get(other.id) == other
        assert active_digests(store) == {image(2).sha256: 1, image(3).sha256: 1}
        erased = [store.entries.get("helpline", one.entry) for one in case.images]
        assert {(one.pdqs, one.sha256, one.md5) for one in erased} == {((), None, None)}
        told = store.feed.page(revision, limit=10)
        assert [one.id for one in told.entries] == [one.entry for one in case.images]

    def test_withdrawing_again_changes_nothing(self, store: Store) -> None:
        case = opened(store)
        store.cases.withdraw(case.id)
        withdrawn, revision = store.cases.get(case.id), store.revision()
        store.cases.withdraw(case.id)
        store.cases.withdraw_image(case.id, case.images[0].id)
        assert store.cases.get(case.id) == withdrawn
        assert store.revision() == revision
        assert logged(store).count("case-withdraw") == 1

    def test_two_at_once_are_one_withdrawal(self, patient: Store) -> None:
        case = opened(patient)
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda _: patient.cases.withdraw(case.id), range(4)))
        assert logged(patient).count("case-withdraw") == 1

    def test_false_positive_is_shown_as_one_until_its_person_withdraws_it(
        self, store: Store
    ) -> None:
        case = opened(store, 1, 2)
        store.entries.tombstone("helpline", [case.images[0].entry])
        assert states(store.cases.get(case.id)) == [State.TOMBSTONED, State.ACTIVE]
        store.cases.withdraw(case.id)
        assert states(store.cases.get(case.id)) == [State.WITHDRAWN, State.WITHDRAWN]

    def test_case_whose_images_are_all_gone_can_still_be_withdrawn(self, store: Store) -> None:
        case = opened(store, 1)
        store.cases.withdraw_image(case.id, case.images[0].id)
        store.cases.withdraw(case.id)
        assert store.cases.get(case.id).state is CaseState.WITHDRAWN
        assert logged(store)[-2:] == ["case-withdraw", "case-withdraw"]
        assert store.log.verify().records == len(logged(store))

    def test_one_image_leaves_the_others(self, store: Store) -> None:
        case, other = opened(store, 1, 2), opened(store, 3)
        store.cases.withdraw_image(case.id, case.images[1].id)
        left = store.cases.get(case.id)
        assert (left.state, states(left)) == (CaseState.OPEN, [State.ACTIVE, State.WITHDRAWN])
        for number in (other.images[0].id, 0, -1, 10**6, 2**63):
            with pytest.raises(ImageMissing):
                store.cases.withdraw_image(case.id, number)
        assert store.cases.get(other.id) == other

    @pytest.mark.parametrize("number", [0, -1, 10**6, 2**63])
    def test_missing_case_is_said_to_be_missing(self, store: Store, number: int) -> None:
        for act in (store.cases.withdraw, store.cases.get):
            with pytest.raises(CaseNotFound):
                act(number)


class TestExpiring:
    def test_extending_moves_the_case_and_its_active_entries(self, store: Store) -> None:
        case = opened(store, 1, 2, lifetime=10 * DAY)
        store.cases.withdraw_image(case.id, case.images[0].id)
        store.cases.extend(case.id, LIFETIME)
        extended = store.cases.get(case.id)
        assert extended.expires > case.expires + 700 * DAY
        first, second = (store.entries.get("helpline", one.entry).expires for one in case.images)
        assert (first, second) == (case.expires, extended.expires)
        assert store.feed.page(store.revision() - 1, limit=9).entries[0].expires == second

    def test_extending_by_less_than_a_day_changes_nothing(self, store: Store) -> None:
        case, revision = opened(store), store.revision()
        store.cases.extend(case.id, LIFETIME + DAY / 2)
        assert (store.cases.get(case.id), store.revision()) == (case, revision)

    def test_case_whose_time_is_up_ends_with_its_entries(self, store: Store) -> None:
        overdue, other = opened(store, 1, 2), opened(store, 1)
        assert store.cases.expire() == 0
        make_overdue(store, overdue)
        shown = store.cases.get(overdue.id)
        assert (shown.state, states(shown)) == (CaseState.EXPIRED, [State.EXPIRED] * 2)
        assert shown.ended == shown.expires
        assert store.cases.expire() == 1
        assert store.cases.get(overdue.id) == shown
        assert active_digests(store) == {image(1).sha256: 1}
        assert {store.entries.get("helpline", one.entry).sha256 for one in shown.images} == {None}
        assert store.cases.get(other.id) == other
        assert store.cases.expire() == 0

    def test_case_ends_also_where_its_entries_were_swept_before(self, store: Store) -> None:
        case = opened(store)
        make_overdue(store, case)
        assert store.entries.expire() == 2
        assert store.cases.expire() == 1
        assert logged(store)[-1] == "case-expire"
        assert states(store.cases.get(case.id)) == [State.EXPIRED] * 2

    def test_after_the_end_there_is_no_extending(self, store: Store) -> None:
        case = opened(store)
        make_overdue(store, case)
        with pytest.raises(CaseEnded):
            store.cases.extend(case.id, LIFETIME)
        store.cases.expire()
        with pytest.raises(CaseEnded):
            store.cases.extend(case.id, LIFETIME)
        assert active_digests(store) == {}

    def test_expired_case_cannot_be_withdrawn_any_more(self, store: Store) -> None:
        case = opened(store)
        make_overdue(store, case)
        store.cases.expire()
        store.cases.withdraw(case.id)
        assert store.cases.get(case.id).state is CaseState.EXPIRED

    def test_of_a_case_that_ended_long_ago_nothing_is_left(self, store: Store) -> None:
        partner = store.keys.create("meta", Role.PARTNER, "somebody")[0]
        case, other = opened(store, 1, 2), opened(store, 3)
        store.given.entries(partner, list(store.entries.list("helpline")), way="changes")
        token = store.sessions.start("case", case.id, idle_s=600, longest_s=10**8)
        kept = store.sessions.start("case", other.id, idle_s=10**8, longest_s=10**8)
        store.cases.withdraw(case.id)
        now = datetime.now(UTC)
        assert store.cases.forget(30 * DAY, now + 29 * DAY) == 0
        assert store.cases.get(case.id).number == case.number
        assert store.cases.forget(30 * DAY, now + 31 * DAY) == 1
        with pytest.raises(CaseNotFound):
            store.cases.get(case.id)
        assert store.cases.find("helpline", case.number) is None
        assert store.cases.get(other.id) == other
        assert (rows(store, cases), rows(store, case_images), rows(store, sessions)) == (1, 1, 1)
        assert rows(store, partner_reads) == 1
        assert store.sessions.find(token) is None
        assert store.sessions.find(kept) is not None
        assert store.entries.get("helpline", case.images[0].entry).state is State.WITHDRAWN
        store.log.verify()

    def test_submission_is_forgotten_after_a_day_and_its_case_stays(self, store: Store) -> None:
        name = submission(1007)
        case = opened(store, 1)
        store.cases.add(case.id, [image(2)], submission=name, max_images=9)
        now = datetime.now(UTC)
        store.cases.forget(30 * DAY, now + DAY / 2)
        assert store.cases.submitted(name, [image(2)]) is not None
        store.cases.forget(30 * DAY, now + 2 * DAY)
        assert store.cases.submitted(name, [image(2)]) is None
        assert len(store.cases.get(case.id).images) == 2


class TestConfirming:
    def test_helpline_raises_the_trust_of_what_nobody_disputes(self, store: Store) -> None:
        case, other = opened(store, 1, 2, 3, 4), opened(store, 1)
        store.entries.dispute("helpline", [case.images[0].entry])
        store.entries.tombstone("helpline", [case.images[1].entry])
        store.cases.withdraw_image(case.id, case.images[2].id)
        store.cases.confirm(case.id, ConfirmReason.SPOKE_WITH_PERSON)
        assert [one.trust for one in store.cases.get(case.id).images] == [
            Trust.DISPUTED,
            Trust.UNVERIFIED,
            Trust.UNVERIFIED,
            Trust.CONFIRMED,
        ]
        assert store.cases.get(other.id) == other
        [summary] = store.cases.page("helpline", limit=9)[1:]
        assert (summary.images, summary.active, summary.confirmed) == (4, 2, 1)
        assert (summary.disputed, summary.false_positives) == (1, 1)

    def test_second_confirmation_changes_nothing(self, store: Store) -> None:
        case = opened(store)
        store.cases.confirm(case.id, ConfirmReason.SAW_PROOF)
        store.cases.confirm(case.id, ConfirmReason.KNOWN_TO_US)
        assert logged(store).count("case-confirm") == 1

    def test_ended_case_is_not_confirmed(self, store: Store) -> None:
        case = opened(store)
        store.cases.withdraw(case.id)
        with pytest.raises(CaseEnded):
            store.cases.confirm(case.id, ConfirmReason.SAW_PROOF)


class TestPages:
    def test_newest_come_first_in_pages(self, store: Store) -> None:
        made = [opened(store, number).id for number in range(5)]
        first = store.cases.page("helpline", limit=2)
        rest = store.cases.page("helpline", before=first[-1].id, limit=9)
        assert [one.id for one in [*first, *rest]] == made[::-1]
        assert store.cases.page("helpline", before=2**70, limit=9)[0].id == made[-1]
        assert store.cases.page("nowhere", limit=9) == []

    def test_cases_are_picked_by_state_overdue_ones_as_expired(self, store: Store) -> None:
        standing, withdrawn, overdue = (opened(store, number) for number in range(3))
        store.cases.withdraw(withdrawn.id)
        make_overdue(store, overdue)

        def found(state: CaseState) -> list[tuple[int, CaseState, int]]:
            page = store.cases.page("helpline", limit=9, state=state)
            return [(one.id, one.state, one.active) for one in page]

        assert found(CaseState.OPEN) == [(standing.id, CaseState.OPEN, 1)]
        assert found(CaseState.WITHDRAWN) == [(withdrawn.id, CaseState.WITHDRAWN, 0)]
        assert found(CaseState.EXPIRED) == [(overdue.id, CaseState.EXPIRED, 0)]

    def test_cases_are_picked_by_the_trust_of_an_active_image(self, store: Store) -> None:
        waiting, vouched, doubted, mixed, withdrawn, overdue = (
            opened(store, 2 * number, 2 * number + 1) for number in range(6)
        )
        for case in (vouched, withdrawn, overdue):
            store.cases.confirm(case.id, ConfirmReason.SAW_PROOF)
        store.entries.dispute("helpline", [image.entry for image in doubted.images])
        store.entries.dispute("helpline", [mixed.images[0].entry])
        store.cases.withdraw(withdrawn.id)
        make_overdue(store, overdue)

        def found(trust: Trust, **given: Any) -> list[int]:
            page = store.cases.page("helpline", trust=trust, **{"limit": 9} | given)
            return [one.id for one in page]

        assert found(Trust.UNVERIFIED) == [mixed.id, waiting.id]
        assert found(Trust.UNVERIFIED, limit=1) == [mixed.id]
        assert found(Trust.UNVERIFIED, before=mixed.id) == [waiting.id]
        assert found(Trust.CONFIRMED) == [vouched.id]
        assert found(Trust.DISPUTED) == [mixed.id, doubted.id]
        assert found(Trust.CONFIRMED, state=CaseState.WITHDRAWN) == []
        assert found(Trust.CONFIRMED, state=CaseState.EXPIRED) == []


def test_log_tells_what_was_done_and_never_the_number(store: Store) -> None:
    case = opened(store, 1)
    added(store, case, 2)
    store.cases.confirm(case.id, ConfirmReason.SPOKE_WITH_PERSON)
    store.cases.extend(case.id, 2 * LIFETIME)
    store.acting_as("case:owner").cases.withdraw(case.id)
    records = list(store.log.records())[1:]
    assert [one.action for one in records] == [
        "case-open",
        "case-add",
        "case-confirm",
        "case-extend",
        "case-withdraw",
    ]
    assert [one.actor for one in records] == ["local"] * 4 + ["case:owner"]
    assert [len(one.subjects) for one in records] == [1, 1, 2, 2, 2]
    assert {one.detail["case"] for one in records} == {store.cases.reference(case.id)}
    assert records[2].detail["reason"] == "spoke-with-person"
    assert case.number not in repr(records)
    store.log.verify()


class TestAttempts:
    """Figures: five failures at one place, twenty for one number, fifty for one place."""

    def fail(self, attempts: Attempts, number: str, origin: str, now: datetime) -> int:
        """Fail once; return how many seconds one is to wait instead, or 0."""
        try:
            attempts.begin(number, origin, now=now)
        except TooManyAttempts as error:
            wait_s = error.fields["retry_after_s"]
            assert isinstance(wait_s, int)
            return wait_s
        return 0

    def test_waiting_doubles_up_to_an_hour_and_never_ends_in_refusal(self, store: Store) -> None:
        now, waits = NOW, []
        for _ in range(PAIR.free + 1):
            assert self.fail(store.attempts, NUMBER, HOME, now) == 0
        for _ in range(12):
            wait_s = self.fail(store.attempts, NUMBER, HOME, now)
            # A refused attempt does not count, so hammering makes the wait no longer.
            assert self.fail(store.attempts, NUMBER, HOME, now) == wait_s
            waits.append(wait_s)
            now += timedelta(seconds=wait_s)
            assert self.fail(store.attempts, NUMBER, HOME, now) == 0
        assert waits == [30, 60, 120, 240, 480, 960, 1920] + [3600] * 5

    def test_numbers_that_are_none_are_counted_alike(self, store: Store) -> None:
        case = opened(store)
        seen = []
        for number in (case.number, OTHER):
            waits = [self.fail(store.attempts, number, HOME, NOW) for _ in range(9)]
            seen.append(waits)
        assert seen[0] == seen[1]
        assert any(seen[0])

    def test_one_number_is_guarded_against_many_places(self, store: Store) -> None:
        for place in range(CASE.free):
            assert self.fail(store.attempts, NUMBER, f"place {place}", NOW) == 0
        assert self.fail(store.attempts, NUMBER, "a place more", NOW) == 0
        assert self.fail(store.attempts, NUMBER, "and another", NOW) == CASE.first_s
        assert self.fail(store.attempts, OTHER, "and another", NOW) == 0

    def test_one_place_is_slowed_down_over_many_numbers(self, store: Store) -> None:
        for number in range(ORIGIN.free + 1):
            assert self.fail(store.attempts, f"{number:012d}", HOME, NOW) == 0
        assert self.fail(store.attempts, NUMBER, HOME, NOW) == ORIGIN.first_s
        assert self.fail(store.attempts, NUMBER, ELSEWHERE, NOW) == 0

    def test_owner_at_a_known_place_is_not_locked_out_by_others(self, store: Store) -> None:
        store.attempts.succeed(store.attempts.begin(NUMBER, HOME, now=NOW), now=NOW)
        for place in range(CASE.free + 1):
            self.fail(store.attempts, NUMBER, f"place {place}", NOW)
        for number in range(ORIGIN.free + 1):  # such as from the same node of Tor
            self.fail(store.attempts, f"{number:012d}", HOME, NOW)
        assert self.fail(store.attempts, NUMBER, ELSEWHERE, NOW) > 0
        assert self.fail(store.attempts, OTHER, HOME, NOW) > 0
        for _ in range(PAIR.free + 1):
            assert self.fail(store.attempts, NUMBER, HOME, NOW) == 0
        assert self.fail(store.attempts, NUMBER, HOME, NOW) == PAIR.first_s
        later = NOW + timedelta(days=1, seconds=1)
        assert self.fail(store.attempts, NUMBER, HOME, later) == 0

    def test_success_takes_back_its_own_count_and_no_other(self, store: Store) -> None:
        for place in range(CASE.free):
            self.fail(store.attempts, NUMBER, f"place {place}", NOW)
        for _ in range(3):
            store.attempts.succeed(store.attempts.begin(NUMBER, HOME, now=NOW), now=NOW)
        assert self.fail(store.attempts, NUMBER, "a place more", NOW) == 0
        assert self.fail(store.attempts, NUMBER, "and another", NOW) == CASE.first_s

    def test_success_does_not_shorten_the_wait_of_others(self, store: Store) -> None:
        for number in range(ORIGIN.free - 1):
            self.fail(store.attempts, f"{number:012d}", HOME, NOW)
        attempt = store.attempts.begin(NUMBER, HOME, now=NOW)
        self.fail(store.attempts, OTHER, HOME, NOW)
        assert self.fail(store.attempts, "000000000073", HOME, NOW) == ORIGIN.first_s
        store.attempts.succeed(attempt, now=NOW)
        assert self.fail(store.attempts, "000000000073", HOME, NOW) == ORIGIN.first_s

    def test_many_at_once_are_all_counted(self, patient: Store) -> None:
        with ThreadPoolExecutor(8) as pool:
            waits = list(
                pool.map(lambda _: self.fail(patient.attempts, NUMBER, HOME, NOW), range(30))
            )
        assert waits.count(0) == PAIR.free + 1

    def test_day_without_attempts_is_a_new_beginning(self, store: Store) -> None:
        for _ in range(PAIR.free + 1):
            self.fail(store.attempts, NUMBER, HOME, NOW)
        assert store.attempts.forget(NOW + DAY / 2) == 0
        assert store.attempts.forget(NOW + DAY) == 3
        assert rows(store, case_attempts) == 0

    def test_neither_numbers_nor_places_are_kept(self, store: Store) -> None:
        self.fail(store.attempts, NUMBER, HOME, NOW)
        with store._database.read() as connection:
            kept = connection.execute(sa.select(case_attempts)).all()
        assert len(kept) == 3
        for word in (NUMBER, HOME):
            assert word.encode() not in b"".join(row.subject for row in kept)
            for guess in (word, f"pair\0{NUMBER}\0{HOME}"):
                assert sha256(guess.encode()).digest()[:16] not in {row.subject for row in kept}


class TestPartners:
    def partner(self, store: Store, name: str, role: Role = Role.PARTNER) -> Key:
        return store.keys.create(name, role, f"person of {name}")[0]

    def test_first_time_that_an_image_was_given_is_kept(
        self, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        meta, other = self.partner(store, "meta"), self.partner(store, "other")
        case = opened(store, 1, 2)
        first, second = (one.id for one in case.images)
        given = list(store.entries.list("helpline"))
        monkeypatch.setattr("egide.store.partners.given.time.time", lambda: 1_800_000_000.7)
        store.given.entries(meta, given[:1], way="changes")
        monkeypatch.setattr("egide.store.partners.given.time.time", lambda: 1_800_000_009)
        store.given.entries(meta, given, way="changes")
        store.given.entries(other, given, way="changes")
        store.cases.extend(case.id, 2 * LIFETIME)
        monkeypatch.setattr("egide.store.partners.given.time.time", lambda: 1_800_000_010)
        store.given.entries(meta, list(store.entries.list("helpline")), way="changes")
        sent = [
            (one.image_id, one.partner, int(one.at.timestamp()))
            for one in store.partner_reads.sent(case.id)
        ]
        assert sent == [
            (first, "meta", 1_800_000_000),
            (second, "meta", 1_800_000_009),
            (first, "other", 1_800_000_009),
            (second, "other", 1_800_000_009),
        ]

    def test_what_ended_since_it_was_read_is_neither_given_nor_recorded(self, store: Store) -> None:
        meta = self.partner(store, "meta")
        case = opened(store, 1)
        overdue = opened(store, 2)
        read = list(store.entries.list("helpline"))
        assert {entry.state for entry in read} == {State.ACTIVE}
        store.cases.withdraw(case.id)
        make_overdue(store, overdue)
        before = logged(store)
        assert store.given.entries(meta, read, way="changes") == frozenset()
        assert store.given.entries(meta, [], way="changes") == frozenset()
        assert logged(store) == before
        assert store.partner_reads.sent(case.id) == []

    def test_reads_at_once_are_recorded_once(self, patient: Store) -> None:
        meta, case = self.partner(patient, "meta"), opened(patient, 1)
        given = list(patient.entries.list("helpline"))
        with ThreadPoolExecutor(4) as pool:
            done = list(
                pool.map(lambda _: patient.given.entries(meta, given, way="changes"), range(4))
            )
        assert done == [frozenset({given[0].id})] * 4
        assert len(patient.partner_reads.sent(case.id)) == 1

    def test_last_word_of_each_kind_stands(self, store: Store) -> None:
        case, other = opened(store, 1, 2), opened(store, 1)
        first, second = case.images
        said = [
            (first.entry, FeedbackKind.MATCHED, NOW),
            (first.entry, FeedbackKind.MATCHED, NOW + DAY),
            (first.entry, FeedbackKind.REMOVED, NOW + DAY / 2),
        ]
        records = store.feedback
        records.add_all("helpline", said[1:], partner="meta")
        records.add_all("helpline", said[:1], partner="meta")
        records.add_all("helpline", [(second.entry, FeedbackKind.DECLINED, NOW)], partner="zed")
        assert [tuple(one) for one in store.partner_reads.said(case.id)] == [
            (second.id, "zed", FeedbackKind.DECLINED, NOW),
            (first.id, "meta", FeedbackKind.REMOVED, NOW + DAY / 2),
            (first.id, "meta", FeedbackKind.MATCHED, NOW + DAY),
        ]
        assert store.partner_reads.said(other.id) == []


def test_backup_carries_cases_with_all_that_belongs_to_them(
    store: Store, open_store: Callable[[], Store], tmp_path: Path
) -> None:
    meta = store.keys.create("meta", Role.PARTNER, "somebody")[0]
    case = opened(store, 1, 2)
    store.given.entries(meta, list(store.entries.list("helpline")), way="changes")
    store.attempts.begin(NUMBER, HOME, now=NOW)
    store.backup(tmp_path / "backup.db")
    restore_store(tmp_path / "backup.db", f"sqlite:///{tmp_path}/restored.db")
    with Store.open(f"sqlite:///{tmp_path}/restored.db") as restored:
        assert restored.cases.get(case.id) == case
        assert restored.cases.find("helpline", case.number) == (case.id, "a hash")
        assert restored.partner_reads.sent(case.id) == store.partner_reads.sent(case.id)
        assert opened(restored, 3).id == case.id + 1


def test_kind_of_each_image_is_kept(store: Store) -> None:
    kinds = list(ImageKind)
    made = store.cases.open(
        "helpline",
        [image(number, kind) for number, kind in enumerate(kinds)],
        new_number=new_number,
        pin_hash="a hash",
        lifetime=LIFETIME,
        submission=submission(1008),
        authority=Authority.BY_PHONE,
        opened_by="anna",
    )
    case = store.cases.get(made.case_id)
    assert [one.kind for one in case.images] == kinds
    assert (case.authority, case.opened_by) == (Authority.BY_PHONE, "anna")
