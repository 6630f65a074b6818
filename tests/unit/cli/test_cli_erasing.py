"""What erases in bulk says how much, and asks."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import egide
from egide.cli.main import run
from egide.domain.model import Registration
from egide.domain.names import source_of
from egide.store.changing import ChangingStore


def test_a_partner_is_removed_only_with_a_word_of_consent(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"sqlite:///{tmp_path}/egide.db"
    monkeypatch.setenv("EGIDE_STORE", url)
    with egide.open_store(url, create=True) as store:
        changing = ChangingStore.of(store)
        changing.banks.create("helpline")
        changing.upstreams.add(
            "p", "https://e.example", "k", remote_bank="b", bank="helpline", trust_map={}
        )
        held = [
            Registration(pdqs=(), md5=bytes([n]) * 16, source=source_of("p")) for n in range(1, 4)
        ]
        changing.entries.register("helpline", held)
        assert run(["sync", "remove", "p", "--json"]) == 2
        asked = json.loads(capsys.readouterr().out)["error"]
        assert asked["code"] == "confirmation-needed"
        assert "3 entries of p in bank helpline" in asked["message"]
        assert store.banks.counts("helpline").state(egide.State.ACTIVE) == 3
        assert run(["sync", "remove", "p", "--yes", "--json"]) == 0
        assert json.loads(capsys.readouterr().out) == {"name": "p", "erased": 3}
        assert store.banks.counts("helpline").state(egide.State.ACTIVE) == 0
