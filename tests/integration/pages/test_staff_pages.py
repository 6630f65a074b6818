"""The pages of a helpline's workers over HTTP, without JavaScript."""

from __future__ import annotations

import hashlib
import html
import re
import time
from collections.abc import Iterator

import httpx2
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
    shown_number,
)
from egide.domain.model import FeedbackKind, State, Trust
from egide.security.one_time_codes import STEP_S
from egide.server.pages.staff import cases as staff_cases
from egide.store.changing import ChangingStore as Store
from egide.text.wording import NO_BREAK
from egide.usecases.cases import Casework
from egide.usecases.staff import NewAccount, Staffing
from server_samples import Served, serve

PIN = "quiet river 7"
LANGUAGES = ("en", "fr")
COOKIE = "__Host-egide"
FIELD = re.compile(r'name="csrf" value="([^"]+)"')
# What only somebody who is signed in may see, or do.
PAGES = ("", "register", "cases/1", "cases/1/confirm", "cases/1/withdraw", "cases/1/card")
ACTS = ("find", "register", "cases/1/confirm", "cases/1/withdraw")


class Browser:
    """Somebody with a browser that runs no script."""

    def __init__(self, served: Served, lang: str = "en") -> None:
        self.client = served.client
        self.client.base_url = httpx2.URL("https://testserver")
        self.client.follow_redirects = False
        self.client.cookies.clear()
        self.lang = lang

    def get(self, path: str) -> httpx2.Response:
        return self.client.get(f"/{self.lang}/staff/{path}")

    def text(self, path: str) -> str:
        answer = self.get(path)
        assert answer.status_code == 200, (path, answer.status_code)
        return seen(answer)

    def post(self, path: str, csrf: str | None = None, **fields: str) -> httpx2.Response:
        """Send a form, with the token of the sign-in page's unless it is given."""
        if csrf is None:
            csrf = self.token()
        return self.client.post(f"/{self.lang}/staff/{path}", data={"csrf": csrf, **fields})

    def token(self) -> str:
        for path in ("register", "sign-in"):
            found = FIELD.search(self.get(path).text)
            if found:
                return found[1]
        raise AssertionError("no form has a token")

    def sign_in(self, account: NewAccount, step: int = 0) -> httpx2.Response:
        return self.post(
            "sign-in", name=account.staff.name, password=account.password, code=code(account, step)
        )


def seen(answer: httpx2.Response) -> str:
    """The text of a page, without marks and with plain spaces."""
    body = answer.text.partition("<main")[2]
    text = html.unescape(re.sub(r"<[^>]+>", " ", body))
    return " ".join(text.split())


def code(account: NewAccount, step: int = 0) -> str:
    return app_code(account.uri, time.time() + step * STEP_S)


def image(seed: str) -> NewImage:
    digest = hashlib.sha256(seed.encode()).digest()
    return NewImage(ImageKind.STILL, hashlib.sha256(digest).digest(), 90, digest)


def open_case(store: Store, *seeds: str, **fields: object) -> Case:
    submission = hashlib.sha256(repr((seeds, time.perf_counter())).encode()).digest()
    return Casework(store, "helpline", CaseRules()).open(
        [image(seed) for seed in seeds or ("one",)],
        PIN,
        submission=submission,
        **fields,  # type: ignore[arg-type]
    )


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serve(tmp_path_factory.mktemp("staff"), pages=True) as running:
        yield running


@pytest.fixture
def store(served: Served) -> Store:
    return Store.of(served.service.store)


@pytest.fixture
def account(store: Store, request: pytest.FixtureRequest) -> NewAccount:
    """An account of this test's own."""
    name = re.sub(r"[^a-z0-9]", ".", request.node.name.lower())[-60:]
    return Staffing(store).create(name)


@pytest.fixture
def visitor(served: Served) -> Browser:
    return Browser(served)


@pytest.fixture
def worker(visitor: Browser, account: NewAccount) -> Browser:
    assert visitor.sign_in(account).headers["location"] == "/en/staff/"
    return visitor


class TestSigningIn:
    @pytest.mark.parametrize("lang", LANGUAGES)
    @pytest.mark.parametrize("path", PAGES)
    def test_without_a_session_every_page_leads_to_the_form(
        self, visitor: Browser, store: Store, path: str, lang: str
    ) -> None:
        open_case(store)
        visitor.lang = lang
        answer = visitor.get(path)
        assert (answer.status_code, answer.headers["location"]) == (303, f"/{lang}/staff/sign-in")
        assert answer.text == ""

    @pytest.mark.parametrize("path", ACTS)
    def test_without_a_session_nothing_is_done(
        self, visitor: Browser, store: Store, path: str
    ) -> None:
        case = open_case(store)
        path = path.replace("cases/1/", f"cases/{case.id}/")
        answer = visitor.post(path, reason="saw-proof", authority="by-phone", number=case.number)
        assert answer.headers["location"] == "/en/staff/sign-in"
        assert store.cases.get(case.id) == case

    def test_session_of_a_case_is_none_of_the_staff(self, visitor: Browser, store: Store) -> None:
        case = open_case(store)
        # The first member of staff has the number that a case may have, too.
        token = store.sessions.start("case", case.id, idle_s=60, longest_s=60)
        visitor.client.cookies.set(COOKIE, token)
        assert visitor.get("").headers["location"] == "/en/staff/sign-in"

    def test_signing_in_gives_a_new_session_and_the_old_cookie_opens_nothing(
        self, visitor: Browser, account: NewAccount
    ) -> None:
        visitor.get("sign-in")
        planted = visitor.client.cookies[COOKIE]
        answer = visitor.sign_in(account)
        assert (answer.status_code, answer.headers["location"]) == (303, "/en/staff/")
        given = answer.headers["set-cookie"]
        for part in ("Secure", "HttpOnly", "SameSite=strict", "Path=/"):
            assert part in given
        assert "max-age" not in given.lower()
        assert "expires" not in given.lower()
        assert visitor.client.cookies[COOKIE] != planted
        assert account.staff.name in visitor.text("")
        visitor.client.cookies.clear()
        visitor.client.cookies.set(COOKIE, planted)
        assert visitor.get("").status_code == 303

    def test_signing_in_again_ends_the_session_before(
        self, worker: Browser, account: NewAccount
    ) -> None:
        first = worker.client.cookies[COOKIE]
        assert worker.get("sign-in").headers["location"] == "/en/staff/"
        csrf = worker.token()
        answer = worker.post(
            "sign-in", csrf, name=account.staff.name, password=account.password,
            code=code(account, 1),
        )  # fmt: skip
        assert answer.headers["location"] == "/en/staff/"
        worker.client.cookies.clear()
        worker.client.cookies.set(COOKIE, first)
        assert worker.get("").status_code == 303

    @pytest.mark.parametrize("lang", LANGUAGES)
    def test_wrong_sign_in_says_so_and_keeps_the_name_alone(
        self, visitor: Browser, account: NewAccount, lang: str
    ) -> None:
        visitor.lang = lang
        name = account.staff.name
        answers = [
            visitor.post("sign-in", name=name, password="nightjar", code=code(account)),
            visitor.post("sign-in", name=name, password=account.password, code="12345"),
            visitor.post("sign-in", name="nobody", password="nightjar", code="123456"),
            visitor.post("sign-in"),
        ]
        assert [answer.status_code for answer in answers] == [422] * 4
        texts = {
            re.sub(r'value="[^"]*"', "", answer.text.partition("<main")[2]) for answer in answers
        }
        assert len(texts) == 1
        assert f'value="{name}"' in answers[0].text
        assert "nightjar" not in answers[0].text
        assert account.password not in answers[1].text
        assert "12345" not in answers[1].text
        assert visitor.get("").status_code == 303

    def test_guessing_is_slowed_down_in_words(self, visitor: Browser, account: NewAccount) -> None:
        for _ in range(12):
            answer = visitor.post("sign-in", name=account.staff.name, password="x", code="000000")
            if answer.status_code == 429:
                break
        assert answer.status_code == 429
        wait_s = int(answer.headers["retry-after"])
        assert 0 < wait_s <= 3600
        assert re.search(r"wait (\d+ seconds?|\d+ minutes?), then", seen(answer))
        refused = visitor.sign_in(account)
        assert refused.status_code == 429

    def test_signing_out_ends_the_session_everywhere(self, worker: Browser) -> None:
        token = worker.client.cookies[COOKIE]
        answer = worker.post("sign-out")
        assert answer.headers["location"] == "/en/staff/sign-in"
        worker.client.cookies.clear()
        worker.client.cookies.set(COOKIE, token)
        assert worker.get("").status_code == 303

    @pytest.mark.parametrize("act", ["disable", "remove"])
    def test_shut_account_is_out_at_once(
        self, worker: Browser, store: Store, account: NewAccount, act: str
    ) -> None:
        assert worker.get("").status_code == 200
        getattr(store.staff, act)(account.staff.name)
        assert worker.get("").status_code == 303

    def test_session_that_began_as_the_account_was_shut_opens_nothing(
        self, worker: Browser, store: Store, account: NewAccount
    ) -> None:
        store.staff.disable(account.staff.name)
        late = store.sessions.start("staff", account.staff.id, idle_s=60, longest_s=60)
        worker.client.cookies.set(COOKIE, late)
        assert worker.get("").status_code == 303

    def test_session_lasts_a_quarter_of_an_hour_idle_and_a_working_day(
        self, worker: Browser, store: Store
    ) -> None:
        session = store.sessions.find(worker.client.cookies[COOKIE])
        assert session is not None
        assert session.idle_s == 15 * 60
        assert (session.ends - session.created).total_seconds() == 8 * 3600


class TestForms:
    @pytest.mark.parametrize("path", ["sign-in", "sign-out", *ACTS])
    @pytest.mark.parametrize("token", ["", "wrong"])
    def test_form_without_its_token_does_nothing(
        self, worker: Browser, store: Store, path: str, token: str
    ) -> None:
        case = open_case(store)
        path = path.replace("cases/1/", f"cases/{case.id}/")
        answer = worker.post(path, token, reason="saw-proof", authority="by-phone", under_18="no")
        assert answer.status_code == 403
        assert store.cases.get(case.id) == case
        assert worker.get("").status_code == 200  # still signed in

    def test_getting_changes_nothing(self, worker: Browser, store: Store) -> None:
        case = open_case(store)
        paths = [path.replace("cases/1", f"cases/{case.id}") for path in PAGES]
        before = store.log.head()
        for path in [*paths, f"cases/{case.id}/confirm?reason=saw-proof&csrf={worker.token()}"]:
            assert worker.get(path).status_code == 200
        assert worker.get("sign-out").status_code in {404, 405}
        assert worker.get("find").status_code in {404, 405}
        assert store.log.head() == before
        assert store.cases.get(case.id) == case

    @pytest.mark.parametrize("lang", LANGUAGES)
    def test_headers_keep_the_pages_out_of_caches_and_searches(
        self, worker: Browser, store: Store, lang: str
    ) -> None:
        case = open_case(store)
        worker.lang = lang
        for path in PAGES:
            answer = worker.get(path.replace("cases/1", f"cases/{case.id}"))
            assert answer.headers["x-robots-tag"] == "noindex"
            assert answer.headers["cache-control"] == "no-store"
            assert answer.headers["content-language"] == lang
            assert "unsafe" not in answer.headers["content-security-policy"]
            assert "style=" not in answer.text
            assert "<script>" not in answer.text


class TestCases:
    def test_list_shows_numbers_and_dates_newest_first(self, worker: Browser, store: Store) -> None:
        first, second = open_case(store, "a"), open_case(store, "a", "b")
        text = worker.text("")
        assert text.index(shown_number(second.number)) < text.index(shown_number(first.number))
        assert "2 images" in text

    @pytest.mark.parametrize("path", ["", "cases/{}", "cases/{}/confirm", "cases/{}/withdraw"])
    def test_no_page_shows_a_fingerprint_or_a_picture(
        self, worker: Browser, store: Store, path: str
    ) -> None:
        case = open_case(store, "secret")
        body = worker.get(path.format(case.id)).text.partition("<main")[2]
        shown = image("secret")
        assert shown.pdq is not None
        for value in (shown.pdq.hex(), shown.sha256.hex()):
            assert value not in body
            assert value[:12] not in body
        assert "<img" not in body
        assert "person-" not in body

    def test_no_address_holds_a_number(self, worker: Browser, store: Store) -> None:
        case = open_case(store)
        for path in ("", f"cases/{case.id}", f"cases/{case.id}/confirm"):
            addresses = re.findall(r'(?:href|action)="([^"]*)"', worker.get(path).text)
            assert addresses
            assert not any(case.number in re.sub(r"\D", "", one) for one in addresses)
        found = worker.post("find", number=case.number)
        assert found.headers["location"] == f"/en/staff/cases/{case.id}"

    def test_case_is_found_by_its_number_as_it_is_read_out(
        self, worker: Browser, store: Store
    ) -> None:
        case = open_case(store)
        answer = worker.post("find", number=f" {shown_number(case.number)} ")
        assert answer.headers["location"] == f"/en/staff/cases/{case.id}"

    @pytest.mark.parametrize("number", ["", "12", "123456789012", "<b>", "000000000000"])
    def test_number_that_leads_nowhere_is_explained(self, worker: Browser, number: str) -> None:
        answer = worker.post("find", number=number)
        assert answer.status_code == 422
        assert 'id="number-error"' in answer.text
        assert html.escape(number) in answer.text
        assert "<b>" not in answer.text.partition("<main")[2]

    def test_list_is_filtered_and_pages_keep_the_filter(
        self, worker: Browser, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(staff_cases, "PAGE_CASES", 2)
        made = [open_case(store) for _ in range(5)]
        store.cases.withdraw(made[1].id)
        first = worker.get("?state=open&trust=unverified").text
        older = re.search(r'href="/en/staff/(\?[^"]*before=\d+)"', first)
        assert older is not None
        query = html.unescape(older[1])
        assert "state=open" in query
        assert "trust=unverified" in query
        texts = (first, worker.get(query).text)
        numbers = re.findall(r">(\d{4}\s\d{4}\s\d{4})<", "".join(texts))
        expected = [shown_number(one.number) for one in reversed(made) if one is not made[1]]
        assert [one.replace(NO_BREAK, " ") for one in numbers] == expected
        assert shown_number(made[1].number) in worker.text("?state=withdrawn")

    @pytest.mark.parametrize(
        "query",
        ["?state=nonsense", "?trust=%00", "?before=x", "?before=-1", "?before=" + "9" * 5000],
    )
    def test_impossible_filters_are_as_none(self, worker: Browser, query: str) -> None:
        assert worker.get(query).status_code == 200

    @pytest.mark.parametrize("lang", LANGUAGES)
    def test_list_without_cases_says_so(self, worker: Browser, lang: str) -> None:
        worker.lang = lang
        sentence = {"en": "No case fits what you chose.", "fr": "Aucun dossier ne correspond"}[lang]
        assert sentence in worker.text("?state=expired")

    def test_case_shows_its_images_by_number_with_what_partners_said(
        self, worker: Browser, store: Store
    ) -> None:
        case = open_case(store, "a", "b")
        store.feedback.add_all(
            "helpline",
            [(case.images[0].entry, FeedbackKind.REMOVED, case.created)],
            partner="forum",
        )
        text = worker.text(f"cases/{case.id}")
        assert shown_number(case.number) in text
        first, second = text.index("Image 1"), text.index("Image 2")
        assert first < text.index("forum: removed on") < second
        assert "Image 3" not in text
        assert "The person did it themselves" in text

    def test_case_that_a_worker_opened_names_them(self, worker: Browser, store: Store) -> None:
        case = open_case(store, authority=Authority.BY_PHONE, staff="zoe")
        text = worker.text(f"cases/{case.id}")
        assert "zoe" in text
        assert "asked us by phone" in text

    @pytest.mark.parametrize("case_id", ["0", "999999", "9" * 18])
    def test_case_that_is_gone_is_missing(self, worker: Browser, case_id: str) -> None:
        for path in ("", "/confirm", "/withdraw"):
            answer = worker.get(f"cases/{case_id}{path}")
            assert answer.status_code == 404
            assert "There is no such case" in seen(answer)
        answer = worker.post(f"cases/{case_id}/confirm", reason="saw-proof")
        assert answer.status_code == 404

    @pytest.mark.parametrize("case_id", ["x", "-1", "1.5", "٣", "9" * 5000])
    def test_what_is_no_case_at_all_is_missing_too(self, worker: Browser, case_id: str) -> None:
        for path in ("", "/confirm", "/withdraw"):
            assert worker.get(f"cases/{case_id}{path}").status_code == 404
            if path:
                assert worker.post(f"cases/{case_id}{path}").status_code == 404

    @pytest.mark.parametrize("lang", LANGUAGES)
    def test_list_says_what_is_not_confirmed_and_leads_to_it(
        self, worker: Browser, store: Store, lang: str
    ) -> None:
        mixed = open_case(store, f"{lang} one", f"{lang} two", f"{lang} three")
        store.entries.confirm("helpline", [mixed.images[0].entry])
        store.entries.dispute("helpline", [mixed.images[1].entry])
        worker.lang = lang
        shown = shown_number(mixed.number)
        line = re.search(
            rf"{shown}(.*?){ {'en': 'Opened', 'fr': 'Ouvert le'}[lang] }", worker.text("")
        )
        assert line is not None
        counts = {
            "en": "3 images · 1 not confirmed · 1 confirmed · 1 in doubt",
            "fr": "3 images · 1 non confirmée · 1 confirmée · 1 en doute",
        }[lang]
        assert counts in line[1]
        assert f'href="/{lang}/staff/?trust=unverified"' in worker.get("").text
        store.cases.confirm(mixed.id, ConfirmReason.KNOWN_TO_US)
        assert shown not in worker.text("?trust=unverified")

    def test_one_image_is_confirmed_alone_with_a_reason_and_logged(
        self, worker: Browser, store: Store, account: NewAccount
    ) -> None:
        case = open_case(store, "alone one", "alone two")
        second = case.images[1].id
        path = f"cases/{case.id}/confirm?image={second}"
        assert f"/en/staff/{path}" in worker.get(f"cases/{case.id}").text
        assert "Confirm Image 2 of case" in worker.text(path)
        # Another language asks about the same image, not about the whole case.
        assert f'href="/fr/staff/{path}"' in worker.get(path).text
        asked = worker.post(f"cases/{case.id}/confirm", image=str(second))
        assert asked.status_code == 422
        assert f'name="image" value="{second}"' in asked.text
        done = worker.post(f"cases/{case.id}/confirm", image=str(second), reason="saw-proof")
        assert done.headers["location"] == f"/en/staff/cases/{case.id}?done=confirm_image"
        trusts = [one.trust for one in store.cases.get(case.id).images]
        assert trusts == [Trust.UNVERIFIED, Trust.CONFIRMED]
        [*_, logged] = [one for one in store.log.records() if one.action == "case-confirm"]
        assert (logged.actor, logged.detail["reason"]) == (account.staff.actor, "saw-proof")
        assert len(logged.subjects) == 1
        assert "There is nothing to confirm here" in worker.text(path)

    @pytest.mark.parametrize("image", ["0", "999999", "1e3", "-1", "9" * 40, "x"])
    def test_an_image_of_no_or_another_case_is_not_confirmed(
        self, worker: Browser, store: Store, image: str
    ) -> None:
        case, other = open_case(store, "mine"), open_case(store, "yours")
        image = str(other.images[0].id) if image == "0" else image
        answer = worker.post(f"cases/{case.id}/confirm", image=image, reason="saw-proof")
        assert answer.status_code == 404
        assert worker.get(f"cases/{case.id}/confirm?image={image}").status_code == 404
        for one in (case, other):
            assert store.cases.get(one.id).images[0].trust is Trust.UNVERIFIED

    def test_case_of_another_bank_is_missing(self, worker: Browser, store: Store) -> None:
        if "elsewhere" not in [bank.name for bank in store.banks.list()]:
            store.banks.create("elsewhere")
        case = Casework(store, "elsewhere", CaseRules()).open(
            [image("x")], PIN, submission=hashlib.sha256(b"elsewhere").digest()
        )
        assert worker.get(f"cases/{case.id}").status_code == 404
        assert worker.post(f"cases/{case.id}/withdraw", authority="by-phone").status_code == 404
        assert store.cases.get(case.id) == case


class TestActs:
    def test_confirming_raises_trust_and_is_logged(
        self, worker: Browser, store: Store, account: NewAccount
    ) -> None:
        case = open_case(store, "a", "b")
        assert "Confirm this case" in worker.text(f"cases/{case.id}")
        answer = worker.post(f"cases/{case.id}/confirm", reason="spoke-with-person")
        assert answer.headers["location"] == f"/en/staff/cases/{case.id}?done=confirm"
        assert {one.trust for one in store.cases.get(case.id).images} == {Trust.CONFIRMED}
        text = seen(worker.client.get(answer.headers["location"]))
        assert "The case is confirmed." in text
        assert "Confirm this case" not in text
        *_, record = store.log.records()
        assert (record.actor, record.action) == (account.staff.actor, "case-confirm")
        assert record.detail["reason"] == "spoke-with-person"

    @pytest.mark.parametrize("reason", ["", "because", "self", "SAW-PROOF"])
    def test_reason_is_one_of_the_list(self, worker: Browser, store: Store, reason: str) -> None:
        case = open_case(store)
        answer = worker.post(f"cases/{case.id}/confirm", reason=reason)
        assert answer.status_code == 422
        assert 'id="reason-error"' in answer.text
        assert store.cases.get(case.id).images[0].trust is Trust.UNVERIFIED

    def test_withdrawing_asks_who_wants_it_and_erases(
        self, worker: Browser, store: Store, account: NewAccount
    ) -> None:
        case = open_case(store, "a")
        answer = worker.post(f"cases/{case.id}/withdraw", authority="representative")
        assert answer.headers["location"] == f"/en/staff/cases/{case.id}?done=withdraw"
        gone = store.cases.get(case.id)
        assert gone.state is CaseState.WITHDRAWN
        assert {one.state for one in gone.images} == {State.WITHDRAWN}
        assert "It will be deleted on" in worker.text(f"cases/{case.id}")
        *_, done = store.log.records()
        assert (done.actor, done.action) == (account.staff.actor, "case-withdraw")
        assert done.detail["authority"] == "representative"

    @pytest.mark.parametrize("authority", ["", "self", "nobody"])
    def test_authority_is_somebody_elses(
        self, worker: Browser, store: Store, authority: str
    ) -> None:
        case = open_case(store)
        answer = worker.post(f"cases/{case.id}/withdraw", authority=authority)
        assert answer.status_code == 422
        assert store.cases.get(case.id).state is CaseState.OPEN

    def test_what_is_over_cannot_be_done_again(self, worker: Browser, store: Store) -> None:
        case = open_case(store)
        worker.post(f"cases/{case.id}/withdraw", authority="by-phone")
        before = store.log.head()
        for act, field in (("withdraw", "authority"), ("confirm", "reason")):
            value = {"authority": "by-phone", "reason": "saw-proof"}[field]
            answer = worker.post(f"cases/{case.id}/{act}", **{field: value})
            assert answer.status_code == 200
            assert "There is nothing to" in seen(answer)
        assert store.log.head() == before

    def test_workers_neither_see_nor_set_a_pin(self, worker: Browser, store: Store) -> None:
        case = open_case(store)
        answer = worker.get(f"cases/{case.id}")
        assert "You cannot see the PIN" in seen(answer)
        assert PIN not in answer.text
        assert 'name="pin"' not in answer.text


class TestRegisteringForSomebody:
    @pytest.mark.parametrize("lang", LANGUAGES)
    def test_both_answers_lead_to_the_images_with_the_authority(
        self, worker: Browser, lang: str
    ) -> None:
        worker.lang = lang
        answer = worker.post("register", under_18="no", authority="in-person")
        assert answer.headers["location"] == f"/{lang}/register/images?authority=in-person"

    @pytest.mark.parametrize("authority", ["", "in-person"])
    def test_child_leads_to_those_who_may_help(self, worker: Browser, authority: str) -> None:
        answer = worker.post("register", under_18="yes", authority=authority)
        assert answer.headers["location"] == "/en/under-18"

    def test_not_sure_leads_nowhere(self, worker: Browser) -> None:
        answer = worker.post("register", under_18="unsure", authority="by-phone")
        assert answer.status_code == 200
        assert "Do not go on while you are not sure" in seen(answer)
        assert re.search(r'value="by-phone" required checked', answer.text)

    @pytest.mark.parametrize(
        ("fields", "wrong"),
        [
            ({}, ["under_18", "authority"]),
            ({"under_18": "no"}, ["authority"]),
            ({"under_18": "no", "authority": "self"}, ["authority"]),
            ({"under_18": "maybe", "authority": "by-phone"}, ["under_18"]),
        ],
    )
    def test_missing_answers_are_asked_for(
        self, worker: Browser, fields: dict[str, str], wrong: list[str]
    ) -> None:
        answer = worker.post("register", **fields)
        assert answer.status_code == 422
        assert re.findall(r'id="(\w+)-error"', answer.text) == wrong

    @pytest.mark.parametrize("lang", LANGUAGES)
    def test_page_says_whose_the_pin_is(self, worker: Browser, lang: str) -> None:
        worker.lang = lang
        sentence = {
            "en": "The PIN belongs to the person",
            "fr": "Le code secret appartient à la personne",
        }
        assert sentence[lang] in worker.text("register")
