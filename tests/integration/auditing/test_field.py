"""Tables and archives that people met: every registered picture in them is found."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import TYPE_CHECKING

import pytest

import egide
from shared_folder import SHARED, needs_shared

if TYPE_CHECKING:
    from pathlib import Path

FIELD = SHARED / "field"


@needs_shared
@pytest.mark.skipif(not FIELD.is_dir(), reason="the folder ../shared/field is absent")
def test_tables_and_archives_of_the_field_are_read(tmp_path: Path) -> None:
    expected = json.loads((FIELD / "expected.json").read_text())
    names = [name for name in expected if name.endswith((".parquet", ".zip"))]
    with egide.open_store(f"sqlite:///{tmp_path}/egide.db", create=True) as store:
        egide.create_bank(store, "field")
        list(egide.register(store, "field", sorted(FIELD.glob("reg/o*.jpg"))))
        audit = egide.audit([*(FIELD / name for name in names), FIELD / "folder"], store)
        matched, said = defaultdict(set), defaultdict(list)
        for row in audit:
            source = row.shard.rpartition("/")[2]
            if isinstance(row, egide.MatchRow):
                matched[source].add((row.item, row.key, row.offset))
            else:
                said[source].append(row.message)
    for name in names:
        assert len(matched[name]) == expected[name].get("matched", 0), name
    (message,) = said["enc_footer.parquet"]
    assert "is encrypted" in message
    for name in ("data-00000-of-00001.arrow", "s.tar.zst", "s.cbz"):
        assert len(matched[name]) == 4, name
