"""Read hash lists in JSON record by record: a document of any size, or several end to end."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, BinaryIO

import ijson

from egide.hashlist.records import UNIT, read_record
from egide.hashlist.values import BadLine, Cut, Untold, key_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egide.domain.model import Signal
    from egide.hashlist.values import Read

MAX_DEPTH = 32
MAX_VALUES = 20_000
"""Of one record: Project VIC lists where a file was found, thousands of times for some."""
MAX_STRING_BYTES = 1024 * 1024
"""Between two quotation marks: a longer string would fill memory."""

_LISTS = frozenset(
    {"hashrecords", "results", "value", "media", "data", "items", "records", "entries", "images"}
)
"""Lists whose items are records of their own, by the names that exchanges give them."""
_SCALARS = {"string", "number", "boolean", "null"}


class _TooDeepError(ValueError):
    """It is nested too deeply."""


class _TooLongError(ValueError):
    """It holds a string without end."""


def is_lines(start: bytes) -> bool:
    """Whether JSON that begins so has one record a line, each to be read by itself.

    Args:
        start: the first bytes, at least the first line of such a list.
    """
    line, end, _ = start.lstrip().partition(b"\n")
    if not end or not line.startswith(b"{"):
        return False
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return False
    return not any(
        isinstance(value, list) and key_of(key) in _LISTS for key, value in record.items()
    )


def read_json(stream: BinaryIO, signal: Signal | None, read_text: Any) -> Iterator[Read | Untold]:
    """Read each record of a document.

    Args:
        stream: UTF-8; read in pieces.
        signal: the kind of values whose kind their record does not tell.
        read_text: reads a string that is an item of a list, given its number and text.
    """
    number = 0
    builder = _Builder()
    try:
        for event, value in ijson.basic_parse(
            _Bounded(stream), multiple_values=True, use_float=True
        ):
            for item in builder.take(event, value):
                number += 1
                if isinstance(item, dict):
                    yield from read_record(number, item, signal=signal)
                elif isinstance(item, str):
                    yield from read_text(number, item, signal)
                else:
                    yield BadLine(number, f"a record of over {MAX_VALUES} values", unit=UNIT)
    except _TooDeepError:
        yield Cut(number, f"it is nested over {MAX_DEPTH} deep", UNIT)
    except _TooLongError:
        yield Cut(number, f"a string is longer than {MAX_STRING_BYTES} bytes", UNIT)
    except (ijson.JSONError, UnicodeDecodeError, OverflowError):
        yield Cut(number, "it is not JSON from there on, or ends too early", UNIT)
    else:
        if builder.is_inside:
            yield Cut(number, "it ends too early", UNIT)


class _Bounded:
    """A stream that fails before a string in it could fill memory."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._since = 0

    def read(self, size: int) -> bytes:
        """The next bytes."""
        piece = self._stream.read(size)
        last = piece.rfind(b'"')
        self._since = self._since + len(piece) if last < 0 else len(piece) - last
        if self._since > MAX_STRING_BYTES:
            raise _TooLongError
        return piece


class _Builder:
    """Builds records from the events of a parser; drops what surrounds them."""

    def __init__(self) -> None:
        # One frame for each open container: it, the key that is being read in it, whether its
        # items are records, and whether records were found in it.
        self._open: list[list[Any]] = []
        self._values = 0

    @property
    def is_inside(self) -> bool:
        """Whether a container is open."""
        return bool(self._open)

    def take(self, event: str, value: Any) -> Iterator[Any]:
        """Take one event; yield the record or the string that it completes, if it does."""
        if event == "map_key":
            self._open[-1][1] = value
        elif event in {"start_map", "start_array"}:
            self._begin({} if event == "start_map" else [])
        elif event in {"end_map", "end_array"}:
            yield from self._end()
        elif event in _SCALARS:
            if self._open and self._open[-1][2] and isinstance(value, str):
                yield value
            else:
                self._add(value)

    def _begin(self, container: dict[str, Any] | list[Any]) -> None:
        if len(self._open) >= MAX_DEPTH:
            raise _TooDeepError
        within = self._open[-1] if self._open else None
        is_list = isinstance(container, list) and (
            within is None or (isinstance(within[0], dict) and key_of(within[1] or "") in _LISTS)
        )
        if within is None or within[2]:
            self._values = 0
        self._open.append([container, None, is_list, False])

    def _end(self) -> Iterator[Any]:
        container, _, is_list, has_records = self._open.pop()
        within = self._open[-1] if self._open else None
        if is_list:
            if within is not None:
                within[3] = True
            return
        if within is None or within[2]:  # a record: of a list, or by itself
            if has_records:
                if within is not None:
                    within[3] = True
            elif self._values > MAX_VALUES:
                yield None
            elif isinstance(container, dict):
                yield container
            return
        within[3] = within[3] or has_records
        self._add(container)

    def _add(self, value: Any) -> None:
        """Put a value where it belongs, unless the record has too many."""
        self._values += 1
        if not self._open or self._values > MAX_VALUES:
            return
        container, key, is_list, _ = self._open[-1]
        if isinstance(container, dict):
            container[key] = value
        elif not is_list:
            container.append(value)
