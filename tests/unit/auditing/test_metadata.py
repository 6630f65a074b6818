"""Tables without pictures: columns are told, each row is compared or counted with a reason."""

import base64
import gzip
import hashlib
import json
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from egide.auditing.parts import part_path, read_findings, write_part
from egide.auditing.reading import Fingerprinter
from egide.auditing.scan import Banks, Part, Scanner
from egide.auditing.sources import Columns, Item, Rows, Shard, metadata, open_source, read_shard
from egide.auditing.sources.base import Expansion
from egide.auditing.sources.metadata_columns import tell
from egide.domain.coverage import Gap
from egide.domain.model import DEFAULT_LIMITS, FILE_SIGNALS, BankKind, Entry, Mode, Signal
from egide.hashlist.addresses import canonical_address
from egide.index.snapshot import Snapshot
from egide.index.snapshot_build import build_snapshot
from egide.matching import Matcher
from pictures import encoded, pictures
from search_data import NOW, bank, entry
from store_samples import code, region_code

MD5 = [hashlib.md5(b"%d" % number).digest() for number in range(9)]
URLS = [f"https://Example.com/{number}.jpg#x" for number in range(9)]


def _url_sha256(url: str) -> bytes:
    return hashlib.sha256((canonical_address(url) or "").encode()).digest()


def _held(number: int, **digests: bytes) -> Entry:
    return replace(entry(number), **digests)  # type: ignore[arg-type]


def audit(
    path: Path, entries: Iterable[Entry], folder: Path, asked: Collection[str] | None = None
) -> Part:
    """All of a table's shards as one part."""
    snapshot = folder / "s.snapshot"
    banks = [bank(), replace(bank("harmless", 2), kind=BankKind.NEGATIVE)]
    build_snapshot(snapshot, store_id="s", revision=1, banks=banks, entries=entries, created=NOW)
    whole = Part()
    with Snapshot.open(snapshot) as opened:
        matcher = Matcher(opened, banks=asked)
        scanner = Scanner(Banks(matcher, opened.signals_held(matcher.banks)))
        reader = Fingerprinter(Mode.FAST, DEFAULT_LIMITS, ())
        source = open_source(str(path))
        for shard in source.shards():
            for part in scanner.parts(shard.name, reader.rows(shard)):
                scanner.match(part, shard.name)
                whole.items += part.items
                whole.matched_items += part.matched_items
                whole.vetoed_items += part.vetoed_items
                whole.columns += part.columns
                whole.compared += part.compared
                whole.gaps += part.gaps
                whole.matches += part.matches
                whole.vetoed += part.vetoed
                whole.gap_rows += part.gap_rows
    return whole


ROWS: list[dict[str, Any]] = [
    {"url": URLS[0], "caption": "a cat", "meta": {"md5": MD5[0].hex(), "n": 1}},
    {"url": "no address", "caption": "a dog", "meta": {"md5": MD5[1].hex().upper(), "n": 2}},
    {"url": URLS[2], "caption": "a cow", "meta": {"md5": None, "n": 3}},
    {"url": "nothing", "caption": "", "meta": {"md5": "no hash", "n": 4}},
    {"url": None, "caption": "", "meta": None},
]


def _write(path: Path, kind: str) -> Path:
    path = path / f"table.{kind}"
    if kind == "parquet":
        pq.write_table(pa.Table.from_pylist(ROWS), path, row_group_size=2)
    elif kind.startswith("jsonl"):
        text = "".join(json.dumps(row) + "\n" for row in ROWS).encode()
        path.write_bytes(gzip.compress(text) if kind.endswith("gz") else text)
    else:
        lines = ["url;caption;md5"]
        for row in ROWS:
            md5 = (row["meta"] or {}).get("md5") or ""
            lines.append(f'{row["url"] or ""};"{row["caption"]}; said";{md5}')
        path.write_text("\n".join(lines) + "\n")
    return path


@pytest.mark.parametrize("kind", ["parquet", "jsonl", "jsonl.gz", "csv"])
def test_rows_are_compared_by_what_they_have_and_the_others_counted(
    tmp_path: Path, kind: str
) -> None:
    entries = [
        _held(1, md5=MD5[1]),
        _held(2, url_sha256=_url_sha256(URLS[2])),
        _held(3, md5=MD5[8]),
    ]
    part = audit(_write(tmp_path, kind), entries, tmp_path)
    first = 0 if kind == "parquet" else 1
    assert [(row.item, row.entry, row.signal, row.way) for row in part.matches] == [
        (f"row {first + 1}", 1, "md5", "file"),
        (f"row {first + 2}", 2, "url_sha256", "address"),
    ]
    assert part.compared == {"md5": 2, "url_sha256": 2}
    assert part.items == 3
    assert part.gaps == {"row": 2}
    assert {row.code for row in part.gap_rows} == {"value-missing"}


def test_a_row_is_not_compared_if_no_bank_holds_what_it_has(tmp_path: Path) -> None:
    part = audit(_write(tmp_path, "jsonl"), [_held(1, md5=MD5[1])], tmp_path)
    assert part.items == 2
    assert part.gaps == {"row": 3}
    assert any("no bank that is searched" in row.message for row in part.gap_rows)


def test_a_row_is_not_compared_by_what_only_other_banks_hold(tmp_path: Path) -> None:
    held = [_held(1, md5=MD5[1]), entry(2, md5=MD5[0], bank="harmless")]
    part = audit(_write(tmp_path, "jsonl"), held, tmp_path, ["harmless"])
    assert (part.compared, part.gaps) == ({"md5": 2}, {"row": 3})
    part = audit(_write(tmp_path, "jsonl"), [entry(1, md5=MD5[1])], tmp_path, ["harmless"])
    assert (part.compared, part.gaps) == ({}, {"row": 5})


def test_pdqs_are_searched_within_the_radius_and_vetoes_hold(tmp_path: Path) -> None:
    near = bytes([region_code(1)[0] ^ 1, *region_code(1)[1:]])
    table = pa.table({"pdq_hash": [region_code(1).hex(), region_code(2).hex(), None]})
    pq.write_table(table, tmp_path / "p.parquet")
    found = audit(tmp_path / "p.parquet", [entry(1, near)], tmp_path)
    assert [(row.item, row.distance) for row in found.matches] == [("row 0", 1)]
    assert (found.items, found.gaps) == (2, {"row": 1})
    harmless = entry(2, region_code(1), bank="harmless")
    vetoed = audit(tmp_path / "p.parquet", [entry(1, near), harmless], tmp_path)
    assert (vetoed.matches, vetoed.vetoed_items) == ([], 1)
    assert [(row.item, row.entry, row.vetoed_by) for row in vetoed.vetoed] == [("row 0", 1, [2])]
    write_part(tmp_path, "shard", 0, vetoed)
    assert list(read_findings(part_path(tmp_path, "shard", 0)))[:1] == vetoed.vetoed


@pytest.mark.parametrize(
    ("values", "path", "signal", "is_address"),
    [
        ([MD5[0].hex()], "anything", Signal.MD5, False),
        ([code(1)[:20].hex()], "x.y", Signal.SHA1, False),
        ([code(n).hex() for n in range(20)], "file", Signal.SHA256, False),
        ([region_code(n).hex() for n in range(20)], "a[].hash", Signal.PDQ, False),
        ([region_code(1).hex()], "sha256", Signal.SHA256, False),
        ([code(1)], "digest", Signal.SHA256, False),
        ([MD5[0].hex()], "url_md5", Signal.URL_MD5, False),
        (["http://a.example/b"], "photo", None, True),
        (["0f8fad5bd9cb469fa16570867728950e"] * 3, "id", None, False),
        (["a caption", "another"], "caption", None, False),
    ],
)
def test_a_column_is_told_by_name_and_content(
    values: list[Any], path: str, signal: Signal | None, is_address: bool
) -> None:
    told = tell(values, path)
    assert (told.signal, told.is_address) == (signal, is_address)
    assert not told.reason


@pytest.mark.parametrize(
    ("values", "path", "reason"),
    [
        (["words"], "md5", "its values are none"),
        (["AAAA"], "photodna", "PhotoDNA"),
        ([code(1).hex(), region_code(1).hex()] * 9, "hash", "may be PDQ or SHA-256"),
    ],
)
def test_a_column_that_is_not_compared_says_why(values: list[Any], path: str, reason: str) -> None:
    assert reason in tell(values, path).reason


def test_columns_that_are_not_compared_are_gaps(tmp_path: Path) -> None:
    table = pa.table({"md5": [MD5[0].hex()], "hash": [7], "photodna": ["AAAA"]})
    pq.write_table(table, tmp_path / "t.parquet")
    part = audit(tmp_path / "t.parquet", [_held(1, md5=MD5[0])], tmp_path)
    assert len(part.matches) == 1
    assert part.gaps == {"column": 2}


@settings(max_examples=20)
@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9), st.integers(0, 9)), min_size=1),
    st.sets(st.integers(0, 9)),
)
def test_the_join_is_the_comparison_of_each_row_with_each_entry(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[int, ...]], held: set[int]
) -> None:
    folder = tmp_path_factory.mktemp("join")
    digests = {
        signal: [code(1000 * at + n)[: (32, 20, 16)[at]] for n in range(10)]
        for at, signal in enumerate(FILE_SIGNALS)
    }
    entries = [
        _held(1 + 10 * at + n, **{signal: digests[signal][n]})
        for at, signal in enumerate(FILE_SIGNALS)
        for n in sorted(held)
    ] + [_held(99, **{signal: bytes([7]) * len(digests[signal][0]) for signal in FILE_SIGNALS})]
    lines = [
        {signal: digests[signal][n].hex() for signal, n in zip(FILE_SIGNALS, row, strict=True)}
        for row in rows
    ]
    path = folder / "t.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    part = audit(path, entries, folder)
    expected = {
        (f"row {at + 1}", 1 + 10 * place + n)
        for at, row in enumerate(rows)
        for place, n in enumerate(row)
        if n in held
    }
    assert {(row.item, row.entry) for row in part.matches} == expected
    assert part.items == len(rows)


DRAWN = encoded(pictures(1)[0].resize((32, 32)), "PNG")
HEAD = "md5,note\n"
TEXT = base64.b64encode(DRAWN).decode()


def _read(path: Path) -> list[Any]:
    return [
        one
        for shard in open_source(str(path)).shards()
        for one in read_shard(shard, DEFAULT_LIMITS)
    ]


def _compared(path: Path) -> tuple[int, int, dict[str, int]]:
    """Values of MD5, pictures, and gaps by kind."""
    found = _read(path)
    values = sum(len(one.rows.get(Signal.MD5, ())) for one in found if isinstance(one, Rows))
    pictures_ = sum(isinstance(one, Item) and one.content == DRAWN for one in found)
    gaps = Counter(
        one.kind.value for one in found if isinstance(one, Gap) for _ in range(one.count)
    )
    return values, pictures_, dict(gaps)


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        (
            "a.csv",
            f"md5,note\n{'x,' + 'y' * 1_100_000}\n" * 1 + f"{MD5[1].hex()},z\n",
            (1, 0, {"row": 2}),
        ),
        ("a.csv", HEAD + f"{MD5[1].hex()},a\n" * 4096 + '"' + "y\n" * 1_100_000, None),
        (
            "a.csv",
            f'md5,note\n{MD5[1].hex()},a\n{MD5[2].hex()},"b\n' + "1,2\n" * 9,
            (2, 0, {"row": 9}),
        ),
        ("a.csv", f"md5,image\n{MD5[1].hex()},{TEXT}\n,{TEXT}\n", (1, 2, {})),
        ("a.jsonl", json.dumps({"image": TEXT, "text": "a cat"}) + "\n", (0, 1, {})),
        ("a.json", json.dumps([{"image": TEXT, "text": "a cat"}]), (0, 1, {})),
        (
            "a.jsonl",
            json.dumps({"md5": MD5[1].hex(), "n": ["x"] * 20_000}) + "\n",
            (1, 0, {"row": 1}),
        ),
        ("a.csv", f"md5,{','.join('abcde' * 2001)}\n{MD5[1].hex()}\n", (1, 0, {"column": 6})),
    ],
)
def test_no_row_value_or_picture_of_a_text_is_passed_over(
    name: str, text: str, expected: tuple[int, int, dict[str, int]] | None, tmp_path: Path
) -> None:
    (tmp_path / name).write_text(text)
    compared = _compared(tmp_path / name)
    if expected is None:
        assert compared[0] == 4096
        assert compared[2]["row"] >= 1
    else:
        assert compared == expected


def test_a_table_of_hashes_in_a_folder_is_one(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(f"file;md5\nx;{MD5[1].hex()}\n")
    (tmp_path / "b.jsonl").write_text(json.dumps({"meta": {"md5": MD5[1].hex()}}) + "\n")
    (tmp_path / "captions.csv").write_text("file_name,text\na.png,a cat\n")
    assert _compared(tmp_path) == (2, 0, {})


@pytest.mark.parametrize(
    "image",
    [
        pa.array([DRAWN], pa.binary(len(DRAWN))),
        pa.array([list(DRAWN)], pa.list_(pa.int64())),
    ],
    ids=["bytes of one length", "numbers"],
)
def test_pictures_beside_addresses_are_found_in_columns_of_any_type(
    image: pa.Array, tmp_path: Path
) -> None:
    pq.write_table(pa.table({"url": URLS[:1], "image": image}), tmp_path / "t.parquet")
    assert _compared(tmp_path / "t.parquet")[1] == 1


# --- beside pictures ---------------------------------------------------------------------------

PNG = encoded(pictures(1)[0].resize((64, 48)), "PNG")
PICTURED: list[dict[str, Any]] = [
    {"jpg": PNG, "url": URLS[0], "raw": MD5[0], "phash": "AAAA", "caption": "a cat"},
    {"jpg": PNG, "url": URLS[1], "raw": MD5[1], "phash": "AAAA", "caption": "a dog"},
    {"jpg": None, "url": URLS[2], "raw": MD5[2], "phash": "AAAA", "caption": "a cow"},
]
BESIDE = [
    _held(1, md5=MD5[0], sha256=hashlib.sha256(PNG).digest()),
    _held(2, url_sha256=_url_sha256(URLS[2])),
]


@pytest.mark.parametrize("kind", ["parquet", "arrow"])
@pytest.mark.parametrize("digest", [pa.binary(), pa.binary(16)])
def test_what_stands_beside_a_picture_is_compared_and_the_picture_counts_once(
    tmp_path: Path, kind: str, digest: pa.DataType
) -> None:
    table = pa.Table.from_pylist(PICTURED)
    table = table.set_column(2, "raw", table.column("raw").cast(digest))
    path = tmp_path / f"t.{kind}"
    if kind == "parquet":
        pq.write_table(table, path)
    else:
        with pa.ipc.new_file(path, table.schema) as writer:
            writer.write_table(table)
    part = audit(path, BESIDE, tmp_path)
    assert {(row.item, row.entry, row.signal, row.key) for row in part.matches} == {
        ("row 0", 1, "sha256", "jpg"),
        ("row 1", 1, "sha256", "jpg"),
        ("row 0", 1, "md5", "url, raw"),
        ("row 2", 2, "url_sha256", "url, raw"),
    }
    assert (part.items, part.matched_items) == (3, 3)
    assert part.compared == {"md5": 3, "url_sha256": 3}
    assert part.gaps == {"row": 1, "column": 1}
    assert part.columns == [Columns({"jpg": 2, "url": 3, "raw": 3}, ("phash", "caption"))]


def test_no_bank_with_addresses_is_no_gap_of_a_row_with_its_picture(tmp_path: Path) -> None:
    rows = [{"jpg": PNG, "url": url} for url in URLS]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "t.parquet")
    part = audit(tmp_path / "t.parquet", [_held(1, md5=MD5[0])], tmp_path)
    assert (part.items, part.gaps, part.compared) == (9, {}, {})


@pytest.mark.parametrize(
    "records",
    [
        [{"a": "1", "b": "2"}, {"a": "3", "b": "4"}],
        [{"a": None, "b": "2", "c": 1}, {"a": "3", "b": "", "c": 2}, {"a": 1, "b": "5", "c": 3}],
        [{"a": "1"}, {"a": {"b": "2"}}, {"a": ["3", {"c": "4"}]}],
        [{"a": "1", "b": "2"}, {"b": "3", "a": "4"}, ["5"], "6", None, {}],
    ],
)
def test_json_lines_of_one_shape_give_the_columns_of_any_other(records: list[Any]) -> None:
    shard = Shard("metadata", "a.jsonl", "a.jsonl")
    together = metadata._Reading("a", Expansion(shard, DEFAULT_LIMITS))
    alone = metadata._Reading("a", Expansion(shard, DEFAULT_LIMITS))
    numbered = list(enumerate(records, 5))
    columns: dict[str, metadata.Column] = {}
    expected: dict[str, metadata.Column] = {}
    for part in (numbered[:2], numbered[2:]):
        if part:
            together._add_records(part, columns)
        for row, record in part:
            alone._add_record(record, row, expected)
    assert list(columns.items()) == list(expected.items())
