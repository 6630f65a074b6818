"""Find a visitor's language and country."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from starlette.requests import Request

    from egide.server.pages.site.site import Site

_MAX_RANGES = 32


def preferred_language(request: Request, site: Site) -> str:
    """Return the offered language that a browser asks for first, else the operator's first.

    Source: RFC 9110, 12.5.4; only the primary subtag of a range is compared.
    """
    offered = site.settings.pages_languages
    asked = (name.partition("-")[0] for name in _asked(request))
    return next((lang for lang in asked if lang in offered), offered[0])


def likely_country(request: Request, known: Collection[str]) -> str | None:
    """Return which of these countries a browser's languages name, such as `FR` for `fr-FR`.

    Browsers everywhere are set to `en-US`, so it counts only if no other range names a country.

    Source: RFC 5646, 2.2.4, of the regions in ISO 3166-1.
    """
    subtags = (name.split("-")[1:] for name in _asked(request))
    found = [part.upper() for parts in subtags for part in parts if part.upper() in known]
    return next((code for code in found if code != "US"), found[0] if found else None)


def _asked(request: Request) -> list[str]:
    """The language ranges of a browser, in lower case, by descending weight."""
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
