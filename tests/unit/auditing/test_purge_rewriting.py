"""What stays of a container is what it was: read with readers that are not ours."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import lzma
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from egide.auditing.purge.plan import Doomed, Work
from egide.auditing.purge.rewriting import Rewriting, rewriting
from egide.auditing.purge.samples import rest_of_samples, sidecars
from egide.auditing.sources import Shard
from egide.domain.model import DEFAULT_LIMITS
from egide.errors import ContainerNotVerified, ContainerUnsupported

Damage = Callable[[bytes], bytes]


def purged(
    content: bytes,
    kind: str,
    doomed: list[Doomed],
    *,
    name: str = "x",
    listed: tuple[str, ...] = (),
    damage: Damage | None = None,
) -> tuple[bytes, Rewriting]:
    """Purge the bytes of a container, and return what was written and checked."""
    with tempfile.TemporaryDirectory() as made:
        place = Path(made) / name
        place.write_bytes(content)
        shard = Shard(kind, str(place), name, weight=len(content))
        tables = (("", listed),) if listed else ()
        work = Work("id", name, kind, str(place), (("", shard),), name, tuple(doomed), (), tables)
        with (
            place.open("rb") as stream,
            rewriting(work, stream, DEFAULT_LIMITS, Path(made)) as how,
            (Path(made) / "written").open("w+b") as written,
        ):
            how.write(written)
            written.flush()
            if damage is not None:
                damaged = damage(Path(written.name).read_bytes())
                Path(written.name).write_bytes(damaged)
            how.check_written(written)
            return Path(written.name).read_bytes(), how


def doomed_of(name: str, offset: int | None = None, content: bytes | None = None) -> Doomed:
    return Doomed(name, None, offset, hashlib.sha256(content or b"").hexdigest())


# --- tar --------------------------------------------------------------------------------------

_member = st.tuples(
    st.sampled_from(
        ["a.jpg", "b.jpg", "e/f.png", "ü.jpg", f"{'n' * 120}.jpg", "p/" * 60 + "g.jpg"]
    ),
    st.binary(max_size=1500),
)


def tar_with(members: list[tuple[str, bytes]], form: int, beside: bool = False) -> bytes:
    stream = io.BytesIO()
    headers = {"comment": "for all"} if form == tarfile.PAX_FORMAT else None
    with tarfile.open(fileobj=stream, mode="w", format=form, pax_headers=headers) as archive:
        for number, (name, content) in enumerate(members):
            info = tarfile.TarInfo(name)
            info.size, info.mtime, info.mode = len(content), 10**9 + number, 0o604
            info.pax_headers = {"note": f"of {number}"}
            archive.addfile(info, io.BytesIO(content))
            if beside:
                folder = tarfile.TarInfo(f"folder-{number}")
                folder.type = tarfile.DIRTYPE
                archive.addfile(folder)
    return stream.getvalue()


def tar_read(content: bytes) -> list[tuple[Any, ...]]:
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        return [
            (
                *(one.name, one.mtime, one.mode, one.type, one.pax_headers),
                (archive.extractfile(one) or io.BytesIO()).read() if one.isfile() else None,
            )
            for one in archive
        ]


_PACKED: list[Callable[[bytes], bytes]] = [
    lambda data: data,
    lambda data: gzip.compress(data, 9, mtime=17),
    bz2.compress,
    lzma.compress,
    lambda data: lzma.compress(data, lzma.FORMAT_ALONE),
    lambda data: bytes(pa.compress(data, codec="zstd", asbytes=True)),
    lambda data: bytes(pa.compress(data, codec="lz4", asbytes=True)),
]


def _unpack(content: bytes) -> bytes:
    if content.startswith(b"\x1f\x8b"):
        return gzip.decompress(content)
    if content.startswith(b"BZh"):
        return bz2.decompress(content)
    if content.startswith((b"\xfd7zXZ", b"\x5d\0\0")):
        return lzma.decompress(content)
    for magic, codec in ((b"\x28\xb5\x2f\xfd", "zstd"), (b"\x04\x22\x4d\x18", "lz4")):
        if content.startswith(magic):
            return bytes(pa.input_stream(pa.py_buffer(content), compression=codec).read())
    return content


@given(
    st.lists(_member, min_size=1, max_size=6),
    st.sampled_from([tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]),
    st.sets(st.integers(0, 5)),
    st.integers(0, 6),
)
def test_tar_keeps_all_other_members_byte_for_byte(
    members: list[tuple[str, bytes]], form: int, gone: set[int], packing: int
) -> None:
    if form == tarfile.USTAR_FORMAT:
        members = [(name, data) for name, data in members if len(name) < 99] or [("a.jpg", b"")]
    plain = tar_with(members, form, beside=True)
    with tarfile.open(fileobj=io.BytesIO(plain)) as archive:
        infos = archive.getmembers()
    places = [at for at, one in enumerate(infos) if one.isfile()]
    gone = {number for number in gone if number < len(places)}
    doomed = [
        doomed_of(infos[places[at]].name, infos[places[at]].offset_data, members[at][1])
        for at in gone
    ]
    content = _PACKED[packing](plain)
    result, how = purged(content, "tar", doomed)
    if not gone:
        assert result == content
        return
    assert how.cut.gone == set(doomed)
    went = {places[at] for at in gone}
    # Of one key in a row, all are one sample.
    went |= rest_of_samples([one.name if one.isfile() else "" for one in infos], went)
    before = tar_read(plain)
    assert tar_read(_unpack(result)) == [one for at, one in enumerate(before) if at not in went]
    assert not packing or result[:3] == content[:3]


def test_tar_loses_links_to_what_goes_and_keeps_headers_for_all() -> None:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as archive:
        archive.pax_headers = {"comment": "late"}
        info = tarfile.TarInfo("dir/a.jpg")
        info.size = 3
        archive.addfile(info, io.BytesIO(b"abc"))
        for kind, target in ((tarfile.LNKTYPE, "dir/a.jpg"), (tarfile.SYMTYPE, "a.jpg")):
            link = tarfile.TarInfo(f"dir/l{kind.decode()}.jpg")
            link.type, link.linkname = kind, target
            archive.addfile(link)
        other = tarfile.TarInfo("z.jpg")
        archive.addfile(other)
    # A header for all members between another's extension and itself.
    with tarfile.open(fileobj=io.BytesIO(stream.getvalue())) as archive:
        (place,) = (one.offset_data for one in archive if one.name == "dir/a.jpg")
    result, how = purged(stream.getvalue(), "tar", [doomed_of("dir/a.jpg", place, b"abc")])
    assert [one[0] for one in tar_read(result)] == ["z.jpg"]
    assert how.cut.with_them == {"link": 2}


# --- zip --------------------------------------------------------------------------------------


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["a.jpg", "b.jpg", "c/d.png", "ü.jpg", "f/"]),
            st.binary(max_size=600),
            st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA]),
            st.booleans(),
        ),
        min_size=1,
        max_size=6,
    ),
    st.sets(st.integers(0, 5)),
    st.binary(max_size=20),
    st.booleans(),
)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_zip_keeps_all_other_members_as_they_are_packed(
    members: list[tuple[str, bytes, int, bool]], gone: set[int], prefix: bytes, large: bool
) -> None:
    stream = io.BytesIO()
    stream.write(prefix)
    with zipfile.ZipFile(stream, "a" if prefix else "w") as archive:
        archive.comment = b"kept"
        for name, content, method, streamed in members:
            info = zipfile.ZipInfo(name, (2001, 2, 3, 4, 5, 6))
            info.compress_type, info.comment, info.external_attr = method, b"one", 0o640 << 16
            info.extra = b"\xfe\xca\x02\x00ab"
            if name.endswith("/"):
                archive.writestr(info, b"")
                continue
            with archive.open(info, "w", force_zip64=large or streamed) as member:
                member.write(content)
    with zipfile.ZipFile(stream) as archive:
        before = [_zip_member(archive, info) for info in archive.infolist()]
    gone = {at for at in gone if at < len(members) and not members[at][0].endswith("/")}
    doomed = [doomed_of(members[at][0], None, members[at][1]) for at in gone]
    result, _ = purged(stream.getvalue(), "zip", doomed)
    same = {(members[at][0], members[at][1]) for at in gone}
    went = {at for at, one in enumerate(members) if (one[0], one[1]) in same}
    went |= rest_of_samples([one[0].rstrip() if one[0][-1] != "/" else "" for one in members], went)
    with zipfile.ZipFile(io.BytesIO(result)) as archive:
        assert archive.testzip() is None
        assert archive.comment == b"kept"
        after = [_zip_member(archive, info) for info in archive.infolist()]
    assert after == [one for at, one in enumerate(before) if at not in went]
    assert result.startswith(prefix)


def _zip_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> tuple[Any, ...]:
    values = info.filename, info.date_time, info.compress_type, info.comment, info.extra
    return *values, info.external_attr, info.compress_size, info.flag_bits, archive.read(info)


# --- tables -----------------------------------------------------------------------------------

_TABLE = st.lists(
    st.fixed_dictionaries(
        {
            "image": st.none() | st.fixed_dictionaries({"bytes": st.binary(max_size=9)}),
            "score": st.none() | st.floats(),
            "tags": st.lists(st.text(max_size=3), max_size=3),
            "when": st.none() | st.integers(-(10**15), 10**15),
        }
    ),
    min_size=1,
    max_size=12,
)
_SCHEMA = pa.schema(
    [
        pa.field("image", pa.struct([pa.field("bytes", pa.binary())]), metadata={"k": "v"}),
        pa.field("score", pa.float32()),
        pa.field("tags", pa.list_(pa.field("item", pa.string()))),
        pa.field("when", pa.timestamp("us")),
    ],
    metadata={"huggingface": "{}", "pandas": "{}"},
)


def groups_of(count: int, size: int, gone: set[int]) -> list[int]:
    """How many rows of each group stay, of those of which any do."""
    left = [len(set(range(at, min(at + size, count))) - gone) for at in range(0, count, size)]
    return [number for number in left if number]


@given(_TABLE, st.sets(st.integers(0, 11)), st.data())
def test_parquet_keeps_rows_types_metadata_and_groups(
    rows: list[dict[str, Any]], gone: set[int], data: st.DataObject
) -> None:
    table = pa.Table.from_pylist(rows, _SCHEMA)
    stream = io.BytesIO()
    size = data.draw(st.integers(1, 12))
    pq.write_table(
        table,
        stream,
        row_group_size=size,
        compression=data.draw(st.sampled_from(["snappy", "zstd", "gzip", "none", "lz4"])),
        use_dictionary=data.draw(st.sampled_from([True, False, ["tags.list.element"]])),
        write_statistics=data.draw(st.booleans()),
        version=data.draw(st.sampled_from(["1.0", "2.4", "2.6"])),
        store_schema=data.draw(st.booleans()),
        write_page_index=data.draw(st.booleans()),
        use_compliant_nested_type=data.draw(st.booleans()),
        use_deprecated_int96_timestamps=data.draw(st.booleans()),
    )
    before = pq.ParquetFile(io.BytesIO(stream.getvalue()))
    gone = {row for row in gone if row < len(rows)}
    doomed = [Doomed(f"row {row}", "image.bytes", row, None) for row in gone]
    result, _ = purged(stream.getvalue(), "parquet", doomed, name="x.parquet")
    after = pq.ParquetFile(io.BytesIO(result))
    assert after.schema.equals(before.schema)
    assert after.schema_arrow.equals(before.schema_arrow, check_metadata=True)
    assert after.metadata.metadata == before.metadata.metadata
    kept = [at for at in range(len(rows)) if at not in gone]
    assert repr(after.read().to_pylist()) == repr([before.read().to_pylist()[at] for at in kept])
    groups = groups_of(len(rows), size, gone)
    found = [after.metadata.row_group(at) for at in range(after.num_row_groups)]
    assert [group.num_rows for group in found] == groups
    whole = before.metadata.row_group(0)
    for group in found:
        for at in range(group.num_columns):
            one, was = group.column(at), whole.column(at)
            assert one.compression == was.compression
            assert one.is_stats_set == was.is_stats_set
            assert one.has_dictionary_page == was.has_dictionary_page


@given(_TABLE, st.sets(st.integers(0, 11)), st.data())
def test_arrow_keeps_rows_types_metadata_and_batches(
    rows: list[dict[str, Any]], gone: set[int], data: st.DataObject
) -> None:
    table = pa.Table.from_pylist(rows, _SCHEMA).append_column(
        "kind", pa.array(["ab"[at % 2] for at in range(len(rows))]).dictionary_encode()
    )
    codec, size = data.draw(st.sampled_from([None, "lz4", "zstd"])), data.draw(st.integers(1, 12))
    stream = io.BytesIO()
    options = pa.ipc.IpcWriteOptions(compression=codec)
    is_file = data.draw(st.booleans())
    make = pa.ipc.new_file if is_file else pa.ipc.new_stream
    more = {"metadata": {"foot": "er"}} if is_file else {}
    with make(stream, table.schema, options=options, **more) as writer:
        for number, batch in enumerate(table.to_batches(max_chunksize=size)):
            writer.write_batch(batch, custom_metadata={"batch": str(number)})
    gone = {row for row in gone if row < len(rows)}
    doomed = [Doomed(f"row {row}", "image.bytes", row, None) for row in gone]
    result, _ = purged(stream.getvalue(), "arrow", doomed, name="x.arrow")
    open_ = pa.ipc.open_file if is_file else pa.ipc.open_stream
    after = open_(result)
    assert after.schema.equals(table.schema, check_metadata=True)
    kept = [at for at in range(len(rows)) if at not in gone]
    assert repr(after.read_all().to_pylist()) == repr([table.to_pylist()[at] for at in kept])
    if is_file:
        assert after.metadata == {b"foot": b"er"}
    groups = groups_of(len(rows), size, gone)
    sizes = [batch.num_rows for batch in open_(result).read_all().to_batches()]
    assert sizes == groups


def test_codec_of_an_arrow_stream_stays() -> None:
    table = pa.table({"a": [b"x" * 5000] * 4})
    for codec in ("lz4", "zstd"):
        stream = io.BytesIO()
        options = pa.ipc.IpcWriteOptions(compression=codec)
        with pa.ipc.new_stream(stream, table.schema, options=options) as writer:
            writer.write_table(table)
        result, _ = purged(stream.getvalue(), "arrow", [Doomed("row 1", "a", 1, None)])
        assert len(result) < 2000
        assert pa.ipc.open_stream(result).read_all().num_rows == 3


# --- listings ---------------------------------------------------------------------------------


def test_listings_lose_the_rows_that_name_what_goes_and_no_byte_else() -> None:
    lines = (
        b'{"file_name": "a.jpg", "text": "one"}\r\n',
        b'{"file_names": ["b.jpg", "a.jpg"]}\n',
        b"\n",
        b'{"file_name": "b/a.jpg"}\n',
        b'{"other": "a.jpg"}',
    )
    result, how = purged(b"".join(lines), "folder", [], name="metadata.jsonl", listed=("a.jpg",))
    assert result == b"".join(lines[2:])
    assert how.cut.with_them == {"listed-row": 2}
    goes, stays = b'"a.jpg","1\n2"\r\n', b'"b.jpg","a\nb, ""c"""\r\n'
    table = b"\xef\xbb\xbffile_name,text\r\na.jpg,x\r\n" + stays + goes + b"c.jpg,y"
    result, _ = purged(table, "folder", [], name="metadata.csv", listed=("a.jpg", "z.jpg"))
    assert result == b"\xef\xbb\xbffile_name,text\r\n" + stays + b"c.jpg,y"
    stream = io.BytesIO()
    pq.write_table(pa.table({"file_name": ["a.jpg", "b.jpg"], "n": [1, 2]}), stream)
    result, _ = purged(stream.getvalue(), "parquet", [], name="metadata.parquet", listed=("a.jpg",))
    assert pq.read_table(io.BytesIO(result)).to_pylist() == [{"file_name": "b.jpg", "n": 2}]


# --- samples ----------------------------------------------------------------------------------


def test_sample_goes_as_a_whole_and_a_second_of_its_key_stays() -> None:
    names = ["1.jpg", "1.txt", "2.jpg", "2.txt", "1.jpg", "1.txt", "1.json"]
    assert rest_of_samples(names, {0}) == {1}
    assert rest_of_samples(names, {4}) == {5, 6}
    apart = ["1.jpg", "2.jpg", "1.txt", "2.txt"]
    assert rest_of_samples(apart, {0}) == {2}
    assert rest_of_samples(["1.left.jpg", "1.right.jpg", "1.json"], {1}) == {0, 2}
    many = [f"img.{number}.jpg" for number in range(17)] + ["img.3.txt", "img.txt"]
    assert rest_of_samples(many, {3}) == {17}


def test_files_of_a_folder_go_with_their_picture_alone() -> None:
    names = ["a.jpg", "a.txt", "a.jpg.json", "a", "b.jpg", "b.png", "b.txt", "c/a.txt", "a.zip"]
    assert sidecars(names, ["a.jpg", "b.jpg"]) == ["a.txt", "a.jpg.json"]


# --- what is not right ------------------------------------------------------------------------


@pytest.mark.parametrize("damage", [lambda data: data[:-1], lambda data: b"x" + data[1:]])
def test_what_was_written_wrongly_is_not_taken(damage: Damage) -> None:
    members = [("a.jpg", b"abc"), ("b.jpg", b"def" * 400)]
    plain = tar_with(members, tarfile.GNU_FORMAT)
    stream = io.BytesIO()
    pq.write_table(pa.table({"a": [b"1", b"2"]}), stream)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, content in members:
            archive.writestr(name, content)
    table = pa.table({"a": [b"1", b"2"]})
    arrow = io.BytesIO()
    with pa.ipc.new_file(arrow, table.schema) as writer:
        writer.write_table(table)
    for content, kind, doomed in (
        (plain, "tar", doomed_of("a.jpg", 512, b"abc")),
        (gzip.compress(plain), "tar", doomed_of("a.jpg", 512, b"abc")),
        (packed.getvalue(), "zip", doomed_of("a.jpg", None, b"abc")),
        (stream.getvalue(), "parquet", Doomed("row 0", "a", 0, None)),
        (arrow.getvalue(), "arrow", Doomed("row 0", "a", 0, None)),
    ):
        with pytest.raises(ContainerNotVerified):
            purged(content, kind, [doomed], damage=damage)


def test_what_cannot_be_rewritten_is_said() -> None:
    for content, kind, words in (
        (gzip.compress(b"\xff\xd8\xff\xe0" * 200), "packed", "single file packed by gzip"),
        (b"sha256\n" + b"0" * 64, "hashlist", "--manifest"),
        (b"\0" * 20, "tfrecord", "TFRecord"),
        (tar_with([("a.jpg", b"a" * 999)], tarfile.GNU_FORMAT)[:700], "tar", "damaged"),
        (b"PK\3\4" + b"\0" * 60, "zip", "damaged"),
        (b"PAR1" + b"\0" * 60, "parquet", "damaged"),
        (b"ARROW1\0\0" + b"\0" * 60, "arrow", "damaged"),
        (gzip.compress(tar_with([("a.jpg", b"a" * 9999)], 1))[:60], "tar", "damaged"),
    ):
        with pytest.raises(ContainerUnsupported) as caught:
            purged(content, kind, [doomed_of("a.jpg", 512, b"abc")])
        assert words in str(caught.value), caught.value
