"""One question through the API, the HMA mount, the command line and Python: one answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

import egide
from commands import Result, egide_in
from egide.domain.access import Role
from egide.domain.model import Fingerprint, Pdq, Registration
from egide.errors import BankMissing
from egide.store.changing import ChangingStore
from server_samples import Served, bearer, serve

STATES = ("unverified", "confirmed", "disputed", "withdrawn", "tombstoned", "expired", "unknown")
"""What became of the entries whose codes are asked for; nobody ever registered the last one."""
BANKS = ("open", "closed", "empty", "ended")
SCOPES: tuple[tuple[str, ...] | None, ...] = (
    None, ("open",), ("closed",), ("empty",), ("ended",), ("closed", "open"), ("empty", "open"),
    ("closed", "empty", "ended"),
)  # fmt: skip


@dataclass(frozen=True)
class Said:
    """What any door says: entries, action and reasons of each code, and what was not compared."""

    answers: list[tuple[list[tuple[str, int]], str]] | None
    nothing_to_compare: bool


def named(scope: tuple[str, ...] | None) -> str:
    return "-".join(scope or ("all",))


def code(state: str) -> bytes:
    return sha256(f"doors {state}".encode()).digest()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("doors")
    with serve(folder, hma_enabled=True) as served:
        store = ChangingStore.of(served.service.store)
        soon = datetime.now(UTC) + timedelta(seconds=1)
        for bank in BANKS:
            store.banks.create(bank)
        for bank in ("open", "closed"):
            store.entries.register(bank, [Registration((code(state),)) for state in STATES[:5]])
            numbers = [entry.id for entry in store.entries.list(bank)]
            store.entries.confirm(bank, numbers[1:2])
            store.entries.dispute(bank, numbers[2:3])
            store.entries.withdraw(bank, numbers[3:4])
            store.entries.tombstone(bank, numbers[4:5])
        for bank in ("open", "ended"):
            store.entries.register(bank, [Registration((code("expired"),), expires=soon)])
        served.wait_for(store.banks.update("closed", enabled=False) and store.revision())
        pause = (soon - datetime.now(UTC)).total_seconds()
        if pause > 0:
            import time

            time.sleep(pause)
        yield served


def by_api(served: Served, scope: tuple[str, ...] | None, headers: dict[str, str]) -> Said:
    asked: dict[str, Any] = {"fingerprints": [{"pdq": code(state).hex()} for state in STATES]}
    if scope is not None:
        asked["banks"] = list(scope)
    answer = served.client.post("/v1/match/fingerprints", headers=headers, json=asked)
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert body["disabled_banks"] == [name for name in scope or () if name == "closed"]
    assert body["stale"] is False
    return Said(
        [
            (
                [(match["bank"], match["entry"]) for match in one["matches"]],
                one["decision"]["action"],
            )
            for one in body["results"]
        ],
        body["nothing_to_compare"],
    )


def through_api(served: Served, scope: tuple[str, ...] | None) -> Said:
    return by_api(served, scope, served.as_role(Role.MATCHER, name=f"api-{named(scope)}"))


def through_scoped_key(served: Served, scope: tuple[str, ...] | None) -> Said:
    """The banks of a key, and not of a request."""
    _, token = served.key(Role.MATCHER, name=f"scoped-{named(scope)}", banks=scope)
    asked = {"fingerprints": [{"pdq": code(state).hex()} for state in STATES]}
    body = served.client.post("/v1/match/fingerprints", headers=bearer(token), json=asked).json()
    by_name = by_api(served, scope, bearer(token))
    assert [one["decision"]["action"] for one in body["results"]] == [
        action for _, action in by_name.answers or ()
    ]
    assert body["disabled_banks"] == [name for name in scope or () if name == "closed"]
    return Said(by_name.answers, body["nothing_to_compare"])


def through_hma(served: Served, scope: tuple[str, ...] | None) -> Said:
    headers = served.as_role(Role.MATCHER, name=f"hma-{named(scope)}")
    answers, nothing = [], set()
    for state in STATES:
        asked = {"signal_type": "pdq", "signal": code(state).hex()}
        if scope is not None:
            asked["banks"] = ",".join(scope)
        answer = served.client.get("/hma/m/lookup", headers=headers, params=asked)
        assert answer.status_code == 200, answer.text
        assert "egide-stale" not in answer.headers
        found = [
            (bank, match["bank_content_id"])
            for bank, matches in answer.json().items()
            for match in matches
        ]
        answers.append((found, answer.headers["egide-action"]))
        nothing.add(answer.headers.get("egide-nothing-to-compare"))
    assert len(nothing) == 1
    return Said(answers, nothing == {"true"})


def through_python(served: Served, scope: tuple[str, ...] | None) -> Said:
    asked = [Fingerprint((Pdq(code(state), None),)) for state in STATES]
    with egide.open_store(served.service.settings.store) as store:
        checked = egide.check(store, asked, banks=scope)
        if checked.nothing_to_compare:
            with pytest.raises(egide.EgideError) as refused:
                egide.match(store, asked, banks=scope)
            assert refused.value.code == "nothing-to-compare"
    answers = []
    for answer in checked.answers:
        assert answer.decision is not None
        found = [(match.bank, match.entry) for match in answer.matches]
        answers.append((found, answer.decision.action.value))
    return Said(answers, checked.nothing_to_compare)


def through_command(served: Served, scope: tuple[str, ...] | None) -> Said:
    done = command(served, *(f"--bank={name}" for name in scope or ()))
    lines = done.lines()
    if done.code == 3 and lines[-1].get("error", {}).get("code") == "nothing-to-compare":
        assert len(lines) == 1
        return Said(None, True)
    assert done.code == 1
    answers = [
        ([(match["bank"], match["entry"]) for match in line["matches"]], line["action"])
        for line in lines
    ]
    return Said(answers, False)


def command(served: Served, *options: str) -> Result:
    hashes = [part for state in STATES for part in ("--pdq", code(state).hex())]
    store = ("--store", served.service.settings.store)
    return egide_in(Path.cwd(), "match", "--json", *hashes, *store, *options)


DOORS: tuple[Callable[[Served, tuple[str, ...] | None], Said], ...] = (
    through_api, through_scoped_key, through_hma, through_command,
)  # fmt: skip


@pytest.mark.parametrize("scope", SCOPES, ids=named)
def test_same_question_gets_the_same_answer_through_every_door(
    served: Served, scope: tuple[str, ...] | None
) -> None:
    expected = through_python(served, scope)
    searched = scope is None or "open" in scope
    assert expected.nothing_to_compare is not searched
    assert [action for _, action in expected.answers or ()] == (
        ["review", "block", "review"] + 4 * ["allow"] if searched else 7 * ["allow"]
    )
    for door in DOORS:
        said = door(served, scope)
        assert said.nothing_to_compare == expected.nothing_to_compare, door
        assert said.answers in (expected.answers, None), door


def test_bank_that_is_none_is_an_error_through_every_door(served: Served) -> None:
    headers = served.as_role(Role.MATCHER, name="missing")
    banks = ["open", "elsewhere"]
    asked = {"fingerprints": [{"pdq": code("unknown").hex()}], "banks": banks}
    answer = served.client.post("/v1/match/fingerprints", headers=headers, json=asked)
    assert (answer.status_code, answer.json()["code"]) == (404, "bank-missing")
    query = {"signal_type": "pdq", "signal": code("unknown").hex(), "banks": ",".join(banks)}
    answer = served.client.get("/hma/m/lookup", headers=headers, params=query)
    assert (answer.status_code, answer.headers["egide-code"]) == (404, "bank-missing")
    done = command(served, "--bank=open", "--bank=elsewhere")
    assert (done.code, done.json()["error"]["code"]) == (3, "bank-missing")
    with egide.open_store(served.service.settings.store) as store, pytest.raises(BankMissing):
        egide.check(store, [], banks=banks)


def test_bank_made_a_moment_ago_is_empty_and_no_error(served: Served) -> None:
    """Also where the index has not heard of it yet."""
    headers = served.as_role(Role.MATCHER, name="moment")
    ChangingStore.of(served.service.store).banks.create("new")
    asked = {"fingerprints": [{"pdq": code("unknown").hex()}], "banks": ["new"]}
    answer = served.client.post("/v1/match/fingerprints", headers=headers, json=asked).json()
    assert answer["nothing_to_compare"]
    assert answer["results"][0]["decision"] == {
        "action": "allow", "reasons": ["nothing-to-compare"],
    }  # fmt: skip


def test_digest_alone_is_not_matchable_through_every_door(served: Served) -> None:
    """No PDQ of it is known, so that only an identical file could have been found."""
    headers = served.as_role(Role.MATCHER, name="digest")
    asked = {"fingerprints": [{"md5": "0" * 32}]}
    answer = served.client.post("/v1/match/fingerprints", headers=headers, json=asked).json()
    with egide.open_store(served.service.settings.store) as store:
        checked = egide.check(store, [Fingerprint((), md5=bytes(16))])
    (one,) = checked.answers
    assert one.decision is not None
    assert answer["results"][0]["decision"]["reasons"] == list(one.decision.reasons)
    assert answer["results"][0]["matchable"] is one.matchable is False


@pytest.mark.parametrize("asked", ["photo.jpg", [Path("photo.jpg")], [b"bytes"], [None]])
def test_python_says_what_matching_takes(served: Served, asked: Any) -> None:
    with egide.open_store(served.service.settings.store) as store:
        for ask in (egide.check, egide.match):
            with pytest.raises(egide.EgideError, match="fingerprints") as refused:
                ask(store, asked)
            assert refused.value.code == "usage"


@pytest.mark.parametrize("wrong", ["a.jpg", b"a.jpg", Path("a.jpg"), None, [Path("a.jpg")]])
def test_what_is_no_list_of_fingerprints_is_told_so(store: egide.Store, wrong: object) -> None:
    with pytest.raises(egide.EgideError) as refused:
        egide.match(store, wrong)  # type: ignore[arg-type]
    assert refused.value.code == "usage"
