"""Hash lists in CSV: ThreatExchange's columns and Egide's own, several rows to an entry."""

from __future__ import annotations

import csv
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from egide.errors import HashInvalid, LineError, SchemaTooNew
from egide.hashlist.fields import restore
from egide.hashlist.values import (
    MAX_NOTE_CHARS,
    MAX_SOURCE_CHARS,
    OWN_COLUMNS,
    SCHEMA_VERSION,
    SIGNAL_TYPES,
    THREATEXCHANGE_COLUMNS,
    BadLine,
    HashLine,
    meaningless,
    parse_hex,
)
from egide.model import MIN_MATCHABLE_QUALITY, Signal

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MAX_CODES_AN_ENTRY = 1024
"""An animation has 32 frames by default; this bounds what a hostile list makes us hold."""

_NEEDED = frozenset({"signal_type", "signal_str"})
_KNOWN = frozenset(THREATEXCHANGE_COLUMNS + OWN_COLUMNS)
# Source: threatexchange 1.2.17, exchanges/fetch_state.py, SignalOpinionCategory and its aggregate.
_POSITIVE = frozenset({"", "POSITIVE_CLASS", "INVESTIGATION_SEED", "DISPUTED"})
_NEGATIVE = "NEGATIVE_CLASS"


def find_delimiter(header: str) -> str | None:
    """What separates the fields if `header` is a hash list's header, else None.

    Spreadsheets of many countries save 'comma-separated' files with semicolons.
    """
    for delimiter in (",", ";", "\t"):
        if _columns(header, delimiter) is not None:
            return delimiter
    return None


def _columns(header: str, delimiter: str) -> dict[str, int] | None:
    if "signal_str" not in header.lower():  # asked of every line
        return None
    try:
        names = [name.strip().lower() for name in next(csv.reader([header], delimiter=delimiter))]
    except csv.Error:
        return None
    if not names or not set(names) >= _NEEDED:
        return None
    return {name: names.index(name) for name in names if name in _KNOWN}


@dataclass(slots=True)
class _Row:
    line: int
    signal: Signal
    value: bytes = field(repr=False)
    entry: str
    collab: str
    quality: int | None
    source: str
    note: str = field(repr=False)
    expires: datetime | None


@dataclass(slots=True)
class _Entry:
    """The rows of one entry so far; the first tells what they share."""

    first: _Row
    pdqs: list[bytes] = field(default_factory=list, repr=False)
    digests: dict[Signal, bytes] = field(default_factory=dict, repr=False)

    def takes(self, row: _Row) -> bool:
        return bool(row.entry) and (row.entry, row.collab, row.source) == (
            self.first.entry,
            self.first.collab,
            self.first.source,
        )

    def add(self, row: _Row) -> BadLine | None:
        if row.signal is Signal.PDQ:
            if len(self.pdqs) >= MAX_CODES_AN_ENTRY:
                return BadLine(row.line, f"over {MAX_CODES_AN_ENTRY} codes for one entry")
            self.pdqs.append(row.value)
        elif self.digests.setdefault(row.signal, row.value) != row.value:
            return BadLine(row.line, f"a second, different {row.signal.value} for one entry")
        return None

    def hash_line(self) -> HashLine:
        return HashLine(
            line=self.first.line,
            pdqs=tuple(self.pdqs),
            sha256=self.digests.get(Signal.SHA256),
            md5=self.digests.get(Signal.MD5),
            quality=self.first.quality,
            source=self.first.source or self.first.collab,
            note=self.first.note,
            expires=self.first.expires,
        )


class CsvReader:
    """Takes the lines of a CSV list one by one; the first must be its header.

    A line is a row: fields with line ends in them cannot be told from a row that lost its closing
    quote, which would swallow the rest of the list. Egide's export writes none.
    """

    def __init__(self, name: str, delimiter: str) -> None:
        self._name = name
        self._delimiter = delimiter
        self._columns: Mapping[str, int] = {}
        self._entry: _Entry | None = None

    def feed(self, line: int, text: str) -> Iterator[HashLine | BadLine]:
        """What can be told after this line: earlier entries, or that the line is bad."""
        columns = _columns(text, self._delimiter)
        if columns is not None:  # the first line, or that of a list appended to another
            self._columns = columns
            yield from self.finish()
            return
        try:
            row = self._parse(line, text)
        except (LineError, HashInvalid) as error:
            reason = str(error.fields["reason"]) if isinstance(error, LineError) else str(error)
            yield BadLine(line, reason, error.code)
            return
        if self._entry is None or not self._entry.takes(row):
            yield from self.finish()
            self._entry = _Entry(row)
        bad = self._entry.add(row)
        if bad is not None:
            yield bad
        if not row.entry:
            yield from self.finish()

    def finish(self) -> Iterator[HashLine]:
        """The entry whose rows came last."""
        if self._entry is not None:
            yield self._entry.hash_line()
            self._entry = None

    def _parse(self, line: int, text: str) -> _Row:
        try:
            fields = next(csv.reader([text], delimiter=self._delimiter, strict=True))
        except csv.Error as error:
            raise LineError(line=line, reason="quotes that do not match") from error

        def get_exact(column: str) -> str:
            at = self._columns.get(column)
            return fields[at] if at is not None and at < len(fields) else ""

        def get(column: str) -> str:
            return get_exact(column).strip()

        own = self._schema(line, get("schema_version"))

        def get_text(column: str, max_chars: int) -> str:
            # Spaces around a source are part of what an exported entry is recognised by.
            text = restore(get_exact(column)) if own else get(column)
            if len(text) > max_chars:
                raise LineError(line=line, reason=f"{column}: over {max_chars} characters")
            return text

        _check_category(line, get("category"))
        signal = SIGNAL_TYPES.get(get("signal_type").strip("'").lower())
        if signal is None:
            raise LineError(line=line, reason="unknown signal_type: expected pdq, sha256 or md5")
        value = parse_hex(get("signal_str"), signal)
        reason = meaningless(value, signal)
        if reason is not None:
            raise LineError(line=line, reason=reason)
        row = _Row(
            line=line,
            signal=signal,
            value=value,
            entry=get("entry"),
            collab=get_text("collab", MAX_SOURCE_CHARS),
            quality=_quality(line, get("quality")),
            source=get_text("source", MAX_SOURCE_CHARS),
            note=get_text("note", MAX_NOTE_CHARS),
            expires=_expiry(line, get("expires")),
        )
        # An exported entry may hold later frames although its first one is too plain.
        if (
            not row.entry
            and signal is Signal.PDQ
            and row.quality is not None
            and row.quality < MIN_MATCHABLE_QUALITY
        ):
            raise LineError(
                line=line, reason=f"quality under {MIN_MATCHABLE_QUALITY}: not matchable"
            )
        return row

    def _schema(self, line: int, text: str) -> bool:
        if not text:
            return False
        if not (text.isascii() and text.isdigit() and int(text[:9]) > 0):
            raise LineError(line=line, reason="schema_version: expected a number")
        if int(text[:9]) > SCHEMA_VERSION:
            raise SchemaTooNew(name=self._name, found=text[:9], expected=SCHEMA_VERSION)
        return True


def _check_category(line: int, text: str) -> None:
    category = text.upper()
    if category == _NEGATIVE:
        raise LineError(line=line, reason=f"category {_NEGATIVE} says that this is no match")
    if category not in _POSITIVE:
        raise LineError(line=line, reason="unknown category")


def _quality(line: int, text: str) -> int | None:
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 3 and int(text) <= 100):
        raise LineError(line=line, reason="quality: expected 0 to 100, or nothing")
    return int(text)


def _expiry(line: int, text: str) -> datetime | None:
    if not text:
        return None
    try:
        at = datetime.fromisoformat(text)
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise LineError(
            line=line, reason="expires: expected a time such as 2027-01-31T12:00:00Z"
        ) from error
