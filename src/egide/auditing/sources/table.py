"""Find the pictures in the rows of a table, and tell the rows and columns that have none."""

from __future__ import annotations

import io
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from egide.auditing.sources.base import (
    IMAGE_SUFFIXES,
    Columns,
    Item,
    Member,
    Other,
    Read,
    Reading,
    suffix_of,
)
from egide.auditing.sources.columns import Column, Holds, missing_columns, unique
from egide.auditing.sources.encoded import holds_picture, is_link, pictures_in
from egide.auditing.sources.kinds import HEAD_BYTES, kind_of, named
from egide.auditing.sources.leaves import Leaf, leaves_of, numbers_at
from egide.auditing.sources.measured import Measured
from egide.auditing.sources.nested import read_member
from egide.auditing.sources.within import holds_beginning
from egide.domain.coverage import Gap, GapKind
from egide.errors import ColumnMissing, ColumnUnread, FileTooLarge, ItemError, ValueMissing
from egide.media.formats import sniff

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

_SHOWN_COLUMNS = 20
_SHOWN_ROWS = 3


@dataclass(slots=True)
class _Tally:
    """How many rows, and the first of them."""

    count: int = 0
    first: list[int] = field(default_factory=list)

    def add(self, mask: NDArray[np.bool_], start: int) -> None:
        rows = np.flatnonzero(mask)
        self.count += len(rows)
        if len(self.first) < _SHOWN_ROWS:
            self.first += [start + int(row) for row in rows[: _SHOWN_ROWS - len(self.first)]]

    def __str__(self) -> str:
        more = " …" if self.count > len(self.first) else ""
        shown = ", ".join(map(str, self.first)) + more
        return f"row {shown}" if self.count == 1 else f"rows {shown}"


@dataclass(slots=True)
class _Batch:
    """What is known of the rows of a batch, each a mask over them.

    Attributes:
        found: (row, order, leaf, number) of what may be pictures.
        links: only a URL or a path, in some column.
        paths: a place for a picture is empty, and a path stands beside it.
        nulls: a place for a picture is empty.
        junk: by column, where it holds bytes that are no picture.
        texts: by column, where it holds a text that is neither a picture nor a link.
    """

    start: int
    length: int
    found: list[tuple[int, int, Leaf, int, Column]] = field(default_factory=list)
    links: NDArray[np.bool_] = field(init=False)
    paths: NDArray[np.bool_] = field(init=False)
    nulls: NDArray[np.bool_] = field(init=False)
    junk: dict[str, NDArray[np.bool_]] = field(default_factory=dict)
    texts: dict[str, NDArray[np.bool_]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.links, self.paths, self.nulls = self.none(), self.none(), self.none()

    def none(self) -> NDArray[np.bool_]:
        return np.zeros(self.length, np.bool_)


class Table:
    """Reads the batches of one table, and then tells what of it held no picture.

    Attributes:
        row: of the next batch's first.
        rows: that were read.
    """

    def __init__(self, columns: Sequence[Column], reading: Reading, row: int = 0) -> None:
        self.row = row
        self.rows = 0
        self.pictures: Counter[str] = Counter()
        self.measured = Measured(reading.expansion)
        self._columns = {column.path: column for column in columns}
        self._order = {column.path: number for number, column in enumerate(columns)}
        self._reading = reading
        self._links, self._nulls = _Tally(), _Tally()
        self._junk: dict[str, _Tally] = {}
        self._texts: dict[str, _Tally] = {}

    def read(
        self, arrays: Sequence[tuple[str, Any]], length: int, *, alone: bool = False
    ) -> Iterator[Read]:
        """Yield the pictures of a batch, row by row.

        Args:
            arrays: the paths and values of its top-level columns.
            length: rows in the batch.
            alone: other columns of these rows are damaged: that a row has no picture says nothing.
        """
        self.measured.take_values(length)
        batch = _Batch(self.row, length)
        for path, array in arrays:
            for leaf in leaves_of(array, path, self.measured.take_values):
                if (column := self._columns.get(leaf.path)) is not None:
                    self._look(leaf, column, batch)
        has = batch.none()
        # Sorted by row, then by column: the order in which a person reads a table.
        batch.found.sort(key=lambda one: (one[0], one[1], one[3]))
        for row, _, leaf, number, column in batch.found:
            for read in self._values(leaf, number, column, self.row + row):
                if isinstance(read, Item):
                    self.pictures[column.path] += 1
                    self.measured.take_item(read)
                has[row] = True
                yield read
        self._count(batch, has | alone)
        self.row += length
        self.rows += length

    def end(
        self, schema_names: Sequence[str], *, wanted: Sequence[str], unread: Mapping[str, str]
    ) -> Iterator[Read]:
        """Yield the rows that had no picture, and the columns that were not compared.

        Args:
            schema_names: of all top-level columns.
            wanted: those that were named.
            unread: top-level columns that could not be read, at least in part, and why.

        Raises:
            ColumnMissing: the whole table has no picture, and no sign of one.
        """
        self.measured.settle()
        yield self._columns_said(schema_names, unread)
        for path, reason in unread.items():
            yield column_gap(self._reading.name, path, reason)
        name = self._reading.name
        said = len(unread)
        for path in missing_columns(schema_names, list(self._columns.values()), wanted):
            if not self._reading.start:  # once a file
                yield column_gap(name, path, "there is none of this name")
        if self._links.count:
            reason = "only a URL or a path: fetch the pictures, then audit them"
            yield self._rows(self._links, reason)
            said += 1
        holds = [column for column in self._columns.values() if column.holds is Holds.BYTES]
        if self._nulls.count and holds:
            yield self._rows(self._nulls, "it is null or empty")
            said += 1
        for path, tally in (*self._junk.items(), *self._texts.items()):
            column = self._columns[path]
            if tally.count and (self.pictures[path] or column.claims):
                yield self._rows(tally, f"what stands in column {path} is no picture")
                said += 1
        for column in self._columns.values():
            if column.pixels and not self.pictures[column.path]:
                reason = (
                    "it holds numbers, such as raw pixels, and no file: write pictures as files"
                )
                yield column_gap(name, column.path, reason)
                said += 1
        if said or self.pictures or not self.rows:
            return
        if self._reading.whole:
            raise column_missing(name, schema_names, wanted)
        yield Other(".rows")

    def _columns_said(self, schema_names: Sequence[str], unread: Mapping[str, str]) -> Columns:
        names = unique(schema_names)
        read = {one.top for one in self._columns.values() if names[one.top] not in unread}
        empty = (one for one in self._columns.values() if one.top in read)
        return Columns(
            taken=dict(self.pictures),
            empty=tuple(one.path for one in empty if not self.pictures[one.path]),
            left=tuple(name for top, name in enumerate(names) if top not in read),
        )

    def _rows(self, tally: _Tally, reason: str) -> Gap:
        name = f"{self._reading.name}, {tally}"
        return Gap.of(name, ValueMissing(name=name, reason=reason), GapKind.ROW, count=tally.count)

    def _count(self, batch: _Batch, has: NDArray[np.bool_]) -> None:
        links = batch.paths | (batch.links & ~has)
        self._links.add(links, batch.start)
        empty = ~has & ~links
        for path, mask in batch.junk.items():
            self._junk.setdefault(path, _Tally()).add(mask, batch.start)
            empty &= ~mask
        for path, mask in batch.texts.items():
            self._texts.setdefault(path, _Tally()).add(mask & empty, batch.start)
        self._nulls.add(batch.nulls & empty, batch.start)

    def _look(self, leaf: Leaf, column: Column, batch: _Batch) -> None:
        if column.holds is Holds.BYTES:
            self._look_at_bytes(leaf, column, batch)
        elif column.holds is Holds.TEXT:
            self._look_at_text(leaf, column, batch)
        else:
            for number, position in enumerate(leaf.positions):
                head = numbers_at(leaf.array, int(position), HEAD_BYTES)
                if head and sniff(head) is not None:
                    self._found(leaf, number, column, batch)

    def _found(self, leaf: Leaf, number: int, column: Column, batch: _Batch) -> None:
        order = self._order[column.path]
        batch.found.append((int(leaf.rows[number]), order, leaf, number, column))

    def _look_at_bytes(self, leaf: Leaf, column: Column, batch: _Batch) -> None:
        junk = batch.junk.setdefault(column.path, batch.none())
        if "[]" not in column.path:
            present = batch.none()
            present[leaf.rows] = True
            batch.nulls |= ~present
        for number, position in enumerate(leaf.positions):
            value = leaf.array[int(position)].as_buffer()
            if value is None or value.size == 0:
                beside = leaf.name(number) if column.claims else None
                if beside is not None:
                    batch.paths[leaf.rows[number]] = True
                elif not column.optional:
                    batch.nulls[leaf.rows[number]] = True
            elif self._is_one(value, leaf, number, column):
                self._found(leaf, number, column, batch)
            else:
                junk[leaf.rows[number]] = True

    @staticmethod
    def _is_one(value: Any, leaf: Leaf, number: int, column: Column) -> bool:
        """Whether bytes are, hold or claim to be a picture."""
        head = value[:HEAD_BYTES].to_pybytes()
        if sniff(head) is not None or kind_of(head) is not None or named("", head) is not None:
            return True
        if head.isascii() and holds_picture(value.to_pybytes()):
            return True
        if column.claims and suffix_of(leaf.name(number) or "") in IMAGE_SUFFIXES:
            return True
        return holds_beginning(value.to_pybytes())

    def _look_at_text(self, leaf: Leaf, column: Column, batch: _Batch) -> None:
        texts = batch.texts.setdefault(column.path, batch.none())
        for number, position in enumerate(leaf.positions):
            value = leaf.array[int(position)].as_buffer()
            if value is None or not value.size:
                continue
            row = leaf.rows[number]
            text = value.to_pybytes()
            if holds_picture(text):
                self._found(leaf, number, column, batch)
            elif is_link(text):
                batch.links[row] = True
            else:
                texts[row] = True

    def _values(self, leaf: Leaf, number: int, column: Column, row: int) -> Iterator[Read]:
        """Yield what one value holds: mostly one picture."""
        position, key = int(leaf.positions[number]), leaf.key(number)
        name = self._reading.label(leaf.name(number) or f"row {row}")
        limit = self._reading.limits.max_file_bytes
        if column.holds is Holds.NUMBERS:
            content = numbers_at(leaf.array, position) or b""
            yield _item(name, content, key, row, limit)
            return
        value = leaf.array[position].as_buffer()
        if column.holds is Holds.TEXT:
            yield from _decoded(name, value.to_pybytes(), key, row, limit)
            return
        head = value[:HEAD_BYTES].to_pybytes()
        among = sniff(head) is None and suffix_of(name) not in IMAGE_SUFFIXES
        if (
            kind_of(head) is not None
            or named("", head) is not None
            or (among and holds_beginning(value.to_pybytes()))
        ):
            member = Member(name, io.BytesIO(value), key, row, value.size, seekable=True)
            yield from read_member(member, self._reading)
        elif sniff(head) is None and head.isascii() and holds_picture(value.to_pybytes()):
            yield from _decoded(name, value.to_pybytes(), key, row, limit)
        elif value.size > limit:
            error = FileTooLarge(name=name, size=value.size, limit=limit)
            yield Item(name, error, key, row)
        else:
            yield Item(name, value.to_pybytes(), key, row)


def _decoded(name: str, text: bytes, key: str, row: int, limit: int) -> Iterator[Item]:
    for number, content in enumerate(pictures_in(text)):
        # A text may hold several, and each is told from the others.
        yield _item(name, content, key if not number else f"{key}#{number + 1}", row, limit)


def _item(name: str, content: bytes, key: str, row: int, limit: int) -> Item:
    if len(content) > limit:
        error: ItemError = FileTooLarge(name=name, size=len(content), limit=limit)
        return Item(name, error, key, row)
    return Item(name, content, key, row)


def column_gap(name: str, path: str, reason: str) -> Gap:
    """A column that was not looked at."""
    label = f"{name}, column {path}"
    return Gap.of(label, ColumnUnread(name=label, reason=reason), GapKind.COLUMN)


def column_missing(name: str, names: Sequence[str], wanted: Sequence[str]) -> ColumnMissing:
    """There is nothing to look at: say which columns there are."""
    shown = ", ".join(names[:_SHOWN_COLUMNS]) or "none"
    return ColumnMissing(
        name=name, wanted=f" named {', '.join(wanted)}" if wanted else "", columns=shown
    )
