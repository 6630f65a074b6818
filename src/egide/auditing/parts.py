"""Part files: the result of one shard on disk. A part that exists is done: that is resuming."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

from egide.auditing.rows import Finding, MatchRow, UnreadableRow, match_schema, unreadable_schema
from egide.errors import OutputUnreadable, OutputUnwritable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from egide.auditing.scan import Part

_COUNTS = b"egide.counts"
_MATCH_FIELDS = tuple(field.name for field in fields(MatchRow))
_UNREADABLE_FIELDS = tuple(field.name for field in fields(UnreadableRow))


def part_path(folder: Path, shard_id: str) -> Path:
    """Return where the part of a shard stands."""
    return folder / f"{shard_id}.parquet"


def write_part(folder: Path, shard_id: str, part: Part) -> None:
    """Write a part so that it exists whole or not at all.

    Raises:
        OutputUnwritable: the disk is full, or the folder cannot be written.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    findings: list[Finding] = [*part.matches, *part.unreadable]
    rows = [asdict(finding) for finding in findings]
    schema = _schema().with_metadata({_COUNTS: json.dumps(part.counts()).encode()})
    path = part_path(folder, shard_id)
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as stream:
            pq.write_table(pa.Table.from_pylist(rows, schema), stream)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise OutputUnwritable(name=path.parent.parent.parent, reason=error.strerror) from error


def read_counts(path: Path) -> dict[str, Any] | None:
    """Return a part's counts, or None where there is no part, or a damaged one."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        metadata = pq.read_schema(path).metadata or {}
    except (pa.ArrowException, OSError):
        return None
    if _COUNTS not in metadata:
        return None
    counts: dict[str, Any] = json.loads(metadata[_COUNTS])
    return counts


def read_findings(path: Path) -> Iterator[Finding]:
    """Yield a part's matches and unreadable items, in that order.

    Raises:
        OutputUnreadable: the part is damaged.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        for batch in pq.ParquetFile(path).iter_batches(batch_size=4096):
            for row in batch.to_pylist():
                if row["code"] is None:
                    yield MatchRow(**{name: row[name] for name in _MATCH_FIELDS})
                else:
                    yield UnreadableRow(**{name: row[name] for name in _UNREADABLE_FIELDS})
    except (pa.ArrowException, OSError) as error:
        folder = path.parent.parent.parent
        raise OutputUnreadable(name=folder, reason="a part is damaged") from error


def _schema() -> Any:
    """Both kinds of row in one table; `code` is null for a match."""
    import pyarrow as pa

    both = {field.name: field.type for field in (*match_schema(), *unreadable_schema())}
    return pa.schema([pa.field(name, kind) for name, kind in both.items()])
