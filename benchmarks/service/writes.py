"""Registering and withdrawing over HTTP."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from entries import BANK

if TYPE_CHECKING:
    from collections.abc import Sequence

    from service.client import Connection

_PATH = f"/v1/banks/{BANK}/entries"


class WriteRefusedError(Exception):
    """A write was answered with an error."""


def register(curator: Connection, codes: Sequence[bytes]) -> list[int]:
    """Register codes, all of them new, by one request; return their entries.

    Raises:
        WriteRefusedError: the register did not.
        OSError: it did not answer.
    """
    body = json.dumps({"entries": [{"pdq": [code.hex()]} for code in codes]}).encode()
    said = _post(curator, _PATH, body, 201)
    return [outcome["entry"] for outcome in said["outcomes"]]


def withdraw(curator: Connection, entry: int) -> None:
    """Withdraw an entry.

    Raises:
        WriteRefusedError: the register did not.
        OSError: it did not answer.
    """
    said = _post(curator, f"{_PATH}/{entry}/withdraw", b"", 200)
    if said["state"] != "withdrawn":
        raise WriteRefusedError(f"entry {entry} is {said['state']} after its withdrawal")


def _post(curator: Connection, path: str, body: bytes, status: int) -> Any:
    answer = curator.ask("POST", path, body)
    if answer.status != status:
        raise WriteRefusedError(f"status {answer.status}: {answer.body[:300]!r}")
    return json.loads(answer.body)
