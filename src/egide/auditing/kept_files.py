"""Files of kept fingerprints: a few hundred items of a shard each, in `fingerprints/`.

They depend on the shard and on how it was read, not on the register. A file that exists is done.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from egide.auditing.sources import Columns, Other
from egide.auditing.sources.kept_rows import KeptRow, from_table, to_table
from egide.auditing.sources.kept_source import HEAD, KEPT_SCHEMA, head_of
from egide.errors import (
    DecoderCrashed,
    DecodeTimeout,
    FileMissing,
    FileUnreadable,
    ObjectUnreadable,
    OutputUnreadable,
    OutputUnwritable,
    SourceTruncated,
    SourceUnreadable,
)
from egide.files import written_whole

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

FILE_ROWS = 512
# Digests and codes are as good as random: to compress or count them would only take time.
_TRANSIENT = frozenset(
    error.code
    for error in (
        *(FileMissing, FileUnreadable, ObjectUnreadable, SourceUnreadable, SourceTruncated),
        *(DecoderCrashed, DecodeTimeout),
    )
)
"""What the machine or a network may have to answer for: it is tried again with the next audit."""
_TAIL_BYTES = 1 << 14
"""More than the footer of most files."""
_MARK = HEAD + b"\x18"
"""A key in Parquet's compact protocol, and that a text follows: its length, seven bits a byte."""
_LENGTH_BYTES = 5
WRITING: dict[str, Any] = {
    "compression": "none",
    "use_dictionary": False,
    "write_statistics": False,
    "write_page_checksum": True,  # a flipped bit would be another fingerprint
}


@dataclass(frozen=True, slots=True)
class KeptFiles:
    """The files of one shard that are on disk.

    Attributes:
        folder: of them.
        id: of the shard, read in this way.
        heads: what each says of itself, in order, up to the first missing or damaged one.
    """

    folder: Path
    id: str
    heads: tuple[dict[str, Any], ...]

    @classmethod
    def find(cls, folder: Path, kept_id: str) -> KeptFiles:
        """Find the files of a shard."""
        heads: list[dict[str, Any]] = []
        while not (heads and heads[-1]["last"]):
            head = read_head(kept_path(folder, kept_id, len(heads)))
            if head is None:
                break
            heads.append(head)
        return cls(folder, kept_id, tuple(heads))

    @property
    def complete(self) -> bool:
        """Whether all files of the shard are present."""
        return bool(self.heads) and bool(self.heads[-1]["last"])

    @property
    def position(self) -> int:
        """How far into the shard the files go, in items and other files."""
        return int(self.heads[-1]["position"]) if self.heads else 0

    @property
    def row_count(self) -> int:
        """How many rows they have: items, gaps, and rows of tables by the hundred."""
        return sum(head["rows"] for head in self.heads)

    @property
    def transient(self) -> bool:
        """Whether something was not looked at for a reason that may be gone by now."""
        return any(head["transient"] for head in self.heads)

    def discard(self) -> None:
        """Remove the files: they cannot be read."""
        for file in range(len(self.heads)):
            kept_path(self.folder, self.id, file).unlink(missing_ok=True)

    def rows(self, start: int = 0) -> Iterator[KeptRow]:
        """Yield the rows from number `start` on.

        Raises:
            OutputUnreadable: a file is damaged.
        """
        for file, head in enumerate(self.heads):
            if head["position"] > start:
                yield from read_rows(kept_path(self.folder, self.id, file), head, start)


class KeptWriter:
    """Writes rows to the next files of a shard, each of them whole or not at all."""

    def __init__(self, kept: KeptFiles, shard: str) -> None:
        """Go on after the files that exist, of a shard with this name in reports."""
        self._shard = shard
        self._folder, self._id = kept.folder, kept.id
        self._file = len(kept.heads)
        self._done = kept.complete
        self._ended = False
        self._start(kept.position)

    def _start(self, position: int) -> None:
        self._first = self._position = position
        self._rows: list[KeptRow] = []
        self._others: Counter[str] = Counter()
        self._columns: list[dict[str, Any]] = []

    @property
    def full(self) -> bool:
        """Whether there is enough for a file."""
        return len(self._rows) >= FILE_ROWS

    def keeping(self, rows: Iterable[KeptRow]) -> Iterator[KeptRow]:
        """Hand rows on to the end of the shard, and take what no file has yet."""
        for row in rows:
            if row.number >= self._position:
                self._add(row)
            yield row
        self._ended = True

    def _add(self, row: KeptRow) -> None:
        self._position = row.number + 1
        if isinstance(row.thing, Other):
            self._others[row.thing.suffix] += row.count
        elif isinstance(row.thing, Columns):
            self._columns.append(asdict(row.thing))
        else:
            self._rows.append(row)

    def flush(self) -> None:
        """Write what was taken, if anything.

        Raises:
            OutputUnwritable: the disk is full, or the folder cannot be written.
        """
        if self._done or (self._first == self._position and not self._ended):
            return
        head = {
            "schema_version": KEPT_SCHEMA,
            "first": self._first,
            "position": self._position,
            "last": self._ended,
            "rows": len(self._rows),
            "transient": any(row.gap and row.gap.code in _TRANSIENT for row in self._rows),
            "others": dict(self._others),
            "columns": self._columns,
        }
        path = kept_path(self._folder, self._id, self._file)
        write_rows(path, self._rows, self._shard, head)
        self._file += 1
        self._done = self._ended
        self._start(self._position)


def _at_once(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)  # a pipe would be waited for


def kept_path(folder: Path, kept_id: str, file: int) -> Path:
    """Return the path of a file."""
    return folder / f"{kept_id}.{file}.parquet"


def write_rows(path: Path, rows: Sequence[KeptRow], shard: str, head: dict[str, Any]) -> None:
    """Write a file, whole or not at all.

    Raises:
        OutputUnwritable: the disk is full, or the folder cannot be written.
    """
    import pyarrow.parquet as pq

    table = to_table(rows, shard, {HEAD: json.dumps(head).encode()})
    try:
        with written_whole(path) as stream:
            pq.write_table(table, stream, **WRITING)
    except OSError as error:
        raise OutputUnwritable(name=path.parent.parent, reason=error.strerror) from error


def read_head(path: Path) -> dict[str, Any] | None:
    """Return what a file says of itself; None if it is missing or damaged.

    It is looked for in the bytes of the footer, where a text follows its key and its length. To
    read the whole footer takes PyArrow thirty times as long, and an audit has 20 000 such files.
    """
    try:
        with open(path, "rb", opener=_at_once) as stream:
            end = stream.seek(0, os.SEEK_END)
            stream.seek(max(end - _TAIL_BYTES, 0))
            tail = stream.read()
            size = int.from_bytes(tail[-8:-4], "little") + 8
            if len(tail) < size <= end:
                stream.seek(end - size)
                tail = stream.read()
    except OSError:
        return None
    _, mark, text = tail[-size:].partition(_MARK)
    if not mark or not tail.endswith(b"PAR1"):
        return None
    length = shift = 0
    for at, byte in enumerate(text[:_LENGTH_BYTES], 1):
        length |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            head = head_of({HEAD: text[at : at + length]}, of_a_shard=True)
            return head if head is not None and head["schema_version"] == KEPT_SCHEMA else None
    return None


def read_rows(path: Path, head: dict[str, Any], start: int = 0) -> Iterator[KeptRow]:
    """Yield a file's rows from number `start` on.

    Files that are no pictures, and columns, were counted together: they come before the first row.

    Raises:
        OutputUnreadable: the file is damaged.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    first = head["first"]
    if first >= start:
        for suffix, count in head["others"].items():
            yield KeptRow(first, Other(suffix), count=count)
        for columns in head["columns"]:
            empty, left = tuple(columns["empty"]), tuple(columns["left"])
            yield KeptRow(first, Columns(columns["taken"], empty, left))
    try:
        for row in from_table(pq.ParquetFile(path, page_checksum_verification=True).read()):
            if row.number >= start:
                yield row
    except (pa.ArrowException, OSError, ValueError, KeyError, TypeError) as error:
        name = path.parent.parent
        raise OutputUnreadable(name=name, reason="kept fingerprints are damaged") from error
