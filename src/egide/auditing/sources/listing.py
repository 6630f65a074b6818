"""List a remote store folder by folder, page by page; what cannot be listed is a gap.

fsspec's own `walk` takes a folder that it cannot list for an empty one, holds a folder's whole
listing, and loses keys with `//`. So object stores are listed here through their own calls.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, NamedTuple

from egide.auditing.sources.location import refusal, store_answer
from egide.domain.coverage import Gap, GapKind
from egide.errors import KeyUnreadable, ListingFailed, SourceUnreadable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PAGE_KEYS = 1000
RETRY_AFTER_S = (0.5, 2.0)
"""Between attempts of stores other than S3's and Google's, whose libraries try again themselves."""


_LISTING = GapKind.LISTING


class Listed(NamedTuple):
    """A file or folder of a listing.

    Attributes:
        path: in the store; of a folder it ends in `/`.
        tag: changes with the file's content.
    """

    path: str
    size: int = 0
    tag: str = ""


def walk(filesystem: Any, root: str) -> Iterator[Listed | Gap]:
    """Yield the files below a folder, and a gap for each folder that cannot be listed in full.

    The order is that of the store's pages, and the same each time. A page is in memory at once.

    Args:
        filesystem: of fsspec.
        root: a folder in it.

    Raises:
        SourceUnreadable: the folder itself cannot be listed.
    """
    top = root.rstrip("/") + "/"
    entries = _lister(filesystem, root)
    open_folders = [(top, entries(top))]
    begun = False
    while open_folders:
        folder, listing = open_folders[-1]
        name = folder.removeprefix(top).removesuffix("/")
        try:
            found = next(listing, None)
        except Exception as error:  # each store raises its own errors
            reason = refusal(error)
            if not begun:
                raise SourceUnreadable(name=root, reason=reason) from error
            open_folders.pop()
            failed = ListingFailed(name=name or root, reason=reason)
            yield Gap.of(name or root, failed, _LISTING)
            continue
        begun = True
        if found is None:
            open_folders.pop()
        elif isinstance(found, Gap) or not found.path.endswith("/"):
            yield found
        elif found.path != folder:
            below = found.path.startswith(folder)
            if below:
                open_folders.append((found.path, entries(found.path)))
            else:
                reason = "the store lists it in another folder than its own"
                yield Gap.of(name, ListingFailed(name=found.path, reason=reason), _LISTING)
        elif found.size:
            key = found.path.removeprefix(top) or found.path
            yield Gap.of(key, KeyUnreadable(name=key), GapKind.ITEM)


def _lister(filesystem: Any, root: str) -> Callable[[str], Iterator[Listed | Gap]]:
    """Return what lists a folder of a store; its paths end in `/` for folders."""
    if hasattr(filesystem, "call_s3") and root.strip("/"):
        return lambda folder: _list_s3(filesystem, folder)
    if "gs" in filesystem.protocol and hasattr(filesystem, "call") and root.strip("/"):
        return lambda folder: _list_google(filesystem, folder)
    return lambda folder: _list_any(filesystem, folder)


def _list_s3(filesystem: Any, folder: str) -> Iterator[Listed]:
    bucket, prefix, _ = filesystem.split_path(folder)
    base = folder.removesuffix(prefix)
    token: dict[str, str] = {}
    while True:
        page = filesystem.call_s3(
            "list_objects_v2",
            Bucket=bucket,
            Prefix=prefix,
            Delimiter="/",
            MaxKeys=PAGE_KEYS,
            **token,
        )
        for one in page.get("Contents", ()):
            yield Listed(base + one["Key"], one["Size"], one.get("ETag", ""))
        for one in page.get("CommonPrefixes", ()):
            yield Listed(base + one["Prefix"])
        if not page.get("IsTruncated"):
            return
        token = _next({"ContinuationToken": page.get("NextContinuationToken", "")}, token)


def _list_google(filesystem: Any, folder: str) -> Iterator[Listed]:
    bucket, _, prefix = folder.partition("/")
    token: dict[str, str] = {}
    while True:
        page = filesystem.call(
            "GET",
            "b/{}/o",
            bucket,
            delimiter="/",
            prefix=prefix,
            maxResults=PAGE_KEYS,
            json_out=True,
            **token,
        )
        for one in page.get("items", ()):
            tag = one.get("etag") or one.get("updated") or ""
            yield Listed(f"{bucket}/{one['name']}", int(one.get("size", 0)), tag)
        for one in page.get("prefixes", ()):
            yield Listed(f"{bucket}/{one}")
        if not page.get("nextPageToken"):
            return
        token = _next({"pageToken": page["nextPageToken"]}, token)


def _next(token: dict[str, str], before: dict[str, str]) -> dict[str, str]:
    if token == before or not all(token.values()):
        raise ValueError("the store's pages lead nowhere")
    return token


def _list_any(filesystem: Any, folder: str) -> Iterator[Listed | Gap]:
    path = folder.rstrip("/")
    filesystem.invalidate_cache(path)
    listed = _listed_again(filesystem, path)
    filesystem.invalidate_cache(path)  # nothing of a listing stays in memory
    for info in sorted(listed, key=lambda info: str(info["name"])):
        name = str(info["name"])
        if info["type"] != "directory":
            tag = str(info.get("ETag") or info.get("mtime") or info.get("blob_id") or "")
            is_folder = name.rstrip("/") == path or name.endswith("/")
            size = int(info.get("size") or 0)
            yield Listed(folder if is_folder else name, size, tag)
        elif name.rstrip("/") != path:
            yield Listed(name.rstrip("/") + "/")
        elif name != path:
            reason = "two slashes in a row, which fsspec cannot list: copy it to other keys"
            yield Gap.of(f"{folder}/", ListingFailed(name=f"{folder}/", reason=reason), _LISTING)


def _listed_again(filesystem: Any, path: str) -> list[dict[str, Any]]:
    """List a folder, and try again where that may help."""
    for pause_s in RETRY_AFTER_S:
        try:
            listed: list[dict[str, Any]] = filesystem.ls(path, detail=True)
            return listed
        except Exception as error:
            if not _may_pass(error):
                raise
        time.sleep(pause_s)
    again: list[dict[str, Any]] = filesystem.ls(path, detail=True)
    return again


def _may_pass(error: Exception) -> bool:
    """Whether an error is one of the moment."""
    status, _ = store_answer(error)
    if status is not None:
        return status in {408, 429} or status >= 500
    return isinstance(error, TimeoutError | ConnectionError)
