"""Fingerprints in a file: made of any source, audited like it, compared with another state."""

from __future__ import annotations

import json
import stat
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from test_kept_fingerprints import run

import egide
from audits import tables
from commands import egide_in
from egide.auditing import keeping
from egide.auditing.comparing import compare
from egide.auditing.sources import open_source, read_shard
from egide.auditing.sources.kept_checks import require_row
from egide.auditing.sources.kept_source import HEAD, KEPT_SCHEMA
from egide.domain.model import DEFAULT_LIMITS
from egide.errors import OutputUnwritable, SourceTruncated, SourceUnreadable
from pictures import encoded, pictures, write_tar


def found_in(out: Path) -> set[tuple[Any, ...]]:
    rows, _ = tables(out)
    return {tuple(row[name] for name in ("entry", "signal", "distance", "sha256")) for row in rows}


def test_a_file_of_fingerprints_is_audited_like_what_it_was_made_of(
    store: egide.Store, dataset: list[str], tmp_path: Path
) -> None:
    command = partial(egide_in, tmp_path, EGIDE_STORE=store.url)
    wrong = command("hash", *dataset, "--out", "set.csv")
    assert (wrong.code, ".parquet" in wrong.err) == (2, True)
    (tmp_path / "private").symlink_to(tmp_path / "nowhere")
    done = command("hash", "--fast", *dataset, "--out", "set.parquet", "--json")
    kept = tmp_path / "set.parquet"
    assert (done.code, oct(stat.S_IMODE(kept.stat().st_mode))) == (1, "0o600")
    assert not list(tmp_path.glob(".set*"))
    straight = run(dataset, store, out=tmp_path / "straight")
    by_file = run([str(kept)], store, out=tmp_path / "by file")
    told = json.loads(done.out)
    for summary in (straight, by_file):
        assert (summary.items, summary.hashed) == (told["items"], told["hashed"])
    assert [source.kind for source in by_file.sources] == ["fingerprints"]
    assert (by_file.matches, by_file.others) == (straight.matches, straight.others)
    assert found_in(tmp_path / "by file") == found_in(tmp_path / "straight")
    gaps = [[(gap.kind, gap.code, gap.count) for gap in each.gaps] for each in (straight, by_file)]
    assert gaps[0] == gaps[1]


def test_a_hash_that_was_broken_off_goes_on_and_one_of_other_sources_begins_anew(
    dataset: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "set.parquet"
    with monkeypatch.context() as patch:

        def full(*_: object) -> None:
            raise OSError(28, "No space left on device")

        patch.setattr(keeping, "_write", full)
        with pytest.raises(OutputUnwritable, match="No space left"):
            keeping.keep_fingerprints(dataset, out)
    assert not out.exists()
    again = keeping.keep_fingerprints(dataset, out)
    assert (again.scanned_items, again.items > 0, out.exists()) == (0, True, True)
    other = keeping.keep_fingerprints(dataset[1:2], out)
    assert (other.items, pq.read_table(out).num_rows) == (8, 8)


def test_what_is_new_gone_and_changed_is_named_and_what_now_matches(
    store: egide.Store, tmp_path: Path
) -> None:
    source, seen = tmp_path / "set.tar", [encoded(picture) for picture in pictures(8)]
    poor = {"cut.jpg": seen[1][: len(seen[1]) // 2], "bad.jpg": b"\xff"}
    write_tar(source, {"a.jpg": seen[0], "b.jpg": seen[4], "c.jpg": seen[5], **poor})
    run([str(source)], store, out=tmp_path / "old")
    moved = {"moved.jpg": seen[0], "b.jpg": seen[6], "d.jpg": seen[7], **poor}
    write_tar(source, moved)
    list(egide.register(store, "helpline", _file(tmp_path / "r.jpg", seen[7])))
    run([str(source)], store, out=tmp_path / "new")
    command = partial(egide_in, tmp_path, EGIDE_STORE=store.url)
    done = command("compare", "old", "new", "--json")
    told = json.loads(done.out)
    assert (done.code, told["same"], told["old_gaps"], told["new_gaps"]) == (1, 2, 2, 2)
    names = {kind: told[kind]["names"] for kind in ("new", "gone", "changed", "now_match")}
    of = str(source)
    assert names == {
        "new": [f"{of}/d.jpg"],
        "gone": [f"{of}/c.jpg"],
        "changed": [f"{of}/b.jpg"],
        "now_match": [f"{of}/d.jpg"],
    }
    assert command("compare", "new", "new").code == 0
    keeping.keep_fingerprints([source], tmp_path / "new.parquet")
    mixed = compare(tmp_path / "old", tmp_path / "new.parquet")
    assert (mixed.new.count, mixed.gone.count, mixed.now_match) == (1, 1, None)
    assert mixed.new_gaps == mixed.old_gaps
    shown = command("compare", "old", "new", "--limit", "0")
    assert ("new: 1, 1 of them not shown" in shown.out, "Not looked at" in shown.out) == (
        True,
        True,
    )


def _file(path: Path, content: bytes) -> list[Path]:
    path.write_bytes(content)
    return [path]


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of fingerprints of four pictures."""
    folder = tmp_path_factory.mktemp("kept")
    members = {f"{n}.jpg": encoded(picture) for n, picture in enumerate(pictures(4))}
    source = write_tar(folder / "set.tar", members)
    keeping.keep_fingerprints([source], folder / "set.parquet")
    return folder / "set.parquet"


def _cut(content: bytes) -> bytes:
    return content[: len(content) // 2]


def _torn(content: bytes) -> bytes:
    return content[:4] + b"\xff" * (len(content) // 3) + content[4 + len(content) // 3 :]


def _flipped(content: bytes) -> bytes:
    at = content.index(
        egide.fingerprint(encoded(pictures(1)[0]), mode=egide.Mode.FAST).frames[0].code
    )
    return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]


@pytest.mark.parametrize("damage", [_cut, _torn, _flipped])
def test_a_damaged_file_is_a_gap_and_the_others_are_audited(
    store: egide.Store, kept: Path, tmp_path: Path, damage: Any
) -> None:
    bad = tmp_path / "bad.parquet"
    bad.write_bytes(damage(kept.read_bytes()))
    summary = run([str(kept), str(bad)], store)
    assert (summary.items, len(summary.gaps)) == (4, 1)
    with pytest.raises(SourceUnreadable, match=r"damaged|no file of kept"):
        compare(kept, bad)


def _altered(kept: Path, name: str, values: Any) -> pa.Table:
    table = pq.read_table(kept)
    at = table.schema.get_field_index(name)
    return table.set_column(
        at, table.schema.field(at), pa.array(values, table.schema.field(at).type)
    )


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("codes", [b"short"] * 4),
        ("frames", [[{"quality": 9, "codes": 3}]] * 4),
        ("frames", [None] * 4),
        ("anchored", [b"x" * 33] * 4),
        ("gap_kind", ["none such"] * 4),
        ("is_item", [False] * 4),
        # Impossible figures: each made an audit say that more was compared, or less was missing.
        ("share_read", [float("nan")] * 4),
        ("frames_skipped", [-1] * 4),
        ("width", [None] * 4),
        ("size", [-(10**15)] * 4),
        ("gap_code", ["decode-failed"] * 4),
    ],
)
def test_rows_that_somebody_else_wrote_are_refused(
    kept: Path, tmp_path: Path, name: str, values: Any
) -> None:
    wrong = tmp_path / "wrong.parquet"
    pq.write_table(_altered(kept, name, values), wrong)
    (shard,) = open_source(str(wrong)).shards()
    with pytest.raises(SourceTruncated, match="its rows are damaged"):
        list(read_shard(shard, DEFAULT_LIMITS))


def test_another_versions_file_and_one_of_other_columns_say_so(kept: Path, tmp_path: Path) -> None:
    later = tmp_path / "later.parquet"
    head = {HEAD: json.dumps({"schema_version": KEPT_SCHEMA + 1}).encode()}
    pq.write_table(pq.read_table(kept).replace_schema_metadata(head), later)
    other = tmp_path / "other.parquet"
    pq.write_table(pq.read_table(kept, columns=["item"]), other)
    for path, reason in ((later, "another version"), (other, "its columns are not")):
        with pytest.raises(SourceUnreadable, match=reason):
            list(open_source(str(path)).shards())


def test_rows_of_a_table_have_a_value_each_and_no_place_below_zero() -> None:
    signal = {"signal": "sha256", "rows": bytes(8), "values": bytes(64)}
    table = {"paths": "sha256", "prefix": "", "aside": False, "beside": [], "signals": [signal]}
    row = {"number": 0, "size": None, "gap_kind": None, "gap_code": None, "offset": 0}
    require_row(row | {"table": table})
    for wrong in (
        [signal | {"values": b""}], [signal | {"values": bytes(96)}], [signal, signal],
        [signal | {"rows": b"\xff" * 8}], [signal | {"signal": "pdq-anchored"}],
    ):  # fmt: skip
        with pytest.raises(ValueError, match="cannot be"):
            require_row(row | {"table": table | {"signals": wrong}})


@pytest.mark.parametrize(
    "said",
    [
        {"others": {".txt": -1}},
        {"others": {".txt": 10**30}},
        {"others": ["many"]},
        {"columns": [{"taken": 5}]},
        "[" * 50_000,
    ],
)
def test_a_file_that_says_of_itself_what_cannot_be_is_refused(
    kept: Path, tmp_path: Path, said: Any
) -> None:
    head = said if isinstance(said, str) else json.dumps({"schema_version": KEPT_SCHEMA} | said)
    table = pq.read_table(kept).replace_schema_metadata({HEAD: head.encode()})
    pq.write_table(table, tmp_path / "wrong.parquet")
    with pytest.raises(SourceUnreadable, match="no file of kept fingerprints"):
        list(open_source(str(tmp_path / "wrong.parquet")).shards())
