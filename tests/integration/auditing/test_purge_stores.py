"""A set in an object store is purged into a copy; a store that refuses or falters is named."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest

import egide
from egide.auditing.sources import access
from egide.errors import PurgeInvalid, TargetNotEmpty, TargetUnwritable, TargetWithin
from fake_s3 import BUCKET, FakeS3, serving
from purging import audited, photos, samples, tar_of

pytestmark = pytest.mark.skipif(find_spec("s3fs") is None, reason="s3fs is not installed")


def test_set_in_a_bucket_becomes_a_clean_copy_there(
    store: egide.Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    egide.confirm(store, "helpline", [1, 2, 3])
    whole = tar_of(samples([4, 0, 5]))
    padded = tar_of({"a.bin": b"\1" * (12 << 20), **samples([1, 6])})  # sent in several parts
    objects = {
        "set/a.tar": whole,
        "set/large.tar": padded,
        "set/sub/2.jpg": photos()[2],
        "set/sub/2.txt": b"caption",
        "set/sub/7.jpg": photos()[7],
        "set/../escape.jpg": photos()[7],
        "full/x": b"",
    }
    made = FakeS3(dict(objects))
    for name, value in (
        *(("AWS_ACCESS_KEY_ID", "id"), ("AWS_SECRET_ACCESS_KEY", "secret")),
        ("AWS_MAX_ATTEMPTS", "2"),
    ):
        monkeypatch.setenv(name, value)
    with serving(made), access(endpoint_url=made.url):
        audit = audited([f"s3://{BUCKET}/set/"], store, tmp_path / "audit")
        clean = f"s3://{BUCKET}/clean"
        with pytest.raises(TargetNotEmpty):
            egide.purge(audit, store, to=f"s3://{BUCKET}/full").run()
        with pytest.raises(TargetWithin):
            egide.purge(audit, store, to=f"s3://{BUCKET}/set/clean")
        with pytest.raises(PurgeInvalid):
            egide.purge(audit, store, in_place=True)

        made.unwritable["clean/large.tar"] = (403, "AccessDenied")
        with pytest.raises(TargetUnwritable, match="403 AccessDenied"):
            egide.purge(audit, store, to=clean).run()
        made.unwritable.clear()
        made.broken = 1
        report = egide.purge(audit, store, to=clean).run()
        assert report.left == {"left": 1}  # a key with dots
        assert report.removed_items == 3

        local = egide.purge(audit, store, to=tmp_path / "clean").run()
        assert local.removed_items == 3
    after = {key: content for key, content in made.objects.items() if key.startswith("clean/")}
    assert {key: content for key, content in made.objects.items() if key not in after} == objects
    assert sorted(after) == ["clean/a.tar", "clean/large.tar", "clean/sub/7.jpg"]
    at = whole.find(b"0000.jpg"), whole.find(b"0005.jpg")
    assert after["clean/a.tar"] == whole[: at[0]] + whole[at[1] :]
    assert (tmp_path / "clean" / "a.tar").read_bytes() == after["clean/a.tar"]
    at = padded.find(b"0001.jpg"), padded.find(b"0006.jpg")
    assert after["clean/large.tar"] == padded[: at[0]] + padded[at[1] :]
    assert not list((audit / ".purge" / "spool").iterdir())
