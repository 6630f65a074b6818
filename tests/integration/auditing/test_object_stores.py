"""An object store that refuses a part of itself: the part is named, and the rest is compared."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

import pyarrow.parquet as pq
import pytest

import egide
from audits import run
from commands import egide_in
from egide.auditing.sources import access
from fake_s3 import BUCKET, FakeS3, serving
from pictures import encoded, pictures

pytestmark = pytest.mark.skipif(find_spec("s3fs") is None, reason="s3fs is not installed")
PHOTOS = [encoded(image, quality=80) for image in pictures(8)[:4]]
KEYS = {"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_MAX_ATTEMPTS": "1"}


def test_what_a_store_refuses_stands_in_the_first_sentence(
    store: egide.Store, tmp_path: Path
) -> None:
    made = FakeS3(
        {
            "a": PHOTOS[0],  # a key that is a prefix too
            "a//b.jpg": PHOTOS[1],
            "a/c.jpg": PHOTOS[2],
            "marker/": b"",
            "marker/d.jpg": PHOTOS[3],
            "marker/full/": PHOTOS[3],
            "private/e.jpg": PHOTOS[0],
            "x.tar": b"",
        },
        refused={"private/": (403, "AccessDenied"), "a/c.jpg": (403, "AccessDenied")},
        page_keys=2,
    )
    with serving(made):
        address = f"s3://{BUCKET}"
        arguments = ("audit", address, "--out", "out", "--endpoint-url", made.url)
        result = egide_in(tmp_path, *arguments, "--requester-pays", **KEYS)
        assert result.code == 1, result.err
        sentence = (
            "3 of 5 items match bank helpline at revision 2: 3 were compared;"
            " 1 folder (private), 1 container file and 2 items were not."
        )
        assert sentence in result.out, result.out
        assert sentence in (tmp_path / "out" / "report.html").read_text("utf-8")
        assert made.requests[-1]["x-amz-request-payer"] == "requester"
        assert "AWS4-HMAC-SHA256" in made.requests[-1]["Authorization"]

        strict = egide_in(tmp_path, *arguments, "--strict", "--anonymous", **KEYS)
        assert strict.code == 3
        assert "Authorization" not in made.requests[-1]
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["sentence"] == sentence
    rows = pq.read_table(tmp_path / "out" / "not_compared.parquet").to_pylist()
    assert {(row["kind"], row["name"], row["code"]) for row in rows} == {
        ("listing", "private", "listing-failed"),
        ("item", "a/c.jpg", "object-unreadable"),
        ("item", "marker/full/", "key-unreadable"),
        ("archive", f"s3://{BUCKET}/x.tar", "source-unreadable"),
    }
    assert "403 AccessDenied" in next(row["message"] for row in rows if row["name"] == "private")
    assert (summary["scanned_items"], summary["resumed"]) == (0, True)


def test_a_listing_that_breaks_off_keeps_what_came_before(
    store: egide.Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    objects = {f"{number}.jpg": photo for number, photo in enumerate(PHOTOS)}
    made = FakeS3(objects, refused={"?1.jpg": (503, "ServiceUnavailable")}, page_keys=2)
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    with serving(made), access(endpoint_url=made.url):
        audit = run([f"s3://{BUCKET}"], store, out=tmp_path / "out")
        refused = egide_in(
            tmp_path, "audit", f"s3://{BUCKET}", "--accept", "listing", "--endpoint-url", made.url
        )
    assert audit.summary is not None
    (gap,) = audit.summary.gaps
    assert (gap.kind, gap.name, gap.count) == ("listing", BUCKET, 1)
    assert "503 ServiceUnavailable" in gap.message
    assert audit.summary.matched_items == 2
    assert refused.code == 1  # of the matches


def test_a_source_that_refuses_everything_costs_no_other(
    store: egide.Store, tmp_path: Path
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "0.png").write_bytes(encoded(pictures(8)[7]))
    made = FakeS3({"0.jpg": PHOTOS[0]}, refused={"": (403, "AccessDenied")})
    with serving(made):
        arguments = ("audit", "folder", f"s3://{BUCKET}", "--endpoint-url", made.url)
        result = egide_in(tmp_path, *arguments, "--json", **KEYS)
        accepted = egide_in(tmp_path, *arguments, "--accept", "source", **KEYS)
        alone = egide_in(tmp_path, arguments[0], *arguments[2:], **KEYS)
    assert result.code == 3
    assert f"1 source (s3://{BUCKET}) was not" in result.json()["sentence"]
    assert accepted.code == 0
    assert (alone.code, "403 AccessDenied" in alone.out) == (3, True)
