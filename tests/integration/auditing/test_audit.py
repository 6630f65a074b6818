"""The main job: audit a dataset against a store, through the Python interface."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import egide
from audits import run, tables
from egide.auditing.executors.local import LocalExecutor
from egide.errors import (
    BankMissing,
    OutputBusy,
    OutputMismatch,
    OutputUnwritable,
    RadiusInvalid,
    UsageError,
    WorkerFailed,
)
from egide.store.changing import ChangingStore
from pictures import encoded, pictures, write_tar

if TYPE_CHECKING:
    from collections.abc import Callable


def test_copies_are_found_in_every_kind_of_source(
    store: egide.Store, dataset: list[str], tmp_path: Path
) -> None:
    audit = egide.audit(dataset, store, out=tmp_path / "audit", workers=2)
    findings = list(audit)
    matches, unreadable = tables(tmp_path / "audit")
    found = {(m["item"], m["entry"], m["transform"]) for m in matches}
    assert found == {
        *((f"{n}.jpg", n + 1, "identity") for n in range(4)),
        *((f"{n:04}.webp", n + 1, "flip-horizontal") for n in range(4)),
        *((f"{n}.png", n + 1, "rotate-90") for n in range(4)),
    }
    assert {(row["name"], row["code"]) for row in unreadable} == {
        ("broken.jpg", "image-truncated"),
        ("text.jpg", "not-an-image"),
    }
    assert len(findings) == len(matches) + len(unreadable)
    assert {m["key"] for m in matches if m["item"] == "0000.webp"} == {"0000"}
    assert {m["offset"] for m in matches if m["item"] == "2.png"} == {2}
    summary = audit.summary
    assert summary is not None
    assert (summary.items, summary.hashed, summary.unreadable) == (26, 24, 2)
    assert (summary.matched_items, summary.matches) == (12, 12)
    assert summary.others == {".txt": 1}
    assert [source.items for source in summary.sources] == [10, 8, 8]
    assert json.loads((tmp_path / "audit" / "summary.json").read_text()) == json.loads(
        json.dumps(summary.to_json())
    )


def test_withdrawn_entries_no_longer_match(store: egide.Store, dataset: list[str]) -> None:
    egide.withdraw(store, "helpline", [2])
    found = {f.entry for f in egide.audit(dataset, store) if isinstance(f, egide.MatchRow)}
    assert found == {1, 3, 4}


def test_a_disabled_bank_is_not_searched_also_where_it_is_named(
    store: egide.Store, dataset: list[str]
) -> None:
    ChangingStore.of(store).banks.update("helpline", enabled=False)
    assert run(dataset, store).summary.matches == 0  # type: ignore[union-attr]
    assert run(dataset, store, banks=["helpline"]).summary.matches == 0  # type: ignore[union-attr]


def test_the_same_dataset_gives_the_same_tables_whatever_the_workers(
    store: egide.Store, dataset: list[str], tmp_path: Path
) -> None:
    one = run(dataset, store, out=tmp_path / "one", workers=1).summary
    two = run(dataset, store, out=tmp_path / "two", workers=2).summary
    assert tables(tmp_path / "one") == tables(tmp_path / "two")
    assert one is not None
    assert two is not None
    assert one.dataset_sha256 == two.dataset_sha256


def test_a_hash_list_is_audited_without_pictures(
    store: egide.Store, dataset: list[str], tmp_path: Path
) -> None:
    lines = [
        egide.fingerprint(path).pdq.code.hex()  # type: ignore[union-attr]
        for path in sorted(Path(dataset[0]).glob("?.jpg"))
    ]
    (tmp_path / "list.txt").write_text("\n".join([*lines, "nonsense"]))
    findings = list(egide.audit([tmp_path / "list.txt"], store))
    assert [f.item for f in findings if isinstance(f, egide.MatchRow)] == [
        f"line {n}" for n in range(1, 5)
    ]
    assert [(f.kind, f.name) for f in findings if isinstance(f, egide.GapRow)] == [
        ("row", "line 9")
    ]


def test_an_audit_without_out_leaves_nothing_behind(
    store: egide.Store, dataset: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", None)
    run(dataset, store)
    assert list((tmp_path / "tmp").iterdir()) == []


# --- resuming ------------------------------------------------------------


def many_shards(tmp_path: Path, count: int = 24) -> list[str]:
    images = [encoded(image, quality=80) for image in pictures(8)]
    return [
        str(
            write_tar(
                tmp_path / f"s-{n:03}.tar", {f"{n}-{i}.jpg": im for i, im in enumerate(images)}
            )
        )
        for n in range(count)
    ]


@pytest.mark.slow
def test_killed_with_sigkill_and_run_again_it_ends_the_same(
    store: egide.Store, tmp_path: Path
) -> None:
    sources = many_shards(tmp_path)
    expected = run(sources, store, out=tmp_path / "whole").summary
    options = ["--out", str(tmp_path / "out"), "--store", f"sqlite:///{tmp_path}/egide.db"]
    command = [sys.executable, "-m", "egide.cli.main", "audit", *sources, *options]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    parts = tmp_path / "out" / ".audit" / "parts"
    deadline = time.monotonic() + 60
    while len(list(parts.glob("*.jsonl"))) < 3:
        assert time.monotonic() < deadline, "no part appeared"
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    done = len(list(parts.glob("*.jsonl")))
    assert not (tmp_path / "out" / "summary.json").exists()

    audit = egide.audit(sources, store, out=tmp_path / "out", workers=2)
    list(audit)
    assert audit.summary is not None
    assert expected is not None
    assert audit.summary.resumed
    assert audit.summary.scanned_items <= (len(sources) - done) * 8
    assert tables(tmp_path / "out") == tables(tmp_path / "whole")
    assert audit.summary.dataset_sha256 == expected.dataset_sha256


def test_broken_off_it_goes_on_where_it_stopped(store: egide.Store, tmp_path: Path) -> None:
    sources = many_shards(tmp_path, 6)
    first = iter(egide.audit(sources, store, out=tmp_path / "out"))
    next(first)
    first.close()  # type: ignore[attr-defined]
    audit = run(sources, store, out=tmp_path / "out")
    assert audit.summary is not None
    assert audit.summary.resumed
    assert audit.summary.scanned_items < 48
    assert audit.summary.items == 48


def test_a_changed_store_makes_finished_shards_be_compared_again(
    store: egide.Store, tmp_path: Path
) -> None:
    sources = many_shards(tmp_path, 2)
    assert run(sources, store, out=tmp_path / "out").summary.matches == 8  # type: ignore[union-attr]
    egide.withdraw(store, "helpline", [1])
    summary = run(sources, store, out=tmp_path / "out").summary
    assert summary is not None
    assert (summary.matches, summary.scanned_items, summary.resumed) == (6, 0, True)


def test_a_changed_shard_alone_is_scanned_again(store: egide.Store, tmp_path: Path) -> None:
    sources = many_shards(tmp_path, 3)
    run(sources, store, out=tmp_path / "out")
    write_tar(Path(sources[1]), {"only.jpg": encoded(pictures(8)[0])})
    summary = run(sources, store, out=tmp_path / "out").summary
    assert summary is not None
    assert (summary.scanned_items, summary.items) == (1, 17)


def test_a_damaged_part_is_made_again(store: egide.Store, tmp_path: Path) -> None:
    sources = many_shards(tmp_path, 2)
    run(sources, store, out=tmp_path / "out")
    before = tables(tmp_path / "out")
    part = next((tmp_path / "out" / ".audit" / "parts").iterdir())
    part.write_bytes(part.read_bytes()[:100])
    summary = run(sources, store, out=tmp_path / "out").summary
    assert summary is not None
    assert (summary.scanned_items, summary.items) == (0, 16)
    assert tables(tmp_path / "out") == before


def test_a_folder_with_another_audit_is_not_overwritten(
    store: egide.Store, dataset: list[str], tmp_path: Path
) -> None:
    run(dataset[:1], store, out=tmp_path / "out")
    with pytest.raises(OutputMismatch, match="of other sources"):
        run(dataset[1:], store, out=tmp_path / "out")
    assert run(dataset[1:], store, out=tmp_path / "out", fresh=True).summary is not None


def test_two_audits_do_not_share_a_folder(
    store: egide.Store, dataset: list[str], tmp_path: Path
) -> None:
    first = iter(egide.audit(dataset, store, out=tmp_path / "out"))
    next(first)
    with pytest.raises(OutputBusy):
        run(dataset, store, out=tmp_path / "out")
    first.close()  # type: ignore[attr-defined]


# --- what may go wrong ------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"banks": ["nobody"]}, BankMissing),
        ({"radius_bits": 64}, RadiusInvalid),
        ({"workers": 0}, UsageError),
    ],
)
def test_wrong_arguments_are_errors(
    store: egide.Store, dataset: list[str], options: dict[str, object], error: type[Exception]
) -> None:
    with pytest.raises(error):
        run(dataset, store, **options)


@pytest.fixture
def hostile_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers that crash or hang on items which hold certain words."""
    monkeypatch.setattr(LocalExecutor, "module", "hostile_worker")


@pytest.mark.usefixtures("hostile_worker")
def test_a_crashing_decoder_costs_one_item(store: egide.Store, tmp_path: Path) -> None:
    images = [encoded(image) for image in pictures(8)]
    members = {f"{n}.jpg": im for n, im in enumerate(images)}
    members["3.jpg"] = images[3] + b"CRASH-THE-DECODER"
    members["6.jpg"] = images[6] + b"CRASH-THE-DECODER"
    sources = [str(write_tar(tmp_path / f"{name}.tar", members)) for name in "ab"]
    audit = run(sources, store, out=tmp_path / "out", workers=2)
    matches, unreadable = tables(tmp_path / "out")
    assert {row["code"] for row in unreadable} == {"decoder-crashed"}
    assert sorted(str(row["name"]) for row in unreadable) == ["3.jpg", "3.jpg", "6.jpg", "6.jpg"]
    assert len(matches) == 6
    assert audit.summary is not None
    assert audit.summary.items == 16


@pytest.mark.usefixtures("hostile_worker")
def test_a_hanging_decoder_costs_one_item(store: egide.Store, tmp_path: Path) -> None:
    images = [encoded(image) for image in pictures(8)]
    members = {f"{n}.jpg": im for n, im in enumerate(images)}
    members["2.jpg"] = images[2] + b"HANG-THE-DECODER"
    source = str(write_tar(tmp_path / "a.tar", members))
    limits = egide.Limits(item_timeout_s=2)
    run([source], store, out=tmp_path / "out", limits=limits)
    matches, unreadable = tables(tmp_path / "out")
    assert [(row["name"], row["code"]) for row in unreadable] == [("2.jpg", "decode-timeout")]
    assert len(matches) == 3


@pytest.mark.usefixtures("hostile_worker")
@pytest.mark.slow
def test_a_shard_that_keeps_crashing_is_given_up_and_the_others_are_done(
    store: egide.Store, tmp_path: Path
) -> None:
    images = [encoded(image) for image in pictures(8)]
    bad = {f"{n}.jpg": images[n % 8] + b"CRASH-THE-DECODER" for n in range(10)}
    good = {f"{n}.jpg": im for n, im in enumerate(images)}
    sources = [
        str(write_tar(tmp_path / "bad.tar", bad)),
        str(write_tar(tmp_path / "good.tar", good)),
    ]
    run(sources, store, out=tmp_path / "out")
    matches, unreadable = tables(tmp_path / "out")
    codes = [row["code"] for row in unreadable]
    assert codes == [*["decoder-crashed"] * 5, "source-truncated"]
    assert len(matches) == 4


def test_a_worker_that_cannot_start_is_an_error(
    store: egide.Store, dataset: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LocalExecutor, "module", "egide.no_such_module")
    with pytest.raises(WorkerFailed, match="status 1"):
        run(dataset, store)


def test_a_broken_source_costs_no_other(
    store: egide.Store, dataset: list[str], tmp_path: Path
) -> None:
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 no")
    whole = Path(dataset[1]).read_bytes()
    (tmp_path / "cut.tar").write_bytes(whole[: len(whole) * 2 // 3])
    sources = [str(tmp_path / "broken.parquet"), str(tmp_path / "cut.tar"), dataset[2]]
    audit = run(sources, store, out=tmp_path / "out")
    matches, unreadable = tables(tmp_path / "out")
    assert {row["code"] for row in unreadable} == {"source-unreadable", "source-truncated"}
    assert {m["item"] for m in matches} >= {"0.png", "1.png", "2.png", "3.png", "0000.webp"}
    assert audit.summary is not None
    assert audit.summary.items == audit.summary.hashed + audit.summary.unreadable
    assert [(gap.kind, gap.code) for gap in audit.summary.gaps] == [
        ("source", "source-unreadable"),
        ("archive", "source-truncated"),
    ]


def test_a_full_disk_is_an_error_and_what_is_done_stays(
    store: egide.Store, dataset: list[str], small_disk: Path
) -> None:
    out = small_disk / "out"
    out.mkdir()
    filler = small_disk / "filler"
    fill(filler, leave_bytes=16 * 1024)
    with pytest.raises(OutputUnwritable, match=r"(?i)no space left.*run the same command again"):
        run(dataset, store, out=out)
    filler.unlink()
    assert run(dataset, store, out=out).summary.matches == 12  # type: ignore[union-attr]


def fill(path: Path, leave_bytes: int) -> None:
    state = os.statvfs(path.parent)
    path.write_bytes(bytes(max(state.f_bavail * state.f_frsize - leave_bytes, 0)))


def test_progress_is_told(store: egide.Store, dataset: list[str]) -> None:
    seen: list[egide.Progress] = []
    remember: Callable[[egide.Progress], None] = seen.append
    run(dataset, store, on_progress=remember)
    assert {"preparing", "listing", "scanning", "merging"} == {progress.phase for progress in seen}
    assert seen[-1].shards_done == seen[-1].shards_total == 3
    assert seen[-1].items == 26
    assert seen[-1].bytes_done == seen[-1].bytes_total
