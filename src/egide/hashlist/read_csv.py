"""Hash lists in CSV: ThreatExchange's columns and Egide's own, or tables with columns of hashes."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from hashlib import sha256
from typing import TYPE_CHECKING

from egide.domain.model import MIN_MATCHABLE_QUALITY, AnchoredHashes, BankKind, Signal
from egide.domain.video import MAX_VIDEO_FRAMES
from egide.errors import AnchoredInvalid, HashInvalid, LineError, SchemaTooNew, VideoInvalid
from egide.hashlist.addresses import canonical_address
from egide.hashlist.values import (
    ADDRESS_COLUMNS,
    ADDRESS_TYPES,
    CLOSED_KINDS,
    DELETED_KEYS,
    FRAMES_IN_A_ROW,
    HASH_COLUMNS,
    MAX_NOTE_CHARS,
    MAX_SOURCE_CHARS,
    OWN_COLUMNS,
    SAID,
    SCHEMA_VERSION,
    SIGNAL_TYPES,
    STATUS_KEYS,
    THREATEXCHANGE_COLUMNS,
    UNTOLD_HASH_COLUMNS,
    VIDEO_TIMES,
    BadLine,
    NotTaken,
    Untold,
    is_ended,
    joined_times,
    key_of,
    kind_of,
    line_with,
    meaningless,
    parse_anchored,
    parse_any,
    parse_times,
    parse_value,
    restore,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from egide.hashlist.values import HashLine, Read

MAX_CODES_AN_ENTRY = MAX_VIDEO_FRAMES
"""This bounds the memory that a hostile list can use."""
_MAX_TIMES_ROWS = -(-MAX_VIDEO_FRAMES // FRAMES_IN_A_ROW)

_NEEDED = frozenset({"signal_type", "signal_str"})
_KNOWN = frozenset(THREATEXCHANGE_COLUMNS + OWN_COLUMNS)
_DELIMITERS = (",", ";", "\t", "|")
_ANY_DELIMITER = re.compile(r"[,;\t|]")
_WORD = re.compile(r"[^\W\d][\w .#/()-]{0,63}")
_LONGEST_NAME = 16
_UNTOLD = "untold"
"""A column of hashes whose kind nothing tells."""
_ADDRESS = "address"
_UNKNOWN_TYPE = (
    "unknown signal_type: expected pdq, sha256, sha1, md5, url_sha256, url_md5, pdq-anchored or "
    "video-times"
)


def find_table(name: str, header: str, signal: Signal | None) -> CsvReader | None:
    """A reader for the table that begins with `header`, or None if `header` is no table's.

    Spreadsheets in many countries save 'comma-separated' files with semicolons.

    Args:
        name: of the list, for errors.
        header: the first line.
        signal: the kind of a column whose name does not tell it.
    """
    for delimiter in _DELIMITERS:
        names = _names(header, delimiter)
        layout = None if names is None else _layout(names, signal)
        if layout is not None:
            return CsvReader(name, delimiter, layout, signal)
    return None


def looks_like_header(line: str) -> bool:
    """Whether a line names columns, known or not: no part of it is a hash."""
    for delimiter in _DELIMITERS:
        names = _names(line, delimiter)
        if names is None:
            return False
        if len(names) > 1:
            return all(_WORD.fullmatch(name) for name in names)
    return False


@dataclass(frozen=True, slots=True)
class _Layout:
    """The columns of a table.

    Attributes:
        names: of all columns.
        known: the position of each column with a known meaning.
        hashes: the kind and position of each column of hashes; empty if `signal_type` tells.
        closed: the kind and position of each column of hashes that are not taken.
        statuses: the key and position of each column that may say that a hash has ended.
    """

    names: tuple[str, ...]
    known: Mapping[str, int]
    hashes: tuple[tuple[Signal | str, int], ...] = ()
    closed: tuple[tuple[str, int], ...] = ()
    statuses: tuple[tuple[str, int], ...] = ()
    typed: bool = False


def _names(line: str, delimiter: str) -> tuple[str, ...] | None:
    """The fields of a line as column names, or None if one is a hash or the quotes are wrong."""
    try:
        fields = next(csv.reader([line], delimiter=delimiter, skipinitialspace=True))
    except csv.Error:
        return None
    names = tuple(field.strip(" \t\"'").lower() for field in fields)
    return None if any(parse_any(name) is not None for name in names) else names


def _layout(names: tuple[str, ...], signal: Signal | None) -> _Layout | None:
    known = {name: names.index(name) for name in names if name in _KNOWN}
    # Several names between wrong delimiters are no name.
    keys = ["" if _ANY_DELIMITER.search(name) else key_of(name) for name in names]
    statuses = tuple((key, at) for at, key in enumerate(keys) if key in STATUS_KEYS | DELETED_KEYS)
    if set(names) >= _NEEDED:
        return _Layout(names, known, statuses=statuses, typed=True)
    closed = tuple((CLOSED_KINDS[key], at) for at, key in enumerate(keys) if key in CLOSED_KINDS)
    hashes: dict[Signal | str, int] = {}
    for at, key in enumerate(keys):
        if (kind := HASH_COLUMNS.get(key)) is not None:
            if kind in hashes:
                return None  # it is unclear which of the two is the picture's
            hashes[kind] = at
    untold = [at for at, key in enumerate(keys) if key in UNTOLD_HASH_COLUMNS]
    if not hashes and len(untold) == 1:
        hashes[signal or _UNTOLD] = untold[0]
    addresses = [at for at, key in enumerate(keys) if key in ADDRESS_COLUMNS]
    if not hashes and not closed and len(addresses) == 1:
        hashes[_ADDRESS] = addresses[0]
    if not (hashes or closed):
        return None
    return _Layout(names, known, tuple(hashes.items()), closed, statuses)


@dataclass(slots=True)
class _Row:
    line: int
    signal: Signal | str | None
    value: bytes = field(repr=False)
    entry: str
    collab: str
    quality: int | None
    source: str
    note: str = field(repr=False)
    expires: datetime | None
    ended: bool
    said: BankKind | None


@dataclass(slots=True)
class _Entry:
    """The rows of one entry so far; the first holds the fields that they share."""

    first: _Row
    pdqs: list[bytes] = field(default_factory=list, repr=False)
    digests: dict[Signal, bytes] = field(default_factory=dict, repr=False)
    untold: bytes | None = field(default=None, repr=False)
    times: list[bytes] = field(default_factory=list, repr=False)

    def takes(self, row: _Row) -> bool:
        first = self.first
        return bool(row.entry) and (row.entry, row.collab, row.source, row.ended, row.said) == (
            *(first.entry, first.collab, first.source, first.ended, first.said),
        )

    def add(self, row: _Row) -> BadLine | None:
        if row.signal is Signal.PDQ:
            if len(self.pdqs) >= MAX_CODES_AN_ENTRY:
                return BadLine(row.line, f"over {MAX_CODES_AN_ENTRY} codes for one entry")
            self.pdqs.append(row.value)
        elif row.signal is None:
            self.untold = row.value
        elif not isinstance(row.signal, Signal):
            if len(self.times) >= _MAX_TIMES_ROWS:
                return BadLine(row.line, f"over {_MAX_TIMES_ROWS} rows of times for one entry")
            self.times.append(row.value)
        elif self.digests.setdefault(row.signal, row.value) != row.value:
            return BadLine(row.line, f"a second, different {row.signal.value} for one entry")
        return None

    def whole(self) -> HashLine | BadLine | Untold:
        anchored = self.digests.pop(Signal.ANCHORED, None)
        if anchored is not None and not (self.digests or self.pdqs):
            return BadLine(self.first.line, "anchored hashes without a hash of their picture")
        video = None
        if self.times:
            try:
                video = joined_times(self.times)
                if len(video) != len(self.pdqs):
                    reason = f"there are {len(self.pdqs)} codes, and times of {len(video)}"
                    raise VideoInvalid(reason=reason)
            except VideoInvalid as error:
                return BadLine(self.first.line, str(error.fields["reason"]), VideoInvalid.code)
        line = replace(
            line_with(
                self.first.line,
                self.digests.items(),
                quality=self.first.quality,
                source=self.first.source or self.first.collab,
                ended=self.first.ended,
            ),
            pdqs=tuple(self.pdqs),
            note=self.first.note,
            expires=self.first.expires,
            anchored=None if anchored is None else AnchoredHashes(anchored),
            said=self.first.said,
            video=video,
        )
        return line if self.untold is None else Untold(line, self.untold)


class CsvReader:
    """Reads the lines of a CSV list one by one, its header first.

    A line is a row. Fields with line ends are not supported: they look like a row that lost its
    closing quote, which would swallow the rest of the list. Egide's export never writes them.
    """

    def __init__(
        self, name: str, delimiter: str, layout: _Layout, signal: Signal | None = None
    ) -> None:
        self._name = name
        self._delimiter = delimiter
        self._layout = layout
        self._signal = signal
        self._entry: _Entry | None = None

    def feed(self, line: int, text: str) -> Iterator[Read | Untold]:
        """Read a line; yield the entries that are complete, or that the line is bad."""
        layout = self._header(text)
        if layout is not None:
            self._layout = layout
            yield from self.finish()
            return
        try:
            rows, closed = self._parse(line, text)
        except (LineError, HashInvalid, AnchoredInvalid, VideoInvalid) as error:
            reason = str(error.fields["reason"]) if isinstance(error, LineError) else str(error)
            yield BadLine(line, reason, error.code)
            return
        for kind in closed:
            yield NotTaken(line, kind, alone=not rows)
        if not rows:
            return
        if self._entry is None or not self._entry.takes(rows[0]):
            yield from self.finish()
            self._entry = _Entry(rows[0])
        for row in rows:
            bad = self._entry.add(row)
            if bad is not None:
                yield bad
        if not rows[0].entry:
            yield from self.finish()

    def finish(self) -> Iterator[Read | Untold]:
        """Yield the last entry, or that it has nothing of its own."""
        if self._entry is not None:
            yield self._entry.whole()
            self._entry = None

    def _header(self, text: str) -> _Layout | None:
        """Parse a header: the first line, or that of a list appended to another."""
        start = text.lstrip(" \t\"'")[:_LONGEST_NAME].lower()
        if not self._layout.typed:
            if not start.startswith(self._layout.names[0][:_LONGEST_NAME]):  # runs for every line
                return None
            return self._layout if _names(text, self._delimiter) == self._layout.names else None
        if "signal_str" not in text.lower():
            return None
        names = _names(text, self._delimiter)
        if names is None or not set(names) >= _NEEDED:
            return None
        return _layout(names, self._signal)

    def _parse(self, line: int, text: str) -> tuple[list[_Row], list[str]]:
        try:
            fields = next(csv.reader([text], delimiter=self._delimiter, strict=True))
        except csv.Error as error:
            raise LineError(line=line, reason="quotes that do not match") from error

        def get_exact(column: str) -> str:
            at = self._layout.known.get(column)
            return fields[at] if at is not None and at < len(fields) else ""

        def get(column: str) -> str:
            return get_exact(column).strip()

        own = self._schema(line, get("schema_version"))

        def get_text(column: str, max_chars: int) -> str:
            # Spaces around a source are part of an exported entry's identity.
            text = restore(get_exact(column)) if own else get(column)
            if len(text) > max_chars:
                raise LineError(line=line, reason=f"{column}: over {max_chars} characters")
            return text

        said = _said(line, get("category"), strict=self._layout.typed)
        closed: list[str] = []
        ended = is_ended({key: fields[at] for key, at in self._layout.statuses if at < len(fields)})
        rows = [
            _Row(
                line=line,
                signal=signal,
                value=value,
                entry=get("entry"),
                collab=get_text("collab", MAX_SOURCE_CHARS),
                quality=_quality(line, get("quality")),
                source=get_text("source", MAX_SOURCE_CHARS),
                note=get_text("note", MAX_NOTE_CHARS),
                expires=_expiry(line, get("expires")),
                ended=ended,
                said=said,
            )
            for signal, value in self._hashes(
                line, fields, get("signal_type"), get("signal_str"), closed
            )
        ]
        # An exported entry may have later frames although its first one has too little detail.
        if any(
            not row.entry
            and row.signal is Signal.PDQ
            and row.quality is not None
            and row.quality < MIN_MATCHABLE_QUALITY
            for row in rows
        ):
            raise LineError(
                line=line, reason=f"quality under {MIN_MATCHABLE_QUALITY}: not matchable"
            )
        return rows, closed

    def _hashes(
        self, line: int, fields: list[str], signal_type: str, signal_str: str, closed: list[str]
    ) -> Iterator[tuple[Signal | str | None, bytes]]:
        """The hashes of a row; kinds that are not taken are added to `closed`."""
        held: list[tuple[Signal | str, str]]
        if self._layout.typed:
            kind = signal_type.strip("'").lower()
            if (named := CLOSED_KINDS.get(key_of(kind))) is not None:
                closed.append(named)
                return
            if kind not in SIGNAL_TYPES and kind not in ADDRESS_TYPES | {VIDEO_TIMES}:
                raise LineError(line=line, reason=_UNKNOWN_TYPE)
            held = [(SIGNAL_TYPES.get(kind, kind if kind == VIDEO_TIMES else _ADDRESS), signal_str)]
        else:
            held = [(kind, fields[at]) for kind, at in self._layout.hashes if at < len(fields)]
            held = [(kind, text) for kind, text in held if text.strip(" \t\"'")]
            closed += [
                kind for kind, at in self._layout.closed if at < len(fields) and fields[at].strip()
            ]
            if not (held or closed):
                raise LineError(line=line, reason="no hash in its columns")
        for kind, text in held:
            yield _value(line, kind, text)

    def _schema(self, line: int, text: str) -> bool:
        if not text:
            return False
        if not (text.isascii() and text.isdigit() and int(text[:9]) > 0):
            raise LineError(line=line, reason="schema_version: expected a number")
        if int(text[:9]) > SCHEMA_VERSION:
            raise SchemaTooNew(name=self._name, found=text[:9], expected=SCHEMA_VERSION)
        return True


def _value(line: int, kind: Signal | str, text: str) -> tuple[Signal | str | None, bytes]:
    """The value of a field, and its kind; None for a kind that its ones have to tell."""
    if kind is Signal.ANCHORED:
        return kind, parse_anchored(text).codes
    if kind == VIDEO_TIMES:
        return kind, parse_times(text)
    if kind == _ADDRESS:
        address = canonical_address(text)
        if address is None:
            raise LineError(line=line, reason="not the address of something on the web")
        return Signal.URL_SHA256, sha256(address.encode()).digest()
    signal: Signal | None
    if kind == _UNTOLD:
        value = parse_any(text)
        if value is None:
            raise LineError(line=line, reason="expected 64, 40 or 32 hexadecimal digits")
        signal = kind_of(value)
        if signal is None:
            return None, value
    else:
        signal = Signal(kind)
        value = parse_value(text, signal)
    reason = meaningless(value, signal)
    if reason is not None:
        raise LineError(line=line, reason=reason)
    return signal, value


def _said(line: int, text: str, *, strict: bool) -> BankKind | None:
    # Outside ThreatExchange's tables a category may be anything.
    category = text.upper()
    if strict and category not in SAID:
        raise LineError(line=line, reason="unknown category")
    return SAID.get(category)


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
