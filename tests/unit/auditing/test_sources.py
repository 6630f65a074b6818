"""Every source of items: what it yields, and what bad input costs."""

from __future__ import annotations

import os
import sys
import tarfile
import zipfile
from hashlib import sha256
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from egide.auditing.sources import Item, Other, Read, open_source, read_shard
from egide.domain.coverage import Gap, GapKind
from egide.domain.model import DEFAULT_LIMITS, Fingerprint, Limits, Pdq
from egide.errors import (
    ColumnMissing,
    ItemError,
    ProtocolUnsupported,
    SourceTruncated,
    SourceUnreadable,
    SourceUnsupported,
)
from egide.testing import ArchiveContract, SourceContract
from egide.testing.sources import BROKEN
from pictures import encoded, pictures, write_tar

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

PNG = encoded(pictures(1)[0].resize((32, 32)), "PNG")
JPEG = encoded(pictures(1)[0].resize((32, 32)))


def read(address: Path | str, limits: Limits = DEFAULT_LIMITS) -> list[Read]:
    source = open_source(str(address))
    return [item for shard in source.shards() for item in read_shard(shard, limits)]


def items(address: Path | str, limits: Limits = DEFAULT_LIMITS) -> dict[str, object]:
    """Return what each item holds: bytes, a fingerprint, or the code of its error or gap."""
    found: dict[str, object] = {}
    for item in read(address, limits):
        if isinstance(item, Gap):
            found[item.name] = item.code
        elif isinstance(item, Item):
            error = isinstance(item.content, ItemError)
            found[item.name] = item.content.code if error else item.content  # type: ignore[union-attr]
    return found


def gaps(address: Path | str) -> list[tuple[GapKind, str, str, int]]:
    found = [gap for gap in read(address) if isinstance(gap, Gap)]
    return [(gap.kind, gap.name, gap.code, gap.count) for gap in found]


def others(address: Path | str) -> list[str]:
    return [item.suffix for item in read(address) if isinstance(item, Other)]


def write_zip(path: Path, members: Mapping[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


class TestFolder(SourceContract):
    def write(self, folder: Path, files: Mapping[str, bytes]) -> Path:
        path = folder / "photos"
        path.mkdir(exist_ok=True)
        for name, content in files.items():
            (path / name).write_bytes(content)
        return path

    def hostile_names(self, secret: Path) -> list[str]:  # noqa: ARG002 - names that files can have
        return ["$(touch x).png", "%2e%2e%2fx.png", "-rf.png", "a::b.png", "é.png", "\udcff.png"]


class TestFile(TestFolder):
    most_items = 1

    def write(self, folder: Path, files: Mapping[str, bytes]) -> Path:
        return super().write(folder, files) / next(iter(files))


class TestTar(ArchiveContract):
    name = "s.tar"

    def write(self, folder: Path, files: Mapping[str, bytes]) -> Path:
        return write_tar(folder / self.name, files, f"w:{self.name.partition('.tar.')[2]}")


class TestPackedTar(TestTar):
    name = "s.tar.gz"


class TestZip(ArchiveContract):
    def write(self, folder: Path, files: Mapping[str, bytes]) -> Path:
        return write_zip(folder / "s.zip", files)


class TestParquet(ArchiveContract):
    held_items = 16  # the rows of a batch

    def write(self, folder: Path, files: Mapping[str, bytes]) -> Path:
        images = [{"bytes": content, "path": name} for name, content in files.items()]
        # A page is read whole, and has 1024 rows by default.
        paged = {"write_batch_size": 1, "data_page_size": 1, "use_dictionary": False}
        pq.write_table(pa.table({"image": images}), folder / "t.parquet", **paged)
        return folder / "t.parquet"


class TestHashList(ArchiveContract):
    test_an_item_over_the_limit_costs_only_its_row = None  # it holds no files
    test_it_expands_no_further_than_allowed = None

    def write(self, folder: Path, files: Mapping[str, bytes]) -> Path:
        lines = [
            "nonsense" if content == BROKEN else f"pdq {sha256(content).hexdigest()}"
            for content in files.values()
        ]
        (folder / "list.txt").write_text("\n".join(lines) + "\n")
        return folder / "list.txt"

    def expected(self, content: bytes) -> Fingerprint:
        return Fingerprint((Pdq(sha256(content).digest(), None),))


# --- folder ----------------------------------------------------------------------------------


def test_a_folder_is_walked_in_path_order_and_pictures_are_told_by_name_or_content(
    tmp_path: Path,
) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "2.png").write_bytes(PNG)
    (tmp_path / "a.jpg").write_bytes(JPEG)
    (tmp_path / "no-suffix").write_bytes(PNG)
    (tmp_path / "caption.txt").write_text("words")
    assert list(items(tmp_path)) == ["a.jpg", "b/2.png", "no-suffix"]
    assert others(tmp_path) == [".txt"]


def test_archives_in_a_folder_are_read_as_sources(tmp_path: Path) -> None:
    write_tar(tmp_path / "shard.tar", {"x.png": PNG})
    pq.write_table(pa.table({"image": [PNG]}), tmp_path / "t.parquet")
    (tmp_path / "a.png").write_bytes(PNG)
    assert list(items(tmp_path)) == ["a.png", "x.png", "row 0"]


def test_links_to_folders_are_reported_and_links_to_files_are_read(tmp_path: Path) -> None:
    inside = tmp_path / "data"
    inside.mkdir()
    (tmp_path / "elsewhere.png").write_bytes(PNG)
    (inside / "loop").symlink_to(inside)
    (inside / "linked.png").symlink_to(tmp_path / "elsewhere.png")
    (inside / "dangling.png").symlink_to(tmp_path / "nothing.png")
    assert items(inside) == {
        "dangling.png": "file-missing",
        "linked.png": PNG,
        "loop": "link-not-followed",
    }


def test_special_files_are_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    assert others(tmp_path) == ["special file"]


def test_a_folder_without_permission_is_a_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "closed").mkdir()
    (tmp_path / "open.png").write_bytes(PNG)
    listdir = os.listdir

    def deny(path: str) -> list[str]:
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied")
        return listdir(path)

    monkeypatch.setattr(os, "listdir", deny)
    assert items(tmp_path) == {"closed": "listing-failed", "open.png": PNG}


def test_a_root_without_permission_is_an_error_with_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def deny(_path: str) -> list[str]:
        raise PermissionError(13, "Permission denied")

    source = open_source(str(tmp_path))
    monkeypatch.setattr(os, "listdir", deny)
    with pytest.raises(SourceUnreadable, match="permission denied"):
        list(source.shards())


# --- tar -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "mode"),
    [("s.tar", "w"), ("s.tar.gz", "w:gz"), ("s.tgz", "w:gz"), ("s.tar.xz", "w:xz")],
)
def test_a_tar_yields_keys_and_offsets(tmp_path: Path, name: str, mode: str) -> None:
    members = {"dir/0001.jpg": JPEG, "dir/0001.json": b"{}", "dir/0002.seg.png": PNG}
    path = write_tar(tmp_path / name, members, mode)
    first, other, second = read(path)
    assert isinstance(first, Item)
    assert isinstance(second, Item)
    assert (first.name, first.key, first.content) == ("dir/0001.jpg", "dir/0001", JPEG)
    assert (second.key, second.content) == ("dir/0002", PNG)
    assert other == Other(".json")
    if mode == "w":
        raw = path.read_bytes()
        assert raw[first.offset : (first.offset or 0) + len(JPEG)] == JPEG


def test_links_and_devices_in_a_tar_lead_nowhere(tmp_path: Path) -> None:
    path = tmp_path / "s.tar"
    with tarfile.open(path, "w") as archive:
        for name, kind in (("soft.png", tarfile.SYMTYPE), ("hard.png", tarfile.LNKTYPE)):
            link = tarfile.TarInfo(name)
            link.type = kind
            link.linkname = "/etc/passwd"
            archive.addfile(link)
        device = tarfile.TarInfo("zero.png")
        device.type = tarfile.CHRTYPE
        archive.addfile(device)
    assert items(path) == {
        "soft.png": "link-not-followed",
        "hard.png": "link-not-followed",
    }


@pytest.mark.parametrize("cut", [600, 1024 + 100, 1536, 2048 + 10])
@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_a_cut_tar_keeps_its_first_members_and_says_so(tmp_path: Path, cut: int, mode: str) -> None:
    path = write_tar(tmp_path / "s.tar", {f"{n}.png": PNG for n in range(30)}, mode)
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] if mode == "w:gz" else whole[: len(PNG) + cut])
    (shard,) = open_source(str(path)).shards()
    found = []
    with pytest.raises(SourceTruncated, match="ends too early"):
        found.extend(read_shard(shard, DEFAULT_LIMITS))
    assert [item.content for item in found if isinstance(item, Item)][:1] == [PNG]


def test_damage_in_the_middle_of_a_tar_is_not_mistaken_for_its_end(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "s.tar", {f"{n}.png": PNG for n in range(5)})
    raw = bytearray(path.read_bytes())
    block = 512 * (1 + -(-len(PNG) // 512))
    raw[block : block + 300] = b"\xa5" * 300
    path.write_bytes(raw)
    with pytest.raises(SourceTruncated):
        read(path)


def test_tars_laid_end_to_end_are_not_passed_over_in_silence(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "s.tar", {"a.png": PNG})
    path.write_bytes(path.read_bytes() * 2)
    with pytest.raises(SourceTruncated):
        read(path)


@pytest.mark.parametrize("content", [b"", b"\x1f\x8b broken"])
def test_what_is_no_tar_is_an_error_with_its_name(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "s.tar").write_bytes(content)
    with pytest.raises((SourceUnreadable, SourceTruncated), match=r"s\.tar"):
        read(tmp_path / "s.tar")


def test_archives_in_archives_are_reported(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "s.tar", {"inner.zip": b"PK\3\4", "a.png": PNG})
    assert items(path) == {"a.png": PNG, "inner.zip": "source-unreadable"}
    assert gaps(path) == [(GapKind.ARCHIVE, "inner.zip", "source-unreadable", 1)]


@pytest.mark.parametrize(
    ("name", "table"),
    [("t.csv", b"caption,md5\na,0\n"), ("t.jsonl", b'{"caption": "a", "md5": "0"}\n')],
)
def test_tables_of_hashes_in_archives_are_said(tmp_path: Path, name: str, table: bytes) -> None:
    for path in (
        write_tar(
            tmp_path / "s.tar", {name: table, "a.png": PNG, "words.csv": b"caption,n\na,1\n"}
        ),
        write_zip(tmp_path / "s.zip", {name: table, "a.png": PNG}),
    ):
        assert gaps(path) == [(GapKind.COLUMN, f"{name}, column md5", "column-unread", 1)]


# --- zip -------------------------------------------------------------------------------------


def test_a_zip_yields_its_members(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "s.zip", {"a.png": PNG, "notes.txt": b"words", "b.jpg": JPEG})
    assert items(path) == {"a.png": PNG, "b.jpg": JPEG}


def test_a_damaged_zip_member_costs_only_itself(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "s.zip", {"a.png": PNG, "b.png": PNG})
    raw = bytearray(path.read_bytes())
    start = raw.index(b"a.png") + 20
    raw[start : start + 40] = bytes(40)
    path.write_bytes(raw)
    found = items(path)
    assert found["a.png"] == "decode-failed"
    assert found["b.png"] == PNG


# --- Parquet ---------------------------------------------------------------------------------


def test_parquet_columns_are_found_by_type_and_content(tmp_path: Path) -> None:
    table = pa.table(
        {
            "id": [1, 2],
            "blob": [b"no picture", b"neither"],
            "photo": [PNG, JPEG],
            "image": [{"bytes": PNG, "path": "one.png"}, {"bytes": None, "path": "two.png"}],
        }
    )
    pq.write_table(table, tmp_path / "t.parquet")
    found = [(i.name, i.key, i.offset) for i in read(tmp_path / "t.parquet") if isinstance(i, Item)]
    assert found == [
        ("row 0", "photo", 0),
        ("one.png", "image.bytes", 0),
        ("row 1", "photo", 1),
    ]
    name = f"{tmp_path / 't.parquet'}, row 1"
    assert gaps(tmp_path / "t.parquet") == [(GapKind.ROW, name, "value-missing", 1)]


def test_rows_of_nulls_are_counted(tmp_path: Path) -> None:
    pq.write_table(pa.table({"image": [PNG, None, PNG]}), tmp_path / "t.parquet")
    found = items(tmp_path / "t.parquet")
    assert [found["row 0"], found["row 2"]] == [PNG, PNG]
    assert [gap[2:] for gap in gaps(tmp_path / "t.parquet")] == [("value-missing", 1)]


def test_lists_of_images_in_a_row_are_all_read(tmp_path: Path) -> None:
    kind = pa.list_(pa.struct([("bytes", pa.binary()), ("path", pa.string())]))
    rows = pa.array([[{"bytes": PNG, "path": None}, {"bytes": JPEG, "path": None}], None], kind)
    pq.write_table(pa.table({"images": rows}), tmp_path / "t.parquet")
    found = [(i.key, i.content) for i in read(tmp_path / "t.parquet") if isinstance(i, Item)]
    assert found == [("images[0].bytes", PNG), ("images[1].bytes", JPEG)]


def test_row_groups_become_shards_and_rows_keep_their_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("egide.auditing.sources.parquet.RUN_ROWS", 4)
    pq.write_table(pa.table({"image": [PNG] * 10}), tmp_path / "t.parquet", row_group_size=2)
    shards = list(open_source(str(tmp_path / "t.parquet")).shards())
    assert [(shard.start, shard.stop) for shard in shards] == [(0, 2), (2, 4), (4, 5)]
    assert [i.offset for i in read(tmp_path / "t.parquet") if isinstance(i, Item)] == list(
        range(10)
    )


def test_a_parquet_without_images_says_which_columns_it_has(tmp_path: Path) -> None:
    pq.write_table(pa.table({"url": ["x"], "text": ["y"]}), tmp_path / "t.parquet")
    with pytest.raises(ColumnMissing, match=r"url, text.*--column"):
        read(tmp_path / "t.parquet")


def test_a_named_column_that_is_missing_is_named(tmp_path: Path) -> None:
    pq.write_table(pa.table({"photo": [PNG]}), tmp_path / "t.parquet")
    source = open_source(str(tmp_path / "t.parquet"), ["picture"])
    (shard,) = source.shards()
    with pytest.raises(ColumnMissing, match="named picture"):
        list(read_shard(shard, DEFAULT_LIMITS))


@pytest.mark.parametrize("cut", [0, 4])
def test_a_cut_parquet_is_an_error_with_its_name(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"image": [PNG]}), path)
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(SourceUnreadable, match=r"t\.parquet"):
        read(path)


# --- addresses --------------------------------------------------------------------------------


def test_an_unknown_kind_of_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "movie.xyz").write_bytes(b"unknown")
    with pytest.raises(SourceUnsupported):
        open_source(str(tmp_path / "movie.xyz"))


def test_a_protocol_without_its_extra_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ProtocolUnsupported, match=r"egide\[hf\]"):
        open_source("hf://datasets/folder")


def test_an_unknown_protocol_is_refused() -> None:
    with pytest.raises(SourceUnsupported, match="not known"):
        open_source("gopherx://host/file.tar")


def test_remote_filesystems_are_read_like_local_ones() -> None:
    import fsspec

    memory = fsspec.filesystem("memory")
    memory.pipe("/data/b/1.png", PNG)
    memory.pipe("/data/a.jpg", JPEG)
    memory.pipe("/data/notes.md", b"words")
    try:
        assert items("memory://data") == {"a.jpg": JPEG, "b/1.png": PNG}
        assert others("memory://data") == [".md"]
    finally:
        memory.rm("/data", recursive=True)
