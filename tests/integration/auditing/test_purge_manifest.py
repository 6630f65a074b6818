"""The list of what to drop from a set without images: it does not tell which rows matched."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import egide
from commands import egide_in
from egide.errors import ManifestExists, ManifestMismatch
from purging import audited

ROWS = 1500
MATCHED = (7, 300, 1100)


@pytest.fixture
def links(tmp_path: Path, store: egide.Store) -> Path:
    """Three tables of links; some stand in a bank, and are confirmed."""
    listed = "url\n" + "".join(f"https://example.org/{number}.jpg\n" for number in MATCHED)
    (tmp_path / "list.csv").write_text(listed)
    egide.create_bank(store, "links")
    with (tmp_path / "list.csv").open("rb") as stream:
        egide.import_hashes(store, "links", stream, name="list.csv")
    egide.confirm(store, "links", [entry.id for entry in store.entries.list("links")])
    urls = [f"https://example.org/{number}.jpg" for number in range(ROWS)]
    pq.write_table(pa.table({"url": urls, "text": ["words"] * ROWS}), tmp_path / "links.parquet")
    (tmp_path / "links.csv").write_text("url,text\n" + "".join(f"{url},w\n" for url in urls[:8]))
    lines = (json.dumps({"a": {"url": url}}) + "\n" for url in urls[:8])
    (tmp_path / "links.jsonl").write_text("".join(lines))
    return tmp_path


def read(path: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    head, *rows = map(json.loads, path.read_text().splitlines())
    return head, rows


def test_padded_list_does_not_point_at_what_matched(links: Path, store: egide.Store) -> None:
    names = ["links.parquet", "links.csv", "links.jsonl"]
    audit = audited([links / name for name in names], store, links / "audit")
    path = links / "drop.jsonl"
    report = egide.purge(audit, store).manifest(path)
    assert (report.mode, report.removed_items, report.neutral) == ("manifest", 5, 1000)
    head, rows = read(path)
    assert (head["rows"], head["padded"], len(rows)) == (1005, True, 1005)
    assert head["neutral_for_each"] == 10
    assert path.stat().st_mode & 0o777 == 0o600
    big = {row["row"]: row["value"] for row in rows if row["source"].endswith("links.parquet")}
    assert set(MATCHED) <= big.keys()
    assert all(url == f"https://example.org/{number}.jpg" for number, url in big.items())
    found = {row["value"] for row in rows if row["source"].endswith((".csv", ".jsonl"))}
    assert f"https://example.org/{MATCHED[0]}.jpg" in found
    # The order tells nothing, and a second list is the same.
    assert list(big) != sorted(big)
    assert any(row["row"] not in MATCHED for row in rows[:5])
    second = links / "second.jsonl"
    egide.purge(audit, store).manifest(second)
    assert path.read_bytes() == second.read_bytes()

    plain = links / "plain.jsonl"
    egide.purge(audit, store).manifest(plain, plain=True)
    head, rows = read(plain)
    assert (head["padded"], sorted(row["value"] for row in rows)) == (
        False,
        sorted(f"https://example.org/{number}.jpg" for number in (7, 7, 7, 300, 1100)),
    )


def test_manifest_replaces_no_file_and_is_of_the_set_as_audited(
    links: Path, store: egide.Store
) -> None:
    audit = audited([links / "links.csv"], store, links / "audit")
    path = links / "drop.jsonl"
    path.symlink_to("nowhere")
    for place in (path, links / "list.csv", audit / "summary.json"):
        with pytest.raises(ManifestExists):
            egide.purge(audit, store).manifest(place)
    (links / "links.csv").write_text("url,text\nhttps://example.org/7.jpg,w\n")
    with pytest.raises(ManifestMismatch):
        egide.purge(audit, store).manifest(links / "new.jsonl")
    assert not (links / "new.jsonl").exists()


def test_hash_list_and_command(links: Path, store: egide.Store) -> None:
    entry = next(iter(store.entries.list("helpline")))
    assert entry.sha256 is not None
    egide.confirm(store, "helpline", [entry.id])
    hashes = [entry.sha256.hex(), *(f"{number:064x}" for number in range(1, 6))]
    (links / "hashes.csv").write_text("sha256\n" + "".join(f"{one}\n" for one in hashes))
    audit = audited([links / "hashes.csv"], store, links / "audit")
    arguments = ("purge", audit, "--store", f"sqlite:///{links}/egide.db")
    done = egide_in(links, *arguments, "--manifest", "drop.jsonl")
    assert done.code == 0, done.err
    assert "To drop: 1 item, from 1 of 1 container." in done.out
    assert "Neutral rows among them, drawn at random from the same set: 5." in done.out
    assert {row["value"] for row in read(links / "drop.jsonl")[1]} == set(hashes)
    plain = egide_in(links, *arguments, "--manifest", "plain.jsonl", "--plain")
    assert "points at the images" in plain.err
    refused = egide_in(links, *arguments, "--to", "clean", "--yes")
    assert refused.code == 1
    assert "[container-unsupported]" in refused.err
