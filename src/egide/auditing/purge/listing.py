"""Purge the listings of Hugging Face's ImageFolder: the rows that name files that go."""

from __future__ import annotations

import csv
import io
import json
from typing import IO, TYPE_CHECKING

from egide.auditing.purge.rows import names_any, names_files
from egide.errors import ContainerUnsupported

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

_MAX_LINE_BYTES = 64 * 1024 * 1024


def lines_kept(stream: IO[bytes], names: Collection[str], name: str) -> Iterator[bytes | None]:
    """Yield the lines of a listing that stay, as they stand, and None for each row that goes.

    Args:
        stream: of CSV or JSON lines.
        names: of files, from the folder of the listing.
        name: of the listing.

    Raises:
        ContainerUnsupported: it is no such listing.
    """
    stream.seek(0)
    try:
        if name.endswith(".jsonl"):
            yield from _json_lines(stream, names)
        else:
            yield from _table(stream, names)
    except (ValueError, RecursionError, csv.Error) as error:
        reason = f"it is no such listing, {type(error).__name__}"
        raise ContainerUnsupported(name=name, reason=reason) from error


def _json_lines(stream: IO[bytes], names: Collection[str]) -> Iterator[bytes | None]:
    while line := stream.readline(_MAX_LINE_BYTES):
        record = json.loads(line) if line.strip() else None
        goes = isinstance(record, dict) and any(
            names_files(key) and names_any(value, names) for key, value in record.items()
        )
        yield None if goes else line


def _table(stream: IO[bytes], names: Collection[str]) -> Iterator[bytes | None]:
    lines = _Lines(stream)
    rows = csv.reader(lines)
    header = next(rows, [])
    yield lines.taken()
    wanted = [at for at, column in enumerate(header) if names_files(column.strip("\ufeff "))]
    for row in rows:
        goes = any(at < len(row) and names_any(row[at], names) for at in wanted)
        taken = lines.taken()
        yield None if goes else taken


class _Lines:
    """The lines of a text, with the bytes that they were read from."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._held = io.BytesIO()

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        line = self._stream.readline(_MAX_LINE_BYTES)
        if not line:
            raise StopIteration
        self._held.write(line)
        return line.decode("utf-8", "surrogateescape")

    def taken(self) -> bytes:
        """The bytes of the last row."""
        data = self._held.getvalue()
        self._held = io.BytesIO()
        return data
