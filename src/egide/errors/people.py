"""People: cases, the pages that open them, and the accounts of staff."""

from __future__ import annotations

from http import HTTPStatus

from egide.errors.base import Busy, Conflict, Invalid, Missing, Refused


class CaseNumberInvalid(Invalid):
    """That is not a case number: it has 12 digits, and one of them is mistyped or missing."""

    code = "case-number-invalid"
    page_words = "unreadable"


class PinRefused(Invalid):
    """The PIN cannot be taken ({reason}): choose one of 6 to 64 characters that is hard to guess."""

    code = "pin-refused"
    page_words = "unreadable"


class CaseNotFound(Missing):
    """Case number and PIN do not fit together: check both."""

    code = "case-not-found"
    page_words = "missing"


class TooManyAttempts(Busy):
    """Too many attempts to sign in: try again in {retry_after_s} s."""

    code = "too-many-attempts"
    page_words = "waiting"


class CaseEnded(Conflict):
    """The case has ended ({state}): open a new one."""

    code = "case-ended"
    page_words = "ended"


class CaseFull(Conflict):
    """A case holds at most {limit} images: open another one for the rest."""

    code = "case-full"
    page_words = "full"


class CaseChanged(Conflict):
    """Another case was opened in another window meanwhile: sign in to this one again."""

    code = "case-changed"


class ImageMissing(Missing):
    """The case has no such image: open the case again to see those that it has."""

    code = "image-missing"
    page_words = "missing"


class SubmissionConflict(Conflict):
    """This was sent before with other content or another PIN: begin again with a new form."""

    code = "submission-conflict"
    page_words = "expired"


class ProofInvalid(Invalid):
    """The proof of work is not right: open the form again."""

    code = "proof-invalid"
    page_words = "expired"


class ProofExpired(Invalid):
    """The proof of work is too old: open the form again."""

    code = "proof-expired"
    page_words = "expired"


class FormExpired(Refused):
    """The form was open for too long, or in another window. Nothing was changed: open it again."""

    code = "form-expired"
    page_words = "expired"


class SignInNeeded(Refused):
    """Nobody is signed in: sign in, then try again."""

    code = "sign-in-needed"
    status = HTTPStatus.UNAUTHORIZED  # it may be done after signing in
    page_words = "signed_out"


class StaffMissing(Missing):
    """No account {staff}: list accounts with `egide staff list`."""

    code = "staff-missing"


class StaffExists(Conflict):
    """An account {staff} exists already: choose another name."""

    code = "staff-exists"


class StaffRefused(Refused):
    """Name, password and code do not fit together: check them. A code works once, for half a minute."""

    code = "staff-refused"
    status = HTTPStatus.UNAUTHORIZED  # it may be done after signing in
    page_words = "forbidden"
