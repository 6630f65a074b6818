"""Every source of items: what it yields, and what bad input costs."""

from __future__ import annotations

import io
import os
import tarfile
import zipfile
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from egide.auditing.sources import Item, Other, Shard, open_source, read_shard
from egide.domain.model import DEFAULT_LIMITS, Fingerprint, Limits
from egide.errors import (
    ColumnMissing,
    ItemError,
    ProtocolUnsupported,
    SourceMissing,
    SourceTruncated,
    SourceUnreadable,
    SourceUnsupported,
)
from pictures import encoded, pictures, write_tar

if TYPE_CHECKING:
    from pathlib import Path

PNG = encoded(pictures(1)[0].resize((32, 32)), "PNG")
JPEG = encoded(pictures(1)[0].resize((32, 32)))


def read(address: Path | str, limits: Limits = DEFAULT_LIMITS) -> list[Item | Other]:
    source = open_source(str(address))
    return [item for shard in source.shards() for item in read_shard(shard, limits)]


def items(address: Path | str, limits: Limits = DEFAULT_LIMITS) -> dict[str, object]:
    """Return what each item holds: bytes, a fingerprint, or the code of its error."""
    return {
        item.name: item.content.code if isinstance(item.content, ItemError) else item.content
        for item in read(address, limits)
        if isinstance(item, Item)
    }


def others(address: Path | str) -> list[str]:
    return [item.suffix for item in read(address) if isinstance(item, Other)]


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
    assert items(tmp_path) == {"closed": "file-unreadable", "open.png": PNG}


def test_a_root_without_permission_is_an_error_with_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def deny(_path: str) -> list[str]:
        raise PermissionError(13, "Permission denied")

    source = open_source(str(tmp_path))
    monkeypatch.setattr(os, "listdir", deny)
    with pytest.raises(SourceUnreadable, match="permission denied"):
        list(source.shards())


def test_a_file_over_the_limit_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "big.png").write_bytes(PNG)
    assert items(tmp_path, Limits(max_file_bytes=10)) == {"big.png": "file-too-large"}


def test_a_changed_file_makes_another_shard(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(PNG)
    before = [shard.id("") for shard in open_source(str(tmp_path)).shards()]
    assert before == [shard.id("") for shard in open_source(str(tmp_path)).shards()]
    (tmp_path / "a.png").write_bytes(PNG + b"x")
    assert before != [shard.id("") for shard in open_source(str(tmp_path)).shards()]


def test_one_picture_is_a_source(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(PNG)
    assert items(tmp_path / "a.png") == {"a.png": PNG}


def test_a_shard_survives_json(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"\xff.png")).write_bytes(PNG)
    (shard,) = open_source(str(tmp_path)).shards()
    assert Shard.from_json(shard.to_json()) == shard
    assert [item.content for item in read_shard(shard, DEFAULT_LIMITS)] == [PNG]  # type: ignore[union-attr]


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


def test_hostile_member_names_and_links_lead_nowhere(tmp_path: Path) -> None:
    path = tmp_path / "s.tar"
    with tarfile.open(path, "w") as archive:
        for name, kind in (("soft.png", tarfile.SYMTYPE), ("hard.png", tarfile.LNKTYPE)):
            link = tarfile.TarInfo(name)
            link.type = kind
            link.linkname = "/etc/passwd"
            archive.addfile(link)
        member = tarfile.TarInfo("../../escape.png")
        member.size = len(PNG)
        archive.addfile(member, io.BytesIO(PNG))
        device = tarfile.TarInfo("zero.png")
        device.type = tarfile.CHRTYPE
        archive.addfile(device)
    assert items(path) == {
        "soft.png": "link-not-followed",
        "hard.png": "link-not-followed",
        "../../escape.png": PNG,
    }
    assert not (tmp_path.parent.parent / "escape.png").exists()


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


@pytest.mark.parametrize("content", [b"", b"no archive at all" * 100, b"\x1f\x8b broken"])
def test_what_is_no_tar_is_an_error_with_its_name(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "s.tar").write_bytes(content)
    with pytest.raises((SourceUnreadable, SourceTruncated), match=r"s\.tar"):
        read(tmp_path / "s.tar")


def test_archives_in_archives_are_reported(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "s.tar", {"inner.zip": b"PK\3\4", "a.png": PNG})
    assert items(path) == {"inner.zip": "archive-not-opened", "a.png": PNG}


# --- zip -------------------------------------------------------------------------------------


def write_zip(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def test_a_zip_yields_its_members(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "s.zip", {"a.png": PNG, "notes.txt": b"words", "b.jpg": JPEG})
    assert items(path) == {"a.png": PNG, "b.jpg": JPEG}


def test_a_zip_bomb_is_bounded(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "s.zip", {"bomb.png": PNG + bytes(10_000_000), "a.png": PNG})
    assert items(path, Limits(max_file_bytes=100_000)) == {
        "bomb.png": "file-too-large",
        "a.png": PNG,
    }


def test_a_damaged_zip_member_costs_only_itself(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "s.zip", {"a.png": PNG, "b.png": PNG})
    raw = bytearray(path.read_bytes())
    start = raw.index(b"a.png") + 20
    raw[start : start + 40] = bytes(40)
    path.write_bytes(raw)
    found = items(path)
    assert found["a.png"] == "decode-failed"
    assert found["b.png"] == PNG


def test_a_cut_zip_is_an_error_with_its_name(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "s.zip", {"a.png": PNG})
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(SourceUnreadable, match=r"s\.zip"):
        read(path)


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
        ("one.png", "image", 0),
        ("row 1", "photo", 1),
        ("two.png", "image", 1),
    ]
    assert items(tmp_path / "t.parquet")["two.png"] == "value-missing"


def test_nulls_in_parquet_are_rows(tmp_path: Path) -> None:
    pq.write_table(pa.table({"image": [PNG, None, PNG]}), tmp_path / "t.parquet")
    assert items(tmp_path / "t.parquet") == {"row 0": PNG, "row 1": "value-missing", "row 2": PNG}


def test_lists_of_images_in_a_row_are_all_read(tmp_path: Path) -> None:
    kind = pa.list_(pa.struct([("bytes", pa.binary()), ("path", pa.string())]))
    rows = pa.array([[{"bytes": PNG, "path": None}, {"bytes": JPEG, "path": None}], None], kind)
    pq.write_table(pa.table({"images": rows}), tmp_path / "t.parquet")
    found = [(i.key, i.content) for i in read(tmp_path / "t.parquet") if isinstance(i, Item)]
    assert found[:2] == [("images[0]", PNG), ("images[1]", JPEG)]
    assert len(found) == 3


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


@pytest.mark.parametrize("cut", [0, 4, 50])
def test_a_cut_parquet_is_an_error_with_its_name(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"image": [PNG]}), path)
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(SourceUnreadable, match=r"t\.parquet"):
        read(path)


# --- hash lists and addresses ------------------------------------------------------------------


def test_a_hash_list_yields_fingerprints_and_bad_lines(tmp_path: Path) -> None:
    good = "0c301eb1b9606a686987ff696b870c719964af60f769e04efe6df387483a0cb1"
    (tmp_path / "hashes.txt").write_text(f"{good}\nnonsense\n")
    found = items(tmp_path / "hashes.txt")
    first = found["line 1"]
    assert isinstance(first, Fingerprint)
    assert first.frames[0].code.hex() == good
    assert found["line 2"] == "line-invalid"


def test_a_source_that_is_not_there_is_an_error_with_its_name(tmp_path: Path) -> None:
    with pytest.raises(SourceMissing, match="nothing-here"):
        open_source(str(tmp_path / "nothing-here"))


def test_an_unknown_kind_of_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "movie.xyz").write_bytes(b"unknown")
    with pytest.raises(SourceUnsupported):
        open_source(str(tmp_path / "movie.xyz"))


def test_a_protocol_without_its_extra_names_the_extra() -> None:
    with pytest.raises((ProtocolUnsupported, SourceUnreadable), match=r"egide\[s3\]|s3://"):
        open_source("s3://bucket/folder")


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
