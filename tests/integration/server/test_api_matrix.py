"""Every route with every kind of key: who may do what, as the API's document declares it."""

import re
import runpy
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from httpx import Response

from api_samples import Api, code_of
from egide.domain.access import PERMISSIONS, Permission, Role
from egide.server.app import create_app
from egide.server.settings import ServerSettings
from egide.store.changing import ChangingStore
from server_samples import serve

DOCS = Path(__file__).parents[3] / "docs"
WITHOUT_KEY = {"/healthz", "/readyz", "/metrics"}
HIDDEN = "hidden-bank"


class Operation(NamedTuple):
    method: str
    path: str
    declared: dict[str, Any]

    @property
    def needs(self) -> Permission:
        return Permission(self.declared["x-permission"])

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


@cache
def operations() -> list[Operation]:
    document = create_app(ServerSettings()).openapi()
    return [
        Operation(method.upper(), path, declared)
        for path, found in document["paths"].items()
        for method, declared in found.items()
    ]


OPERATIONS = [one for one in operations() if one.path not in WITHOUT_KEY]


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    with serve(tmp_path_factory.mktemp("api"), max_failures_per_minute=10**9) as served:
        api = Api(served)
        ChangingStore.of(api.store).banks.create(HIDDEN)
        ChangingStore.of(api.store).banks.create("other")
        api.register(HIDDEN, 1)
        yield api


@pytest.fixture(scope="module")
def dead_tokens(api: Api) -> list[str]:
    """Those of an expired and of a revoked key, which could do everything."""
    past = datetime(2020, 1, 1, tzinfo=UTC)
    expired = api.served.key(Role.ADMIN, "expired", expires=past)[1]
    revoked = api.served.key(Role.ADMIN, "revoked")[1]
    api.store.keys.revoke("revoked")
    return [expired, revoked]


@pytest.fixture(scope="module")
def scoped_tokens(api: Api) -> dict[Role, str]:
    """Of keys of each role that are kept to another bank."""
    return {role: api.served.key(role, f"scoped-{role}", banks=["other"])[1] for role in Role}


def send(api: Api, operation: Operation, token: str | None) -> Response:
    """Send what makes a route look at the bank, and at the entry if it takes one."""
    path = operation.path.replace("{bank}", HIDDEN).replace("{entry}", "1")
    path = re.sub(r"\{(approval|id)\}", "1", path)
    path = re.sub(r"\{\w+\}", "absent", path)
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    body = {} if operation.method in {"POST", "PUT", "PATCH"} else None
    return api.served.client.request(operation.method, path, json=body, headers=headers)


@pytest.mark.parametrize("operation", OPERATIONS, ids=str)
def test_route_declares_its_permission_and_its_problems(operation: Operation) -> None:
    assert "x-permission" in operation.declared
    assert operation.declared["summary"]
    assert operation.declared["description"]
    assert {"401", "403", "429"} <= set(operation.declared["responses"])
    for status, response in operation.declared["responses"].items():
        if status >= "400":
            assert list(response["content"]) == ["application/problem+json"], status


def test_every_permission_is_that_of_a_route() -> None:
    hmas = {Permission.KEEP_BANKS}
    assert {operation.needs for operation in OPERATIONS} == set(Permission) - hmas


def test_only_health_and_metrics_need_no_key() -> None:
    declared = {one.path for one in operations() if "x-permission" not in one.declared}

    assert declared == WITHOUT_KEY


def test_names_of_operations_are_unique() -> None:
    names = [one.declared["operationId"] for one in operations()]

    assert len(set(names)) == len(names)


@pytest.mark.parametrize("operation", OPERATIONS, ids=str)
def test_role_may_do_what_its_permissions_say(api: Api, operation: Operation) -> None:
    for role in Role:
        response = send(api, operation, api.tokens[role])

        refused = response.status_code == 403 and code_of(response) == "forbidden"
        assert refused == (operation.needs not in PERMISSIONS[role]), role
        assert response.status_code != 401
        assert response.status_code < 500 or code_of(response) == "not-ready", response.text


@pytest.mark.parametrize("operation", OPERATIONS, ids=str)
def test_without_a_live_key_every_answer_is_the_same(
    api: Api, dead_tokens: list[str], operation: Operation
) -> None:
    admin = api.tokens[Role.ADMIN]
    wrong = [admin[:-4] + "AAAA", f"egide_{'a' * 12}_{admin.rsplit('_', 1)[1]}", "x", ""]
    tokens = [None, *dead_tokens, *wrong]

    answers = [send(api, operation, token) for token in tokens]

    assert {answer.status_code for answer in answers} == {401}
    assert len({answer.content for answer in answers}) == 1
    assert code_of(answers[0]) == "unauthorized"
    assert answers[0].headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize("operation", OPERATIONS, ids=str)
def test_key_of_another_bank_meets_no_such_bank(
    api: Api, scoped_tokens: dict[Role, str], operation: Operation
) -> None:
    for role, token in scoped_tokens.items():
        response = send(api, operation, token)

        if operation.needs not in PERMISSIONS[role]:
            assert code_of(response) == "forbidden"
        elif "{bank}" in operation.path:
            assert (response.status_code, code_of(response)) == (404, "bank-missing")
        else:
            assert HIDDEN not in response.text


def test_page_of_roles_is_current() -> None:
    page = runpy.run_path(str(DOCS / "roles.py"))["page"]()

    assert (DOCS / "reference" / "roles.md").read_text("utf-8") == page, "run: python docs/roles.py"
