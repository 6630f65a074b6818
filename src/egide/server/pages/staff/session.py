"""The worker who asks for a page."""

from __future__ import annotations

import re
from typing import Annotated

from fastapi import Depends

from egide.domain.staff import Staff
from egide.errors import PathMissing
from egide.server.pages.site.page import Page

SIGN_IN = "staff/sign-in"
READ = ["GET", "HEAD"]
CASE_ID = re.compile(r"[0-9]{1,18}", re.ASCII)


def signed_in_staff(page: Page) -> Staff | None:
    """The worker of the session; None for anybody else, and for a disabled account."""
    session = page.session
    if session is None or session.kind != "staff":
        return None
    # Checked at each request: a session may have begun just as the account was disabled.
    staff = page.service.store.staff.find(session.subject_id)
    return None if staff is None or staff.disabled is not None else staff


async def _case_id(case_id: str) -> int:
    if not CASE_ID.fullmatch(case_id):
        raise PathMissing
    return int(case_id)


CaseIdDep = Annotated[int, Depends(_case_id)]
"""The `{case_id}` of a path, the store's number of a case. Raises PathMissing for anything else.

Starlette's own `{case_id:int}` fails on 5,000 digits: Python converts no number that long.
"""
