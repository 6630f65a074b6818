"""Where HMA's routes are reached: below `/hma`, with any number of slashes, and at the root."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

PREFIX = "/hma"
_AT_ROOT = frozenset({"h", "m", "c", "status", "site-map", "openapi"})
"""The first parts of HMA's own paths."""
OPEN = tuple(f"{PREFIX}/{path}" for path in ("status", "site-map", "openapi"))
"""Beginnings of paths that need no key, as with HMA: they say no more than `/readyz` does."""


class Mount:
    """Passes HMA's paths on in one form, without a redirect.

    A client whose base URL ends with a slash asks for `/hma//c/banks`. With a redirect its uploads
    would lose the boundary of their form. A client that drops the prefix asks for `/c/banks`.
    """

    def __init__(self, app: ASGIApp, *, at_root: bool) -> None:
        """Prepare.

        Args:
            app: receives the requests.
            at_root: whether HMA's paths are also taken without the prefix.
        """
        self._app = app
        self._at_root = at_root

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] == "http":
            asked = scope["path"]
            path = self._merged(asked)
            if path != asked:
                scope = {**scope, "path": path, "raw_path": quote(path).encode()}
        await self._app(scope, receive, send)

    def _merged(self, path: str) -> str:
        parts = [part for part in path.split("/") if part]
        if not parts:
            return path
        if self._at_root and parts[0] in _AT_ROOT:
            return "/".join((PREFIX, *parts))
        return "/" + "/".join(parts) if f"/{parts[0]}" == PREFIX else path
