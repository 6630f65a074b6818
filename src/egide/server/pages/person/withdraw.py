"""Withdraw a case or one of its images, after one confirmation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import APIRouter
from starlette.responses import Response

from egide.domain.cases import CaseState
from egide.domain.model import State
from egide.errors import CaseNotFound, ImageMissing
from egide.server.pages.person.session import own_case
from egide.server.pages.site.page import FieldsDep, PageDep

if TYPE_CHECKING:
    from egide.domain.cases import Case, CaseImage

router = APIRouter()
_READ = ["GET", "HEAD"]


@router.api_route("/{lang}/case/withdraw", methods=_READ)
def ask(page: PageDep) -> Response:
    """Ask to confirm the withdrawal of the case or one image; once withdrawn, say so.

    Raises:
        SignInNeeded: nobody is signed in to a case.
    """
    try:
        case = own_case(page)
    except CaseNotFound:
        return page.redirect("case")
    if case.state is CaseState.WITHDRAWN:
        return page.render("withdrawn.html.j2")
    if case.state is not CaseState.OPEN:
        return page.redirect("case")
    asked = page.request.query_params.get("image")
    found = None if asked is None else _numbered(case, asked)
    if asked is not None and found is None:
        return page.redirect("case")
    number, image = found or (0, None)
    if image is not None:
        page.path = f"case/withdraw?image={image.id}"
    left = sum(one.state is not State.WITHDRAWN for one in case.images)
    return page.render("withdraw.html.j2", number=number, image=image, left=left)


@router.post("/{lang}/case/withdraw")
def withdraw(page: PageDep, fields: FieldsDep) -> Response:
    """Withdraw the case, or one image.

    Raises:
        SignInNeeded: nobody is signed in to a case.
    """
    page.path = "case/withdraw"
    cases = page.service.casework
    try:
        case = own_case(page)
        asked = fields.get("image", "")
        if not asked:
            cases.withdraw(case.id)
            return page.redirect("case/withdraw")
        found = _numbered(case, asked)
        if found is None:
            return page.redirect("case")
        case = cases.withdraw_image(case.id, found[1].id)
    except (CaseNotFound, ImageMissing):
        return page.redirect("case")
    return page.redirect("case?done=image-withdrawn")


def _numbered(case: Case, image_id: str) -> tuple[int, CaseImage] | None:
    """Find an image of the case and its shown number; None if unknown or withdrawn."""
    for number, image in enumerate(case.images, start=1):
        if str(image.id) == image_id:
            return None if image.state is State.WITHDRAWN else (number, image)
    return None
