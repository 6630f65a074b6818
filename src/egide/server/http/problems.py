"""Errors as answers: problem+json (RFC 9457) with the error's code, and nothing of the request."""

from __future__ import annotations

import re
from collections.abc import Callable
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict
from starlette.exceptions import HTTPException

from egide import errors

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from fastapi import FastAPI, Request
    from starlette.responses import Response
    from starlette.types import Scope

CODE = "egide_code"
"""Where a request's state holds the code of the error that it was answered with."""
MEDIA_TYPE = "application/problem+json"
TYPE_PREFIX = "urn:egide:error:"
_MAX_NAMED_PROBLEMS = 5

# An error's status is that of its nearest class here.
_STATUS: dict[type[errors.EgideError], HTTPStatus] = {
    errors.EgideError: HTTPStatus.INTERNAL_SERVER_ERROR,
    errors.UsageError: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.RequestInvalid: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.HashInvalid: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.NameInvalid: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.BankNameInvalid: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.RadiusInvalid: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.ItemError: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.FileTooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    errors.Unauthorized: HTTPStatus.UNAUTHORIZED,
    errors.Forbidden: HTTPStatus.FORBIDDEN,
    errors.ApprovalNeeded: HTTPStatus.FORBIDDEN,
    errors.ApprovalInvalid: HTTPStatus.FORBIDDEN,
    errors.FormExpired: HTTPStatus.FORBIDDEN,
    errors.SignInNeeded: HTTPStatus.UNAUTHORIZED,
    errors.StaffRefused: HTTPStatus.UNAUTHORIZED,
    errors.PathMissing: HTTPStatus.NOT_FOUND,
    errors.MethodNotAllowed: HTTPStatus.METHOD_NOT_ALLOWED,
    errors.BankMissing: HTTPStatus.NOT_FOUND,
    errors.EntryMissing: HTTPStatus.NOT_FOUND,
    errors.WebhookMissing: HTTPStatus.NOT_FOUND,
    errors.UpstreamMissing: HTTPStatus.NOT_FOUND,
    errors.KeyMissing: HTTPStatus.NOT_FOUND,
    errors.BankExists: HTTPStatus.CONFLICT,
    errors.KeyExists: HTTPStatus.CONFLICT,
    errors.WebhookExists: HTTPStatus.CONFLICT,
    errors.WebhookRefused: HTTPStatus.FORBIDDEN,
    errors.UpstreamExists: HTTPStatus.CONFLICT,
    errors.StateConflict: HTTPStatus.CONFLICT,
    errors.IdempotencyConflict: HTTPStatus.CONFLICT,
    errors.IdempotencyBusy: HTTPStatus.CONFLICT,
    errors.CaseNumberInvalid: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.PinRefused: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.ProofInvalid: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.ProofExpired: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.CaseNotFound: HTTPStatus.NOT_FOUND,
    errors.ImageMissing: HTTPStatus.NOT_FOUND,
    errors.CaseChanged: HTTPStatus.CONFLICT,
    errors.CaseEnded: HTTPStatus.CONFLICT,
    errors.CaseFull: HTTPStatus.CONFLICT,
    errors.SubmissionConflict: HTTPStatus.CONFLICT,
    errors.TooManyAttempts: HTTPStatus.TOO_MANY_REQUESTS,
    errors.RequestTimeout: HTTPStatus.REQUEST_TIMEOUT,
    errors.BodyTooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    errors.BatchTooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    errors.RateLimited: HTTPStatus.TOO_MANY_REQUESTS,
    errors.QuotaExceeded: HTTPStatus.TOO_MANY_REQUESTS,
    errors.Overloaded: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.NotReady: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.RegisterStale: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.StoreError: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.FetchError: HTTPStatus.BAD_GATEWAY,
    errors.FetchDisabled: HTTPStatus.FORBIDDEN,
    errors.FetchRefused: HTTPStatus.FORBIDDEN,
    errors.FetchTooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    errors.FetchTimeout: HTTPStatus.GATEWAY_TIMEOUT,
}
# Their messages hold nothing of this machine; those of other errors with a status from 500 on do,
# such as where the store is.
_SHOWN = (errors.Overloaded, errors.NotReady, errors.RegisterStale, errors.FetchError)
_HIDDEN_DETAIL = "Something went wrong here; it was written to the log of the register."
_STORE_DETAIL = "The store of the register cannot be used at present: try again in some seconds."


Answering = Callable[["Scope", BaseException], "Response"]
"""What makes an answer of an error that a request met."""


class Problem(BaseModel):
    """What went wrong."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "type": "urn:egide:error:bank-missing",
                    "title": "Not Found",
                    "status": 404,
                    "detail": "No bank helpline: …",
                    "code": "bank-missing",
                }
            ]
        }
    )

    type: str
    title: str
    status: int
    detail: str
    code: str


def status_of(error: errors.EgideError) -> HTTPStatus:
    """Return the HTTP status of an error."""
    return next(_STATUS[kind] for kind in type(error).__mro__ if kind in _STATUS)


def problem(error: errors.EgideError) -> dict[str, Any]:
    """Return an error as the fields of `Problem`, and the fields that a client acts on."""
    status = status_of(error)
    return {
        "type": TYPE_PREFIX + error.code,
        "title": status.phrase,
        "status": int(status),
        "detail": _detail(error, status),
        "code": error.code,
    } | {name: error.fields[name] for name in ("approval", "retry_after_s") if name in error.fields}


def _detail(error: errors.EgideError, status: HTTPStatus) -> str:
    if status < HTTPStatus.INTERNAL_SERVER_ERROR or isinstance(error, _SHOWN):
        return error.message
    return _STORE_DETAIL if isinstance(error, errors.StoreError) else _HIDDEN_DETAIL


def answer(error: BaseException) -> JSONResponse:
    """Return the response to a request that met this error, whatever it is."""
    found = as_egide_error(error)
    status = status_of(found)
    return JSONResponse(
        problem(found), status_code=status, headers=_headers(found, status), media_type=MEDIA_TYPE
    )


def always_problem(_scope: Scope, error: BaseException) -> Response:
    """Answer with a problem whatever was asked for: an `Answering`."""
    return answer(error)


def as_egide_error(error: BaseException) -> errors.EgideError:
    """Return the error of ours that an exception stands for."""
    if isinstance(error, errors.EgideError):
        return error
    # FastAPI turns whatever happens while it reads a body into an error of its own.
    if isinstance(error.__cause__, errors.EgideError):
        return error.__cause__
    if isinstance(error, RequestValidationError):
        return errors.RequestInvalid(reason=_described(error.errors()))
    if isinstance(error, HTTPException):
        return _of_status(error)
    return errors.Unexpected(reason=type(error).__name__)


def _of_status(error: HTTPException) -> errors.EgideError:
    if error.status_code == HTTPStatus.NOT_FOUND:
        return errors.PathMissing()
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        return errors.MethodNotAllowed(allowed=(error.headers or {}).get("Allow", "other methods"))
    if error.status_code < HTTPStatus.INTERNAL_SERVER_ERROR:
        return errors.RequestInvalid(reason="the body is not what its content type says")
    return errors.Unexpected(reason=HTTPStatus(error.status_code).phrase)


def _headers(error: errors.EgideError, status: HTTPStatus) -> dict[str, str]:
    headers = {}
    if "retry_after_s" in error.fields:
        headers["Retry-After"] = str(error.fields["retry_after_s"])
    elif status == HTTPStatus.SERVICE_UNAVAILABLE:
        headers["Retry-After"] = "1"
    if isinstance(error, errors.MethodNotAllowed):
        headers["Allow"] = str(error.fields["allowed"])
    if status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    if isinstance(error, errors.BodyTooLarge | errors.RequestTimeout):
        headers["Connection"] = "close"  # what is left of the body is not read
    return headers


def _described(found: Sequence[Mapping[str, Any]]) -> str:
    """Say where the request is wrong, never what stands there: it may be a fingerprint."""
    named = [
        f"{'.'.join(str(step) for step in one['loc'])}: {one['msg']}"
        for one in found[:_MAX_NAMED_PROBLEMS]
        if one["type"] != "extra_forbidden"
    ]
    unknown = sum(one["type"] == "extra_forbidden" for one in found)
    if unknown:
        named.append(f"{unknown} unknown fields")
    left = len(found) - len(named)
    if not unknown and left > 0:
        named.append(f"{left} more")
    return "; ".join(named)


def add_handlers(app: FastAPI, answering: Answering = always_problem) -> None:
    """Answer every error of a route with a problem, or with what `answering` makes of it."""

    async def handle(request: Request, error: Exception) -> Response:
        found = as_egide_error(error)
        if isinstance(found, errors.MethodNotAllowed):
            allowed = _allowed_methods(request) or found.fields["allowed"]
            found = errors.MethodNotAllowed(allowed=allowed)
        setattr(request.state, CODE, found.code)
        return answering(request.scope, found)

    for kind in (errors.EgideError, RequestValidationError, HTTPException):
        app.add_exception_handler(kind, handle)


def _allowed_methods(request: Request) -> str:
    """Return the methods that the document has for a path; each route knows of its own alone."""
    paths, asked = request.app.openapi()["paths"], request.url.path
    templates = [asked] if asked in paths else [path for path in paths if _fits(path, asked)]
    return ", ".join(sorted({method.upper() for path in templates for method in paths[path]}))


def _fits(template: str, path: str) -> bool:
    return re.fullmatch(re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(template)), path) is not None


def problem_responses(*kinds: type[errors.EgideError]) -> dict[int | str, dict[str, Any]]:
    """Document the errors of a route, for `responses=`.

    Args:
        kinds: errors beside those that every route has: 401, 403, 422, 429, 503.
    """
    by_status: dict[HTTPStatus, list[str]] = {}
    for kind in kinds:
        status = next(_STATUS[base] for base in kind.__mro__ if base in _STATUS)
        by_status.setdefault(status, []).append(kind.code)
    return {
        int(status): {
            "description": " or ".join(f"`{code}`" for code in codes),
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
        for status, codes in by_status.items()
    }
