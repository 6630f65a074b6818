"""A set of containers of every kind that a purge rewrites, with copies of registered pictures."""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

import egide
from audits import run
from egide.auditing.executors.base import Executor, Setup
from pictures import encoded, pictures


def photos() -> list[bytes]:
    """Eight pictures: entries 1 to 4 are the first four."""
    return [encoded(image, quality=80) for image in pictures(8)]


def samples(numbers: list[int]) -> dict[str, bytes]:
    """Samples of a webdataset: a picture, its caption and its metadata each."""
    shown, found = photos(), {}
    for number in numbers:
        found[f"{number:04}.jpg"] = shown[number]
        found[f"{number:04}.txt"] = f"caption {number}".encode()
        found[f"{number:04}.json"] = json.dumps({"number": number}).encode()
    return found


def tar_of(members: Mapping[str, bytes], form: int = tarfile.GNU_FORMAT) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=form) as archive:
        for number, (name, content) in enumerate(members.items()):
            info = tarfile.TarInfo(name)
            info.size, info.mtime, info.mode = len(content), 1_700_000_000 + number, 0o640
            info.uname = "someone"
            archive.addfile(info, io.BytesIO(content))
    return stream.getvalue()


def table_of(numbers: list[int]) -> pa.Table:
    """A table as Hugging Face's datasets writes it."""
    shown = photos()
    rows = [{"bytes": shown[number], "path": f"{number}.jpg"} for number in numbers]
    features = {"info": {"features": {"image": {"_type": "Image"}}}}
    return pa.table(
        {
            "image": rows,
            "label": pa.array(numbers, pa.int32()),
            "score": [float("nan") if number == 5 else number / 3 for number in numbers],
        }
    ).replace_schema_metadata({b"huggingface": json.dumps(features).encode()})


def make_set(folder: Path) -> Path:
    """Make a set; of each container the copies of entries 1 to 4 have the numbers 0 to 3."""
    folder.mkdir()
    shown = photos()
    plain = folder / "photos"
    plain.mkdir()
    for number in (0, 3, 4, 5):
        (plain / f"{number}.jpg").write_bytes(shown[number])
        (plain / f"{number}.txt").write_text(f"caption {number}")
        os.utime(plain / f"{number}.jpg", ns=(1_600_000_000_000_000_000,) * 2)
    (plain / "0.jpg.json").write_text("{}")
    (plain / "metadata.jsonl").write_text(
        "".join(f'{{"file_name": "{number}.jpg", "n": {number}}}\n' for number in (0, 3, 4, 5))
    )
    (folder / "shard.tar").write_bytes(tar_of(samples([4, 1, 5])))
    with tarfile.open(folder / "shard.tar.gz", "w:gz") as archive:
        for name, content in samples([2, 6]).items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    with zipfile.ZipFile(folder / "shard.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in samples([6, 0, 7]).items():
            archive.writestr(name, content)
        archive.comment = b"a comment"
    pq.write_table(table_of([0, 4, 1, 5, 6]), folder / "train.parquet", row_group_size=2)
    with pa.ipc.new_stream(folder / "data.arrow", table_of([4]).schema) as writer:
        for numbers in ([4, 2], [1], [5, 6]):
            writer.write_table(table_of(numbers))
    with zipfile.ZipFile(folder / "inner.zip", "w") as archive:
        archive.writestr("inner.tar", tar_of(samples([1])))
        archive.writestr("7.jpg", shown[7])
    return folder


def audited(sources: list[str | Path], store: egide.Store, out: Path) -> Path:
    """Audit, and return the audit's folder."""
    run([str(source) for source in sources], store, out=out)
    return out


def digests(folder: Path) -> dict[str, tuple[str, int, int]]:
    """The content, mode and time of each file below a folder."""
    return {
        str(path.relative_to(folder)): (
            hashlib.sha256(path.read_bytes()).hexdigest(),
            path.stat().st_mode,
            path.stat().st_mtime_ns,
        )
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def contents(folder: Path) -> dict[str, str]:
    """The content of each file below a folder."""
    return {name: values[0] for name, values in digests(folder).items()}


def written(audit: Path) -> dict[str, Any]:
    """What `purge.json` says, without its times."""
    said: dict[str, Any] = json.loads((audit / "purge.json").read_text())
    return {name: value for name, value in said.items() if not name.endswith("_at")}


def without_times(folder: Path) -> dict[str, tuple[str, int]]:
    """The content and mode of each file: what was written anew has a time of its own."""
    return {name: values[:2] for name, values in digests(folder).items()}


def compare_purges(store: egide.Store, folder: Path, executor: Callable[[Setup], Executor]) -> None:
    """Purge a set in this process and by workers, and compare what comes of it."""
    made, clean = make_set(folder / "set"), folder / "clean"
    before = digests(made)
    audit = audited([made], store, folder / "audit")
    how: dict[str, Any] = {"workers": 2, "executor": executor}

    egide.purge(audit, store, to=folder / "one").run()
    alone, one = without_times(folder / "one"), written(audit)
    egide.purge(audit, store, to=clean, **how).run()
    assert (without_times(clean), written(audit)) == (alone, one)

    egide.purge(audit, store, in_place=True).run()
    here, said = without_times(made), written(audit)
    kept = digests(audit / "quarantine")
    assert not egide.undo_purge(audit).left
    egide.purge(audit, store, in_place=True, **how).run()
    assert (without_times(made), written(audit)) == (here, said)
    assert digests(audit / "quarantine") == kept
    assert not egide.undo_purge(audit).left
    assert digests(made) == before
    assert not list(folder.rglob("*.part"))
