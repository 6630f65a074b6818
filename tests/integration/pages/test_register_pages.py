"""Registering and one's own case over HTTP: every rule that the server holds to."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx2
import pytest

from egide.domain.cases import shown_number
from egide.security.proof_of_work import leading_zero_bits
from egide.server.chores import chores
from egide.server.pages.site.page import COOKIE
from egide.store.access.sessions import Sessions
from egide.usecases.cases import Casework
from server_samples import Served, serve

PIN = "a kettle of 9 herons"
BITS = 6


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("pages")
    with serve(folder, pages=True, case_proof_bits=BITS, cases_per_hour=1000) as running:
        yield running


@pytest.fixture
def visitor(served: Served) -> Visitor:
    return Visitor(served)


class Visitor:
    """Somebody with a browser of their own, whose scripts the test plays."""

    def __init__(self, served: Served, lang: str = "en") -> None:
        self.served = served
        self.lang = lang
        # Secure cookies come back over HTTPS alone.
        self.client = served.another_client(base_url="https://testserver", follow_redirects=False)

    def get(self, path: str) -> httpx2.Response:
        return self.client.get(f"/{self.lang}/{path}")

    def token(self) -> str:
        token: str = self.get("form-token").json()["csrf"]
        return token

    def post(self, path: str, **fields: str) -> httpx2.Response:
        return self.client.post(
            f"/{self.lang}/{path}",
            content="&".join(f"{k}={v}" for k, v in ({"csrf": self.token()} | fields).items()),
            headers={"Content-Type": "application/x-www-form-urlencoded"},
        )

    def send(self, path: str, body: Any, token: str | None = None) -> httpx2.Response:
        return self.client.post(
            f"/{self.lang}/{path}",
            content=body if isinstance(body, bytes) else json.dumps(body).encode(),
            headers={
                "Accept": "application/json",
                "Content-Type": "application/json",
                "X-CSRF-Token": self.token() if token is None else token,
            },
        )

    def proof(self) -> dict[str, Any]:
        challenge = self.send("register/challenge", {}).json()["challenge"]
        return {"challenge": challenge, "nonce": solve(challenge)}

    def form(self, *numbers: int, **changes: Any) -> dict[str, Any]:
        images = [image(number) for number in numbers or (1,)]
        return self.proof() | {"adult": True, "pin": PIN, "images": images} | changes

    def register(self, *numbers: int, **changes: Any) -> str:
        """Register images and return the case's number."""
        answer = self.send("register/submit", self.form(*numbers, **changes))
        assert answer.status_code == 201, answer.text
        found = re.search(
            r'class="case-number">([\d ]+)<', self.client.get(answer.json()["next"]).text
        )
        assert found is not None
        return found[1]

    def mark(self) -> str:
        found = re.search(r'data-case="([0-9a-f]+)"', self.get("case/add?adult=yes").text)
        assert found is not None
        return found[1]


def solve(challenge: str) -> int:
    bits = int(challenge.split(".")[1])
    nonce = 0
    while leading_zero_bits(sha256(f"{challenge}:{nonce}".encode()).digest()) < bits:
        nonce += 1
    return nonce


def image(number: int, **changes: Any) -> dict[str, Any]:
    digest = sha256(f"picture {number}".encode()).hexdigest()
    return {"kind": "still", "pdq": digest[::-1], "quality": 90, "sha256": digest} | changes


def code(answer: httpx2.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


# --- the question of age ---


@pytest.mark.parametrize("lang", ["en", "fr"])
def test_age_is_asked_before_anything_else(served: Served, lang: str) -> None:
    visitor = Visitor(served, lang)
    asked = visitor.get("register/images")
    assert (asked.status_code, asked.headers["location"]) == (303, f"/{lang}/register")
    question = visitor.get("register").text
    for path in (f"/{lang}/under-18", f"/{lang}/register/images?adult=yes", f"/{lang}/help"):
        assert f'href="{path}"' in question


def test_nothing_is_registered_without_the_word_that_nobody_was_under_18(visitor: Visitor) -> None:
    for adult in (False, None, "yes", 1):
        answer = visitor.send("register/submit", visitor.form(adult=adult))
        assert code(answer) == (422, "request-invalid")
    form = visitor.form()
    del form["adult"]
    assert code(visitor.send("register/submit", form)) == (422, "request-invalid")


# --- the page that fingerprints ---


@pytest.mark.parametrize("lang", ["en", "fr"])
def test_images_page_says_what_it_cannot_do_and_works_nothing_without_script(
    served: Served, lang: str
) -> None:
    visitor = Visitor(served, lang)
    page = visitor.get("register/images?adult=yes")
    assert page.status_code == 200
    policy = page.headers["content-security-policy"]
    assert "worker-src 'self'" in policy
    assert "unsafe-inline" not in policy
    words = json.loads(re.search(r'id="words">(.*?)</script>', page.text, re.DOTALL)[1])  # type: ignore[index]
    assert {"puzzle", "sending", "problem.offline", "file.damaged"} <= set(words)
    assert 'class="without-script"' in page.text
    assert f'href="/{lang}/help"' in page.text


def test_words_of_the_page_cannot_close_their_script_block(visitor: Visitor) -> None:
    block = visitor.get("register/images?adult=yes").text.split('id="words">')[1]
    assert "<" not in block.split("</script>")[0]


# --- what a script sends ---


def test_registering_opens_a_case_that_its_number_and_pin_lead_to(visitor: Visitor) -> None:
    number = visitor.register(1, 2, 3)
    other = Visitor(visitor.served, "fr")
    answer = other.post("case", number=number.replace(" ", "-"), pin=PIN)
    assert (answer.status_code, answer.headers["location"]) == (303, "/fr/case")
    page = other.get("case").text
    assert number in page
    assert page.count("<h3>Image ") == 3


def test_entries_are_unverified_and_hold_no_more_than_the_fingerprints(visitor: Visitor) -> None:
    before = {entry.id for entry in visitor.served.service.store.entries.list("helpline")}
    visitor.register(11, 12)
    entries = [
        entry
        for entry in visitor.served.service.store.entries.list("helpline")
        if entry.id not in before
    ]
    assert [entry.sha256 for entry in entries] == [
        bytes.fromhex(image(number)["sha256"]) for number in (11, 12)
    ]
    assert {entry.trust.value for entry in entries} == {"unverified"}
    assert {entry.note for entry in entries} == {""}


def test_sent_twice_it_is_one_case(visitor: Visitor) -> None:
    form = visitor.form(21, 22)
    first = visitor.send("register/submit", form)
    second = visitor.send("register/submit", form)
    assert (first.status_code, second.status_code) == (201, 201)
    case = visitor.served.service.casework
    ids = [
        visitor.served.service.store.sessions.find(one.cookies[COOKIE]) for one in (first, second)
    ]
    # The session of the first ended when the second began.
    assert ids[0] is None
    assert ids[1] is not None
    assert len(case.get(ids[1].subject_id).images) == 2


def test_sent_twice_with_another_pin_it_is_refused(visitor: Visitor) -> None:
    form = visitor.form(23)
    assert visitor.send("register/submit", form).status_code == 201
    again = visitor.send("register/submit", form | {"pin": "another kettle"})
    assert again.json()["code"] == "submission-conflict"


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "holiday.jpg"},
        {"images": []},
        {"images": [image(1) | {"name": "holiday.jpg"}]},
        {"images": [image(1), image(1)]},
        {"images": [image(1, kind="video")]},
        {"images": [image(1, pdq=None)]},
        {"images": [image(1, quality=None)]},
        {"images": [image(1, quality=49)]},
        {"images": [image(1, quality=101)]},
        {"images": [image(1, quality="90")]},
        {"images": [image(1, kind="digest-only")]},
        {"images": [image(1, sha256="0" * 63)]},
        {"images": [image(1, sha256="A" * 64)]},
        {"images": [image(1, pdq="é" * 64)]},
        {"images": "all"},
        {"pin": 123456},
        {"pin": "x" * 257},
        {"nonce": -1},
        {"nonce": "1"},
        {"authority": "police"},
    ],
    ids=str,
)
def test_anything_but_the_form_is_refused_without_repeating_it(
    visitor: Visitor, changes: dict[str, Any]
) -> None:
    answer = visitor.send("register/submit", visitor.form() | changes)
    assert code(answer) == (422, "request-invalid")
    assert "holiday" not in answer.text
    assert "A" * 64 not in answer.text


def test_no_json_is_refused(visitor: Visitor) -> None:
    for body in (b"", b"[]", b"{", b"\xff"):
        assert code(visitor.send("register/submit", body)) == (422, "request-invalid")


def test_digest_only_images_are_taken(visitor: Visitor) -> None:
    page = visitor.register(images=[image(31, kind="digest-only", pdq=None, quality=None)])
    assert page
    assert "Exact copies only" in visitor.get("case").text


def test_weak_pins_are_refused_with_the_reason(visitor: Visitor) -> None:
    for pin, reason in (("12345", "too-short"), ("123456", "too-simple"), ("y" * 100, "too-long")):
        answer = visitor.send("register/submit", visitor.form(pin=pin))
        assert code(answer) == (422, "pin-refused")
        assert answer.json()["reason"] == reason
        assert pin not in answer.text


def test_a_refused_pin_can_be_chosen_anew_with_the_same_work(visitor: Visitor) -> None:
    form = visitor.form(32, pin="123456")
    assert visitor.send("register/submit", form).json()["code"] == "pin-refused"
    assert visitor.send("register/submit", form | {"pin": PIN}).status_code == 201


def test_work_has_to_be_done_and_be_ones_own(visitor: Visitor) -> None:
    form = visitor.form()
    challenge = form["challenge"]
    wrong = next(
        nonce
        for nonce in range(1000)
        if leading_zero_bits(sha256(f"{challenge}:{nonce}".encode()).digest()) < BITS
    )
    answer = visitor.send("register/submit", form | {"nonce": wrong})
    assert answer.json()["code"] == "proof-invalid"
    easier = challenge.replace(f"v1.{BITS}.", "v1.0.")
    answer = visitor.send("register/submit", form | {"challenge": easier, "nonce": 0})
    assert answer.json()["code"] == "proof-invalid"


def test_forged_requests_are_refused(visitor: Visitor) -> None:
    form = visitor.form()
    for token in ("", "x", Visitor(visitor.served).token()):
        assert code(visitor.send("register/submit", form, token)) == (403, "form-expired")
        assert code(visitor.send("register/challenge", {}, token)) == (403, "form-expired")


def test_signing_in_changes_the_cookie_and_the_token(visitor: Visitor) -> None:
    before = visitor.token(), visitor.client.cookies[COOKIE]
    visitor.register(33)
    after = visitor.token(), visitor.client.cookies[COOKIE]
    assert before[0] != after[0]
    assert before[1] != after[1]


def test_a_large_body_is_refused(visitor: Visitor) -> None:
    images = [image(number) for number in range(6000)]
    assert visitor.send("register/submit", visitor.form(images=images)).status_code == 413


def test_so_many_cases_an_hour_and_place(tmp_path: Path) -> None:
    with serve(tmp_path, pages=True, case_proof_bits=0, cases_per_hour=2) as served:
        visitor = Visitor(served)
        forms = [visitor.form(number) for number in range(3)]
        answers = [visitor.send("register/submit", form) for form in forms]
        assert [answer.status_code for answer in answers] == [201, 201, 429]
        assert int(answers[2].headers["retry-after"]) == answers[2].json()["retry_after_s"] > 600
        # What was opened already is answered again, for its answer may have been lost.
        assert visitor.send("register/submit", forms[1]).status_code == 201


def test_so_many_images_a_case(tmp_path: Path) -> None:
    with serve(tmp_path, pages=True, case_proof_bits=0, case_max_images=3) as served:
        visitor = Visitor(served)
        answer = visitor.send("register/submit", visitor.form(1, 2, 3, 4))
        assert answer.json()["code"] == "case-full"
        visitor.register(1, 2)
        form = visitor.proof() | {"adult": True, "case": visitor.mark()}
        answer = visitor.send("case/add/submit", form | {"images": [image(3), image(4)]})
        assert answer.json()["code"] == "case-full"
        assert visitor.send("case/add/submit", form | {"images": [image(3)]}).status_code == 201
        assert "3 images" in visitor.get("case/add?adult=yes").text
        assert "images-app" not in visitor.get("case/add?adult=yes").text


# --- the card and the case ---


def test_card_shows_the_number_and_never_the_pin(visitor: Visitor) -> None:
    number = visitor.register(41)
    card = visitor.get("case/card")
    assert number in card.text
    assert PIN not in card.text
    assert "https://testserver/en/case" in card.text
    assert card.headers["x-robots-tag"] == "noindex"
    assert card.headers["cache-control"] == "no-store"


def test_wrong_number_and_wrong_pin_have_one_answer(visitor: Visitor) -> None:
    number = visitor.register(42)
    from egide.domain.cases import new_number

    answers = []
    for typed, pin in ((number, "not this one"), (shown_number(new_number()), PIN)):
        other = Visitor(visitor.served)
        answer = other.post("case", number=typed, pin=pin)
        text = answer.text.replace(typed, "NUMBER")
        answers.append((answer.status_code, re.sub(r'name="csrf" value="[^"]*"', "", text)))
        assert pin not in answer.text
    assert answers[0] == answers[1]
    assert answers[0][0] == 422


def test_a_slip_in_the_number_is_told_of(visitor: Visitor) -> None:
    answer = visitor.post("case", number="4821 7730 9155", pin=PIN)
    assert answer.status_code == 422
    assert "There is a slip in this number" in answer.text
    assert 'value="4821 7730 9155"' in answer.text


def test_many_wrong_pins_make_one_wait_and_the_page_says_how_long(tmp_path: Path) -> None:
    with serve(tmp_path, pages=True, case_proof_bits=0) as served:
        number = Visitor(served).register(1)
        visitor = Visitor(served)
        for _ in range(30):
            answer = visitor.post("case", number=number, pin="not this one")
            if answer.status_code == 429:
                break
        assert answer.status_code == 429
        assert re.search(r"try again in \d+ (second|minute)s?", answer.text)
        assert int(answer.headers["retry-after"]) > 0


def test_pages_of_a_case_are_for_whoever_is_signed_in(visitor: Visitor) -> None:
    assert "Open my case" in visitor.get("case").text
    for path in ("case/card", "case/add", "case/withdraw"):
        answer = visitor.get(path)
        assert (path, answer.status_code) == (path, 401)
    for path in ("case/withdraw", "case/extend"):
        assert visitor.post(path).status_code == 401
    form = visitor.proof() | {"adult": True, "case": "0" * 32, "images": [image(1)]}
    assert code(visitor.send("case/add/submit", form)) == (401, "sign-in-needed")


def test_signing_out_ends_the_session(visitor: Visitor) -> None:
    visitor.register(43)
    cookie = visitor.client.cookies[COOKIE]
    assert visitor.post("case/sign-out").headers["location"] == "/en/goodbye"
    visitor.client.cookies.set(COOKIE, cookie)
    assert visitor.get("case/card").status_code == 401


def test_more_images_are_added_once(visitor: Visitor) -> None:
    number = visitor.register(51)
    assert visitor.get("case/add").text.count("case/add?adult=yes") == 1
    form = visitor.proof() | {
        "adult": True,
        "case": visitor.mark(),
        "images": [image(52), image(51)],
    }
    for _ in range(2):
        answer = visitor.send("case/add/submit", form)
        assert answer.status_code == 201
        assert answer.json()["next"] == "/en/case?done=added"
    page = visitor.get("case?done=added").text
    assert number in page
    assert page.count("<h3>Image ") == 2
    assert "Your new images are in your case" in page


def test_a_form_never_adds_to_another_case_that_was_opened_since(visitor: Visitor) -> None:
    visitor.register(53)
    form = visitor.proof() | {"adult": True, "case": visitor.mark(), "images": [image(54)]}
    visitor.register(55)
    answer = visitor.send("case/add/submit", form)
    assert answer.json()["code"] == "case-changed"
    assert visitor.get("case").text.count("<h3>Image ") == 1


# --- withdrawing and keeping ---


def test_withdrawing_takes_two_clicks_and_erases(visitor: Visitor) -> None:
    visitor.register(61, 62)
    assert 'href="/en/case/withdraw"' in visitor.get("case").text
    asked = visitor.get("case/withdraw")
    assert "Take all your images out?" in asked.text
    answer = visitor.post("case/withdraw")
    assert (answer.status_code, answer.headers["location"]) == (303, "/en/case/withdraw")
    assert "Your images are taken out" in visitor.get("case/withdraw").text
    page = visitor.get("case").text
    assert "They" not in page or "You took them out on" in page
    assert "case/add" not in page
    digests = {entry.sha256 for entry in visitor.served.service.store.entries.list("helpline")}
    assert bytes.fromhex(image(61)["sha256"]) not in digests


def test_no_address_withdraws_by_itself(visitor: Visitor) -> None:
    visitor.register(63)
    visitor.get("case/withdraw")
    visitor.get("case/extend")
    assert visitor.client.post("/en/case/withdraw", content=b"csrf=wrong").status_code == 403
    assert "case/add" in visitor.get("case").text


def test_one_image_is_withdrawn_alone(visitor: Visitor) -> None:
    visitor.register(64, 65)
    links = re.findall(r'href="/en/(case/withdraw\?image=(\d+))"', visitor.get("case").text)
    assert len(links) == 2
    asked = visitor.get(links[1][0]).text
    assert "Take Image 2 out?" in asked
    answer = visitor.post("case/withdraw", image=links[1][1])
    assert answer.headers["location"] == "/en/case?done=image-withdrawn"
    page = visitor.get("case?done=image-withdrawn").text
    assert len(re.findall(r"case/withdraw\?image=", page)) == 1
    assert "It was taken out" in page


def test_images_of_others_cannot_be_withdrawn(visitor: Visitor) -> None:
    other = Visitor(visitor.served)
    other.register(66)
    theirs = re.findall(r"case/withdraw\?image=(\d+)", other.get("case").text)[0]
    visitor.register(67)
    for asked in (theirs, "0", "x", "9" * 40):
        assert visitor.get(f"case/withdraw?image={asked}").headers["location"] == "/en/case"
        assert visitor.post("case/withdraw", image=asked).headers["location"] == "/en/case"
    assert "It was taken out" not in other.get("case").text
    assert "It was taken out" not in visitor.get("case").text


def test_the_end_comes_near_with_a_warning_and_can_be_put_off(
    visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    visitor.register(71)
    assert "Your case ends soon" not in visitor.get("case").text
    monkeypatch.setattr(Casework, "ends_soon", lambda *_: True)
    page = visitor.get("case").text
    assert "Your case ends soon" in page
    assert "Keep it for 2 years from today" in page
    answer = visitor.post("case/extend")
    assert answer.headers["location"] == "/en/case?done=extended"


def test_an_ended_case_can_still_be_looked_at_and_not_changed(visitor: Visitor) -> None:
    number = visitor.register(72)
    later = datetime.now(UTC) + timedelta(days=800)
    assert visitor.served.service.casework.expire(later) >= 1
    page = visitor.get("case").text
    assert number in page
    assert "Your case has ended" in page
    for path in ("case/card", "case/add?adult=yes", "case/withdraw"):
        assert visitor.get(path).headers["location"] == "/en/case"
    assert visitor.post("case/extend").headers["location"] == "/en/case"
    visitor.served.service.casework.forget(later + timedelta(days=100))
    assert "Open my case" in visitor.get("case").text


def test_a_case_is_no_part_of_logs_or_addresses(
    visitor: Visitor, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    number = visitor.register(81)
    visitor.post("case", number=number.replace(" ", ""), pin=PIN)
    visitor.get("case")
    visitor.post("case/withdraw")
    told = " ".join(str(vars(record)) for record in caplog.records)
    for secret in (number, number.replace(" ", ""), PIN, image(81)["sha256"], "testclient"):
        assert secret not in told


# --- helplines, and what ends by itself ---


@pytest.fixture
def worker(visitor: Visitor) -> Visitor:
    """Somebody of the staff, signed in."""
    store = visitor.served.service.store
    name = f"worker{len(store.staff.list())}"
    member = store.staff.create(name, "no password", b"no secret")
    token = store.sessions.start("staff", member.id, idle_s=900, longest_s=900)
    visitor.client.cookies.set(COOKIE, token)
    return visitor


def test_a_worker_registers_with_recorded_authority_and_hands_over_the_card(
    worker: Visitor,
) -> None:
    assert worker.get("register/images").headers["location"] == "/en/staff/register"
    page = worker.get("register/images?authority=by-phone")
    assert 'data-authority="by-phone"' in page.text
    assert "The person asked me by phone" in page.text
    answer = worker.send("register/submit", worker.form(91, authority="by-phone"))
    assert answer.status_code == 201
    card = worker.client.get(answer.json()["next"])
    assert "Give this number to the person now" in card.text
    number = re.search(r'class="case-number">([\d ]+)<', card.text)
    assert number is not None
    owner = Visitor(worker.served)
    assert owner.post("case", number=number[1], pin=PIN).status_code == 303
    assert "A helpline opened this case for you." in owner.get("case").text
    session = worker.served.service.store.sessions.find(owner.client.cookies[COOKIE])
    assert session is not None
    case = worker.served.service.casework.get(session.subject_id)
    assert (case.authority.value, (case.opened_by or "")[:6]) == ("by-phone", "worker")


def test_nobody_else_claims_authority_or_sees_such_a_card(visitor: Visitor) -> None:
    page = visitor.get("register/images?adult=yes&authority=by-phone")
    assert 'data-authority=""' in page.text
    answer = visitor.send("register/submit", visitor.form(92, authority="by-phone"))
    assert code(answer) == (401, "sign-in-needed")
    visitor.register(93)
    assert visitor.get("staff/cases/1/card").headers["location"] == "/en/staff/sign-in"


def test_cases_end_and_are_forgotten_by_themselves(
    visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    visitor.register(94)
    service = visitor.served.service
    forgetting = next(one for one in chores(service, lambda: False) if one.name == "forgetting")

    def run_after(days: int) -> None:
        class Later(datetime):
            @classmethod
            def now(cls, tz: Any = None) -> datetime:
                return datetime.now(tz) + timedelta(days=days)

        monkeypatch.setattr("egide.server.chores.datetime", Later)
        # Not yet the visitor's session, which would be over as well.
        monkeypatch.setattr(Sessions, "forget", lambda *_: 0)
        forgetting.do()

    run_after(700)
    assert "Your case has ended" not in visitor.get("case").text
    run_after(740)
    assert "Your case has ended" in visitor.get("case").text
    run_after(780)
    assert "Open my case" in visitor.get("case").text
