"""Read JSON from strangers into frozen dataclasses: bounded, and refused at the first doubt."""

from __future__ import annotations

import json
import types
from dataclasses import dataclass, field, fields, is_dataclass
from functools import cache
from math import isfinite
from typing import TYPE_CHECKING, Any, TypeVar, Union, get_args, get_origin, get_type_hints

from egide.auditing.report.sentence import report_wording
from egide.errors import AttestationUnreadable

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from egide.errors import EgideError
    from egide.text.wording import Wording

MAX_PROOF_BYTES = 4 * 1024 * 1024
_MAX_DIGITS = 19
_MAX_INTEGER = 2**63 - 1
_MAX_DEPTH = 32
_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True)
class Reason:
    """Why something does not hold, to be said in any language of the report.

    Attributes:
        key: of `proof.reasons` in its catalogue.
        fields: fill its placeholders; a number is written as the language does, a reason is said.
    """

    key: str
    fields: Mapping[str, object] = field(default_factory=dict)

    def said(self, wording: Wording) -> str:
        """The reason in a language."""
        return wording.text(f"proof.reasons.{self.key}", **filled(self.fields, wording))

    def __str__(self) -> str:
        """The reason in English."""
        return self.said(report_wording("en"))


def filled(fields: Mapping[str, object], wording: Wording) -> dict[str, object]:
    """What fills the placeholders of a sentence, in its language."""

    def said(value: object) -> object:
        if isinstance(value, Reason):
            return value.said(wording)
        return wording.number(value) if type(value) is int else value

    return {name: said(value) for name, value in fields.items()}


def words_of(error: EgideError, wording: Wording) -> str:
    """The message of an error about a proof, in a language."""
    return wording.text(f"proof.problems.{error.code}", **filled(error.fields, wording))


class NotStrict(ValueError):
    """The text or value is not what is read here; the message says why."""

    def __init__(self, key: str, **fields: object) -> None:
        """See `Reason`."""
        self.reason = Reason(key, fields)
        super().__init__(str(self.reason))


def read_bounded(path: Path, limit: int = MAX_PROOF_BYTES) -> bytes:
    """Read a file of at most so many bytes.

    Raises:
        AttestationUnreadable: it cannot be read, or is larger.
    """
    try:
        with path.open("rb") as stream:
            data = stream.read(limit + 1)
    except OSError as error:
        why = Reason("unreadable", {"why": (error.strerror or type(error).__name__).lower()})
        raise AttestationUnreadable(name=path, reason=why) from error
    if len(data) > limit:
        why = Reason("too-many-bytes", {"limit": limit})
        raise AttestationUnreadable(name=path, reason=why)
    return data


def load_strict(data: bytes) -> dict[str, Any]:
    """Return the JSON object in some bytes.

    Raises:
        NotStrict: it is not UTF-8 or JSON, nests too deep, names a key twice, or has a number
            that is too long, not finite, or over 2⁶³ - 1.
    """
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise NotStrict("not-utf-8") from error
    try:
        value = json.loads(
            text,
            object_pairs_hook=_object,
            parse_int=_integer,
            parse_float=_number,
            parse_constant=_number,
        )
    except NotStrict:
        raise
    except RecursionError as error:
        raise NotStrict("too-deep") from error
    except ValueError as error:
        raise NotStrict("not-json") from error
    if not isinstance(value, dict):
        raise NotStrict("not-an-object")
    if _depth(value) > _MAX_DEPTH:
        raise NotStrict("too-deep")
    return value


def typed(kind: type[_Value], value: Any, place: str = "") -> _Value:
    """Return a JSON value as a dataclass, with every field present and of its type.

    Fields that the dataclass does not have are ignored, as in-toto asks. Integers are never
    negative.

    Raises:
        NotStrict: something is missing or of another type; the message says where.
    """
    result: _Value = _typed(kind, value, place)
    return result


def _typed(kind: Any, value: Any, place: str) -> Any:
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in {Union, types.UnionType}:
        if value is None and type(None) in arguments:
            return None
        (kind,) = (each for each in arguments if each is not type(None))
        return _typed(kind, value, place)
    if origin is tuple and isinstance(value, list):
        return tuple(_typed(arguments[0], each, f"{place}[]") for each in value)
    if origin is dict and isinstance(value, dict):
        return {name: _typed(arguments[1], each, f"{place}.…") for name, each in value.items()}
    if isinstance(kind, type) and is_dataclass(kind) and isinstance(value, dict):
        hints = _hints(kind)
        found = {}
        for each in fields(kind):
            at = f"{place}.{each.name}" if place else each.name
            if each.name not in value:
                raise NotStrict("missing", place=at)
            found[each.name] = _typed(hints[each.name], value[each.name], at)
        return kind(**found)
    if kind is bool and isinstance(value, bool):
        return value
    if kind is int and type(value) is int and 0 <= value <= _MAX_INTEGER:
        return value
    if kind is float and type(value) in {int, float}:
        return value
    if kind is str and isinstance(value, str) and _encodable(value):
        return value
    raise NotStrict("other-type", place=place)


@cache
def _hints(kind: Any) -> dict[str, Any]:
    return get_type_hints(kind)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise NotStrict("key-twice")
    return found


def _integer(text: str) -> int:
    if len(text.lstrip("-")) > _MAX_DIGITS or abs(int(text)) > _MAX_INTEGER:
        raise NotStrict("too-large")
    return int(text)


def _number(text: str) -> float:
    if len(text) > 2 * _MAX_DIGITS or not isfinite(number := float(text)):
        raise NotStrict("too-large")
    return number


def _depth(value: Any) -> int:
    """How deep a value nests, found without recursion."""
    depth, level = 0, [value]
    while level:
        depth += 1
        inner: list[Any] = []
        for each in level:
            if isinstance(each, dict):
                inner += each.values()
            elif isinstance(each, list):
                inner += each
        level = inner
    return depth


def _encodable(text: str) -> bool:
    return text.isascii() or not any("\ud800" <= character <= "\udfff" for character in text)
