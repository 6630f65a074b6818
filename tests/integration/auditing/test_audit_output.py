"""What an audit keeps and says: private files, parts of shards, one speed, nothing compared."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest

import egide
from commands import Result, egide_in
from egide.auditing import scan
from egide.auditing.executors.local import LocalExecutor
from egide.auditing.parts import read_kept
from egide.store.changing import ChangingStore
from pictures import encoded, pictures, write_tar


def run(sources: list[str], store: egide.Store, **options: object) -> egide.AuditSummary:
    audit = egide.audit(sources, store, **options)  # type: ignore[arg-type]
    for _ in audit:
        pass
    assert audit.summary is not None
    return audit.summary


def command(folder: Path, *arguments: str) -> Result:
    return egide_in(folder, *arguments, EGIDE_STORE=f"sqlite:///{folder}/egide.db")


def modes(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): oct(stat.S_IMODE(path.stat().st_mode))
        for path in [folder, *folder.rglob("*")]
    }


@pytest.mark.parametrize("umask", [0o000, 0o277])
def test_all_output_is_its_owners_alone_whatever_the_umask(
    store: egide.Store, dataset: list[str], tmp_path: Path, umask: int
) -> None:
    out = tmp_path / "deep" / "out"
    out.parent.mkdir()
    before = os.umask(umask)
    try:
        run(dataset, store, out=out)
        egide.write_report(out)
    finally:
        os.umask(before)
    found = modes(out)
    tables = {"matches.parquet", "vetoed.parquet", "not_compared.parquet"}
    assert tables | {"summary.json", "report.html"} <= set(found)
    assert {".audit/plan.jsonl", ".audit/manifest.json", ".audit/lock"} <= set(found)
    assert len([name for name in found if name.startswith(".audit/parts/")]) == 3
    assert len([name for name in found if name.startswith("fingerprints/")]) == 3
    for name, mode in found.items():
        assert mode == ("0o700" if (out / name).is_dir() else "0o600"), name


def test_output_of_before_is_made_private_and_a_folder_of_others_keeps_its_mode(
    store: egide.Store, dataset: list[str], tmp_path: Path
) -> None:
    run(dataset, store, out=tmp_path / "out")
    egide.write_report(tmp_path / "out")
    for path in [tmp_path / "out", *(tmp_path / "out").rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)
    run(dataset, store, out=tmp_path / "out")
    egide.write_report(tmp_path / "out", lang="fr")
    found = modes(tmp_path / "out")
    assert found.pop(".") == "0o755"
    assert found[".audit"] == "0o700"  # so that the parts in it are out of reach
    assert {mode for name, mode in found.items() if "/" not in name} == {"0o600", "0o700"}


# --- parts of a shard ------------------------------------------------------------


def test_a_shard_that_was_broken_off_goes_on_in_its_midst(
    store: egide.Store, tmp_path: Path
) -> None:
    picture = encoded(pictures(8)[0].reduce(4), quality=60)
    members = {f"{n:04}.jpg": picture for n in range(scan.PART_ITEMS + 40)}
    members["notes.txt"] = b"words"
    source = str(write_tar(tmp_path / "one.tar", members))
    whole = run([source], store, out=tmp_path / "whole")
    assert (whole.scanned_items, whole.items) == (scan.PART_ITEMS + 40, scan.PART_ITEMS + 40)
    first, last = sorted((tmp_path / "whole" / ".audit" / "parts").iterdir())
    last.unlink()  # its fingerprints are kept
    (tmp_path / "whole" / "summary.json").unlink()
    again = run([source], store, out=tmp_path / "whole")
    assert (again.scanned_items, again.items, again.resumed) == (0, whole.items, True)
    assert (again.dataset_sha256, again.matches, again.others) == (
        whole.dataset_sha256,
        whole.matches,
        whole.others,
    )
    kept = read_kept(first.parent, first.name.partition(".")[0])
    assert ([part["items"] for part in kept.parts], kept.complete) == ([scan.PART_ITEMS, 40], True)


@pytest.mark.parametrize(
    ("out", "said"),
    [
        (None, "nothing was kept; with --out"),
        ("new", "nothing was finished that can be kept"),
        ("begun", "{} items are kept; run the same command again"),
    ],
)
def test_an_interrupted_audit_says_what_is_kept(
    store: egide.Store,
    dataset: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    out: str | None,
    said: str,
) -> None:
    if out == "begun":
        items = run(dataset, store, out=tmp_path / out).items
        lost = next((tmp_path / out / ".audit" / "parts").iterdir())
        items -= read_kept(lost.parent, lost.name.partition(".")[0]).total("items")
        said = said.format(items)
        lost.unlink()

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(LocalExecutor, "run", interrupted)
    options = [] if out is None else ["--out", out]
    done = egide_in(tmp_path, "audit", *dataset, *options, "--store", store.url)
    assert done.code == 130
    assert said in done.err


# --- one speed ------------------------------------------------------------


def test_terminal_summary_page_and_chart_tell_one_speed_also_after_a_resume(
    store: egide.Store, dataset: list[str], tmp_path: Path
) -> None:
    run(dataset, store, out=tmp_path / "out")
    next((tmp_path / "out" / "fingerprints").iterdir()).unlink()
    done = command(tmp_path, "audit", *dataset, "--out", "out")
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["resumed"]
    assert 0 < summary["scanned_items"] < summary["items"]
    assert summary["items_per_s"] == round(summary["scanned_items"] / summary["scan_seconds"], 3)
    assert summary["throughput"][0] == [0.0, 0]
    assert summary["throughput"][-1] == [summary["scan_seconds"], summary["scanned_items"]]
    assert summary["scan_seconds"] <= summary["seconds"]
    assert f"{summary['items_per_s']:,.0f}" in done.out.split()


# --- nothing compared ------------------------------------------------------------


@pytest.mark.parametrize("bank_state", ["disabled", "empty", "none enabled"])
def test_an_audit_against_nothing_is_no_absence_of_matches(
    store: egide.Store, dataset: list[str], tmp_path: Path, bank_state: str
) -> None:
    changing = ChangingStore.of(store)
    options = ["--bank", "helpline"]
    if bank_state == "disabled":
        changing.banks.update("helpline", enabled=False)
    elif bank_state == "none enabled":
        changing.banks.update("helpline", enabled=False)
        options = []
    else:
        egide.withdraw(store, "helpline", [1, 2, 3, 4])
    expected = "bank-disabled" if "abled" in bank_state else "bank-empty"
    done = command(tmp_path, "audit", *dataset, *options, "--out", "out", "--lang", "fr")
    assert done.code == 3, done.out
    assert "[nothing-to-compare]" in done.err
    assert "No match" not in done.out
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert (summary["not_compared"], summary["matches"]) == (expected, 0)
    french = (tmp_path / "out" / "report.html").read_text("utf-8")
    english = egide.write_report(tmp_path / "out").read_text("utf-8")
    for page, said, not_said in (
        (french, "rien", "Aucune correspondance avec"),
        (english, "not", "No match to"),
    ):
        assert said in page
        assert not_said not in page
        assert ("lus, mais comparés à rien" in page) or ("compared with nothing" in page)


def test_a_disabled_bank_beside_another_is_named_and_exits_with_3(
    store: egide.Store, dataset: list[str], tmp_path: Path
) -> None:
    changing = ChangingStore.of(store)
    changing.banks.create("second")
    list(egide.register(changing, "second", [Path(dataset[0]) / "7.jpg"]))
    changing.banks.update("helpline", enabled=False)
    options = ["--bank", "helpline", "--bank", "second", "--out", "out"]
    found = command(tmp_path, "audit", *dataset, *options)
    assert (found.code, "Not searched: the bank helpline" in found.err) == (1, True)
    egide.withdraw(store, "second", [5])
    registered = tmp_path / "other.png"
    registered.write_bytes(encoded(pictures(9)[8], "PNG"))
    list(egide.register(changing, "second", [registered]))
    missed = command(tmp_path, "audit", *dataset, *options)
    assert missed.code == 3
    page = (tmp_path / "out" / "report.html").read_text("utf-8")
    assert "bank helpline is disabled and was not searched" in page
