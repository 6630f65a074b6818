"""Lists as those who hold them give them: each program, exchange and encoding, and what is cut."""

import base64
import gzip
import hashlib
import io
import json
from pathlib import Path

import pytest

from egide.domain.model import Signal
from egide.errors import HashKindUnsure, ListUnreadable
from egide.hashlist import BadLine, Cut, HashLine, NotTaken, read_hash_list
from egide.hashlist.telling import SAMPLE, kind_told
from store_samples import code, region_code

FIELD = Path(__file__).parents[4] / "shared" / "field"
PDQ, PDQ_2 = region_code(1), region_code(2)
P, P2 = PDQ.hex(), PDQ_2.hex()
SHA256, SHA1, MD5 = (hashlib.new(name, b"a").digest() for name in ("sha256", "sha1", "md5"))
S, H, M = SHA256.hex(), SHA1.hex(), MD5.hex()


def read(text: str | bytes, signal: Signal | None = None) -> list[object]:
    raw = text if isinstance(text, bytes) else text.encode()
    return list(read_hash_list(io.BytesIO(raw), name="list", signal=signal))


def held(text: str | bytes) -> list[dict[str, object]]:
    """What each line or record holds, without its place; all of them have to be good."""
    found = []
    for line in read(text):
        assert isinstance(line, HashLine), line
        values = {
            "pdqs": line.pdqs,
            "sha256": line.sha256,
            "sha1": line.sha1,
            "md5": line.md5,
            "ended": line.ended,
            "source": line.source,
            "quality": line.quality,
        }
        found.append({name: value for name, value in values.items() if value})
    return found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            f"pdq {P} 'Sample Signals' INVESTIGATION_SEED",
            {"pdqs": (PDQ,), "source": "Sample Signals"},
        ),
        (f"video_md5 {M} 'a \\'b' POSITIVE_CLASS x,y z", {"md5": MD5, "source": "a 'b"}),
        (f"pdq {P} POSITIVE_CLASS", {"pdqs": (PDQ,)}),
        (f"{P} 'c' POSITIVE_CLASS a,b", {"pdqs": (PDQ,), "source": "c"}),
        (f"pdq {P} INVESTIGATION_SEED 0 ", {"pdqs": (PDQ,)}),
        (f"{S}  a file.jpg", {"sha256": SHA256}),
        (f"{M} *b.jpg", {"md5": MD5}),
        (f"{H}  c", {"sha1": SHA1}),
        (f"{M} one space.jpg", {"md5": MD5}),
        (f"\\{S}  a\\nb", {"sha256": SHA256}),
        (f"SHA256 (x (1) y) = {S}", {"sha256": SHA256}),
        (f"MD5 (x) = {M}", {"md5": MD5}),
        (f"SHA2-256(x)= {S}", {"sha256": SHA256}),
        (f"SHA1 (x) = {base64.b64encode(SHA1).decode()}", {"sha1": SHA1}),
        (f"{P},97,a,b.jpg", {"pdqs": (PDQ,), "quality": 97}),
        (f"hash={P},norm=1,delta=2,quality=88,filename=x", {"pdqs": (PDQ,), "quality": 88}),
        (base64.b64encode(MD5).decode(), {"md5": MD5}),
        (base64.b64encode(SHA256).decode(), {"sha256": SHA256}),
        (f"a.jpg;{M};{H};{S}", {"sha256": SHA256, "sha1": SHA1, "md5": MD5}),
        (f'md5\n="{M}"', {"md5": MD5}),
        (f"MD5 (Base64)\n{M}", {"md5": MD5}),
        (f"file;digest\na;{S}", {"sha256": SHA256}),
        (f"hash_status,md5\nWithdrawn,{M}", {"md5": MD5, "ended": True}),
    ],
)
def test_what_programs_print_is_read(text: str, expected: dict[str, object]) -> None:
    if "Base64" in text:
        text = text.replace("MD5 (Base64)", "md5").replace(M, base64.b64encode(MD5).decode())
    assert held(text + "\n") == [expected]
    assert held(text.encode("utf-16")) == [expected]
    assert held(gzip.compress(text.encode())) == [expected]


def test_our_own_lines_are_read_with_every_frame() -> None:
    still = {"file": "a", "sha256": S, "sha1": H, "md5": M, "pdq": P, "quality": 90}
    failed = {"file": "b", "error": {"code": "x", "message": "y"}}
    frames = [{"pdq": P, "quality": 10}, {"pdq": P2, "quality": 80}]
    moving = {**still, "quality": 10, "frames": frames, "frames_skipped": 0}
    lines = read("".join(json.dumps(one) + "\n" for one in (still, failed, moving)) + "{no\n")
    assert [type(line) for line in lines] == [HashLine, BadLine, HashLine, BadLine]
    assert isinstance(lines[0], HashLine)
    assert isinstance(lines[2], HashLine)
    assert (lines[0].pdqs, lines[0].sha1) == ((PDQ,), SHA1)
    assert PDQ_2 in lines[2].pdqs


def _stopncii(*records: tuple[str, str, str, dict[str, str]]) -> str:
    names = ("signalType", "hashValue", "hashStatus", "caseNumbers")
    return json.dumps(
        {
            "count": len(records),
            "nextPageToken": None,
            "hasMoreRecords": False,
            "nextSetTimestamp": 1,
            "hashRecords": [
                {**dict(zip(names, record, strict=True)), "CSPFeedbacks": [{"source": "x"}]}
                for record in records
            ],
        },
        indent=1,
    )


def test_stopncii_is_read_by_status_and_not_by_hash_alone() -> None:
    text = _stopncii(
        ("ImagePDQ", P, "Active", {"1": "Active"}),
        ("VideoMD5", M, "Withdrawn", {}),
        ("ImagePDQ", P2, "Active", {"1": "Withdrawn", "2": "Deleted"}),
        ("VideoTMK", "xx", "Active", {}),
    )
    *lines, tmk = read(text)
    assert lines == [
        HashLine(1, pdqs=(PDQ,), unit="record"),
        HashLine(2, md5=MD5, ended=True, unit="record"),
        HashLine(3, pdqs=(PDQ_2,), ended=True, unit="record"),
    ]
    assert tmk == NotTaken(4, "TMK+PDQF", alone=True, unit="record")


def test_tech_against_terrorism_and_threatexchange_are_read() -> None:
    results = [
        {"hash_digest": M, "algorithm": "MD5", "deleted": False, "file_type": "mp4", "id": 1},
        {"hash_digest": P, "algorithm": "PDQ", "deleted": True},
    ]
    assert held(json.dumps({"count": 2, "next": None, "results": results})) == [
        {"md5": MD5},
        {"pdqs": (PDQ,), "ended": True},
    ]
    data = [
        {"indicator": P, "type": "HASH_PDQ", "status": "MALICIOUS", "should_delete": False},
        {"indicator": M, "type": "HASH_MD5", "should_delete": True},
        {"indicator": M, "type": "HASH_MD5", "status": "NON_MALICIOUS"},
    ]
    *good, harmless = read(json.dumps({"data": data, "paging": {}}))
    assert [line.ended for line in good if isinstance(line, HashLine)] == [False, True]
    assert isinstance(harmless, BadLine)


def test_project_vic_is_read_in_both_versions_by_category() -> None:
    hashes = [{"HashName": "PhotoDNA", "HashValue": "aa"}, {"HashName": "SHA256", "HashValue": S}]
    media = {"MediaID": 1, "Category": 1, "MD5": M.upper(), "SHA1": H.upper(), "Hashes": hashes}
    media["MediaFiles"] = [{"FileName": "a", "MD5": "0" * 32}]  # type: ignore[assignment]
    unsorted = {"MediaID": 2, "Category": 0, "MD5": M}
    closed, whole, left_out = read(json.dumps({"@odata.context": "x", "value": [media, unsorted]}))
    assert closed == NotTaken(1, "PhotoDNA", alone=False, unit="record")
    assert whole == HashLine(1, sha256=SHA256, sha1=SHA1, md5=MD5, unit="record")
    assert isinstance(left_out, BadLine)
    older = {"odata.metadata": "x", "value": [{"CaseID": "1", "Media": [{**media, "Hashes": []}]}]}
    assert held(json.dumps(older)) == [{"sha1": SHA1, "md5": MD5}]


NCMEC = f"""<?xml version="1.0" encoding="UTF-8"?>
<queryResult xmlns="https://hashsharing.ncmec.org/hashsharing/v2">
 <images count="2" maxTimestamp="2017-10-24T15:10:00Z">
  <image><member id="42">M</member><id>i</id><classification>A1</classification>
   <fingerprints><md5>{M}</md5><sha1>{H}</sha1><pdna>zz</pdna></fingerprints>
   <feedback><affirmativeFeedback type="Md5"><md5>{"1" * 32}</md5></affirmativeFeedback></feedback>
  </image>
  <deletedImage><member id="4">a</member><id>image4</id></deletedImage>
 </images>
 <videos count="1"><video><fingerprints><md5>{M}</md5></fingerprints></video></videos>
</queryResult>"""


def test_ncmec_is_read_without_what_others_say_of_it() -> None:
    closed, image, deleted, video = read(NCMEC)
    assert closed == NotTaken(1, "PhotoDNA", alone=False, unit="record")
    assert image == HashLine(1, sha1=SHA1, md5=MD5, unit="record")
    assert isinstance(deleted, BadLine)
    assert video == HashLine(3, md5=MD5, unit="record")
    assert read('<queryResult><images count="0"/></queryResult>') == []


@pytest.mark.parametrize(
    ("text", "good"),
    [
        (NCMEC[: NCMEC.index("<deletedImage>")], 1),
        (json.dumps([{"md5": M}, {"md5": M}])[:-5], 1),
        (_stopncii(("ImagePDQ", P, "Active", {}))[:-5], 1),
        (gzip.compress(f"{M}\n".encode() * 3 + bytes(range(1, 256)) * 9)[:-12], 3),
        ("[" * 100, 0),
        ('{"value": "' + "x" * 1_200_000, 0),
        ('<!DOCTYPE a [<!ENTITY b "c">]><images><image>&b;</image></images>', 0),
        ("<html><body>not found</body></html>", 0),
        ("<image>" * 100, 0),
        (f"<image><md5>{M * 5000}</md5></image>", 0),
    ],
)
def test_a_list_that_is_cut_or_hostile_says_so_and_keeps_what_came_before(
    text: str | bytes, good: int
) -> None:
    lines = read(text)
    assert isinstance(lines[-1], Cut)
    assert sum(isinstance(line, HashLine) for line in lines) == good


@pytest.mark.parametrize("start", [b"PK\x03\x04", b"PAR1", b"\xfd7zXZ\0"])
def test_a_packed_list_is_named(start: bytes) -> None:
    with pytest.raises(ListUnreadable, match="give the list inside"):
        read(start + bytes(99))


def test_one_record_too_large_costs_no_other() -> None:
    files = [{"FileName": str(number), "MD5": M} for number in range(20_000)]
    large, small = read(json.dumps([{"md5": M, "MediaFiles": files}, {"md5": M}]))
    assert isinstance(large, BadLine)
    assert small == HashLine(2, md5=MD5, unit="record")


def test_values_of_64_digits_are_told_apart_by_their_ones_or_asked_about() -> None:
    digests = [code(number) for number in range(SAMPLE + 500)]
    pdqs = [region_code(number) for number in range(SAMPLE + 500)]
    for values, field in ((digests, "sha256"), (pdqs, "pdqs")):
        lines = read("".join(f"{value.hex()}\n" for value in values))
        assert len(lines) == len(values)
        assert all(getattr(line, field) for line in lines)
    for mixed in ([digests[0], pdqs[0]], digests[:500] + pdqs[:500], digests[:SAMPLE] + pdqs):
        text = "".join(f"{value.hex()}\n" for value in mixed)
        with pytest.raises(HashKindUnsure, match="--type pdq or --type sha256"):
            read(text)
        assert all(isinstance(line, HashLine) for line in read(text, Signal.SHA256))


def test_few_values_are_told_with_care() -> None:
    assert [kind_told(ones, 1) for ones in (0, 1)] == [Signal.SHA256, Signal.PDQ]
    assert [kind_told(ones, 2) for ones in (0, 1, 2)] == [Signal.SHA256, None, Signal.PDQ]
    assert kind_told(95, 100) is Signal.PDQ
    assert kind_told(11, 100) is Signal.SHA256
    assert kind_told(50, 100) is None
    assert kind_told(90, SAMPLE) is Signal.SHA256  # of a long list some thousand has so many


def test_the_list_of_the_field_is_of_digests() -> None:
    path = FIELD / "sha256_untyped.txt"
    if not path.exists():
        pytest.skip("../shared is not beside the checkout")
    lines = list(read_hash_list(path, name=path.name))
    assert lines
    assert all(isinstance(line, HashLine) and line.sha256 for line in lines)
