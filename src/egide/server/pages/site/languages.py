"""Which language somebody reads, and in which country."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from starlette.requests import Request

    from egide.server.pages.site.site import Site

_MAX_RANGES = 32


def preferred_language(request: Request, site: Site) -> str:
    """Return the offered language that a browser asks for first, else the operator's first.

    Source: RFC 9110, 12.5.4; a range is compared by its primary subtag alone.
    """
    offered = site.settings.pages_languages
    asked = (name.partition("-")[0] for name in _asked(request))
    return next((lang for lang in asked if lang in offered), offered[0])


def likely_country(request: Request, known: Collection[str]) -> str | None:
    """Return which of these countries a browser's languages tell of, as `FR` for `fr-FR`.

    A browser of the United States is sold everywhere, so `en-US` counts only where nothing else
    names a country.

    Source: RFC 5646, 2.2.4, of the regions in ISO 3166-1.
    """
    subtags = (name.split("-")[1:] for name in _asked(request))
    found = [part.upper() for parts in subtags for part in parts if part.upper() in known]
    return next((code for code in found if code != "US"), found[0] if found else None)


def _asked(request: Request) -> list[str]:
    """The ranges that a browser asks for, in small letters, the most wanted first."""
    ranges = _ranges(request.headers.get("accept-language", ""))
    return [name for name, weight in sorted(ranges, key=lambda one: -one[1]) if weight > 0]


def _ranges(header: str) -> Iterator[tuple[str, float]]:
    for one in header.split(",")[:_MAX_RANGES]:
        name, _, parameter = one.strip().lower().partition(";")
        quality = parameter.strip().removeprefix("q=") if parameter else "1"
        try:
            yield name.strip(), float(quality)
        except ValueError:
            continue
