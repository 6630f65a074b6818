"""Find the pictures and hashes in the rows of a table, and tell the rows and columns without."""

from __future__ import annotations

import io
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from egide.auditing.sources.base import Columns, Item, Member, Other, Read, Reading
from egide.auditing.sources.columns import Column, Holds, missing_columns, unique
from egide.auditing.sources.encoded import holds_picture, is_link, pictures_in
from egide.auditing.sources.hash_columns import (
    DIGEST_BYTES,
    MAX_VALUE_BYTES,
    HashColumns,
    value_of,
)
from egide.auditing.sources.leaves import Leaf, leaves_of, numbers_at
from egide.auditing.sources.measured import Measured
from egide.auditing.sources.nested import read_member
from egide.auditing.sources.table_batch import Batch, Tally
from egide.auditing.sources.within import holds_beginning
from egide.domain.coverage import Gap, GapKind
from egide.errors import ColumnMissing, ColumnUnread, FileTooLarge, ItemError, ValueMissing
from egide.media.containers import HEAD_BYTES, IMAGE_SUFFIXES, kind_of, named, suffix_of
from egide.media.formats import sniff

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

_SHOWN_COLUMNS = 20


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
        self._hashes = HashColumns()
        self._links, self._nulls, self._nothing = Tally(), Tally(), Tally()
        self._junk: dict[str, Tally] = {}
        self._texts: dict[str, Tally] = {}

    def read(
        self, arrays: Sequence[tuple[str, Any]], length: int, *, alone: bool = False
    ) -> Iterator[Read]:
        """Yield the pictures of a batch, row by row, and then the hashes beside them.

        Args:
            arrays: the paths and values of its top-level columns.
            length: rows in the batch.
            alone: other columns of these rows are damaged: that a row has no picture says nothing.
        """
        self.measured.take_values(length)
        batch = Batch(self.row, length)
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
        pictured = frozenset(np.flatnonzero(has).tolist())
        name, within = self._reading.name, self._reading.within
        for rows in self._hashes.rows(
            batch.values, length, name=name, first=self.row, prefix=within
        ):
            yield replace(rows, beside=pictured, aside=bool(self.pictures))
        if not self.pictures:  # where others have a picture, one that is missing is a gap
            has[sorted(self._hashes.has)] = True
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
        if self._nulls.count and holds and not self._hashes_alone:
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
        # Of pictures that were compared, a name that promises more is no gap.
        for gap in self._hashes.gaps(name, named=self._hashes_alone and not said):
            yield gap
            said += 1
        if self._hashes_alone and self._nothing.count:
            yield self._rows(self._nothing, "no picture, hash or address stands in it")
        if said or self.pictures or self._hashes.found or not self.rows:
            return
        if self._reading.whole:
            raise column_missing(name, schema_names, wanted)
        yield Other(".rows")

    @property
    def _hashes_alone(self) -> bool:
        """Whether its rows are compared by hashes or addresses, and none by a picture."""
        return self._hashes.found and not self.pictures

    def _columns_said(self, schema_names: Sequence[str], unread: Mapping[str, str]) -> Columns:
        names = unique(schema_names)
        read = {one.top for one in self._columns.values() if names[one.top] not in unread}
        empty = (one for one in self._columns.values() if one.top in read)
        taken = self.pictures + self._hashes.taken
        return Columns(
            taken=dict(taken),
            empty=tuple(one.path for one in empty if not taken[one.path]),
            left=tuple(name for top, name in enumerate(names) if top not in read),
        )

    def _rows(self, tally: Tally, reason: str) -> Gap:
        name = f"{self._reading.name}, {tally}"
        return Gap.of(name, ValueMissing(name=name, reason=reason), GapKind.ROW, count=tally.count)

    def _count(self, batch: Batch, has: NDArray[np.bool_]) -> None:
        links = batch.paths | (batch.links & ~has)
        self._links.add(links, batch.start)
        empty = ~has & ~links
        self._nothing.add(empty, batch.start)
        for path, mask in batch.junk.items():
            self._junk.setdefault(path, Tally()).add(mask, batch.start)
            empty &= ~mask
        for path, mask in batch.texts.items():
            self._texts.setdefault(path, Tally()).add(mask & empty, batch.start)
        self._nulls.add(batch.nulls & empty, batch.start)

    def _look(self, leaf: Leaf, column: Column, batch: Batch) -> None:
        if column.holds is Holds.BYTES:
            self._look_at_bytes(leaf, column, batch)
        elif column.holds is Holds.TEXT:
            self._look_at_text(leaf, column, batch)
        elif column.holds is Holds.DIGEST:
            for number, position in enumerate(leaf.positions):
                if (value := leaf.array[int(position)].as_buffer()) is not None:
                    start = value[: MAX_VALUE_BYTES + 1].to_pybytes()
                self._may_be_hash(start, leaf, number, batch, binary=True)
        else:
            for number, position in enumerate(leaf.positions):
                head = numbers_at(leaf.array, int(position), HEAD_BYTES)
                if head and sniff(head) is not None:
                    self._found(leaf, number, column, batch)

    def _found(self, leaf: Leaf, number: int, column: Column, batch: Batch) -> None:
        order = self._order[column.path]
        batch.found.append((int(leaf.rows[number]), order, leaf, number, column))

    def _may_be_hash(
        self, content: bytes, leaf: Leaf, number: int, batch: Batch, *, binary: bool = False
    ) -> None:
        """Keep a value that may be a hash or an address."""
        if self._hashes.wants(leaf.path) and (value := value_of(content, binary=binary)):
            rows, values = batch.values.setdefault(leaf.path, ([], []))
            rows.append(int(leaf.rows[number]))
            values.append(value)

    def _look_at_bytes(self, leaf: Leaf, column: Column, batch: Batch) -> None:
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
            elif not (value.size in DIGEST_BYTES and not column.claims) and self._is_one(
                value, leaf, number, column
            ):
                self._found(leaf, number, column, batch)
            else:
                junk[leaf.rows[number]] = True
                start = value[: MAX_VALUE_BYTES + 1].to_pybytes()
                self._may_be_hash(start, leaf, number, batch, binary=True)

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

    def _look_at_text(self, leaf: Leaf, column: Column, batch: Batch) -> None:
        texts = batch.texts.setdefault(column.path, batch.none())
        for number, position in enumerate(leaf.positions):
            value = leaf.array[int(position)].as_buffer()
            if value is None or not value.size:
                continue
            row = leaf.rows[number]
            text = value.to_pybytes()
            if holds_picture(text):
                self._found(leaf, number, column, batch)
                continue
            self._may_be_hash(text, leaf, number, batch)
            if is_link(text):
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
