"""The listing of remote stores: each file once, page by page, and no folder taken for empty."""

from __future__ import annotations

from typing import Any

import pytest

from egide.auditing.sources import listing
from egide.auditing.sources.listing import Listed, walk
from egide.auditing.sources.location import access, refusal
from egide.domain.coverage import Gap, GapKind
from egide.errors import SourceUnreadable


def found(filesystem: Any, root: str) -> tuple[list[str], list[tuple[GapKind, str]]]:
    """The paths of the files, and what was not listed."""
    each = list(walk(filesystem, root))
    return (
        [one.path for one in each if isinstance(one, Listed)],
        [(one.kind, one.name) for one in each if isinstance(one, Gap)],
    )


class Folders:
    """A store without calls of its own, whose folders are listings or errors."""

    protocol = "other"

    def __init__(self, folders: dict[str, Any]) -> None:
        self.folders = folders
        self.asked: list[str] = []

    def invalidate_cache(self, path: str) -> None:
        pass

    def ls(self, path: str, *, detail: bool) -> list[dict[str, Any]]:
        assert detail
        self.asked.append(path)
        answer = self.folders[path]
        if isinstance(answer, list) and answer and isinstance(answer[0], Exception):
            raise answer.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return [
            {"name": name, "type": "directory" if name in self.folders else "file", "size": size}
            for name, size in answer
        ]


class Pages:
    """A bucket of many keys, in pages that count how far they were asked for."""

    def __init__(self, protocol: str, keys: int) -> None:
        self.protocol = (protocol,)
        self.keys = keys
        self.pages = 0

    def split_path(self, path: str) -> tuple[str, str, None]:
        bucket, _, key = path.partition("/")
        return bucket, key, None

    def page(self, token: str) -> tuple[list[str], str]:
        self.pages += 1
        start = int(token or 0)
        stop = min(start + listing.PAGE_KEYS, self.keys)
        return [f"{number}.jpg" for number in range(start, stop)], str(stop) * (stop < self.keys)


class S3(Pages):
    def call_s3(self, method: str, **asked: Any) -> dict[str, Any]:
        assert method == "list_objects_v2"
        keys, more = self.page(asked.get("ContinuationToken", ""))
        contents = [{"Key": key, "Size": 1} for key in keys]
        return {"Contents": contents, "IsTruncated": bool(more), "NextContinuationToken": more}


class Google(Pages):
    def call(self, method: str, path: str, *_: str, **asked: Any) -> Any:
        assert (method, path) == ("GET", "b/{}/o")
        keys, more = self.page(asked.get("pageToken", ""))
        items = [{"name": key, "size": "1"} for key in keys]
        return {"items": items, **({"nextPageToken": more} if more else {})}


@pytest.mark.parametrize("store", [S3("s3", 2500), Google("gs", 2500)])
def test_a_page_is_asked_for_when_the_one_before_was_taken(store: Pages) -> None:
    files = walk(store, "bucket")
    for number in range(listing.PAGE_KEYS):
        one = next(files)
        assert isinstance(one, Listed)
        assert one.path == f"bucket/{number}.jpg"
    assert store.pages == 1
    assert len(list(files)) == 1500
    assert store.pages == 3


def test_a_store_whose_pages_go_in_circles_is_told() -> None:
    class Circles(S3):
        def page(self, token: str) -> tuple[list[str], str]:
            return [f"{token}.jpg"], "again"

    files, gaps = found(Circles("s3", 1), "bucket")
    assert len(files) == 2
    assert gaps == [(GapKind.LISTING, "bucket")]


def test_a_folder_that_is_refused_is_named_and_the_others_are_listed() -> None:
    store = Folders(
        {
            "b": [("b/x", 0), ("b/gone", 0), ("b/1.jpg", 1), ("b/y", 0)],
            "b/x": PermissionError("Access Denied"),
            "b/gone": FileNotFoundError(),
            "b/y": [("b/y/2.jpg", 1)],
        }
    )
    files, gaps = found(store, "b")
    assert files == ["b/1.jpg", "b/y/2.jpg"]
    assert gaps == [(GapKind.LISTING, "gone"), (GapKind.LISTING, "x")]
    assert store.asked.count("b/x") == 1  # asking again would not help


def test_a_root_that_is_refused_is_an_error() -> None:
    with pytest.raises(SourceUnreadable, match="access denied"):
        list(walk(Folders({"b": PermissionError("no")}), "b"))


def test_an_error_of_the_moment_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "RETRY_AFTER_S", (0.0, 0.0))
    assert found(Folders({"b": [TimeoutError(), ConnectionError(), ("b/1.jpg", 1)]}), "b") == (
        ["b/1.jpg"],
        [],
    )
    with pytest.raises(SourceUnreadable, match="cannot be reached"):
        list(walk(Folders({"b": TimeoutError()}), "b"))


def test_odd_entries_are_named_and_never_walked_in_circles() -> None:
    store = Folders(
        {
            "b": [("b", 0), ("b/", 0), ("b/a", 0), ("c", 0)],
            "b/a": [("b/a/", 7), ("b/a/1.jpg", 1)],
            "c": [],
            "b/": [],
        }
    )
    files, gaps = found(store, "b")
    assert files == ["b/a/1.jpg"]
    assert sorted(gaps) == [
        (GapKind.ITEM, "a/"),
        (GapKind.LISTING, ""),
        (GapKind.LISTING, "b//"),
    ]


def test_a_refusal_says_the_status_the_code_and_the_remedy() -> None:
    class Answered(Exception):
        def __init__(self, **fields: object) -> None:
            self.__dict__.update(fields)

    boto = {"ResponseMetadata": {"HTTPStatusCode": 403}, "Error": {"Code": "AllAccessDisabled"}}
    inner = OSError("Forbidden")
    inner.__cause__ = Answered(response=boto)
    assert "403 AllAccessDisabled" in refusal(inner)
    assert "404" in refusal(Answered(status=404))
    assert "503" in refusal(Answered(code=503))
    assert "401" in refusal(Answered(response=Answered(status_code=401)))
    assert "--endpoint-url" in refusal(Answered(status=301))
    assert "418" in refusal(Answered(status=418))
    assert "--anonymous" in refusal(type("NoCredentialsError", (Exception,), {})())


def test_how_stores_are_reached_holds_for_a_while_and_for_workers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import os

    import fsspec.config

    monkeypatch.setenv("FSSPEC_S3_PROFILE", "before")
    with access(anonymous=True, profile="other", endpoint_url="http://127.0.0.1:9"):
        assert fsspec.config.conf["s3"]["endpoint_url"] == "http://127.0.0.1:9"
        assert os.environ["FSSPEC_S3_PROFILE"] == "other"
        assert os.environ["FSSPEC_GS_TOKEN"] == "anon"
    assert os.environ["FSSPEC_S3_PROFILE"] == "before"
    assert "FSSPEC_S3_ANON" not in os.environ
    assert "endpoint_url" not in fsspec.config.conf.get("s3", {})
