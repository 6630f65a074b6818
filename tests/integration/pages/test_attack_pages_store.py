"""The pages while their store cannot be written; what partners, logs and metrics are told."""

from __future__ import annotations

import gc
import json
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from httpx2 import Response

from attacked import target
from attacking_pages import PIN, WRONG_PIN, Hostile, account, case_of, sent_image, solve
from egide.domain.access import Role
from egide.domain.cases import CaseState
from egide.server.pages.site.page import COOKIE
from egide.store import Store
from egide.store.changing import ChangingStore
from egide.store.tables.cases import case_attempts, cases, sessions
from server_samples import Served, serve

READING = ("", "how", "help", "privacy", "under-18", "register", "accessibility", "goodbye")


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that is locked is waited for."""
    opened = Store.open.__func__  # type: ignore[attr-defined]
    hasty = classmethod(
        lambda cls, *names, **given: opened(cls, *names, **{"busy_timeout_s": 0.3} | given)
    )
    monkeypatch.setattr(Store, "open", hasty)


@pytest.fixture(params=["locked", "read-only", "full"])
def breakable(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Breakable]:
    folder = tmp_path
    if request.param == "full":
        folder = request.getfixturevalue("small_disk")
    with serve(
        tmp_path,
        store=f"sqlite:///{folder / 'egide.db'}",
        pages=True,
        case_proof_bits=0,
        cases_per_hour=1000,
    ) as served:
        breakable = Breakable(served, request.param, folder)
        yield breakable
    del served, breakable.served
    gc.collect()  # the index is mapped for as long as it is known, which keeps the disk in use


# In which way it takes no writes, a test of each above tells apart.
ONE = pytest.mark.parametrize(
    "breakable",
    ["full", *(pytest.param(how, marks=pytest.mark.slow) for how in ("locked", "read-only"))],
    indirect=True,
)


class Breakable:
    """A register whose store can be made to take no more writes."""

    def __init__(self, served: Served, how: str, folder: Path) -> None:
        self.served = served
        self._how = how
        self._folder = folder
        self._holder = sqlite3.connect(
            folder / "egide.db", isolation_level=None, check_same_thread=False
        )

    def break_it(self) -> None:
        """From now on nothing can be written."""
        engine = self.served.service.store._database._engine
        if self._how == "locked":
            self._holder.execute("BEGIN IMMEDIATE")
        elif self._how == "read-only":
            sa.event.listen(engine, "checkout", _refuse)
        else:
            with suppress(OSError), (self._folder / "filler").open("wb", buffering=0) as filler:
                while True:
                    filler.write(bytes(512))

    def mend_it(self) -> None:
        """As before."""
        engine = self.served.service.store._database._engine
        if self._how == "locked":
            self._holder.execute("ROLLBACK")
        elif self._how == "read-only":
            sa.event.remove(engine, "checkout", _refuse)
            sa.event.listen(engine, "checkout", _permit)
        else:
            (self._folder / "filler").unlink()
        self._holder.close()


def _refuse(connection: Any, *_: object) -> None:
    connection.execute("PRAGMA query_only=1")


def _permit(connection: Any, *_: object) -> None:
    connection.execute("PRAGMA query_only=0")


def let_time_pass(served: Served) -> None:
    """Have every session's next use be one that is written."""
    with served.service.store._database.write() as connection:
        connection.execute(sa.update(sessions).values(seen=sessions.c.seen - 60))


def is_page(answer: Response) -> bool:
    return answer.headers["content-type"].startswith("text/html") and "<main" in answer.text


def test_a_store_that_cannot_be_written_is_told_of_and_nothing_is_half_done(
    breakable: Breakable,
) -> None:
    served = breakable.served
    owner = Hostile(served)
    number = owner.register(1, 2)
    form = owner.form(3)
    token, headers = owner.token(), {"content_type": "application/x-www-form-urlencoded"}
    stranger = Hostile(served, address="203.0.113.9")
    stranger_token = stranger.token()
    let_time_pass(served)
    breakable.break_it()
    for path in (*READING, "case", "case/card", "case/withdraw"):
        answer = owner.get(path)
        assert answer.status_code == 200, path
        assert is_page(answer)
    for path in ("case/withdraw", "case/sign-out"):
        answer = owner.raw(path, f"csrf={token}".encode(), **headers)
        assert answer.status_code == 503, path
        assert is_page(answer)
    for body in (f"csrf={stranger_token}&number={number}&pin={pin}" for pin in (PIN, WRONG_PIN)):
        answer = stranger.raw("case", body.encode(), **headers)
        assert answer.status_code == 503  # fail closed: who cannot be counted is not looked at
        assert is_page(answer)
    answer = owner.post_json("register/submit", form)
    assert answer.status_code == 503
    assert answer.json()["code"].startswith("store-")
    breakable.mend_it()
    assert case_of(served, number).state is CaseState.OPEN
    assert owner.post_json("register/submit", form).status_code == 201
    with served.service.store._database.read() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(cases)).scalar() == 2
    assert stranger.sign_in(number).status_code == 303


@ONE
def test_the_way_out_is_open_whatever_the_store_does(breakable: Breakable) -> None:
    owner = Hostile(breakable.served)
    owner.register(1)
    breakable.break_it()
    answer = owner.get("leave")
    breakable.mend_it()
    assert answer.status_code == 303
    assert "max-age=0" in answer.headers["set-cookie"].lower()
    assert "cookies" in answer.headers["clear-site-data"]
    assert COOKIE not in owner.client.cookies
    assert owner.get("case/card").status_code == 401


@ONE
def test_partners_hear_of_withdrawals_alone_while_what_they_are_given_cannot_be_logged(
    breakable: Breakable,
) -> None:
    served = breakable.served
    store = ChangingStore.of(served.service.store)
    number = Hostile(served).register(1, 2)
    ended = Hostile(served).register(3)
    [withdrawn] = case_of(served, ended).images
    store.cases.withdraw(case_of(served, ended).id)
    headers = served.as_role(Role.PARTNER)
    breakable.break_it()
    page = served.client.get("/v1/changes", headers=headers)
    told = served.client.get("/v1/changes?only=ended", headers=headers)
    breakable.mend_it()
    assert page.status_code == 503
    assert page.json()["code"].startswith("store-")
    assert [one["id"] for one in told.json()["entries"]] == [withdrawn.entry]
    case = case_of(served, number)
    assert store.partner_reads.sent(case.id) == []
    served.client.get("/v1/changes", headers=headers)
    assert len(store.partner_reads.sent(case.id)) == 2


def test_partners_see_no_case(tmp_path: Path) -> None:
    with serve(tmp_path, pages=True, case_proof_bits=0, cases_per_hour=1000) as served:
        number = Hostile(served).register(1, 2, 3)
        other = Hostile(served).register(1)
        worker = Hostile(served)
        worker.sign_in_as(account(served, "amina"))
        form = Hostile(served).form(4) | {"authority": "by-phone"}
        assert worker.post_json("register/submit", form).status_code == 201
        headers = served.as_role(Role.PARTNER)
        told = [
            served.client.get(path, headers=headers)
            for path in (
                "/v1/changes",
                "/v1/banks/helpline",
                "/v1/banks/helpline/entries",
                "/v1/entries/1",
                "/v1/log",
            )
        ]
        match = served.client.post(
            "/v1/match/fingerprints",
            headers=headers,
            json={"fingerprints": [{"sha256": sent_image(1)["sha256"]}]},
        )
        entries = told[0].json()["entries"]
        text = " ".join(answer.text for answer in [*told, match])
        for secret in (number, other, "by-phone", "amina", "person-", "case", "authority"):
            assert secret not in text, secret
        known = {
            "id", "bank", "bank_kind", "revision", "state", "trust", "fingerprint", "quality",
            "added", "changed", "expires",
        }  # fmt: skip
        assert {name for entry in entries for name in entry} == known
        # The same picture in two cases is two entries, and neither tells of the other's.
        assert len(entries) == 5


def test_nothing_of_anybody_is_in_logs_and_metrics(tmp_path: Path) -> None:
    """A real process is registered with, signed in to and attacked; all that it says is read."""
    settings = {
        "EGIDE_PAGES": "true",
        "EGIDE_CASE_PROOF_BITS": "0",
        "EGIDE_LOG_LEVEL": "debug",
        "EGIDE_TRUSTED_PROXIES": "127.0.0.0/8",
        "EGIDE_METRICS_NETWORKS": "127.0.0.0/8",
    }
    place = "203.0.113.241"
    with target(tmp_path, **settings) as running:
        start = running.ask("GET", "/en/form-token", key="", headers=(("X-Forwarded-For", place),))
        cookie = start.headers["set-cookie"].partition(";")[0]
        token = start.json()["csrf"]

        def send(path: str, body: bytes, cookie: str, token: str) -> Any:
            headers = (
                ("Cookie", cookie),
                ("X-CSRF-Token", token),
                ("Accept", "application/json"),
                ("X-Forwarded-For", place),
            )
            return running.ask("POST", f"/en/{path}", body, key="", headers=headers)

        challenge = send("register/challenge", b"{}", cookie, token).json()["challenge"]
        form = {
            "challenge": challenge,
            "nonce": solve(challenge),
            "adult": True,
            "pin": PIN,
            "images": [sent_image(1)],
        }
        body = json.dumps(form).encode()
        opened = send("register/submit", body, cookie, token)
        assert opened.status == 201
        session = opened.headers["set-cookie"].partition(";")[0]
        card = running.ask("GET", "/en/case/card", key="", headers=(("Cookie", session),))
        found = re.search(rb"\b\d{4} \d{4} \d{4}\b", card.body)
        assert found
        number = found[0].decode().replace(" ", "")
        fields = f"csrf={token}&number={number}&pin={WRONG_PIN.replace(' ', '+')}".encode()
        statuses = [send("case", fields, cookie, token).status for _ in range(8)]
        assert statuses[0] == 422
        assert statuses[-1] == 429
        send("register/submit", body[:-9], cookie, token)
        send("register/submit", body.replace(b"still", b"holiday.jpg"), cookie, token)
        running.ask("GET", f"/en/{number}/{PIN.replace(' ', '%20')}?pin={number}", key="")
        running.ask("GET", f"/en/case?number={number}", key="")
        said = running.log.read_text("utf-8") + running.ask("GET", "/metrics").body.decode()
    assert '"route": "/{lang}/case"' in said
    secrets = {
        "number": number,
        "shown": found[0].decode(),
        "PIN": PIN,
        "wrong PIN": WRONG_PIN,
        "PDQ": sent_image(1)["pdq"],
        "SHA-256": sent_image(1)["sha256"],
        "place": place,
        "loopback": "127.0.0.1",
        "cookie": cookie.partition("=")[2],
        "session": session.partition("=")[2],
        "token": token,
        "challenge": challenge,
        "file": "holiday",
    }
    for kind, secret in secrets.items():
        assert secret not in said, kind
    database = b"".join(file.read_bytes() for file in tmp_path.glob("egide.db*"))
    for kind in ("PIN", "wrong PIN", "place", "cookie", "session", "file"):
        assert secrets[kind].encode() not in database, kind
    with closing(sqlite3.connect(tmp_path / "egide.db")) as connection:
        subjects = connection.execute(f"SELECT * FROM {case_attempts.name}").fetchall()
    assert subjects
