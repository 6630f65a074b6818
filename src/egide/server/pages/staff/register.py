"""Register for somebody: ask how they asked, and how old the person in the images was."""

from __future__ import annotations

from http import HTTPStatus
from urllib.parse import urlencode

from fastapi import APIRouter
from starlette.responses import Response

from egide.domain.staff import Staff
from egide.server.pages.site.page import FieldsDep, Page, PageDep
from egide.server.pages.staff.cases import ASKED
from egide.server.pages.staff.session import READ, SIGN_IN, signed_in_staff

router = APIRouter()
_AGES = ("no", "yes", "unsure")


@router.api_route("/{lang}/staff/register", methods=READ)
def show(page: PageDep) -> Response:
    """Ask both questions."""
    staff = signed_in_staff(page)
    return page.redirect(SIGN_IN) if staff is None else _form(page, staff)


@router.post("/{lang}/staff/register")
def go_on(page: PageDep, fields: FieldsDep) -> Response:
    """Redirect to the images, or for a child to other services; the answers are not kept."""
    staff = signed_in_staff(page)
    if staff is None:
        return page.redirect(SIGN_IN)
    under_18 = fields.get("under_18")
    authority = fields.get("authority")
    if under_18 == "yes":
        return page.redirect("under-18")
    wrong = []
    if under_18 not in _AGES:
        wrong.append("under_18")
    if authority not in ASKED:
        wrong.append("authority")
    if wrong or under_18 == "unsure":
        return _form(page, staff, under_18, authority, wrong)
    return page.redirect("register/images?" + urlencode({"authority": authority}))


def _form(
    page: Page,
    staff: Staff,
    under_18: str | None = None,
    authority: str | None = None,
    wrong: list[str] | None = None,
) -> Response:
    words = page.words
    wrong = wrong or []
    sentences = {
        "under_18": words.text("staff.register.age_choose"),
        "authority": words.text("staff.register.choose"),
    }
    return page.render(
        "staff_register.html.j2",
        status=HTTPStatus.UNPROCESSABLE_ENTITY if wrong else HTTPStatus.OK,
        staff=staff,
        ages=[(age, words.text(f"staff.register.age_{age}")) for age in _AGES],
        authorities=[(one.value, words.text(f"staff.authority.{one}")) for one in ASKED],
        under_18=under_18 or "",
        authority=authority or "",
        wrong=wrong,
        mistakes=[(name, sentences[name]) for name in wrong],
    )
