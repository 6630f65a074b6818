"""Read JSON from another machine and check every value."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

MAX_NUMBER = 2**63 - 1
"""The greatest revision or number that a store can hold."""

# RFC 3339, section 5.6.
_MOMENT = re.compile(
    r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:[Zz]|[+-]\d\d:\d\d)", re.ASCII
)


class AnswerInvalidError(ValueError):
    """A value in an answer is invalid; the message names its place, not the value."""


def read_json(body: bytes, *, max_items: int) -> Node:
    """Read JSON text within limits.

    Args:
        body: UTF-8.
        max_items: the most commas and opening brackets. 32 MiB of empty lists become 900 MB of
            Python objects, so they are counted before parsing.

    Raises:
        AnswerInvalidError: the text is not JSON, is nested too deeply, or has too many items,
            a repeated name or an invalid number such as NaN.
    """
    if sum(map(body.count, (b",", b"[", b"{"))) > max_items:
        raise AnswerInvalidError("too many items")
    try:
        value = json.loads(
            body.decode("utf-8"), object_pairs_hook=_object, parse_constant=_no_constant
        )
    # Nesting beyond Python's stack is a RecursionError, a number over 4,300 digits a ValueError.
    except (ValueError, RecursionError):
        raise AnswerInvalidError("not readable JSON") from None
    return Node(value, "the answer")


class Node:
    """A value in an answer and its place; each method returns it as one type or raises."""

    __slots__ = ("_place", "_value")

    def __init__(self, value: object, place: str) -> None:
        self._value = value
        self._place = place

    def error(self) -> AnswerInvalidError:
        """Return the error that names this place."""
        return AnswerInvalidError(self._place)

    def get(self, name: str) -> Node:
        """Return a required member of an object. Further members are allowed."""
        if type(self._value) is not dict or name not in self._value:
            raise AnswerInvalidError(f"{self._place}: {name}")
        return Node(self._value[name], f"{self._place}: {name}")

    def optional(self, name: str) -> Node | None:
        """Return a member of an object, or None if it is absent or null."""
        if type(self._value) is dict and self._value.get(name) is None:
            return None
        return self.get(name)

    def require_only(self, names: Collection[str]) -> None:
        """Refuse an object that has a member of another name."""
        if type(self._value) is not dict or not self._value.keys() <= set(names):
            raise AnswerInvalidError(f"{self._place}: unknown fields")

    def items(self, most: int) -> list[Node]:
        """Return the items of a list that has at most `most`."""
        if type(self._value) is not list or len(self._value) > most:
            raise self.error()
        return [Node(value, f"{self._place}[{at}]") for at, value in enumerate(self._value)]

    @property
    def missing(self) -> bool:
        """Whether the value is null."""
        return self._value is None

    def integer(self, least: int, most: int = MAX_NUMBER) -> int:
        """Return a whole number from `least` to `most`."""
        if type(self._value) is not int or not least <= self._value <= most:
            raise self.error()
        return self._value

    def boolean(self) -> bool:
        """Return true or false."""
        if type(self._value) is not bool:
            raise self.error()
        return self._value

    def text(self, pattern: re.Pattern[str]) -> str:
        """Return text that matches the whole pattern."""
        if type(self._value) is not str or not pattern.fullmatch(self._value):
            raise self.error()
        return self._value

    def one_of(self, words: Collection[str]) -> str:
        """Return a text that is one of `words`."""
        if type(self._value) is not str or self._value not in words:
            raise self.error()
        return self._value

    def hexadecimal(self, length: int) -> bytes:
        """Return `length` bytes from twice as many hexadecimal digits."""
        if type(self._value) is not str or len(self._value) != 2 * length:
            raise self.error()
        try:
            value = bytes.fromhex(self._value)
        except ValueError:
            raise self.error() from None
        # `fromhex` skips spaces, so the result may be shorter.
        if len(value) != length:
            raise self.error()
        return value

    def moment(self) -> datetime:
        """Return a time in UTC."""
        if type(self._value) is not str or not _MOMENT.fullmatch(self._value):
            raise self.error()
        try:
            return datetime.fromisoformat(self._value.upper()).astimezone(UTC)
        except (ValueError, OverflowError):
            raise self.error() from None


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise AnswerInvalidError("a repeated name")
    return made


def _no_constant(name: str) -> object:
    raise AnswerInvalidError(name)
