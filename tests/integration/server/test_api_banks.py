"""Banks over HTTP."""

from collections.abc import Iterator

import pytest

from api_samples import Api, code_of
from egide.domain.access import Role
from server_samples import serve


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    with serve(tmp_path_factory.mktemp("api")) as served:
        yield Api(served)


def test_created_bank_is_listed_with_its_counts(api: Api) -> None:
    made = api.post("/banks", {"name": "created", "description": "new"}, status=201)

    api.register("created", 1, 2)

    shown = api.get("/banks/created")
    assert made["radius_bits"] == shown["radius_bits"] == 31
    assert shown["enabled"]
    assert shown["states"] == {"active": 2, "withdrawn": 0, "expired": 0, "tombstoned": 0}
    assert shown["trust"] == {"unverified": 2, "confirmed": 0, "disputed": 0}
    assert shown in api.get("/banks")["banks"]


def test_a_name_is_given_once(api: Api) -> None:
    bank = api.bank()

    response = api.send("POST", "/banks", json={"name": bank})

    assert (response.status_code, code_of(response)) == (409, "bank-exists")


def test_description_and_use_change_without_a_second_person(api: Api) -> None:
    bank = api.bank()

    response = api.send("PATCH", f"/banks/{bank}", json={"description": "old", "enabled": False})

    assert response.status_code == 200
    assert response.json()["description"] == "old"
    assert not api.get(f"/banks/{bank}")["enabled"]
    assert api.get(f"/banks/{bank}")["radius_bits"] == 31


def test_another_radius_takes_a_second_person(api: Api) -> None:
    bank = api.bank()
    change = {"radius_bits": 12, "description": "narrow"}

    refused = api.send("PATCH", f"/banks/{bank}", json=change)
    approval = refused.json()["approval"]

    assert (refused.status_code, code_of(refused)) == (403, "approval-needed")
    assert api.get(f"/banks/{bank}")["radius_bits"] == 31
    assert api.get(f"/banks/{bank}")["description"] == ""

    asked = next(one for one in api.get("/approvals")["approvals"] if one["approval"] == approval)
    assert (asked["state"], asked["bank"], asked["requested_by"]) == ("pending", bank, "admin")
    assert asked["summary"] == {"radius_bits": 12, "old_radius_bits": 31}

    alone = api.send("POST", f"/approvals/{approval}/approve")
    assert (alone.status_code, code_of(alone)) == (403, "approval-invalid")
    api.post(f"/approvals/{approval}/approve", role=Role.MODERATOR)
    header = {"Egide-Approval": str(approval)}

    other = api.send("PATCH", f"/banks/{bank}", json={"radius_bits": 13}, headers=header)
    assert (other.status_code, code_of(other)) == (403, "approval-invalid")
    done = api.send("PATCH", f"/banks/{bank}", json=change, headers=header)
    assert done.status_code == 200
    assert done.json()["radius_bits"] == 12
    again = api.send("PATCH", f"/banks/{bank}", json={"radius_bits": 31}, headers=header)
    assert code_of(again) == "approval-invalid"


@pytest.mark.parametrize("radius", [0, 30, 32, 63])
def test_a_bank_is_made_with_another_radius_by_two_people_alone(api: Api, radius: int) -> None:
    body = {"name": f"radius-{radius}", "radius_bits": radius}

    refused = api.send("POST", "/banks", json=body)
    approval = refused.json()["approval"]

    assert (refused.status_code, code_of(refused)) == (403, "approval-needed")
    assert code_of(api.send("GET", f"/banks/radius-{radius}")) == "bank-missing"
    asked = next(one for one in api.get("/approvals")["approvals"] if one["approval"] == approval)
    assert asked["summary"] == {"radius_bits": radius}
    api.post(f"/approvals/{approval}/approve", role=Role.MODERATOR)
    header = {"Egide-Approval": str(approval)}
    other = api.send("POST", "/banks", json=body | {"radius_bits": 61}, headers=header)
    assert code_of(other) == "approval-invalid"
    assert api.post("/banks", body, status=201, headers=header)["radius_bits"] == radius
    taken = api.send("POST", "/banks", json=body)
    assert code_of(taken) == "bank-exists"


def test_the_radius_that_it_has_takes_nobody(api: Api) -> None:
    bank = api.bank()

    response = api.send("PATCH", f"/banks/{bank}", json={"radius_bits": 31})

    assert response.status_code == 200


def test_refused_change_is_not_made(api: Api) -> None:
    bank = api.bank()
    approval = api.send("PATCH", f"/banks/{bank}", json={"radius_bits": 1}).json()["approval"]

    api.post(f"/approvals/{approval}/refuse", role=Role.MODERATOR)

    header = {"Egide-Approval": str(approval)}
    response = api.send("PATCH", f"/banks/{bank}", json={"radius_bits": 1}, headers=header)
    assert code_of(response) == "approval-invalid"
    assert api.get(f"/banks/{bank}")["radius_bits"] == 31


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": "with space"},
        {"name": "x" * 65},
        {"name": ""},
        {"name": "b", "radius_bits": 64},
        {"name": "b", "radius_bits": -1},
        {"name": "b", "radius_bits": "31"},
        {"name": "b", "radius_bits": True},
        {"name": "b", "description": "\0"},
        {"name": "b", "description": "x" * 1001},
        {"name": "b", "owner": "me"},
        [],
        "b",
        None,
    ],
)
def test_bank_that_is_not_as_documented_is_refused(api: Api, body: object) -> None:
    before = api.store.revision()

    response = api.send("POST", "/banks", json=body)

    assert (response.status_code, code_of(response)) == (422, "request-invalid")
    assert api.store.revision() == before


def test_key_sees_only_banks_in_its_scope(api: Api) -> None:
    own, other = api.bank(), api.bank()
    _, token = api.key(Role.ADMIN, banks=[own])

    assert [bank["name"] for bank in api.get("/banks", token=token)["banks"]] == [own]
    for method, path, body in (
        ("GET", f"/banks/{other}", None),
        ("PATCH", f"/banks/{other}", {"enabled": False}),
        ("GET", f"/banks/{other}/export", None),
        ("POST", "/banks", {"name": "of-a-scoped-key"}),
    ):
        hidden = api.send(method, path, json=body, token=token)
        assert (hidden.status_code, code_of(hidden)) == (404, "bank-missing"), path
    absent = api.send("GET", "/banks/absent", token=token)
    hidden = api.send("GET", f"/banks/{other}", token=token)
    assert absent.json()["detail"].replace("absent", other) == hidden.json()["detail"]


def test_whole_number_may_be_written_as_json_schema_allows(api: Api) -> None:
    made = api.post("/banks", {"name": "whole", "radius_bits": 31.0}, status=201)
    document = api.served.client.get("/openapi.json").json()

    assert made["radius_bits"] == 31
    radius = document["components"]["schemas"]["NewBank"]["properties"]["radius_bits"]
    assert (radius["type"], radius["minimum"], radius["maximum"]) == ("integer", 0, 63)
