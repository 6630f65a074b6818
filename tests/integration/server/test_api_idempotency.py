"""Writes that are repeated, and writes that meet."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Barrier
from typing import Any

import pytest
from httpx import Response

from api_samples import Api, code_of, pdq
from egide.domain.access import Role
from egide.domain.model import State
from egide.store.changing import ChangingStore
from pictures import encoded, pictures
from server_samples import serve

THREADS = 8


@pytest.fixture(
    scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)]
)
def api(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    folder = tmp_path_factory.mktemp("api")
    if request.param == "sqlite":
        with serve(folder) as served:
            yield Api(served)
        return
    server = request.getfixturevalue("postgres_server")
    database = server.new_database("api")
    with serve(folder, store=server.url(database)) as served:
        yield Api(served)
    server.drop(database)


def token(value: str) -> dict[str, str]:
    return {"Idempotency-Key": value}


def at_once(sends: list[Any]) -> list[Response]:
    """Call all of them at the same time, each in a thread of its own."""
    gate = Barrier(len(sends))

    def call(send: Any) -> Response:
        gate.wait()
        return send()  # type: ignore[no-any-return]

    with ThreadPoolExecutor(len(sends)) as pool:
        return list(pool.map(call, sends))


def test_repeated_write_is_done_once_and_answered_alike(api: Api) -> None:
    bank = api.bank()
    body = {"entries": [{"pdq": [pdq(1)]}]}
    path = f"/banks/{bank}/entries"

    first = api.send("POST", path, json=body, headers=token("a"))
    ChangingStore.of(api.store).entries.withdraw(bank, [first.json()["outcomes"][0]["entry"]])
    revision = api.store.revision()
    second = api.send("POST", path, json=body, headers=token("a"))

    assert "Idempotent-Replayed" not in first.headers
    assert second.headers["Idempotent-Replayed"] == "true"
    assert (second.status_code, second.content) == (first.status_code, first.content)
    assert second.headers["Content-Type"] == first.headers["Content-Type"]
    assert api.store.revision() == revision


def test_token_of_another_request_is_a_conflict(api: Api) -> None:
    bank = api.bank()
    path = f"/banks/{bank}/entries"
    api.register(bank, 1, headers=token("b"))

    for send in (
        lambda: api.send(
            "POST",
            path,
            json={"entries": [{"pdq": [pdq(2)]}]},
            role=Role.CURATOR,
            headers=token("b"),
        ),
        lambda: api.send("POST", f"{path}/1/withdraw", role=Role.CURATOR, headers=token("b")),
    ):
        response = send()
        assert (response.status_code, code_of(response)) == (409, "idempotency-conflict")


def test_tokens_of_two_keys_are_two(api: Api) -> None:
    bank = api.bank()
    first = api.register(bank, 1, headers=token("c"))
    second = api.register(bank, 2, headers=token("c"), role=Role.MODERATOR)

    assert first != second


def test_failed_write_may_be_repeated(api: Api) -> None:
    bank = api.bank()
    path = f"/banks/{bank}/entries"
    [entry] = api.register(bank, 1)
    ChangingStore.of(api.store).entries.tombstone(bank, [entry])
    refused = api.send("POST", f"{path}/{entry}/confirm", headers=token("d"))
    assert code_of(refused) == "state-conflict"

    again = api.send("POST", f"{path}/{entry}/confirm", headers=token("d"))

    assert code_of(again) == "state-conflict"
    assert "Idempotent-Replayed" not in again.headers


def test_write_that_waits_for_a_second_person_keeps_its_token(api: Api) -> None:
    bank = api.bank()
    change = {"radius_bits": 5}
    waiting = api.send("PATCH", f"/banks/{bank}", json=change, headers=token("e"))
    approval = waiting.json()["approval"]
    api.post(f"/approvals/{approval}/approve", role=Role.MODERATOR)
    headers = token("e") | {"Egide-Approval": str(approval)}

    done = api.send("PATCH", f"/banks/{bank}", json=change, headers=headers)
    again = api.send("PATCH", f"/banks/{bank}", json=change, headers=headers)

    assert done.status_code == again.status_code == 200
    assert again.headers["Idempotent-Replayed"] == "true"


def test_new_keys_token_is_not_kept(api: Api) -> None:
    body = {"name": "kept", "role": "matcher", "holder": "Somebody"}

    first = api.send("POST", "/keys", json=body, headers=token("f"))
    second = api.send("POST", "/keys", json=body, headers=token("f"))

    assert first.json()["token"].startswith("egide_")
    assert second.status_code == 201
    assert second.json() == {"key": first.json()["key"], "token": None}


def test_form_with_another_boundary_is_the_same_request(api: Api) -> None:
    bank = api.bank()
    path = f"/banks/{bank}/entries"

    def send(content: bytes, name: str) -> Response:
        files = {"file": (name, content)}
        return api.send("POST", path, files=files, data={"note": "n"}, headers=token("g"))

    content = encoded(pictures()[0])
    first, second = send(content, "a.jpg"), send(content, "b.jpg")
    other = send(encoded(pictures()[1]), "a.jpg")

    assert first.request.headers["Content-Type"] != second.request.headers["Content-Type"]
    assert second.headers["Idempotent-Replayed"] == "true"
    assert second.content == first.content
    assert code_of(other) == "idempotency-conflict"


@pytest.mark.parametrize("value", ["", "x" * 129, "a b", "\t"])
def test_token_that_is_no_token_is_refused(api: Api, value: str) -> None:
    bank = api.bank()
    body = {"entries": [{"pdq": [pdq(1)]}]}

    response = api.send("POST", f"/banks/{bank}/entries", json=body, headers=token(value))

    assert (response.status_code, code_of(response)) == (422, "request-invalid")
    assert api.get(f"/banks/{bank}")["states"]["active"] == 0


def test_parallel_repeats_are_done_once(api: Api) -> None:
    body = {"name": "parallel", "role": "matcher", "holder": "Somebody"}
    send = partial(api.send, "POST", "/keys", json=body, headers=token("h"))

    answers = at_once([send] * THREADS)

    done = [one for one in answers if one.status_code == 201]
    fresh = [one for one in done if "Idempotent-Replayed" not in one.headers]
    assert len(fresh) == 1
    assert {code_of(one) for one in answers if one not in done} <= {"idempotency-busy"}
    created = [one for one in api.store.log.records() if one.action == "create-key"]
    assert sum(one.detail["key"] == "parallel" for one in created) == 1


def test_parallel_registrations_of_one_picture_make_one_entry(api: Api) -> None:
    bank = api.bank()
    body = {"entries": [{"pdq": [pdq(1)]}]}

    answers = at_once([partial(api.send, "POST", f"/banks/{bank}/entries", json=body)] * THREADS)

    assert {one.status_code for one in answers} == {201}
    made = [one.json()["outcomes"][0] for one in answers]
    assert len({one["entry"] for one in made}) == 1
    assert sorted(one["outcome"] for one in made) == ["added"] + ["known"] * (THREADS - 1)


@pytest.mark.parametrize("number", range(5))
def test_withdrawal_wins_against_judgements_at_the_same_time(api: Api, number: int) -> None:
    bank = api.bank()
    [entry] = api.register(bank, number)
    path = f"/banks/{bank}/entries"
    acts = ["withdraw", "withdraw", "confirm", "confirm", "dispute", "confirm", "dispute"]
    sends = [partial(api.send, "POST", f"{path}/{entry}/{act}") for act in acts]
    body = {"entries": [{"pdq": [pdq(number)]}], "again": True}
    # Another source's: it may be added, but must not take the withdrawn one back in.
    sends.append(partial(api.send, "POST", path, json=body))

    *judged, registered = at_once(sends)

    found = api.store.entries.get(bank, entry)
    assert (found.state, found.pdqs, found.note) == (State.WITHDRAWN, (), "")
    for act, answer in zip(acts, judged, strict=True):
        if act == "withdraw":
            assert (answer.status_code, answer.json()["state"]) == (200, "withdrawn")
        else:  # before the withdrawal, or too late
            assert answer.status_code == 200 or code_of(answer) == "state-conflict"
    assert registered.json()["outcomes"][0]["entry"] != entry
    ended = api.get("/changes", role=Role.PARTNER, params={"bank": bank, "only": "ended"})[
        "entries"
    ]
    assert [one["id"] for one in ended] == [entry]


def test_log_holds_after_all_of_this(api: Api) -> None:
    assert api.store.log.verify()
