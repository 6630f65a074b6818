"""Everything that lists prints the same shape of JSON, and the documents name it."""

from __future__ import annotations

import inspect
import json
import re
from pathlib import Path
from typing import Any

import pytest
import typer.main

import egide
from egide.cli.main import app, run
from egide.domain.access import Role

TEXT = (Path(__file__).parents[3] / "docs" / "reference" / "commands.md").read_text("utf-8")
DOCUMENTED = set(re.findall(r"`([a-z ]+)`", re.findall(r"\*\*Lists\.?\*\*([^.]+)\.", TEXT)[0]))


def commands(command: Any, name: str = "") -> dict[str, Any]:
    below = getattr(command, "commands", None)
    if below is None:
        return {name.strip(): command}
    return {k: v for key, sub in below.items() for k, v in commands(sub, f"{name} {key}").items()}


LISTS = {
    name
    for name, command in commands(typer.main.get_command(app)).items()
    if "print_list(" in inspect.getsource(inspect.unwrap(command.callback))
}


def test_documents_name_every_command_that_lists() -> None:
    named_so = {name for name in commands(typer.main.get_command(app)) if name.endswith(" list")}
    assert named_so <= LISTS == DOCUMENTED


@pytest.mark.parametrize("held", [0, 2])
def test_a_list_is_one_array_however_much_is_in_it(
    held: int, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"sqlite:///{tmp_path}/egide.db"
    monkeypatch.setenv("EGIDE_STORE", url)
    with egide.open_store(url, create=True) as store:
        for number in range(held):
            egide.create_bank(store, f"bank-{number}")
            store.keys.create(f"key-{number}", Role.MATCHER, "h")
    banks = {"bank entries": ["bank-0"]} if held else {}
    for name in sorted(LISTS - ({"bank entries"} - set(banks))):
        assert run([*name.split(), *banks.get(name, []), "--json"]) == 0
        printed = json.loads(capsys.readouterr().out)
        assert isinstance(printed, list), name
        if name in {"bank list", "key list"}:
            assert len(printed) == held
        if name == "log show":
            assert len(printed) >= 2 * held
