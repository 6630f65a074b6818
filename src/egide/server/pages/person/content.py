"""The pages that only inform, and the way out."""

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
# Always shown, even with an operator's own list of helplines. The words of each are
# `under_18.<last>`.
_CHILD_ROUTES = (
    ("Take It Down", "https://takeitdown.ncmec.org/", "takeitdown"),
    ("Report Remove", _REPORT_REMOVE, "reportremove"),
    ("3018", "https://3018.fr/", "line_3018"),
    ("Point de Contact – Disrupt", "https://www.pointdecontact.net/disrupt/", "pointdecontact"),
)


@router.api_route("/", methods=_READ)
def start(request: Request) -> Response:
    """Redirect to the start in the language that the browser asks for."""
    lang = preferred_language(request, request.app.state.site)
    headers = {"Vary": "Accept-Language"}
    return RedirectResponse(f"/{lang}/", status_code=HTTPStatus.SEE_OTHER, headers=headers)


@router.api_route("/{lang}", methods=_READ)
def home_without_slash(page: PageDep) -> Response:
    """Redirect to the start, whose address ends in a slash."""
    return page.redirect()


@router.api_route("/{lang}/", methods=_READ)
def home(page: PageDep) -> Response:
    """Show what this is, where to go, who runs it and who takes part."""
    return page.render("home.html.j2")


@router.api_route("/{lang}/how", methods=_READ)
def how(page: PageDep) -> Response:
    """Explain how it works, and what it cannot do."""
    return page.render("how.html.j2")


@router.api_route("/{lang}/under-18", methods=_READ)
def under_18(page: PageDep) -> Response:
    """List services that help if the person was under 18; nothing else happens here."""
    countries = for_minors(page.site.countries[page.lang])
    return page.render("under_18.html.j2", countries=countries, routes=_CHILD_ROUTES)


@router.api_route("/{lang}/help", methods=_READ)
def help_(page: PageDep) -> Response:
    """List helplines: the visitor's country, international ones, then the others, folded."""
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
    """Explain what is kept, why and how long."""
    lifetime = shown_lifetime(page.words, page.site.settings.case_lifetime_days)
    return page.render("privacy.html.j2", lifetime=lifetime)


@router.api_route("/{lang}/accessibility", methods=_READ)
def accessibility(page: PageDep) -> Response:
    """Explain how accessible the pages are, and where they fall short."""
    return page.render("accessibility.html.j2")


@router.api_route("/{lang}/goodbye", methods=_READ)
def goodbye(page: PageDep) -> Response:
    """Say that the session is over, and how to clear the browser's history."""
    return page.render("goodbye.html.j2")


@router.get("/{lang}/form-token")
def form_token(page: PageDep) -> Response:
    """Give a script a new token, for instance after another window signed in or out."""
    response = JSONResponse({"csrf": page.csrf})
    page.dress(response)
    return response


@router.api_route("/{lang}/leave", methods=["GET", "POST"])
def leave(page: PageDep) -> Response:
    """End the session, clear the browser's data, and redirect to a neutral page.

    It needs no token: the way out must never fail, and other sites' requests carry no cookie. It is
    a link, which works without a script. A form would not: the policy that confines forms to this
    origin also covers redirects.
    """
    page.drop_cookie()
    response = RedirectResponse(
        page.site.settings.pages_exit_url,
        status_code=HTTPStatus.SEE_OTHER,
        headers=_CLEARED,
        # Runs after the answer, so that a locked or full store delays nobody.
        background=BackgroundTask(_end_session, page),
    )
    page.dress(response)
    return response


def _end_session(page: Page) -> None:
    # On failure the session still ends soon: the browser no longer has its token.
    with suppress(StoreError):
        page.sign_out()
