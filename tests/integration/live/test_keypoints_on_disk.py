"""Sealed keypoints as bytes of the database's files: there, and then gone for good."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from egide.domain.model import Registration
from egide.security.sealing import KeypointKey
from egide.store.changing import ChangingStore as Store
from keypoint_samples import keypoint_set
from store_processes import registration

KEY = KeypointKey(b"k" * 32)
PAST = datetime(2020, 1, 1, tzinfo=UTC)
COUNT = 60
# Bytes of one: within a page of the database, over a few, over many.
SIZES = (10, 100, 600)


def pictures() -> list[Registration]:
    return [
        Registration(
            pdqs=registration(number).pdqs,
            sha256=registration(number).sha256,
            source="her" if number % 2 else "them",
            expires=PAST if number % 5 == 0 else None,
            keypoints=keypoint_set(number, SIZES[number % len(SIZES)]),
        )
        for number in range(COUNT)
    ]


def pieces(path: Path) -> dict[int, list[bytes]]:
    """Of each sealed row, 24 bytes every 300: an overflowing row is spread over pages."""
    connection = sqlite3.connect(path)
    rows = connection.execute("SELECT entry_id, sealed FROM patches").fetchall()
    connection.close()
    return {
        entry: [sealed[at : at + 24] for at in range(0, len(sealed) - 24, 300)]
        for entry, sealed in rows
    }


def on_disk(folder: Path, sought: dict[int, list[bytes]]) -> set[int]:
    """Which rows have left at least one piece in any file but SQLite's shared memory."""
    raw = b"".join(file.read_bytes() for file in folder.iterdir() if file.suffix != ".db-shm")
    return {entry for entry, parts in sought.items() if any(part in raw for part in parts)}


def every(store: Store) -> None:
    store.entries.withdraw("helpline", list(range(1, COUNT + 1)))


def by_source(store: Store) -> None:
    store.entries.withdraw_source("helpline", "her")


def by_time(store: Store) -> None:
    store.entries.expire()


def as_false(store: Store) -> None:
    store.entries.tombstone("helpline", list(range(1, 31)))


def alone(store: Store) -> None:
    store.keypoints.erase("helpline", list(range(20, 50)))


def replaced(store: Store) -> None:
    others = [
        Registration(one.pdqs, one.sha256, source=one.source, keypoints=keypoint_set(number + 1000))
        for number, one in enumerate(pictures()[:40])
    ]
    store.entries.register("helpline", others, keypoint_key=KEY)


@pytest.mark.parametrize("erase", [every, by_source, by_time, as_false, alone, replaced])
def test_erased_keypoints_are_gone_from_the_files(
    tmp_path: Path, erase: Callable[[Store], None]
) -> None:
    path = tmp_path / "egide.db"
    with Store.open(f"sqlite:///{path}", create=True) as store:
        store.banks.create("helpline")
        store.entries.register("helpline", pictures(), keypoint_key=KEY)
        sought = pieces(path)
        assert on_disk(tmp_path, sought) == set(range(1, COUNT + 1))
        erase(store)
        now = pieces(path)
        kept = {entry for entry, parts in sought.items() if now.get(entry) == parts}
        assert len(kept) <= COUNT - COUNT // 6
        assert on_disk(tmp_path, sought) == kept
    assert on_disk(tmp_path, sought) == kept


def test_erasing_while_another_reads_is_made_up_for_on_closing(tmp_path: Path) -> None:
    path = tmp_path / "egide.db"
    store = Store.open(f"sqlite:///{path}", create=True)
    store.banks.create("helpline")
    store.entries.register("helpline", pictures(), keypoint_key=KEY)
    sought = pieces(path)
    reader = Store.open(f"sqlite:///{path}")
    with reader.keypoints.read(KEY) as sealed:
        store.entries.withdraw_source("helpline", "her")
        assert len(list(sealed)) == COUNT - COUNT // 5
        kept = set(pieces(path))
        assert on_disk(tmp_path, sought) > kept  # the reader may still need the old pages
    store.close()
    assert on_disk(tmp_path, sought) == kept
    reader.close()


def test_neither_key_nor_keypoints_are_ever_in_the_files(tmp_path: Path) -> None:
    path = tmp_path / "egide.db"
    plain = [one.keypoints for one in pictures() if one.keypoints is not None]
    with Store.open(f"sqlite:///{path}", create=True) as store:
        store.banks.create("helpline")
        store.entries.register("helpline", pictures(), keypoint_key=KEY)
        with store.keypoints.read(KEY) as sealed:
            assert list(sealed)
        raw = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert KEY.secret not in raw
    for one in plain:
        assert one.descriptors[:32] not in raw
        assert one.keypoints[:24] not in raw
        assert one.signs[:24] not in raw
