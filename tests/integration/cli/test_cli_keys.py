"""The keys of a served register, as the users of the command line meet them."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

import egide as library
from commands import egide_in
from egide.domain.access import parse_token, secret_matches
from egide.store.changing import ChangingStore


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    with library.open_store(f"sqlite:///{tmp_path}/egide.db", create=True) as store:
        ChangingStore.of(store).banks.create("helpline")
    return tmp_path


def test_token_alone_is_on_standard_output(folder: Path) -> None:
    done = egide_in(folder, "key", "create", "--role", "matcher", "--name", "uploads")
    assert done.code == 0
    parsed = parse_token(done.out.removesuffix("\n"))
    assert parsed is not None
    assert "once" in done.err
    assert done.out.strip() not in done.err
    with library.open_store(f"sqlite:///{folder}/egide.db") as store:
        found = store.keys.find(parsed[0])
        assert found is not None
        assert (found[0].name, found[0].holder) == ("uploads", "uploads")
        assert secret_matches(parsed[1], found[1])


def test_first_key_makes_the_store(tmp_path: Path) -> None:
    done = egide_in(tmp_path, "key", "create", "--role", "matcher", "--name", "uploads")
    assert done.code == 0
    assert (tmp_path / "egide.db").exists()


def test_options_are_kept(folder: Path) -> None:
    done = egide_in(
        folder, "key", "create", "--role", "moderator", "--name", "ben", "--holder", "Ben Okri",
        "--bank", "helpline", "--expires", "2999-12-31", "--per-second", 7, "--per-day", 70,
        "--json",
    )  # fmt: skip
    values = done.json()
    assert parse_token(values.pop("key"))
    assert values.pop("handle")
    assert values.pop("created") <= datetime.now(UTC).isoformat()
    assert values == {
        "name": "ben",
        "role": "moderator",
        "holder": "Ben Okri",
        "banks": ["helpline"],
        "per_second": 7,
        "per_day": 70,
        "created_by": "local",
        "expires": "2999-12-31T00:00:00+00:00",
        "revoked": None,
        "state": "live",
    }


@pytest.mark.parametrize(
    ("options", "code", "word"),
    [
        (["--role", "admin", "--name", "root"], 2, "--holder"),
        (["--role", "owner", "--name", "root"], 2, "owner"),
        (["--role", "matcher"], 2, "--name"),
        (["--role", "matcher", "--name", "local"], 2, "name-invalid"),
        (["--role", "matcher", "--name", "a", "--expires", "2020-01-01"], 2, "come already"),
        (["--role", "matcher", "--name", "a", "--per-second", "0"], 2, "usage"),
        (["--role", "matcher", "--name", "a", "--bank", "nowhere"], 3, "bank-missing"),
    ],
)
def test_what_will_not_do_is_refused_and_prints_no_token(
    folder: Path, options: list[str], code: int, word: str
) -> None:
    done = egide_in(folder, "key", "create", *options)
    assert (done.code, done.out) == (code, "")
    assert word in done.err
    with library.open_store(f"sqlite:///{folder}/egide.db") as store:
        assert store.keys.list() == []


def test_revoked_key_is_shown_as_such_and_its_name_stays_taken(folder: Path) -> None:
    create = ("key", "create", "--role", "matcher", "--name", "uploads")
    token = egide_in(folder, *create).out.strip()
    assert [key["state"] for key in egide_in(folder, "key", "list", "--json").json()] == ["live"]
    assert egide_in(folder, "key", "revoke", "uploads").code == 0
    again = egide_in(folder, *create)
    assert (again.code, again.out) == (3, "")
    assert "[key-exists]" in again.err
    listed = egide_in(folder, "key", "list")
    assert "revoked" in listed.out
    assert token not in listed.out
    assert token[-43:] not in egide_in(folder, "key", "list", "--json").out
    assert egide_in(folder, "key", "revoke", "nobody").code == 3


def test_empty_list_says_what_to_do(folder: Path) -> None:
    assert "egide key create" in egide_in(folder, "key", "list").out
    assert egide_in(folder, "key", "list", "--json").json() == []
