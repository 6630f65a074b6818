"""Sessions that lead to a case."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING

from egide.errors import SignInNeeded
from egide.server.pages.staff.session import signed_in_staff

if TYPE_CHECKING:
    from egide.domain.cases import Case
    from egide.domain.staff import Staff
    from egide.server.pages.site.page import Page

IDLE_S = 20 * 60
"""Long enough to fingerprint a folder of photos, short enough for an unattended telephone."""
LONGEST_S = 2 * 3600
_MARK_PURPOSE = "page-case-marks"
_MARK_DIGITS = 32


def own_case(page: Page) -> Case:
    """The case of the session.

    Raises:
        SignInNeeded: nobody is signed in, or the session is over.
        CaseNotFound: the case was deleted.
    """
    return page.service.casework.get(page.session_of("case").subject_id)


def enter(page: Page, case: Case) -> None:
    """Sign somebody in to a case."""
    page.sign_in("case", case.id, idle_s=IDLE_S, longest_s=LONGEST_S)


def acting_staff(page: Page) -> Staff:
    """The member of staff who is signed in, for a script's request.

    Raises:
        SignInNeeded: no staff is signed in, or the account is disabled.
    """
    member = signed_in_staff(page)
    if member is None:
        raise SignInNeeded
    return member


def mark_of(page: Page, case: Case) -> str:
    """The mark that a form carries of its case, so that it never changes another case.

    Another window may have signed in to another case since the form was opened.
    """
    key = page.service.store.derived_key(_MARK_PURPOSE)
    return hmac.new(key, str(case.id).encode(), "sha256").hexdigest()[:_MARK_DIGITS]


def is_marked(page: Page, case: Case, mark: str) -> bool:
    """Whether a form's mark is that of this case."""
    return hmac.compare_digest(mark_of(page, case).encode(), mark.encode())
