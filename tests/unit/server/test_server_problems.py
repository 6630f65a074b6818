from __future__ import annotations

import json

import pytest
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.exceptions import HTTPException

from egide import errors
from egide.server.http.problems import answer, as_egide_error, problem


def _made(kind: type[errors.EgideError]) -> errors.EgideError:
    import string

    names = [part[1] for part in string.Formatter().parse(kind.__doc__ or "") if part[1]]
    return kind(**dict.fromkeys(names, "SECRET"))


@pytest.mark.parametrize(
    "kind",
    [
        errors.StoreError, errors.StoreLocked, errors.StoreUnreadable, errors.StoreTooOld,
        errors.SnapshotUnwritable, errors.KeypointKeyInvalid, errors.LogBroken, errors.Unexpected,
        errors.SyncError, errors.SettingInvalid, errors.AddressUnusable,
    ],
)  # fmt: skip
def test_errors_of_this_machine_say_nothing_of_it(kind: type[errors.EgideError]) -> None:
    error = _made(kind)
    assert "SECRET" in error.message
    assert error.status >= 500
    assert "SECRET" not in json.dumps(problem(error))


def test_what_to_do_stands_in_headers() -> None:
    assert answer(errors.RateLimited(retry_after_s=7)).headers["retry-after"] == "7"
    assert answer(errors.Unauthorized()).headers["www-authenticate"] == "Bearer"
    assert answer(HTTPException(405, headers={"Allow": "GET"})).headers["allow"] == "GET"
    assert answer(errors.BodyTooLarge(limit=1)).headers["connection"] == "close"


def test_unknown_exception_tells_nothing() -> None:
    body = bytes(answer(ValueError("SECRET")).body)
    assert b"SECRET" not in body
    assert json.loads(body)["code"] == "unexpected"


def test_error_within_the_reading_of_a_body_is_found() -> None:
    wrapped = HTTPException(400, "There was an error parsing the body")
    wrapped.__cause__ = errors.BodyTooLarge(limit=3)
    assert as_egide_error(wrapped) is wrapped.__cause__


def test_validation_names_places_and_never_values() -> None:
    class Asked(BaseModel):
        model_config = ConfigDict(extra="forbid")
        pdq: str = Field(pattern="^[0-9]+$")

    with pytest.raises(ValidationError) as caught:
        Asked.model_validate({"pdq": "SECRET", "SECRETFIELD": 1})
    message = as_egide_error(RequestValidationError(caught.value.errors())).message
    assert "pdq" in message
    assert "1 unknown fields" in message
    assert "SECRET" not in message
