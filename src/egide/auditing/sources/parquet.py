"""A Parquet file: every column that can hold pictures is looked at, in all of its rows."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING, Any

from egide.auditing.sources.base import Expansion, Read, Reading, Shard
from egide.auditing.sources.columns import Column, columns_of, unique
from egide.auditing.sources.location import open_binary, stat, state_of
from egide.auditing.sources.nested import read_container, reads
from egide.auditing.sources.table import Table, column_missing
from egide.errors import SourceEncrypted, SourceError, SourceUnreadable
from egide.media.containers import Kind

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from egide.domain.model import Limits

RUN_ROWS = 1024
"""Row groups are gathered into shards of about this many rows."""
_BATCH_ROWS = 16
_SMALL_ROWS = 1024
"""Of rows without pictures of their own, such as links: they are read in larger batches."""
_SMALL_GROUP_BYTES = 64 * 1024 * 1024
_SMALL_ROW_BYTES = 2048
_MAX_REASON = 500
_BUFFER_BYTES = 1024 * 1024


class ParquetSource:
    """Runs of row groups. All columns are looked at, unless some are named."""

    kind = "parquet"

    def __init__(self, url: str, name: str, columns: Sequence[str] = ()) -> None:
        self.url = url
        self.name = name
        self._columns = tuple(columns)

    def shards(self) -> Iterator[Shard]:
        """Plan runs of row groups; an unusable file is one shard, whose reading reports why.

        Only the footer is read here.
        """
        info = stat(self.url)
        size = int(info.get("size") or 0)
        runs: list[tuple[int, int]] = [(0, 0)]
        try:
            with open_binary(self.url) as stream:
                file = open_parquet(stream, self.name)
                rows = [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)]
                runs = runs_of(rows, RUN_ROWS)
        except SourceError:
            pass  # `read` raises the same error, which then costs only this shard
        for number, (start, stop) in enumerate(runs):
            yield Shard(
                kind=self.kind,
                url=self.url,
                name=self.name if len(runs) == 1 else f"{self.name}#{number}",
                start=start,
                stop=stop,
                columns=self._columns,
                state=state_of(info),
                weight=size // len(runs),
                share=len(runs),
            )

    @staticmethod
    def read(shard: Shard, limits: Limits) -> Iterator[Read]:
        """Yield each image of each row; the row's number in the file is the item's offset.

        Raises:
            SourceUnreadable: this is not a Parquet file, or its footer is damaged.
            SourceEncrypted: its footer is encrypted.
            ColumnMissing: there is no image column.
            SourceExpands: pages or repeated values expand beyond the limit.
        """
        reading = Reading(
            shard.name,
            limits,
            Expansion(shard, limits),
            columns=shard.columns,
            start=shard.start,
            stop=shard.stop,
            whole=shard.share == 1,
        )
        with open_binary(shard.url) as stream:
            yield from read_container(stream, Kind.PARQUET, reading)


@reads(Kind.PARQUET)
def read_parquet(stream: IO[bytes], reading: Reading) -> Iterator[Read]:
    """Yield the pictures of a Parquet file, or of a run of its row groups."""
    file = open_parquet(stream, reading.name)
    names = file.schema_arrow.names
    columns, leaves = columns_of(file.schema_arrow, reading.columns)
    if not columns:
        raise column_missing(reading.name, names, reading.columns)
    if leaves != file.metadata.num_columns:
        reason = "its columns are not those that its schema tells of"
        raise SourceUnreadable(name=reading.name, reason=reason)
    stop = reading.stop or file.num_row_groups
    sizes = [file.metadata.row_group(i).num_rows for i in range(stop)]
    table = Table(columns, reading, row=sum(sizes[: reading.start]))
    unread: dict[str, str] = {}
    for group in range(reading.start, stop):
        yield from _Group(file, group, columns, table).read(unread)
    yield from table.end(names, wanted=reading.columns, unread=unread)


class _Group:
    """One row group. What of it is damaged costs no other column, and no other group."""

    def __init__(self, file: Any, number: int, columns: Sequence[Column], table: Table) -> None:
        self._file = file
        self._number = number
        self._columns = columns
        self._table = table
        self._paths = unique(file.schema_arrow.names)
        self._rows = file.metadata.row_group(number).num_rows

    def read(self, unread: dict[str, str]) -> Iterator[Read]:
        """Yield its pictures, and note the columns that cannot be read, with the reason."""
        import pyarrow as pa

        start = self._table.row
        try:
            yield from self._read(self._columns, skip=0)
        except (pa.ArrowException, OSError):
            done = self._table.row - start
        else:
            return
        tops = sorted({column.top for column in self._columns})
        for top in tops:
            self._table.row = start + done
            columns = [column for column in self._columns if column.top == top]
            try:
                yield from self._read(columns, skip=done, alone=True)
            except (pa.ArrowException, OSError) as error:
                path, reason = self._paths[top], self._reason(error, start)
                before = unread.get(path)
                if before is None:
                    unread[path] = reason
                elif reason not in before and len(before) < _MAX_REASON:
                    unread[path] = f"{before}; {reason}"
        self._table.row = start + self._rows

    def _reason(self, error: Exception, start: int) -> str:
        if "ecrypt" in str(error):
            return "it is encrypted: decrypt the file first"
        row = self._table.row
        return (
            f"rows {row} to {start + self._rows - 1} of it are damaged, {type(error).__name__}: "
            "fetch or write the file again"
        )

    def _read(self, columns: Sequence[Column], *, skip: int, alone: bool = False) -> Iterator[Read]:
        """Yield the pictures of some columns, after so many rows."""
        group = self._file.metadata.row_group(self._number)
        size, rows = group.total_byte_size, max(self._rows, 1)
        small = size <= _SMALL_GROUP_BYTES and size // rows <= _SMALL_ROW_BYTES
        leaves = sorted({leaf for column in columns for leaf in column.leaves})
        paths = [self._paths[top] for top in sorted({column.top for column in columns})]
        batches = self._file.reader.iter_batches(
            _SMALL_ROWS if small else _BATCH_ROWS,
            row_groups=[self._number],
            column_indices=leaves,
            use_threads=False,
        )
        for batch in batches:
            if skip >= batch.num_rows:
                skip -= batch.num_rows
                continue
            rest = batch.slice(skip)
            skip = 0
            self._table.measured.take_unpacked(rest.nbytes)
            arrays = list(zip(paths, rest.columns, strict=True))
            yield from self._table.read(arrays, rest.num_rows, alone=alone)


def open_parquet(stream: Any, name: str) -> Any:
    """Open a file by its footer.

    Raises:
        SourceUnreadable: it is no Parquet file, or cannot be opened.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    stream.seek(0)
    if stream.read(4) == b"PARE":
        raise SourceEncrypted(name=name)
    try:
        # By default a whole row group is read at once: 500 MB of pictures took 651 MB, now 272.
        return pq.ParquetFile(stream, buffer_size=_BUFFER_BYTES, pre_buffer=False)
    except (pa.ArrowException, OSError, ValueError, KeyError) as error:
        if "ncrypted" in str(error):
            raise SourceEncrypted(name=name) from error
        raise SourceUnreadable(
            name=name, reason="it is not a Parquet file, or truncated; fetch or write it again"
        ) from error


def runs_of(group_rows: Sequence[int], most: int) -> list[tuple[int, int]]:
    """Gather row groups into runs of about `most` rows, as first and last but one."""
    runs, start, rows = [], 0, 0
    for index, count in enumerate(group_rows):
        rows += count
        if rows >= most:
            runs.append((start, index + 1))
            start, rows = index + 1, 0
    if start < len(group_rows) or not runs:
        runs.append((start, len(group_rows)))
    return runs
