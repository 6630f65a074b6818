"""Read a registration: fingerprints as JSON, or a form with a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from fastapi.exceptions import RequestValidationError
from pydantic import Field, TypeAdapter, ValidationError

from egide.domain.model import AnchoredHashes, Registration, digests_of
from egide.domain.video import Track
from egide.errors import AnchoredInvalid, RequestInvalid, VideoInvalid
from egide.server.api.schemas.common import GivenTime, Note, Request, inlined
from egide.server.api.schemas.register import NewEntries, NewEntry, Source
from egide.server.http.bodies import parse_in_turn
from egide.usecases.register import registration_of, require_whole
from egide.usecases.register_by_key import Batch

if TYPE_CHECKING:
    from egide.server.api.idempotency import Write
    from egide.server.http.forms import Form
    from egide.server.service import Service

_FILE_FIELD = "file"


class NewEntryForm(Request):
    """The fields of a form besides its picture."""

    note: Note = Field(default="", description="Erased with the fingerprint on withdrawal.")
    source: Source | None = None
    expires: GivenTime | None = Field(default=None, description="When it expires.")
    again: Literal["true", "false"] = Field(
        default="false", description="Also register it if it was withdrawn before."
    )


_entries = TypeAdapter(NewEntries)
_form = TypeAdapter(NewEntryForm)


def _form_schema() -> dict[str, Any]:
    schema = inlined(NewEntryForm)
    for described in schema["properties"].values():  # a form has no null
        described.update(described.pop("anyOf", [{}])[0])
        described.pop("default", None)
    schema["properties"] = {
        _FILE_FIELD: {
            "type": "string",
            "format": "binary",
            "description": "A picture. Its fingerprint is kept; the picture is not.",
        },
        **schema["properties"],
    }
    schema["required"] = [_FILE_FIELD]
    return schema


REGISTER_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": inlined(NewEntries),
                "example": {
                    "entries": [
                        {
                            "pdq": [
                                "f8f8f0cee0f4a84f06370a22038f63f0b36e2ed596621e1d33e6b39c4e9c9b22"
                            ],
                            "quality": 97,
                            "source": "case-17",
                            "expires": "2028-12-31T00:00:00Z",
                        }
                    ]
                },
            },
            "multipart/form-data": {"schema": _form_schema()},
        },
    }
}
"""For `openapi_extra`: FastAPI cannot describe two types of body."""


def batch_of(write: Write, service: Service, approval_id: int | None) -> Batch:
    """Read what a request registers; a picture is fingerprinted exactly, and not kept.

    Raises:
        RequestValidationError, RequestInvalid: the body does not fit the API's document.
        AnchoredInvalid: an entry's anchored hashes are none.
        VideoInvalid: an entry's times are no video's.
        ItemError: the picture cannot be fingerprinted.
    """
    if write.form is not None:
        return _picture(write.form, write, service, approval_id)
    if not write.is_json:
        raise RequestInvalid(reason="send application/json, or multipart/form-data with a picture")
    try:
        body = parse_in_turn(lambda: _entries.validate_json(write.body))
    except ValidationError as error:
        raise _as_request_error(error) from None
    registrations = [_registration(number, entry) for number, entry in enumerate(body.entries)]
    return Batch(registrations, body.again, write.digest(), approval_id)


def _registration(number: int, entry: NewEntry) -> Registration:
    try:
        anchored = AnchoredHashes.of(map(bytes.fromhex, entry.anchored)) if entry.anchored else None
    except AnchoredInvalid as error:
        reason = f"of entry {number}, {error.fields['reason']}"
        raise AnchoredInvalid(reason=reason) from None
    digests: dict[str, Any] = {
        signal: bytes.fromhex(digits) for signal, digits in digests_of(entry)
    }
    codes, video = tuple(map(bytes.fromhex, entry.pdq)), None
    if entry.video is None:
        codes = tuple(dict.fromkeys(codes))
    else:
        given = entry.video
        try:
            video = Track(tuple(given.starts_ms), tuple(given.ends_ms), given.duration_ms)
        except VideoInvalid as error:
            raise VideoInvalid(reason=f"of entry {number}, {error.fields['reason']}") from None
    return Registration(
        pdqs=codes,
        quality=entry.quality,
        source=entry.source or "",
        note=entry.note,
        expires=entry.expires,
        anchored=anchored,
        video=video,
        **digests,
    )


def _picture(form: Form, write: Write, service: Service, approval_id: int | None) -> Batch:
    try:
        said = _form.validate_python(form.fields)
    except ValidationError as error:
        raise _as_request_error(error) from None
    print_ = service.decoding.fingerprint(form.files[0], exact=True)
    require_whole(print_, name="the upload")
    registration = registration_of(
        print_, source=said.source or "", note=said.note, expires=said.expires
    )
    return Batch([registration], said.again == "true", write.digest(), approval_id)


def _as_request_error(error: ValidationError) -> RequestValidationError:
    found = error.errors(include_url=False, include_context=False, include_input=False)
    return RequestValidationError([{**one, "loc": ("body", *one["loc"])} for one in found])
