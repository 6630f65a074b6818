"""Read one line of a list that is no table: a value, and what programs print beside it."""

from __future__ import annotations

import json
import re
from ast import literal_eval
from dataclasses import replace
from hashlib import sha256
from typing import TYPE_CHECKING

from egide.domain.model import MIN_MATCHABLE_QUALITY, SIGNAL_BYTES, Signal
from egide.errors import HashInvalid, LineError
from egide.hashlist.addresses import canonical_address
from egide.hashlist.read_vpdq import read_vpdq_value
from egide.hashlist.records import UNIT, read_record
from egide.hashlist.values import (
    ADDRESS_TYPES,
    CLOSED_KINDS,
    MAX_SOURCE_CHARS,
    SAID,
    SIGNAL_TYPES,
    UNDERSTOOD_HEADERS,
    BadLine,
    HashLine,
    NotTaken,
    Untold,
    key_of,
    kind_of,
    line_with,
    meaningless,
    parse_any,
    parse_value,
    plain,
)
from egide.hashlist.vpdq import VPDQ_TYPES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from egide.hashlist.values import Read

_ANCHORED_ALONE = "anchored hashes belong to an entry, in a table with a column `entry`"
_EXPECTED = (
    "expected 64 hexadecimal digits (PDQ or SHA-256), 40 (SHA-1) or 32 (MD5), `signal_type value`, "
    f"an address, or a table with a header: {UNDERSTOOD_HEADERS}"
)
_UNKNOWN_TYPE = "unknown signal type: expected pdq, sha256, sha1, md5, url_sha256 or url_md5"
# `sha256sum file`, `md5sum -b file`, `md5 -r file`; a backslash says that the name has escapes.
_SUM = re.compile(r"\\?(?P<digits>[0-9A-Fa-f]{32,128})(?: [ *]|\t+| )(?P<file>\S.*)")
# `sha256sum --tag file`, `openssl dgst file`.
_TAGGED = re.compile(r"(?P<kind>[A-Za-z][\w/-]{1,19}) ?\(.*\) ?= ?(?P<digits>[0-9A-Za-z+/=]+)")
# A value that was broken in two is no name of a file.
_DIGITS = re.compile(r"[0-9A-Fa-f]{16,}")
_SUM_SIGNALS = {32: Signal.MD5, 40: Signal.SHA1, 64: Signal.SHA256}
_SUM_CLOSED = {56: "SHA-224", 96: "SHA-384", 128: "SHA-512"}
# Source: ThreatExchange, pdq/cpp/bin/pdq-photo-hasher.cpp, without and with `--details`.
_PDQ_TOOL = re.compile(r"(?P<digits>[0-9A-Fa-f]{64}),(?P<quality>\d{1,3}),.*")
_PDQ_TOOL_DETAILS = re.compile(
    r"hash=(?P<digits>[0-9A-Fa-f]{64}),(?:[a-z]+=[^,]*,)*?quality=(?P<quality>\d{1,3})\b.*"
)
# What `threatexchange dataset -P` prints after a value: the collaboration as Python quotes it, the
# category, tags.
_OPINION = re.compile(
    r"""(?:(?P<collab>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")\s*)?(?P<category>[A-Z_]+)?(?:\s+.*)?"""
)
_DELIMITERS = (",", ";", "\t", "|")


def read_line(number: int, text: str, signal: Signal | None) -> Iterator[Read | Untold]:
    """Read a line.

    Args:
        number: of the line.
        text: of the line, not blank.
        signal: the kind of a value whose kind the line does not tell.
    """
    line = text.strip()
    if len(line) in _SUM_SIGNALS and (value := parse_any(line)) is not None:
        yield _alone(number, value, signal or kind_of(value))
    elif line.startswith("{"):
        yield from _object(number, line, signal)
    elif line[:4].lower() == "http" and ":" in line[:6]:
        yield _address(number, line)
    elif (found := _PDQ_TOOL.fullmatch(line) or _PDQ_TOOL_DETAILS.match(line)) is not None:
        yield _of_pdq_tool(number, found)
    elif (found := _TAGGED.fullmatch(line)) is not None:
        yield from _typed(number, found["kind"], found["digits"], "")
    else:
        yield from _words(number, line, signal)


def read_text(number: int, text: str, signal: Signal | None) -> Iterator[Read | Untold]:
    """Read a string that is an item of a list in JSON, as a line."""
    if not text.strip():
        yield BadLine(number, "an empty string", unit=UNIT)
        return
    for event in read_line(number, text, signal):
        if isinstance(event, Untold):
            yield Untold(replace(event.line, unit=UNIT), event.value)
        else:
            yield replace(event, unit=UNIT)


def _alone(number: int, value: bytes, kind: Signal | None) -> Read | Untold:
    """A value and nothing else, as most lines of most lists are."""
    if kind is None:
        return Untold(line_with(number, ()), value)
    if len(value) != SIGNAL_BYTES[kind]:
        return _one(number, kind, value.hex(), "")  # which says so
    reason = meaningless(value, kind)
    if reason is not None:
        return BadLine(number, reason, HashInvalid.code)
    return line_with(number, [(kind, value)])


def _words(number: int, line: str, signal: Signal | None) -> Iterator[Read | Untold]:
    first, _, rest = line.partition(" ")
    rest = rest.strip()
    kind = first.strip("\"'")
    is_type = kind.lower() in SIGNAL_TYPES or kind.lower() in ADDRESS_TYPES
    if rest.startswith(("[", "{")) and key_of(kind) in VPDQ_TYPES:
        end = max(rest.rfind("]"), rest.rfind("}")) + 1
        yield from _saying(rest[end:].strip(), [read_vpdq_value(number, rest[:end])])
        return
    if rest and (is_type or key_of(kind) in CLOSED_KINDS) and parse_any(first) is None:
        value, _, opinion = rest.partition(" ")
        yield from _saying(opinion.strip(), _typed(number, kind, value, opinion.strip()))
        return
    if rest and parse_any(first) is not None and _is_opinion(rest):
        yield from _saying(rest, _untyped(number, first, signal, rest))
        return
    if (found := _SUM.fullmatch(line)) is not None and not _DIGITS.fullmatch(found["file"]):
        yield from _sum(number, found["digits"], signal)
    elif not rest and (parse_any(first) is not None or signal is not None):
        yield from _untyped(number, first, signal, "")
    elif (fields := _hash_fields(line)) is not None:
        yield from _fields(number, fields, signal)
    elif rest and not rest.partition(" ")[2] and parse_any(rest) is not None:
        yield BadLine(number, _UNKNOWN_TYPE)
    else:
        is_short = not rest and len(plain(first)) > 0
        yield BadLine(number, _EXPECTED, HashInvalid.code if is_short else LineError.code)


def _object(number: int, line: str, signal: Signal | None) -> Iterator[Read | Untold]:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        yield BadLine(number, "it is not whole JSON")
        return
    yield from read_record(number, record, signal=signal, unit="line")


def _address(number: int, line: str) -> Read:
    address = canonical_address(line)
    if address is None:
        return BadLine(number, "not the address of something on the web: http:// or https://")
    return line_with(number, [(Signal.URL_SHA256, sha256(address.encode()).digest())])


def _of_pdq_tool(number: int, found: re.Match[str]) -> Read:
    quality = int(found["quality"])
    if quality > 100:
        return BadLine(number, "quality: expected 0 to 100")
    if quality < MIN_MATCHABLE_QUALITY:
        return BadLine(number, f"quality under {MIN_MATCHABLE_QUALITY}: not matchable")
    value = bytes.fromhex(found["digits"])
    reason = meaningless(value, Signal.PDQ)
    if reason is not None:
        return BadLine(number, reason, HashInvalid.code)
    return line_with(number, [(Signal.PDQ, value)], quality=quality)


def _typed(number: int, kind: str, text: str, opinion: str) -> Iterator[Read]:
    """A value of a named kind, and what stands after it."""
    source, reason = _opinion(opinion)
    if reason is not None:
        yield BadLine(number, reason)
        return
    named = SIGNAL_TYPES.get(kind.lower())
    if named is Signal.ANCHORED:
        yield BadLine(number, _ANCHORED_ALONE)
    elif named is not None:
        yield _one(number, named, text, source)
    elif kind.lower() in ADDRESS_TYPES:
        yield _address(number, text)
    elif (closed := CLOSED_KINDS.get(key_of(kind))) is not None:
        yield NotTaken(number, closed, alone=True)
    else:
        yield BadLine(number, _UNKNOWN_TYPE)


def _untyped(
    number: int, text: str, signal: Signal | None, opinion: str
) -> Iterator[Read | Untold]:
    source, reason = _opinion(opinion)
    if reason is not None:
        yield BadLine(number, reason)
        return
    value = parse_any(text)
    kind = signal or (None if value is None else kind_of(value))
    if kind is not None:
        yield _one(number, kind, text, source)
    elif value is not None:
        yield Untold(line_with(number, (), source=source), value)
    else:
        yield BadLine(number, _EXPECTED, HashInvalid.code)


def _sum(number: int, digits: str, signal: Signal | None) -> Iterator[Read]:
    if (closed := _SUM_CLOSED.get(len(digits))) is not None and signal is None:
        yield NotTaken(number, closed, alone=True)
        return
    kind = signal or _SUM_SIGNALS.get(len(digits))
    yield (
        BadLine(number, _EXPECTED, HashInvalid.code)
        if kind is None
        else _one(number, kind, digits, "")
    )


def _one(number: int, kind: Signal, text: str, source: str) -> Read:
    try:
        value = parse_value(text, kind)
    except HashInvalid as error:
        return BadLine(number, str(error), error.code)
    reason = meaningless(value, kind)
    if reason is not None:
        return BadLine(number, reason, HashInvalid.code)
    return line_with(number, [(kind, value)], source=source)


def _is_opinion(text: str) -> bool:
    """Whether `threatexchange dataset -P -s pdq` printed this, and it is not the name of a file."""
    found = _OPINION.fullmatch(text)
    if found is None:
        return False
    return bool(found["collab"]) or found["category"] in SAID


def _saying(opinion: str, events: Iterable[Read | Untold]) -> Iterator[Read | Untold]:
    """Say of what a line holds whether it is a match, as its category does."""
    found = _OPINION.fullmatch(opinion)
    said = SAID.get(found["category"] or "") if found else None
    for event in events:
        if isinstance(event, Untold):
            yield replace(event, line=replace(event.line, said=said))
        else:
            yield replace(event, said=said) if isinstance(event, HashLine) else event


def _opinion(text: str) -> tuple[str, str | None]:
    """The source that an opinion names, and why its line is left out, if it is."""
    if not text:
        return "", None
    found = _OPINION.fullmatch(text)
    if found is None:
        return "", "expected `signal_type value`, and at most a collaboration, category and tags"
    if found["category"] is not None and found["category"] not in SAID:
        return "", "unknown category"
    source = str(literal_eval(found["collab"])) if found["collab"] else ""
    return source[:MAX_SOURCE_CHARS].replace("\0", ""), None


def _hash_fields(line: str) -> list[bytes] | None:
    """The values in the fields of a line without a header, or None if it has none."""
    for delimiter in _DELIMITERS:
        if delimiter in line:
            values = [value for field in line.split(delimiter) if (value := parse_any(field))]
            if values:
                return values
    return None


def _fields(number: int, values: list[bytes], signal: Signal | None) -> Iterator[Read | Untold]:
    """The hashes of one file, told by their lengths; a first row says no more."""
    held = [
        (kind, value)
        for value in values
        if (kind := (signal if _fits(signal, value) else None) or kind_of(value)) is not None
    ]
    untold = [value for value in values if len(value) not in {len(one) for _, one in held}]
    if len({kind for kind, _ in held}) < len(held) or len(untold) > 1:
        yield BadLine(number, "two hashes of one length: give the table a header")
    elif any(meaningless(value, kind) for kind, value in held):
        reasons = (meaningless(value, kind) for kind, value in held)
        yield BadLine(number, next(filter(None, reasons)), HashInvalid.code)
    elif untold:
        yield Untold(line_with(number, held), untold[0])
    else:
        yield line_with(number, held)


def _fits(signal: Signal | None, value: bytes) -> bool:
    return signal is not None and len(value) == SIGNAL_BYTES[signal]
