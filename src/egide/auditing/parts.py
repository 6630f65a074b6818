"""Part files: a few hundred items of a shard on disk. An audit resumes after the existing parts.

A part is lines of JSON: its counts, then a row each. Most parts have no rows, and an audit of ten
million items reads the counts of 20 000 parts: of a Parquet file that took 20 times as long.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from egide.auditing.rows import Finding, GapRow, MatchRow
from egide.errors import OutputUnreadable, OutputUnwritable
from egide.files import written_whole

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from egide.auditing.scan import Part

_SUFFIX = ".jsonl"


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
    return folder / f"{shard_id}.{number}{_SUFFIX}"


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
    rows = "".join(json.dumps(asdict(finding)) + "\n" for finding in findings)
    head = json.dumps([counts, len(rows)]) + "\n"
    try:
        with written_whole(part_path(folder, shard_id, number)) as stream:
            stream.write((head + rows).encode("ascii"))
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
    return sum((_read_counts(path) or {"items": 0})["items"] for path in folder.glob(f"*{_SUFFIX}"))


def _read_counts(path: Path) -> dict[str, Any] | None:
    """Return a part's counts; None if the part is missing or damaged."""
    try:
        with path.open("rb") as stream:
            head = stream.readline()
            rows = os.fstat(stream.fileno()).st_size - len(head)
        counts, length = json.loads(head)
    except (OSError, ValueError, TypeError):
        return None
    return counts if isinstance(counts, dict) and length == rows else None


def read_findings(path: Path) -> Iterator[Finding]:
    """Yield a part's matches, vetoed ones and gaps, in that order.

    Raises:
        OutputUnreadable: the part is damaged.
    """
    try:
        with path.open("rb") as stream:
            stream.readline()
            for line in stream:
                row = json.loads(line)
                yield GapRow(**row) if "code" in row else MatchRow(**row)
    except (OSError, ValueError, TypeError) as error:
        folder = path.parent.parent.parent
        raise OutputUnreadable(name=folder, reason="a part is damaged") from error
