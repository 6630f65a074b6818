"""A thorough audit finds parts of pictures by anchored hashes, and says what it searched."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import egide
from egide.auditing import reading
from egide.auditing.scan import Banks, Scanner
from egide.auditing.sources import open_source
from egide.domain.model import (
    DEFAULT_LIMITS,
    AnchoredHashes,
    Fingerprint,
    Mode,
    Registration,
    Signal,
)
from egide.live.snapshots import open_snapshot
from egide.matching import Matcher
from egide.store import Store
from egide.store.changing import ChangingStore
from pictures import encoded, pictures
from search_data import moved, region_codes, shown

CODES = region_codes(140)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with egide.open_store(f"sqlite:///{tmp_path / 'egide.db'}", create=True) as opened:
        changing = ChangingStore.of(opened)
        changing.banks.create("helpline")
        changing.banks.create("other")
        kept = AnchoredHashes.of(CODES[:64])
        changing.entries.register(
            "helpline", [Registration((CODES[139],), anchored=kept), Registration((CODES[138],))]
        )
        changing.entries.register("other", [Registration((CODES[137],), anchored=kept)])
        yield opened


def test_an_item_is_found_by_its_regions(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the row says how much of the entry was met; without being asked nothing is looked for."""
    dataset = tmp_path / "dataset"
    dataset.mkdir()
    for number, picture in enumerate(pictures(2)):
        (dataset / f"{number}.jpg").write_bytes(encoded(picture))
    of_name = {"0.jpg": shown(moved(CODES[5], 30), *CODES[7:9]), "1.jpg": None}

    def made(*args: Any, anchored: bool, **options: Any) -> Fingerprint:
        found = of_name[options["name"]] if anchored else None
        return replace(egide.fingerprint(*args, **options), anchored=found)

    monkeypatch.setattr(reading, "fingerprint_or_error", made)
    (shard,) = open_source(str(dataset), ()).shards()
    with open_snapshot(store) as snapshot:
        matcher = Matcher(snapshot, banks=["helpline"])
        found = []
        for asked in (False, True):
            scanner = Scanner(Banks(matcher, set(Signal)), anchored=asked)
            rows = reading.Fingerprinter(Mode.FAST, DEFAULT_LIMITS, (), anchored=asked).rows(shard)
            (part,) = scanner.parts(shard.name, rows)
            scanner.match(part, shard.name)
            found.append(part)
    plain, thorough = found
    assert (plain.matches, plain.without_anchored) == ([], 0)
    assert (thorough.matched_items, thorough.without_anchored) == (1, 1)
    (row,) = thorough.matches
    assert (row.entry, row.way, row.tier, row.signal) == (1, "anchored", 1, "pdq-anchored")
    assert (row.distance, row.transform) == (0, None)
    assert (row.anchored_met, row.anchored_registered) == (3, 64)


@pytest.mark.parametrize(
    ("options", "searched"),
    [({"thorough": True}, True), ({"thorough": True, "radius_bits": 31}, False), ({}, False)],
)
def test_the_summary_says_whether_and_what_was_searched(
    store: Store, tmp_path: Path, options: dict[str, Any], searched: bool
) -> None:
    flat = tmp_path / "flat.png"
    flat.write_bytes(encoded(Image.new("RGB", (90, 90), "white"), "PNG"))
    audit = egide.audit(
        [flat], store, banks=["helpline"], out=tmp_path / "out", mode=Mode.EXACT, **options
    )
    assert list(audit) == []
    assert audit.summary is not None
    assert asdict(audit.summary.anchored) == {
        "searched": searched,
        "entries": 1,
        "items_without": int(searched),
    }
    assert audit.summary.ways["anchored"] == 0
    page = egide.write_report(tmp_path / "out", lang="fr").read_text()
    assert ("de 1 image enregistrée" in page) is searched
