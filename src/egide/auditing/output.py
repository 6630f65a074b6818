"""The folder an audit writes to: its lock, plan and parts, and the tables made from them."""

from __future__ import annotations

import fcntl
import json
import shutil
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import IO, TYPE_CHECKING, Any

from egide.auditing.options import Options
from egide.auditing.parts import Kept, part_path, read_findings, read_kept
from egide.auditing.report.report import REPORT_NAME
from egide.auditing.rows import MatchRow, gap_schema, match_schema, vetoed_schema
from egide.auditing.sources import Shard
from egide.errors import OutputBusy, OutputMismatch, OutputUnreadable, OutputUnwritable
from egide.files import make_private_folder, open_private, unfinished_files, written_whole

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from egide.auditing.rows import Finding, GapRow
    from egide.auditing.summary import Totals

MATCHES = "matches.parquet"
NOT_COMPARED = "not_compared.parquet"
VETOED = "vetoed.parquet"
SUMMARY = "summary.json"
_WORK = ".audit"
_FINGERPRINTS = "fingerprints"
_MANIFEST_SCHEMA = 3
_FLUSH_ROWS = 4096


@dataclass(frozen=True, slots=True)
class PlannedShard:
    """A shard of an audit.

    Attributes:
        id: names its parts.
        source: the position of its source.
        kept_id: names its kept fingerprints.
    """

    id: str
    shard: Shard
    source: int
    kept_id: str


class Output:
    """An audit's folder.

    Its subfolder `.audit/` holds the work: `manifest.json` (which audit this is), `plan.jsonl`
    (one shard per line) and `parts/`. The tables beside it are written once every part exists.
    `fingerprints/` holds what was computed of the items.

    Attributes:
        audited: of the last audit that ended here, what identifies its parts; None before.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.parts = path / _WORK / "parts"
        self.fingerprints = path / _FINGERPRINTS
        self._manifest = path / _WORK / "manifest.json"
        self._plan = path / _WORK / "plan.jsonl"
        self.lock_path = path / _WORK / "lock"
        self.audited: dict[str, Any] | None = None
        self._lock: IO[bytes] | None = None

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Turn an OSError into an error that names the folder."""
        try:
            yield
        except OSError as error:
            raise OutputUnwritable(name=self.path, reason=error.strerror or error) from error

    def open(self, options: Options, *, fresh: bool) -> None:
        """Create the folder, take its lock, and check that it belongs to this audit.

        Raises:
            OutputBusy: another process is using the folder.
            OutputMismatch: the folder holds an audit of other sources, and `fresh` is not set.
            OutputUnwritable: the folder cannot be written.
        """
        with self.writing():
            make_private_folder(self.path)
            make_private_folder(self.path / _WORK, own=True)
            make_private_folder(self.parts, own=True)
            make_private_folder(self.fingerprints, own=True)
            self._lock = open_private(self.lock_path)
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise OutputBusy(name=self.path) from error
            for name in (MATCHES, VETOED, NOT_COMPARED, SUMMARY, REPORT_NAME):
                for left in unfinished_files(self.path / name):  # by an audit that was killed
                    left.unlink(missing_ok=True)
            if fresh:
                for folder in (self.parts, self.fingerprints):
                    shutil.rmtree(folder)
                    make_private_folder(folder, own=True)
                self._manifest.unlink(missing_ok=True)
            else:
                self._check_owner(options)
            self._write_manifest(options)

    def _check_owner(self, options: Options) -> None:
        if self._manifest.exists():
            if self.read_options().sources != options.sources:
                raise OutputMismatch(name=self.path, reason="of other sources")
            self.audited = self._read_manifest()["audited"]
        elif any((self.path / name).exists() for name in (MATCHES, SUMMARY)):
            raise OutputMismatch(name=self.path, reason="not one that can be resumed")

    def read_options(self) -> Options:
        """Return the options of the audit that the folder belongs to.

        Raises:
            OutputMismatch: another version of Egide made it, or it is damaged.
        """
        try:
            return Options.from_json(self._read_manifest()["options"])
        except (ValueError, KeyError, TypeError):
            raise OutputMismatch(name=self.path, reason="its manifest is damaged") from None

    def _read_manifest(self) -> dict[str, Any]:
        try:
            manifest: dict[str, Any] = json.loads(self._manifest.read_text("utf-8"))
            known = manifest["schema_version"]
        except FileNotFoundError:
            raise OutputMismatch(name=self.path, reason="none that was begun") from None
        except (OSError, ValueError, KeyError, TypeError):
            raise OutputMismatch(name=self.path, reason="its manifest is damaged") from None
        if known != _MANIFEST_SCHEMA:
            raise OutputMismatch(name=self.path, reason="made by another version of Egide")
        return manifest

    def _write_manifest(self, options: Options) -> None:
        manifest = {
            "schema_version": _MANIFEST_SCHEMA,
            "options": options.to_json(),
            "audited": self.audited,
        }
        self._replace(self._manifest, json.dumps(manifest, indent=1))

    def close(self) -> None:
        """Release the lock."""
        if self._lock is not None:
            self._lock.close()

    def write_plan(self, planned: Iterable[PlannedShard]) -> None:
        """Write the plan, one shard per line, so that it need not stay in memory."""
        with self.writing(), written_whole(self._plan) as stream:
            for each in planned:
                stream.write((json.dumps(asdict(each)) + "\n").encode("ascii"))

    def read_plan(self) -> Iterator[PlannedShard]:
        """Yield the planned shards."""
        with self._plan.open(encoding="ascii") as stream:
            for line in stream:
                values = json.loads(line)
                yield PlannedShard(**{**values, "shard": Shard.from_json(values["shard"])})

    def kept(self, shard_id: str) -> Kept:
        """Return which parts of a shard are on disk."""
        return read_kept(self.parts, shard_id)

    def findings(self, shard_id: str, kept: Kept) -> Iterator[Finding]:
        """Yield the rows of a shard's parts, each part's matches first."""
        for number, counts in enumerate(kept.parts):
            if counts["rows"]:
                yield from read_findings(part_path(self.parts, shard_id, number))

    def merge(
        self,
        totals: Totals,
        unlisted: Iterable[GapRow],
        options: Options,
        audited: dict[str, Any],
    ) -> None:
        """Write the tables from the parts, in the order of the plan, and fill in `totals`.

        Args:
            totals: to fill in.
            unlisted: sources that could not be planned.
            options: of this audit.
            audited: what identifies its parts.
        """
        wanted: set[str] = set()
        kept_ids: set[str] = set()
        with (
            self.writing(),
            _table(self.path / MATCHES, match_schema()) as matches,
            _table(self.path / VETOED, vetoed_schema()) as vetoed,
            _table(self.path / NOT_COMPARED, gap_schema()) as not_compared,
        ):
            for row in unlisted:
                totals.add_finding(row)
                not_compared.add(asdict(row))
            for planned in self.read_plan():
                shard_id = planned.id
                kept_ids.add(planned.kept_id)
                kept = self.kept(shard_id)
                if not kept.complete:
                    raise OutputUnreadable(name=self.path, reason="a part is missing or damaged")
                wanted.update(
                    part_path(self.parts, shard_id, number).name
                    for number in range(len(kept.parts))
                )
                totals.add_shard(kept.parts)
                for finding in self.findings(shard_id, kept):
                    if isinstance(finding, MatchRow) and finding.vetoed_by:
                        vetoed.add(asdict(finding))
                        continue
                    totals.add_finding(finding)
                    table = matches if isinstance(finding, MatchRow) else not_compared
                    table.add(asdict(finding))
        self.audited = audited
        with self.writing():
            self._write_manifest(options)
        for path in self.parts.iterdir():
            if path.name not in wanted:
                path.unlink()  # of an earlier state of the dataset or the store
        for path in self.fingerprints.iterdir():
            if path.name.partition(".")[0] not in kept_ids:
                path.unlink()  # of an earlier state of the dataset, or read in another way

    def write_summary(self, values: dict[str, Any]) -> None:
        """Write `summary.json`."""
        with self.writing():
            self._replace(self.path / SUMMARY, json.dumps(values, indent=2) + "\n")

    @staticmethod
    def _replace(path: Path, text: str) -> None:
        with written_whole(path) as stream:
            stream.write(text.encode("utf-8"))


class _Table:
    """Writes rows to a Parquet file, a few thousand in memory at a time."""

    def __init__(self, writer: Any, schema: Any) -> None:
        self._writer = writer
        self._schema = schema
        self._rows: list[dict[str, Any]] = []

    def add(self, row: dict[str, Any]) -> None:
        self._rows.append(row)
        if len(self._rows) >= _FLUSH_ROWS:
            self.flush()

    def flush(self) -> None:
        import pyarrow as pa

        self._writer.write_table(pa.Table.from_pylist(self._rows, self._schema))
        self._rows.clear()


@contextmanager
def _table(path: Path, schema: Any) -> Iterator[_Table]:
    """Write a Parquet file row by row; it replaces the old file only once complete."""
    import pyarrow.parquet as pq

    with written_whole(path) as stream, pq.ParquetWriter(stream, schema) as writer:
        table = _Table(writer, schema)
        yield table
        table.flush()
