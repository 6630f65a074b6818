"""Backing a store up and restoring it: from either database, into either."""

import stat
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
import sqlalchemy as sa

from egide.domain.model import State
from egide.errors import BackupExists, BackupUnwritable, StoreMissing, StoreNotEmpty
from egide.security.sealing import KeypointKey
from egide.store import copying
from egide.store.changing import ChangingStore as Store
from egide.store.copying import restore_store
from egide.store.log import log
from egide.store.tables.register import metadata
from keypoint_samples import keypoint_set
from store_samples import picture

KEY = KeypointKey(b"k" * 32)


@pytest.fixture
def new_url(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[str], str]:
    """Where nothing is yet, in a database of the kind that is asked for."""

    @cache
    def new(kind: str) -> str:
        if kind == "sqlite":
            return f"sqlite:///{tmp_path}/other.db"
        url: str = request.getfixturevalue("postgres_url")()
        return url

    return new


@pytest.fixture
def other_url(store_url: str, new_url: Callable[[str], str]) -> str:
    """Where nothing is yet, in a database of the store's own kind."""
    return new_url(store_url.partition(":")[0].partition("+")[0])


@pytest.fixture
def filled(store: Store, monkeypatch: pytest.MonkeyPatch) -> Store:
    """A store with something of everything in it, and more than is copied at a time."""
    monkeypatch.setattr(copying, "_PAGE", 20)
    store.banks.create("second", radius_bits=20, description="two")
    store.entries.register("helpline", [picture(number) for number in range(25)])
    store.entries.register("second", [picture(1, keypoints=keypoint_set(1))], keypoint_key=KEY)
    store.entries.withdraw("helpline", [1, 5])
    store.entries.tombstone("helpline", [7])
    store.entries.confirm("helpline", [8])
    return store


def rows(store: Store) -> dict[str, list[tuple[object, ...]]]:
    with store._database.read() as connection:
        return {
            table.name: sorted(
                (tuple(row) for row in connection.execute(sa.select(table))), key=repr
            )
            for table in metadata.sorted_tables
            if table.name
            not in {"unfinished_files", "snapshot_files"}  # of this machine, not of the register
        }


@pytest.mark.parametrize("into", ["sqlite", "postgresql"])
def test_a_backup_restored_anywhere_is_the_same_store_and_goes_on_where_it_stood(
    filled: Store, new_url: Callable[[str], str], into: str, tmp_path: Path
) -> None:
    seen: list[tuple[int, int]] = []
    by_her = filled.acting_as("her")
    copied = by_her.backup(tmp_path / "backup.db", on_progress=lambda *at: seen.append(at))
    before = rows(filled)
    total = sum(len(held) for held in before.values())
    assert seen[-1] == (total, total)
    assert copied.rows == {name: len(held) for name, held in before.items()}
    restored = restore_store(tmp_path / "backup.db", new_url(into), actor="him")
    assert restored == copied
    with Store.open(new_url(into)) as other:
        after = rows(other)
        assert len(after["log"]) == len(before["log"]) + 1
        after["log"] = [row for row in after["log"] if row in before["log"]]
        # How far erasing has come is of the files, not of what they hold.
        erasing = {table.pop("store_meta")[0][:3] for table in (before, after)}
        assert len(erasing) == 1
        assert after == before
        assert (other.id, other.revision()) == (filled.id, filled.revision())

        with other._database.read() as connection:
            query = sa.text("SELECT seq, action, actor FROM log ORDER BY seq DESC LIMIT 2")
            (last, *restore), (previous, *backup) = connection.execute(query)
        assert (restore, backup) == (["restore", "him"], ["backup", "her"])
        assert last == previous + 1
        assert other.log.verify().records == last
        assert filled.log.verify().records == previous

        done = other.entries.register(
            "helpline", [picture(9000), picture(0), picture(2)], outcomes=True
        )
        assert (done.added, done.refused, done.known) == (1, 1, 1)
        assert done.revision == filled.revision() + 1
        assert done.outcomes[0].entry > 26
        assert other.banks.create("third").id > other.banks.get("second").id
        with other.keypoints.read(KEY) as kept:
            assert [found for _, found in kept] == [keypoint_set(1)]


def test_nothing_is_restored_that_the_log_cannot_tell_of(
    filled: Store, other_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled.backup(tmp_path / "backup.db")

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(log, "append", killed)
        with pytest.raises(KeyboardInterrupt):
            restore_store(tmp_path / "backup.db", other_url)
    with pytest.raises(StoreMissing):
        Store.open(other_url)


def test_a_backup_is_a_private_store_of_one_moment(filled: Store, tmp_path: Path) -> None:
    def meanwhile(done: int, total: int) -> None:
        if done < total:
            filled.entries.withdraw("helpline", [10])

    path = tmp_path / "folder é" / "backup.db"
    path.parent.mkdir()
    revision = filled.revision()
    filled.backup(path, on_progress=meanwhile)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(path.parent.iterdir()) == [path]
    assert filled.entries.get("helpline", 10).state is State.WITHDRAWN
    with Store.open(f"sqlite:///{path}") as copy:
        assert copy.revision() == revision
        assert copy.entries.get("helpline", 10).state is State.ACTIVE


def test_nothing_that_stands_is_replaced(filled: Store, other_url: str, tmp_path: Path) -> None:
    path = tmp_path / "backup.db"
    path.write_text("precious")
    with pytest.raises(BackupExists, match="replaces no file"):
        filled.backup(path)
    assert path.read_text() == "precious"
    path.unlink()
    filled.backup(path)
    Store.open(other_url, create=True).close()
    with pytest.raises(StoreNotEmpty, match="not empty"):
        restore_store(path, other_url)
    with Store.open(other_url) as other:
        assert other.revision() == 0
        assert other.id != filled.id


def test_a_copy_that_is_broken_off_leaves_nothing(
    filled: Store, other_url: str, tmp_path: Path
) -> None:
    def break_off(done: int, total: int) -> None:
        raise KeyboardInterrupt

    folder = tmp_path / "backups"
    folder.mkdir()
    with pytest.raises(KeyboardInterrupt):
        filled.backup(folder / "backup.db", on_progress=break_off)
    assert list(folder.iterdir()) == []
    filled.backup(folder / "backup.db")
    with pytest.raises(KeyboardInterrupt):
        restore_store(folder / "backup.db", other_url, on_progress=break_off)
    with pytest.raises(StoreMissing):
        Store.open(other_url)
    assert restore_store(folder / "backup.db", other_url).store_id == filled.id


def test_what_is_no_place_or_no_backup_is_named(store: Store, tmp_path: Path) -> None:
    with pytest.raises(BackupUnwritable, match="No such file or directory"):
        store.backup(tmp_path / "no" / "backup.db")
    with pytest.raises(StoreMissing, match=r"no\.db"):
        restore_store(tmp_path / "no.db", f"sqlite:///{tmp_path}/new.db")
    assert not (tmp_path / "new.db").exists()
