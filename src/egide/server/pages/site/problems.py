"""Error pages in the visitor's language that say what to do next."""

from __future__ import annotations

import math
from http import HTTPStatus
from typing import TYPE_CHECKING

from starlette.requests import Request

from egide.server.http import problems
from egide.server.pages.site.languages import preferred_language
from egide.server.pages.site.page import Page

if TYPE_CHECKING:
    from starlette.responses import Response
    from starlette.types import Scope

    from egide.server.pages.site.site import Site

_NOT_PAGES = frozenset(
    {"v1", "hma", "docs", "openapi.json", "healthz", "readyz", "metrics", "static"}
)
_JSON = "application/json"
_MINUTE_S = 60
_AGAIN = frozenset({HTTPStatus.FORBIDDEN, HTTPStatus.UNAUTHORIZED})
"""Statuses whose error page offers to open the page again."""


def answer_on_pages(site: Site, scope: Scope, error: BaseException) -> Response:
    """Return the answer for an error: an error page if the request was for a page.

    Scripts, whose `Accept` names JSON, and all requests outside the pages get problem+json.
    """
    request = Request(scope)
    accepts = request.headers.get("accept", "")
    first = request.url.path.lstrip("/").partition("/")[0]
    if first in _NOT_PAGES or _JSON in accepts:
        return problems.answer(error)
    found = problems.as_egide_error(error)
    page = _page_of(request, site, first)
    plain = problems.answer(error)
    kept = {
        name: plain.headers[name]
        for name in ("retry-after", "allow", "connection")
        if name in plain.headers
    }
    wait_s = found.fields.get("retry_after_s")
    return page.render(
        "problem.html.j2",
        status=found.status,
        headers=kept,
        kind=found.page_words,
        minutes=math.ceil(wait_s / _MINUTE_S) if isinstance(wait_s, int | float) else None,
        retry=page.path if found.status in _AGAIN else None,
    )


def _page_of(request: Request, site: Site, first: str) -> Page:
    if first in site.settings.pages_languages:
        path = request.url.path.removeprefix(f"/{first}").lstrip("/")
        return Page(request, site, first, path)
    return Page(request, site, preferred_language(request, site), "")
