"""Registering images: the question of age, the page that fingerprints, its submissions."""

from __future__ import annotations

from http import HTTPStatus

from fastapi import APIRouter
from starlette.responses import JSONResponse, Response

from egide.domain.cases import Authority, CaseState
from egide.errors import CaseChanged, CaseEnded, CaseNotFound, PinRefused
from egide.server.http.problems import problem
from egide.server.pages.person.session import acting_staff, enter, is_marked, mark_of, own_case
from egide.server.pages.person.submissions import (
    MoreImages,
    NewCase,
    challenge_for,
    count_case,
    parsed,
)
from egide.server.pages.site.page import JsonDep, Page, PageDep, shown_lifetime
from egide.server.pages.site.site import script_words

router = APIRouter()
_READ = ["GET", "HEAD"]
_ADULT = "adult=yes"
"""Query of the images page once the question of age is answered."""
_SCRIPT_WORDS = "register.script."


@router.api_route("/{lang}/register", methods=_READ)
def question(page: PageDep) -> Response:
    """Ask first whether the person was under 18; if so, nothing is fingerprinted here."""
    return _question(page, f"register/images?{_ADULT}")


@router.api_route("/{lang}/register/images", methods=_READ)
def images(page: PageDep) -> Response:
    """Show the page that fingerprints images and opens a case."""
    session = page.session
    if session is not None and session.kind == "staff":
        # The staff form also asked for the age.
        authority = _authority(page)
        if authority is None:
            return page.redirect("staff/register")
        page.path = f"register/images?authority={authority}"
    else:
        authority = None
        if not _is_adult(page):
            return page.redirect("register")
        page.path = f"register/images?{_ADULT}"
    return _images_page(
        page,
        mode="staff" if authority else "self",
        authority=authority,
        signed_in=session is not None and session.kind == "case",
        room=page.site.settings.case_max_images,
        challenge=page.url("register/challenge"),
        submit=page.url("register/submit"),
    )


@router.post("/{lang}/register/challenge")
def challenge(page: PageDep, body: JsonDep) -> Response:  # noqa: ARG001 (its token is checked)
    """Give a script a proof-of-work challenge, which also identifies its submission."""
    return JSONResponse({"challenge": challenge_for(page)})


@router.post("/{lang}/register/submit")
def submit(page: PageDep, body: JsonDep) -> Response:
    """Open a case; a repeated submission leads to the same case.

    Raises:
        RequestInvalid, ProofInvalid, ProofExpired: the submission is invalid.
        SignInNeeded: it acts for somebody, but no staff is signed in.
        RateLimited: too many cases were opened from this origin.
        CaseFull, SubmissionConflict: see `Casework.open`.
    """
    new = parsed(body, NewCase)
    submission = new.proven(page)
    member = None if new.authority is Authority.SELF else acting_staff(page)
    if member is None:
        count_case(page, submission)
    try:
        case = page.service.casework.open(
            new.fingerprints(),
            new.pin,
            submission=submission,
            authority=new.authority,
            staff=None if member is None else member.name,
        )
    except PinRefused as error:
        # The script tells the person what is wrong with the PIN.
        content = problem(error) | {"reason": error.fields["reason"]}
        return JSONResponse(content, status_code=error.status)
    if member is None:
        enter(page, case)
        return _done(page, "case/card?new=yes")
    return _done(page, f"staff/cases/{case.id}/card")


@router.api_route("/{lang}/case/add", methods=_READ)
def add(page: PageDep) -> Response:
    """Show the page that fingerprints images and adds them to the open case.

    Raises:
        SignInNeeded: nobody is signed in to a case.
    """
    try:
        case = own_case(page)
    except CaseNotFound:
        return page.redirect("case")
    if case.state is not CaseState.OPEN:
        return page.redirect("case")
    limit = page.site.settings.case_max_images
    if len(case.images) >= limit:
        return page.render("case_full.html.j2", limit=limit)
    if not _is_adult(page):
        return _question(page, f"case/add?{_ADULT}")
    page.path = f"case/add?{_ADULT}"
    return _images_page(
        page,
        mode="add",
        mark=mark_of(page, case),
        before=len(case.images),
        room=limit - len(case.images),
        challenge=page.url("register/challenge"),
        submit=page.url("case/add/submit"),
    )


@router.post("/{lang}/case/add/submit")
def submit_more(page: PageDep, body: JsonDep) -> Response:
    """Add images to the case of the session; a repeated submission changes nothing.

    Raises:
        RequestInvalid, ProofInvalid, ProofExpired: the submission is invalid.
        SignInNeeded: nobody is signed in to a case.
        CaseChanged: the session's case is not that of the form.
        CaseNotFound, CaseEnded, CaseFull, SubmissionConflict: see `Casework.add`.
    """
    more = parsed(body, MoreImages)
    submission = more.proven(page)
    case = own_case(page)
    if not is_marked(page, case, more.case):
        raise CaseChanged
    if case.state is not CaseState.OPEN:
        raise CaseEnded(state=case.state.value)
    page.service.casework.add(case.id, more.fingerprints(), submission=submission)
    return _done(page, "case?done=added")


def _question(page: Page, onward: str) -> Response:
    return page.render("register.html.j2", onward=onward)


def _images_page(
    page: Page,
    *,
    mode: str,
    room: int,
    challenge: str,
    submit: str,
    authority: Authority | None = None,
    mark: str = "",
    before: int = 0,
    signed_in: bool = False,
) -> Response:
    words = dict(script_words(page.lang, _SCRIPT_WORDS))
    if mode == "staff":
        words["problem.signed_out"] = words["problem.signed_out_staff"]
    return page.render(
        "images.html.j2",
        fingerprints=True,
        mode=mode,
        authority=authority,
        mark=mark,
        before=before,
        room=room,
        signed_in=signed_in,
        words=words,
        challenge=challenge,
        submit=submit,
        lifetime=shown_lifetime(page.words, page.site.settings.case_lifetime_days),
    )


def _authority(page: Page) -> Authority | None:
    """On whose behalf staff act, from the address; None if missing or unknown."""
    asked = page.request.query_params.get("authority", "")
    return next((one for one in Authority if one == asked and one is not Authority.SELF), None)


def _is_adult(page: Page) -> bool:
    return page.request.query_params.get("adult") == "yes"


def _done(page: Page, path: str) -> Response:
    response = JSONResponse({"next": page.url(path)}, status_code=HTTPStatus.CREATED)
    page.dress(response)
    return response
