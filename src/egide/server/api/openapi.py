"""Complete the OpenAPI document with permissions and the errors that every route has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import Request

from egide import errors
from egide.server.api.schemas.matching import ComparedQuery, FingerprintQuery
from egide.server.http.auth import SCHEME
from egide.server.http.envelope import template_of
from egide.server.http.problems import Problem, problem_responses

if TYPE_CHECKING:
    from fastapi import FastAPI
    from fastapi.routing import APIRoute

_OF_KEYS = problem_responses(
    errors.Unauthorized,
    errors.Forbidden,
    errors.RateLimited,
    errors.Overloaded,
    errors.StoreError,
)
_OF_PARAMETERS = problem_responses(errors.RequestInvalid)
_OF_BODIES = problem_responses(errors.BodyTooLarge, errors.RequestTimeout)


def operation_id(route: APIRoute) -> str:
    """Return a route's name in generated clients: the name of its function."""
    return route.name.replace("_", "-")


async def only_known_queries(request: Request) -> None:
    """Refuse an undocumented query parameter: a misspelt filter would return everything.

    Raises:
        RequestInvalid: it lists the known parameters.
    """
    paths = request.app.openapi()["paths"]
    operation = paths[template_of(request.scope)][request.method.lower()]
    known = {one["name"] for one in operation.get("parameters", ()) if one["in"] == "query"}
    unknown = sum(name not in known for name in request.query_params)
    if unknown:
        there_are = ", ".join(sorted(known)) or "none"
        raise errors.RequestInvalid(
            reason=f"{unknown} unknown in the query; there are: {there_are}"
        )


def complete(app: FastAPI) -> None:
    """Add to the application's document what its routes do not declare themselves."""
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = generate()
            for path in document["paths"].values():
                for operation in path.values():
                    _complete(operation)
            schemas = document.setdefault("components", {}).setdefault("schemas", {})
            for model in (Problem, ComparedQuery, FingerprintQuery):
                schemas[model.__name__] = model.model_json_schema()
            # Our errors have another form.
            schemas.pop("HTTPValidationError", None)
            schemas.pop("ValidationError", None)
            app.openapi_schema = document
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


def _complete(operation: dict[str, Any]) -> None:
    responses = operation["responses"]
    if "HTTPValidationError" in str(responses.get("422")):
        del responses["422"]
    for parameter in operation.get("parameters", ()):
        _never_null(parameter["schema"])
    permission = next(
        (scope for one in operation.get("security", ()) for scope in one[SCHEME]), None
    )
    if permission is not None:
        operation["x-permission"] = permission
        _add(responses, _OF_KEYS)
    if operation.get("requestBody") or operation.get("parameters"):
        _add(responses, _OF_PARAMETERS)
    if operation.get("requestBody"):
        _add(responses, _OF_BODIES)
    operation["responses"] = dict(sorted(responses.items()))


def _never_null(schema: dict[str, Any]) -> None:
    """Drop null from the type of a header or query: leaving it out is not sending null."""
    kinds = [kind for kind in schema.get("anyOf", ()) if kind != {"type": "null"}]
    if len(kinds) == 1:
        del schema["anyOf"]
        schema.update(kinds[0])


def _add(responses: dict[str, Any], further: dict[int | str, dict[str, Any]]) -> None:
    for status, described in further.items():
        known = responses.setdefault(str(status), dict(described))
        codes = known["description"].split(" or ")
        codes += [code for code in described["description"].split(" or ") if code not in codes]
        known["description"] = " or ".join(codes)
