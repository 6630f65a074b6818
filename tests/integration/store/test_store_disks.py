"""SQLite stores on disks that are full, too small, read-only or broken: what is said, and kept."""

from __future__ import annotations

import errno
import os
import resource
import shutil
import sqlite3
import subprocess
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from commands import egide_in
from egide.errors import (
    BackupUnwritable,
    EgideError,
    SnapshotUnwritable,
    StoreError,
    StoreFull,
    StoreLocked,
    StoreReadOnly,
    StoreUnreadable,
)
from egide.live.snapshots import open_snapshot
from egide.store.changing import ChangingStore as Store
from egide.store.copying import restore_store
from egide.store.database import sqlite
from store_processes import registration

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def url_of(path: Path) -> str:
    return f"sqlite:///{path}"


def make(path: Path, entries: int = 50) -> None:
    with Store.open(url_of(path), create=True) as store:
        store.banks.create("helpline")
        store.entries.register("helpline", (registration(number) for number in range(entries)))


def fill(folder: Path, leave_pages: int = 0) -> Path:
    filler = folder / "filler"
    filler.write_bytes(bytes((os.statvfs(folder).f_bavail - leave_pages) * 4096))
    return filler


def held(path: Path) -> int:
    with Store.open(url_of(path)) as store:
        return store.banks.counts("helpline").total


# --- full disks -----------------------------------------------------------------------------


@pytest.mark.parametrize("leave_pages", [0, 4, 9, 20])
def test_on_a_full_disk_opening_and_writing_say_so_and_change_nothing(
    small_disk: Path, leave_pages: int
) -> None:
    """No space is left for the index of the log, for the log itself, or in the database."""
    path = small_disk / "egide.db"
    make(path)
    filler = fill(small_disk, leave_pages)

    def write() -> None:
        with Store.open(url_of(path)) as store:
            store.entries.register(
                "helpline", (registration(number) for number in range(100, 3000))
            )

    with pytest.raises(StoreFull, match="its disk is full"):
        write()
    with pytest.raises(StoreFull), Store.open(url_of(small_disk / "new.db"), create=True):
        pass
    filler.unlink()
    assert held(path) == 50


def test_where_no_file_can_be_made_the_disk_counts_as_full(tmp_path: Path) -> None:
    with ExitStack() as stack:
        disk = mounted(tmp_path / "few", "size=4m,nr_inodes=4", stack)
        make(disk / "egide.db")
        (disk / "another").touch()
        with pytest.raises(StoreFull), Store.open(url_of(disk / "egide.db")):
            pass


def test_a_store_over_the_largest_file_that_may_be_written_is_told(tmp_path: Path) -> None:
    path = tmp_path / "egide.db"
    make(path)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with Store.open(url_of(path)) as store:
        resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 100_000, hard))
        try:
            with pytest.raises(StoreFull, match="ulimit -f"):
                store.entries.register(
                    "helpline", (registration(number) for number in range(100, 5000))
                )
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert store.banks.counts("helpline").total == 50


def test_a_backup_that_does_not_fit_says_why_and_leaves_nothing(
    small_disk: Path, tmp_path: Path
) -> None:
    make(tmp_path / "egide.db", 5000)
    with Store.open(url_of(tmp_path / "egide.db")) as store:
        with pytest.raises(BackupUnwritable, match="its disk is full"):
            store.backup(small_disk / "backup.db")
        assert list(small_disk.iterdir()) == []
        store.backup(tmp_path / "backup.db")
    with pytest.raises(StoreFull):
        restore_store(tmp_path / "backup.db", url_of(small_disk / "new.db"))


def test_a_snapshot_that_does_not_fit_says_why(small_disk: Path) -> None:
    make(small_disk / "egide.db")
    with Store.open(url_of(small_disk / "egide.db")) as store:
        assert store.revision() == 2
        fill(small_disk)
        with pytest.raises(SnapshotUnwritable, match="No space left"):
            open_snapshot(store)
        left = {file.name for file in small_disk.iterdir() if "snapshot" in file.name}
        assert left <= {"egide.db.snapshot.lock"}


# --- what the driver reports, whenever it does ----------------------------------------------


FAULTS = {
    "SQLITE_IOERR_WRITE": (errno.EDQUOT, StoreFull, "quota"),
    "SQLITE_IOERR_FSYNC": (errno.ENOSPC, StoreFull, "disk is full"),
    "SQLITE_IOERR_SHMSIZE": (errno.ENOSPC, StoreFull, "disk is full"),
    "SQLITE_IOERR_READ": (0, StoreUnreadable, "the disk reports an error"),
    "SQLITE_FULL": (0, StoreFull, "disk is full"),
    "SQLITE_CANTOPEN": (errno.EROFS, StoreReadOnly, "read-only"),
    "SQLITE_READONLY_DBMOVED": (0, StoreUnreadable, "moved"),
    "SQLITE_BUSY_SNAPSHOT": (0, StoreLocked, "locked"),
    "SQLITE_CORRUPT_INDEX": (0, StoreUnreadable, "damaged"),
    "SQLITE_NOMEM": (0, StoreUnreadable, "memory"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_whatever_the_driver_reports_is_an_error_of_the_store(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found, kind, words = FAULTS[name]
    path = tmp_path / "egide.db"
    make(path)
    monkeypatch.setattr(sqlite, "_why_unwritable", lambda _path: found)
    armed = False

    def fail(*_: object) -> None:
        if armed:
            error = sqlite3.OperationalError("as if")
            error.sqlite_errorcode = getattr(sqlite3, name)
            raise error

    with Store.open(url_of(path)) as store:
        sa.event.listen(store._database._engine, "do_execute", fail)
        acts: list[Callable[[], object]] = [
            store.revision,
            lambda: store.wait_for_change(0, 1),
            lambda: list(store.entries.list("helpline")),
            lambda: store.entries.withdraw("helpline", [1]),
            lambda: store.keys.use(1, 1, 1),
            lambda: store.outbox.claim(limit=1, per_webhook=1, lease_s=1),
            lambda: store.backup(tmp_path / "backup.db"),
            store.log.verify,
        ]
        armed = True
        for act in acts:
            with pytest.raises(StoreError, match=words) as caught:
                act()
            assert type(caught.value) is kind
        armed = False
        assert store.banks.counts("helpline").total == 50


# --- read-only disks ------------------------------------------------------------------------


def mounted(folder: Path, options: str, stack: ExitStack, *, of: Path | None = None) -> Path:
    """Mount a small file system, or show a folder a second time, until `stack` ends."""
    folder.mkdir()
    what = ["-t", "tmpfs", "tmpfs"] if of is None else ["--bind", str(of)]
    if subprocess.run(["mount", "-o", options, *what, folder], check=False).returncode:
        pytest.skip("mounting is not permitted here: small and read-only disks were not tried")
    stack.callback(subprocess.run, ["umount", str(folder)], check=True)
    if of is not None:
        subprocess.run(["mount", "-o", f"remount,bind,{options}", folder], check=True)
    return folder


@pytest.fixture
def read_only(tmp_path: Path) -> Iterator[tuple[Path, Path]]:
    """A folder, and the same folder where it cannot be written to."""
    source = tmp_path / "source"
    source.mkdir()
    with ExitStack() as stack:
        yield source, mounted(tmp_path / "read-only", "ro", stack, of=source)


@pytest.mark.parametrize("name", ["backup.db", "egide.db"])
def test_a_store_on_a_read_only_disk_is_read_searched_and_restored(
    read_only: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    source, disk = read_only
    make(source / "egide.db")
    with Store.open(url_of(source / "egide.db")) as store:
        store.backup(source / "backup.db")
    before = (source / name).read_bytes()
    assert before[18:20] == {"backup.db": b"\x01\x01", "egide.db": b"\x02\x02"}[name]
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "codes.csv").write_text(f"pdq\n{registration(1).pdqs[0].hex()}\n")
    at = ("--store", url_of(disk / name))
    result = egide_in(tmp_path, "audit", "codes.csv", "--out", "out", *at)
    assert result.code == 1, (result.out, result.err)
    result = egide_in(tmp_path, "bank", "create", "other", *at)
    assert (result.code, "[store-read-only]" in result.err) == (3, True), result.err
    restore_store(disk / name, url_of(tmp_path / "new.db"))
    with Store.open(url_of(disk / name)) as store:
        assert len(list(store.entries.list("helpline"))) == 50
        assert store.wait_for_change(2, 0.01) == 2
        store.log.verify()
    assert held(tmp_path / "new.db") == 50
    assert (source / name).read_bytes() == before
    assert {file.name for file in source.iterdir()} == {"backup.db", "egide.db"}


def test_a_backup_that_is_worked_with_lets_readers_read_while_it_is_written(tmp_path: Path) -> None:
    make(tmp_path / "egide.db")
    with Store.open(url_of(tmp_path / "egide.db")) as store:
        store.backup(tmp_path / "backup.db")
    with Store.open(url_of(tmp_path / "backup.db")) as store:
        store.entries.withdraw("helpline", [1])
        with store.entries.active() as view:
            assert len(list(view.entries)) == 49
            store.entries.withdraw("helpline", [2])
    with closing(sqlite3.connect(tmp_path / "backup.db")) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_a_store_that_another_writes_to_is_read_with_its_log_or_not_at_all(
    read_only: tuple[Path, Path],
) -> None:
    source, disk = read_only
    path = source / "egide.db"
    make(path)
    with Store.open(url_of(path)) as writer:
        writer.entries.register("helpline", [registration(100)])
        assert held(disk / "egide.db") == 51
        for ending in ("", "-wal"):
            shutil.copy(f"{path}{ending}", f"{source}/copied.db{ending}")
    with pytest.raises(StoreUnreadable, match="log beside it"):
        held(disk / "copied.db")
    assert held(disk / "egide.db") == 51


def test_a_file_that_was_said_not_to_change_and_does_is_not_believed(
    read_only: tuple[Path, Path],
) -> None:
    source, disk = read_only
    make(source / "egide.db")

    def read_slowly(store: Store) -> int:
        with store.entries.active() as view:
            with Store.open(url_of(source / "egide.db")) as writer:
                writer.entries.withdraw("helpline", [1])
            return len(list(view.entries))

    with Store.open(url_of(disk / "egide.db")) as store:
        with pytest.raises(StoreUnreadable, match="changed while it was read"):
            read_slowly(store)
        with pytest.raises(EgideError):
            store.revision()
    assert held(disk / "egide.db") == 50
