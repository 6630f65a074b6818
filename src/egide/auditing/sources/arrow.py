"""An Arrow file or stream: what datasets save to disk, and Feather of version 2."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING, Any

from egide.auditing.sources.base import Expansion, Read, Reading, Shard
from egide.auditing.sources.columns import columns_of, unique
from egide.auditing.sources.location import open_binary, whole_file
from egide.auditing.sources.nested import read_container, reads
from egide.auditing.sources.table import Table, column_missing
from egide.errors import ColumnMissing, SourceTruncated, SourceUnreadable
from egide.media.containers import Kind

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from egide.domain.model import Limits

_SLICE_ROWS = 1024
_MAGIC = b"ARROW1\0\0"
_MARK = b"\xff\xff\xff\xff\0\0\0\0"
"""The end of a stream that was closed."""
_MARK_WITHOUT_CONTINUATION = b"\0\0\0\0"


class ArrowSource:
    """One file is one shard: most are streams, which can only be read from their start."""

    kind = "arrow"

    def __init__(self, url: str, name: str, columns: Sequence[str] = ()) -> None:
        self.url = url
        self.name = name
        self._columns = tuple(columns)

    def shards(self) -> Iterator[Shard]:
        """Plan the file as one shard."""
        yield whole_file(self.kind, self.url, self.name, columns=self._columns)

    @staticmethod
    def read(shard: Shard, limits: Limits) -> Iterator[Read]:
        """Yield each image of each row; the row's number in the file is the item's offset.

        Raises:
            SourceUnreadable: this is no Arrow file.
            SourceTruncated: it is damaged or cut; the rows before are valid.
            ColumnMissing: there is no image column.
            SourceExpands: compressed or repeated values expand beyond the limit.
        """
        reading = Reading(shard.name, limits, Expansion(shard, limits), columns=shard.columns)
        with open_binary(shard.url) as stream:
            yield from read_container(stream, Kind.ARROW, reading)


@reads(Kind.ARROW)
def read_arrow(stream: IO[bytes], reading: Reading) -> Iterator[Read]:
    """Yield the pictures of an Arrow file or stream. A batch of it is in memory at once."""
    import pyarrow as pa

    try:
        schema, batches = _open(stream)
        names = unique(schema.names)
        columns, _ = columns_of(schema, reading.columns)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise SourceUnreadable(
            name=reading.name, reason="it is not an Arrow file, or damaged; fetch or write it again"
        ) from error
    if not columns:
        raise column_missing(reading.name, schema.names, reading.columns)
    table = Table(columns, reading)
    tops = sorted({column.top for column in columns})
    cut: Exception | None = None
    unread: dict[str, str] = {}
    try:
        for batch in batches:
            sound = [top for top in tops if _is_sound(batch.column(top))]
            # To ask an unsound one for its size can crash as well.
            table.measured.take_unpacked(sum(batch.column(top).nbytes for top in sound))
            for top in set(tops) - set(sound):
                reason = f"rows {table.row} to {table.row + batch.num_rows - 1} of it are damaged"
                unread.setdefault(names[top], f"{reason}: fetch or write the file again")
            for start in range(0, batch.num_rows, _SLICE_ROWS):
                rows = batch.slice(start, _SLICE_ROWS)
                arrays = [(names[top], rows.column(top)) for top in sound]
                yield from table.read(arrays, rows.num_rows, alone=sound != tops)
    except (pa.ArrowException, OSError) as error:
        cut = error
    row = table.row
    # What the rows before have not is said as well, whatever becomes of the rest.
    try:
        yield from table.end(schema.names, wanted=reading.columns, unread=unread)
    except ColumnMissing:
        if cut is None:
            raise
    if cut is not None:
        raise SourceTruncated(
            name=reading.name, items=row, reason=str(cut) or type(cut).__name__
        ) from cut


def _is_sound(array: Any) -> bool:
    """Whether an array leads nowhere out of its bytes: Arrow itself checks none that it is given.

    A damaged one crashed the process, or showed what stood elsewhere in its memory.
    """
    import pyarrow as pa

    try:
        array.validate(full=True)
    except pa.ArrowException:
        return False
    return True


class _Cut(OSError):
    """The file has no end."""


def _open(stream: IO[bytes]) -> tuple[Any, Iterator[Any]]:
    """Return the schema, and the batches."""
    import pyarrow as pa

    stream.seek(0)
    if stream.read(len(_MAGIC)) == _MAGIC:
        try:
            file = pa.ipc.open_file(stream)
        except pa.ArrowException:
            # Without its footer the rest is a stream, of which what came before a cut is sound.
            stream.seek(len(_MAGIC))
            reader = pa.ipc.open_stream(stream)
            return reader.schema, _batches(reader, None)
        return file.schema, (file.get_batch(i) for i in range(file.num_record_batches))
    stream.seek(0)
    reader = pa.ipc.open_stream(stream)
    return reader.schema, _batches(reader, stream)


def _batches(reader: Any, stream: IO[bytes] | None) -> Iterator[Any]:
    """Yield the batches of a stream.

    Raises:
        OSError: it ends without its mark, so that more may have followed.
    """
    yield from reader
    if stream is None:
        raise _Cut("it has no footer")
    stream.seek(0, 2)
    size = stream.tell()
    stream.seek(max(size - len(_MARK), 0))
    if not stream.read().endswith(_MARK_WITHOUT_CONTINUATION):
        raise _Cut("it has no end mark")
