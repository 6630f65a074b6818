"""Purge an Arrow file or stream: rows go, batches and what is told of them stay."""

from __future__ import annotations

import struct
from collections import Counter
from typing import IO, TYPE_CHECKING, Any

from egide.auditing.purge.plan import Cut, TableCut
from egide.auditing.purge.rows import naming, rows_of, runs_kept, same
from egide.errors import ContainerNotVerified, ContainerUnsupported

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egide.auditing.purge.plan import Work
    from egide.domain.model import Limits

_FILE = b"ARROW1"
_RECORD_BATCH = 3
_CODECS = {0: "lz4", 1: "zstd"}


def cut_arrow(stream: IO[bytes], work: Work, limits: Limits) -> TableCut:
    """Find what goes.

    Raises:
        ContainerUnsupported: it is damaged.
    """
    import pyarrow as pa

    found = rows_of(work, limits)
    rows = set(found.values())
    with_them: Counter[str] = Counter()
    if names := {name for _, some in work.listed for name in some}:
        first = 0
        for batch, _ in _batches(stream, work.name):
            listed = {first + row for row in naming(pa.Table.from_batches([batch]), names)} - rows
            with_them["listed-row"] += len(listed)
            rows |= listed
            first += batch.num_rows
    return TableCut(Cut(frozenset(found), with_them), frozenset(rows))


def write_arrow(stream: IO[bytes], into: IO[bytes], gone: frozenset[int], name: str) -> None:
    """Write what stays.

    Raises:
        ContainerUnsupported: it cannot be written as it was.
    """
    import pyarrow as pa

    stream.seek(0)
    head = stream.read(6)
    options = pa.ipc.IpcWriteOptions(
        compression=_compression(stream, name), unify_dictionaries=head == _FILE
    )
    schema, metadata = _schema(stream, name)
    try:
        if head == _FILE:
            writer = pa.ipc.new_file(into, schema, options=options, metadata=metadata)
        else:
            writer = pa.ipc.new_stream(into, schema, options=options)
        with writer:
            for batch, told in _rest(stream, gone, name):
                writer.write_batch(batch, custom_metadata=told)
    except (pa.ArrowException, TypeError) as error:
        reason = f"it cannot be written as it was, {type(error).__name__}"
        raise ContainerUnsupported(name=name, reason=reason) from error


def check_arrow(stream: IO[bytes], written: IO[bytes], gone: frozenset[int], name: str) -> None:
    """Read back what was written, and compare all of it.

    Raises:
        ContainerNotVerified: something differs: type, metadata, batches, rows.
    """
    import pyarrow as pa

    try:
        found = _batches(written, name)
        if _told(_schema(stream, name)) != _told(_schema(written, name)):
            raise ContainerNotVerified(name=name, reason="its types or metadata differ")
        for expected, told in _rest(stream, gone, name):
            batch, also = next(found, (None, None))
            if batch is None or dict(told or {}) != dict(also or {}):
                raise ContainerNotVerified(name=name, reason="a batch is missing")
            if not same(pa.Table.from_batches([expected]), pa.Table.from_batches([batch])):
                raise ContainerNotVerified(name=name, reason="a batch differs")
        if next(found, None) is not None:
            raise ContainerNotVerified(name=name, reason="it has more batches")
    except ContainerUnsupported as error:
        raise ContainerNotVerified(name=name, reason="it cannot be read") from error


def _told(schema: tuple[Any, Any]) -> tuple[Any, ...]:
    kind, metadata = schema
    return kind.remove_metadata(), kind.metadata or {}, dict(metadata or {})


def _open(stream: IO[bytes]) -> Any:
    import pyarrow as pa

    stream.seek(0)
    if stream.read(6) == _FILE:
        stream.seek(0)
        return pa.ipc.open_file(stream)
    stream.seek(0)
    return pa.ipc.open_stream(stream)


def _schema(stream: IO[bytes], name: str) -> tuple[Any, Any]:
    """Its type, and what its footer tells besides."""
    import pyarrow as pa

    try:
        reader = _open(stream)
        return reader.schema, getattr(reader, "metadata", None) or None
    except (pa.ArrowException, OSError, ValueError) as error:
        raise ContainerUnsupported(name=name, reason="it is damaged") from error


def _batches(stream: IO[bytes], name: str) -> Iterator[tuple[Any, Any]]:
    """Yield each batch, and what is told of it."""
    import pyarrow as pa

    try:
        reader = _open(stream)
        if hasattr(reader, "num_record_batches"):
            for number in range(reader.num_record_batches):
                found = reader.get_batch_with_custom_metadata(number)
                yield found.batch, found.custom_metadata
        else:
            for found in reader.iter_batches_with_custom_metadata():
                yield found.batch, found.custom_metadata
    except (pa.ArrowException, OSError, ValueError) as error:
        reason = f"it is damaged, {type(error).__name__}"
        raise ContainerUnsupported(name=name, reason=reason) from error


def _rest(stream: IO[bytes], gone: frozenset[int], name: str) -> Iterator[tuple[Any, Any]]:
    """Yield what stays of each batch; of one that goes whole nothing."""
    import pyarrow as pa

    first = 0
    for batch, told in _batches(stream, name):
        here = [row - first for row in gone if first <= row < first + batch.num_rows]
        first += batch.num_rows
        if not here:
            yield batch, told
            continue
        parts = [batch.slice(start, size) for start, size in runs_kept(batch.num_rows, here)]
        if not parts:
            continue
        try:
            yield pa.concat_batches(parts), told
        except pa.ArrowException:  # of types that cannot be joined
            yield from ((part, told) for part in parts)


def _compression(stream: IO[bytes], name: str) -> str | None:
    """The codec of the first batch: Arrow's library reads it, and does not tell."""
    stream.seek(0)
    at = 8 if stream.read(6) == _FILE else 0
    try:
        while True:
            stream.seek(at)
            mark, length = struct.unpack("<II", stream.read(8))
            if mark != 0xFFFFFFFF or not length:
                return None
            message = stream.read(length)
            table = struct.unpack_from("<I", message)[0]
            kind = message[_field(message, table, 1)] if _field(message, table, 1) else 0
            place = _field(message, table, 3)
            body = struct.unpack_from("<q", message, place)[0] if place else 0
            if kind == _RECORD_BATCH:
                header = _follow(message, _field(message, table, 2))
                packed = _field(message, header, 3)
                if not packed:
                    return None
                codec = _field(message, _follow(message, packed), 0)
                return _CODECS.get(message[codec] if codec else 0)
            at += 8 + length + body
    except (struct.error, IndexError) as error:
        raise ContainerUnsupported(name=name, reason="it is damaged") from error


def _field(message: bytes, table: int, number: int) -> int:
    """Where a field of a flatbuffer's table stands; 0 if it does not."""
    layout = table - struct.unpack_from("<i", message, table)[0]
    if 4 + 2 * number >= struct.unpack_from("<H", message, layout)[0]:
        return 0
    place = struct.unpack_from("<H", message, layout + 4 + 2 * number)[0]
    return table + place if place else 0


def _follow(message: bytes, at: int) -> int:
    return int(at + struct.unpack_from("<I", message, at)[0])
