"""Staff pages under attack: stolen codes, accounts that are shut, workers who overstep."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest
import sqlalchemy as sa

from attacking_pages import PIN, Hostile, account, case_of, code_of, sent_image
from case_samples import image
from egide.domain.access import Role
from egide.domain.cases import CaseState
from egide.domain.model import Trust
from egide.server.pages.site.page import COOKIE
from egide.store.access.sessions import Sessions
from egide.store.changing import ChangingStore
from egide.store.tables.cases import cases, sessions
from egide.usecases.cases import Casework
from egide.usecases.staff import NewAccount, Staffing
from server_samples import Served, serve

NAMES = (f"amina-{number}" for number in count())
PAGES = ("staff/", "staff/register", "staff/cases/1", "staff/cases/1/confirm", "staff/cases/1/card")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serve(
        tmp_path_factory.mktemp("staff"), pages=True, case_proof_bits=0, cases_per_hour=1000
    ) as running:
        yield running


@pytest.fixture
def amina(served: Served) -> NewAccount:
    served.service.store.attempts.forget(datetime.now(UTC) + timedelta(days=9))
    return account(served, next(NAMES))


@pytest.fixture
def worker(served: Served, amina: NewAccount) -> Hostile:
    worker = Hostile(served, address="198.51.100.3")
    assert worker.sign_in_as(amina).status_code == 303
    return worker


class TestCodes:
    def test_a_code_that_was_overseen_lets_nobody_else_in(
        self, served: Served, amina: NewAccount
    ) -> None:
        fields = {"name": amina.staff.name, "password": amina.password, "code": code_of(amina)}
        worker, thief = Hostile(served), Hostile(served, address="203.0.113.9")
        assert worker.post("staff/sign-in", fields).status_code == 303
        for _ in range(3):
            assert thief.post("staff/sign-in", fields).status_code == 422
        older = fields | {"code": code_of(amina, -1)}
        assert thief.post("staff/sign-in", older).status_code == 422
        assert thief.get("staff/").status_code == 303

    @pytest.mark.parametrize("code", ["", "0", " " * 6, "1" * 5000, "١٢٣٤٥٦", "-00001", "1e5000"])
    def test_no_other_text_is_a_code(self, served: Served, amina: NewAccount, code: str) -> None:
        fields = {"name": amina.staff.name, "password": amina.password, "code": code}
        assert Hostile(served).post("staff/sign-in", fields).status_code == 422


class TestAccounts:
    @pytest.mark.parametrize("act", ["disable", "reset", "remove"])
    def test_an_account_that_is_shut_ends_what_is_open(
        self, served: Served, worker: Hostile, amina: NewAccount, act: str
    ) -> None:
        form = worker.form(1) | {"authority": "by-phone"}
        token = worker.token()
        if act == "reset":
            Staffing(served.service.store).reset(amina.staff.name)
        else:
            getattr(served.service.store.staff, act)(amina.staff.name)
        for path in PAGES:
            answer = worker.get(path)
            assert answer.status_code == 303, path
            assert answer.headers["location"] == "/en/staff/sign-in"
        for path in ("staff/cases/1/confirm", "staff/cases/1/withdraw", "staff/find"):
            body = f"csrf={token}&reason=saw-proof&authority=by-phone&number=1".encode()
            assert worker.raw(path, body).headers["location"] == "/en/staff/sign-in"
        assert worker.post_json("register/submit", form).status_code == 401

    @pytest.mark.parametrize("act", ["disable", "reset", "remove"])
    def test_an_account_shut_in_the_middle_of_a_sign_in_opens_nothing(
        self, served: Served, amina: NewAccount, monkeypatch: pytest.MonkeyPatch, act: str
    ) -> None:
        store = served.service.store
        start = Sessions.start

        def shut_first(self: Sessions, *names: object, **given: object) -> str:
            if act == "reset":
                Staffing(store).reset(amina.staff.name)
            else:
                getattr(store.staff, act)(amina.staff.name)
            return start(self, *names, **given)  # type: ignore[arg-type]

        monkeypatch.setattr(Sessions, "start", shut_first)
        worker = Hostile(served)
        assert worker.sign_in_as(amina).status_code == 422
        assert worker.get("staff/").headers["location"] == "/en/staff/sign-in"
        with store._database.read() as connection:
            own = sa.select(sessions).where(sessions.c.subject_id == amina.staff.id)
            assert connection.execute(own.where(sessions.c.kind == "staff")).all() == []

    def test_an_account_of_the_same_name_inherits_nothing(
        self, served: Served, worker: Hostile, amina: NewAccount
    ) -> None:
        served.service.store.staff.remove(amina.staff.name)
        again = account(served, amina.staff.name)
        Hostile(served).sign_in_as(again)
        assert worker.get("staff/").headers["location"] == "/en/staff/sign-in"


class TestOverstepping:
    def test_what_is_over_cannot_be_confirmed_or_withdrawn_again(
        self, served: Served, worker: Hostile
    ) -> None:
        owner = Hostile(served)
        withdrawn = case_of(served, owner.register(1))
        owner.post("case/withdraw")
        expired = case_of(served, owner.register(2))
        with served.service.store._database.write() as connection:
            connection.execute(sa.update(cases).where(cases.c.id == expired.id).values(expires=1))
        for case in (withdrawn, expired):
            for act, said in (("confirm", "reason=saw-proof"), ("withdraw", "authority=by-phone")):
                path = f"staff/cases/{case.id}/{act}"
                answer = worker.raw(path, f"csrf={worker.token()}&{said}".encode())
                assert answer.status_code == 200, path
                assert 'type="radio"' not in answer.text
            now = served.service.casework.get(case.id)
            assert now.state is not CaseState.OPEN
            assert Trust.CONFIRMED not in {image.trust for image in now.images}
        served.service.casework.expire()
        assert served.service.casework.get(expired.id).state is CaseState.EXPIRED

    @pytest.mark.parametrize("said", ["", "self", "SELF", "court-order", "by-phone&authority=x"])
    def test_nobody_withdraws_by_no_one_s_word(
        self, served: Served, worker: Hostile, said: str
    ) -> None:
        case = case_of(served, Hostile(served).register(1))
        body = f"csrf={worker.token()}&authority={said}".encode()
        assert worker.raw(f"staff/cases/{case.id}/withdraw", body).status_code == 422
        assert served.service.casework.get(case.id).state is CaseState.OPEN

    @pytest.mark.parametrize("said", ["", "because", "known-to-us "])
    def test_nobody_confirms_without_a_reason(
        self, served: Served, worker: Hostile, said: str
    ) -> None:
        case = case_of(served, Hostile(served).register(1))
        fields = {"reason": said}
        path = f"staff/cases/{case.id}/confirm"
        assert worker.post(path, fields).status_code == 422
        assert served.service.casework.get(case.id).images[0].trust is Trust.UNVERIFIED

    def test_what_a_worker_does_cannot_be_hidden(
        self, served: Served, worker: Hostile, amina: NewAccount
    ) -> None:
        case = case_of(served, Hostile(served).register(1))
        worker.post(f"staff/cases/{case.id}/confirm", {"reason": "saw-proof"})
        worker.post(f"staff/cases/{case.id}/withdraw", {"authority": "by-phone"})
        form = worker.form(2) | {"authority": "representative"}
        assert worker.post_json("register/submit", form).status_code == 201
        records = list(served.service.store.log.records())
        acts = [record.action for record in records if record.actor == amina.staff.actor]
        assert acts == ["staff-sign-in", "case-confirm", "case-withdraw", "case-open"]

    @pytest.mark.parametrize("authority", ["self", "by-phone", "admin", "", None, 1, ["by-phone"]])
    def test_nobody_else_acts_as_staff(self, served: Served, authority: object) -> None:
        visitor = Hostile(served)
        before = len(list(served.service.store.log.records()))
        answer = visitor.post_json("register/submit", visitor.form(1) | {"authority": authority})
        assert answer.status_code == (
            201 if authority == "self" else 401 if authority == "by-phone" else 422
        )
        records = list(served.service.store.log.records())[before:]
        opened = [record.actor for record in records if record.action == "case-open"]
        assert opened == (["case:owner"] if authority == "self" else [])

    def test_no_page_shows_a_fingerprint_or_a_pin(self, served: Served, worker: Hostile) -> None:
        case = case_of(served, Hostile(served).register(1, 2))
        for path in (*PAGES, "staff/cases/1/withdraw", "staff/sign-in"):
            text = worker.get(path.replace("/1", f"/{case.id}")).text
            assert PIN not in text
            assert not re.search(r"[0-9a-f]{64}", text)
            assert sent_image(1)["sha256"][:16] not in text

    def test_a_bank_of_others_is_out_of_reach(self, served: Served, worker: Hostile) -> None:
        store = served.service.store
        ChangingStore.of(store).banks.create("elsewhere")
        foreign = Casework(store, "elsewhere").open([image(1)], PIN, submission=bytes(32))
        assert worker.get(f"staff/cases/{foreign.id}").status_code == 404
        for act, fields in (
            ("confirm", {"reason": "saw-proof"}),
            ("withdraw", {"authority": "by-phone"}),
        ):
            body = {"csrf": worker.token(), **fields}
            assert (
                worker.client.post(f"/en/staff/cases/{foreign.id}/{act}", data=body).status_code
                == 404
            )
        assert (
            worker.post("staff/find", {"number": foreign.number}, form="staff/").status_code == 422
        )
        assert Hostile(served).sign_in(foreign.number).status_code == 422
        assert store.cases.get(foreign.id).state is CaseState.OPEN

    def test_a_key_of_the_api_opens_no_page_and_a_session_no_api(
        self, served: Served, worker: Hostile
    ) -> None:
        headers = served.as_role(Role.ADMIN)
        visitor = Hostile(served)
        for path in PAGES:
            answer = visitor.client.get(f"/en/{path}", headers=headers)
            assert answer.headers["location"] == "/en/staff/sign-in"
        assert worker.client.get("/v1/log").status_code == 401
        token = worker.client.cookies[COOKIE]
        bearer = {"Authorization": f"Bearer {token}"}
        assert worker.client.get("/v1/log", headers=bearer).status_code == 401
