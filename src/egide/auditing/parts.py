"""Part files: a few hundred items of a shard on disk. An audit resumes after the existing parts."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

from egide.auditing.rows import Finding, GapRow, MatchRow, gap_schema, match_fields, vetoed_schema
from egide.errors import OutputUnreadable, OutputUnwritable
from egide.files import written_whole

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from egide.auditing.scan import Part

_COUNTS = b"egide.counts"
_MATCH_FIELDS = tuple(field.name for field in fields(MatchRow))
_GAP_FIELDS = tuple(field.name for field in fields(GapRow))


@dataclass(frozen=True, slots=True)
class Kept:
    """The parts of a shard that are on disk.

    Attributes:
        parts: the counts of its parts, in order, up to the first missing or damaged one.
    """

    parts: tuple[dict[str, Any], ...]

    @property
    def complete(self) -> bool:
        """Whether all parts of the shard are present."""
        return bool(self.parts) and bool(self.parts[-1]["last"])

    @property
    def position(self) -> int:
        """How far into the shard the parts go, in items and other files."""
        return int(self.parts[-1]["position"]) if self.parts else 0

    def total(self, count: str) -> int:
        """The sum of a count over the parts."""
        return sum(part[count] for part in self.parts)


def part_path(folder: Path, shard_id: str, number: int) -> Path:
    """Return the path of a part."""
    return folder / f"{shard_id}.{number}.parquet"


def write_part(folder: Path, shard_id: str, number: int, part: Part) -> None:
    """Write a part, whole or not at all.

    Raises:
        OutputUnwritable: the disk is full, or the folder cannot be written.
    """
    findings: list[Finding] = [*part.matches, *part.vetoed, *part.gap_rows]
    write_counts(folder, shard_id, number, part.counts(), findings)


def write_counts(
    folder: Path, shard_id: str, number: int, counts: dict[str, Any], findings: Sequence[Finding]
) -> None:
    """Write a part of these counts and rows, as `write_part` does."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = [asdict(finding) for finding in findings]
    schema = _schema().with_metadata({_COUNTS: json.dumps(counts).encode()})
    try:
        with written_whole(part_path(folder, shard_id, number)) as stream:
            pq.write_table(pa.Table.from_pylist(rows, schema), stream)
    except OSError as error:
        raise OutputUnwritable(name=folder.parent.parent, reason=error.strerror) from error


def read_kept(folder: Path, shard_id: str) -> Kept:
    """Return which parts of a shard are on disk."""
    parts: list[dict[str, Any]] = []
    while not (parts and parts[-1]["last"]):
        counts = _read_counts(part_path(folder, shard_id, len(parts)))
        if counts is None:
            break
        parts.append(counts)
    return Kept(tuple(parts))


def count_kept_items(folder: Path) -> int:
    """Return how many items the parts in a folder hold, over all shards."""
    return sum((_read_counts(path) or {"items": 0})["items"] for path in folder.glob("*.parquet"))


def _read_counts(path: Path) -> dict[str, Any] | None:
    """Return a part's counts; None if the part is missing or damaged."""
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
    """Yield a part's matches, vetoed ones and gaps, in that order.

    Raises:
        OutputUnreadable: the part is damaged.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        for batch in pq.ParquetFile(path).iter_batches(batch_size=4096):
            for row in batch.to_pylist():
                if row["code"] is None:
                    yield MatchRow(**match_fields(row, _MATCH_FIELDS))
                else:
                    yield GapRow(**{name: row[name] for name in _GAP_FIELDS})
    except (pa.ArrowException, OSError) as error:
        folder = path.parent.parent.parent
        raise OutputUnreadable(name=folder, reason="a part is damaged") from error


def _schema() -> Any:
    """Both kinds of row in one table; `code` is null for a match."""
    import pyarrow as pa

    both = {field.name: field.type for field in (*vetoed_schema(), *gap_schema())}
    return pa.schema([pa.field(name, kind) for name, kind in both.items()])
