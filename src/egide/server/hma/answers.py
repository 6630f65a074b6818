"""Errors and requests in HMA's format."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from egide.errors import EgideError
from egide.server.http.bodies import read_json
from egide.server.http.problems import answer, as_egide_error, problem

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.types import Scope

    from egide.server.http.problems import Answering

_TRUE = frozenset({"true", "1"})
_FALSE = frozenset({"false", "0"})


class HmaRoute(APIRoute):
    """Answers errors as HMA does, `{"message": …}`; a header adds our error code."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the handler of a request."""
        handle = super().get_route_handler()

        async def handle_with_messages(request: Request) -> Response:
            try:
                return await handle(request)
            except HTTPException as error:
                return JSONResponse({"message": error.detail}, error.status_code)
            except (EgideError, RequestValidationError) as error:
                return _as_message(error)

        return handle_with_messages


def answer_as_hma(others: Answering, scope: Scope, error: BaseException) -> Response:
    """Answer an error in HMA's format below `/hma/`, elsewhere as `others` does."""
    below = scope["path"].startswith("/hma/")
    return _as_message(error) if below else others(scope, error)


def _as_message(error: BaseException) -> Response:
    said = problem(as_egide_error(error))
    headers = dict(answer(error).headers)
    for name in ("content-length", "content-type"):
        headers.pop(name, None)
    headers["Egide-Code"] = said["code"]
    status, text = said["status"], said["detail"]
    if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        text = f"Content too large: {text}"  # HMA's words
    if status == HTTPStatus.UNPROCESSABLE_ENTITY:
        status = HTTPStatus.BAD_REQUEST  # HMA's status for any invalid request
    return JSONResponse({"message": text}, status, headers)


def as_bool(value: object, name: str) -> bool:
    """Read a boolean as HMA does.

    Raises:
        HTTPException: 400, the value is not a boolean.
    """
    text = str(value).lower()
    if text not in _TRUE | _FALSE:
        raise HTTPException(400, f"{name} has to be true or false")
    return text in _TRUE


async def json_object(request: Request) -> dict[str, Any]:
    """Read a body that has to be a JSON object.

    Raises:
        HTTPException: 400, the body is another value.
        RequestInvalid: the body is not JSON.
    """
    body = await read_json(request)
    if not isinstance(body, dict):
        raise HTTPException(400, "the body has to be a JSON object")
    return body
