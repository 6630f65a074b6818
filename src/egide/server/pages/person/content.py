"""The pages that tell something and change nothing; and the way out."""

from __future__ import annotations

from contextlib import suppress
from http import HTTPStatus

from fastapi import APIRouter, Request
from starlette.background import BackgroundTask
from starlette.responses import JSONResponse, RedirectResponse, Response

from egide.errors import StoreError
from egide.server.pages.site.helplines import INTERNATIONAL, for_minors
from egide.server.pages.site.languages import likely_country, preferred_language
from egide.server.pages.site.page import Page, PageDep, shown_lifetime

router = APIRouter()
_READ = ["GET", "HEAD"]
_CLEARED = {"Clear-Site-Data": '"cache", "cookies", "storage"'}
_REPORT_REMOVE = (
    "https://www.childline.org.uk/info-advice/bullying-abuse-safety/"
    "online-mobile-safety/report-remove-down/"
)
# Shown always: an operator's own list of helplines does not hide them. The words of
# each are `under_18.<last>`.
_CHILD_ROUTES = (
    ("Take It Down", "https://takeitdown.ncmec.org/", "takeitdown"),
    ("Report Remove", _REPORT_REMOVE, "reportremove"),
    ("3018", "https://3018.fr/", "line_3018"),
    ("Point de Contact – Disrupt", "https://www.pointdecontact.net/disrupt/", "pointdecontact"),
)


@router.api_route("/", methods=_READ)
def start(request: Request) -> Response:
    """Lead to the start in the language that the browser asks for."""
    lang = preferred_language(request, request.app.state.site)
    headers = {"Vary": "Accept-Language"}
    return RedirectResponse(f"/{lang}/", status_code=HTTPStatus.SEE_OTHER, headers=headers)


@router.api_route("/{lang}", methods=_READ)
def home_without_slash(page: PageDep) -> Response:
    """Lead to the start, whose address ends in a slash."""
    return page.redirect()


@router.api_route("/{lang}/", methods=_READ)
def home(page: PageDep) -> Response:
    """Say in two sentences what this is, then where to go, who runs it and who takes part."""
    return page.render("home.html.j2")


@router.api_route("/{lang}/how", methods=_READ)
def how(page: PageDep) -> Response:
    """Say how it works, and what it cannot do."""
    return page.render("how.html.j2")


@router.api_route("/{lang}/under-18", methods=_READ)
def under_18(page: PageDep) -> Response:
    """Lead to those who help where somebody was under 18; nothing else happens here."""
    countries = for_minors(page.site.countries[page.lang])
    return page.render("under_18.html.j2", countries=countries, routes=_CHILD_ROUTES)


@router.api_route("/{lang}/help", methods=_READ)
def help_(page: PageDep) -> Response:
    """List those who help: near the visitor, then in every country, then the others, folded."""
    countries = page.site.countries[page.lang]
    code = likely_country(page.request, {one.code for one in countries})
    open_ones = [one for one in countries if one.code in {code, INTERNATIONAL}]
    return page.render(
        "help.html.j2",
        headers={"Vary": "Accept-Language"},
        near=sorted(open_ones, key=lambda one: one.code != code),
        others=[one for one in countries if one not in open_ones],
    )


@router.api_route("/{lang}/privacy", methods=_READ)
def privacy(page: PageDep) -> Response:
    """Say what is kept, why and how long."""
    lifetime = shown_lifetime(page.words, page.site.settings.case_lifetime_days)
    return page.render("privacy.html.j2", lifetime=lifetime)


@router.api_route("/{lang}/accessibility", methods=_READ)
def accessibility(page: PageDep) -> Response:
    """Say how the pages can be used, and where they fall short."""
    return page.render("accessibility.html.j2")


@router.api_route("/{lang}/goodbye", methods=_READ)
def goodbye(page: PageDep) -> Response:
    """Say that all is closed, and how to clear the browser's history."""
    return page.render("goodbye.html.j2")


@router.get("/{lang}/form-token")
def form_token(page: PageDep) -> Response:
    """Give a script a fresh token, as where another window signed in or out since."""
    response = JSONResponse({"csrf": page.csrf})
    page.dress(response)
    return response


@router.api_route("/{lang}/leave", methods=["GET", "POST"])
def leave(page: PageDep) -> Response:
    """End the session, have the browser forget, and lead to somewhere neutral.

    No token is asked for: the way out must never fail, and the cookie of somebody else's page is
    not sent with it. A link works without a script; a form would not, since a policy that confines
    forms to this origin holds for where they are led to as well.
    """
    page.drop_cookie()
    response = RedirectResponse(
        page.site.settings.pages_exit_url,
        status_code=HTTPStatus.SEE_OTHER,
        headers=_CLEARED,
        # After the answer: a store that is locked or full holds nobody back.
        background=BackgroundTask(_end_session, page),
    )
    page.dress(response)
    return response


def _end_session(page: Page) -> None:
    # The browser no longer has its token, and unused it is soon over.
    with suppress(StoreError):
        page.sign_out()
