"""Read the texts of some rows of a table: what a manifest shows of them."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from egide.auditing.sources.columns import unique
from egide.auditing.sources.leaves import leaves_of
from egide.auditing.sources.location import open_binary
from egide.auditing.sources.metadata_columns import delimiter_of, fields_of
from egide.hashlist.addresses import address_digests
from egide.hashlist.opening import opened
from egide.hashlist.values import parse_any

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

Cell = tuple[int, str, set[bytes]]
"""The row, the text, and the digests that a register would know it by."""


def cells_at(url: str, rows: Collection[int], columns: Collection[str]) -> Iterator[Cell]:
    """Yield the texts of some columns in some rows.

    Args:
        url: of a table in Parquet, CSV or JSON lines.
        rows: their numbers, as an audit counts them.
        columns: their paths.
    """
    lower = url.lower()
    with open_binary(url) as stream:
        if lower.endswith((".parquet", ".pq")):
            found = _parquet(stream, rows, columns)
        else:
            content = opened(cast("BinaryIO", stream), url)
            json_lines = ".jsonl" in lower or ".ndjson" in lower
            found = (
                _json_lines(content, rows, columns)
                if json_lines
                else _table(content, rows, columns)
            )
        for row, value in found:
            if isinstance(value, bytes):
                yield row, value.hex(), {value}
            elif isinstance(value, str) and value:
                yield row, value, _digests(value)


def _digests(text: str) -> set[bytes]:
    found = set[bytes]()
    if (parsed := parse_any(text)) is not None:
        found.add(parsed)
    if (digests := address_digests(text)) is not None:
        found.update((*digests.url_sha256, *digests.url_md5))
    return found


def _parquet(
    stream: Any, rows: Collection[int], columns: Collection[str]
) -> Iterator[tuple[int, Any]]:
    import pyarrow.parquet as pq

    file = pq.ParquetFile(stream)
    names = file.schema_arrow.names
    first = 0
    for batch in file.iter_batches(batch_size=4096, use_threads=False):
        if any(first <= row < first + len(batch) for row in rows):
            for path, array in zip(unique(names), batch.columns, strict=True):
                for leaf in leaves_of(array, path, lambda _count: None):
                    if leaf.path not in columns:
                        continue
                    for at, position in zip(leaf.rows, leaf.positions, strict=True):
                        if first + int(at) in rows:
                            yield first + int(at), leaf.array[int(position)].as_py()
        first += len(batch)


def _table(
    content: Any, rows: Collection[int], columns: Collection[str]
) -> Iterator[tuple[int, Any]]:
    head = content.readline().decode("utf-8-sig", "replace")
    delimiter = delimiter_of(head)
    names = unique([name.strip() for name in fields_of(head, delimiter)])
    wanted = [at for at, name in enumerate(names) if name in columns]
    text = io.TextIOWrapper(content, "utf-8", errors="replace", newline="")
    lines = (line.replace("\0", "") for line in text)
    for number, row in enumerate(csv.reader(lines, delimiter=delimiter), 1):
        if number in rows:
            yield from ((number, row[at]) for at in wanted if at < len(row))


def _json_lines(
    content: Any, rows: Collection[int], columns: Collection[str]
) -> Iterator[tuple[int, Any]]:
    for number, line in enumerate(content, 1):
        if number in rows and line.strip():
            for path, value in _walk("", json.loads(line)):
                if path in columns:
                    yield number, value


def _walk(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for name, one in value.items():
            yield from _walk(f"{path}.{name}" if path else name, one)
    elif isinstance(value, list):
        for one in value:
            yield from _walk(f"{path}[]", one)
    else:
        yield path, value
