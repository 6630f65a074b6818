"""Reading and writing hash lists: every format, every kind of bad line."""

import csv
import io
import random
import string
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from egide.domain.model import Entry, Registration, Signal, State, Trust
from egide.errors import (
    FileMissing,
    FileUnreadable,
    HashInvalid,
    HashKindUnsure,
    ListUnreadable,
    SchemaTooNew,
    UsageError,
)
from egide.hashlist import BadLine, HashLine, HashListFormat, parse_hex, read_hash_list
from egide.hashlist.read import MAX_LINE_BYTES
from egide.hashlist.values import neutralise, restore
from egide.hashlist.write import csv_pieces, write_hash_list
from store_samples import anchored, region_code

PDQ = region_code(1)
PDQ_2 = region_code(2)
SHA256 = bytes(range(100, 132))
MD5 = bytes(range(200, 216))
TIME = datetime(2026, 11, 22, 12, 30, tzinfo=UTC)
# As `threatexchange dataset -P --csv` prints it (Python's csv.DictWriter: CRLF).
THREATEXCHANGE = (
    "signal_type,signal_str,collab,category,tags\r\n"
    f"pdq,{PDQ.hex()},Sample Signals,INVESTIGATION_SEED,\r\n"
    f"video_md5,{MD5.hex()},Sample Signals,POSITIVE_CLASS,a b\r\n"
)


def read(text: str | bytes, signal: Signal | None = None) -> list[HashLine | BadLine]:
    raw = text if isinstance(text, bytes) else text.encode()
    return list(read_hash_list(io.BytesIO(raw), name="list", signal=signal))


def only_bad(text: str | bytes, signal: Signal | None = None) -> BadLine:
    (line,) = read(text, signal)
    assert isinstance(line, BadLine)
    return line


def entry(number: int = 1, **changes: object) -> Entry:
    values: dict[str, object] = {
        "id": number,
        "bank": "helpline",
        "pdqs": (PDQ,),
        "sha256": None,
        "md5": None,
        "quality": 90,
        "trust": Trust.CONFIRMED,
        "state": State.ACTIVE,
        "source": "local",
        "note": "",
        "added": TIME,
        "changed": TIME,
        "expires": None,
        "revision": 3,
    }
    return Entry(**{**values, **changes})  # type: ignore[arg-type]


def exported(entries: list[Entry], list_format: HashListFormat = HashListFormat.CSV) -> str:
    out = io.StringIO(newline="")
    write_hash_list(entries, out, list_format)
    return out.getvalue()


# --- lines ----------------------------------------------------------------------------------


def test_digits_alone_are_told_apart_by_their_length() -> None:
    assert read(f"{PDQ.hex()}\n{MD5.hex()}\n") == [
        HashLine(1, pdqs=(PDQ,)),
        HashLine(2, md5=MD5),
    ]


def test_digits_alone_are_what_the_caller_says() -> None:
    assert read(SHA256.hex(), Signal.SHA256) == [HashLine(1, sha256=SHA256)]
    assert only_bad(MD5.hex(), Signal.SHA256).code == "hash-invalid"


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("pdq", PDQ, HashLine(1, pdqs=(PDQ,))),
        ("HASH_PDQ", PDQ, HashLine(1, pdqs=(PDQ,))),
        ("sha256", SHA256, HashLine(1, sha256=SHA256)),
        ("Video_SHA256", SHA256, HashLine(1, sha256=SHA256)),
        ("HASH_SHA256", SHA256, HashLine(1, sha256=SHA256)),
        ("md5", MD5, HashLine(1, md5=MD5)),
        ("video_md5", MD5, HashLine(1, md5=MD5)),
        ("HASH_MD5", MD5, HashLine(1, md5=MD5)),
        ("HASH_VIDEO_MD5", MD5, HashLine(1, md5=MD5)),
    ],
)
def test_a_typed_line_names_its_signal(name: str, value: bytes, expected: HashLine) -> None:
    assert read(f"{name} {value.hex()}\n") == [expected]


def test_layout_does_not_matter() -> None:
    text = (
        "\ufeff# a list\r\n\r\n"
        f"  {PDQ.hex().upper()}\t\r\n"
        f'"{PDQ_2.hex()}"\r\n'
        f"  # {MD5.hex()}\r\n"
        f"'PDQ'   '{PDQ.hex()}'"
    )
    assert read(text) == [
        HashLine(3, pdqs=(PDQ,)),
        HashLine(4, pdqs=(PDQ_2,)),
        HashLine(6, pdqs=(PDQ,)),
    ]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (f"{PDQ.hex()[:-1]}g", "64 hexadecimal"),
        (PDQ.hex()[:-2], "expected 64"),
        (PDQ.hex() + "00", "expected 64"),
        (f"pdq {MD5.hex()}", "64 hexadecimal"),
        (f"md5 {PDQ.hex()}", "32 hexadecimal"),
        (f"tlsh {PDQ.hex()}", "unknown signal type"),
        (f"pdq {PDQ.hex()} NEGATIVE_CLASS", "no match"),
        (f"pdq {PDQ.hex()} and more", "signal_type value"),
        ("pdq " + "0" * 64, "zeros or ones"),
        ("F" * 64, "zeros or ones"),
        ("sha256 e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "empty file"),
        ("d41d8cd98f00b204e9800998ecf8427e", "empty file"),
        (PDQ.hex()[:63] + "\0", "NUL"),
        (PDQ.hex().encode() + b"\xff", "UTF-8"),
        (PDQ.hex().encode("utf-16"), "NUL"),
        (" ".join([PDQ.hex()[:32], PDQ.hex()[33:]]), "expected 64"),
    ],
)
def test_a_bad_line_has_its_number_and_costs_no_other(text: str | bytes, reason: str) -> None:
    raw = text if isinstance(text, bytes) else text.encode()
    before, bad, after = read(PDQ.hex().encode() + b"\n" + raw + b"\n" + MD5.hex().encode())
    assert (before, after) == (HashLine(1, pdqs=(PDQ,)), HashLine(3, md5=MD5))
    assert isinstance(bad, BadLine)
    assert bad.line == 2
    assert reason in bad.reason


def test_a_line_without_end_is_skipped_without_being_held() -> None:
    class Endless(io.BytesIO):
        longest = 0

        def readline(self, size: int | None = -1, /) -> bytes:
            line = super().readline(size)
            Endless.longest = max(Endless.longest, len(line))
            return line

    raw = b"a" * (3 * MAX_LINE_BYTES) + b"\n" + PDQ.hex().encode()
    bad, good = list(read_hash_list(Endless(raw), name="list"))
    assert bad == BadLine(1, f"longer than {MAX_LINE_BYTES} bytes")
    assert good == HashLine(2, pdqs=(PDQ,))
    assert Endless.longest <= MAX_LINE_BYTES + 1


@given(st.sampled_from([b"", b"<", b"[", b'{"md5":', b"md5,photodna\n", b"\xff\xfe"]), st.binary())
def test_any_bytes_give_lines_in_order_or_an_error_with_a_code(start: bytes, rest: bytes) -> None:
    try:
        lines = [line.line for line in read(start + rest)]
    except (ListUnreadable, HashKindUnsure):
        return
    assert lines == sorted(lines)


def test_no_reason_quotes_the_value() -> None:
    secret = PDQ.hex()[:-1]
    for text in (secret, f"pdq {secret}", f"{secret} pdq", f"signal_type,signal_str\npdq,{secret}"):
        assert secret not in only_bad(text).reason
    assert PDQ.hex() not in repr(read(PDQ.hex()))


def test_a_path_is_read_and_a_bad_one_is_named(tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    path.write_text(PDQ.hex())
    assert list(read_hash_list(path, name="list.txt")) == [HashLine(1, pdqs=(PDQ,))]
    with pytest.raises(FileMissing, match=r"none\.txt"):
        list(read_hash_list(tmp_path / "none.txt", name="none.txt"))
    with pytest.raises(FileUnreadable, match="folder"):
        list(read_hash_list(tmp_path, name="folder"))


@pytest.mark.parametrize("text", [PDQ.hex(), f" '{PDQ.hex().upper()}'\n"])
def test_parse_hex_reads_what_people_paste(text: str) -> None:
    assert parse_hex(text, Signal.PDQ) == PDQ


@pytest.mark.parametrize("text", ["", "00", PDQ.hex()[:62] + " 0", "é" * 64])
def test_parse_hex_refuses_other_lengths_and_characters(text: str) -> None:
    with pytest.raises(HashInvalid, match="64 hexadecimal digits"):
        parse_hex(text, Signal.PDQ)


# --- CSV ------------------------------------------------------------------------------------


def test_threatexchange_csv_is_read_as_it_prints_it() -> None:
    assert read(THREATEXCHANGE) == [
        HashLine(2, pdqs=(PDQ,), source="Sample Signals"),
        HashLine(3, md5=MD5, source="Sample Signals"),
    ]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_columns_may_stand_in_any_order_with_others_between(delimiter: str) -> None:
    header = delimiter.join(["extra", "Signal_Str", "quality", "SIGNAL_TYPE"])
    row = delimiter.join(["=1+1", PDQ.hex(), "77", "pdq"])
    assert read(f"{header}\n{row}\n") == [HashLine(2, pdqs=(PDQ,), quality=77)]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (f"pdq,{PDQ.hex()},NEGATIVE_CLASS,,,", "no match"),
        (f"pdq,{PDQ.hex()},negative_class,,,", "no match"),
        (f"pdq,{PDQ.hex()},PERHAPS,,,", "unknown category"),
        (f"url,{PDQ.hex()},,,,", "not the address"),
        ("pdq,,,,,", "64 hexadecimal"),
        ("pdq", "64 hexadecimal"),
        (f'pdq,"{PDQ.hex()},,,,', "quotes"),
        (f"pdq,{PDQ.hex()},,101,,", "quality"),
        (f"pdq,{PDQ.hex()},,-1,,", "quality"),
        (f"pdq,{PDQ.hex()},,²,,", "quality"),
        (f"pdq,{PDQ.hex()},,49,,", "not matchable"),
        (f"pdq,{PDQ.hex()},,,tomorrow,", "expires"),
        (f"pdq,{PDQ.hex()},,,0001-01-01T00:00:00+14:00,", "expires"),
        (f"pdq,{PDQ.hex()},,,,0", "schema_version"),
        (f"pdq,{PDQ.hex()},,,,one", "schema_version"),
        (f"pdq,{'0' * 64},,,,", "zeros or ones"),
    ],
)
def test_a_bad_row_has_its_number_and_costs_no_other(row: str, reason: str) -> None:
    header = "signal_type,signal_str,category,quality,expires,schema_version"
    good = f"md5,{MD5.hex()},,,,"
    before, bad, after = read(f"{header}\n{good}\n{row}\n{good}\n")
    assert (before, after) == (HashLine(2, md5=MD5), HashLine(4, md5=MD5))
    assert isinstance(bad, BadLine)
    assert bad.line == 3
    assert reason in bad.reason


@pytest.mark.parametrize(
    ("header", "row"),
    [
        ("md5,url", "{md5},https://example.org/a,b.jpg"),
        ("MD5", "{md5}"),
        ('\ufeff"MD5";"URL"', '"{md5}";"https://example.org"'),
        (" file\tMD5 hash ", "a.jpg\t{md5}"),
        ("sep=;\nfile;md5sum", "a.jpg;{md5}"),
        ("name|hash_md5|size", "a|{md5}|7"),
        ("sha256", "{sha256}"),
        ("id, SHA-256 , category", "1, {sha256} , A2"),
        ("'sha256_hash','n'", "'{sha256}','1'"),
        ("pdq_hash,quality,file", "{pdq},97,a.jpg"),
        ("PDQ", "{pdq}"),
        ("md5,sha1,sha256,pdq", "{md5},{sha1},{sha256},{pdq}"),
        ("md5,sha256", ",{sha256}"),
        ("hash,md5", "x,{md5}"),
    ],
)
def test_a_table_is_read_by_the_column_that_names_its_hash(header: str, row: str) -> None:
    values = {"md5": MD5, "sha256": SHA256, "pdq": PDQ}
    shown = {"sha1": "0" * 39 + "1", **{name: value.hex() for name, value in values.items()}}
    text = f"{header}\n{row.format(**shown)}\n"
    (line,) = read(text)
    assert isinstance(line, HashLine)
    found = {"md5": line.md5, "sha256": line.sha256, "pdq": line.pdqs[0] if line.pdqs else None}
    for name, value in values.items():
        assert found[name] == (value if f"{{{name}}}" in row else None), name
    twice = read(text + text.removeprefix("\ufeff").removeprefix("sep=;\n"))
    assert [type(one) for one in twice] == [HashLine, HashLine]


@pytest.mark.parametrize("header", ["dhash128,file", "name;comment", "md5,MD5 hash", "a\tb"])
def test_a_table_of_unknown_columns_is_told_which_are_understood(header: str) -> None:
    first, second = read(f"{header}\n{MD5.hex()},x\n")
    assert isinstance(first, BadLine)
    assert isinstance(second, BadLine)
    for line in (first, second):
        for name in ("`signal_type` and `signal_str`", "`pdq`", "`sha256`", "`md5`"):
            assert name in line.reason
    assert "--type" in first.reason


def test_a_column_that_does_not_tell_holds_what_the_caller_or_its_ones_say() -> None:
    text = f"url,hash\nx,{SHA256.hex()}\n"
    assert read(text) == read(text, signal=Signal.SHA256) == [HashLine(2, sha256=SHA256)]
    assert read(text.replace(SHA256.hex(), PDQ.hex())) == [HashLine(2, pdqs=(PDQ,))]


def test_a_table_keeps_ends_notes_and_refusals() -> None:
    head = "md5,expires,note,source,category"
    kept, ended, refused = read(
        f"{head}\n{MD5.hex()},2030-01-01,n,s,\n{MD5.hex()},soon,,,\n{MD5.hex()},,,,NEGATIVE_CLASS\n"
    )
    assert isinstance(kept, HashLine)
    assert (kept.note, kept.source, kept.expires) == ("n", "s", datetime(2030, 1, 1, tzinfo=UTC))
    assert [type(ended), type(refused)] == [BadLine, BadLine]


def test_a_newer_schema_is_refused_as_a_whole() -> None:
    with pytest.raises(SchemaTooNew, match="list has hash-list schema 2"):
        read(f"signal_type,signal_str,schema_version\npdq,{PDQ.hex()},2\n")


def test_anchored_hashes_are_one_row_of_their_entry() -> None:
    whole = entry(7, anchored=anchored(1), anchored_count=3)
    text = exported([whole, entry(8)])
    assert text.count("\n") == 4
    expected = [
        HashLine(2, (PDQ,), quality=90, source="local", anchored=anchored(1)),
        HashLine(4, (PDQ,), quality=90, source="local"),
    ]
    assert read(text) == expected
    for form in (HashListFormat.TYPED, HashListFormat.PLAIN):
        assert exported([whole], form) == exported([entry(7)], form)
    # In another order, as somebody may have written them, they are the same.
    codes = "".join(code.hex().upper() for code in reversed([*anchored(1)]))
    assert read(text.replace(anchored(1).codes.hex(), f" {codes}")) == expected


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("", "64 hexadecimal digits for each"),
        ("g" * 64, "64 hexadecimal digits for each"),
        ("0" * 63 + " ", "64 hexadecimal digits for each"),
        ("ab", "1 bytes"),
        ("0" * 64, "128 ones"),
        ("f" * 64, "128 ones"),
        ("".join(code.hex() for code in map(region_code, range(65))), "they are 65"),
        ("".join(code.hex() for code in map(region_code, range(400))), "they are 400"),
        ("0f" * 40_000, "longer than"),
    ],
)
def test_what_are_no_anchored_hashes_costs_their_entry_nothing_else(
    value: str, reason: str
) -> None:
    text = exported([entry(7, anchored=anchored(1))])
    bad, line = read(text.replace(anchored(1).codes.hex(), value))
    assert line == HashLine(2, (PDQ,), quality=90, source="local")
    assert isinstance(bad, BadLine)
    assert (bad.line, reason in bad.reason) == (3, True)
    assert value[:64] not in bad.reason or not value


def test_anchored_hashes_alone_are_no_entry() -> None:
    codes = anchored(1).codes.hex()
    header = "signal_type,signal_str,entry"
    assert [type(line) for line in read(f"{header}\npdq-anchored,{codes},7\n")] == [BadLine]
    bad, good = read(f"{header}\npdq-anchored,{codes},\npdq,{PDQ.hex()},\n")
    assert (bad.line, good) == (2, HashLine(3, (PDQ,)))
    assert "entry" in only_bad(f"pdq-anchored {codes}\n").reason
    second = anchored(2).codes.hex()
    rows = [f"pdq,{PDQ.hex()},7", *(f"pdq-anchored,{one},7" for one in (codes, codes, second))]
    bad, good = read("\n".join([header, *rows]))
    assert isinstance(bad, BadLine)
    assert bad.line == 5
    assert good == HashLine(2, (PDQ,), anchored=anchored(1))


def test_rows_of_one_entry_are_one_registration() -> None:
    text = exported([entry(7, pdqs=(PDQ, PDQ_2), sha256=SHA256, md5=MD5, quality=12), entry(8)])
    assert text.count("\n") == 6
    assert read(text) == [
        HashLine(2, (PDQ, PDQ_2), SHA256, MD5, 12, "local"),
        HashLine(6, (PDQ,), None, None, 90, "local"),
    ]


def test_a_bad_row_leaves_the_others_of_its_entry() -> None:
    rows = exported([entry(7, sha256=SHA256, md5=MD5)]).splitlines()
    rows[2] = rows[2].replace(SHA256.hex(), "sixty-four")
    bad, good = read("\n".join(rows))
    assert isinstance(bad, BadLine)
    assert bad.line == 3
    assert good == HashLine(2, (PDQ,), None, MD5, 90, "local")


def test_two_digests_for_one_entry_are_not_guessed_at() -> None:
    rows = exported([entry(7, sha256=SHA256)]).splitlines()
    rows.append(rows[2].replace(SHA256.hex(), PDQ_2.hex()))
    bad, good = read("\n".join(rows))
    assert isinstance(bad, BadLine)
    assert "second" in bad.reason
    assert good == HashLine(2, (PDQ,), SHA256, None, 90, "local")


def test_lists_can_be_appended_to_each_other() -> None:
    assert read(exported([entry(7)]) + exported([entry(7, pdqs=(PDQ_2,))])) == [
        HashLine(2, (PDQ,), None, None, 90, "local"),
        HashLine(4, (PDQ_2,), None, None, 90, "local"),
    ]


# --- writing --------------------------------------------------------------------------------

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30)


@given(
    pdqs=st.lists(st.binary(min_size=32, max_size=32), max_size=3),
    sha256=st.none() | st.binary(min_size=32, max_size=32),
    quality=st.none() | st.integers(0, 100),
    source=texts.filter(bool),
    note=texts,
    expires=st.none() | st.datetimes(timezones=st.just(UTC)),
)
def test_csv_gives_back_what_registering_needs(
    *,
    pdqs: list[bytes],
    sha256: bytes | None,
    quality: int | None,
    source: str,
    note: str,
    expires: datetime | None,
) -> None:
    edge = {bytes(32), b"\xff" * 32}
    codes = tuple(code for code in pdqs if code not in edge) or (PDQ,)
    digest = None if sha256 in edge else sha256
    whole = Registration(codes, digest, MD5, quality, source, note, Trust.UNVERIFIED, expires)
    text = exported(
        [
            entry(
                1,
                pdqs=codes,
                sha256=digest,
                md5=MD5,
                quality=quality,
                source=source,
                note=note,
                expires=expires,
            )
        ]
    )
    (line,) = read(text)
    assert isinstance(line, HashLine)
    assert line.registration(default_source="list") == whole


def test_a_claim_of_trust_is_not_believed() -> None:
    (line,) = read(exported([entry(trust=Trust.CONFIRMED)]))
    assert isinstance(line, HashLine)
    assert line.registration(default_source="list").trust is Trust.UNVERIFIED
    believed = line.registration(default_source="list", trust=Trust.DISPUTED)
    assert believed.trust is Trust.DISPUTED


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", " =1", "\t=1", "\r=1", "'=1"])
def test_no_exported_field_is_a_formula(text: str) -> None:
    cells = [
        cell
        for row in csv.reader(io.StringIO(exported([entry(source=text, note=text)])))
        for cell in row
    ]
    assert not [cell for cell in cells if cell.lstrip().startswith(("=", "+", "-", "@"))]
    (line,) = read(exported([entry(source=text, note=text)]))
    assert isinstance(line, HashLine)
    assert (line.source, line.note) == (text, text)


@given(texts)
def test_neutralised_text_is_restored(text: str) -> None:
    assert restore(neutralise(text)) == text
    assert "\n" not in neutralise(text)


@pytest.mark.parametrize("list_format", list(HashListFormat))
def test_only_active_entries_are_written(list_format: HashListFormat) -> None:
    out = io.StringIO()
    inactive = [entry(2, state=state) for state in State if state is not State.ACTIVE]
    assert write_hash_list([entry(1), *inactive], out, list_format) == 1
    assert out.getvalue().count(PDQ.hex()) == 1


def test_typed_and_plain_lists_are_read_back() -> None:
    whole = entry(pdqs=(PDQ, PDQ_2), sha256=SHA256, md5=MD5)
    assert read(exported([whole], HashListFormat.TYPED)) == [
        HashLine(1, pdqs=(PDQ,)),
        HashLine(2, pdqs=(PDQ_2,)),
        HashLine(3, sha256=SHA256),
        HashLine(4, md5=MD5),
    ]
    assert read(exported([whole], HashListFormat.PLAIN)) == [
        HashLine(1, pdqs=(PDQ,)),
        HashLine(2, pdqs=(PDQ_2,)),
    ]


def test_a_plain_list_counts_only_the_entries_that_it_holds() -> None:
    out = io.StringIO()
    assert write_hash_list([entry(1, pdqs=(), md5=MD5)], out, HashListFormat.PLAIN) == 0
    assert out.getvalue() == ""


def test_a_line_is_a_query() -> None:
    fingerprint = HashLine(1, (PDQ, PDQ_2), SHA256, None, 30).fingerprint()
    assert [frame.code for frame in fingerprint.frames] == [PDQ, PDQ_2]
    assert [frame.matchable for frame in fingerprint.frames] == [False, True]
    assert (fingerprint.sha256, fingerprint.md5) == (SHA256, None)


@pytest.mark.parametrize("seed", range(20))
def test_a_damaged_list_is_never_more_than_bad_lines(seed: int) -> None:
    chance = random.Random(seed)
    raw = bytearray(exported([entry(n, sha256=SHA256, note="a, b") for n in range(1, 20)]).encode())
    for _ in range(15):
        raw[chance.randrange(130, len(raw))] = chance.choice(string.printable.encode())
    try:
        lines = read(bytes(raw))
    except SchemaTooNew:
        return
    assert all(isinstance(line, HashLine | BadLine) for line in lines)
    assert any(isinstance(line, HashLine) for line in lines)


def test_keypoints_are_no_value_of_a_hash_list() -> None:
    with pytest.raises(UsageError, match="pdq, sha256, sha1, md5"):
        list(read_hash_list(io.BytesIO(b"00"), name="list", signal=Signal.KEYPOINTS))


@pytest.mark.parametrize("count", [0, 1, 500, 501, 1234])
def test_pieces_are_the_same_list(count: int) -> None:
    entries = [entry(number, note=f"note {number}", sha256=SHA256) for number in range(count)]
    entries += [entry(count, state=State.TOMBSTONED)]

    pieces = list(csv_pieces(iter(entries)))

    assert "".join(pieces) == exported(entries)
    assert max(map(len, pieces)) < 200_000
