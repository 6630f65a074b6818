"""The folder an audit writes to: its lock, its plan, its parts, and the tables made of them."""

from __future__ import annotations

import fcntl
import json
import shutil
from contextlib import contextmanager
from dataclasses import asdict
from typing import IO, TYPE_CHECKING, Any

from egide.auditing.parts import part_path, read_counts, read_findings
from egide.auditing.rows import MatchRow, match_schema, unreadable_schema
from egide.auditing.sources import Shard
from egide.errors import OutputBusy, OutputMismatch, OutputUnreadable, OutputUnwritable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from egide.auditing.rows import Finding
    from egide.auditing.summary import Totals

MATCHES = "matches.parquet"
UNREADABLE = "unreadable.parquet"
SUMMARY = "summary.json"
_WORK = ".audit"
_MANIFEST_SCHEMA = 1
_FLUSH_ROWS = 4096


class Output:
    """An audit's folder.

    `.audit/` in it holds the work: `manifest.json` (which audit this is), `plan.jsonl` (a shard a
    line) and `parts/`. The tables beside it are made when every part exists.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.parts = path / _WORK / "parts"
        self._manifest = path / _WORK / "manifest.json"
        self._plan = path / _WORK / "plan.jsonl"
        self._lock: IO[str] | None = None

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Turn failures to write into errors that name the folder."""
        try:
            yield
        except OSError as error:
            raise OutputUnwritable(name=self.path, reason=error.strerror or error) from error

    def open(self, sources: list[str], *, fresh: bool) -> None:
        """Create the folder, take its lock, and check that it belongs to this audit.

        Raises:
            OutputBusy: another process is at work on it.
            OutputMismatch: it holds the audit of other sources, and not `fresh`.
            OutputUnwritable: it cannot be written.
        """
        with self.writing():
            self.parts.mkdir(parents=True, exist_ok=True)
            self._lock = (self.path / _WORK / "lock").open("w")
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise OutputBusy(name=self.path) from error
            if fresh:
                shutil.rmtree(self.parts)
                self.parts.mkdir()
                self._manifest.unlink(missing_ok=True)
            else:
                self._check_owner(sources)
            manifest = {"schema_version": _MANIFEST_SCHEMA, "sources": sources}
            self._replace(self._manifest, json.dumps(manifest, indent=1))

    def _check_owner(self, sources: list[str]) -> None:
        if self._manifest.exists():
            try:
                manifest = json.loads(self._manifest.read_text("utf-8"))
                known, same = manifest["schema_version"], manifest["sources"] == sources
            except (ValueError, KeyError, TypeError):
                raise OutputMismatch(name=self.path, reason="its manifest is damaged") from None
            if known != _MANIFEST_SCHEMA:
                raise OutputMismatch(name=self.path, reason="made by another version of Egide")
            if not same:
                raise OutputMismatch(name=self.path, reason="of other sources")
        elif any((self.path / name).exists() for name in (MATCHES, SUMMARY)):
            raise OutputMismatch(name=self.path, reason="not one that can be taken up")

    def close(self) -> None:
        """Give the lock back."""
        if self._lock is not None:
            self._lock.close()

    def write_plan(self, planned: Iterable[tuple[str, Shard]]) -> None:
        """Write the plan, a shard a line, so that it need not stay in memory."""
        temporary = self._plan.with_suffix(".tmp")
        with self.writing(), temporary.open("w", encoding="ascii") as stream:
            for shard_id, shard in planned:
                stream.write(json.dumps({"id": shard_id, "shard": shard.to_json()}) + "\n")
        temporary.replace(self._plan)

    def read_plan(self) -> Iterator[tuple[str, Shard]]:
        """Yield the planned shards with their ids."""
        with self._plan.open(encoding="ascii") as stream:
            for line in stream:
                values = json.loads(line)
                yield values["id"], Shard.from_json(values["shard"])

    def counts(self, shard_id: str) -> dict[str, Any] | None:
        """Return the counts of a shard whose part exists, else None."""
        return read_counts(part_path(self.parts, shard_id))

    def findings(self, shard_id: str) -> Iterator[Finding]:
        """Yield the rows of a shard's part."""
        return read_findings(part_path(self.parts, shard_id))

    def merge(self, totals: Totals) -> None:
        """Write the two tables from the parts, in the order of the plan, and add up `totals`."""
        wanted = set()
        with (
            self.writing(),
            _Table(self.path / MATCHES, match_schema()) as matches,
            _Table(self.path / UNREADABLE, unreadable_schema()) as unreadable,
        ):
            for shard_id, _ in self.read_plan():
                wanted.add(part_path(self.parts, shard_id).name)
                counts = self.counts(shard_id)
                if counts is None:
                    raise OutputUnreadable(name=self.path, reason="a part is missing or damaged")
                totals.add_counts(counts)
                if not counts["matches"] and not counts["unreadable"]:
                    continue
                for finding in self.findings(shard_id):
                    totals.add_finding(finding)
                    (matches if isinstance(finding, MatchRow) else unreadable).add(asdict(finding))
        for path in self.parts.iterdir():
            if path.name not in wanted:
                path.unlink()  # of an earlier state of the dataset or the store

    def write_summary(self, values: dict[str, Any]) -> None:
        """Write `summary.json`."""
        with self.writing():
            self._replace(self.path / SUMMARY, json.dumps(values, indent=2) + "\n")

    @staticmethod
    def _replace(path: Path, text: str) -> None:
        temporary = path.with_suffix(".tmp")
        temporary.write_text(text, "utf-8")
        temporary.replace(path)


class _Table:
    """A Parquet file written row by row, which replaces the old one only when it is whole."""

    def __init__(self, path: Path, schema: Any) -> None:
        self._path = path
        self._temporary = path.with_suffix(".tmp")
        self._schema = schema
        self._rows: list[dict[str, Any]] = []

    def __enter__(self) -> _Table:
        import pyarrow.parquet as pq

        self._writer = pq.ParquetWriter(self._temporary, self._schema)
        return self

    def add(self, row: dict[str, Any]) -> None:
        self._rows.append(row)
        if len(self._rows) >= _FLUSH_ROWS:
            self._flush()

    def _flush(self) -> None:
        import pyarrow as pa

        self._writer.write_table(pa.Table.from_pylist(self._rows, self._schema))
        self._rows.clear()

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            if self._rows:
                self._flush()
            self._writer.close()
            self._temporary.replace(self._path)
        else:
            self._temporary.unlink(missing_ok=True)
