"""My case: sign in with number and PIN, see what happened, print the card, extend the case."""

from __future__ import annotations

import math
from datetime import timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING

from fastapi import APIRouter
from starlette.responses import Response

from egide.domain.cases import CaseState, shown_number
from egide.errors import CaseEnded, CaseNotFound, CaseNumberInvalid, SignInNeeded, TooManyAttempts
from egide.server.pages.person import withdraw as case_withdraw
from egide.server.pages.person.session import enter, own_case
from egide.server.pages.person.view import happenings, standing, summary
from egide.server.pages.site.page import FieldsDep, Page, PageDep, shown_lifetime
from egide.server.pages.site.site import script_words
from egide.server.pages.staff.session import SIGN_IN, CaseIdDep, signed_in_staff

if TYPE_CHECKING:
    from egide.domain.cases import Case

router = APIRouter()
router.include_router(case_withdraw.router)
_READ = ["GET", "HEAD"]
_MINUTE_S = 60
_TAG_PURPOSE = "page-image-tags"
_NO_TAG = "-"
_SCRIPT_WORDS = "case.script."
_DONE = ("added", "extended", "image-withdrawn")


@router.api_route("/{lang}/case", methods=_READ)
def show(page: PageDep) -> Response:
    """Show the case of the session, else ask for number and PIN."""
    try:
        return _show(page, own_case(page))
    except SignInNeeded:
        return _sign_in_form(page)
    except CaseNotFound:  # it ended long ago and was deleted
        page.sign_out()
        return _sign_in_form(page)


@router.post("/{lang}/case")
def sign_in(page: PageDep, fields: FieldsDep) -> Response:
    """Sign in; a wrong number and a wrong PIN get the same answer."""
    number = fields.get("number", "")
    words = page.words
    try:
        case = page.service.casework.sign_in(number, fields.get("pin", ""), origin=page.origin)
    except CaseNumberInvalid:
        return _sign_in_form(page, number, number_error=words.text("case.sign_in.number_wrong"))
    except CaseNotFound:
        return _sign_in_form(page, number, error=words.text("case.sign_in.wrong"))
    except TooManyAttempts as error:
        wait_s = int(str(error.fields["retry_after_s"]))
        said = words.text("case.sign_in.wait", wait=_wait(page, wait_s))
        return _sign_in_form(page, number, error=said, wait_s=wait_s)
    enter(page, case)
    return page.redirect("case")


@router.post("/{lang}/case/sign-out")
def sign_out(page: PageDep, _fields: FieldsDep) -> Response:
    """End the session."""
    page.sign_out()
    return page.redirect("goodbye")


@router.post("/{lang}/case/extend")
def extend(page: PageDep, _fields: FieldsDep) -> Response:
    """Extend the case to a full lifetime from now.

    Raises:
        SignInNeeded: nobody is signed in to a case.
    """
    page.path = "case"
    try:
        page.service.casework.extend(page.session_of("case").subject_id)
    except (CaseEnded, CaseNotFound):
        return page.redirect("case")  # it shows that the case has ended
    return page.redirect("case?done=extended")


@router.api_route("/{lang}/case/card", methods=_READ)
def card(page: PageDep) -> Response:
    """Show the case's number and address, to print, save or copy.

    Raises:
        SignInNeeded: nobody is signed in to a case.
    """
    try:
        case = own_case(page)
    except CaseNotFound:
        return page.redirect("case")
    if case.state is not CaseState.OPEN:
        return page.redirect("case")
    return _card(page, case, new=page.request.query_params.get("new") == "yes", by_staff=False)


@router.api_route("/{lang}/staff/cases/{case_id}/card", methods=_READ)
def card_for_person(page: PageDep, case_id: CaseIdDep) -> Response:
    """Show the card of a case that staff opened, to hand to the person.

    Raises:
        CaseNotFound: there is no such case.
    """
    if signed_in_staff(page) is None:
        return page.redirect(SIGN_IN)
    return _card(page, page.service.case_review.get(case_id), new=True, by_staff=True)


def _show(page: Page, case: Case) -> Response:
    cases = page.service.casework
    done = page.request.query_params.get("done", "")
    statuses = cases.partners(case)
    salt = page.visit_key(_TAG_PURPOSE)
    tags = cases.image_tags(case, salt) if case.state is CaseState.OPEN else {}
    return page.render(
        "case.html.j2",
        case=case,
        number=shown_number(case.number),
        summary=summary(page, case, statuses, page.taking_part),
        happenings=happenings(page, case, statuses),
        standing=lambda image: standing(page, image, statuses[image.id], page.taking_part),
        salt=salt.hex(),
        tags=" ".join(tags.get(image.id, _NO_TAG) for image in case.images) if tags else "",
        words=script_words(page.lang, _SCRIPT_WORDS),
        ends_soon=cases.ends_soon(case),
        lifetime=shown_lifetime(page.words, page.site.settings.case_lifetime_days),
        gone=None if case.ended is None else case.ended + timedelta(days=cases.rules.kept_days),
        full=len(case.images) >= cases.rules.max_images,
        done=done if done in _DONE else "",
    )


def _card(page: Page, case: Case, *, new: bool, by_staff: bool) -> Response:
    settings = page.site.settings
    address = (settings.public_url or str(page.request.base_url)).rstrip("/")
    return page.render(
        "card.html.j2",
        case=case,
        number=shown_number(case.number),
        new=new,
        by_staff=by_staff,
        address=address + page.url("case"),
    )


def _sign_in_form(
    page: Page, number: str = "", *, error: str = "", number_error: str = "", wait_s: int = 0
) -> Response:
    status = HTTPStatus.OK
    if wait_s:
        status = HTTPStatus.TOO_MANY_REQUESTS
    elif error or number_error:
        status = HTTPStatus.UNPROCESSABLE_ENTITY
    return page.render(
        "case_sign_in.html.j2",
        status=status,
        headers={"Retry-After": str(wait_s)} if wait_s else None,
        number=number,
        error=error,
        number_error=number_error,
    )


def _wait(page: Page, wait_s: int) -> str:
    if wait_s < _MINUTE_S:
        return page.words.plural("case.wait.seconds", wait_s)
    return page.words.plural("case.wait.minutes", math.ceil(wait_s / _MINUTE_S))
