"""A Parquet file with images in a binary column, or in Hugging Face's `{bytes, path}` struct."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

from egide.auditing.sources.base import SNIFF_BYTES, Expansion, Item, Other, Shard
from egide.auditing.sources.location import open_binary, stat, state_of
from egide.errors import (
    ColumnMissing,
    FileTooLarge,
    SourceError,
    SourceTruncated,
    SourceUnreadable,
    ValueMissing,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from egide.domain.model import Limits

RUN_ROWS = 1024
"""Row groups are gathered into shards of about this many rows."""
_BATCH_ROWS = 16
_PROBE_ROWS = 16
_SHOWN_COLUMNS = 20
_COPIES = 4
"""Copies of a value while it is read: unpacked, in a growing decode buffer, and in the batch."""
_ITEM_BYTES = 1024
"""What a missing item costs: its row among the unreadable ones."""
_BUFFER_BYTES = 1024 * 1024


class ParquetSource:
    """Runs of row groups. Image columns are named, or detected by type and first values."""

    kind = "parquet"

    def __init__(self, url: str, name: str, columns: Sequence[str] = ()) -> None:
        self.url = url
        self.name = name
        self._columns = tuple(columns)

    def shards(self) -> Iterator[Shard]:
        """Plan runs of row groups; an unusable file is one shard, whose reading reports why.

        Only the footer is read here. Image columns are detected when a shard is read, in a worker
        whose memory is limited.
        """
        info = stat(self.url)
        size = int(info.get("size") or 0)
        runs: list[tuple[int, int]] = [(0, 0)]
        try:
            with open_binary(self.url) as stream:
                file = _open(stream, self.name)
                runs = _runs(
                    [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)]
                )
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
    def read(shard: Shard, limits: Limits) -> Iterator[Item | Other]:
        """Yield each image of each row; the row's number in the file is the item's offset.

        Raises:
            SourceUnreadable: this is not a Parquet file, or its footer is damaged.
            ColumnMissing: there is no image column.
            SourceTruncated: a row group cannot be read; the rows before it are valid.
            SourceExpands: pages or repeated values expand beyond the limit.
        """
        import pyarrow as pa

        expansion = _Measured(Expansion(shard, limits))

        with open_binary(shard.url) as stream:
            file = _open(stream, shard.name)
            columns = _image_columns(file, shard.name, shard.columns, expansion)
            sizes = [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)]
            row = sum(sizes[: shard.start])
            first = row
            groups = list(range(shard.start, shard.stop))
            try:
                for batch in file.iter_batches(
                    batch_size=_BATCH_ROWS,
                    row_groups=groups,
                    columns=list(columns),
                    use_threads=False,
                ):
                    expansion.take_unpacked(batch, holds=batch.nbytes)
                    for values in batch.to_pylist():
                        for item in _items(values, columns, row, limits):
                            expansion.take_item(item)
                            yield item
                        row += 1
            except (pa.ArrowException, OSError) as error:
                raise SourceTruncated(
                    name=shard.name, items=row - first, reason=type(error).__name__
                ) from error


class _Measured:
    """Measures an expansion by its items and by the memory that Arrow allocated for them."""

    def __init__(self, expansion: Expansion) -> None:
        import pyarrow as pa

        self._expansion = expansion
        self._pool = pa.default_memory_pool()
        self._allocated = self._pool.total_bytes_allocated()

    def take_unpacked(self, batch: Any, *, holds: int) -> None:
        """Count what was unpacked for a batch beyond `holds`, the bytes that its items count."""
        allocated = self._pool.total_bytes_allocated()
        unpacked = (allocated - self._allocated) // _COPIES
        self._allocated = allocated
        self._expansion.take(max(max(unpacked, batch.nbytes) - holds, 0))

    def take_item(self, item: Item) -> None:
        """Count an item; even an empty one costs something.

        The batch's size would not do: a repeated value may be stored in it once.
        """
        content, size = item.content, 0
        if isinstance(content, bytes):
            size = len(content)
        elif isinstance(content, FileTooLarge):
            size = int(str(content.fields["size"]))
        self._expansion.take(max(size, _ITEM_BYTES))
        self._expansion.items += 1


def _open(stream: Any, name: str) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        # By default a whole row group is read at once: 500 MB of pictures took 651 MB, now 272.
        return pq.ParquetFile(stream, buffer_size=_BUFFER_BYTES, pre_buffer=False)
    except (pa.ArrowException, OSError, ValueError, KeyError) as error:
        raise SourceUnreadable(
            name=name, reason="it is not a Parquet file, or truncated; fetch or write it again"
        ) from error


def _runs(group_rows: Sequence[int]) -> list[tuple[int, int]]:
    runs, start, rows = [], 0, 0
    for index, count in enumerate(group_rows):
        rows += count
        if rows >= RUN_ROWS:
            runs.append((start, index + 1))
            start, rows = index + 1, 0
    if start < len(group_rows) or not runs:
        runs.append((start, len(group_rows)))
    return runs


def _image_columns(
    file: Any, name: str, wanted: Sequence[str], expansion: _Measured
) -> tuple[str, ...]:
    schema = file.schema_arrow
    if wanted:
        found = tuple(
            column
            for column in wanted
            if column in schema.names and _holds_bytes(schema.field(column).type)
        )
        if len(found) == len(wanted):
            return found
    else:
        found = tuple(
            field.name
            for field in schema
            if _holds_bytes(field.type)
            and (not _is_binary(field.type) or _looks_like_images(file, field.name, expansion))
        )
        if found:
            return found
    shown = ", ".join(schema.names[:_SHOWN_COLUMNS]) or "none"
    raise ColumnMissing(
        name=name, wanted=f" named {', '.join(wanted)}" if wanted else "", columns=shown
    )


def _is_binary(kind: Any) -> bool:
    from pyarrow import types

    return bool(types.is_binary(kind) or types.is_large_binary(kind) or types.is_binary_view(kind))


def _list_kinds() -> tuple[Callable[[Any], bool], ...]:
    from pyarrow import types

    return (types.is_list, types.is_large_list, types.is_fixed_size_list)


def _holds_bytes(kind: Any) -> bool:
    """Whether a column is binary, an image struct, or a list of either."""
    from pyarrow import types

    if any(is_kind(kind) for is_kind in _list_kinds()):
        kind = kind.value_type
    if types.is_dictionary(kind):
        kind = kind.value_type
    if types.is_struct(kind):
        index = kind.get_field_index("bytes")
        return index >= 0 and _is_binary(kind.field(index).type)
    return _is_binary(kind)


def _looks_like_images(file: Any, column: str, expansion: _Measured) -> bool:
    """Decide by the first values of some row groups; a column of nulls counts as images."""
    import pyarrow as pa

    from egide.media.formats import sniff

    heads: list[bytes] = []
    last = file.num_row_groups - 1
    try:
        for group in sorted({0, last // 2, last} - {-1}):
            batches = file.iter_batches(
                batch_size=_PROBE_ROWS, row_groups=[group], columns=[column], use_threads=False
            )
            for batch in islice(batches, 1):
                expansion.take_unpacked(batch, holds=0)
                heads += [value[:SNIFF_BYTES] for value in batch.column(0).to_pylist() if value]
    except (pa.ArrowException, OSError):
        return True  # reading it reports the error
    return not heads or any(sniff(head) is not None for head in heads)


def _items(
    values: dict[str, Any], columns: Sequence[str], row: int, limits: Limits
) -> Iterator[Item]:
    for column in columns:
        value = values[column]
        if isinstance(value, list):
            for index, part in enumerate(value):
                yield _item(part, f"{column}[{index}]", row, limits)
        else:
            yield _item(value, column, row, limits)


def _item(value: Any, key: str, row: int, limits: Limits) -> Item:
    name = f"row {row}"
    content = value
    if isinstance(value, dict):
        content = value["bytes"]
        if path := value.get("path"):
            name = str(path)
    if content is None:
        reason = "it is null" if name.startswith("row ") else "only a path outside the file"
        return Item(name, ValueMissing(name=name, reason=reason), key, row)
    if len(content) > limits.max_file_bytes:
        error = FileTooLarge(name=name, size=len(content), limit=limits.max_file_bytes)
        return Item(name, error, key, row)
    return Item(name, content, key, row)
