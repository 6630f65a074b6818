"""A matcher's key is no oracle: it learns what it asks about, in its banks, as fast as agreed."""

import time
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest

import egide
from attacked import Target, target
from egide.domain.access import Permission, Role
from egide.domain.model import Registration
from egide.store.changing import ChangingStore as Store
from egide.store.entries.banks import Banks
from server_samples import PLENTY, Served, serve

HIDDEN, SEEN, CLOSED = "hidden-bank", "seen", "closed"


def code(number: int) -> bytes:
    return sha256(b"oracle %d" % number).digest()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serve(tmp_path_factory.mktemp("served"), hma_enabled=True) as served:
        store = served.service.store
        for number, bank in enumerate((HIDDEN, SEEN, CLOSED)):
            Store.of(store).banks.create(bank)
            Store.of(store).entries.register(bank, [Registration((code(number),))])
        Store.of(store).banks.update(CLOSED, enabled=False)
        served.wait_for(store.revision())
        yield served


@pytest.fixture(scope="module")
def scoped(served: Served) -> dict[str, str]:
    """A matcher's key that is kept to two banks, one of them disabled."""
    return served.as_role(Role.MATCHER, name="scoped", banks=[SEEN, CLOSED])


def routes(served: Served) -> list[tuple[str, str, str]]:
    document = served.client.app.openapi()  # type: ignore[attr-defined]
    return [
        (method, path, operation.get("x-permission", ""))
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    ]


def test_matcher_reads_no_entries_whatever_route(served: Served, scoped: dict[str, str]) -> None:
    allowed = {Permission.STATUS, Permission.MATCH, Permission.COMPARE, Permission.FEEDBACK, ""}
    tried = 0
    for method, path, permission in routes(served):
        if permission in allowed:
            continue
        filled = path.replace("{bank}", SEEN).replace("{entry}", "2").replace("{name}", "scoped")
        answer = served.client.request(
            method, filled.replace("{approval}", "1"), headers=scoped,
            json={} if method in {"post", "patch"} else None,
        )  # fmt: skip
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden"), path
        tried += 1
    assert tried > 20
    for path in (f"/hma/c/bank/{SEEN}/content/2", "/hma/c/banks"):
        assert served.client.get(path, headers=scoped).status_code == 403


@pytest.mark.parametrize("named", [False, True])
def test_disabled_bank_and_bank_out_of_scope_match_nothing(
    served: Served, scoped: dict[str, str], named: bool
) -> None:
    everywhere = served.as_role(Role.MATCHER, name=f"everywhere-{named}")
    for headers, found in ((scoped, {SEEN}), (everywhere, {SEEN, HIDDEN})):
        asked = {"fingerprints": [{"pdq": code(number).hex()} for number in range(3)]}
        if named:
            asked["banks"] = sorted({SEEN, CLOSED} | found)  # type: ignore[assignment]
        answer = served.client.post("/v1/match/fingerprints", headers=headers, json=asked)
        assert answer.status_code == 200, answer.text
        matches = [match["bank"] for one in answer.json()["results"] for match in one["matches"]]
        assert set(matches) == found
        query = {"signal_type": "pdq", "signal": code(2).hex()}
        if named:
            query["banks"] = f"{CLOSED},{HIDDEN}"
        answer = served.client.get("/hma/m/lookup", headers=headers, params=query)
        assert CLOSED not in answer.json()


def test_bank_out_of_scope_and_bank_that_is_none_are_answered_alike(
    served: Served, scoped: dict[str, str]
) -> None:
    curator = served.as_role(Role.ADMIN, name="scoped-admin", banks=[SEEN])
    partner = served.as_role(Role.PARTNER, name="scoped-partner", banks=[SEEN])
    for method, path, _ in routes(served):
        if "{bank}" not in path:
            continue
        for headers in (scoped, curator):
            told = []
            for bank in (HIDDEN, "absent-bank"):
                filled = path.replace("{bank}", bank).replace("{entry}", "1")
                answer = served.client.request(
                    method, filled, headers=headers,
                    json={} if method in {"post", "patch"} else None,
                )  # fmt: skip
                told.append((answer.status_code, answer.text.replace(bank, "BANK")))
            assert told[0] == told[1], path
    for bank in (HIDDEN, "absent-bank"):
        body = {"fingerprints": [{"pdq": code(0).hex()}], "banks": [bank]}
        answer = served.client.post("/v1/match/fingerprints", headers=scoped, json=body)
        assert (answer.status_code, answer.json()["code"]) == (404, "bank-missing")
        answer = served.client.get("/v1/changes", params={"bank": bank}, headers=partner)
        assert (answer.status_code, answer.json()["code"]) == (404, "bank-missing")
        feedback = {"bank": bank, "entry": 1, "kind": "matched", "at": "2026-01-01T00:00:00Z"}
        answer = served.client.post("/v1/feedback", headers=scoped, json={"feedback": [feedback]})
        assert (answer.status_code, answer.json()["code"]) == (404, "bank-missing")


def test_bank_out_of_scope_is_refused_before_the_store_is_asked(
    served: Served, scoped: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that the time of an answer tells nothing either."""

    def asked(*_: object) -> None:
        raise AssertionError("the store was asked")

    served.client.get("/v1/status", headers=scoped)  # its key is known from now on
    with monkeypatch.context() as patched:
        patched.setattr(Banks, "get", asked)
        patched.setattr(Banks, "list", asked)
        for bank in (HIDDEN, "absent-bank"):
            body = {"fingerprints": [{"pdq": code(0).hex()}], "banks": [bank]}
            answer = served.client.post("/v1/match/fingerprints", headers=scoped, json=body)
            assert answer.status_code == 404


def test_status_and_answers_name_no_bank_out_of_scope(
    served: Served, scoped: dict[str, str]
) -> None:
    status = served.client.get("/v1/status", headers=scoped).json()

    assert [bank["name"] for bank in status["banks"]] == [SEEN, CLOSED]
    assert status["banks"][0]["entries"] == 1


def test_answer_to_a_match_holds_no_fingerprint(served: Served, scoped: dict[str, str]) -> None:
    near = bytes([code(1)[0] ^ 1]) + code(1)[1:]
    body = {"fingerprints": [{"pdq": near.hex()}]}
    answer = served.client.post("/v1/match/fingerprints", headers=scoped, json=body)

    assert answer.json()["results"][0]["matches"][0]["distance"] == 1
    assert code(1).hex() not in answer.text


def test_rate_bounds_fingerprints_and_not_only_requests(served: Served) -> None:
    headers = served.as_role(Role.MATCHER, name="slow", per_second=10, per_day=PLENTY)
    body = {"fingerprints": [{"pdq": code(number).hex()} for number in range(100)]}
    first = served.client.post("/v1/match/fingerprints", headers=headers, json=body)
    second = served.client.post("/v1/match/fingerprints", headers=headers, json=body)

    assert first.status_code == 200
    assert (second.status_code, second.json()["code"]) == (429, "rate-limited")
    assert int(second.headers["Retry-After"]) >= 8


def ask(server: Target, key: str, count: int, first: int) -> int:
    body = {"fingerprints": [{"pdq": code(first + one).hex()} for one in range(count)]}
    return server.ask("POST", "/v1/match/fingerprints", body, key=key).status


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_quota_of_a_day_holds_over_two_processes(
    tmp_path: Path, kind: str, request: pytest.FixtureRequest
) -> None:
    url = f"sqlite:///{tmp_path / 'egide.db'}"
    if kind == "postgresql":
        url = request.getfixturevalue("postgres_url")()
    with egide.open_store(url, create=True) as store:
        Store.of(store).banks.create("helpline")
        _, key = store.keys.create(
            "uploads", Role.MATCHER, "holder", per_second=100_000, per_day=400
        )
    with target(tmp_path, "--store", url) as one, target(tmp_path, "--store", url) as two:
        asked = answered = 0
        refused_at = {}
        end = time.monotonic() + 60
        while time.monotonic() < end and len(refused_at) < 2:
            for server in (one, two):
                if server in refused_at:
                    continue
                status = ask(server, key, 10, asked)
                asked += 10
                if status == 200:
                    answered += 10
                else:
                    assert status == 429
                    refused_at[server] = answered
            time.sleep(0.1)  # 100 a second each: what one may not know of the other
        assert len(refused_at) == 2
        assert 400 <= answered <= 400 + 2 * 100
        time.sleep(2)
        assert [ask(server, key, 10, 0) for server in (one, two)] == [429, 429]
