"""Every way on which a fingerprint leaves: who may, what the log tells of it, what never leaves."""

from __future__ import annotations

import io
import re
import time
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterator
from hashlib import sha256
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import sqlalchemy as sa
from fastapi.routing import iter_route_contexts
from httpx import Response

import egide
from api_samples import Api, code_of, pdq
from egide.domain.access import Role
from egide.domain.model import Registration, State
from egide.errors import BankMissing, EntryMissing, StoreFull
from egide.store import Store
from egide.store.changing import ChangingStore
from egide.store.tables.register import entries as entry_table
from egide.usecases.export import export_with_key, give_entry
from server_samples import serve
from store_samples import anchored

GIVEN = {
    (Role.PARTNER, "GET", "/v1/changes"),
    (Role.PARTNER, "GET", "/hma/c/bank/{name}/content/{content_id}"),
}
"""Who may have fingerprints, and where, without a second person for each time."""
QUERIES: tuple[dict[str, str], ...] = ({}, {"include_signals": "true"}, {"since": "0"})
BANK = "helpline"


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    folder = tmp_path_factory.mktemp("export")
    with serve(folder, hma_enabled=True, pages=True, max_failures_per_minute=10**9) as served:
        api = Api(served)
        if BANK not in {bank.name for bank in api.store.banks.list()}:  # the pages' is called so
            ChangingStore.of(api.store).banks.create(BANK)
        yield api


class Held(NamedTuple):
    """What a bank holds, and every way in which it could be spelt."""

    entry: int
    secrets: tuple[bytes, ...]


def hold(store: Store, bank: str, number: int, source: str = "local") -> Held:
    """Register an entry with every kind of fingerprint."""
    values = [sha256(b"%d/%d" % (number, n)).digest() for n in range(4)]
    values.append(values.pop()[:16])
    regions = anchored(number)
    registration = Registration(
        pdqs=(values[0],),
        trimmed_pdqs=(values[1],),
        sha256=values[2],
        md5=values[3],
        source=source,
        anchored=regions,
    )
    done = ChangingStore.of(store).entries.register(bank, [registration], outcomes=True)
    spelt = [
        text
        for value in (*values, *regions)
        for text in (
            value.hex().encode(),
            b64encode(value).rstrip(b"=").lower(),
            urlsafe_b64encode(value).rstrip(b"=").lower(),
            value.hex(" ").encode(),
            value.hex(":").encode(),
            repr(value).encode().lower(),
        )
    ]
    return Held(done.outcomes[0].entry, tuple(spelt))


def tells(answer: Response, held: list[Held]) -> bool:
    content = answer.content.lower()
    return any(secret in content for one in held for secret in one.secrets)


def routes(api: Api) -> list[tuple[str, str]]:
    """Method and path of each route, as the application itself has them."""
    found = [
        (method, route.path)
        for route in iter_route_contexts(api.served.client.app.routes)  # type: ignore[attr-defined]
        for method in sorted(route.methods - {"HEAD"})
    ]
    assert {"/v1/changes", "/hma/c/bank/{name}/content/{content_id}"} <= {path for _, path in found}
    # What takes away goes last, and what takes away most at the very end.
    return sorted(found, key=lambda one: (one[0] != "GET", one[0] == "DELETE", -len(one[1])))


def filled(path: str, entry: int) -> str:
    path = path.replace("{bank}", BANK).replace("{entry}", str(entry))
    if path.startswith("/hma/c/bank"):
        path = path.replace("{name}", BANK).replace("{content_id}", str(entry))
    return re.sub(r"\{\w+(:path)?\}", "1", path)


def bodies(held: Held, method: str) -> list[Any]:
    """What makes a route answer of an entry, without having its fingerprint in it."""
    if method == "GET":
        return [None]
    near = bytes.fromhex(held.secrets[0].decode())
    near = near[:-1] + bytes([near[-1] ^ 7])
    return [
        {},
        {"fingerprints": [{"pdq": near.hex()}]},
        {"pdq": [near.hex(), near.hex()]},
        {"entries": [{"pdq": [near.hex()]}]},
        {"description": "x"},
        {"disable_until_ts": 1},
    ]


def test_no_route_tells_anybody_a_fingerprint_but_partners(api: Api) -> None:
    """Generated from the routes: a new one is asked too."""
    told = set()
    for number, (method, path) in enumerate(routes(api)):
        held = [hold(api.store, BANK, number)]  # the one before may have been withdrawn
        sent = bodies(held[0], method)
        # The pages know no keys, and none of these questions.
        of_api = path.startswith(("/v1", "/hma"))
        queries = QUERIES if of_api and method == "GET" else QUERIES[:1]
        for role in Role if of_api else [Role.ADMIN]:
            for query, body in product(queries, list(sent)):
                answer = api.served.client.request(
                    method,
                    filled(path, held[0].entry),
                    params=query,
                    json=body,
                    headers={"Authorization": f"Bearer {api.tokens[role]}"},
                    follow_redirects=False,
                )
                if tells(answer, held):
                    told.add((role, method, path))
                if answer.status_code == 403 and b'"forbidden"' in answer.content:
                    break  # a role without the permission, whatever it sends
                if answer.status_code == 422 and len(sent) > 1:
                    sent.remove(body)  # it is none of this route's, whoever sends it
    assert told == GIVEN


def unwritable(*_: object, **__: object) -> None:
    raise StoreFull(store="sqlite:///x", reason="full")


def logged(api: Api, action: str) -> list[Any]:
    return [one for one in api.store.log.records() if one.action == action]


def test_each_handing_out_is_logged_and_a_poll_for_nothing_is_not(api: Api) -> None:
    bank, other = api.bank(), api.bank()
    ids = api.register(bank, *range(101)) + api.register(other, 1, 2)
    api.post(f"/banks/{other}/entries/{ids[-1]}/withdraw")
    name, token = api.key(Role.PARTNER, banks=[bank, other])

    page = api.get("/changes", token=token, params={"since": 0})

    assert len(page["entries"]) == 103
    first, second = [one for one in logged(api, "hand-out") if one.actor == name]
    assert (first.bank, first.detail, first.subjects) == (
        bank,
        {"way": "changes", "entries": 101},
        (),
    )
    assert (second.bank, second.detail) == (other, {"way": "changes", "entries": 1})
    named = list(api.store.log.records(entry=ids[-2]))
    assert [(one.action, one.actor) for one in named][-1] == ("hand-out", name)
    for poll in (page["next"], {"since": 0, "only": "ended"}):
        api.get("/changes", token=token, params=poll)
    assert len([one for one in logged(api, "hand-out") if one.actor == name]) == 2
    assert api.store.log.verify()


def test_exports_by_hand_are_logged_with_their_count_before_the_first_line(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    bank = api.bank()
    ids = api.register(bank, 1, 2, 3)
    api.post(f"/banks/{bank}/entries/{ids[0]}/withdraw")
    out = io.StringIO()

    assert egide.export_hashes(api.store, bank, out) == 2

    record = logged(api, "export")[-1]
    assert (record.actor, record.bank) == ("local", bank)
    assert record.detail == {"way": "local", "format": "csv", "entries": 2}
    with pytest.raises(BankMissing):
        egide.export_hashes(api.store, "absent", out)

    out = io.StringIO()
    monkeypatch.setattr("egide.store.partners.given.log.append", unwritable)
    with pytest.raises(StoreFull):
        egide.export_hashes(api.store, bank, out)
    assert out.getvalue() == ""


def test_without_the_log_no_fingerprint_leaves_and_withdrawals_still_do(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    bank = api.bank()
    first, second, third = api.register(bank, 1, 2, 3)
    api.post(f"/banks/{bank}/entries/{first}/withdraw")
    api.post(f"/banks/{bank}/entries/{second}/confirm")
    api.post(f"/banks/{bank}/entries/{third}/withdraw")
    # In the order of their changes: withdrawn, active, withdrawn.
    _, token = api.key(Role.PARTNER, banks=[bank])

    def ask(**params: Any) -> Response:
        return api.send("GET", "/changes", token=token, params=params)

    def states(answer: Response) -> list[tuple[int, str]]:
        assert answer.status_code == 200, answer.text
        return [(one["id"], one["state"]) for one in answer.json()["entries"]]

    with monkeypatch.context() as patched:
        patched.setattr("egide.store.partners.given.log.append", unwritable)
        page = ask(since=0)
        assert states(page) == [(first, "withdrawn")]
        assert page.json()["more"] is True
        stuck = ask(**page.json()["next"])
        assert (stuck.status_code, code_of(stuck)) == (503, "store-full")
        assert pdq(2) not in page.text + stuck.text
        assert states(ask(since=0, only="ended")) == [(first, "withdrawn"), (third, "withdrawn")]
    assert states(ask(**page.json()["next"])) == [(second, "active"), (third, "withdrawn")]
    assert pdq(2) in ask(**page.json()["next"]).text


def test_what_is_withdrawn_while_the_log_is_waited_for_does_not_leave(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    bank = api.bank()
    kept, taken_back = api.register(bank, 1, 2)
    _, token = api.key(Role.PARTNER, banks=[bank])
    store = ChangingStore.of(api.store)
    page = store.feed.page

    def read_and_lose_the_race(*args: Any, **fields: Any) -> Any:
        found = page(*args, **fields)
        store.entries.withdraw(bank, [taken_back])
        return found

    monkeypatch.setattr(
        "egide.store.partners.feed.Feed.page", lambda _, *a, **f: read_and_lose_the_race(*a, **f)
    )
    answer = api.send("GET", "/changes", token=token, params={"since": 0})
    monkeypatch.undo()

    assert [one["id"] for one in answer.json()["entries"]] == [kept]
    later = api.get("/changes", token=token, params=answer.json()["next"])
    assert [(one["id"], one["state"]) for one in later["entries"]] == [(taken_back, "withdrawn")]


def test_what_has_ended_leaves_without_its_fingerprint_even_before_it_is_swept(api: Api) -> None:
    bank = api.bank()
    over, tombstoned, active = (hold(api.store, bank, 900 + n) for n in range(3))
    ChangingStore.of(api.store).entries.tombstone(bank, [tombstoned.entry])
    with api.store._database.write() as connection:
        connection.execute(
            sa.update(entry_table)
            .where(entry_table.c.id == over.entry)
            .values(expires=int(time.time()) - 1)
        )
    _, token = api.key(Role.PARTNER, banks=[bank])
    out = io.StringIO()

    answer = api.send("GET", "/changes", token=token, params={"since": 0})
    assert egide.export_hashes(api.store, bank, out) == 1

    shown = {one["id"]: (one["state"], one["fingerprint"]) for one in answer.json()["entries"]}
    assert shown[over.entry] == ("expired", None)
    assert shown[tombstoned.entry] == ("tombstoned", None)
    assert not tells(answer, [over, tombstoned])
    assert tells(answer, [active])
    for ended in (over, tombstoned):
        assert not any(secret.decode() in out.getvalue().lower() for secret in ended.secrets)
        path = f"/hma/c/bank/{bank}/content/{ended.entry}"
        headers = {"Authorization": f"Bearer {token}"}
        hma = api.served.client.get(path, params={"include_signals": "true"}, headers=headers)
        assert hma.status_code == 404 or hma.json()["signals"] == {}


def test_what_came_from_another_register_is_passed_on_by_no_way_to_partners(api: Api) -> None:
    bank = api.bank()
    held = hold(api.store, bank, 950, source="sync:helpline")
    name, _ = api.key(Role.PARTNER, banks=[bank])

    with pytest.raises(EntryMissing):
        give_entry(api.store, api.store.keys.get(name), bank, held.entry)


def test_an_export_that_is_taken_slowly_holds_little_that_may_be_withdrawn(api: Api) -> None:
    bank = api.bank()
    codes = [Registration((bytes.fromhex(pdq(number)),)) for number in range(1000)]
    done = ChangingStore.of(api.store).entries.register(bank, codes, outcomes=True)
    ids = [one.entry for one in done.outcomes]
    admin = api.store.keys.get("admin")
    needed = api.send("GET", f"/banks/{bank}/export").json()["approval"]
    api.post(f"/approvals/{needed}/approve", role=Role.MODERATOR)
    pieces = export_with_key(api.store, bank, key=admin, approval_id=needed)
    assert next(pieces).startswith("signal")
    assert next(pieces).count("\n") == 500
    ChangingStore.of(api.store).entries.withdraw(bank, ids[500:999])
    api.register(bank, 2000)

    rest = "".join(pieces)

    assert [line.split(",")[1] for line in rest.splitlines()] == [pdq(999), pdq(2000)]
    assert api.store.banks.counts(bank).state(State.ACTIVE) == 502


def test_one_person_with_every_key_that_they_can_make_gets_no_fingerprint(tmp_path: Path) -> None:
    """As an admin alone would try it: keys of all roles, for whomever, approving one another."""
    with serve(tmp_path, hma_enabled=True) as served:
        store = served.service.store
        ChangingStore.of(store).banks.create(BANK)
        held = [hold(store, BANK, 1)]
        tokens = [served.key(Role.ADMIN, "root", holder="Anna")[1]]
        # Of the time when one person could make these alone.
        for role in (Role.ADMIN, Role.MODERATOR, Role.CURATOR):
            old = store.acting_as("root").keys.create(f"old-{role}", role, f"old {role}")
            tokens.append(old[1])

        def send(token: str, method: str, path: str, **rest: Any) -> Response:
            headers = {"Authorization": f"Bearer {token}"} | rest.pop("headers", {})
            return served.client.request(method, path, headers=headers, **rest)

        wanted: list[tuple[str, str, Any]] = [
            ("GET", f"/v1/banks/{BANK}/export", None),
            ("POST", "/v1/banks", {"name": "wide", "radius_bits": 63}),
            ("PATCH", f"/v1/banks/{BANK}", {"radius_bits": 63}),
            *(
                ("POST", "/v1/keys", {"name": f"n-{role}", "role": role, "holder": f"of {role}"})
                for role in Role
            ),
        ]
        for asker in list(tokens):
            for method, path, body in wanted:
                asked = send(asker, method, path, json=body)
                if asked.status_code == 201:
                    tokens.append(asked.json()["token"])
                    continue
                number = asked.json().get("approval")
                for second in tokens if number else ():
                    send(second, "POST", f"/v1/approvals/{number}/approve")
                    for again in tokens:
                        header = {"Egide-Approval": str(number)}
                        done = send(again, method, path, json=body, headers=header)
                        assert done.status_code in {403, 409}, (method, path)
        for token in tokens:
            for path in (
                "/v1/changes?since=0",
                f"/hma/c/bank/{BANK}/content/{held[0].entry}?include_signals=true",
            ):
                answer = send(token, "GET", path)
                assert answer.status_code == 403
                assert not tells(answer, held)
        assert {bank.radius_bits for bank in store.banks.list()} == {31}
        assert {key.role for key in store.keys.list() if key.name.startswith("n-")} == {
            Role.MATCHER
        }
