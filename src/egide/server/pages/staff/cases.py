"""The cases, for a helpline's workers: list them, show, confirm or withdraw one.

No page shows a picture or a fingerprint, and no address holds a case's number.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from enum import StrEnum
from functools import partial
from http import HTTPStatus
from typing import TypeVar
from urllib.parse import urlencode

from fastapi import APIRouter
from starlette.responses import Response

from egide.domain.cases import (
    Authority,
    Case,
    CaseImage,
    CaseRules,
    CaseState,
    ConfirmReason,
    shown_number,
)
from egide.domain.model import State, Trust
from egide.domain.staff import Staff
from egide.errors import CaseEnded, CaseNotFound, CaseNumberInvalid, ImageMissing
from egide.server.pages.site.page import FieldsDep, Page, PageDep
from egide.server.pages.staff.session import CASE_ID, READ, SIGN_IN, CaseIdDep, signed_in_staff
from egide.text.wording import NO_BREAK

router = APIRouter()
_CASE = "/{lang}/staff/cases/{case_id}"
_KEPT = timedelta(days=CaseRules().kept_days)
PAGE_CASES = 50
_DONE = ("confirm", "confirm_image", "withdraw")
ASKED = tuple(one for one in Authority if one is not Authority.SELF)
"""The ways in which somebody can ask a worker."""
_Choice = TypeVar("_Choice", bound=StrEnum)


@router.api_route("/{lang}/staff", methods=READ)
def lead_to_list(page: PageDep) -> Response:
    """Redirect to the list, whose address ends with a slash."""
    return page.redirect("staff/")


@router.api_route("/{lang}/staff/", methods=READ)
def show_list(page: PageDep) -> Response:
    """Show the cases, the newest first."""
    staff = signed_in_staff(page)
    return page.redirect(SIGN_IN) if staff is None else _list(page, staff)


@router.post("/{lang}/staff/find")
def find(page: PageDep, fields: FieldsDep) -> Response:
    """Redirect to the case with a number; no address contains the number itself."""
    staff = signed_in_staff(page)
    if staff is None:
        return page.redirect(SIGN_IN)
    page.path = "staff/"
    number = fields.get("number", "")
    try:
        case_id = page.service.case_review.find(number)
    except CaseNumberInvalid:
        return _list(page, staff, number, page.words.text("staff.cases.number_invalid"))
    except CaseNotFound:
        return _list(page, staff, number, page.words.text("staff.cases.number_unknown"))
    return page.redirect(f"staff/cases/{case_id}")


@router.api_route(_CASE, methods=READ)
def show_case(page: PageDep, case_id: CaseIdDep) -> Response:
    """Show one case: dates, states, what partners said."""
    staff = signed_in_staff(page)
    if staff is None:
        return page.redirect(SIGN_IN)
    review = page.service.case_review
    try:
        case = review.get(case_id)
    except CaseNotFound:
        return _missing(page, staff)
    done = page.request.query_params.get("done")
    return page.render(
        "staff_case.html.j2",
        staff=staff,
        case=case,
        number=_in_one_line(case.number),
        about=_about(page, case),
        partners=review.partners(case),
        confirmable=_confirmable(case, case.images),
        all_confirmed=_all_confirmed(case),
        deleted=None if case.ended is None else case.ended + _KEPT,
        done=done if done in _DONE else None,
    )


@router.api_route(_CASE + "/confirm", methods=READ)
def ask_confirm(page: PageDep, case_id: CaseIdDep) -> Response:
    """Ask for the reason to confirm a case or one of its images."""
    return _ask(page, case_id, "confirm", image=page.request.query_params.get("image", ""))


@router.post(_CASE + "/confirm")
def confirm(page: PageDep, fields: FieldsDep, case_id: CaseIdDep) -> Response:
    """Confirm a case, or one of its images, for one of the listed reasons."""
    staff = signed_in_staff(page)
    if staff is None:
        return page.redirect(SIGN_IN)
    image = fields.get("image", "")
    reason = _chosen(ConfirmReason, fields.get("reason"))
    if reason is None:
        return _ask(page, case_id, "confirm", mistake=True, image=image)
    if image and not CASE_ID.fullmatch(image):
        return _missing(page, staff)
    try:
        page.service.case_review.confirm(
            case_id, reason, staff=staff, image_id=int(image) if image else None
        )
    except (CaseNotFound, ImageMissing):
        return _missing(page, staff)
    except CaseEnded:
        return _ask(page, case_id, "confirm", image=image)
    return page.redirect(f"staff/cases/{case_id}?done=confirm{'_image' if image else ''}")


@router.api_route(_CASE + "/withdraw", methods=READ)
def ask_withdraw(page: PageDep, case_id: CaseIdDep) -> Response:
    """Ask who wants the withdrawal."""
    return _ask(page, case_id, "withdraw")


@router.post(_CASE + "/withdraw")
def withdraw(page: PageDep, fields: FieldsDep, case_id: CaseIdDep) -> Response:
    """Withdraw a case for its person, and record how they asked."""
    staff = signed_in_staff(page)
    if staff is None:
        return page.redirect(SIGN_IN)
    authority = _chosen(Authority, fields.get("authority"))
    if authority not in ASKED:
        return _ask(page, case_id, "withdraw", mistake=True)
    try:
        page.service.case_review.withdraw(case_id, authority, staff=staff)
    except CaseNotFound:
        return _missing(page, staff)
    except CaseEnded:
        return _ask(page, case_id, "withdraw")
    return page.redirect(f"staff/cases/{case_id}?done=withdraw")


def _list(page: Page, staff: Staff, number: str = "", problem: str = "") -> Response:
    words = page.words
    asked = page.request.query_params
    state = _chosen(CaseState, asked.get("state"))
    trust = _chosen(Trust, asked.get("trust"))
    before = _before(asked.get("before", ""))
    review = page.service.case_review
    found = review.cases(
        limit=PAGE_CASES,
        before=before,
        state=state,
        trust=trust,
    )
    return page.render(
        "staff_cases.html.j2",
        status=HTTPStatus.UNPROCESSABLE_ENTITY if problem else HTTPStatus.OK,
        staff=staff,
        cases=[(one, _in_one_line(one.number)) for one in found.cases],
        unconfirmed=review.unconfirmed(),
        older=found.older,
        is_first=before is None,
        state=state,
        trust=trust,
        state_options=[
            ("", words.text("staff.cases.any_state")),
            *_options(page, "staff.state.", CaseState),
        ],
        trust_options=[
            ("", words.text("staff.cases.any_trust")),
            *_options(page, "staff.trust.", Trust),
        ],
        filter_query=partial(_filter_query, state, trust),
        number=number,
        problem=problem,
    )


def _before(text: str) -> int | None:
    """The case that a page of the list continues after, from the address; None if invalid."""
    return int(text) if CASE_ID.fullmatch(text) else None


def _ask(page: Page, case_id: int, act: str, *, mistake: bool = False, image: str = "") -> Response:
    """Ask for a reason before an act; if the case has ended, say so instead.

    Args:
        page: of the answer.
        case_id: of the case.
        act: `confirm` or `withdraw`.
        mistake: whether nothing was chosen.
        image: the id of one image, as it was sent; empty for all.
    """
    staff = signed_in_staff(page)
    if staff is None:
        return page.redirect(SIGN_IN)
    try:
        case = page.service.case_review.get(case_id)
    except CaseNotFound:
        return _missing(page, staff)
    about = [(number, one) for number, one in enumerate(case.images, 1) if str(one.id) == image]
    if image and not about:
        return _missing(page, staff)
    image_number, chosen = about[0] if about else (0, None)
    if chosen is not None:
        page.path = f"staff/cases/{case_id}/confirm?image={chosen.id}"
    if act == "confirm":
        possible = _confirmable(case, case.images if chosen is None else (chosen,))
        options = _options(page, "staff.reason.", ConfirmReason)
    else:
        possible, options = case.state is CaseState.OPEN, _options(page, "staff.authority.", ASKED)
    return page.render(
        f"staff_{act}.html.j2",
        status=HTTPStatus.UNPROCESSABLE_ENTITY if mistake else HTTPStatus.OK,
        staff=staff,
        case=case,
        number=_in_one_line(case.number),
        image=chosen,
        image_number=image_number,
        possible=possible,
        options=options,
        mistake=mistake,
    )


def _about(page: Page, case: Case) -> list[tuple[str, str]]:
    """Labels and values for the summary of a case."""
    words = page.words
    over = case.ended is not None
    by = case.opened_by or words.text("staff.case.opened_by_person")
    return [
        (words.text("staff.case.state"), words.text(f"staff.state.{case.state}")),
        (words.text("staff.case.opened"), words.day(case.created)),
        (
            words.text("staff.case.ended" if over else "staff.case.ends"),
            words.day(case.ended or case.expires),
        ),
        (words.text("staff.case.opened_by"), by),
        (words.text("staff.case.how"), words.text(f"staff.authority.{case.authority}")),
    ]


def _filter_query(state: CaseState | None, trust: Trust | None, before: int | None = None) -> str:
    """The query of the list's address that keeps its filters."""
    asked = {"state": state, "trust": trust, "before": before}
    query = urlencode({name: value for name, value in asked.items() if value is not None})
    return f"?{query}" if query else ""


def _missing(page: Page, staff: Staff) -> Response:
    return page.render("staff_case_missing.html.j2", status=HTTPStatus.NOT_FOUND, staff=staff)


def _confirmable(case: Case, images: Iterable[CaseImage]) -> bool:
    return case.state is CaseState.OPEN and any(
        image.state is State.ACTIVE and image.trust is Trust.UNVERIFIED for image in images
    )


def _all_confirmed(case: Case) -> bool:
    active = [image for image in case.images if image.state is State.ACTIVE]
    return bool(active) and all(image.trust is Trust.CONFIRMED for image in active)


def _in_one_line(number: str) -> str:
    """A case number in groups, without places for a line break."""
    return shown_number(number).replace(" ", NO_BREAK)


def _options(page: Page, start: str, choices: Iterable[StrEnum]) -> list[tuple[str, str]]:
    """Values and labels for a field; the labels' keys begin with `start`."""
    return [(one.value, page.words.text(start + one)) for one in choices]


def _chosen(choices: type[_Choice], value: str | None) -> _Choice | None:
    """The choice with this value; None if there is none."""
    return next((one for one in choices if one.value == value), None)
