"""Archives of all kinds and in each other: what is opened, and what is named as not opened."""

from __future__ import annotations

import base64
import bz2
import gzip
import io
import json
import lzma
import struct
import tarfile
import zipfile
import zlib
from dataclasses import replace
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from egide.auditing.sources import (
    Columns,
    Item,
    Other,
    Read,
    look_beside,
    open_source,
    read_shard,
)
from egide.auditing.sources.records import checksum
from egide.domain.coverage import Gap, GapKind
from egide.domain.model import DEFAULT_LIMITS, Limits
from egide.errors import ItemError, SourceError, SourceExpands, SourceUnreadable
from egide.media.containers import crc32c, masked
from egide.testing import ArchiveContract
from pictures import encoded, pictures

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

PNG = encoded(pictures(1)[0].resize((32, 32)), "PNG")
JPEG = encoded(pictures(1)[0].resize((32, 32)))
FILES = {"a.png": PNG, "b.jpg": JPEG, "words.txt": b"words"}


def read(path: Path, limits: Limits = DEFAULT_LIMITS) -> list[Read]:
    return [one for shard in open_source(str(path)).shards() for one in read_shard(shard, limits)]


def names(path: Path, limits: Limits = DEFAULT_LIMITS) -> list[str]:
    """What was read as a picture, sound."""
    found = [one for one in read(path, limits) if isinstance(one, Item)]
    assert all(item.content in {PNG, JPEG} for item in found)
    return [item.name for item in found]


def gaps(path: Path, limits: Limits = DEFAULT_LIMITS) -> list[tuple[GapKind, str, str]]:
    found = [one for one in read(path, limits) if isinstance(one, Gap)]
    return [(gap.kind, gap.name, gap.code) for gap in found]


def tar(files: Mapping[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return stream.getvalue()


def packed(files: Mapping[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return stream.getvalue()


def rezipped(files: Mapping[str, bytes], method: int, pack: object) -> bytes:
    """A zip whose members are packed by a method that Python does not write."""
    bodies = {name: pack(content) for name, content in files.items()}  # type: ignore[operator]
    raw = bytearray(packed(bodies, zipfile.ZIP_STORED))
    for name, content in files.items():
        for mark, at in ((b"PK\3\4", 8), (b"PK\1\2", 10)):
            start = raw.rfind(mark, 0, raw.find(name.encode(), raw.find(mark)) + 1)
            while raw[start + (30 if at == 8 else 46) :][: len(name)] != name.encode():
                start = raw.index(mark, start + 1)
            struct.pack_into("<H", raw, start + at, method)
            struct.pack_into("<I", raw, start + at + 6, zlib.crc32(content))
            struct.pack_into("<I", raw, start + at + 14, len(content))
    return bytes(raw)


def zstd(data: bytes) -> bytes:
    return bytes(pa.compress(data, "zstd", asbytes=True))


def lz4(data: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "lz4") as stream:
        stream.write(data)
    return bytes(sink.getvalue().to_pybytes())


def parquet(*values: bytes) -> bytes:
    stream = io.BytesIO()
    pq.write_table(pa.table({"image": list(values)}), stream)
    return stream.getvalue()


# --- TFRecord ---------------------------------------------------------------------------------


def field(number: int, content: bytes) -> bytes:
    size, length = len(content), bytearray()
    while size > 0x7F:
        length.append(size & 0x7F | 0x80)
        size >>= 7
    return bytes([number << 3 | 2, *length, size]) + content


def entry(name: str, value: bytes) -> bytes:
    return field(1, field(1, name.encode()) + field(2, value))


def example(**features: bytes) -> bytes:
    lists = {name: field(1, field(1, content)) for name, content in features.items()}
    lists["label"] = field(3, field(1, b"\7"))
    return field(1, b"".join(entry(name, value) for name, value in lists.items()))


def record(data: bytes) -> bytes:
    length = struct.pack("<Q", len(data))
    sums = (struct.pack("<I", masked(crc32c(part))) for part in (length, data))
    return length + next(sums) + data + next(sums)


class TestRecords(ArchiveContract):
    def write(self, folder: Path, files: Mapping[str, bytes]) -> Path:
        path = folder / "t.tfrecord"
        with path.open("wb") as stream:
            for content in files.values():
                data = example(image=content)
                length = struct.pack("<Q", len(data))
                for part in (length, data):
                    stream.write(part + struct.pack("<I", masked(checksum(part))))
        return path


@pytest.mark.parametrize("size", [0, 1, 9, 65_535, 65_536, 200_003])
def test_a_checksum_in_parts_is_that_of_one_loop(size: int) -> None:
    data = bytes(range(251)) * (size // 251 + 1)
    assert checksum(data[:size]) == crc32c(data[:size])
    assert checksum(b"123456789") == 0xE3069283  # RFC 3720, B.4


def test_features_and_lists_of_features_are_read(tmp_path: Path) -> None:
    both = b"".join(field(1, field(1, field(1, content))) for content in (PNG, JPEG))
    sequence = field(2, entry("frames", both))
    path = tmp_path / "t.tfrecord-00000-of-00001"
    path.write_bytes(record(example(a=b"words", image=PNG)) + record(sequence) + record(JPEG))
    found = [(one.key, one.offset) for one in read(path) if isinstance(one, Item)]
    assert found == [("image", 0), ("frames", 1), ("frames", 1), ("", 2)]


def test_records_without_pictures_or_with_a_wrong_checksum_are_counted(tmp_path: Path) -> None:
    broken = bytearray(record(example(image=PNG)))
    broken[-1] ^= 1
    link = record(example(url=b"https://a.org/x.jpg"))
    path = tmp_path / "t.tfrecord"
    path.write_bytes(record(example(a=b"words")) + link * 2 + bytes(broken))
    found = [one for one in read(path) if isinstance(one, Gap)]
    assert [(gap.kind, gap.count) for gap in found] == [
        (GapKind.ROW, 1),
        (GapKind.ROW, 2),
        (GapKind.ROW, 1),
    ]
    assert "checksum" in found[0].message


# --- what is opened ---------------------------------------------------------------------------

TAR, ZIP = tar(FILES), packed(FILES)
OPENED = {
    "s.tar.zst": zstd(TAR),
    "s.tar.lz4": lz4(TAR),
    "s.tar.lzma": lzma.compress(TAR, lzma.FORMAT_ALONE),
    "s.tbz2": bz2.compress(TAR),
    "in_two_parts.tar.zst": zstd(TAR[:1000]) + b"\x50\x2a\x4d\x18\1\0\0\0x" + zstd(TAR[1000:]),
    "s.cbz": packed(FILES, zipfile.ZIP_STORED),
    "s.zip": packed(FILES, zipfile.ZIP_LZMA),
    "zstd.zip": rezipped(FILES, 93, zstd),
    "xz.zip": rezipped(FILES, 95, lzma.compress),
    "a_tar.zip": TAR,
    "a_zip.tar": ZIP,
    "a_zip.cbr": ZIP,
    "a_zip.parquet": ZIP,
    "a_tar.bin": TAR,
    "packed.tar": gzip.compress(TAR),
}


@pytest.mark.parametrize("name", OPENED)
def test_archives_are_opened_by_what_they_are(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(OPENED[name])
    assert names(tmp_path / name) == ["a.png", "b.jpg"]


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("p.jpg.gz", gzip.compress(JPEG), ["p.jpg"]),
        ("p.png.zst", zstd(PNG), ["p.png"]),
        ("p", bz2.compress(PNG), ["p/p"]),
        ("t.parquet.gz", gzip.compress(parquet(PNG)), ["t.parquet/row 0"]),
        ("s.tar", tar({"in.zip": ZIP, "c.png": PNG}), ["in.zip/a.png", "in.zip/b.jpg", "c.png"]),
        ("s.zip", packed({"x/in.tgz": gzip.compress(TAR)}), ["x/in.tgz/a.png", "x/in.tgz/b.jpg"]),
        ("t.tar", tar({"t.parquet": parquet(PNG, JPEG)}), ["t.parquet/row 0", "t.parquet/row 1"]),
        ("u.zip", packed({"really.jpg": ZIP}), ["really.jpg/a.png", "really.jpg/b.jpg"]),
        ("w.docx", packed({"word/media/1.png": PNG, "word/x.xml": b"<x/>"}), ["word/media/1.png"]),
    ],
)
def test_what_stands_inside_is_read_and_named_by_its_way(
    name: str, content: bytes, expected: list[str], tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(content)
    found = names(tmp_path / name)
    assert [one.removeprefix(f"{name}/") for one in found] == [
        one.removeprefix("p/") for one in expected
    ]


def test_an_archive_in_a_folder_is_opened_whatever_its_name(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(ZIP)
    (tmp_path / "b").write_bytes(zstd(TAR))
    assert names(tmp_path) == ["a.jpg/a.png", "a.jpg/b.jpg", "b/a.png", "b/b.jpg"]


def test_archives_are_opened_to_a_limit(tmp_path: Path) -> None:
    inner = packed({"a.png": PNG})
    for name in ("3.zip", "2.zip", "1.zip"):
        inner = packed({name: inner, "x.png": PNG})
    (tmp_path / "s.zip").write_bytes(inner)
    limits = replace(DEFAULT_LIMITS, max_nesting=2)
    assert names(tmp_path / "s.zip", limits) == ["1.zip/2.zip/x.png", "1.zip/x.png", "x.png"]
    gap = (GapKind.ARCHIVE, "1.zip/2.zip/3.zip", "archive-not-opened")
    assert gaps(tmp_path / "s.zip", limits) == [gap]


def test_a_damaged_archive_inside_costs_only_its_rest(tmp_path: Path) -> None:
    cut = tar({"a.png": PNG, "b.jpg": JPEG})[: len(PNG) + 900]
    (tmp_path / "s.zip").write_bytes(packed({"cut.tar": cut, "c.png": PNG}))
    assert names(tmp_path / "s.zip") == ["cut.tar/a.png", "c.png"]
    assert gaps(tmp_path / "s.zip") == [(GapKind.ARCHIVE, "cut.tar", "source-truncated")]


def test_what_expands_inside_counts_for_all(tmp_path: Path) -> None:
    bomb = packed({f"{number}.png": PNG + bytes(2**20) for number in range(8)})
    (tmp_path / "s.zip").write_bytes(packed({f"{number}.zip": bomb for number in range(8)}))
    limits = replace(DEFAULT_LIMITS, max_expansion=2, expansion_floor_bytes=2**24)
    with pytest.raises(SourceExpands):
        read(tmp_path / "s.zip", limits)


@pytest.mark.parametrize("name", ["a.jsonl", "a.csv", "a.html"])
def test_pictures_in_texts_are_read(name: str, tmp_path: Path) -> None:
    text = base64.b64encode(PNG).decode()
    lines = ["words", f'{{"image": "{text}"}}', f'x,"data:image/png;base64,{text}"', "words" * 999]
    (tmp_path / name).write_text("\n".join(lines * 2))
    found = [(one.name, one.offset) for one in read(tmp_path) if isinstance(one, Item)]
    assert found == [(f"{name}, line {number}", number) for number in (2, 3, 6, 7)]
    assert names(tmp_path) == [one for one, _ in found]


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("a.svg", lambda text: f'<image href="data:image/png;base64,{text}"/>'),
        ("a.ipynb", lambda text: f'{{"image/png": "{text}"}}'),
        ("no_suffix", lambda text: text),
        ("a.mhtml", lambda text: "Content-Type: image/png\r\n\r\n" + wrapped(text, end="\r\n")),
        ("a.vcf", lambda text: "PHOTO;ENCODING=b:" + wrapped(text, end="\r\n ") + "\r\nEND"),
        ("a.yaml", lambda text: "a: |\n  " + wrapped(text, end="\n  ") + "\nb: words"),
        ("a.html", lambda text: f'<img src="data:image/png;base64,{text}">'.encode("utf-16")),
        ("a.json", lambda _: json.dumps({"type": "Buffer", "data": list(PNG)})),
        ("a.sql", lambda _: f"INSERT INTO t VALUES (X'{PNG.hex()}');"),
        ("a.rtf", lambda _: "{\\pict\n" + wrapped(PNG.hex(), 128) + "}"),
    ],
)
def test_pictures_are_found_in_texts_of_any_name(
    name: str, written: Callable[[str], str | bytes], tmp_path: Path
) -> None:
    text = written(base64.b64encode(PNG).decode())
    (tmp_path / name).write_bytes(text.encode() if isinstance(text, str) else text)
    assert len(names(tmp_path)) == 1
    assert gaps(tmp_path) == []


def wrapped(text: str, width: int = 76, end: str = "\n") -> str:
    return end.join(text[at : at + width] for at in range(0, len(text), width))


def test_lines_that_no_picture_begins_are_not_joined(tmp_path: Path) -> None:
    lines = [*["0123456789abcdef" * 4] * 9, base64.b64encode(PNG).decode()]
    (tmp_path / "a.txt").write_text("\n".join(lines * 2))
    assert names(tmp_path) == ["a.txt, line 10", "a.txt, line 20"]


def test_what_a_tar_stores_under_an_unknown_type_is_a_file(tmp_path: Path) -> None:
    raw = bytearray(tar({"a.png": PNG}))
    raw[156:157] = b"Z"
    raw[148:156] = b" " * 8
    raw[148:156] = b"%06o\0 " % sum(raw[:512])
    (tmp_path / "s.tar").write_bytes(raw)
    assert names(tmp_path / "s.tar") == ["a.png"]


def test_a_member_of_a_zip_with_the_name_of_a_folder_is_read(tmp_path: Path) -> None:
    (tmp_path / "s.zip").write_bytes(packed({"a.png/": PNG, "b/": b""}))
    assert names(tmp_path / "s.zip") == ["a.png/"]


# --- what is not ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.7z", b"7z\xbc\xaf\x27\x1c"),
        ("a", b"Rar!\x1a\7\1\0"),
        ("a.7z.002", b"no mark"),
        ("a.z01", b"PK\7\x08PK\3\4"),
        ("a.part2.rar", b"Rar!\x1a\7\1\0"),
        ("a.h5", b"\x89HDF\r\n\x1a\n"),
        ("a.npz", packed({"x.npy": b"\x93NUMPY"})),
        ("a.pkl", b"\x80\4N."),
        ("a.pt", packed({"data.pkl": b"\x80\4N."})),
        ("a.pdf", b"%PDF-1.7"),
        ("a.jpg", b"\0\0\0\x18ftypmp42"),
        ("a.mkv", b"\x1a\x45\xdf\xa3"),
        ("a.avi", b"RIFF\0\0\0\0AVI LIST"),
        ("a.doc", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"),
        ("a.mp4", b"no mark"),
        ("data.mdb", bytes(16) + b"\xde\xc0\xef\xbe"),
        ("a.mat", b"MATLAB 7.3 MAT-file, "),
        ("scan", bytes(128) + b"DICM"),
        ("a", b"OggS" + bytes(24) + b"\x80theora"),
        ("a.uue", b"begin 644 a.jpg\n"),
        (
            "f.npy",
            b"\x93NUMPY\1\0v\0{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3, 8, 8), }",
        ),
        ("a.npy", b"\x93NUMPY\1\0v\0{'descr': '|u1', 'fortran_order': False, 'shape': (8, 8), }"),
    ],
)
def test_what_is_not_opened_is_named(name: str, content: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content + bytes(64))
    expected = [(GapKind.ARCHIVE, name, "archive-unsupported")]
    assert gaps(tmp_path) == expected
    assert [gap[::2] for gap in gaps(tmp_path / name)] == [(GapKind.ARCHIVE, expected[0][2])]
    (tmp_path / "s.tar").write_bytes(tar({name: content + bytes(64)}))
    assert gaps(tmp_path / "s.tar") == expected


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.exe", b"MZ" + bytes(5000) + ZIP),
        ("a.bson", b"\x40\1\0\0\5i\0" + JPEG),
        ("a.mp3", b"ID3\3\0\0\0\0\x20\0APIC" + bytes(999) + PNG),
        ("answer", b"HTTP/1.1 200 OK\r\nX: " + b"x" * 600 + b"\r\n\r\n" + JPEG),
    ],
)
def test_a_file_of_another_kind_with_pictures_in_it_is_a_gap(
    name: str, content: bytes, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(content)
    expected = [(GapKind.ARCHIVE, name, "archive-unsupported")]
    assert gaps(tmp_path) == expected
    (tmp_path / "s.tar").write_bytes(tar({name: content}))
    assert gaps(tmp_path / "s.tar") == expected


def test_an_array_of_other_numbers_is_no_archive(tmp_path: Path) -> None:
    header = b"\x93NUMPY\1\0v\0{'descr': '<f4', 'fortran_order': False, 'shape': (512,), }"
    (tmp_path / "embedding.npy").write_bytes(header + bytes(64))
    (tmp_path / "sound.m4a").write_bytes(b"\0\0\0\x18ftypM4A " + bytes(64))
    assert gaps(tmp_path) == []


def test_encrypted_members_are_named_as_encrypted(tmp_path: Path) -> None:
    raw = bytearray(packed({"a.png": PNG, "b.zip": ZIP, "c": PNG, "d.txt": b"words"}))
    at = 0
    while (at := raw.find(b"PK\1\2", at)) >= 0:
        raw[at + 8] |= 1
        at += 4
    (tmp_path / "s.zip").write_bytes(raw)
    found = [one for one in read(tmp_path / "s.zip") if isinstance(one, Item)]
    codes = [(one.name, one.content.code) for one in found if isinstance(one.content, ItemError)]
    assert codes == [(name, "member-encrypted") for name in ("a.png", "c", "d.txt")]
    assert gaps(tmp_path / "s.zip") == [(GapKind.ARCHIVE, "b.zip", "member-encrypted")]


def test_an_unknown_method_of_a_zip_is_named(tmp_path: Path) -> None:
    (tmp_path / "s.zip").write_bytes(rezipped({"a.png": PNG}, 98, bytes))
    (item,) = read(tmp_path / "s.zip")
    assert isinstance(item, Item)
    assert "packed by PPMd" in str(item.content)


def test_the_last_part_of_a_split_zip_is_told(tmp_path: Path) -> None:
    raw = bytearray(ZIP)
    struct.pack_into("<HH", raw, raw.rindex(b"PK\5\6") + 4, 3, 3)
    (tmp_path / "s.zip").write_bytes(raw)
    with pytest.raises(SourceUnreadable, match="split archive"):
        read(tmp_path / "s.zip")


@pytest.mark.parametrize("name", ["s.tar.zst", "s.arrow", "s.tfrecord", "s.cbz", "s.feather"])
@pytest.mark.parametrize("content", [b"", b"nothing of the kind" * 50])
def test_what_claims_to_be_one_and_is_none_is_told(
    name: str, content: bytes, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(SourceError, match=name):
        read(tmp_path / name)
    (tmp_path / "outer.tar").write_bytes(tar({name: content}))
    assert gaps(tmp_path / "outer.tar") == [(GapKind.ARCHIVE, name, "source-unreadable")]


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.jpg", encoded(pictures(1)[0]), None),
        ("a", encoded(pictures(1)[0], "PNG"), None),
        ("a.jpg", b"claims to be one", None),
        ("a.jpg", b"", None),
        ("notes.txt", b"words", ".txt"),
        ("empty", b"", ""),
        ("Thumbs.bin", bytes(range(32)) * 40, ".bin"),
        ("a.html", b"<p>no picture</p>", ".html"),
        ("a.html", b"<img src=data:image/png;base64,"
         + base64.b64encode(encoded(pictures(1)[0], "PNG")) + b">", "text with pictures"),
        ("a.zip", b"PK\3\4" + bytes(40), "a zip file"),
        ("a.zip", b"no zip", "it is no zip file"),
        ("a.bin", bytes(range(200)) * 3 + encoded(pictures(1)[0]), "with pictures or archives"),
        ("a.pdf", b"%PDF-1.7", "a PDF document"),
        ("a.mp4", b"", "an MP4 video"),
        ("_metadata", b"PAR1" + bytes(20), ""),
    ],
)  # fmt: skip
def test_what_stands_beside_pictures_is_told_as_in_an_audit(
    name: str, content: bytes, expected: str | None, tmp_path: Path
) -> None:
    found = look_beside(name, io.BytesIO(content), DEFAULT_LIMITS)
    if expected is None:
        assert found is None
    elif isinstance(found, Gap):
        assert found.kind is GapKind.ARCHIVE
        assert expected in found.message
    else:
        assert found == Other(expected)
    if expected is not None:
        (tmp_path / name).write_bytes(content)
        source = open_source(str(tmp_path))
        read: list[Read | None] = []
        try:
            for shard in source.shards():
                read.extend(read_shard(shard, DEFAULT_LIMITS))
        except SourceError:
            read.append(None)
        assert isinstance(found, Other) == all(isinstance(one, Other | Columns) for one in read)
