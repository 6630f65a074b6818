"""A person's case from its opening to its end, with what partners and platforms see of it."""

import logging
import multiprocessing
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Barrier, Event, Thread

import pytest
import sqlalchemy as sa

from api_samples import Api
from case_processes import open_case
from case_samples import PIN, image, submission
from egide.domain.access import Role
from egide.domain.cases import (
    Authority,
    Case,
    CaseRules,
    CaseState,
    ImageKind,
    NewImage,
    PartnerState,
    shown_number,
)
from egide.domain.model import FeedbackKind, Fingerprint, Pdq, State, Trust
from egide.domain.policy import Action
from egide.errors import (
    BankMissing,
    CaseEnded,
    CaseFull,
    CaseNotFound,
    CaseNumberInvalid,
    HashInvalid,
    Overloaded,
    PinRefused,
    SubmissionConflict,
    TooManyAttempts,
    UsageError,
)
from egide.security.passwords import place_in_line
from egide.store.cases.attempts import PAIR
from egide.store.changing import ChangingStore as Store
from egide.store.tables.cases import case_attempts, cases
from egide.usecases.cases import Casework
from egide.usecases.check import check
from server_samples import serve

spawn = multiprocessing.get_context("spawn")
HOME = "192.0.2.1"
DAY = timedelta(days=1)
RULES = CaseRules(max_images=5)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(f"sqlite:///{tmp_path}/egide.db", create=True) as opened:
        opened.banks.create("helpline")
        yield opened


@pytest.fixture
def casework(store: Store) -> Casework:
    return Casework(store, "helpline", RULES)


def opened(casework: Casework, *numbers: int, name: int = 1) -> Case:
    images = [image(number) for number in numbers or (1, 2)]
    return casework.open(images, PIN, submission=submission(name))


def wait_in_line(there: Barrier, leave: Event) -> None:
    with place_in_line():
        there.wait(60)
        assert leave.wait(60)


def decision(store: Store, number: int, bits: int = 0) -> Action:
    """What policy says to a picture that differs by some bits from the one of this number."""
    pdq = image(number).pdq
    assert pdq is not None
    near = (int.from_bytes(pdq) ^ ((1 << bits) - 1)).to_bytes(32)
    return action(store, Fingerprint((Pdq(near, 90),)))


def action(store: Store, asked: Fingerprint) -> Action:
    decided = check(store, [asked]).answers[0].decision
    assert decided is not None
    return decided.action


class TestJourney:
    def test_edited_copy_is_found_for_review_until_the_case_is_withdrawn(
        self, store: Store, casework: Casework
    ) -> None:
        case = opened(casework, 1, 2)
        assert [decision(store, number, 9) for number in (1, 2, 3)] == [
            Action.REVIEW,
            Action.REVIEW,
            Action.ALLOW,
        ]
        again = casework.sign_in(shown_number(case.number), PIN, origin=HOME)
        assert again == case
        ended = casework.withdraw(again.id)
        assert ended.state is CaseState.WITHDRAWN
        assert [decision(store, number) for number in (1, 2)] == [Action.ALLOW, Action.ALLOW]
        assert casework.sign_in(case.number, PIN, origin=HOME) == ended

    def test_same_picture_of_another_case_is_still_found(
        self, store: Store, casework: Casework
    ) -> None:
        mine, hers = opened(casework, 1, name=1), opened(casework, 1, name=2)
        casework.withdraw(mine.id)
        assert decision(store, 1) is Action.REVIEW
        casework.withdraw(hers.id)
        assert decision(store, 1) is Action.ALLOW

    def test_video_is_found_by_its_digest_alone(self, store: Store, casework: Casework) -> None:
        casework.open([image(1, ImageKind.DIGEST_ONLY)], PIN, submission=submission(1))
        assert decision(store, 1) is Action.ALLOW
        assert action(store, Fingerprint((), sha256=image(1).sha256)) is Action.REVIEW

    def test_more_images_and_a_longer_life(self, store: Store, casework: Casework) -> None:
        short = Casework(store, "helpline", replace(RULES, lifetime_days=30))
        case = opened(short, 1)
        assert short.ends_soon(case)
        assert not short.ends_soon(case, case.created - 31 * DAY)
        longer = casework.extend(case.id)
        assert not casework.ends_soon(longer)
        grown = casework.add(case.id, [image(1), image(2)], submission=submission(2))
        assert [one.state for one in grown.images] == [State.ACTIVE, State.ACTIVE]
        assert store.entries.get("helpline", grown.images[1].entry).expires == longer.expires
        left = casework.withdraw_image(case.id, grown.images[0].id)
        assert [one.state for one in left.images] == [State.WITHDRAWN, State.ACTIVE]
        assert [decision(store, number) for number in (1, 2)] == [Action.ALLOW, Action.REVIEW]

    def test_end_of_a_case_comes_by_itself(self, store: Store, casework: Casework) -> None:
        case = opened(casework, 1)
        assert casework.expire(case.expires - DAY) == 0
        assert casework.expire(case.expires) == 1
        expired = casework.sign_in(case.number, PIN, origin=HOME)
        assert (expired.state, expired.ended) == (CaseState.EXPIRED, case.expires)
        assert not casework.ends_soon(expired)
        assert decision(store, 1) is Action.ALLOW
        for act in (
            lambda: casework.extend(case.id),
            lambda: casework.add(case.id, [image(2)], submission=submission(2)),
        ):
            with pytest.raises(CaseEnded):
                act()
        assert casework.forget(case.expires + 29 * DAY) == 0
        assert casework.forget(case.expires + 30 * DAY) == 1
        with pytest.raises(CaseNotFound):
            casework.sign_in(case.number, PIN, origin=HOME)

    def test_helpline_opens_a_case_for_somebody_by_recorded_word(
        self, store: Store, casework: Casework
    ) -> None:
        case = casework.open(
            [image(1)],
            PIN,
            submission=submission(1),
            authority=Authority.BY_PHONE,
            staff="anna",
        )
        assert (case.authority, case.opened_by) == (Authority.BY_PHONE, "anna")
        assert {one.trust for one in case.images} == {Trust.UNVERIFIED}
        record = list(store.log.records())[-1]
        assert (record.actor, record.detail["authority"]) == ("staff:anna", "by-phone")
        casework.withdraw(case.id, authority=Authority.IN_WRITING, staff="anna")
        record = list(store.log.records())[-1]
        assert (record.action, record.detail["authority"]) == ("case-withdraw", "in-writing")
        for authority, staff in ((Authority.SELF, "anna"), (Authority.IN_PERSON, None)):
            with pytest.raises(UsageError):
                casework.open(
                    [image(1)], PIN, submission=submission(2), authority=authority, staff=staff
                )


class TestOpening:
    def test_lost_answer_can_be_asked_for_again(self, casework: Casework) -> None:
        case = opened(casework, 1, 2)
        assert opened(casework, 1, 2) == case
        with pytest.raises(SubmissionConflict):
            casework.open([image(1), image(2)], "autre-pin", submission=submission(1))
        with pytest.raises(SubmissionConflict):
            opened(casework, 1, 3)

    def test_file_that_is_chosen_twice_counts_once(self, casework: Casework) -> None:
        assert len(opened(casework, 1, 1, 2, 1).images) == 2

    def test_too_many_images_open_no_case(self, store: Store, casework: Casework) -> None:
        with pytest.raises(CaseFull) as raised:
            opened(casework, 1, 2, 3, 4, 5, 6)
        assert raised.value.fields == {"limit": 5}
        assert list(store.entries.list("helpline")) == []

    def test_easy_pin_opens_no_case(self, store: Store, casework: Casework) -> None:
        with pytest.raises(PinRefused):
            casework.open([image(1)], "123456", submission=submission(1))
        assert list(store.entries.list("helpline")) == []

    def test_pin_is_never_a_part_of_the_number(
        self, casework: Casework, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        numbers = iter(["482177309154", "000000005724"])
        monkeypatch.setattr("egide.usecases.cases.new_number", lambda: next(numbers))
        case = casework.open([image(1)], "4821 77", submission=submission(1))
        assert case.number == "000000005724"

    def test_picture_with_too_little_detail_is_kept_as_digest_and_said_so(
        self, store: Store, casework: Casework
    ) -> None:
        blank = NewImage(ImageKind.STILL, bytes(32), 100, image(3).sha256)
        images = [
            image(1, quality=49),
            image(2, quality=50),
            blank,
            replace(image(4), quality=None),
            NewImage(ImageKind.STILL, None, None, image(5).sha256),
        ]
        case = casework.open(images, PIN, submission=submission(1))
        assert [one.kind for one in case.images] == [
            ImageKind.DIGEST_ONLY,
            ImageKind.STILL,
            *[ImageKind.DIGEST_ONLY] * 3,
        ]
        assert [len(one.pdqs) for one in store.entries.list("helpline")] == [0, 1, 0, 0, 0]

    @pytest.mark.parametrize(
        ("wrong", "error"),
        [
            ([], UsageError),
            ([replace(image(1), sha256=b"short")], HashInvalid),
            ([replace(image(1), pdq=b"short")], HashInvalid),
            ([replace(image(1), quality=101)], UsageError),
            ([replace(image(1), quality=-1)], UsageError),
            ([replace(image(1), sha256=bytes(32))], UsageError),
            ([image(2), replace(image(1), sha256=bytes(32))], UsageError),
        ],
    )
    def test_what_is_no_fingerprint_opens_no_case(
        self,
        store: Store,
        casework: Casework,
        wrong: list[NewImage],
        error: type[Exception],
    ) -> None:
        with pytest.raises(error):
            casework.open(wrong, PIN, submission=submission(1))
        assert list(store.entries.list("helpline")) == []
        with pytest.raises(UsageError):
            casework.open([image(1)], PIN, submission=b"")

    def test_missing_bank_is_said_to_be_missing(self, store: Store) -> None:
        with pytest.raises(BankMissing):
            opened(Casework(store, "nowhere"))

    def test_case_of_another_bank_is_none(self, store: Store, casework: Casework) -> None:
        store.banks.create("other")
        case = opened(casework, 1)
        elsewhere = Casework(store, "other")
        for act in (
            lambda: elsewhere.get(case.id),
            lambda: elsewhere.withdraw(case.id),
            lambda: elsewhere.withdraw_image(case.id, case.images[0].id),
            lambda: elsewhere.extend(case.id),
            lambda: elsewhere.add(case.id, [image(2)], submission=submission(2)),
            lambda: elsewhere.sign_in(case.number, PIN, origin=HOME),
        ):
            with pytest.raises(CaseNotFound):
                act()
        assert casework.get(case.id) == case


class TestSigningIn:
    def test_wrong_pin_and_wrong_number_are_told_apart_by_nothing(
        self, casework: Casework, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        case = opened(casework)
        compared: list[bool] = []

        def compare(_: str, kept: str | None) -> bool:
            compared.append(kept is None)
            return False

        monkeypatch.setattr("egide.usecases.cases.verify_password", compare)
        errors = []
        for number, pin in ((case.number, "autre-pin"), ("000000005724", PIN)):
            with pytest.raises(CaseNotFound) as raised:
                casework.sign_in(number, pin, origin=HOME)
            errors.append((str(raised.value), raised.value.fields))
        assert errors[0] == errors[1]
        assert compared == [False, True]

    def test_pin_is_taken_however_a_keyboard_spells_it(self, casework: Casework) -> None:
        case = casework.open([image(1)], "été-2019", submission=submission(1))
        assert casework.sign_in(case.number, " e\u0301te\u0301-2019\n", origin=HOME) == case

    @pytest.mark.parametrize("pin", ["", "x" * 100_000, "\ud800\0", "ﷺ" * 1000])
    def test_any_text_can_be_a_wrong_pin(self, casework: Casework, pin: str) -> None:
        case = opened(casework)
        with pytest.raises(CaseNotFound):
            casework.sign_in(case.number, pin, origin=HOME)

    def test_mistyped_number_is_said_at_once_and_is_no_attempt(self, casework: Casework) -> None:
        case = opened(casework)
        for _ in range(PAIR.free + 2):
            with pytest.raises(CaseNumberInvalid):
                casework.sign_in(case.number[:-1], PIN, origin=HOME)
        assert casework.sign_in(case.number, PIN, origin=HOME) == case

    def test_guessing_is_slowed_down_and_the_owner_elsewhere_is_not(
        self, casework: Casework
    ) -> None:
        case = opened(casework)
        for _ in range(PAIR.free + 1):
            with pytest.raises(CaseNotFound):
                casework.sign_in(case.number, "autre-pin", origin="198.51.100.7")
        with pytest.raises(TooManyAttempts) as raised:  # even with the right one
            casework.sign_in(case.number, PIN, origin="198.51.100.7")
        # The clock may have gone on by a second or so.
        wait_s = raised.value.fields["retry_after_s"]
        assert isinstance(wait_s, int)
        assert 0 < wait_s <= PAIR.first_s
        assert casework.sign_in(case.number, PIN, origin=HOME) == case

    def test_guesses_at_once_are_not_more_than_one_after_another(self, casework: Casework) -> None:
        case = opened(casework)

        def guess(number: int) -> str:
            try:
                casework.sign_in(case.number, f"guess {number}", origin=HOME)
            except (CaseNotFound, TooManyAttempts) as error:
                return error.code
            return "in"

        with ThreadPoolExecutor(8) as pool:
            done = list(pool.map(guess, range(30)))
        assert done.count("case-not-found") == PAIR.free + 1
        assert done.count("too-many-attempts") == 30 - PAIR.free - 1

    def test_attempt_that_nobody_could_look_at_is_not_counted(
        self, store: Store, casework: Casework
    ) -> None:
        case = opened(casework)
        there, leave = Barrier(13), Event()
        waiting = [Thread(target=wait_in_line, args=(there, leave)) for _ in range(12)]
        for thread in waiting:
            thread.start()
        there.wait(60)
        try:
            for _ in range(3 * PAIR.free):
                with pytest.raises(Overloaded):
                    casework.sign_in(case.number, PIN, origin=HOME)
        finally:
            leave.set()
            for thread in waiting:
                thread.join()
        with store._database.read() as connection:
            counted = connection.execute(sa.select(case_attempts.c.failures)).scalars().all()
        assert counted == []
        assert casework.sign_in(case.number, PIN, origin=HOME) == case

    def test_number_pin_and_place_are_in_no_log(
        self, store: Store, casework: Casework, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        case = opened(casework)
        casework.sign_in(case.number, PIN, origin=HOME)
        with pytest.raises(CaseNotFound) as raised:
            casework.sign_in(case.number, "autre-pin", origin=HOME)
        casework.withdraw(case.id)
        written = caplog.text + repr(list(store.log.records())) + repr(raised.value)
        written += repr(case) + repr(raised.value.fields)
        for word in (case.number, shown_number(case.number), PIN, "autre-pin", HOME):
            assert word not in written


def test_nothing_readable_of_pin_or_place_is_in_the_database(
    store: Store, casework: Casework, tmp_path: Path
) -> None:
    case = opened(casework)
    casework.sign_in(case.number, PIN, origin=HOME)
    raw = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert case.number.encode() in raw
    assert PIN.encode() not in raw
    assert HOME.encode() not in raw
    with store._database.read() as connection:
        kept = connection.execute(sa.select(cases.c.pin_hash)).scalar_one()
    assert kept.startswith("$argon2id$")


class TestPartners:
    def test_each_partner_and_what_it_did_is_dated(self, store: Store, casework: Casework) -> None:
        quick = store.keys.create("quick", Role.PARTNER, "one")[0]
        silent = store.keys.create("silent", Role.PARTNER, "two")[0]
        store.keys.create("waiting", Role.PARTNER, "three")
        case = opened(casework, 1, 2)
        first, second = case.images
        assert casework.partners(case) == {first.id: [], second.id: []}
        given = list(store.entries.list("helpline"))
        store.given.entries(quick, given, way="changes")
        store.given.entries(silent, given[:1], way="changes")
        said = datetime.now(UTC).replace(microsecond=0) + timedelta(minutes=1)
        store.feedback.add_all(
            "helpline",
            [
                (first.entry, FeedbackKind.MATCHED, said),
                (first.entry, FeedbackKind.REMOVED, said + timedelta(minutes=1)),
            ],
            partner="quick",
        )
        # A platform that asks, and follows nothing, says what it did too.
        store.feedback.add_all(
            "helpline", [(second.entry, FeedbackKind.DECLINED, said)], partner="uploads"
        )

        def seen(now: datetime) -> dict[int, list[tuple[str, str]]]:
            return {
                number: [(one.partner, one.state.value) for one in own]
                for number, own in casework.partners(case, now).items()
            }

        soon, late = said + 13 * DAY, said + 15 * DAY
        assert seen(soon) == {
            first.id: [
                ("quick", "sent"),
                ("silent", "sent"),
                ("quick", "matched"),
                ("quick", "removed"),
            ],
            second.id: [("quick", "sent"), ("uploads", "declined")],
        }
        assert seen(late)[first.id][-1] == ("silent", "no-answer")
        assert seen(late)[second.id][-1] == ("quick", "no-answer")
        silence = casework.partners(case, late)[first.id]
        sent_at = next(one.at for one in silence if one.partner == "silent")
        assert silence[-1].at == sent_at + 14 * DAY
        assert {one.value for one in PartnerState} >= {state for _, state in seen(late)[first.id]}

    def test_partner_that_can_read_no_longer_owes_no_answer(
        self, store: Store, casework: Casework
    ) -> None:
        partner = store.keys.create("gone", Role.PARTNER, "one")[0]
        case = opened(casework, 1)
        store.given.entries(partner, list(store.entries.list("helpline")), way="changes")
        store.keys.revoke("gone")
        [own] = casework.partners(case, datetime.now(UTC) + 99 * DAY).values()
        assert [one.state for one in own] == [PartnerState.SENT]

    def test_reading_the_changes_is_being_sent_them(self, tmp_path: Path) -> None:
        with serve(tmp_path) as served:
            api = Api(served)
            bank = api.bank()
            case = Casework(api.store, bank).open([image(1)], PIN, submission=submission(1))
            casework = Casework(api.store, bank)
            assert list(casework.partners(case).values()) == [[]]
            page = api.get("/changes", role=Role.PARTNER, params={"bank": bank})
            assert len(page["entries"]) == 1
            [own] = casework.partners(case).values()
            assert [(one.partner, one.state) for one in own] == [("partner", PartnerState.SENT)]
            later = api.get("/changes", role=Role.PARTNER, params=page["next"])
            assert later["entries"] == []
            casework.withdraw(case.id)
            told = api.get("/changes", role=Role.PARTNER, params=page["next"])
            assert [one["state"] for one in told["entries"]] == ["withdrawn"]
            assert list(casework.partners(case).values()) == [own]

    def test_partners_cannot_tell_by_the_source_whose_images_they_are(
        self, store: Store, casework: Casework
    ) -> None:
        opened(casework, 1, 2)
        sources = [one.source for one in store.feed.page(0, limit=9).entries]
        assert len(set(sources)) == 2


@pytest.mark.parametrize("database", ["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def test_one_submission_to_two_processes_is_one_case(
    database: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url = f"sqlite:///{tmp_path}/egide.db"
    if database == "postgresql":
        url = request.getfixturevalue("postgres_store_url")
    with Store.open(url, create=True) as store:
        store.banks.create("helpline")
        with ProcessPoolExecutor(2, mp_context=spawn) as pool:
            made = list(pool.map(open_case, [url] * 4, [1] * 4))
        assert len(set(made)) == 1
        assert len(list(store.entries.list("helpline"))) == 2
