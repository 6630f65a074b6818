"""Read hash lists in constant memory, whatever format they have; a bad line costs no other.

The first bytes decide: `<` begins XML, `{` or `[` JSON; else it is lines, of which the first that
is neither blank nor a comment is a table's header or a line like the others.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from egide.domain.model import SIGNAL_BYTES, BankKind, Signal
from egide.errors import FileMissing, FileUnreadable, ListUnreadable, UsageError
from egide.hashlist.opening import opened
from egide.hashlist.read_csv import CsvReader, find_table, looks_like_header
from egide.hashlist.read_json import is_lines, read_json
from egide.hashlist.read_lines import read_line, read_text
from egide.hashlist.read_vpdq import VpdqReader
from egide.hashlist.read_xml import read_xml
from egide.hashlist.telling import settled
from egide.hashlist.values import UNDERSTOOD_HEADERS, BadLine, Cut, HashLine, Untold
from egide.hashlist.vpdq import is_vpdq_line

if TYPE_CHECKING:
    from collections.abc import Iterator
    from io import BufferedReader

    from egide.hashlist.values import Read

MAX_LINE_BYTES = 64 * 1024
"""Three times what the longest note and source need."""

_BOM = "\ufeff"
_UTF_8_BOM = b"\xef\xbb\xbf"
_PEEK_BYTES = 64 * 1024
_SEPARATOR_LINE = re.compile(r'"?sep=.?"?', re.IGNORECASE)
"""Some spreadsheets write this line before the header."""
_OTHER_KIND = {
    BankKind.POSITIVE: "the list says that this is no match: such entries are for a negative bank",
    BankKind.NEGATIVE: "the list says that this is a match, and the bank is for harmless pictures",
}
_UNKNOWN_HEADER = (
    f"a header that names no column of hashes: expected {UNDERSTOOD_HEADERS}; a column `hash` with "
    "--type, which tells what it holds"
)


def read_hash_list(
    stream: BinaryIO | Path,
    *,
    name: str,
    signal: Signal | None = None,
    kind: BankKind = BankKind.POSITIVE,
) -> Iterator[Read]:
    """Parse a hash list, in order.

    Args:
        stream: opened for bytes, or the path of a file; never read whole.
        name: of the list, for errors.
        signal: the kind of values of which nothing else tells it. By default 32 digits are an MD5,
            40 a SHA-1, and 64 are told apart by their ones.
        kind: of the bank that it is for: what the list says is of the other kind is left out.

    Raises:
        SchemaTooNew: a newer Egide wrote the list.
        HashKindUnsure: it is unclear whether values are PDQs or SHA-256s.
        ListUnreadable: it is packed in a way that is not read.
        FileMissing, FileUnreadable: the path cannot be read.
        UsageError: a list cannot hold `signal`.
    """
    if signal is not None and signal not in SIGNAL_BYTES:
        kinds = ", ".join(SIGNAL_BYTES)
        raise UsageError(reason=f"a hash list holds {kinds}, not {signal}")
    if isinstance(stream, Path):
        try:
            with stream.open("rb") as file:
                yield from _of_kind(settled(_read(file, name, signal), name), kind)
        except FileNotFoundError as error:
            raise FileMissing(name=name) from error
        except OSError as error:
            raise FileUnreadable(name=name, reason=error.strerror or "read error") from error
    else:
        yield from _of_kind(settled(_read(stream, name, signal), name), kind)


def _of_kind(events: Iterator[Read], kind: BankKind) -> Iterator[Read]:
    for event in events:
        if isinstance(event, HashLine) and event.said not in {None, kind}:
            yield BadLine(event.line, _OTHER_KIND[kind], unit=event.unit)
        else:
            yield event


def _read(stream: BinaryIO, name: str, signal: Signal | None) -> Iterator[Read | Untold]:
    content = opened(stream, name)
    start = content.peek(_PEEK_BYTES).removeprefix(_UTF_8_BOM).lstrip()
    last = 0
    try:
        for event in _events(content, start, name, signal):
            yield event
            last = event.line.line if isinstance(event, Untold) else event.line
    except ListUnreadable as error:  # of a gzip file: what came before is whole
        yield Cut(last, str(error.fields["reason"]))


def _events(
    content: BufferedReader, start: bytes, name: str, signal: Signal | None
) -> Iterator[Read | Untold]:
    is_json = start.startswith((b"{", b"["))
    if start.startswith(b"<") or (is_json and not is_lines(start)):
        if content.peek(3)[:3] == _UTF_8_BOM:
            content.read(3)
        if is_json:
            yield from read_json(content, signal, read_text)
        else:
            yield from read_xml(content, signal)
        return
    yield from _read_lines(content, name, signal)


def _read_lines(stream: BinaryIO, name: str, signal: Signal | None) -> Iterator[Read | Untold]:
    table: CsvReader | None = None
    vpdq: VpdqReader | None = None
    undecided, refused = True, False
    for number, text in _lines(stream):
        if isinstance(text, BadLine):
            yield text
            continue
        if vpdq is not None or (undecided and is_vpdq_line(text)):
            vpdq = vpdq or VpdqReader()
            yield from vpdq.feed(number, text)
            continue
        if undecided:
            if _SEPARATOR_LINE.fullmatch(text.strip()):
                continue
            undecided = False
            table = find_table(name, text, signal)
            refused = table is None and looks_like_header(text)
        if refused:  # what stands in its columns may look like a hash of another kind
            yield BadLine(number, _UNKNOWN_HEADER)
        elif table is not None:
            yield from table.feed(number, text)
        else:
            yield from read_line(number, text, signal)
    if table is not None:
        yield from table.finish()
    if vpdq is not None:
        yield from vpdq.finish()


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
            text = text.lstrip(_BOM)
            if text.startswith("#"):
                continue
        if text.strip():
            yield number, text.rstrip("\r\n")
