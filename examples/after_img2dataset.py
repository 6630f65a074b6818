"""Leave out of what img2dataset wrote what matches a bank: webdataset shards, or Parquet files.

    python examples/after_img2dataset.py FOLDER [--list] [--again] [--store sqlite:///egide.db]

It takes each shard that img2dataset has finished, and that it has not done yet. So run it again and
again while img2dataset works, and once more at its end. A shard is replaced only once the new one
is complete. `--list` changes nothing and prints the keys of what would be left out: keep such a
list as private as the pictures. `--again` looks at all shards again, once the bank has grown.
"""

from __future__ import annotations

import argparse
import io
import tarfile
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

import egide

_DONE = "_guarded.txt"
_PICTURES = ("jpg", "png", "webp")
"""The suffix of a picture, and the name of its column, as `--encode_format` says."""
_ROWS = 256
Guarding = Callable[[Iterable[Any]], Iterable[Any]]
"""What passes of samples that have their key and their picture first."""


def main(arguments: list[str] | None = None) -> None:
    """Go through the finished shards of a folder, and say both halves."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--again", action="store_true")
    parser.add_argument("--store", default="sqlite:///egide.db")
    given = parser.parse_args(arguments)
    total = egide.GuardSummary()
    for shard in finished(given.folder):
        done = shard.with_name(shard.stem + _DONE)
        if given.list or given.again or not done.exists():
            summary = guarded(shard, given.store, listing=given.list)
            total += summary
            if not given.list:
                done.write_text(f"{summary.sentence}\n")
    print(total.sentence)


def finished(folder: Path) -> Iterator[Path]:
    """The shards that are complete: img2dataset writes their statistics last."""
    for statistics in sorted(folder.glob("*_stats.json")):
        shard = statistics.with_name(statistics.name.removesuffix("_stats.json"))
        tar = shard.with_suffix(".tar")
        yield tar if tar.exists() else shard.with_suffix(".parquet")


def guarded(shard: Path, store: str, *, listing: bool) -> egide.GuardSummary:
    """Rewrite one shard, or list what would be left out; return what came of its samples."""
    summaries: list[egide.GuardSummary] = []
    guarding = partial(egide.guard, store=store, get=itemgetter(1), on_end=summaries.append)
    new = shard.with_name(f"{shard.name}.part")
    rewrite = rewrite_tar if shard.suffix == ".tar" else rewrite_parquet
    left_out = rewrite(shard, new, guarding)
    if listing:
        new.unlink()
        print("".join(f"{key}\n" for key in left_out), end="")
    else:
        beside = shard.with_suffix(".parquet")
        if beside != shard and beside.exists():
            drop_rows(beside, left_out)
        new.replace(shard)
    return sum(summaries, egide.GuardSummary())


def rewrite_tar(path: Path, new: Path, guarding: Guarding) -> list[str]:
    """Copy the samples that pass, with all their members; return the keys of the others."""
    seen: list[str] = []

    def samples(archive: tarfile.TarFile) -> Iterator[tuple[str, Any, list[Any]]]:
        for key, members in groupby(archive, lambda member: member.name.partition(".")[0]):
            files = [(member, _content(archive, member)) for member in members]
            pictures = {member.name.partition(".")[2]: content for member, content in files}
            seen.append(key)
            yield key, pictures, files

    passed = set()
    with tarfile.open(path) as archive, tarfile.open(new, "w") as out:
        for key, _, files in guarding(samples(archive)):
            passed.add(key)
            for member, content in files:
                out.addfile(member, io.BytesIO(content))
    return [key for key in seen if key not in passed]


def rewrite_parquet(path: Path, new: Path, guarding: Guarding) -> list[str]:
    """Copy the rows that pass, and those for which no picture was fetched; return other keys."""
    left_out: list[str] = []
    with pq.ParquetFile(path) as table, pq.ParquetWriter(new, table.schema_arrow) as out:
        column = next(name for name in _PICTURES if name in table.schema_arrow.names)
        for batch in table.iter_batches(_ROWS):
            rows = [*zip(range(len(batch)), batch.column(column).to_pylist(), strict=True)]
            passing = {number for number, _ in guarding(row for row in rows if row[1] is not None)}
            mask = [number in passing or content is None for number, content in rows]
            keys = batch.column("key").to_pylist()
            left_out += [key for key, passes in zip(keys, mask, strict=True) if not passes]
            out.write_batch(batch.filter(pa.array(mask, pa.bool_())))
    return left_out


def drop_rows(path: Path, keys: list[str]) -> None:
    """Take rows out of the table that stands beside a tar."""
    table = pq.read_table(path)
    gone = set(keys)
    mask = [key not in gone for key in table.column("key").to_pylist()]
    new = path.with_name(f"{path.name}.part")
    pq.write_table(table.filter(pa.array(mask, pa.bool_())), new)
    new.replace(path)


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    stream = archive.extractfile(member)
    return b"" if stream is None else stream.read()


if __name__ == "__main__":
    main()
