"""Keys, approvals and the log over HTTP."""

import time
from collections.abc import Iterator
from typing import Any

import pytest

from api_samples import Api, code_of
from egide.domain.access import Role
from server_samples import serve


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    with serve(tmp_path_factory.mktemp("api")) as served:
        yield Api(served)


NEW = {"name": "uploads", "role": "matcher", "holder": "Ada Lovelace"}


def test_made_key_opens_what_its_role_may_until_it_is_revoked(api: Api) -> None:
    made = api.post("/keys", NEW | {"expires": "2999-01-01T00:00:00Z"}, status=201)
    token = made["token"]

    assert api.send("GET", "/status", token=token).status_code == 200
    assert code_of(api.send("GET", "/keys", token=token)) == "forbidden"
    assert made["key"] in api.get("/keys")["keys"]
    assert token not in api.send("GET", "/keys").text
    assert token.rsplit("_", 1)[1] not in api.send("GET", "/log", params={"limit": 1000}).text

    revoked = api.post("/keys/uploads/revoke")
    assert revoked["revoked"] is not None
    assert api.post("/keys/uploads/revoke") == revoked
    end = time.monotonic() + 20
    while (response := api.send("GET", "/status", token=token)).status_code == 200:
        assert time.monotonic() < end, "the revoked key still opens"
        time.sleep(0.1)
    assert code_of(response) == "unauthorized"


def test_names_are_given_once_even_after_revocation(api: Api) -> None:
    api.post("/keys", NEW | {"name": "once"}, status=201)
    api.post("/keys/once/revoke")

    response = api.send("POST", "/keys", json=NEW | {"name": "once"})

    assert (response.status_code, code_of(response)) == (409, "key-exists")
    missing = api.send("POST", "/keys/absent/revoke")
    assert (missing.status_code, code_of(missing)) == (404, "key-missing")


def test_key_gives_out_no_more_than_it_has(api: Api) -> None:
    own, other = api.bank(), api.bank()
    _, token = api.key(Role.ADMIN, banks=[own])

    wide = api.post("/keys", NEW | {"name": "wide"}, status=201, token=token)
    refused = api.send("POST", "/keys", json=NEW | {"name": "o", "banks": [other]}, token=token)

    assert wide["key"]["banks"] == [own]
    assert code_of(refused) == "bank-missing"
    assert "admin" not in [key["name"] for key in api.get("/keys", token=token)["keys"]]
    hidden = api.send("POST", "/keys/admin/revoke", token=token)
    assert (hidden.status_code, code_of(hidden)) == (404, "key-missing")


@pytest.mark.parametrize(
    "change",
    [
        {"name": "local"},
        {"name": "a b"},
        {"role": "root"},
        {"role": None},
        {"holder": ""},
        {"holder": " "},
        {"holder": "a\0"},
        {"holder": "x" * 201},
        {"banks": []},
        {"banks": "all"},
        {"per_second": 0},
        {"per_second": 1.5},
        {"per_day": 10**13},
        {"expires": "soon"},
        {"secret": "x"},
    ],
)
def test_key_that_is_not_as_documented_is_refused(api: Api, change: dict[str, Any]) -> None:
    before = len(api.store.keys.list())

    response = api.send("POST", "/keys", json=NEW | {"name": "refused"} | change)

    assert response.status_code == 422, response.text
    assert code_of(response) in {"request-invalid", "name-invalid", "usage"}
    assert len(api.store.keys.list()) == before


def test_approvals_are_listed_in_pages_and_by_state(api: Api) -> None:
    banks = [api.bank() for _ in range(3)]
    numbers = [api.send("GET", f"/banks/{bank}/export").json()["approval"] for bank in banks]
    api.post(f"/approvals/{numbers[1]}/refuse", role=Role.MODERATOR)

    first = api.get("/approvals", params={"limit": 2, "cursor": numbers[0] - 1})
    second = api.get("/approvals", params={"limit": 2, "cursor": first["next"]})
    pending = api.get("/approvals", params={"state": "pending"}, role=Role.MODERATOR)

    assert [one["approval"] for one in first["approvals"]] == numbers[:2]
    assert [one["approval"] for one in second["approvals"]] == numbers[2:]
    assert second["next"] is None
    assert [one["approval"] for one in pending["approvals"]] == [numbers[0], numbers[2]]


def test_two_keys_of_one_person_are_one_person(api: Api) -> None:
    bank = api.bank()
    _, first = api.key(Role.ADMIN, holder="Grace Hopper")
    _, second = api.key(Role.MODERATOR, holder=" grace  HOPPER ")
    approval = api.send("GET", f"/banks/{bank}/export", token=first).json()["approval"]

    response = api.send("POST", f"/approvals/{approval}/approve", token=second)

    assert (response.status_code, code_of(response)) == (403, "approval-invalid")


def test_second_person_decides_only_within_their_banks(api: Api) -> None:
    own, other = api.bank(), api.bank()
    _, token = api.key(Role.MODERATOR, banks=[own])
    approval = api.send("GET", f"/banks/{other}/export").json()["approval"]

    assert api.get("/approvals", token=token)["approvals"] == []
    response = api.send("POST", f"/approvals/{approval}/approve", token=token)
    assert code_of(response) == "approval-invalid"


def test_log_is_read_in_pages_and_ends_with_its_head(api: Api) -> None:
    records, cursor = [], 0
    while cursor is not None:
        page = api.get("/log", params={"limit": 3, "cursor": cursor})
        records += page["records"]
        cursor = page["next"]

    assert [one["seq"] for one in records] == list(range(1, len(records) + 1))
    assert page["head"] == {"seq": records[-1]["seq"], "hash": records[-1]["hash"]}
    assert api.store.log.verify(
        expected_head=(page["head"]["seq"], bytes.fromhex(page["head"]["hash"]))
    )


def test_scoped_admin_reads_of_their_banks_alone(api: Api) -> None:
    own, other = api.bank(), api.bank()
    _, token = api.key(Role.ADMIN, banks=[own])
    api.register(own, 1)
    api.register(other, 1)

    records = api.get("/log", token=token)["records"]

    assert [(one["action"], one["bank"]) for one in records] == [
        ("create-bank", own),
        ("register", own),
    ]
