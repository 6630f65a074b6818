"""The register's API as its users meet it, for tests: a key of each role, banks, entries."""

from __future__ import annotations

from hashlib import sha256
from itertools import count
from typing import Any

from httpx import Response

from egide.domain.access import Role
from egide.store.changing import ChangingStore
from server_samples import Served, bearer

_numbers = count(1)


def pdq(number: int) -> str:
    """Return the digits of a code far from those of all other numbers."""
    return sha256(b"pdq %d" % number).hexdigest()


class Api:
    """Sends requests to a served register, each as somebody.

    Attributes:
        served: the register.
        tokens: of a key of each role.
    """

    def __init__(self, served: Served) -> None:
        self.served = served
        self.store = served.service.store
        self.tokens = {role: served.key(role)[1] for role in Role}

    def bank(self) -> str:
        """Make an empty bank."""
        return ChangingStore.of(self.store).banks.create(f"bank-{next(_numbers)}").name

    def key(self, role: Role, **fields: Any) -> tuple[str, str]:
        """Make a key; return its name and its token."""
        key, token = self.served.key(role, f"key-{next(_numbers)}", **fields)
        return key.name, token

    def send(
        self,
        method: str,
        path: str,
        *,
        role: Role = Role.ADMIN,
        token: str | None = None,
        headers: dict[str, str] | None = None,
        **rest: Any,
    ) -> Response:
        """Send a request to /v1 with the key of a role, or with another token."""
        given = bearer(token or self.tokens[role]) | (headers or {})
        return self.served.client.request(method, f"/v1{path}", headers=given, **rest)

    def get(self, path: str, **rest: Any) -> Any:
        """Get what is there."""
        response = self.send("GET", path, **rest)
        assert response.status_code == 200, response.text
        return response.json()

    def post(self, path: str, json: Any = None, *, status: int = 200, **rest: Any) -> Any:
        """Post a body, and expect an answer of that status."""
        response = self.send("POST", path, json=json, **rest)
        assert response.status_code == status, response.text
        return response.json()

    def register(self, bank: str, *numbers: int, **rest: Any) -> list[int]:
        """Register the codes of these numbers as a curator; return the entries."""
        entries = [{"pdq": [pdq(number)]} for number in numbers]
        fields = {"role": Role.CURATOR, "status": 201} | rest
        done = self.post(f"/banks/{bank}/entries", {"entries": entries}, **fields)
        return [outcome["entry"] for outcome in done["outcomes"]]


def code_of(response: Response) -> str:
    """Return the code of the problem that a response is."""
    assert response.headers["content-type"] == "application/problem+json", response.text
    return str(response.json()["code"])
