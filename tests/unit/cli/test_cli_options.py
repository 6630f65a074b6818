"""Options that would do nothing beside another one are refused: none is passed over in silence."""

from __future__ import annotations

from pathlib import Path

import pytest

from commands import egide_in

IDLE = (
    "audit a --matcher https://r.example --store sqlite:///egide.db",
    "audit a --matcher-key r.key",
    "audit a --fresh",
    "audit a --lang fr",
    "audit a --out b --anonymous",
    "audit a --out b --requester-pays",
    "audit a --out b --endpoint-url https://s3.example",
    "audit a --out b --profile mine",
    "audit --again a --bank helpline",
    "hash a --thorough",
    "hash a --column image",
    "hash a --workers 1",
    "purge a --to b --plain",
    "purge a --to b --quarantine c",
    "purge a --manifest b --yes",
    "purge a --undo --include-review",
    "purge a --undo --without-store",
    "purge a --undo --store sqlite:///egide.db",
    "purge a --to b --without-store --store sqlite:///egide.db",
    "verify a --without-key --column image",
    "verify a --without-key --after b",
    "verify a --json --lang fr",
    "key signing --public-of k --passphrase",
    "key patches --show-id --out k",
)


@pytest.mark.parametrize("command", IDLE)
def test_an_option_that_would_do_nothing_is_refused(tmp_path: Path, command: str) -> None:
    (tmp_path / "a").mkdir()
    found = egide_in(tmp_path, *command.split())
    said = found.err + found.out
    assert (found.code, "[usage]" in said or '"usage"' in said) == (2, True)
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
