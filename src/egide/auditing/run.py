"""Run an audit: plan, scan, merge. A resumed audit keeps finished parts."""

from __future__ import annotations

import hashlib
import json
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from egide._version import __version__
from egide.auditing.executors.local import Done, Job, LocalExecutor
from egide.auditing.output import Output
from egide.auditing.pinned import Pinned
from egide.auditing.report.sentence import head_sentence
from egide.auditing.rows import gap_row
from egide.auditing.sources import endpoints, open_source, variables_for
from egide.auditing.summary import (
    SUMMARY_SCHEMA,
    AnchoredSummary,
    AuditSummary,
    BankSummary,
    SourceSummary,
    Totals,
)
from egide.domain.coverage import Gap, GapKind
from egide.domain.model import DEFAULT_LIMITS, Limits, Mode
from egide.errors import SourceError, SourceUnreadable, UsageError
from egide.matching import Matcher

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from egide.auditing.parts import Kept
    from egide.auditing.rows import Finding, GapRow
    from egide.auditing.sources import Shard, Source
    from egide.errors import KeypointsError
    from egide.store import Store

_SAMPLES = 200


@dataclass(frozen=True, slots=True)
class Progress:
    """Progress of an audit. Bytes are an estimate, from what the sources declare.

    Attributes:
        phase: `preparing` (opening the index), `listing`, `scanning` or `merging`.
        shards_kept, bytes_kept: from an earlier run; included in `shards_done`, `bytes_done`.
        items: read in this run.
        seconds: of scanning, in this run.
    """

    phase: str
    shards_done: int = 0
    shards_total: int = 0
    shards_kept: int = 0
    bytes_done: int = 0
    bytes_total: int = 0
    bytes_kept: int = 0
    items: int = 0
    matched_items: int = 0
    unreadable: int = 0
    seconds: float = 0.0


class Audit:
    """One audit of some sources against a store. Iterate over it once; then read `summary`.

    Yields a `MatchRow` for each entry that an item matches, and a `GapRow` for each thing that was
    not compared, as shards finish. Items without a match are only counted. With
    `out`, an interrupted audit loses no finished part: the same call resumes it.

    Args:
        sources: paths or fsspec URLs of folders, pictures, tar, zip or Parquet files, hash lists.
        store: an open store; the audit searches its revision at the moment of the call.
        out: folder for `matches.parquet`, `vetoed.parquet`, `not_compared.parquet` and
            `summary.json`; it also makes the audit resumable. None keeps nothing.
        banks: names; None for all enabled ones. A disabled one is never searched.
        radius_bits: 0–63 instead of each bank's own.
        mode: how pixels are read, see `egide.Mode`.
        workers: processes, at least 1.
        columns: image columns of Parquet files; empty to detect them.
        limits: on what one file may ask of this machine.
        thorough: also find edited copies by anchored hashes, and by keypoints if entries have them.
        on_keypoints_error: called with an error that prevents this (no key, another key, no
            OpenCV); the audit continues without keypoints. By default the error is raised.
        fresh: discard what an earlier run left in `out`.
        on_progress: called several times a second.

    Raises:
        SourceError: a source does not exist or is of no known kind, or none can be opened.
        BankMissing, RadiusInvalid, UsageError: an argument is invalid.
        OutputBusy, OutputMismatch, OutputUnwritable: `out` cannot be used.
        KeypointsError: keypoints were asked for and cannot be searched.
    """

    def __init__(
        self,
        sources: Sequence[str | Path],
        store: Store,
        *,
        out: str | Path | None = None,
        banks: Sequence[str] | None = None,
        radius_bits: int | None = None,
        mode: Mode = Mode.FAST,
        workers: int = 1,
        columns: Sequence[str] = (),
        limits: Limits = DEFAULT_LIMITS,
        thorough: bool = False,
        on_keypoints_error: Callable[[KeypointsError], None] | None = None,
        fresh: bool = False,
        on_progress: Callable[[Progress], None] | None = None,
    ) -> None:
        if not sources:
            raise UsageError(reason="name at least one source to audit")
        if "" in sources:  # e.g. from an unset variable; fsspec would list the whole disk
            raise UsageError(reason="a source has no name: name a path or an address")
        if workers < 1:
            raise UsageError(reason="an audit needs at least one worker")
        self.summary: AuditSummary | None = None
        self._addresses = [str(source) for source in sources]
        self._sources = _opened(self._addresses, columns)
        self._store = store
        self._out = None if out is None else Path(out)
        self._banks = None if banks is None else sorted(set(banks))
        self._radius_bits = radius_bits
        self._mode = mode
        self._workers = workers
        self._limits = limits
        self._thorough = thorough
        self._on_keypoints_error = on_keypoints_error
        self._fresh = fresh
        self._report = on_progress or (lambda _progress: None)
        self._started = datetime.now(UTC)

    def __iter__(self) -> Iterator[Finding]:
        """Run the audit."""
        with ExitStack() as stack:
            folder = self._out or Path(stack.enter_context(tempfile.TemporaryDirectory()))
            self._report(Progress(phase="preparing"))
            pinned = stack.enter_context(
                Pinned(
                    self._store,
                    thorough=self._thorough,
                    banks=self._banks,
                    on_keypoints_error=self._on_keypoints_error,
                )
            )
            snapshot = pinned.snapshot
            matcher = Matcher(
                snapshot, banks=self._banks, radius_bits=self._radius_bits, now=self._started
            )
            output = Output(folder)
            stack.callback(output.close)
            output.open(self._addresses, fresh=self._fresh)
            executor = LocalExecutor(
                self._worker_settings(pinned, output),
                self._workers,
                item_timeout_s=self._limits.item_timeout_s,
                inherit=pinned.inherit,
                environment=variables_for(self._addresses),
            )
            run = _Run(self._workers, self._report)
            with executor:
                run.plan(output, self._addresses, self._sources, self._salt(pinned))
                yield from run.unlisted
                yield from run.scan(output, executor)
            totals = Totals(run.source_ends)
            run.report("merging")
            output.merge(totals, run.unlisted)
            summary = self._summarise(pinned, matcher, run, totals)
            self.summary = replace(summary, sentence=head_sentence(summary.to_json()))
            output.write_summary(self.summary.to_json())

    @property
    def _searches_anchored(self) -> bool:
        """Whether they were asked for; with a radius of the caller's they are not searched."""
        return self._thorough and self._radius_bits is None

    def _salt(self, pinned: Pinned) -> str:
        """Digest everything besides its shard that a part depends on, to name the part."""
        snapshot = pinned.snapshot
        values = [
            __version__,
            snapshot.store_id,
            snapshot.revision,
            self._banks,
            self._radius_bits,
            self._mode.value,
            asdict(self._limits),
            snapshot.count_expired(self._started),
            pinned.searches_keypoints,
            self._searches_anchored,
            endpoints(self._addresses),
        ]
        return hashlib.sha256(json.dumps(values).encode()).hexdigest()

    def _worker_settings(self, pinned: Pinned, output: Output) -> dict[str, Any]:
        return {
            **pinned.paths(),
            "anchored": self._searches_anchored,
            "banks": self._banks,
            "radius_bits": self._radius_bits,
            "as_of": self._started.isoformat(),
            "mode": self._mode.value,
            "limits": asdict(self._limits),
            "parts": str(output.parts),
        }

    def _summarise(
        self, pinned: Pinned, matcher: Matcher, run: _Run, totals: Totals
    ) -> AuditSummary:
        snapshot = matcher.snapshot
        entries_of = snapshot.count_entries()
        banks = [
            BankSummary(
                name=bank.name,
                radius_bits=bank.radius_bits if self._radius_bits is None else self._radius_bits,
                entries=entries_of[bank.id],
            )
            for bank in matcher.banks
        ]
        sources = [
            SourceSummary(
                name,
                getattr(source, "kind", "unopened"),
                run.shards[index],
                totals.source_items[index],
            )
            for index, (name, source) in enumerate(zip(self._addresses, self._sources, strict=True))
        ]
        return AuditSummary(
            schema_version=SUMMARY_SCHEMA,
            egide_version=__version__,
            sentence="",
            items=totals.items,
            hashed=totals.hashed,
            unreadable=totals.unreadable,
            not_matchable=totals.not_matchable,
            matched_items=totals.matched_items,
            vetoed_items=totals.vetoed_items,
            compared=dict(totals.compared.most_common()),
            matches=totals.matches,
            gaps=totals.gaps_in_order(),
            ways=dict(totals.ways),
            anchored=AnchoredSummary(
                searched=self._searches_anchored,
                entries=int(matcher.searches(snapshot.anchored_entries()).sum()),
                items_without=totals.without_anchored,
            ),
            patches=pinned.summary(
                thorough=self._thorough, not_enough_detail=totals.not_enough_detail
            ),
            radius_bits=self._radius_bits,
            banks=banks,
            banks_disabled=list(matcher.disabled),
            not_compared=_not_compared(matcher, totals),
            store_id=snapshot.store_id,
            store_revision=snapshot.revision,
            store_revision_at=self._store.revision_info(snapshot.revision).at.isoformat(),
            kernel=snapshot.kernel,
            mode=self._mode.value,
            workers=self._workers,
            seconds=round(run.seconds, 3),
            started_at=self._started.isoformat(timespec="seconds"),
            finished_at=datetime.now(UTC).isoformat(timespec="seconds"),
            sources=sources,
            dataset_sha256=totals.dataset_sha256,
            bytes=totals.bytes,
            others=dict(totals.others.most_common()),
            columns=totals.columns,
            versions=_versions(),
            distances={str(bits): count for bits, count in sorted(totals.distances.items())},
            throughput=run.samples,
            scanned_items=run.scanned,
            scan_seconds=run.scan_seconds,
            items_per_s=round(run.scanned / run.scan_seconds, 3) if run.scan_seconds else 0.0,
            resumed=run.kept_items > 0,
            limits=asdict(self._limits),
        )


def _opened(addresses: Sequence[str], columns: Sequence[str]) -> list[Source | SourceUnreadable]:
    """Open the sources; one that exists and cannot be opened is a gap, and costs no other.

    Raises:
        SourceError: a source does not exist or is of no known kind, or none can be opened.
    """
    sources: list[Source | SourceUnreadable] = []
    for address in addresses:
        try:
            sources.append(open_source(address, columns))
        except SourceUnreadable as error:
            sources.append(error)
    errors = [source for source in sources if isinstance(source, SourceUnreadable)]
    if len(errors) == len(sources):
        raise errors[0]
    return sources


class _Run:
    """The state of one run: what is planned, done and measured."""

    def __init__(self, workers: int, report: Callable[[Progress], None]) -> None:
        self.shards: Counter[int] = Counter()
        self.source_ends: list[int] = []
        self.unlisted: list[GapRow] = []
        self.kept = self.kept_items = 0
        self.scanned = 0
        self.scan_seconds = 0.0
        self.samples: list[tuple[float, int]] = []
        self._workers = workers
        self._report = report
        self._began = time.monotonic()
        self._scan_began: float | None = None
        self._done = self._bytes_done = self._bytes_total = self._bytes_kept = 0
        self._matched = self._unreadable = 0

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._began

    def report(self, phase: str, flying_bytes: int = 0, flying_items: int = 0) -> None:
        self._report(
            Progress(
                phase=phase,
                shards_done=self._done,
                shards_total=self.source_ends[-1] if self.source_ends else 0,
                shards_kept=self.kept,
                bytes_done=self._bytes_done + flying_bytes,
                bytes_total=self._bytes_total,
                bytes_kept=self._bytes_kept,
                items=self.scanned + flying_items,
                matched_items=self._matched,
                unreadable=self._unreadable,
                seconds=self._scanning_s,
            )
        )

    def plan(
        self,
        output: Output,
        addresses: Sequence[str],
        sources: Sequence[Source | SourceUnreadable],
        salt: str,
    ) -> None:
        def shards() -> Iterator[tuple[str, Shard]]:
            for index, (name, source) in enumerate(zip(addresses, sources, strict=True)):
                try:
                    if isinstance(source, SourceUnreadable):
                        raise source
                    for shard in source.shards():
                        self.shards[index] += 1
                        self._bytes_total += shard.weight
                        if self.shards.total() % 100 == 0:
                            self.report("listing")
                        yield shard.id(salt), shard
                except SourceError as error:
                    kind = GapKind.LISTING if self.shards[index] else GapKind.SOURCE
                    self.unlisted.append(gap_row(Gap.of(name, error, kind), name))
                self.source_ends.append(self.shards.total())

        self.report("listing")
        output.write_plan(shards())

    def scan(self, output: Output, executor: LocalExecutor) -> Iterator[Finding]:
        kept: list[tuple[str, Kept]] = []
        self._scan_began = time.monotonic()
        self._sample(0)

        def missing() -> Iterator[Job]:
            for shard_id, shard in output.read_plan():
                found = output.kept(shard_id)
                self.kept_items += found.total("items")
                taken_over = shard.weight if found.complete else found.total("bytes")
                self._bytes_done += taken_over
                self._bytes_kept += taken_over
                if found.complete:
                    self.kept += 1
                    kept.append((shard_id, found))
                else:
                    yield Job(shard_id, shard, found)

        def finish(shard_id: str, found: Kept) -> Iterator[Finding]:
            self._done += 1
            self._matched += found.total("matched_items")
            self._unreadable += found.total("unreadable")
            yield from output.findings(shard_id, found)

        for event in executor.run(missing()):
            if isinstance(event, Done):
                job, found = event.job, output.kept(event.job.id)
                self.scanned += found.total("items") - job.kept.total("items")
                self._bytes_done += job.shard.weight - job.kept.total("bytes")
                yield from finish(job.id, found)
            else:
                self._sample(event.items)
                self.report("scanning", event.bytes, event.items)
            while kept:
                yield from finish(*kept.pop())
        while kept:
            yield from finish(*kept.pop())
        self.scan_seconds = round(self._scanning_s, 3)
        # The last sample is the total, so that a chart of the samples has the same average.
        while len(self.samples) > 1 and self.samples[-1][0] >= self.scan_seconds:
            self.samples.pop()
        self.samples.append((self.scan_seconds, self.scanned))

    @property
    def _scanning_s(self) -> float:
        return 0.0 if self._scan_began is None else time.monotonic() - self._scan_began

    def _sample(self, flying_items: int) -> None:
        if len(self.samples) >= _SAMPLES:
            del self.samples[1::2]
        self.samples.append((round(self._scanning_s, 3), self.scanned + flying_items))


def _not_compared(matcher: Matcher, totals: Totals) -> str | None:
    """Why no entry was compared; None if some were."""
    snapshot = matcher.snapshot
    if not snapshot.banks:
        return "no-bank"
    if not matcher.banks:
        return "bank-disabled"
    if not matcher.searches(np.arange(snapshot.entry_count)).any():
        return "bank-empty"
    return None if totals.hashed else "no-picture"


def _versions() -> dict[str, str]:
    import platform
    from importlib.metadata import version

    libraries = ("numpy", "pillow", "pyarrow")
    return {"python": platform.python_version()} | {name: version(name) for name in libraries}
