"""Sign a helpline's workers in and out; collect the routes of all their pages."""

from __future__ import annotations

import math
from http import HTTPStatus

from fastapi import APIRouter
from starlette.responses import Response

from egide.domain.staff import SESSION_IDLE_S, SESSION_LONGEST_S
from egide.errors import StaffRefused, TooManyAttempts
from egide.server.pages.site.page import FieldsDep, Page, PageDep
from egide.server.pages.staff import cases as staff_cases
from egide.server.pages.staff import register as staff_register
from egide.server.pages.staff.session import READ, signed_in_staff
from egide.usecases.staff import Staffing

router = APIRouter()
router.include_router(staff_cases.router)
router.include_router(staff_register.router)
_MINUTE_S = 60


@router.api_route("/{lang}/staff/sign-in", methods=READ)
def show_sign_in(page: PageDep) -> Response:
    """Ask for name, password and code; a signed-in worker is redirected to the cases."""
    if signed_in_staff(page) is not None:
        return page.redirect("staff/")
    return _form(page)


@router.post("/{lang}/staff/sign-in")
def sign_in(page: PageDep, fields: FieldsDep) -> Response:
    """Sign in, with a new session."""
    name = fields.get("name", "")
    try:
        staff = Staffing(page.service.store).sign_in(
            name, fields.get("password", ""), fields.get("code", ""), origin=page.origin
        )
    except StaffRefused:
        return _refused(page, name)
    except TooManyAttempts as error:
        wait_s = int(str(error.fields["retry_after_s"]))
        problem = page.words.text("staff.sign_in.too_many", wait=_wait(page, wait_s))
        return _form(page, name, problem, HTTPStatus.TOO_MANY_REQUESTS, wait_s)
    page.sign_in("staff", staff.id, idle_s=SESSION_IDLE_S, longest_s=SESSION_LONGEST_S)
    if not page.service.store.staff.stands(staff.id):
        # The account changed meanwhile, which ended its older sessions but not this one.
        page.sign_out()
        return _refused(page, name)
    return page.redirect("staff/")


@router.post("/{lang}/staff/sign-out")
def sign_out(page: PageDep, _fields: FieldsDep) -> Response:
    """End the session."""
    page.sign_out()
    return page.redirect("staff/sign-in")


def _refused(page: Page, name: str) -> Response:
    problem = page.words.text("staff.sign_in.refused")
    return _form(page, name, problem, HTTPStatus.UNPROCESSABLE_ENTITY)


def _form(
    page: Page,
    name: str = "",
    problem: str = "",
    status: HTTPStatus = HTTPStatus.OK,
    wait_s: int | None = None,
) -> Response:
    return page.render(
        "staff_sign_in.html.j2",
        status=status,
        headers=None if wait_s is None else {"Retry-After": str(wait_s)},
        name=name,
        problem=problem,
    )


def _wait(page: Page, wait_s: int) -> str:
    if wait_s < _MINUTE_S:
        return page.words.plural("staff.wait.seconds", wait_s)
    return page.words.plural("staff.wait.minutes", math.ceil(wait_s / _MINUTE_S))
