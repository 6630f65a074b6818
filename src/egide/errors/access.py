"""Keys, what they permit and how much, names, approvals."""

from __future__ import annotations

from http import HTTPStatus

from egide.errors.base import Busy, Conflict, Invalid, Missing, Refused


class Unauthorized(Refused):
    """No valid key: send `Authorization: Bearer KEY` with a key that is neither expired nor revoked."""

    code = "unauthorized"
    status = HTTPStatus.UNAUTHORIZED  # another key may do it


class Forbidden(Refused):
    """A key of role {role} may not do this: it needs the permission {permission}."""

    code = "forbidden"
    page_words = "forbidden"


class RateLimited(Busy):
    """Too many requests with this key: try again in {retry_after_s} s."""

    code = "rate-limited"
    page_words = "waiting"


class QuotaExceeded(Busy):
    """The key's quota of {quota} fingerprints a day is used up: try again in {retry_after_s} s, or ask for a greater one."""

    code = "quota-exceeded"


class KeyMissing(Missing):
    """No key {key}: list keys with `egide key list`."""

    code = "key-missing"


class KeyExists(Conflict):
    """A key {key} exists already: choose another name."""

    code = "key-exists"


class NameInvalid(Invalid):
    """{name} cannot be a name: use 1 to 64 letters, digits, dots, hyphens or underscores, and neither `local` nor `egide`."""

    code = "name-invalid"


class ApprovalNeeded(Refused):
    """{action} needs a second person: approval {approval} awaits a decision. Repeat the request with it afterwards."""

    code = "approval-needed"


class ApprovalInvalid(Refused):
    """Approval {approval} cannot be used here: {reason}."""

    code = "approval-invalid"
