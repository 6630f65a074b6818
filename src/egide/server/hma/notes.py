"""What a client says of content: HMA's note and metadata, bounded, and kept with the entry."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pydantic_core
from starlette.exceptions import HTTPException

from egide.hashlist.values import MAX_METADATA_CHARS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from egide.server.hma.media import Sent

MAX_NOTE_CHARS = 255
"""HMA's limit."""
_TEXTS = ("content_id", "content_uri")
_JSON = "json"
_FROM_OTHERS = "collab"
"""HMA's own field, which it drops when a client sends it."""


@dataclass(frozen=True, slots=True)
class Said:
    """What a client says of content.

    Attributes:
        note: a text; empty for none.
        metadata: JSON of an object with `content_id`, `content_uri` and `json`; empty for none.
    """

    note: str = field(default="", repr=False)
    metadata: str = field(default="", repr=False)


def said_of(sent: Sent) -> Said:
    """Read what a request says of its content.

    HMA reads `note` and `metadata`. Coop sends a form with `content_id` and `content_uri` beside a
    `metadata` of its own keys, which is taken as `json`.

    Raises:
        HTTPException: 400, it is not of the form, or longer than it may be; nothing is repeated.
    """
    fields = sent.fields
    given = fields.get("metadata")
    if isinstance(given, str) and not sent.strict:
        try:
            given = pydantic_core.from_json(given, allow_inf_nan=False)
        except ValueError:
            raise HTTPException(400, "metadata form field must be valid JSON") from None
    if given is not None and not isinstance(given, dict):
        raise HTTPException(400, "metadata should be a json object")
    said = {name: value for name, value in (given or {}).items() if name != _FROM_OTHERS}
    if not set(said) <= {*_TEXTS, _JSON}:
        if sent.strict:
            raise HTTPException(400, "Invalid metadata: use content_id, content_uri and json")
        said = {_JSON: said}
    if not sent.strict:
        said = {name: fields[name] for name in _TEXTS if fields.get(name)} | said
    return Said(checked_note(fields.get("note")), _checked_metadata(said))


def checked_note(note: object) -> str:
    """Read a note; empty for none.

    Raises:
        HTTPException: 400, it is no text, or too long.
    """
    if not note:
        return ""
    if not isinstance(note, str) or "\0" in note or not _encodable(note):
        raise HTTPException(400, "note should be a string")
    if len(note) > MAX_NOTE_CHARS:
        raise HTTPException(400, f"note must be at most {MAX_NOTE_CHARS} characters")
    return note


def metadata_shown(metadata: str) -> dict[str, Any]:
    """The fields `metadata` of an answer: absent without any, as with HMA."""
    if not metadata:
        return {}
    said: dict[str, Any] = json.loads(metadata)
    empty = dict.fromkeys((*_TEXTS, _JSON, _FROM_OTHERS))
    return {"metadata": empty | said}


def _checked_metadata(said: Mapping[str, Any]) -> str:
    kept = {name: value for name, value in said.items() if value is not None}
    if any(not isinstance(kept.get(name, ""), str) for name in _TEXTS):
        raise HTTPException(400, "Invalid metadata: content_id and content_uri should be strings")
    if not isinstance(kept.get(_JSON, {}), dict):
        raise HTTPException(400, "Invalid metadata: json should be an object")
    if not kept:
        return ""
    text = json.dumps(kept, separators=(",", ":"))
    if len(text) > MAX_METADATA_CHARS:
        raise HTTPException(400, f"metadata may have {MAX_METADATA_CHARS} characters as JSON")
    return text


def _encodable(text: str) -> bool:
    """Whether every database can store a text: JSON may hold half a surrogate pair."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
