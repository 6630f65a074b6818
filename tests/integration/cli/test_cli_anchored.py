"""`egide match` looks for parts of a picture, and says how much of an entry it met."""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

import egide
from commands import egide_in
from egide.domain.model import AnchoredHashes, Fingerprint, Registration
from egide.store.changing import ChangingStore
from pictures import encoded, pictures
from search_data import moved, region_codes, shown

CODES = region_codes(140)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An entry with anchored hashes, a crop of its picture, and one that has too little detail."""
    with egide.open_store(f"sqlite:///{tmp_path / 'egide.db'}", create=True) as opened:
        changing = ChangingStore.of(opened)
        changing.banks.create("helpline")
        changing.entries.register(
            "helpline", [Registration((CODES[139],), anchored=AnchoredHashes.of(CODES[:64]))]
        )
    asked = {
        "crop.png": shown(*(moved(code, 30) for code in CODES[:5]), *CODES[70:80]),
        "plain.png": None,
    }
    for name, picture in zip(asked, pictures(2), strict=True):
        (tmp_path / name).write_bytes(encoded(picture, "PNG"))
    compute = egide.fingerprint

    def made(path: Path, *, anchored: bool, **options: Any) -> Fingerprint:
        return replace(compute(path, **options), anchored=asked[path.name] if anchored else None)

    monkeypatch.setattr(import_module("egide.hashing.fingerprint"), "fingerprint", made)
    return tmp_path


def test_a_part_is_found_and_said_to_be_one(folder: Path) -> None:
    result = egide_in(folder, "match", "crop.png", "plain.png")
    assert result.code == 1
    assert "crop.png: 1 match at revision 2: review" in result.out
    assert "Entry 1: found in a part of the picture, by 5 of its 64 anchored hashes." in result.out
    assert "plain.png: no match (not enough detail to search by anchored hashes)" in result.out


def test_json_says_what_was_met_and_what_was_searched(folder: Path) -> None:
    crop, plain = egide_in(folder, "match", "--json", "crop.png", "plain.png").lines()
    assert (crop["anchored"], plain["anchored"]) == ("searched", "not-enough-detail")
    (match,) = crop["matches"]
    assert (match["signal"], match["tier"], match["distance"]) == ("pdq-anchored", 1, 30)
    assert (match["transform"], match["rectangle"]) == (None, None)
    assert match["anchored"] == {"met": 5, "registered": 64}


def test_with_a_radius_distances_alone_are_asked_for(folder: Path) -> None:
    result = egide_in(folder, "match", "--json", "--radius", "31", "crop.png")
    assert result.code == 0
    assert "anchored" not in result.json()
