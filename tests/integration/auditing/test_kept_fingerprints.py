"""What an audit keeps of each item, and that nothing is decoded twice."""

from __future__ import annotations

import hashlib
import json
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

import egide
from audits import tables
from commands import egide_in
from egide.auditing.kept_files import KeptFiles, KeptWriter
from egide.auditing.results import Results
from egide.auditing.sources import Columns, Item, Other, Rows
from egide.auditing.sources.kept_rows import KeptRow, from_table, to_table
from egide.domain.coverage import Gap, GapKind
from egide.domain.model import (
    AnchoredQuery,
    Fingerprint,
    Pdq,
    Rectangle,
    Region,
    Signal,
)
from egide.errors import OutputMismatch, OutputUnreadable
from pictures import encoded, pictures, write_tar


def run(sources: list[str], store: egide.Store, **options: Any) -> egide.AuditSummary:
    audit = egide.audit(sources, store, **options)
    for _ in audit:
        pass
    assert audit.summary is not None
    return audit.summary


def told(summary: egide.AuditSummary) -> dict[str, Any]:
    """What a summary says of the dataset, and not of the run."""
    of_the_run = {"seconds", "started_at", "finished_at", "throughput", "scanned_items"}
    of_the_run |= {"scan_seconds", "items_per_s", "resumed", "kernel", "workers"}
    return {name: value for name, value in summary.to_json().items() if name not in of_the_run}


_pdq = st.builds(
    lambda codes, quality, all_eight: Pdq(codes[:32], quality, codes if all_eight else b""),
    st.binary(min_size=256, max_size=256),
    st.none() | st.integers(0, 100),
    st.booleans(),
)
_place = st.integers(0, 9000)
_side = st.integers(1, 9)
_regions = st.lists(
    st.builds(
        Region,
        st.integers(0, 3),
        st.builds(Rectangle, _place, _place, _side, _side),
        _pdq,
        st.booleans(),
    ),
    max_size=2,
).map(tuple)
_prints = st.builds(
    Fingerprint,
    st.lists(_pdq, max_size=2).map(tuple),
    sha256=st.none() | st.binary(min_size=32, max_size=32),
    md5=st.none() | st.binary(min_size=16, max_size=16),
    sha1=st.none() | st.binary(min_size=20, max_size=20),
    width=_place,
    height=_place,
    frames_skipped=_place,
    share_read=st.floats(0, 1),
    regions=_regions,
    anchored=st.none()
    | st.integers(1, 9).map(lambda count: AnchoredQuery(b"\1" * 32 * count, bytes(range(count)))),
    url_sha256=st.lists(st.binary(min_size=32, max_size=32), max_size=2).map(tuple),
    url_md5=st.lists(st.binary(min_size=16, max_size=16), max_size=2).map(tuple),
)
_names = st.text(st.characters(exclude_categories=["Cs"]), max_size=9)
_codes = st.from_regex(r"[a-z-]{1,9}", fullmatch=True)
_gaps = st.builds(Gap, st.sampled_from(GapKind), _names, _codes, _names, st.integers(1, 9))
_items = st.builds(
    Item, _names, st.just(b""), st.none() | _names, st.none() | _place, st.none() | _place
)


@st.composite
def _tables(draw: st.DrawFn) -> Rows:
    values = {
        signal: draw(st.lists(st.binary(min_size=size, max_size=size), max_size=3))
        for signal, size in ((Signal.SHA256, 32), (Signal.URL_MD5, 16))
        if draw(st.booleans())
    }
    return Rows(
        draw(_names),
        draw(_place),
        {signal: [draw(_place) for _ in each] for signal, each in values.items()},
        values,
        draw(_names),
        draw(_names),
        frozenset(draw(st.lists(_place, max_size=3))),
        draw(st.booleans()),
    )


@st.composite
def _rows(draw: st.DrawFn) -> KeptRow:
    number = draw(_place)
    kind = draw(st.sampled_from(["item", "gap", "table"]))
    if kind == "table":
        return KeptRow(number, draw(_tables()))
    if kind == "gap":
        return KeptRow(number, draw(_gaps))
    item, size = draw(_items), draw(st.none() | _place)
    if draw(st.booleans()):
        gap = draw(_gaps)
        named = Gap(gap.kind, item.name, gap.code, gap.message, gap.count)
        return KeptRow(number, item, named, size)
    return KeptRow(number, item, draw(_prints), size)


@given(st.lists(_rows(), max_size=4))
def test_a_row_comes_back_as_it_was_kept(rows: list[KeptRow]) -> None:
    assert list(from_table(to_table(rows, "", {}))) == rows


def test_files_that_are_no_pictures_and_columns_are_counted_with_the_rows(tmp_path: Path) -> None:
    gap = Gap(GapKind.ITEM, "a", "code", "why")
    columns = Columns({"a": 2}, ("b",), ("c",))
    rows = [
        KeptRow(0, Other(".txt")),
        KeptRow(1, gap),
        KeptRow(2, Other(".txt")),
        KeptRow(3, columns),
    ]
    writer = KeptWriter(KeptFiles.find(tmp_path, "one"), "one.tar")
    for _ in writer.keeping(rows):
        pass
    writer.flush()
    writer.flush()  # nothing is left
    kept = KeptFiles.find(tmp_path, "one")
    assert (kept.position, kept.complete, len(kept.heads)) == (4, True, 1)
    found = list(kept.rows())
    assert sum(row.count for row in found if row.thing == Other(".txt")) == 2
    assert columns in [row.thing for row in found]
    assert [row.number for row in found if row.gap] == [1]
    assert list(kept.rows(4)) == []


@pytest.fixture
def hashes(tmp_path: Path) -> list[str]:
    """A list and a table of hashes, which have neither pixels nor the same way through."""
    known = encoded(pictures(8)[0])
    rows = [{"sha256": hashlib.sha256(known).hexdigest(), "url": "https://a.example/1.jpg"}]
    rows += [{"sha256": "ab" * 32, "url": f"https://a.example/{at}.jpg"} for at in range(9)]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "hashes.parquet")
    (tmp_path / "list.txt").write_text("\n".join(row["sha256"] for row in rows))
    return [str(tmp_path / name) for name in ("hashes.parquet", "list.txt")]


def test_a_grown_register_is_compared_with_what_is_kept(
    store: egide.Store,
    dataset: list[str],
    hashes: list[str],
    tmp_path: Path,
) -> None:
    out, sources = tmp_path / "out", [*dataset, *hashes]
    first = run(sources, store, out=out)
    egide.create_bank(store, "later")
    list(egide.register(store, "later", [Path(dataset[0]) / "7.jpg"]))
    fresh = run(sources, store, out=tmp_path / "fresh")
    again = run(sources, store, out=out)
    assert told(again) == told(fresh)
    assert tables(out) == tables(tmp_path / "fresh")
    assert (again.scanned_items, again.resumed) == (0, True)
    assert 0 < first.matches < again.matches


def test_results_tell_each_item_and_what_was_found(
    store: egide.Store, dataset: list[str], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    summary = run(dataset, store, out=out)
    results = Results.open(out)
    assert (results.sources, results.summary["items"]) == (dataset, summary.items)
    items = {each.id: list(results.items(each.id)) for each in results.shards()}
    every = [item for each in items.values() for item in each]
    assert sum(item.gap is None for item in every) == summary.hashed
    # Whose bytes were there is known by them, whether or not they gave a fingerprint.
    unread = [item.gap for item in every if item.sha256 is None]
    assert all(
        gap is not None and gap.code not in {"decode-failed", "not-an-image"} for gap in unread
    )
    assert len(unread) < len([item for item in every if item.gap is not None])
    assert len(list(results.matches())) == summary.matches
    assert sum(gap.count for gap in results.gaps()) == sum(gap.count for gap in summary.gaps)
    # Without parts that were cut, the digest of the dataset is over that of each shard.
    whole = hashlib.sha256()
    for shard in results.shards():
        told_of = (item.name.encode() + b"\0" + item.proof + b"\n" for item in items[shard.id])
        whole.update(hashlib.sha256(b"".join(told_of)).digest())
    assert whole.hexdigest() == summary.dataset_sha256
    for row in results.matches():
        (shard,) = (each for each in results.shards() if each.shard.name == row.shard)
        assert row.sha256 in {
            item.sha256.hex() for item in items[shard.id] if item.sha256 and item.name == row.item
        }


def test_results_of_no_finished_audit_of_this_version_are_refused(
    store: egide.Store, dataset: list[str], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    with pytest.raises(OutputMismatch, match="none that has ended"):
        Results.open(out)
    run(dataset, store, out=out)
    next((out / "fingerprints").iterdir()).write_bytes(b"no table")
    results = Results.open(out)
    with pytest.raises(OutputUnreadable, match="missing or damaged"):
        [list(results.items(shard.id)) for shard in results.shards()]
    values = json.loads((out / "summary.json").read_text())
    (out / "summary.json").write_text(json.dumps(values | {"egide_version": "0"}))
    with pytest.raises(OutputMismatch, match="another version"):
        Results.open(out)
    (out / "summary.json").write_text(json.dumps(values))
    next((out / ".audit" / "parts").iterdir()).unlink()
    with pytest.raises(OutputMismatch, match="not ended"):
        Results.open(out)


def test_a_damaged_file_of_fingerprints_is_made_again(store: egide.Store, tmp_path: Path) -> None:
    members = {f"{n}.jpg": encoded(picture) for n, picture in enumerate(pictures(4))}
    source = str(write_tar(tmp_path / "one.tar", members))
    first = run([source], store, out=tmp_path / "out")
    (kept,) = (tmp_path / "out" / "fingerprints").iterdir()
    whole = kept.read_bytes()
    middle = len(whole) // 3  # its head stands at the end, and says that all is well
    kept.write_bytes(whole[:4] + b"\xff" * middle + whole[4 + middle :])
    for part in (tmp_path / "out" / ".audit" / "parts").iterdir():
        part.unlink()
    assert told(run([source], store, out=tmp_path / "out")) == told(first)


def test_again_reads_what_is_new_and_takes_the_rest_as_it_is(
    store: egide.Store, dataset: list[str], tmp_path: Path
) -> None:
    """Pictures come, change and go, the bank grows, and options are those of before."""
    out = str(tmp_path / "out")
    command = partial(egide_in, tmp_path, EGIDE_STORE=store.url)
    done = command("audit", *dataset, "--out", out, "--bank", "helpline", "--exact")
    assert done.code == 1
    for option in (["--out", "x"], ["--radius", "9"], ["--thorough"], ["x.tar"]):
        refused = command("audit", "--again", out, *option)
        assert (refused.code, "leave it out" in refused.err) == (2, True)
    list(egide.register(store, "helpline", [Path(dataset[0]) / "6.jpg"]))
    write_tar(Path(dataset[1]), {"new.jpg": encoded(pictures(8)[6])})
    (Path(dataset[0]) / "7.jpg").unlink()
    done = command("audit", "--again", out, "--json")
    summary = json.loads(done.out)
    full = run(dataset, store, out=tmp_path / "full", banks=["helpline"], mode=egide.Mode.EXACT)
    known = json.loads(json.dumps(told(full)))
    assert {name: summary[name] for name in known} == known
    assert tables(tmp_path / "out") == tables(tmp_path / "full")
    parquet = summary["sources"][2]["items"]
    assert (summary["items"] - summary["scanned_items"], summary["resumed"]) == (parquet, True)
    again = command("audit", "--again", out, EGIDE_MAX_PIXELS="100000")
    assert "changed: EGIDE_MAX_PIXELS" in again.err
    assert command("audit", "--again", str(tmp_path / "none")).code == 3


def test_what_may_have_been_the_machines_fault_is_tried_again(
    store: egide.Store, dataset: list[str], tmp_path: Path
) -> None:
    (Path(dataset[0]) / "gone.jpg").symlink_to(tmp_path / "later.jpg")
    before = run(dataset, store, out=tmp_path / "out")
    (tmp_path / "later.jpg").write_bytes(encoded(pictures(8)[0]))
    assert any(
        KeptFiles.find(tmp_path / "out" / "fingerprints", path.name.partition(".")[0]).transient
        for path in (tmp_path / "out" / "fingerprints").iterdir()
    )
    egide.create_bank(store, "later")
    after = run(dataset, store, out=tmp_path / "out")
    assert (after.unreadable, after.scanned_items > 0) == (before.unreadable - 1, True)
