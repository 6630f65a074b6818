"""Accounts of a helpline's workers and what these do with cases, without the pages."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from case_samples import app_code
from egide.domain.cases import (
    Authority,
    Case,
    CaseRules,
    CaseState,
    ConfirmReason,
    ImageKind,
    NewImage,
)
from egide.domain.model import State, Trust
from egide.errors import (
    CaseEnded,
    CaseNotFound,
    CaseNumberInvalid,
    StaffRefused,
    TooManyAttempts,
    UsageError,
)
from egide.security.one_time_codes import STEP_S
from egide.store.changing import ChangingStore as Store
from egide.usecases.cases import Casework
from egide.usecases.review import CaseReview
from egide.usecases.staff import NewAccount, Staffing, new_password, read_back

HERE = "192.0.2.1"
PIN = "quiet river 7"
RULES = CaseRules()


class Clock:
    """The present, moved on by hand."""

    def __init__(self) -> None:
        self.now = time.time() // STEP_S * STEP_S

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(f"sqlite:///{tmp_path}/egide.db", create=True) as opened:
        opened.banks.create("helpline")
        yield opened


@pytest.fixture
def staffing(store: Store, clock: Clock) -> Staffing:
    return Staffing(store, clock)


@pytest.fixture
def amina(staffing: Staffing) -> NewAccount:
    return staffing.create("amina", issuer="Helpline")


@pytest.fixture
def review(store: Store) -> CaseReview:
    return CaseReview(store, "helpline", RULES)


def code(account: NewAccount, clock: Clock) -> str:
    """What the worker's app shows now."""
    return app_code(account.uri, clock.now)


def image(seed: str) -> NewImage:
    digest = hashlib.sha256(seed.encode()).digest()
    return NewImage(ImageKind.STILL, hashlib.sha256(digest).digest(), 90, digest)


def open_case(store: Store, *seeds: str, bank: str = "helpline") -> Case:
    images = [image(seed) for seed in seeds or ("one",)]
    submission = hashlib.sha256(repr((seeds, time.perf_counter())).encode()).digest()
    return Casework(store, bank, RULES).open(images, PIN, submission=submission)


def logged(store: Store) -> list[tuple[str, str]]:
    return [(record.actor, record.action) for record in store.log.records()]


class TestSignIn:
    def test_name_password_and_code_together_open(
        self, staffing: Staffing, amina: NewAccount, clock: Clock
    ) -> None:
        staff = staffing.sign_in("amina", amina.password, code(amina, clock), origin=HERE)
        assert staff == amina.staff

    def test_password_is_read_as_it_looks(
        self, staffing: Staffing, amina: NewAccount, clock: Clock
    ) -> None:
        typed = " " + amina.password.upper().replace("-", " ").replace("0", "O").replace("1", "l")
        staff = staffing.sign_in(" Amina ", typed, code(amina, clock), origin=HERE)
        assert staff == amina.staff

    def test_code_opens_once_and_the_next_one_again(
        self, staffing: Staffing, amina: NewAccount, clock: Clock
    ) -> None:
        shown = code(amina, clock)
        staffing.sign_in("amina", amina.password, shown, origin=HERE)
        with pytest.raises(StaffRefused):
            staffing.sign_in("amina", amina.password, shown, origin=HERE)
        clock.now += STEP_S
        staffing.sign_in("amina", amina.password, code(amina, clock), origin=HERE)

    @pytest.mark.parametrize("wrong", ["name", "password", "code", "all"])
    def test_whatever_is_wrong_the_answer_is_the_same(
        self, staffing: Staffing, amina: NewAccount, clock: Clock, wrong: str
    ) -> None:
        right = code(amina, clock)
        given = {
            "name": "amina" if wrong not in {"name", "all"} else "nobody",
            "password": amina.password if wrong not in {"password", "all"} else new_password(),
            "code": right if wrong not in {"code", "all"} else f"{(int(right) + 1) % 10**6:06}",
        }
        with pytest.raises(StaffRefused) as refused:
            staffing.sign_in(**given, origin=HERE)
        assert refused.value.fields == {}

    def test_unknown_name_costs_an_argon2_too(
        self, staffing: Staffing, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from egide.usecases import staff as module

        asked: list[str | None] = []
        real = module.verify_password

        def counted(text: str, hash_: str | None) -> bool:
            asked.append(hash_)
            return real(text, hash_)

        monkeypatch.setattr(module, "verify_password", counted)
        with pytest.raises(StaffRefused):
            staffing.sign_in("nobody", "x", "000000", origin=HERE)
        assert asked == [None]

    def test_disabled_account_opens_nothing_until_it_is_enabled(
        self, staffing: Staffing, store: Store, amina: NewAccount, clock: Clock
    ) -> None:
        store.staff.disable("amina")
        with pytest.raises(StaffRefused):
            staffing.sign_in("amina", amina.password, code(amina, clock), origin=HERE)
        store.staff.enable("amina")
        staffing.sign_in("amina", amina.password, code(amina, clock), origin=HERE)

    def test_reset_closes_the_old_door_and_opens_a_new_one(
        self, staffing: Staffing, amina: NewAccount, clock: Clock
    ) -> None:
        again = staffing.reset("amina", issuer="Helpline")
        assert again.password != amina.password
        assert again.uri != amina.uri
        with pytest.raises(StaffRefused):
            staffing.sign_in("amina", amina.password, code(amina, clock), origin=HERE)
        with pytest.raises(StaffRefused):
            staffing.sign_in("amina", again.password, code(amina, clock), origin=HERE)
        staffing.sign_in("amina", again.password, code(again, clock), origin=HERE)

    def test_guessing_is_slowed_down_and_known_names_no_other_than_unknown(
        self, staffing: Staffing, amina: NewAccount, clock: Clock
    ) -> None:
        tries = {}
        for name, origin in (("amina", "192.0.2.7"), ("nobody", "192.0.2.8")):
            for count in range(1, 30):
                try:
                    staffing.sign_in(name, "wrong", "000000", origin=origin)
                except TooManyAttempts:
                    tries[name] = count
                    break
                except StaffRefused:
                    continue
        assert tries["amina"] == tries["nobody"] < 10
        # From elsewhere the worker still gets in.
        staffing.sign_in("amina", amina.password, code(amina, clock), origin=HERE)

    def test_nothing_of_a_sign_in_is_logged_but_the_name(
        self,
        staffing: Staffing,
        store: Store,
        amina: NewAccount,
        clock: Clock,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        caplog.set_level(logging.DEBUG)
        staffing.sign_in("amina", amina.password, code(amina, clock), origin=HERE)
        records = repr(list(store.log.records()))
        for secret in (amina.password, read_back(amina.password), HERE):
            assert secret not in records + caplog.text
        assert logged(store)[-1] == ("staff:amina", "staff-sign-in")


def test_passwords_are_long_differ_and_have_no_look_alikes() -> None:
    made = {new_password() for _ in range(50)}
    assert len(made) == 50
    for password in made:
        assert [len(group) for group in password.split("-")] == [4, 4, 4, 4]
        assert not set(password) & set("ilou")
        assert len(read_back(password)) == 16


class TestCaseReview:
    def test_cases_come_newest_first_in_pages(self, store: Store, review: CaseReview) -> None:
        made = [open_case(store, str(number)).id for number in range(5)]
        first = review.cases(limit=2)
        second = review.cases(limit=2, before=first.older)
        third = review.cases(limit=2, before=second.older)
        assert [one.id for page in (first, second, third) for one in page.cases] == made[::-1]
        assert third.older is None

    def test_page_that_is_just_full_is_the_last(self, store: Store, review: CaseReview) -> None:
        for number in range(2):
            open_case(store, str(number))
        assert review.cases(limit=2).older is None

    def test_cases_are_filtered_by_state_and_trust(
        self, store: Store, review: CaseReview, amina: NewAccount
    ) -> None:
        waiting, vouched, doubted, gone = (open_case(store, name) for name in "abcd")
        review.confirm(vouched.id, ConfirmReason.SAW_PROOF, staff=amina.staff)
        store.entries.dispute("helpline", [doubted.images[0].entry])
        review.withdraw(gone.id, Authority.BY_PHONE, staff=amina.staff)

        def ids(**which: object) -> list[int]:
            return [one.id for one in review.cases(limit=100, **which).cases]  # type: ignore[arg-type]

        assert ids() == [gone.id, doubted.id, vouched.id, waiting.id]
        assert ids(state=CaseState.OPEN) == [doubted.id, vouched.id, waiting.id]
        assert ids(state=CaseState.WITHDRAWN) == [gone.id]
        assert ids(state=CaseState.EXPIRED) == []
        assert ids(trust=Trust.UNVERIFIED) == [waiting.id]
        assert ids(trust=Trust.CONFIRMED) == [vouched.id]
        assert ids(trust=Trust.DISPUTED) == [doubted.id]
        assert ids(trust=Trust.CONFIRMED, state=CaseState.WITHDRAWN) == []

    def test_pages_of_a_filter_go_on_where_the_last_ended(
        self, store: Store, review: CaseReview, amina: NewAccount
    ) -> None:
        made = [open_case(store, str(number)).id for number in range(5)]
        for case_id in made[1::2]:
            review.confirm(case_id, ConfirmReason.KNOWN_TO_US, staff=amina.staff)
        found: list[int] = []
        before = None
        for _ in range(10):
            page = review.cases(limit=1, before=before, trust=Trust.UNVERIFIED)
            found += [one.id for one in page.cases]
            before = page.older
            if before is None:
                break
        assert found == [made[4], made[2], made[0]]

    def test_case_is_found_by_its_number_however_it_is_read_out(
        self, store: Store, review: CaseReview
    ) -> None:
        case = open_case(store)
        grouped = "-".join(case.number[at : at + 3] for at in range(0, 12, 3))
        assert review.find(f" {grouped} ") == case.id
        wrong = case.number[:-1] + str((int(case.number[-1]) + 1) % 10)
        with pytest.raises(CaseNumberInvalid):
            review.find(wrong)
        with pytest.raises(CaseNotFound):
            review.find("000000000000")

    def test_cases_of_other_banks_are_out_of_reach(
        self, store: Store, review: CaseReview, amina: NewAccount
    ) -> None:
        store.banks.create("other")
        case = open_case(store, bank="other")
        assert review.cases(limit=100).cases == ()
        with pytest.raises(CaseNotFound):
            review.find(case.number)
        with pytest.raises(CaseNotFound):
            review.get(case.id)
        with pytest.raises(CaseNotFound):
            review.confirm(case.id, ConfirmReason.SAW_PROOF, staff=amina.staff)
        with pytest.raises(CaseNotFound):
            review.withdraw(case.id, Authority.BY_PHONE, staff=amina.staff)
        assert store.cases.get(case.id) == case

    def test_confirming_is_logged_with_its_reason_and_name(
        self, store: Store, review: CaseReview, amina: NewAccount
    ) -> None:
        case = open_case(store, "a", "b")
        confirmed = review.confirm(case.id, ConfirmReason.SPOKE_WITH_PERSON, staff=amina.staff)
        assert {one.trust for one in confirmed.images} == {Trust.CONFIRMED}
        *_, record = store.log.records()
        assert (record.actor, record.action) == ("staff:amina", "case-confirm")
        assert record.detail["reason"] == "spoke-with-person"
        assert case.number not in repr(record)
        store.log.verify()

    def test_withdrawing_for_somebody_is_logged_with_how_they_asked(
        self, store: Store, review: CaseReview, amina: NewAccount
    ) -> None:
        case = open_case(store, "a", "b")
        other = open_case(store, "a")
        gone = review.withdraw(case.id, Authority.IN_WRITING, staff=amina.staff)
        assert gone.state is CaseState.WITHDRAWN
        assert {one.state for one in gone.images} == {State.WITHDRAWN}
        assert review.get(other.id).images[0].state is State.ACTIVE
        *_, record = store.log.records()
        assert (record.actor, record.action) == ("staff:amina", "case-withdraw")
        assert record.detail["authority"] == "in-writing"
        assert case.number not in repr(record)

    def test_worker_cannot_claim_to_be_the_person(
        self, store: Store, review: CaseReview, amina: NewAccount
    ) -> None:
        case = open_case(store)
        with pytest.raises(UsageError):
            review.withdraw(case.id, Authority.SELF, staff=amina.staff)
        assert review.get(case.id).state is CaseState.OPEN

    def test_what_is_over_is_neither_confirmed_nor_withdrawn_again(
        self, store: Store, review: CaseReview, amina: NewAccount
    ) -> None:
        case = open_case(store)
        review.withdraw(case.id, Authority.BY_PHONE, staff=amina.staff)
        before = logged(store)
        with pytest.raises(CaseEnded):
            review.withdraw(case.id, Authority.BY_PHONE, staff=amina.staff)
        with pytest.raises(CaseEnded):
            review.confirm(case.id, ConfirmReason.SAW_PROOF, staff=amina.staff)
        assert logged(store) == before

    def test_case_whose_time_is_up_is_shown_as_over(
        self, store: Store, review: CaseReview, amina: NewAccount
    ) -> None:
        short = Casework(store, "helpline", CaseRules(lifetime_days=0))
        case = short.open([image("a")], PIN, submission=bytes(range(32)))
        assert case.expires - case.created == timedelta(0)
        assert review.get(case.id).state is CaseState.EXPIRED
        with pytest.raises(CaseEnded):
            review.withdraw(case.id, Authority.BY_PHONE, staff=amina.staff)
        assert [one.id for one in review.cases(limit=100, state=CaseState.EXPIRED).cases] == [
            case.id
        ]
