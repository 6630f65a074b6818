"""Archives and tables that expand without end: each is stopped, soon, and says so."""

from __future__ import annotations

import gzip
import io
import struct
import tarfile
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from egide.auditing.sources import Item, Other, open_source, read_shard
from egide.domain.model import DEFAULT_LIMITS
from egide.errors import SourceExpands
from pictures import encoded, pictures, write_tar

if TYPE_CHECKING:
    from collections.abc import Callable

PNG = encoded(pictures(8)[0].resize((64, 64)), "PNG")
MIB = 1024 * 1024
LIMITS = replace(
    DEFAULT_LIMITS, max_file_bytes=8 * MIB, max_expansion=4, expansion_floor_bytes=16 * MIB
)


def zeros_in(mode: str) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        path = folder / f"t.tar.{mode}" if mode else folder / "t.tar"
        return write_tar(path, {"a.png": PNG, "b.bin": bytes(20 * MIB)}, f"w:{mode}")

    return write


def many_members(folder: Path) -> Path:
    members = {f"{n}.png": PNG + bytes(MIB) for n in range(20)}
    return write_tar(folder / "t.tar.gz", members, "w:gz")


def zeros_after_the_end(folder: Path) -> Path:
    write_tar(folder / "plain.tar", {"a.png": PNG})
    path = folder / "t.tgz"
    path.write_bytes(gzip.compress((folder / "plain.tar").read_bytes() + bytes(20 * MIB)))
    (folder / "plain.tar").unlink()
    return path


def sparse_members(folder: Path) -> Path:
    path = folder / "t.tar"
    with path.open("wb") as stream:
        for n in range(16):
            info = tarfile.TarInfo(f"{n}.png")
            info.type, info.size = tarfile.GNUTYPE_SPARSE, 0
            header = bytearray(info.tobuf(tarfile.GNU_FORMAT))
            header[386 : 386 + 24] = b"%011o\0%011o\0" % (7 * MIB, 0)  # one run, of nothing
            header[483 : 483 + 12] = b"%011o\0" % (7 * MIB)
            header[148:156] = b"        "
            header[148:156] = b"%06o\0 " % sum(header)
            stream.write(header)
        stream.write(bytes(1024))
    return path


def members_of_nothing(folder: Path) -> Path:
    header = tarfile.TarInfo("x.txt").tobuf(tarfile.GNU_FORMAT)
    path = folder / "t.tar.gz"
    path.write_bytes(gzip.compress(header * 20_000 + bytes(1024)))
    return path


def members_of_bzip2(folder: Path) -> Path:
    path = folder / "t.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_BZIP2) as archive:
        for n in range(3):
            archive.writestr(f"{n}.png", PNG + bytes(7 * MIB))
    return path


def overlapping_members(folder: Path) -> Path:
    """Many entries of the directory lead to the same bytes."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.png", PNG + bytes(MIB))
    data = stream.getvalue()
    start, end = data.index(b"PK\x01\x02"), data.index(b"PK\x05\x06")
    entry, count = data[start:end], 2000
    directory = entry * count
    ending = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, count, count, len(directory), start, 0)
    path = folder / "t.zip"
    path.write_bytes(data[:start] + directory + ending)
    return path


def parquet(folder: Path, table: pa.Table, **options: object) -> Path:
    path = folder / "t.parquet"
    pq.write_table(table, path, **options)
    return path


def repeated_value(folder: Path) -> Path:
    value = pa.array([PNG + bytes(50_000)], pa.binary())
    indices = pa.array(np.zeros(100_000, np.int32))
    return parquet(folder, pa.table({"image": pa.DictionaryArray.from_arrays(indices, value)}))


def repeated_in_many_groups(folder: Path) -> Path:
    value = PNG + bytes(50_000)
    table = pa.table({"image": pa.array([value] * 1100, pa.binary())})
    path = folder / "t.parquet"
    with pq.ParquetWriter(path, table.schema) as writer:
        for _ in range(8):
            writer.write_table(table)
    return path


def rows_of_nothing(folder: Path) -> Path:
    column = pa.nulls(2_000_000, pa.struct({"bytes": pa.binary()}))
    return parquet(folder, pa.table({"image": column}), row_group_size=2_000_000)


def lists_of_nothing(folder: Path) -> Path:
    values = pa.nulls(2_000_000, pa.binary())
    column = pa.ListArray.from_arrays(pa.array([0, 2_000_000], pa.int32()), values)
    return parquet(folder, pa.table({"image": column}))


def many_huge_columns(folder: Path) -> Path:
    column = pa.array([b"no picture" + bytes(4 * MIB)] * 2, pa.binary())
    table = pa.table({f"c{n}": column for n in range(8)})
    return parquet(folder, table, compression="zstd", use_dictionary=False)


@pytest.mark.parametrize(
    "bomb",
    [
        *(zeros_in(mode) for mode in ("gz", "bz2", "xz")),
        *(many_members, zeros_after_the_end, sparse_members, members_of_nothing),
        *(members_of_bzip2, overlapping_members),
        *(repeated_value, repeated_in_many_groups, rows_of_nothing, lists_of_nothing),
        many_huge_columns,
    ],
)
def test_what_expands_without_end_is_stopped(bomb: Callable[[Path], Path], tmp_path: Path) -> None:
    path = bomb(tmp_path)
    assert path.stat().st_size < 2 * MIB
    found: list[Item | Other] = []
    stopped: list[str] = []
    for shard in open_source(str(path)).shards():
        try:
            found.extend(read_shard(shard, LIMITS))
        except SourceExpands as error:
            stopped.append(error.code)
    contents = [item.content for item in found if isinstance(item, Item)]
    came_out = sum(len(content) for content in contents if isinstance(content, bytes))
    assert set(stopped) == {"source-expands"}
    assert came_out <= LIMITS.expansion_floor_bytes + LIMITS.max_expansion * path.stat().st_size
    assert len(found) <= LIMITS.expansion_floor_bytes // 1024 + 2000


@pytest.mark.parametrize("kind", ["tar.gz", "zip", "parquet"])
def test_what_stood_before_stands(kind: str, tmp_path: Path) -> None:
    path = {"tar.gz": many_members, "zip": overlapping_members, "parquet": repeated_value}[kind](
        tmp_path
    )
    (shard, *_) = open_source(str(path)).shards()
    found = []
    with pytest.raises(SourceExpands, match=r"after \d+ items.*EGIDE_MAX_EXPANSION"):
        found.extend(read_shard(shard, LIMITS))
    assert len(found) > 3
