"""Read hash lists line by line in constant memory; a bad line does not affect the others."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from egide.domain.model import SIGNAL_BYTES, Signal
from egide.errors import FileMissing, FileUnreadable, HashInvalid, UsageError
from egide.hashlist.read_csv import CsvReader, find_table, looks_like_header
from egide.hashlist.values import (
    SIGNAL_TYPES,
    UNDERSTOOD_HEADERS,
    BadLine,
    HashLine,
    meaningless,
    parse_hex,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_LINE_BYTES = 64 * 1024
"""Three times what the longest note and source need."""

_BOM = "\ufeff"
_SEPARATOR_LINE = re.compile(r'"?sep=.?"?', re.IGNORECASE)
"""Some spreadsheets write this line before the header."""
_UNKNOWN_HEADER = (
    f"a header that names no column of hashes: expected {UNDERSTOOD_HEADERS}; a column `hash` with "
    "--signal, which tells what it holds"
)
_ANCHORED_ALONE = "anchored hashes belong to an entry, in a table with a column `entry`"
_BY_DIGITS = {2 * SIGNAL_BYTES[signal]: signal for signal in (Signal.PDQ, Signal.MD5)}


def read_hash_list(
    stream: BinaryIO | Path, *, name: str, signal: Signal | None = None
) -> Iterator[HashLine | BadLine]:
    """Parse the lines of a hash list, in order.

    The first line that is neither blank nor a comment decides the format: a table's header, or
    else lines of digits and lines of `signal_type value`, which may be mixed.

    Args:
        stream: opened for bytes, or the path of a file; never read whole.
        name: of the list, for errors.
        signal: the kind of lines that are digits only, and of a column whose name does not tell;
            by default 64 digits are a PDQ and 32 an MD5.

    Raises:
        SchemaTooNew: a newer Egide wrote the list.
        FileMissing, FileUnreadable: the path cannot be read.
        UsageError: a list cannot hold `signal`.
    """
    if signal is not None and signal not in SIGNAL_BYTES:
        kinds = ", ".join(SIGNAL_BYTES)
        raise UsageError(reason=f"a hash list holds {kinds}, not {signal}")
    if isinstance(stream, Path):
        try:
            with stream.open("rb") as opened:
                yield from _read(opened, name, signal)
        except FileNotFoundError as error:
            raise FileMissing(name=name) from error
        except OSError as error:
            raise FileUnreadable(name=name, reason=error.strerror or "read error") from error
    else:
        yield from _read(stream, name, signal)


def _read(stream: BinaryIO, name: str, signal: Signal | None) -> Iterator[HashLine | BadLine]:
    table: CsvReader | None = None
    undecided = True
    for number, text in _lines(stream):
        if isinstance(text, BadLine):
            yield text
            continue
        if undecided:
            if _SEPARATOR_LINE.fullmatch(text.strip()):
                continue
            undecided = False
            table = find_table(name, text, signal)
            if table is None and looks_like_header(text):
                yield BadLine(number, _UNKNOWN_HEADER)
                continue
        if table is not None:
            yield from table.feed(number, text)
        else:
            yield _line(number, text, signal)
    if table is not None:
        yield from table.finish()


def _lines(stream: BinaryIO) -> Iterator[tuple[int, str | BadLine]]:
    number = 0
    while raw := stream.readline(MAX_LINE_BYTES + 1):
        number += 1
        if len(raw) > MAX_LINE_BYTES and not raw.endswith(b"\n"):
            while (rest := stream.readline(MAX_LINE_BYTES)) and not rest.endswith(b"\n"):
                pass
            yield number, BadLine(number, f"longer than {MAX_LINE_BYTES} bytes")
            continue
        if raw.lstrip().startswith(b"#"):
            continue
        if b"\0" in raw:
            yield number, BadLine(number, "it holds a NUL byte; save the list as UTF-8")
            continue
        try:
            text = raw.decode()
        except UnicodeDecodeError:
            yield number, BadLine(number, "it is not UTF-8")
            continue
        if number == 1:
            text = text.removeprefix(_BOM)
            if text.startswith("#"):
                continue
        if text.strip():
            yield number, text.rstrip("\r\n")


def _line(number: int, text: str, signal: Signal | None) -> HashLine | BadLine:
    words = text.split()
    if len(words) == 1:
        digits = words[0].strip("\"'")
        kind = signal or _BY_DIGITS.get(len(digits))
        if kind is None:
            return BadLine(
                number,
                "expected 64 hexadecimal digits (PDQ) or 32 (MD5), `signal_type value`, or a "
                f"table with a header: {UNDERSTOOD_HEADERS}",
                HashInvalid.code,
            )
    elif len(words) == 2:
        digits = words[1]
        named = SIGNAL_TYPES.get(words[0].strip("\"'").lower())
        if named is None:
            return BadLine(number, "unknown signal type: expected pdq, sha256 or md5")
        if named is Signal.ANCHORED:
            return BadLine(number, _ANCHORED_ALONE)
        kind = named
    else:
        return BadLine(
            number,
            "expected a value, `signal_type value`, or a table with a header: "
            f"{UNDERSTOOD_HEADERS}",
        )
    try:
        value = parse_hex(digits, kind)
    except HashInvalid as error:
        return BadLine(number, str(error), error.code)
    reason = meaningless(value, kind)
    if reason is not None:
        return BadLine(number, reason, HashInvalid.code)
    if kind is Signal.PDQ:
        return HashLine(number, pdqs=(value,))
    if kind is Signal.SHA256:
        return HashLine(number, sha256=value)
    return HashLine(number, md5=value)
