"""Common parts of the API's bodies, paths and queries."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from typing import Annotated, Any

from fastapi import Path, Query
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, model_validator
from pydantic.json_schema import WithJsonSchema

from egide.hashlist.values import MAX_NOTE_CHARS
from egide.server.http.kinds import MAX_PAGE

MAX_NUMBER = 2**53 - 1
"""Many clients read larger whole numbers of JSON wrongly."""
NAME_PATTERN = r"^[A-Za-z0-9._-]{1,64}$"
TEXT_PATTERN = r"^[^\x00]*$"
"""Neither database stores a NUL."""


class Request(BaseModel):
    """A request body: values are not converted, and unknown fields are refused.

    Its lists have `fail_fast`: an error takes more memory than the value it is about.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _has_no_more_fields_than_there_are(cls, value: object) -> object:
        """Refuse thousands of unknown fields with one error."""
        if isinstance(value, dict) and len(value) > len(cls.model_fields):
            there_are = ", ".join(cls.model_fields)
            raise ValueError(f"has too many fields; there are {there_are}")
        return value


class Answer(BaseModel):
    """A response body."""

    model_config = ConfigDict(frozen=True)


def _parse_time(value: object) -> datetime:
    if not isinstance(value, str) or "T" not in value.upper():
        raise ValueError("a date and time such as 2027-12-31T00:00:00Z")
    try:
        moment = datetime.fromisoformat(value.upper())
        if moment.tzinfo is not None:
            return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise ValueError("a date and time with its zone, such as 2027-12-31T00:00:00Z")


@lru_cache(maxsize=4096)  # the entries of one import share their times
def shown_time(moment: datetime) -> str:
    """Format a time in UTC as RFC 3339."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


GivenTime = Annotated[
    datetime,
    BeforeValidator(_parse_time),
    WithJsonSchema(
        {
            "type": "string",
            "format": "date-time",
            "description": "RFC 3339, with its zone.",
            "examples": ["2027-12-31T00:00:00Z"],
        }
    ),
]
ShownTime = Annotated[
    datetime,
    PlainSerializer(shown_time, return_type=str),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]


def _whole(value: object) -> object:
    """Accept 31.0 as 31, as JSON Schema does."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


Whole = BeforeValidator(_whole)
"""Goes after the bounds of a number; else the JSON schema would omit the bounds."""
Name = Annotated[str, Field(pattern=NAME_PATTERN, examples=["helpline"])]
Note = Annotated[str, Field(max_length=MAX_NOTE_CHARS, pattern=TEXT_PATTERN)]
Number = Annotated[int, Field(ge=1, le=MAX_NUMBER), Whole]
PdqHex = Annotated[
    str,
    Field(
        pattern=r"^[0-9a-fA-F]{64}$",
        examples=["f8f8f0cee0f4a84f06370a22038f63f0b36e2ed596621e1d33e6b39c4e9c9b22"],
    ),
]
Sha256Hex = Annotated[
    str,
    Field(
        pattern=r"^[0-9a-fA-F]{64}$",
        examples=["9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"],
    ),
]
Md5Hex = Annotated[
    str, Field(pattern=r"^[0-9a-fA-F]{32}$", examples=["098f6bcd4621d373cade4e832627b4f6"])
]

Sha1Hex = Annotated[
    str,
    Field(pattern=r"^[0-9a-fA-F]{40}$", examples=["a94a8fe5ccb19ba61c4c0873d391e987982fbbd3"]),
]

BankPath = Annotated[
    str, Path(pattern=NAME_PATTERN, description="The bank's name.", examples=["helpline"])
]
EntryPath = Annotated[
    int, Path(ge=1, le=MAX_NUMBER, description="The entry's number.", examples=[1])
]
LimitQuery = Annotated[int, Query(ge=1, le=MAX_PAGE, description="Most items in the page.")]


def inlined(model: type[BaseModel]) -> dict[str, Any]:
    """Return a body's JSON schema without references, for a route with several body types."""
    schema = model.model_json_schema()
    parts = schema.pop("$defs", {})

    def resolved(node: Any) -> Any:
        if isinstance(node, dict):
            if "$ref" in node:
                return resolved(parts[node["$ref"].rsplit("/", 1)[-1]])
            return {key: resolved(value) for key, value in node.items()}
        if isinstance(node, list):
            return [resolved(value) for value in node]
        return node

    result: dict[str, Any] = resolved(schema)
    return result
