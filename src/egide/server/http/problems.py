"""Answer errors with problem+json (RFC 9457) and the error's code, without data of the request."""

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
"""Name of the error code in a request's state."""
MEDIA_TYPE = "application/problem+json"
TYPE_PREFIX = "urn:egide:error:"
_MAX_NAMED_PROBLEMS = 5

Answering = Callable[["Scope", BaseException], "Response"]
"""Makes the answer to a request from its error."""


class Problem(BaseModel):
    """An error."""

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


def problem(error: errors.EgideError) -> dict[str, Any]:
    """Return the fields of `Problem` for an error, plus fields that a client needs to act."""
    return {
        "type": TYPE_PREFIX + error.code,
        "title": error.status.phrase,
        "status": int(error.status),
        "detail": error.message if error.told is None else error.told,
        "code": error.code,
    } | {name: error.fields[name] for name in ("approval", "retry_after_s") if name in error.fields}


def answer(error: BaseException) -> JSONResponse:
    """Return the response for any error."""
    found = as_egide_error(error)
    return JSONResponse(
        problem(found), status_code=found.status, headers=_headers(found), media_type=MEDIA_TYPE
    )


def always_problem(_scope: Scope, error: BaseException) -> Response:
    """Answer with a problem, whatever was asked for: an `Answering`."""
    return answer(error)


def as_egide_error(error: BaseException) -> errors.EgideError:
    """Return our own error for an exception."""
    if isinstance(error, errors.EgideError):
        return error
    # FastAPI wraps any exception raised while it reads a body in its own error.
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


def _headers(error: errors.EgideError) -> dict[str, str]:
    headers = {}
    if "retry_after_s" in error.fields:
        headers["Retry-After"] = str(error.fields["retry_after_s"])
    elif error.status == HTTPStatus.SERVICE_UNAVAILABLE:
        headers["Retry-After"] = "1"
    if isinstance(error, errors.MethodNotAllowed):
        headers["Allow"] = str(error.fields["allowed"])
    if error.status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    if isinstance(error, errors.BodyTooLarge | errors.RequestTimeout):
        headers["Connection"] = "close"  # the rest of the body is not read
    return headers


def _described(found: Sequence[Mapping[str, Any]]) -> str:
    """Say where a request is invalid, never with the value, which may be a fingerprint."""
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
    """Answer every error of a route by `answering`, by default with a problem."""

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
    """Return all methods of a path in the document; each route knows only its own."""
    paths, asked = request.app.openapi()["paths"], request.url.path
    templates = [asked] if asked in paths else [path for path in paths if _fits(path, asked)]
    return ", ".join(sorted({method.upper() for path in templates for method in paths[path]}))


def _fits(template: str, path: str) -> bool:
    return re.fullmatch(re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(template)), path) is not None


def problem_responses(*kinds: type[errors.EgideError]) -> dict[int | str, dict[str, Any]]:
    """Document the errors of a route, for `responses=`.

    Args:
        kinds: errors in addition to those of every route: 401, 403, 422, 429, 503.
    """
    by_status: dict[HTTPStatus, list[str]] = {}
    for kind in kinds:
        by_status.setdefault(kind.status, []).append(kind.code)
    return {
        int(status): {
            "description": " or ".join(f"`{code}`" for code in codes),
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
        for status, codes in by_status.items()
    }
