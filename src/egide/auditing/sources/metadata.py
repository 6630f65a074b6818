"""A table without pictures: hashes and addresses in any column, each row compared by what it has.

Columns are told by their names and by their first values. docs/dataset/audit.md says how.
"""

from __future__ import annotations

import csv
import io
import json
from collections import Counter, deque
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from egide.auditing.sources.base import Columns, Expansion, Member, Read, Reading, Rows, Shard
from egide.auditing.sources.columns import is_list, unique
from egide.auditing.sources.encoded import MIN_TEXT_BYTES, begins_picture, holds_picture
from egide.auditing.sources.hash_columns import addresses_of, given_in, hashes_of
from egide.auditing.sources.leaves import Leaf, leaves_of, numbers_at
from egide.auditing.sources.location import open_binary, stat, state_of, whole_file
from egide.auditing.sources.metadata_columns import (
    Told,
    delimiter_of,
    fields_of,
    names_of_hashes,
    tell,
)
from egide.auditing.sources.nested import read_member
from egide.auditing.sources.parquet import ParquetSource, open_parquet, runs_of
from egide.domain.coverage import Gap, GapKind
from egide.errors import (
    ColumnUnread,
    ListUnreadable,
    SourceError,
    SourceTruncated,
    SourceUnreadable,
    ValueMissing,
)
from egide.hashlist.opening import opened
from egide.hashlist.values import parse_any
from egide.media.formats import sniff

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egide.domain.model import Limits, Signal

SHARD_ROWS = 250_000
"""Row groups are gathered into shards of about this many rows."""
_BATCH_ROWS = 4096
_MAX_LINE_BYTES = 1024 * 1024
_MAX_COLUMNS = 10_000
_MAX_VALUES_A_ROW = 10_000
_VALUE_BYTES = 64
"""What a value costs, beside its text."""
_PICTURES = (
    "it holds pictures beside hashes or addresses, which alone were compared: name it with --column"
)
_RETOLD = 64
"""Values of a batch by which a column is told again that held nothing so far."""
TABLE_SUFFIXES = (
    *(".csv", ".tsv", ".csv.gz", ".tsv.gz"),
    *(".jsonl", ".ndjson", ".jsonl.gz", ".ndjson.gz"),
)
_TABLES = (".csv", ".tsv", ".csv.gz", ".tsv.gz")
_JSON_LINES = (".jsonl", ".ndjson", ".jsonl.gz", ".ndjson.gz")

_SCAN = json.JSONDecoder().scan_once  # type: ignore[attr-defined]
_NESTED = frozenset({dict, list})
_JSON_SPACES = " \t\r\n"
_TAKEN_AT_ONCE = 64 * 1024
"""Characters of a text between two looks at how much was unpacked."""

Column = tuple[Any, Any]
"""The rows of a column's values in a batch, and the values: texts, bytes, or something else."""


class MetadataSource:
    """A table in Parquet, CSV or JSON lines. Parquet is read in runs of row groups."""

    kind = "metadata"

    def __init__(self, url: str, name: str) -> None:
        self.url = url
        self.name = name

    def shards(self) -> Iterator[Shard]:
        """Plan runs of row groups, or the file as one shard."""
        if not self.url.lower().endswith((".parquet", ".pq")):
            yield whole_file(self.kind, self.url, self.name)
            return
        info = stat(self.url)
        runs = [(0, 0)]
        try:
            with open_binary(self.url) as stream:
                file = open_parquet(stream, self.name)
                rows = [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)]
                runs = runs_of(rows, SHARD_ROWS)
        except SourceError:
            pass  # reading says so, which costs only this shard
        for number, (start, stop) in enumerate(runs):
            yield Shard(
                kind=self.kind,
                url=self.url,
                name=self.name if len(runs) == 1 else f"{self.name}#{number}",
                start=start,
                stop=stop,
                state=state_of(info),
                weight=int(info.get("size") or 0) // len(runs),
                share=len(runs),
            )

    @staticmethod
    def read(shard: Shard, limits: Limits) -> Iterator[Read]:
        """Yield each row that has something to compare, then what of the table had nothing.

        Raises:
            SourceUnreadable: it is no such table.
            SourceTruncated: it is damaged; the rows before are valid.
            SourceExpands: it unpacks to more than is allowed.
        """
        expansion = Expansion(shard, limits)
        lower = shard.url.lower()
        reading = _Reading(shard.name, expansion)
        with open_binary(shard.url) as stream:
            if lower.endswith((".parquet", ".pq")):
                begun = False
                for rows in reading.parquet(stream, shard.start, shard.stop):
                    if reading.pictures and not begun:
                        break
                    begun = True
                    yield rows
                if not begun:  # its texts hold pictures, or nothing that could be compared
                    yield from ParquetSource.read(replace(shard, kind=ParquetSource.kind), limits)
                    return
            else:
                try:
                    content = opened(cast("BinaryIO", stream), shard.name)
                    if lower.endswith(_JSON_LINES):
                        yield from reading.json_lines(content)
                    else:
                        yield from reading.table(content)
                except ListUnreadable as error:
                    raise SourceTruncated(
                        name=shard.name, items=expansion.items, reason=str(error.fields["reason"])
                    ) from error
                if reading.pictures:
                    stream.seek(0)
                    whole = Reading(shard.name, limits, expansion)
                    yield from read_member(Member(shard.name, stream, seekable=True), whole)
                    yield from reading.end(pictures_read=True)
                    return
        yield from reading.end()


def is_metadata(url: str) -> bool:
    """Whether a file is a table whose hashes and addresses are compared, and none of pictures.

    A CSV is one if its header names several columns, and is not that of a hash list with types.
    """
    lower = url.lower()
    if lower.endswith(_JSON_LINES):
        return True
    if lower.endswith(_TABLES):
        with open_binary(url) as stream:
            try:
                content = opened(cast("BinaryIO", stream), url)
                head = content.readline(_MAX_LINE_BYTES).decode("utf-8-sig", "replace")
            except ListUnreadable:
                return False
        names = [name.strip().lower() for name in fields_of(head, delimiter_of(head))]
        words = all(name and parse_any(name) is None and not name[0].isdigit() for name in names)
        return words and len(names) > 1 and "signal_type" not in names and "sep=" not in names[0]
    return lower.endswith((".parquet", ".pq")) and _has_no_pictures(url)


def names_hashes(url: str) -> bool:
    """Whether a table in a folder is one of hashes or addresses, and not only of words."""
    with open_binary(url) as stream:
        try:
            content = opened(cast("BinaryIO", stream), url)
            head = content.readline(_MAX_LINE_BYTES).decode("utf-8-sig", "replace")
        except ListUnreadable:
            return False
    return bool(names_of_hashes(head, json_lines=url.lower().endswith(_JSON_LINES)))


def _has_no_pictures(url: str) -> bool:
    """Whether a Parquet file's columns are named as hashes or addresses, and none is binary."""
    try:
        with open_binary(url) as stream:
            schema = open_parquet(stream, url).schema_arrow
    except SourceError:
        return False
    told = False
    for part in schema:
        text = str(part.type)
        # Lists of whole numbers may be files, and a text of any name Base64: those are looked at
        # as pictures, unless a name says otherwise.
        if ("binary" in text and "fixed_size" not in text) or "int8" in text or "bytes:" in text:
            return False
        told |= tell([], part.name).named
        told |= any(tell([], name).named for name in _names_in(part.type))
    return told


def _names_in(kind: Any) -> Iterator[str]:
    from pyarrow import types

    if types.is_struct(kind):
        for index in range(kind.num_fields):
            yield kind.field(index).name
            yield from _names_in(kind.field(index).type)
    elif hasattr(kind, "value_type"):
        yield from _names_in(kind.value_type)


class _Reading:
    """Reads the batches of one shard, and remembers what of it was not compared.

    Attributes:
        pictures: columns of texts that hold pictures.
    """

    def __init__(self, name: str, expansion: Expansion) -> None:
        self._name = name
        self._expansion = expansion
        self._told: dict[str, Told] = {}
        self._taken: Counter[str] = Counter()
        self.pictures: set[str] = set()
        self._empty = self._wrong = self._bad = self._cut = self._columns_cut = 0
        self._quotes = self._open = 0  # of the row that is read: quotes, and lines within them
        self._row = 0

    def parquet(self, stream: Any, start: int, stop: int) -> Iterator[Read]:
        """Read a run of row groups."""
        import pyarrow as pa

        file = open_parquet(stream, self._name)
        sizes = [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)]
        self._row = first = sum(sizes[:start])
        paths = unique(file.schema_arrow.names)
        try:
            for batch in file.iter_batches(
                batch_size=_BATCH_ROWS, row_groups=list(range(start, stop)), use_threads=False
            ):
                self._expansion.take(batch.nbytes)
                columns: dict[str, Column] = {}
                for path, array in zip(paths, batch.columns, strict=True):
                    for leaf in leaves_of(array, path, self._take_values):
                        if _is_text(leaf.array.type):
                            values = leaf.array.take(pa.array(leaf.positions)).to_pylist()
                            columns[leaf.path] = leaf.rows.tolist(), values
                        elif _holds_files(leaf):
                            self.pictures.add(leaf.path)
                        elif tell([], leaf.path).named:
                            self._told.setdefault(leaf.path, Told(named=True, numbers=True))
                yield from self._rows(columns, len(batch))
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            raise SourceTruncated(
                name=self._name, items=self._row - first, reason=type(error).__name__
            ) from error

    def table(self, content: io.BufferedReader[Any]) -> Iterator[Read]:
        """Read a CSV, whose first line names its columns."""
        head = content.readline(_MAX_LINE_BYTES).decode("utf-8-sig", "replace")
        delimiter = delimiter_of(head)
        names = unique([name.strip() for name in fields_of(head, delimiter)])
        self._columns_cut = max(0, len(names) - _MAX_COLUMNS)
        names = names[:_MAX_COLUMNS]
        text = io.TextIOWrapper(content, "utf-8", errors="replace", newline="")
        csv.field_size_limit(max(csv.field_size_limit(), 2 * _MAX_LINE_BYTES))
        rows = csv.reader(self._lines(text), delimiter=delimiter)
        self._row = 1
        ended = False
        while not ended:
            batch: list[list[str]] = []
            line, lost = rows.line_num, 0
            try:
                while len(batch) < _BATCH_ROWS:
                    line, self._quotes, self._open = rows.line_num, 0, 0
                    if (row := next(rows, None)) is None:
                        ended = True
                        break
                    batch.append(row)
            except csv.Error:
                lost = rows.line_num - line
            columns: dict[str, Column] = {
                name: (range(len(batch)), [row[at] if at < len(row) else None for row in batch])
                for at, name in enumerate(names)
            }
            if batch:
                yield from self._rows(columns, len(batch))
            self._bad += lost
            self._row += lost

    def _lines(self, text: io.TextIOWrapper) -> Iterator[str]:
        """Yield the lines of a text; one that is too long is left out and counted."""
        taken = 0
        for line in iter(partial(text.readline, _MAX_LINE_BYTES), ""):
            taken += len(line)
            if taken >= _TAKEN_AT_ONCE:
                self._expansion.take(taken)
                taken = 0
            if len(line) < _MAX_LINE_BYTES or line.endswith("\n"):
                if '"' in line:
                    self._quotes += line.count('"')
                self._open = self._open + 1 if self._quotes % 2 else 0
                yield line.replace("\0", "") if "\0" in line else line
                continue
            if begins_picture(line.encode(errors="replace")):
                self.pictures.add("")  # which reads it
            else:
                self._bad += 1
            while (rest := text.readline(_MAX_LINE_BYTES)) and not rest.endswith("\n"):
                self._expansion.take(len(rest))
            yield "\n"
        self._expansion.take(taken)
        # A quote that is not closed makes one row of all lines that follow.
        self._bad += max(0, self._open - 1)

    def json_lines(self, content: io.BufferedReader[Any]) -> Iterator[Read]:
        """Read an object a line."""
        self._row = 1
        while True:
            columns: dict[str, Column] = {}
            records: list[tuple[int, Any]] = []
            count = taken = 0
            while count < _BATCH_ROWS and (line := content.readline(_MAX_LINE_BYTES)):
                taken += len(line)
                if taken >= _TAKEN_AT_ONCE:
                    self._expansion.take(taken)
                    self._add_records(records, columns)
                    records.clear()
                    taken = 0
                if len(line) == _MAX_LINE_BYTES and not line.endswith(b"\n"):
                    self._skip(line, content)
                elif not line.isspace():
                    try:
                        records.append((count, _loaded(line)))
                    except (ValueError, RecursionError):
                        self._bad += 1
                count += 1
            self._expansion.take(taken)
            self._add_records(records, columns)
            if not count:
                return
            yield from self._rows(columns, count)

    def _skip(self, line: bytes, content: io.BufferedReader[Any]) -> None:
        if begins_picture(line):
            self.pictures.add("")  # which reads it
        else:
            self._bad += 1
        self._empty -= 1
        while (rest := content.readline(_MAX_LINE_BYTES)) and not rest.endswith(b"\n"):
            self._expansion.take(len(rest))

    def end(self, *, pictures_read: bool = False) -> Iterator[Read]:
        """Yield what was not compared.

        Args:
            pictures_read: the pictures in its texts were read besides.

        Raises:
            SourceUnreadable: no column holds hashes or addresses.
        """
        left = {path for path, told in self._told.items() if told.numbers}
        empty = self._told.keys() - self._taken.keys() - left - self.pictures
        yield Columns(dict(self._taken), tuple(sorted(empty)), tuple(sorted(left)))
        for path, told in sorted(self._told.items()):
            if told.reason:
                label = f"{self._name}, column {path}"
                error = ColumnUnread(name=label, reason=told.reason)
                yield Gap.of(label, error, GapKind.COLUMN)
        if self._columns_cut:
            reason = f"of a table only the first {_MAX_COLUMNS:,} columns are read"
            label = f"{self._name}, column {_MAX_COLUMNS + 1:,} and those that follow"
            error = ColumnUnread(name=label, reason=reason)
            yield Gap.of(label, error, GapKind.COLUMN, count=self._columns_cut)
        for path in () if pictures_read else sorted(self.pictures):
            label = f"{self._name}, column {path}"
            error = ColumnUnread(name=label, reason=_PICTURES)
            yield Gap.of(label, error, GapKind.COLUMN)
        if not self.pictures and not any(
            told.signal or told.is_address for told in self._told.values()
        ):
            raise SourceUnreadable(
                name=self._name, reason="no column of it holds hashes, addresses or pictures"
            )
        for count, reason in (
            (self._empty, "no hash and no address stands in its columns"),
            (self._wrong, "what stands in its columns is no hash and no address"),
            (self._bad, "the row cannot be read"),
            (self._cut, f"only its first {_MAX_VALUES_A_ROW:,} values were compared"),
        ):
            if count > 0:
                missing = ValueMissing(name=f"{self._name}, {count:,} rows", reason=reason)
                yield Gap.of(self._name, missing, GapKind.ROW, count=count)

    def _take_values(self, count: int) -> None:
        self._expansion.take(count * _VALUE_BYTES)

    def _add_records(self, records: list[tuple[int, Any]], columns: dict[str, Column]) -> None:
        """Add the values of some lines to the columns of their batch."""
        if not self._add_alike(records, columns):
            for row, record in records:
                self._add_record(record, row, columns)

    @staticmethod
    def _add_alike(records: list[tuple[int, Any]], columns: dict[str, Column]) -> bool:
        """Add them column by column, if all are objects with the same names, as in most tables."""
        if {type(record) for _, record in records} != {dict}:
            return False
        names = list(records[0][1])
        if len(names) + len(columns) >= _MAX_COLUMNS or any(
            list(record) != names for _, record in records
        ):
            return False
        of_names = {name: [record[name] for _, record in records] for name in names}
        if any(not _NESTED.isdisjoint(map(type, values)) for values in of_names.values()):
            return False
        rows = [row for row, _ in records]
        added = []
        for name, values in of_names.items():
            if set(map(type, values)) == {str}:
                added.append((rows, name, values))
            elif held := [at for at, value in enumerate(values) if isinstance(value, str)]:
                added.append(([rows[at] for at in held], name, [values[at] for at in held]))
        added.sort(key=lambda one: one[0][0])  # in the order in which a reader meets them
        for places, name, values in added:
            column = columns.setdefault(name, ([], []))
            column[0].extend(places)
            column[1].extend(values)
        return True

    def _add_record(self, record: Any, row: int, columns: dict[str, Column]) -> None:
        pending: deque[tuple[str, Any]] = deque([("", record)])
        for _ in range(_MAX_VALUES_A_ROW):
            if not pending:
                return
            path, value = pending.popleft()  # what stands less deep comes first
            if isinstance(value, dict):
                pending += [
                    (f"{path}.{name}" if path else name, one) for name, one in value.items()
                ]
            elif isinstance(value, list):
                pending += [(f"{path}[]", one) for one in value[:_MAX_VALUES_A_ROW]]
            elif isinstance(value, str):
                self._add(path, row, value, columns)
        if pending:
            self._cut += 1

    def _add(self, path: str, row: int, value: str, columns: dict[str, Column]) -> None:
        if (column := columns.get(path)) is None:
            if len(columns) >= _MAX_COLUMNS:
                self._columns_cut += 1
                return
            column = columns[path] = [], []
        column[0].append(row)
        column[1].append(value)

    def _rows(self, columns: dict[str, Column], count: int) -> Iterator[Rows]:
        """Yield what the rows of a batch are compared by."""
        found: dict[Signal, tuple[list[int], list[bytes]]] = {}
        has, tried, paths = set[int](), set[int](), []
        pictured = set[int]()
        for path, (rows, values) in columns.items():
            told = self._told.get(path)
            if told is None:
                told = tell([value for value in values if value], path)
                if told.undecided:
                    continue
                self._told[path] = told
            elif told.may_change:
                # After placeholders others may follow.
                again = tell([value for value in values if value][-_RETOLD:], path)
                if again.signal is not None or again.is_address:
                    self._told[path] = told = again
            if told.signal is None and not told.is_address:
                shown = {
                    row
                    for row, one in zip(rows, values, strict=True)
                    if one and len(one) >= MIN_TEXT_BYTES and _is_picture(one)
                }
                if shown:
                    self.pictures.add(path)
                    pictured |= shown
                continue
            places, given = given_in(rows, values)
            read = (
                addresses_of(places, given) if told.is_address else hashes_of(places, given, told)
            )
            for signal, (at, held) in read.items():
                into = found.setdefault(signal, ([], []))
                into[0].extend(at)
                into[1].extend(held)
                has.update(at)
            tried.update(places)
            if compared := {row for at, _ in read.values() for row in at}:
                paths.append(path)
                self._taken[path] += len(compared)
        self._wrong += len(tried - has)
        self._empty += count - len(tried | pictured)
        self._expansion.items += len(has)
        if has:
            yield Rows(
                self._name,
                self._row,
                {signal: rows for signal, (rows, _) in found.items()},
                {signal: values for signal, (_, values) in found.items()},
                ", ".join(paths),
            )
        self._row += count


def _loaded(line: bytes) -> Any:
    """What `json.loads` gives; of an object in UTF-8, as most lines are, in half the time.

    Raises:
        ValueError, RecursionError: it is not JSON.
    """
    if not line.startswith(b'{"'):
        return json.loads(line)
    text = line.decode("utf-8", "surrogatepass").rstrip(_JSON_SPACES)
    try:
        record, end = _SCAN(text, 0)
    except StopIteration as error:
        reason = "a value is missing"
        raise ValueError(reason) from error
    if end != len(text):
        reason = "more stands behind the object"
        raise ValueError(reason)
    return record


def _is_picture(value: object) -> bool:
    """Whether a text holds a picture in Base64."""
    return isinstance(value, str) and holds_picture(value.encode(errors="replace"))


def _holds_files(leaf: Leaf) -> bool:
    """Whether a column of bytes of one length, or of lists of numbers, holds pictures."""
    from pyarrow import types

    array = leaf.array
    if types.is_fixed_size_binary(array.type) and array.type.byte_width >= MIN_TEXT_BYTES:
        heads = (array[int(at)].as_buffer() for at in leaf.positions)
        return any(one is not None and sniff(one[:64].to_pybytes()) is not None for one in heads)
    if not is_list(array.type):
        return False
    spelled = (numbers_at(array, int(at), 64) for at in leaf.positions)
    return any(one and sniff(one) is not None for one in spelled)


def _is_text(kind: Any) -> bool:
    from pyarrow import types

    return bool(
        types.is_string(kind)
        or types.is_large_string(kind)
        or types.is_string_view(kind)
        or (types.is_fixed_size_binary(kind) and kind.byte_width in {16, 20, 32})
    )
