"""Keep the fingerprints of a dataset in one file, without a register: `egide hash --out`."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from egide.auditing.kept_files import WRITING, KeptFiles, kept_path
from egide.auditing.output import Output
from egide.auditing.run import Audit
from egide.auditing.sources.kept_rows import KeptRow, kept_schema, to_table
from egide.auditing.sources.kept_source import HEAD, KEPT_SCHEMA
from egide.auditing.summary import AnchoredSummary, KeypointsSummary, Searched
from egide.domain.coverage import Gap, GapKind
from egide.domain.model import Signal
from egide.errors import OutputMismatch, OutputUnwritable, UsageError
from egide.files import written_whole

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence
    from datetime import datetime
    from pathlib import Path

    from egide.auditing.options import Options
    from egide.auditing.register import Tag
    from egide.auditing.rows import GapRow
    from egide.auditing.summary import AuditSummary, Totals
    from egide.domain.model import Fingerprint, Match

_SUFFIXES = (".parquet", ".pq")


def keep_fingerprints(sources: Sequence[str | Path], out: Path, **how: Any) -> AuditSummary:
    """Write the fingerprints of sources to a file, with what was not looked at.

    The work stands in a folder beside the file until it is done, so that the same call resumes it.

    Args:
        sources: as for `egide.audit`.
        out: a Parquet file, for its owner alone; an existing one is replaced once all is done.
        how: `mode`, `workers`, `columns`, `limits`, `thorough`, `on_progress` and `executor`, as
            for `egide.audit`.

    Returns:
        counts and gaps; nothing was compared.

    Raises:
        SourceError: a source does not exist or is of no known kind, or none can be opened.
        OutputBusy, OutputUnwritable: `out` cannot be used.
        UsageError: `out` has another suffix, or an argument is invalid.
    """
    if out.suffix.lower() not in _SUFFIXES:
        raise UsageError(reason=f"{out} is to be a Parquet file: give it a name with .parquet")
    if out.is_dir():
        raise OutputUnwritable(name=out, reason="it is a folder")
    work = out.with_name(f".{out.name}.egide")
    audit = Audit(sources, Nothing(), out=work, **how)
    unlisted: list[GapRow] = []
    try:
        unlisted += _gaps_of_sources(audit)
    except OutputMismatch:  # of other sources: nobody waits for it any more
        shutil.rmtree(work)
        audit = Audit(sources, Nothing(), out=work, **how)
        unlisted += _gaps_of_sources(audit)
    assert audit.summary is not None
    try:
        with written_whole(out) as stream:
            _write(stream, Output(work), unlisted)
        shutil.rmtree(work)
    except OSError as error:
        raise OutputUnwritable(name=out, reason=error.strerror) from error
    return audit.summary


def _gaps_of_sources(audit: Audit) -> list[GapRow]:
    """Run, and return what stands in no shard."""
    for _ in audit:
        pass
    return audit.unlisted


def _write(stream: Any, output: Output, unlisted: Sequence[GapRow]) -> None:
    import pyarrow.parquet as pq

    files = [KeptFiles.find(output.fingerprints, each.kept_id) for each in output.read_plan()]
    others: Counter[str] = Counter()
    columns: list[dict[str, Any]] = []
    for kept in files:
        for head in kept.heads:
            others.update(head["others"])
            columns += head["columns"]
    head = {"schema_version": KEPT_SCHEMA, "others": dict(others), "columns": columns}
    schema = kept_schema().with_metadata({HEAD: json.dumps(head).encode()})
    with pq.ParquetWriter(stream, schema, **WRITING) as writer:
        for kept in files:
            for number in range(len(kept.heads)):
                path = kept_path(kept.folder, kept.id, number)
                writer.write_table(
                    pq.ParquetFile(path, page_checksum_verification=True)
                    .read()
                    .replace_schema_metadata(None)
                )
        gaps = [
            KeptRow(0, Gap(GapKind(row.kind), row.name, row.code, row.message, row.count))
            for row in unlisted
        ]
        if gaps:
            writer.write_table(to_table(gaps, "", {}).replace_schema_metadata(None))


class Nothing:
    """A register that holds nothing: an audit against it only keeps fingerprints."""

    held: Collection[Signal] = frozenset(Signal)
    keypoints = False
    inherit: tuple[int, ...] = ()
    _anchored = False

    @contextmanager
    def open(self, options: Options, as_of: datetime) -> Iterator[Nothing]:  # noqa: ARG002
        """Hold nothing."""
        self._anchored = options.searches_anchored
        yield self

    @property
    def lookup(self) -> Nothing:
        """This: workers only compute fingerprints."""
        return self

    def match(self, fingerprints: Sequence[Fingerprint]) -> list[list[Match]]:
        """No matches."""
        return [[] for _ in fingerprints]

    def find(self, signal: Signal, values: Sequence[bytes]) -> Collection[int]:  # noqa: ARG002
        """No positions."""
        return ()

    def answers(
        self, groups: Iterable[tuple[Tag, Sequence[Fingerprint]]]
    ) -> Iterator[tuple[Tag, list[list[Match]]]]:
        """No matches, group by group."""
        for tag, fingerprints in groups:
            yield tag, self.match(fingerprints)

    def begin(self, parts: Path) -> None:
        """Nothing is to be remembered."""

    def identity(self) -> list[Any]:
        """Always the same."""
        return []

    def state(self) -> dict[str, Any]:
        """Always the same."""
        return {}

    def since(self, state: dict[str, Any]) -> dict[str, Any] | None:  # noqa: ARG002
        """Nothing changes."""
        return None

    def worker_settings(self) -> dict[str, Any]:
        """Nothing is searched."""
        return {}

    def searched(self, totals: Totals) -> Searched:
        """Nothing was."""
        return Searched(
            anchored=AnchoredSummary(
                searched=self._anchored, entries=0, items_without=totals.without_anchored
            ),
            patches=KeypointsSummary(
                searched=False, code=None, pictures=0, damaged=0, not_enough_detail=0
            ),
            banks=[],
            banks_disabled=[],
            not_compared="no-bank",
            store_id="",
            store_revision=0,
            store_revision_at="",
            kernel="",
            matcher=None,
        )
