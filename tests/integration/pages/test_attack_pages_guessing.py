"""Guessing case numbers and PINs, doing without the work, and sending the same at once."""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from httpx2 import Response

from attacked import Target, target
from attacking_pages import (
    PIN,
    WRONG_PIN,
    Hostile,
    account,
    case_of,
    code_of,
    number_of_nobody,
    sent_image,
)
from egide.domain.cases import new_number
from egide.security.proof_of_work import TTL, new_challenge
from egide.store.changing import ChangingStore as Store
from egide.store.tables.cases import cases
from server_samples import Served, serve

VARYING = re.compile(r'value="[^"]*"')
DIGITS = re.compile(r"\d+")
AT_ONCE = 8


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with serve(tmp_path, pages=True, case_proof_bits=4, cases_per_hour=1000) as running:
        yield running


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def served_anywhere(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Served]:
    settings: dict[str, Any] = {"pages": True, "case_proof_bits": 4, "cases_per_hour": 1000}
    if request.param == "postgresql":
        settings["store"] = request.getfixturevalue("postgres_url")()
        Store.open(settings["store"], create=True).close()
    with serve(tmp_path, **settings) as running:
        yield running


def ways_to_fail(served: Served) -> dict[str, str]:
    """Numbers of every kind that somebody may try with a wrong PIN."""
    owner = Hostile(served, address="198.51.100.1")
    numbers = {"nobody's": number_of_nobody(served), "open": owner.register(1)}
    numbers["withdrawn"] = owner.register(2)
    owner.post("case/withdraw")
    numbers["expired"] = owner.register(3)
    with served.service.store._database.write() as connection:
        connection.execute(
            sa.update(cases).where(cases.c.number == numbers["expired"]).values(expires=1)
        )
    served.service.casework.expire()
    numbers["overdue"] = owner.register(4)
    with served.service.store._database.write() as connection:
        connection.execute(
            sa.update(cases).where(cases.c.number == numbers["overdue"]).values(expires=1)
        )
    return numbers


def told(answer: Response) -> tuple[Any, ...]:
    """All of an answer but what the visitor sent and its token."""
    headers = {
        name: value
        for name, value in answer.headers.items()
        if name not in {"x-request-id", "date", "set-cookie"}
    }
    # How many seconds one has to wait depends on when one asks.
    text = DIGITS.sub("0", VARYING.sub("", answer.text))
    return answer.status_code, headers, text


class TestEnumeration:
    def test_no_answer_tells_whether_there_is_a_case(self, served_anywhere: Served) -> None:
        numbers = ways_to_fail(served_anywhere)
        answers = {}
        for place, (kind, number) in enumerate(numbers.items()):
            stranger = Hostile(served_anywhere, address=f"203.0.113.{place}")
            answers[kind] = [told(stranger.sign_in(number, WRONG_PIN)) for _ in range(8)]
        unknown = answers.pop("nobody's")
        assert unknown[0][0] == 422
        assert unknown[-1][0] == 429
        for kind, others in answers.items():
            assert [(status, text) for status, _, text in others] == [
                (status, text) for status, _, text in unknown
            ], kind
            names = [sorted(headers) for _, headers, _ in others]
            assert names == [sorted(headers) for _, headers, _ in unknown]
            lengths = [headers["content-length"] for _, headers, _ in others]
            assert lengths == [headers["content-length"] for _, headers, _ in unknown]

    def test_as_much_is_written_of_a_number_without_a_case(self, served: Served) -> None:
        from egide.store.tables.cases import case_attempts

        numbers = ways_to_fail(served)
        rows = []
        for place, number in enumerate(numbers.values()):
            stranger = Hostile(served, address=f"203.0.113.{place}")
            before = count(served, case_attempts)
            stranger.sign_in(number, WRONG_PIN)
            rows.append(count(served, case_attempts) - before)
        assert len(set(rows)) == 1

    def test_no_name_of_staff_is_told_of(self, served: Served) -> None:
        made = account(served, "amina")
        gone = account(served, "beata")
        served.service.store.staff.disable("beata")
        tries = [
            ("nobody", "x", "000000"),
            ("amina", "x", code_of(made)),
            ("amina", made.password, "000000"),
            ("beata", gone.password, code_of(gone)),
        ]
        answers = set()
        for place, (name, password, code) in enumerate(tries):
            stranger = Hostile(served, address=f"203.0.113.{place}")
            fields = {"name": name, "password": password, "code": code}
            status, headers, text = told(stranger.post("staff/sign-in", fields))
            size = int(headers.pop("content-length")) - len(name)
            answers.add((status, tuple(sorted(headers.items())), text, size))
        assert len(answers) == 1


class TestGuessing:
    @pytest.mark.parametrize("places", [1, 60])
    def test_guesses_are_few_from_however_many_places(self, served: Served, places: int) -> None:
        number = Hostile(served, address="198.51.100.1").register(1)
        statuses = [
            Hostile(served, address=f"203.0.113.{n % places}")
            .sign_in(number, WRONG_PIN)
            .status_code
            for n in range(60)
        ]
        # Five from one place and twenty from everywhere, then one more that makes wait.
        assert statuses.count(422) == (6 if places == 1 else 21)
        assert set(statuses) == {422, 429}

    def test_a_forged_address_gives_no_guesses(self, served: Served) -> None:
        number = Hostile(served, address="198.51.100.1").register(1)
        stranger = Hostile(served)
        statuses = []
        for n in range(12):
            stranger.client.headers["x-forwarded-for"] = f"192.0.2.{n}"
            statuses.append(stranger.sign_in(number, WRONG_PIN).status_code)
        assert statuses.count(422) == 6

    def test_many_guesses_at_once_are_no_more(self, served_anywhere: Served) -> None:
        number = Hostile(served_anywhere, address="198.51.100.1").register(1)
        strangers = [Hostile(served_anywhere, address=f"203.0.113.{n}") for n in range(AT_ONCE)]
        tokens = [one.token() for one in strangers]
        statuses: list[int] = []

        def guess(index: int) -> None:
            for _ in range(6):
                body = f"csrf={tokens[index]}&number={number}&pin=wrong-one-7".encode()
                statuses.append(strangers[index].raw("case", body).status_code)

        together(guess)
        # 503: so many at once that nobody looked.
        assert set(statuses) <= {422, 429, 503}
        assert 0 < statuses.count(422) <= 21

    def test_an_attacker_elsewhere_does_not_lock_the_owner_out_at_home(
        self, served: Served
    ) -> None:
        owner = Hostile(served, address="198.51.100.1")
        number = owner.register(1)
        assert owner.sign_in(number).status_code == 303
        for n in range(60):
            Hostile(served, address=f"203.0.113.{n}").sign_in(number, WRONG_PIN)
        assert Hostile(served, address="203.0.113.99").sign_in(number).status_code == 429
        assert Hostile(served, address="198.51.100.1").sign_in(number).status_code == 303
        # Nor does what is open already end.
        assert owner.get("case/card").status_code == 200

    def test_the_longest_wait_is_an_hour(self, served: Served) -> None:
        store = served.service.store
        number = Hostile(served, address="198.51.100.1").register(1)
        now = datetime.now(UTC)
        for hours in range(40):
            at = now + timedelta(hours=hours, seconds=hours)
            store.attempts.begin(number, f"203.0.113.{hours}", now=at)
        owner_at = now + timedelta(hours=41, seconds=41)
        store.attempts.begin(number, "192.0.2.200", now=owner_at)

    def test_guessing_codes_of_staff_makes_wait(self, served: Served) -> None:
        made = account(served, "amina")
        statuses = []
        for n in range(40):
            stranger = Hostile(served, address=f"203.0.113.{n}")
            fields = {"name": "amina", "password": made.password, "code": f"{n:06}"}
            statuses.append(stranger.post("staff/sign-in", fields).status_code)
        assert statuses.count(422) == 21
        assert statuses[-1] == 429


class TestProofOfWork:
    def test_work_counts_once(self, served: Served) -> None:
        hostile = Hostile(served)
        proof = hostile.proof()
        form = {"adult": True, "pin": PIN, "images": [sent_image(1)]} | proof
        assert hostile.post_json("register/submit", form).status_code == 201
        others = [
            form | {"images": [sent_image(2)]},
            form | {"images": [sent_image(1), sent_image(2)]},
            form | {"pin": "a murder of 7 crows"},
            form | {"images": [{**sent_image(1), "quality": 91}]},
        ]
        for other in others:
            answer = Hostile(served, address="203.0.113.9").post_json("register/submit", other)
            assert answer.status_code == 409
            assert answer.json()["code"] == "submission-conflict"
        assert count(served, cases) == 1

    def test_another_nonce_of_the_same_challenge_is_no_other_work(self, served: Served) -> None:
        hostile = Hostile(served)
        form = hostile.form(1)
        assert hostile.post_json("register/submit", form).status_code == 201
        challenge, nonce = form["challenge"], form["nonce"] + 1
        from hashlib import sha256

        from egide.security.proof_of_work import leading_zero_bits

        while leading_zero_bits(sha256(f"{challenge}:{nonce}".encode()).digest()) < 4:
            nonce += 1
        again = form | {"nonce": nonce, "images": [sent_image(2)]}
        assert hostile.post_json("register/submit", again).status_code == 409
        assert count(served, cases) == 1

    def test_no_work_is_forged(self, served: Served) -> None:
        hostile = Hostile(served)
        key = served.service.store.derived_key("page-proof")
        now = datetime.now(UTC)
        good = hostile.form()["challenge"]
        version, bits, expires, random, mac = good.split(".")
        forged = {
            "lighter": ".".join([version, "0", expires, random, mac]),
            "longer": ".".join([version, bits, str(int(expires) + 9999), random, mac]),
            "another's": new_challenge(bytes(32), 0, now),
            "expired": new_challenge(key, 0, now - TTL),
            "empty": "",
            "dots": "....",
            "no ASCII": good + "é",
            "NUL": good + "\0",
            "more": good + ".",
            "padded": good + "=",
            "small": good.swapcase(),
        }
        for kind, challenge in forged.items():
            form = hostile.form() | {"challenge": challenge, "nonce": 0}
            answer = hostile.post_json("register/submit", form)
            assert answer.status_code == 422, kind
            assert answer.json()["code"] in {"proof-invalid", "proof-expired"}, kind
        assert count(served, cases) == 0

    def test_a_nonce_is_a_number(self, served: Served) -> None:
        hostile = Hostile(served)
        for nonce in ("0", 0.0, -1, 2**63, 10**300, True, None, [0], "٠"):
            answer = hostile.post_json("register/submit", hostile.form() | {"nonce": nonce})
            assert answer.status_code == 422, nonce
        assert count(served, cases) == 0

    def test_a_challenge_of_another_store_is_none_here(
        self, served: Served, tmp_path: Path
    ) -> None:
        folder = tmp_path / "other"
        folder.mkdir()
        with serve(folder, pages=True, case_proof_bits=0) as other:
            form = Hostile(other).form()
        assert Hostile(served).post_json("register/submit", form).status_code == 422


class TestAtOnce:
    def test_one_submission_sent_many_times_at_once_is_one_case(
        self, served_anywhere: Served
    ) -> None:
        form = Hostile(served_anywhere).form(1, 2)
        visitors = [Hostile(served_anywhere) for _ in range(AT_ONCE)]
        answers = together(lambda index: visitors[index].post_json("register/submit", form))
        assert {answer.status_code for answer in answers} <= {201, 503}
        assert any(answer.status_code == 201 for answer in answers)
        assert count(served_anywhere, cases) == 1

    def test_two_pins_for_one_submission_at_once_give_one_case_and_one_refusal(
        self, served_anywhere: Served
    ) -> None:
        form = Hostile(served_anywhere).form(1)
        pins = ["first of 2 pins", "second of 2 pins"] * (AT_ONCE // 2)
        visitors = [Hostile(served_anywhere) for _ in range(AT_ONCE)]
        answers = together(
            lambda index: visitors[index].post_json("register/submit", form | {"pin": pins[index]})
        )
        opened = {pin for pin, one in zip(pins, answers, strict=True) if one.status_code == 201}
        assert len(opened) == 1
        assert {one.status_code for one in answers} <= {201, 409, 503}
        assert count(served_anywhere, cases) == 1

    def test_one_code_lets_one_in(self, served_anywhere: Served) -> None:
        made = account(served_anywhere, "amina")
        visitors = [Hostile(served_anywhere, address=f"203.0.113.{n}") for n in range(AT_ONCE)]
        tokens = [one.token() for one in visitors]
        fields = f"name=amina&password={made.password}&code={code_of(made)}"
        answers = together(
            lambda n: visitors[n].raw("staff/sign-in", f"csrf={tokens[n]}&{fields}".encode())
        )
        assert [one.status_code for one in answers].count(303) == 1

    def test_withdrawing_and_adding_at_once_leaves_nothing_to_be_found(
        self, served_anywhere: Served
    ) -> None:
        owner = Hostile(served_anywhere)
        number = owner.register(1)
        mark = re.search(r'data-case="([^"]+)"', owner.get("case/add?adult=yes").text)
        assert mark
        forms = [owner.proof() | {"adult": True, "case": mark[1]} for _ in range(AT_ONCE)]
        windows = [Hostile(served_anywhere) for _ in range(AT_ONCE)]
        for window in windows:
            assert window.sign_in(number).status_code == 303
        tokens = [window.token() for window in windows]

        def act(index: int) -> Response:
            if index == AT_ONCE // 2:
                return windows[index].raw("case/withdraw", f"csrf={tokens[index]}".encode())
            form = forms[index] | {"images": [sent_image(10 + index)]}
            return windows[index].post_json("case/add/submit", form)

        answers = together(act)
        assert answers[AT_ONCE // 2].status_code == 303
        case = case_of(served_anywhere, number)
        assert case.state.value == "withdrawn"
        assert {image.state.value for image in case.images} == {"withdrawn"}


def together(act: Callable[[int], Any]) -> list[Any]:
    """Have `AT_ONCE` threads act at the same moment."""
    ready = threading.Barrier(AT_ONCE)

    def wait_and_act(index: int) -> Any:
        ready.wait()
        return act(index)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(wait_and_act, range(AT_ONCE)))


def count(served: Served, table: sa.Table) -> int:
    with served.service.store._database.read() as connection:
        return connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()


FLOOD = 500
MAX_FLOOD_MIB = 400
"""Two Argon2id of 64 MiB, some hundred threads with a page each, and room."""


@pytest.mark.slow
def test_a_flood_of_sign_ins_takes_neither_memory_nor_the_way_in(tmp_path: Path) -> None:
    settings = {"EGIDE_PAGES": "true", "EGIDE_TRUSTED_PROXIES": "127.0.0.0/8"}
    with target(tmp_path, **settings) as running:
        started = running.raw(request("GET", "form-token"))
        cookie = started.headers["set-cookie"].partition(";")[0]
        token = started.json()["csrf"]
        headers = [f"Cookie: {cookie}", f"X-CSRF-Token: {token}"]
        # Each from a place of its own, with a number of its own: nothing but the work bounds them.
        sign_ins = [
            request(
                "POST",
                "case",
                *headers,
                f"X-Forwarded-For: 203.0.{n // 250}.{n % 250}",
                body=f"csrf={token}&number={new_number()}&pin=wrong-one-7",
            )
            for n in range(FLOOD)
        ]
        challenges = [request("POST", "register/challenge", *headers)] * FLOOD
        with peak_of(running) as peak_mib, ThreadPoolExecutor(100) as pool:
            before_mib = running.memory_mib()
            tried = Counter(answer.status for answer in pool.map(running.raw, sign_ins))
            given = Counter(answer.status for answer in pool.map(running.raw, challenges))
        assert set(tried) <= {422, 503}
        assert tried[422] > 0
        assert set(given) <= {200, 503}
        assert given[200] > FLOOD / 2
        assert max(peak_mib) - before_mib < MAX_FLOOD_MIB
        assert running.raw(request("GET", "help")).status == 200
        assert not [line for line in running.lines() if line["level"] == "error"]


@contextmanager
def peak_of(running: Target) -> Iterator[list[float]]:
    """Watch the memory of a process, in MiB."""
    measured = [running.memory_mib()]
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.02):
            measured.append(running.memory_mib())

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        yield measured
    finally:
        done.set()
        watching.join()


def request(method: str, path: str, *lines: str, body: str = "") -> bytes:
    start = [f"{method} /en/{path} HTTP/1.1", "Host: x", "Connection: close"]
    return "\r\n".join([*start, *lines, f"Content-Length: {len(body)}", "", body]).encode()
