"""Purge a Parquet file: rows go, and each row group is written anew as it was written."""

from __future__ import annotations

import os
from collections import Counter
from typing import IO, TYPE_CHECKING, Any

from egide.auditing.purge.plan import Cut, TableCut
from egide.auditing.purge.rows import naming, rows_of, runs_kept, same
from egide.errors import ContainerNotVerified, ContainerUnsupported

if TYPE_CHECKING:
    from egide.auditing.purge.plan import Work
    from egide.domain.model import Limits

_UNWRITTEN = frozenset({"LZO"})


def cut_parquet(stream: IO[bytes], work: Work, limits: Limits) -> TableCut:
    """Find what goes.

    Raises:
        ContainerUnsupported: it is damaged, or too large to be written anew here.
    """
    found = rows_of(work, limits)
    rows = set(found.values())
    with_them: Counter[str] = Counter()
    names = {name for _, some in work.listed for name in some}
    file = _open(stream, work.name)
    for number in range(file.num_row_groups):
        size, limit = file.metadata.row_group(number).total_byte_size, limits.worker_memory_bytes
        if limit and size > limit:
            reason = (
                f"a row group of {size} bytes does not fit: raise EGIDE_WORKER_MEMORY_BYTES, or "
                "write the table in smaller row groups"
            )
            raise ContainerUnsupported(name=work.name, reason=reason)
    if names:
        listed = naming(_columns(file, work.name), names) - rows
        with_them["listed-row"] += len(listed)
        rows |= listed
    return TableCut(Cut(frozenset(found), with_them), frozenset(rows))


def write_parquet(stream: IO[bytes], into: IO[bytes], gone: frozenset[int], name: str) -> None:
    """Write what stays.

    Raises:
        ContainerUnsupported: it cannot be written as it was.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    file = _open(stream, name)
    options = _options(file, name)
    first = 0
    try:
        with pq.ParquetWriter(into, file.schema_arrow.remove_metadata(), **options) as writer:
            for number in range(file.num_row_groups):
                table, first = _rest(file, number, gone, first)
                if table.num_rows:
                    table = table.replace_schema_metadata(None)
                    writer.write_table(table, row_group_size=table.num_rows)
            # All of it as it stands, and Arrow's own type too: written anew, it can differ.
            if stored := file.metadata.metadata:
                writer.add_key_value_metadata(stored)
    except pa.ArrowException as error:
        reason = f"it cannot be written as it was, {type(error).__name__}"
        raise ContainerUnsupported(name=name, reason=reason) from error


def check_parquet(stream: IO[bytes], written: IO[bytes], gone: frozenset[int], name: str) -> None:
    """Read back what was written, and compare all of it.

    Raises:
        ContainerNotVerified: something differs: type, metadata, row groups, rows.
    """
    import pyarrow as pa

    file = _open(stream, name)
    try:
        result = _open(written, name)
    except ContainerUnsupported as error:
        raise ContainerNotVerified(name=name, reason="it cannot be read") from error
    # Readers look at the mark at the end alone.
    if os.pread(written.fileno(), 4, 0) != os.pread(stream.fileno(), 4, 0):
        raise ContainerNotVerified(name=name, reason="it begins with something else")
    if not result.schema.equals(file.schema):
        raise ContainerNotVerified(name=name, reason="its types are stored in another way")
    if (result.metadata.metadata or {}) != (file.metadata.metadata or {}):
        raise ContainerNotVerified(name=name, reason="its metadata differ")
    first = position = 0
    try:
        for number in range(file.num_row_groups):
            expected, first = _rest(file, number, gone, first)
            if not expected.num_rows:
                continue
            if position >= result.num_row_groups or not same(
                expected, result.read_row_group(position, use_threads=False)
            ):
                raise ContainerNotVerified(name=name, reason=f"row group {number} differs")
            position += 1
    except (pa.ArrowException, OSError) as error:
        raise ContainerNotVerified(name=name, reason=type(error).__name__) from error
    if position != result.num_row_groups:
        raise ContainerNotVerified(name=name, reason="it has more row groups")


def _open(stream: IO[bytes], name: str) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        stream.seek(0)
        return pq.ParquetFile(stream)
    except (pa.ArrowException, OSError, ValueError) as error:
        reason = f"it is damaged or encrypted, {type(error).__name__}"
        raise ContainerUnsupported(name=name, reason=reason) from error


def _columns(file: Any, name: str) -> Any:
    import pyarrow as pa

    from egide.auditing.purge.rows import names_files

    wanted = [column for column in file.schema_arrow.names if names_files(column)]
    try:
        return file.read(columns=wanted, use_threads=False)
    except (pa.ArrowException, OSError) as error:
        raise ContainerUnsupported(name=name, reason=type(error).__name__) from error


def _rest(file: Any, number: int, gone: frozenset[int], first: int) -> tuple[Any, int]:
    """Return what stays of a row group, whose first row has a number; and that of the next."""
    import pyarrow as pa

    table = file.read_row_group(number, use_threads=False)
    after = first + table.num_rows
    here = [row - first for row in gone if first <= row < after]
    runs = runs_kept(table.num_rows, here)
    # Slices share the memory of the group.
    parts = [table.slice(start, length) for start, length in runs]
    return pa.concat_tables(parts) if parts else table.slice(0, 0), after


def _options(file: Any, name: str) -> dict[str, Any]:
    """How a file was written, as far as its footer tells, as options of Arrow's writer."""
    metadata = file.metadata
    options: dict[str, Any] = {
        "version": metadata.format_version if metadata.format_version in {"1.0", "2.4"} else "2.6",
        "store_schema": False,
    }
    if not metadata.num_row_groups:
        return options
    group = metadata.row_group(0)
    columns = [group.column(at) for at in range(group.num_columns)]
    kinds = {one.path_in_schema: one.compression for one in columns}
    if set(kinds.values()) & _UNWRITTEN:
        raise ContainerUnsupported(name=name, reason="it is packed by LZO, which is not written")
    options["compression"] = {
        path: "NONE" if kind == "UNCOMPRESSED" else _codec(kind) for path, kind in kinds.items()
    }
    options["use_dictionary"] = [
        one.path_in_schema for one in columns if one.has_dictionary_page
    ] or False
    options["write_statistics"] = [
        one.path_in_schema for one in columns if one.is_stats_set
    ] or False
    encodings = {
        one.path_in_schema: encoding
        for one in columns
        if not one.has_dictionary_page and (encoding := _encoding(one)) is not None
    }
    if encodings:
        options["column_encoding"] = encodings
    options["use_deprecated_int96_timestamps"] = any(
        one.physical_type == "INT96" for one in columns
    )
    options["write_page_index"] = any(one.has_offset_index for one in columns)
    options["use_compliant_nested_type"] = not any(
        ".list.item" in one.path_in_schema for one in columns
    )
    if group.sorting_columns:
        options["sorting_columns"] = list(group.sorting_columns)
    return options


def _codec(kind: str) -> str:
    return "LZ4" if kind in {"LZ4", "LZ4_RAW"} else kind


def _encoding(column: Any) -> str | None:
    """The encoding of values that was chosen over the plain one."""
    chosen = ("DELTA_BINARY_PACKED", "DELTA_LENGTH_BYTE_ARRAY", "DELTA_BYTE_ARRAY")
    return next((one for one in (*chosen, "BYTE_STREAM_SPLIT") if one in column.encodings), None)
