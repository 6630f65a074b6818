"""Which language somebody reads."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.requests import Request

    from egide.server.pages.site import Site

_MAX_RANGES = 32


def preferred_language(request: Request, site: Site) -> str:
    """Return the offered language that a browser asks for first, else the operator's first.

    Source: RFC 9110, 12.5.4; a range is compared by its primary subtag alone.
    """
    offered = site.settings.pages_languages
    asked = sorted(_ranges(request.headers.get("accept-language", "")), key=lambda one: -one[1])
    return next((lang for lang, weight in asked if weight > 0 and lang in offered), offered[0])


def _ranges(header: str) -> Iterator[tuple[str, float]]:
    for one in header.split(",")[:_MAX_RANGES]:
        name, _, parameter = one.strip().lower().partition(";")
        quality = parameter.strip().removeprefix("q=") if parameter else "1"
        try:
            yield name.strip().partition("-")[0], float(quality)
        except ValueError:
            continue
