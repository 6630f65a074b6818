"""Scripts, styles and pictures of the pages, all from the package.

Their address is `/static/<version>/<name>`. The version is a hash of all files, so that a page
never loads the scripts of another release.
"""

from __future__ import annotations

import gzip
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from importlib.resources import files
from typing import TYPE_CHECKING

from fastapi import APIRouter, Request, Response

from egide.errors import PathMissing

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from importlib.resources.abc import Traversable

    from egide.server.pages.site.branding import Branding

router = APIRouter(include_in_schema=False)

_KINDS = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".wasm": "application/wasm",
}
"""Other files in the folder are not served."""
_VERSION_DIGITS = 16
_HEADERS = {
    # No longer, and never `immutable`: cached files on a watched phone reveal that this site was
    # visited. Five minutes cover the way from one page to the next.
    "Cache-Control": "private, max-age=300",
    "Vary": "Accept-Encoding",
}
# A worker obeys the policy of its own script, not that of the page.
_SCRIPT_HEADERS = _HEADERS | {
    "Content-Security-Policy": "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; "
    "connect-src 'self'; frame-ancestors 'none'"
}
BRAND_STYLE = "css/brand.css"
LOGO = "img/logo"


@dataclass(frozen=True)
class Asset:
    """One file that the pages load."""

    content: bytes = field(repr=False)
    media_type: str

    @cached_property
    def zipped(self) -> bytes:
        """The content in gzip; always the same bytes."""
        return gzip.compress(self.content, mtime=0)


@dataclass(frozen=True, slots=True)
class Assets:
    """All files that the pages load, by name, and the version in their addresses."""

    by_name: Mapping[str, Asset]
    version: str

    @classmethod
    def load(cls, branding: Branding) -> Assets:
        """Read the package's files, and make those of the operator's branding."""
        by_name = dict(_read(files("egide.server.pages").joinpath("static")))
        by_name[BRAND_STYLE] = Asset(branding.stylesheet().encode(), _KINDS[".css"])
        if branding.logo is not None:
            by_name[LOGO] = Asset(branding.logo, branding.logo_type)
        digest = sha256()
        for name, asset in sorted(by_name.items()):
            digest.update(sha256(name.encode()).digest() + sha256(asset.content).digest())
        return cls(by_name, digest.hexdigest()[:_VERSION_DIGITS])

    def url(self, name: str) -> str:
        """The address of a file, such as `js/pages/exit.js`.

        Raises:
            KeyError: there is no such file.
        """
        if name not in self.by_name:
            raise KeyError(name)
        return f"/static/{self.version}/{name}"


@router.api_route("/static/{version}/{name:path}", methods=["GET", "HEAD"])
def asset(version: str, name: str, request: Request) -> Response:
    """Serve a file, in gzip if the browser accepts it.

    Raises:
        PathMissing: there is no such file, or the version is another one.
    """
    assets: Assets = request.app.state.site.assets
    found = assets.by_name.get(name)
    if found is None or version != assets.version:
        raise PathMissing
    headers = _SCRIPT_HEADERS if name.endswith(".js") else _HEADERS
    if _takes_gzip(request):
        headers = headers | {"Content-Encoding": "gzip"}
        return Response(found.zipped, media_type=found.media_type, headers=headers)
    return Response(found.content, media_type=found.media_type, headers=headers)


def _takes_gzip(request: Request) -> bool:
    named = (one.replace(" ", "") for one in request.headers.get("accept-encoding", "").split(","))
    return any(one == "gzip" or (one.startswith("gzip;") and one != "gzip;q=0") for one in named)


def _read(folder: Traversable, prefix: str = "") -> Iterator[tuple[str, Asset]]:
    for entry in folder.iterdir():
        name = prefix + entry.name
        if entry.is_dir():
            yield from _read(entry, f"{name}/")
        elif (ending := "." + name.rpartition(".")[2]) in _KINDS:
            yield name, Asset(entry.read_bytes(), _KINDS[ending])
