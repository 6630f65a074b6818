"""Purges on a full disk, of links, and of files that hold one picture packed."""

from __future__ import annotations

import gzip
import io
import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

import egide
from egide.errors import PurgeBusy, PurgeUnfinished, TargetUnwritable
from purging import audited, contents, digests, photos, samples, tar_of


def test_full_disk_stops_a_purge_and_the_same_call_goes_on(
    store: egide.Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    egide.confirm(store, "helpline", [1, 2])
    made = tmp_path / "set"
    made.mkdir()
    for name in ("a", "b"):
        (made / f"{name}.tar").write_bytes(tar_of(samples([4, 1])))
    audit = audited([made], store, tmp_path / "audit")
    before = digests(made)
    copy, calls = os.copy_file_range, []

    def full(*arguments: object) -> int:
        calls.append(1)
        if len(calls) > 2:
            raise OSError(28, "No space left on device")
        return copy(*arguments)  # type: ignore[arg-type]

    for options in ({"to": tmp_path / "clean"}, {"in_place": True}):
        calls.clear()
        with monkeypatch.context() as patch:
            patch.setattr(os, "copy_file_range", full)
            with pytest.raises(TargetUnwritable, match="no space left"):
                egide.purge(audit, store, **options).run()  # type: ignore[arg-type]
        assert not list(tmp_path.rglob("*.part"))
        if "to" in options:
            assert digests(made) == before
            with pytest.raises(PurgeUnfinished, match="--to"):
                egide.purge(audit, store, in_place=True).run()
        assert egide.purge(audit, store, **options).run().removed_items == 2  # type: ignore[arg-type]
    assert contents(tmp_path / "clean") == contents(made)
    with egide.purge(audit, store, in_place=True)._journal.opened(), pytest.raises(PurgeBusy):
        egide.undo_purge(audit)


def test_no_room_for_what_is_unpacked_is_said_as_such(store: egide.Store, tmp_path: Path) -> None:
    egide.confirm(store, "helpline", [1, 2])
    made = tmp_path / "set"
    made.mkdir()
    (made / "a.tar.gz").write_bytes(gzip.compress(tar_of(samples([4, 1]))))
    audit = audited([made], store, tmp_path / "audit")
    program = (
        "import resource, sys, egide\n"
        "purging = egide.purge(sys.argv[1], None, to=sys.argv[2])\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))\n"
        "purging.run()\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program, audit, tmp_path / "clean"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert f"TargetUnwritable: Cannot write to {audit}/.purge/spool" in ended.stderr
    assert egide.purge(audit, store, to=tmp_path / "clean").run().removed_items == 1


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_items_of_one_name_are_told_apart_and_counted(store: egide.Store, tmp_path: Path) -> None:
    egide.confirm(store, "helpline", [1, 2])
    made, shown = tmp_path / "set", photos()
    made.mkdir()
    with (
        tarfile.open(made / "a.tar", "w") as tar,
        zipfile.ZipFile(made / "a.zip", "w") as archive,
    ):
        for name, content in (
            *(("a.jpg", shown[4]), ("b.txt", b""), ("a.jpg", shown[0])),
            *(("c.txt", b""), ("a.jpg", shown[0])),
        ):
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
            archive.writestr(name, content)
    audit = audited([made], store, tmp_path / "audit")
    report = egide.purge(audit, store, to=tmp_path / "clean").run()
    assert [(one.items_removed, +one.with_them) for one in report.outcomes] == [(2, {})] * 2
    with (
        tarfile.open(tmp_path / "clean" / "a.tar") as tar,
        zipfile.ZipFile(tmp_path / "clean" / "a.zip") as archive,
    ):
        assert tar.getnames() == archive.namelist() == ["a.jpg", "b.txt", "c.txt"]
        assert archive.read("a.jpg") == shown[4]


def test_other_names_of_what_goes_keep_their_mode(store: egide.Store, tmp_path: Path) -> None:
    egide.confirm(store, "helpline", [1, 2])
    made, away = tmp_path / "set", tmp_path / "away"
    made.mkdir()
    away.mkdir()
    (made / "0.jpg").write_bytes(photos()[0])
    (made / "metadata.jsonl").write_text('{"file_name": "0.jpg"}\n{"file_name": "4.jpg"}\n')
    (made / "a.tar").write_bytes(tar_of(samples([4, 1])))
    for path in list(made.iterdir()):
        (away / path.name).hardlink_to(path)
    before, others = digests(made), digests(away)
    audit = audited([made], store, tmp_path / "audit")
    assert egide.purge(audit, store, in_place=True).run().removed_items == 2
    assert digests(away) == others
    kept = digests(audit / "quarantine")
    assert {mode & 0o777 for _, mode, _ in kept.values()} == {0o600}
    assert {content for content, _, _ in kept.values()} == {one for one, _, _ in before.values()}
    assert not egide.undo_purge(audit).left
    assert (digests(made), digests(away)) == (before, others)


def test_links_and_packed_pictures(store: egide.Store, tmp_path: Path) -> None:
    egide.confirm(store, "helpline", [1, 2, 3])
    made, away = tmp_path / "set", tmp_path / "away"
    made.mkdir()
    away.mkdir()
    shown = photos()
    (made / "0.jpg").write_bytes(shown[0])
    (made / "to-0.jpg").symlink_to("0.jpg")
    (made / "4.jpg").write_bytes(shown[4])
    (made / "to-4.jpg").symlink_to("4.jpg")
    (away / "1.jpg").write_bytes(shown[1])
    (made / "to-1.jpg").symlink_to(away / "1.jpg")
    (away / "5.jpg").write_bytes(shown[5])
    (made / "to-5.jpg").symlink_to(away / "5.jpg")
    (away / "a.tar").write_bytes(tar_of(samples([4, 2])))
    (made / "a.tar").symlink_to(away / "a.tar")
    (made / "2.jpg.gz").write_bytes(gzip.compress(shown[2]))
    (made / "folder").symlink_to(away)
    audit = audited([made], store, tmp_path / "audit")

    report = egide.purge(audit, store, to=tmp_path / "clean").run()
    assert report.removed_items == 5
    assert report.left == {"not-listed": 1}
    clean = tmp_path / "clean"
    assert sorted(path.name for path in clean.iterdir()) == [
        *("4.jpg", "a.tar", "to-4.jpg", "to-5.jpg"),
    ]
    assert (clean / "to-4.jpg").readlink() == Path("4.jpg")
    assert not (clean / "to-5.jpg").is_symlink()
    assert not (clean / "a.tar").is_symlink()

    before = contents(made)
    report = egide.purge(audit, store, in_place=True).run()
    assert report.left == {"link": 1, "left": 1, "not-compared": 1}, [
        o.to_json() for o in report.outcomes
    ]
    assert report.removed_items == 3
    assert sorted(path.name for path in made.iterdir()) == [
        *("4.jpg", "a.tar", "folder", "to-1.jpg", "to-4.jpg", "to-5.jpg"),
    ]
    assert contents(away)["a.tar"] == before["a.tar"]
    assert not egide.undo_purge(audit).left
    assert contents(made) == before
    assert (made / "to-0.jpg").readlink() == Path("0.jpg")
