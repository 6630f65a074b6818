"""Find what goes from a table among its rows."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from egide.auditing.sources import Item, read_shard
from egide.auditing.sources.base import printable
from egide.errors import ContainerUnsupported, EgideError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from egide.auditing.purge.plan import Doomed, Work
    from egide.domain.model import Limits

NAMES = ("file_name", "file_names")
"""Columns by which ImageFolder's listings name files, alone or at the end of a name."""


def names_files(column: str) -> bool:
    """Whether a column of a listing names files."""
    return column in NAMES or column.endswith(tuple(f"_{name}" for name in NAMES))


def rows_of(work: Work, limits: Limits) -> dict[Doomed, int]:
    """Return the row of each doomed item that stands in a cell itself, and not within a file there.

    An item's name and offset do not tell: within an archive in a cell they are the archive's. So
    archives in cells are not opened here, and what is found then stands in the cell.
    """
    # The names of files within have the name of the file around them, and a slash.
    found = {
        one: one.offset for one in work.doomed if "/" not in one.item and one.offset is not None
    }
    if len(found) == len(work.doomed):
        return found
    shallow = replace(limits, max_nesting=0)
    wanted: dict[tuple[str, str | None, int | None], list[Doomed]] = {}
    for one in work.doomed:
        wanted.setdefault((one.item, one.key, one.offset), []).append(one)
    try:
        for _, shard in work.shards:
            for read in read_shard(shard, shallow):
                if isinstance(read, Item) and read.offset is not None:
                    key = None if read.key is None else printable(read.key)
                    for one in wanted.get((printable(read.name), key, read.offset), ()):
                        found[one] = read.offset
    except EgideError as error:
        raise ContainerUnsupported(name=work.name, reason=str(error)) from error
    return found


def naming(table: Any, names: Collection[str]) -> set[int]:
    """Return the rows of a table that name one of these files."""
    found: set[int] = set()
    for column in filter(names_files, table.column_names):
        for row, value in enumerate(table.column(column).to_pylist()):
            if names_any(value, names):
                found.add(row)
    return found


def names_any(value: object, names: Collection[str]) -> bool:
    """Whether a value, or one in a list, is one of the names."""
    if isinstance(value, str):
        return value in names or value.removeprefix("./") in names
    return isinstance(value, list) and any(names_any(one, names) for one in value)


def runs_kept(length: int, gone: Iterable[int]) -> list[tuple[int, int]]:
    """Return what stays of so many rows, as runs of (start, length)."""
    runs, at = [], 0
    for row in sorted(gone):
        if row > at:
            runs.append((at, row - at))
        at = row + 1
    if at < length:
        runs.append((at, length - at))
    return runs


def same(expected: Any, found: Any) -> bool:
    """Whether two tables hold the same, a value that is no number included."""
    if not expected.schema.equals(found.schema, check_metadata=True):
        return False
    if expected.num_rows != found.num_rows:
        return False
    for one, other in zip(expected.columns, found.columns, strict=True):
        # What is no number equals nothing; then their texts tell.
        if not one.equals(other) and repr(_values(one)) != repr(_values(other)):
            return False
    return True


def _values(column: Any) -> Sequence[object]:
    values: Sequence[object] = column.to_pylist()
    return values
