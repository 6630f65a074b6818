"""From an audit to a clean set: copies, in place and back, and what stays with its reason."""

from __future__ import annotations

import json
import tarfile
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import egide
from audits import run
from commands import egide_in
from egide.errors import (
    PurgeDone,
    PurgeInvalid,
    PurgeNothingToUndo,
    PurgeOtherStore,
    SourcesOverlap,
    TargetNotEmpty,
    TargetWithin,
)
from purging import audited, contents, digests, make_set, photos, samples, tar_of


@pytest.fixture
def confirmed(store: egide.Store) -> egide.Store:
    """Entries 1 to 3 are confirmed; the fourth is not."""
    egide.confirm(store, "helpline", [1, 2, 3])
    return store


def test_clean_copy_lacks_what_matched_and_nothing_else(
    confirmed: egide.Store, tmp_path: Path
) -> None:
    made = make_set(tmp_path / "set")
    before = digests(made)
    audit = audited([made], confirmed, tmp_path / "audit")
    purging = egide.purge(audit, confirmed, to=tmp_path / "clean")
    dry = purging.look()
    assert dry.dry
    assert not (tmp_path / "clean").exists()
    report = purging.run()
    assert digests(made) == before
    assert [one.items_removed for one in dry.outcomes] == [
        one.items_removed for one in report.outcomes
    ]
    assert dry.with_them == report.with_them
    assert report.left == {"unverified": 1, "nested": 1}
    assert report.removed_items == 8

    clean = tmp_path / "clean"
    after = digests(clean)
    assert sorted(before.keys() - after.keys()) == [
        "photos/0.jpg",
        "photos/0.jpg.json",
        "photos/0.txt",
    ]
    rewritten = {name for name in after if after[name] != before[name]}
    assert rewritten == {
        *("photos/metadata.jsonl", "shard.tar", "shard.tar.gz", "shard.zip"),
        *("train.parquet", "data.arrow"),
    }
    whole = (made / "shard.tar").read_bytes()
    cut = whole.find(b"0001.jpg"), whole.find(b"0005.jpg")
    assert (clean / "shard.tar").read_bytes() == whole[: cut[0]] + whole[cut[1] :]
    with tarfile.open(clean / "shard.tar.gz") as archive:
        assert archive.getnames() == ["0006.jpg", "0006.txt", "0006.json"]
    with zipfile.ZipFile(clean / "shard.zip") as archive:
        assert archive.testzip() is None
        assert archive.namelist() == [*samples([6]), *samples([7])]
        assert archive.comment == b"a comment"
    table = pq.ParquetFile(clean / "train.parquet")
    assert table.read().column("label").to_pylist() == [4, 5, 6]
    assert [table.metadata.row_group(at).num_rows for at in range(table.num_row_groups)] == [
        1,
        1,
        1,
    ]
    assert b"huggingface" in table.schema_arrow.metadata
    with pa.ipc.open_stream(clean / "data.arrow") as reader:
        assert [batch.column("label").to_pylist() for batch in reader] == [[4], [5, 6]]

    again = run([str(clean)], confirmed, out=tmp_path / "after").summary
    assert again is not None
    assert (again.matches, again.matched_items) == (2, 2)  # those that were left

    written = json.loads((audit / "purge.json").read_text())
    assert written["removed_items"] == 8
    assert written["verified"] is True
    assert "0001" not in json.dumps(written)
    assert (audit / "purge.json").stat().st_mode & 0o777 == 0o600
    by_name = {one["name"].rpartition("/")[2]: one for one in written["containers"]}
    assert by_name["shard.tar"]["sha256_before"] == before["shard.tar"][0]
    assert by_name["shard.tar"]["sha256_after"] == after["shard.tar"][0]
    # The same call again changes nothing.
    assert egide.purge(audit, confirmed, to=clean).run().removed_items == 8
    assert digests(clean) == after


def test_purge_in_place_is_undone_byte_for_byte(confirmed: egide.Store, tmp_path: Path) -> None:
    made = make_set(tmp_path / "set")
    before = digests(made)
    audit = audited([made], confirmed, tmp_path / "audit")
    report = egide.purge(audit, confirmed, in_place=True, include_review=True).run()
    assert report.left == {"nested": 1}
    assert not (made / "photos" / "3.jpg").exists()
    assert not list(made.rglob("*.part"))
    quarantine = audit / "quarantine"
    assert quarantine.stat().st_mode & 0o777 == 0o700
    kept = [path for path in quarantine.rglob("*") if path.is_file()]
    assert kept
    assert {path.stat().st_mode & 0o777 for path in kept} == {0o600}
    with pytest.raises(PurgeDone):
        egide.purge(audit, confirmed, to=tmp_path / "clean").look()
    after = digests(made)
    assert egide.purge(audit, confirmed, in_place=True, include_review=True).run().left == {
        "nested": 1
    }
    assert digests(made) == after

    changed = [made / "shard.zip", made / "photos" / "metadata.jsonl"]
    content = [path.read_bytes() for path in changed]
    for path in changed:
        path.write_bytes(path.read_bytes() + b"{}\n")
    undone = egide.undo_purge(audit)
    assert undone.left == {"changed": 2}
    for path, known in zip(changed, content, strict=True):
        assert path.read_bytes() == known + b"{}\n"
        path.write_bytes(known)
    assert not egide.undo_purge(audit).left
    assert digests(made) == before
    assert not quarantine.exists()
    assert not (audit / "purge.json").exists()
    with pytest.raises(PurgeNothingToUndo):
        egide.undo_purge(audit)


def test_purge_goes_on_with_what_the_register_and_the_set_are_now(
    confirmed: egide.Store, tmp_path: Path
) -> None:
    folder = tmp_path / "set"
    folder.mkdir()
    for number in (0, 3, 4):
        (folder / f"{number}.jpg").write_bytes(photos()[number])
    (folder / "shard.tar").write_bytes(tar_of(samples([0, 3, 4])))
    audit = audited([folder], confirmed, tmp_path / "audit")
    clean = tmp_path / "clean"
    assert egide.purge(audit, confirmed, to=clean).run().left == {"unverified": 2}
    egide.confirm(confirmed, "helpline", [4])
    report = egide.purge(audit, confirmed, to=clean).run()
    assert (report.removed_items, report.left) == (4, {})
    assert sorted(contents(clean)) == ["4.jpg", "shard.tar"]
    with tarfile.open(clean / "shard.tar") as archive:
        assert archive.getnames() == [*samples([4])]

    # In place what was changed is not changed again: a new audit has to look at it first.
    egide.dispute(confirmed, "helpline", [4])
    egide.purge(audit, confirmed, in_place=True).run()
    egide.confirm(confirmed, "helpline", [4])
    later = egide.purge(audit, confirmed, in_place=True).run()
    assert later.left["changed"] == 2
    assert later.left_out


def test_interrupted_purge_leaves_a_file_that_took_the_place_of_another(
    confirmed: egide.Store, tmp_path: Path
) -> None:
    folder = tmp_path / "set"
    folder.mkdir()
    for number in (0, 1, 4):
        (folder / f"{number}.jpg").write_bytes(photos()[number])
    audit = audited([folder], confirmed, tmp_path / "audit")
    egide.purge(audit, confirmed, in_place=True).run()
    # As if killed at the end: 0.jpg is in the quarantine, 1.jpg was not moved yet.
    (record,) = (audit / ".purge" / "done").iterdir()
    record.rename(audit / ".purge" / "doing" / record.name)
    moved = {Path(one["path"]).name: one for one in json.loads(_of(audit, record.name))["moved"]}
    Path(moved["1.jpg"]["kept"]).unlink()
    for name in moved:
        (folder / name).write_bytes(b"a new file")
    report = egide.purge(audit, confirmed, in_place=True).run()
    assert report.left == {"changed": 2}
    assert {(folder / name).read_bytes() for name in moved} == {b"a new file"}


def _of(audit: Path, name: str) -> str:
    return (audit / ".purge" / "doing" / name).read_text()


def test_entry_that_counts_no_more_deletes_nothing(confirmed: egide.Store, tmp_path: Path) -> None:
    egide.confirm(confirmed, "helpline", [4])
    folder = tmp_path / "set"
    folder.mkdir()
    for number, content in enumerate(photos()):
        (folder / f"{number}.jpg").write_bytes(content)
    audit = audited([folder], confirmed, tmp_path / "audit")
    egide.tombstone(confirmed, "helpline", [1])
    egide.withdraw(confirmed, "helpline", [2])
    egide.dispute(confirmed, "helpline", [3])
    report = egide.purge(audit, confirmed, to=tmp_path / "clean").run()
    assert report.left == {"tombstoned": 1, "withdrawn": 1, "disputed": 1}
    assert report.left_out == 1
    assert sorted(contents(folder).keys() - contents(tmp_path / "clean").keys()) == ["3.jpg"]

    with (
        egide.open_store(f"sqlite:///{tmp_path}/other.db", create=True) as other,
        pytest.raises(PurgeOtherStore),
    ):
        egide.purge(audit, other, to=tmp_path / "x").look()
    word = egide.purge(audit, None, to=tmp_path / "by-its-word").look()
    assert word.removed_items == 4


def test_changed_cut_and_missing_containers_are_refused_and_cost_no_other(
    confirmed: egide.Store, tmp_path: Path
) -> None:
    made = tmp_path / "set"
    made.mkdir()
    for name in ("cut", "grown", "gone", "other", "whole", "touched"):
        (made / f"{name}.tar").write_bytes(tar_of(samples([4, 0, 5])))
    audit = audited([made], confirmed, tmp_path / "audit")
    content = (made / "cut.tar").read_bytes()
    (made / "cut.tar").write_bytes(content[: len(content) // 2])
    (made / "grown.tar").write_bytes(tar_of(samples([4, 0, 5, 6])))
    (made / "gone.tar").unlink()
    (made / "other.tar").write_bytes(tar_of(samples([4, 0, 6])))
    (made / "touched.tar").touch()
    (made / "new.jpg").write_bytes(photos()[6])
    for options in ({"to": tmp_path / "clean"}, {"in_place": True}):
        report = egide.purge(audit, confirmed, **options).run()  # type: ignore[arg-type]
        assert report.left["not-audited"] == 1
        assert report.left["missing"] == 1
        assert report.left["changed"] + report.left["unsupported"] == 3
        assert report.removed_items == 2
        said = {one.name.rpartition("/")[2] for one in report.outcomes if one.said}
        assert said == {"cut.tar", "grown.tar", "gone.tar", "other.tar"}
    assert sorted(contents(tmp_path / "clean")) == ["touched.tar", "whole.tar"]
    assert (made / "other.tar").read_bytes() == tar_of(samples([4, 0, 6]))


def test_places_that_cannot_be(confirmed: egide.Store, tmp_path: Path) -> None:
    folder = tmp_path / "set"
    folder.mkdir()
    (folder / "0.jpg").write_bytes(photos()[0])
    audit = audited([folder], confirmed, tmp_path / "audit")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    (tmp_path / "link").symlink_to(folder)
    with pytest.raises(TargetNotEmpty):
        egide.purge(audit, confirmed, to=tmp_path / "full").run()
    (tmp_path / "seen").symlink_to(audit)
    for place in (
        *(folder, folder / "clean", tmp_path, tmp_path / "link" / "clean"),
        *(audit, audit / "clean", tmp_path / "seen" / "clean"),
        *(f"file://{folder}/clean", f"file://{audit}/clean", f"local://{tmp_path}"),
    ):
        with pytest.raises(TargetWithin):
            egide.purge(audit, confirmed, to=place)
    for place in (folder / "quarantine", audit, audit / ".purge" / "done"):
        with pytest.raises(TargetWithin):
            egide.purge(audit, confirmed, in_place=True, quarantine=place)
    with pytest.raises(PurgeInvalid):
        egide.purge(audit, confirmed, to="x", in_place=True)
    both = audited([folder, folder / "0.jpg"], confirmed, tmp_path / "both")
    with pytest.raises(SourcesOverlap):
        egide.purge(both, confirmed, to=tmp_path / "clean").look()


def test_command_shows_first_and_acts_when_told(confirmed: egide.Store, tmp_path: Path) -> None:
    make_set(tmp_path / "set")
    audited([tmp_path / "set"], confirmed, tmp_path / "audit")
    before = digests(tmp_path / "set")
    store = ("--store", f"sqlite:///{tmp_path}/egide.db")
    shown = egide_in(tmp_path, "purge", "audit", "--in-place", *store)
    assert shown.code == 1, shown.err
    assert "Would go: 8 items, from 6 of 7 containers." in shown.out, shown.out
    assert "Nothing was done: add --yes to do it." in shown.out
    assert digests(tmp_path / "set") == before
    done = egide_in(tmp_path, "purge", "audit", "--in-place", "--yes", "--json", *store)
    assert done.code == 1, done.err
    assert done.json()["removed_items"] == 8
    undone = egide_in(tmp_path, "purge", "audit", "--undo")
    assert (undone.code, undone.out) == (0, "Put back: 9 files, byte for byte.\n")
    assert digests(tmp_path / "set") == before
    neither = egide_in(tmp_path, "purge", "audit", *store)
    assert neither.code == 2
    elsewhere = egide_in(tmp_path, "purge", "audit", "--to", "x", "--store", "sqlite:///none.db")
    assert "[purge-other-store]" in elsewhere.err
