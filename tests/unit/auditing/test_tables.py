"""Tables of all shapes: where in them pictures stand, and what of them had none."""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import pytest

from egide.auditing.sources import Columns, Item, Other, Read, open_source, read_shard
from egide.domain.coverage import Gap, GapKind
from egide.domain.model import DEFAULT_LIMITS
from egide.errors import ColumnMissing, ItemError, SourceEncrypted, SourceTruncated
from pictures import encoded, pictures

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

PNG = encoded(pictures(1)[0].resize((32, 32)), "PNG")
JPEG = encoded(pictures(1)[0].resize((32, 32)))
TEXT = base64.b64encode(PNG)
ESCAPED = '{"a": "' + base64.b64encode(JPEG).decode().replace("/", "\\/") + '"}'
IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
ONE = {"bytes": PNG, "path": "a.png"}


def read(path: Path, columns: Sequence[str] = ()) -> list[Read]:
    source = open_source(str(path), columns)
    return [read for shard in source.shards() for read in read_shard(shard, DEFAULT_LIMITS)]


def found(path: Path, columns: Sequence[str] = ()) -> list[tuple[str | None, int | None]]:
    """Where each picture stands; and its bytes are those that were written."""
    items = [one for one in read(path, columns) if isinstance(one, Item)]
    for item in items:
        assert item.content in {PNG, JPEG}, item
    return [(item.key, item.offset) for item in items]


def gaps(path: Path, columns: Sequence[str] = ()) -> list[tuple[str, int]]:
    said = [one for one in read(path, columns) if isinstance(one, Gap)]
    return [(gap.kind.value, gap.count) for gap in said]


def parquet(path: Path, table: pa.Table, **options: Any) -> Path:
    pq.write_table(table, path / "t.parquet", **options)
    return path / "t.parquet"


def stream(path: Path, table: pa.Table, **options: Any) -> Path:
    with pa.ipc.new_stream(str(path / "t.arrow"), table.schema, **options) as writer:
        writer.write_table(table)
    return path / "t.arrow"


def file(path: Path, table: pa.Table) -> Path:
    with pa.ipc.new_file(str(path / "t.arrow"), table.schema) as writer:
        writer.write_table(table, max_chunksize=1)
    return path / "t.arrow"


def feather(path: Path, table: pa.Table) -> Path:
    pyarrow.feather.write_feather(table, str(path / "t.feather"), compression="lz4")
    return path / "t.feather"


WRITERS = [parquet, stream, file, feather]


def of(kind: pa.DataType, *values: object) -> pa.Table:
    return pa.table({"c": pa.array(values, kind)})


def message(image: object) -> list[dict[str, object]]:
    return [{"role": "user", "image": None}, {"role": "user", "image": image}]


B, L = pa.binary(), pa.list_
SHAPES: dict[str, tuple[pa.Table, list[tuple[str, int]]]] = {
    "binary": (of(B, PNG, JPEG), [("c", 0), ("c", 1)]),
    "large_binary": (of(pa.large_binary(), PNG), [("c", 0)]),
    "fixed_size_binary": (of(pa.binary(len(PNG)), PNG), [("c", 0)]),
    "image": (of(IMAGE, ONE, ONE), [("c.bytes", 0), ("c.bytes", 1)]),
    "bytes_alone": (of(pa.struct([("bytes", B)]), {"bytes": PNG}), [("c.bytes", 0)]),
    "struct": (of(pa.struct([("a", pa.struct([("x", B)]))]), {"a": {"x": PNG}}), [("c.a.x", 0)]),
    "list": (of(L(B), [PNG, None, JPEG], None, [PNG]), [("c[0]", 0), ("c[2]", 0), ("c[0]", 2)]),
    "large_list": (of(pa.large_list(IMAGE), [ONE]), [("c[0].bytes", 0)]),
    "fixed_size_list": (of(L(B, 2), [PNG, JPEG], [JPEG, PNG])[1:], [("c[0]", 0), ("c[1]", 0)]),
    "list_of_lists": (of(L(L(B)), [[], [PNG]], [[JPEG]]), [("c[1][0]", 0), ("c[0][0]", 1)]),
    "messages": (
        of(L(pa.struct([("role", pa.string()), ("image", IMAGE)])), message(ONE)),
        [("c[1].image.bytes", 0)],
    ),
    "map": (
        of(pa.map_(pa.string(), B), [("a", PNG), ("b", JPEG)]),
        [("c[0].value", 0), ("c[1].value", 0)],
    ),
    "map_of_numbers": (of(pa.map_(pa.int32(), IMAGE), [(7, ONE)]), [("c[0].value.bytes", 0)]),
    "map_by_picture": (of(pa.map_(B, pa.int32()), [(PNG, 1)]), [("c[0].key", 0)]),
    "list_of_maps": (
        of(L(pa.map_(pa.string(), L(B))), [[("a", [PNG])]]),
        [("c[0][0].value[0]", 0)],
    ),
    "dictionary": (
        pa.table({"c": pa.array([PNG, JPEG, PNG]).dictionary_encode()}),
        [("c", 0), ("c", 1), ("c", 2)],
    ),
    "dictionary_of_text": (
        pa.table({"c": pa.array([TEXT.decode()] * 2).dictionary_encode()}),
        [("c", 0), ("c", 1)],
    ),
    "numbers": (of(L(pa.uint8()), list(PNG), [1, 2]), [("c", 0)]),
    "signed_numbers": (of(L(pa.int8()), [b - 256 if b > 127 else b for b in PNG]), [("c", 0)]),
    "wide_numbers": (of(L(pa.int64()), [5, 99999], list(PNG)), [("c", 1)]),
    "base64": (of(pa.string(), "no picture", TEXT.decode()), [("c", 1)]),
    "base64_as_bytes": (of(B, TEXT), [("c", 0)]),
    "base64_for_urls": (
        of(pa.large_string(), base64.urlsafe_b64encode(JPEG).decode().rstrip("=")),
        [("c", 0)],
    ),
    "base64_in_lines": (of(pa.string(), base64.encodebytes(JPEG).decode()), [("c", 0)]),
    "data_url": (of(pa.string(), "data:image/png;base64," + TEXT.decode()), [("c", 0)]),
    "data_url_with_more": (
        of(pa.string(), "DATA:image/png;charset=utf-8;base64," + TEXT.decode()),
        [("c", 0)],
    ),
    "in_markdown": (
        of(pa.string(), f"see ![x](data:image/png;base64,{TEXT.decode()}) and so on"),
        [("c", 0)],
    ),
    "in_json": (
        of(pa.string(), f'{{"a": "{TEXT.decode()}", "b": ["{TEXT.decode()}"]}}'),
        [("c", 0), ("c#2", 0)],
    ),
    "in_json_with_escapes": (
        of(pa.string(), ESCAPED),
        [("c", 0)],
    ),
    "hexadecimal": (of(pa.string(), "\\x" + PNG.hex(), JPEG.hex().upper()), [("c", 0), ("c", 1)]),
    "python_literal": (of(pa.string(), repr(PNG)), [("c", 0)]),
    "texts_in_structs": (
        of(
            L(pa.struct([("url", pa.string())])),
            [{"url": "data:image/png;base64," + TEXT.decode()}],
        ),
        [("c[0].url", 0)],
    ),
    "late": (of(B, *([None] * 2000), b"", b"placeholder", PNG), [("c", 2002)]),
    "second_of_a_name": (
        pa.table([pa.array([b"junk"]), pa.array([PNG])], names=["c", "c"]),
        [("c#2", 0)],
    ),
    "name_with_dots": (
        pa.table({"a.b": [PNG], "x[]": pa.array([[PNG]])}),
        [("a.b", 0), ("x[][0]", 0)],
    ),
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("write", WRITERS)
def test_pictures_are_found_wherever_they_stand(
    shape: str, write: Callable[[Path, pa.Table], Path], tmp_path: Path
) -> None:
    table, expected = SHAPES[shape]
    assert found(write(tmp_path, table)) == expected


def run_ends(*values: object) -> pa.Array:
    return pa.RunEndEncodedArray.from_arrays(pa.array([2, 5], pa.int32()), pa.array(values))


def union(kind: str) -> pa.Array:
    codes = pa.array([0, 1, 0], pa.int8())
    if kind == "sparse":
        parts = [pa.array([PNG, b"", JPEG]), pa.array([0, 7, 0])]
        return pa.UnionArray.from_sparse(codes, parts, ["image", "number"])
    offsets = pa.array([0, 0, 1], pa.int32())
    parts = [pa.array([PNG, JPEG]), pa.array([7])]
    return pa.UnionArray.from_dense(codes, offsets, parts, ["image", "number"])


ARROW_ONLY = {
    "binary_view": (pa.array([PNG], pa.binary_view()), [("c", 0)]),
    "string_view": (pa.array([TEXT.decode()], pa.string_view()), [("c", 0)]),
    "list_view": (
        pa.ListViewArray.from_arrays(
            pa.array([1, 0], pa.int32()), pa.array([1, 1], pa.int32()), pa.array([PNG, JPEG])
        ),
        [("c[0]", 0), ("c[0]", 1)],
    ),
    "run_ends": (run_ends(b"", PNG), [("c", 2), ("c", 3), ("c", 4)]),
    "run_ends_cut": (run_ends(b"", PNG).slice(1, 2), [("c", 1)]),
    "sparse_union": (union("sparse"), [("c.image", 0), ("c.image", 2)]),
    "dense_union": (union("dense"), [("c.image", 0), ("c.image", 2)]),
    "union_cut": (union("sparse").slice(1), [("c.image", 1)]),
    "extension": (
        pa.ExtensionArray.from_storage(pa.opaque(B, "x", "y"), pa.array([PNG])),
        [("c", 0)],
    ),
    "dictionary_in_struct": (
        pa.StructArray.from_arrays([pa.array([b"", PNG]).dictionary_encode()], ["x"]),
        [("c.x", 1)],
    ),
    "slices": (
        pa.array([[{"bytes": b"1", "path": None}], [ONE, ONE]], L(IMAGE)).slice(1),
        [("c[0].bytes", 0), ("c[1].bytes", 0)],
    ),
    "fixed_slices": (
        pa.array([[b"", b""], [PNG, JPEG]], L(B, 2)).slice(1),
        [("c[0]", 0), ("c[1]", 0)],
    ),
}


@pytest.mark.parametrize("shape", ARROW_ONLY)
def test_what_only_arrow_can_store_is_looked_at(shape: str, tmp_path: Path) -> None:
    array, expected = ARROW_ONLY[shape]
    assert found(stream(tmp_path, pa.table({"c": array}))) == expected


MANY = [None, b"junk", PNG, b"", b"more junk"]


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        (of(B, *MANY), [("row", 2), ("row", 2)]),
        (of(B, None, None), [("row", 2)]),
        (of(pa.string(), "https://a.org/x.jpg", "https://a.org/y", "words", None), [("row", 2)]),
        (of(pa.string(), "images/x.PNG", "C:\\pictures\\x.jpg"), [("row", 2)]),
        (pa.table({"url": ["http://a/1", "http://a/2"], "jpg": [PNG, None]}), [("row", 1)]),
        (of(L(pa.struct([("url", pa.string())])), [{"url": "s3://b/x"}] * 3, []), [("row", 1)]),
        (of(IMAGE, {"bytes": None, "path": "x.png"}, ONE, None), [("row", 1), ("row", 1)]),
        (of(L(pa.struct([("image", IMAGE)])), [{"image": ONE}], [{"image": None}], []), []),
        (of(IMAGE, {"bytes": b"sound", "path": "x.wav"}), [("row", 1)]),
        (of(L(L(pa.uint8())), [[1, 2], [3, 4]]), [("column", 1)]),
        (
            pa.table(
                {
                    "c": pa.FixedShapeTensorArray.from_numpy_ndarray(np.zeros((2, 4, 4), np.uint8)),
                    "d": [PNG, PNG],
                }
            ),
            [("column", 1)],
        ),
        (pa.table({"embedding": [b"\1" * 64] * 3, "c": [PNG] * 3, "caption": ["words"] * 3}), []),
        (of(pa.string(), TEXT.decode(), "placeholder"), [("row", 1)]),
        (of(B, b"7z\xbc\xaf\x27\x1c" + bytes(80), PNG), [("archive", 1)]),
    ],
)
@pytest.mark.parametrize("write", [parquet, stream])
def test_what_held_no_picture_is_counted(
    table: pa.Table,
    expected: list[tuple[str, int]],
    write: Callable[[Path, pa.Table], Path],
    tmp_path: Path,
) -> None:
    assert gaps(write(tmp_path, table)) == expected


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ("b", [("b.x[0].bytes", 0)]),
        ("b.x", [("b.x[0].bytes", 0)]),
        ("b.x[].bytes", [("b.x[0].bytes", 0)]),
        ("a", [("a", 0), ("a#2", 0)]),
        ("a#2", [("a#2", 0)]),
    ],
)
def test_a_column_is_named_by_its_path(
    wanted: str, expected: list[tuple[str, int]], tmp_path: Path
) -> None:
    nested = pa.array([{"x": [ONE]}], pa.struct([("x", L(IMAGE))]))
    table = pa.table([pa.array([PNG]), pa.array([JPEG]), nested], names=["a", "a", "b"])
    assert found(parquet(tmp_path, table), [wanted]) == expected


def test_what_came_of_each_column_is_told(tmp_path: Path) -> None:
    table = pa.table(
        {
            "n": [1, 2],
            "image": pa.array([[PNG, JPEG], [PNG]]),
            "caption": ["a", "b"],
            "c": [b"1"] * 2,
        }
    )
    (said,) = [one for one in read(parquet(tmp_path, table)) if isinstance(one, Columns)]
    assert said == Columns({"image[]": 3}, ("caption", "c"), ("n",))
    (said,) = [one for one in read(tmp_path / "t.parquet", ["image"]) if isinstance(one, Columns)]
    assert said == Columns({"image[]": 3}, (), ("n", "caption", "c"))


@pytest.mark.parametrize("table", [of(pa.int64(), 1), of(pa.string(), "words"), of(B, b"junk")])
def test_a_table_without_pictures_names_its_columns(table: pa.Table, tmp_path: Path) -> None:
    with pytest.raises(ColumnMissing, match=r"columns are c\..*--column"):
        read(parquet(tmp_path, table))


def test_a_run_without_pictures_is_no_table_without_pictures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("egide.auditing.sources.parquet.RUN_ROWS", 2)
    path = parquet(tmp_path, of(B, *([b"junk"] * 4), PNG), row_group_size=2)
    assert found(path) == [("c", 4)]
    assert gaps(path) == []
    assert Other(".rows") in read(path)


# --- damage and encryption --------------------------------------------------------------------


def spoil(path: Path, group: int, column: int) -> None:
    """Damage the pages of one column in one row group."""
    chunk = pq.ParquetFile(path).metadata.row_group(group).column(column)
    raw = bytearray(path.read_bytes())
    raw[chunk.data_page_offset : chunk.data_page_offset + 20] = b"\xff" * 20
    path.write_bytes(raw)


def test_a_damaged_column_costs_no_other_and_no_other_row_group(tmp_path: Path) -> None:
    table = pa.table({"a": [PNG] * 6, "b": [JPEG] * 6})
    path = parquet(tmp_path, table, row_group_size=2, use_dictionary=False)
    spoil(path, 1, 0)
    places = [("a", 0), ("b", 0), ("a", 1), ("b", 1), ("b", 2), ("b", 3)]
    assert found(path) == [*places, ("a", 4), ("b", 4), ("a", 5), ("b", 5)]
    (gap,) = [one for one in read(path) if isinstance(one, Gap)]
    assert (gap.kind, gap.code) == (GapKind.COLUMN, "column-unread")
    assert "column a" in gap.message
    assert "rows 2 to 3 of it are damaged" in gap.message


def encrypt(path: Path, *, plain_footer: bool) -> Path:
    from pyarrow.parquet import encryption

    class Keys(encryption.KmsClient):
        def wrap_key(self, key_bytes: bytes, _master: str) -> bytes:
            return base64.b64encode(key_bytes)

    properties = encryption.CryptoFactory(lambda _: Keys()).file_encryption_properties(
        encryption.KmsConnectionConfig(),
        encryption.EncryptionConfiguration(
            footer_key="f", column_keys={"k": ["a"]}, plaintext_footer=plain_footer
        ),
    )
    return parquet(path, pa.table({"a": [PNG], "b": [PNG]}), encryption_properties=properties)


def test_an_encrypted_footer_is_told(tmp_path: Path) -> None:
    with pytest.raises(SourceEncrypted, match=r"t\.parquet is encrypted"):
        read(encrypt(tmp_path, plain_footer=False))


def test_an_encrypted_column_is_told_and_costs_no_other(tmp_path: Path) -> None:
    path = encrypt(tmp_path, plain_footer=True)
    assert found(path) == [("b", 0)]
    (gap,) = [one for one in read(path) if isinstance(one, Gap)]
    assert gap.kind is GapKind.COLUMN
    assert "column a was not compared: it is encrypted" in gap.message


@pytest.mark.parametrize("write", [stream, file])
def test_a_cut_arrow_file_keeps_what_came_before(
    write: Callable[[Path, pa.Table], Path], tmp_path: Path
) -> None:
    table = pa.concat_tables([of(B, PNG), of(B, JPEG), of(B, PNG)])
    path = write(tmp_path, table)
    path.write_bytes(path.read_bytes()[: -len(PNG) - 1200 if write is file else -8])
    said: list[Read] = []
    (shard,) = open_source(str(path)).shards()
    with pytest.raises(SourceTruncated, match="ends too early"):
        said.extend(read_shard(shard, DEFAULT_LIMITS))
    contents = [one.content for one in said if isinstance(one, Item)]
    assert contents == [PNG, JPEG, PNG][: len(contents)]
    assert contents


def test_offsets_that_lead_out_of_an_arrow_file_are_damage(tmp_path: Path) -> None:
    table = pa.table({"a": pa.array([[PNG], [JPEG]]), "b": [PNG, JPEG]})
    path = stream(tmp_path, table)
    offsets, wild = (np.array([0, 1, end], np.int32).tobytes() for end in (2, 2**30))
    assert path.read_bytes().count(offsets) == 1
    path.write_bytes(path.read_bytes().replace(offsets, wild))
    assert found(path) == [("b", 0), ("b", 1)]
    assert gaps(path) == [("column", 1)]


# --- archives in tables -----------------------------------------------------------------------


def test_an_archive_in_a_column_is_opened(tmp_path: Path) -> None:
    import zipfile

    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("x.png", PNG)
    (item, _) = read(parquet(tmp_path, of(B, packed.getvalue())))
    assert isinstance(item, Item)
    assert not isinstance(item.content, ItemError)
    assert (item.name, item.content) == ("row 0/x.png", PNG)


def test_a_picture_among_other_bytes_and_a_column_that_is_missing_are_counted(
    tmp_path: Path,
) -> None:
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"small": [PNG], "image": [b"\0\0\0\5" + PNG]}), path)
    assert gaps(path) == [("archive", 1)]
    assert gaps(path, ["small", "large"]) == [("column", 1)]
