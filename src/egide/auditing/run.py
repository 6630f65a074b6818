"""Run an audit: plan, scan, merge. A resumed audit keeps finished parts."""

from __future__ import annotations

import json
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from egide.auditing.conclusion import summarize
from egide.auditing.executors.base import Done, Job, Setup, Tick
from egide.auditing.executors.local import LocalExecutor
from egide.auditing.options import Options, salt_of
from egide.auditing.output import Output, PlannedShard
from egide.auditing.parts import write_part
from egide.auditing.pinned import StoreRegister
from egide.auditing.progress import Progress, Running
from egide.auditing.rows import gap_row
from egide.auditing.shards import ShardWork, resume
from egide.auditing.sources import open_source, variables_for
from egide.auditing.summary import Totals
from egide.domain.coverage import Gap, GapKind
from egide.domain.model import DEFAULT_LIMITS, Limits, Mode, Signal
from egide.errors import SourceError, SourceUnreadable, UsageError
from egide.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from egide.auditing.executors.base import Executor
    from egide.auditing.kept_files import KeptFiles
    from egide.auditing.parts import Kept
    from egide.auditing.register import OpenRegister, Register, RemoteLookup
    from egide.auditing.rows import Finding, GapRow
    from egide.auditing.scan import Part
    from egide.auditing.sources import Source
    from egide.auditing.summary import AuditSummary
    from egide.domain.model import Fingerprint
    from egide.errors import KeypointsError

_CHOSEN_DIGESTS = (Signal.MD5, Signal.SHA1)
"""Computed only where a bank holds any; SHA-256 always is."""


class Audit:
    """One audit of some sources against a register. Iterate over it once; then read `summary`.

    Yields a `MatchRow` for each entry that an item matches, and a `GapRow` for each thing that was
    not compared, as shards finish. Items without a match are only counted. With
    `out`, an interrupted audit loses no finished part: the same call resumes it. What was computed
    of each item is kept there too, so that a later call decodes none of them again.

    Args:
        sources: paths or fsspec URLs of folders, pictures, tar, zip or Parquet files, hash lists.
        store: an open one; the audit searches its revision at the moment of the call. Or
            another `egide.auditing.register.Register`.
        out: folder for `matches.parquet`, `vetoed.parquet`, `not_compared.parquet`,
            `summary.json` and `fingerprints/`; it also makes the audit resumable. None keeps
            nothing.
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
        executor: makes what runs the shards; processes on this machine by default.

    Attributes:
        summary: once it has run.
        unlisted: a row for each source that could not be listed or opened.
        read_anew_for: what has changed in how items are read since the last audit in `out`, so
            that what is kept of them is of no use.
        asked_anew_for: what was asked for in another way by the last audit in `out`, whose results
            are replaced.

    Raises:
        SourceError: a source does not exist or is of no known kind, or none can be opened.
        BankMissing, RadiusInvalid, UsageError: an argument is invalid.
        OutputBusy, OutputMismatch, OutputUnwritable: `out` cannot be used.
        KeypointsError: keypoints were asked for and cannot be searched.
    """

    def __init__(
        self,
        sources: Sequence[str | Path],
        store: Store | Register,
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
        executor: Callable[[Setup], Executor] = LocalExecutor,
    ) -> None:
        self._options = Options(
            sources=tuple(map(str, sources)),
            columns=tuple(columns),
            banks=None if banks is None else tuple(sorted(set(banks))),
            radius_bits=radius_bits,
            mode=mode,
            limits=limits,
            thorough=thorough,
        )
        if workers < 1:
            raise UsageError(reason="an audit needs at least one worker")
        self.summary: AuditSummary | None = None
        self.read_anew_for: tuple[str, ...] = ()
        self.asked_anew_for: tuple[str, ...] = ()
        self.unlisted: list[GapRow] = []
        self._sources = _opened(self._options)
        self._register = (
            StoreRegister(store, on_keypoints_error) if isinstance(store, Store) else store
        )
        self._out = None if out is None else Path(out)
        self._fresh = fresh
        self._executor = executor
        self._running = Running(workers, on_progress or (lambda _progress: None))

    @classmethod
    def again(
        cls, out: str | Path, store: Store | Register, *, limits: Limits | None = None, **how: Any
    ) -> Audit:
        """Audit again what a folder holds an audit of, in the same way.

        Args:
            out: the folder, which gives sources, banks, radius, mode, columns and thoroughness.
            store: as for `Audit`.
            limits: by default those of before.
            how: `workers`, `on_keypoints_error`, `on_progress` and `executor`, as for `Audit`.

        Raises:
            OutputMismatch: it is not an audit's folder, or of another version of Egide.
        """
        options = Output(Path(out)).read_options()
        return cls(
            options.sources,
            store,
            out=out,
            banks=options.banks,
            radius_bits=options.radius_bits,
            mode=options.mode,
            columns=options.columns,
            limits=limits or options.limits,
            thorough=options.thorough,
            **how,
        )

    def __iter__(self) -> Iterator[Finding]:
        """Run the audit."""
        running, options = self._running, self._options
        with ExitStack() as stack:
            folder = self._out or Path(stack.enter_context(tempfile.TemporaryDirectory()))
            running.report("preparing")
            register = stack.enter_context(self._register.open(options, running.started))
            output = Output(folder)
            stack.callback(output.close)
            output.open(options, fresh=self._fresh)
            register.begin(output.parts)
            work = self._work(output, register)
            self.read_anew_for = self._changes_of_reading(output, work)
            self.asked_anew_for = self._changes_of_asking(output, register)
            recent = self._recent(output, register)
            with self._executor(self._setup(work, register, recent)) as executor:
                self.unlisted = self._plan(output, register, work)
                yield from self.unlisted
                yield from self._scan(output, work, register, executor, recent)
            totals = Totals(running.source_ends)
            running.report("merging")
            output.merge(totals, self.unlisted, options, self._audited(register, work))
            self.summary = summarize(
                options, self._sources, register.searched(totals), running, totals
            )
            output.write_summary(self.summary.to_json())

    def _work(self, output: Output, register: OpenRegister) -> ShardWork:
        options = self._options
        held = register.held
        # Without an output only what is matched in this process goes through files.
        keeps = self._out is not None or register.lookup is not None
        return ShardWork(
            parts=output.parts,
            fingerprints=output.fingerprints if keeps else None,
            mode=options.mode,
            limits=options.limits,
            digests=tuple(signal for signal in _CHOSEN_DIGESTS if signal in held),
            anchored=options.searches_anchored,
            keypoints=register.keypoints,
        )

    def _reading(self, work: ShardWork) -> dict[str, Any]:
        return self._options.reading(work.digests, keypoints=work.keypoints)

    def _audited(self, register: OpenRegister, work: ShardWork) -> dict[str, Any]:
        """What identifies the parts of this audit, for the next one to build on."""
        return {
            "part_salt": self._options.part_salt(register.identity()),
            "options": self._options.to_json(),
            "reading": self._reading(work),
            "state": register.state(),
        }

    def _changes_of_reading(self, output: Output, work: ShardWork) -> tuple[str, ...]:
        if output.audited is None:
            return ()
        before, now = output.audited["reading"], json.loads(json.dumps(self._reading(work)))
        if work.keypoints and before == now:
            return ("keypoints, which are not kept",)
        limits = {
            f"EGIDE_{name.upper()}"
            for name in now["limits"]
            if now["limits"][name] != before["limits"].get(name)
        }
        others = [name for name in now if name != "limits" and now[name] != before.get(name)]
        return (*others, *sorted(limits))

    def _changes_of_asking(self, output: Output, register: OpenRegister) -> tuple[str, ...]:
        if output.audited is None:
            return ()
        asked, now = output.audited["options"], json.loads(json.dumps(self._options.to_json()))
        words = {
            "banks": "banks",
            "radius_bits": "radius",
            "columns": "columns",
            "mode": "mode",
            "thorough": "thoroughness",
        }
        changed = tuple(word for name, word in words.items() if asked[name] != now[name])
        same = output.audited["state"].get("store_id") == register.state().get("store_id")
        return changed if same else ("register", *changed)

    def _recent(self, output: Output, register: OpenRegister) -> dict[str, Any] | None:
        """What of the register has changed since the audit that ended here last, if all is told."""
        before = output.audited
        # Plain values that went through JSON, like those of before.
        now = json.loads(json.dumps(self._options.to_json()))
        if before is None or before["options"] != now or register.lookup is not None:
            return None
        return register.since(before["state"])

    def _setup(
        self, work: ShardWork, register: OpenRegister, recent: dict[str, Any] | None
    ) -> Setup:
        compares = register.lookup is None
        search = register.worker_settings() | {"recent": recent} if compares else None
        return Setup(
            settings={"work": work.to_json(), "search": search},
            workers=self._running.workers,
            item_timeout_s=self._options.limits.item_timeout_s,
            inherit=register.inherit,
            environment=variables_for(self._options.sources),
        )

    def _plan(self, output: Output, register: OpenRegister, work: ShardWork) -> list[GapRow]:
        """Write the plan; return a row for each source that could not be listed."""
        running, options = self._running, self._options
        part_salt = options.part_salt(register.identity())
        kept_salt = salt_of(self._reading(work))
        unlisted: list[GapRow] = []

        def shards() -> Iterator[PlannedShard]:
            for index, (name, source) in enumerate(
                zip(options.sources, self._sources, strict=True)
            ):
                try:
                    if isinstance(source, SourceUnreadable):
                        raise source
                    for shard in source.shards():
                        running.plan(index, shard)
                        yield PlannedShard(shard.id(part_salt), shard, index, shard.id(kept_salt))
                except SourceError as error:
                    kind = GapKind.LISTING if running.shards[index] else GapKind.SOURCE
                    unlisted.append(gap_row(Gap.of(name, error, kind), name))
                running.end_source()

        running.report("listing")
        output.write_plan(shards())
        return unlisted

    def _scan(
        self,
        output: Output,
        work: ShardWork,
        register: OpenRegister,
        executor: Executor,
        recent: dict[str, Any] | None,
    ) -> Iterator[Finding]:
        running = self._running
        before = output.audited if recent is not None else None
        taken_over: list[tuple[str, Kept]] = []
        running.begin_scan()

        def missing() -> Iterator[Job]:
            for planned in output.read_plan():
                found, kept = resume(work, planned.id, planned.kept_id)
                if kept is not None and kept.transient and not found.parts:
                    kept.discard()
                    kept = None
                running.take_over(planned.shard, found)
                if found.complete and (kept is None or kept.complete):
                    taken_over.append((planned.id, found))
                else:
                    yield Job(
                        planned.id,
                        planned.shard,
                        found,
                        kept_id=planned.kept_id,
                        before_id=planned.shard.id(before["part_salt"]) if before and kept else "",
                        at_hand=_at_hand(found, kept),
                    )

        def finish(shard_id: str, found: Kept) -> Iterator[Finding]:
            running.finish(found)
            yield from output.findings(shard_id, found)

        def done() -> Iterator[Job | None]:
            for event in executor.run(missing()):
                if isinstance(event, Tick):
                    running.tick(event.bytes, event.items)
                yield event.job if isinstance(event, Done) else None

        jobs = done()
        if register.lookup is not None:
            jobs = _matched(jobs, work, register.lookup)
        for job in jobs:
            if job is not None:
                found = output.kept(job.id)
                running.scan(job, found)
                yield from finish(job.id, found)
            while taken_over:
                yield from finish(*taken_over.pop())
        while taken_over:
            yield from finish(*taken_over.pop())
        running.end_scan()


def _matched(
    jobs: Iterable[Job | None], work: ShardWork, lookup: RemoteLookup
) -> Iterator[Job | None]:
    """Have the parts of shards compared elsewhere, and yield each job whose parts are all there.

    Parts of several shards are asked about together: what is sent has one size, however small the
    shards are.
    """

    def groups() -> Iterator[tuple[tuple[Job, int, Part], list[Fingerprint]]]:
        for job in jobs:
            if job is not None:
                for number, part in work.gather(job.id, job.shard, job.kept_id, lookup):
                    yield (job, number, part), [asked.print_ for asked in part.asked]

    for (job, number, part), found in lookup.answers(groups()):
        part.conclude(found, job.shard.name)
        write_part(work.parts, job.id, number, part)
        yield job if part.last else None


def _at_hand(found: Kept, kept: KeptFiles | None) -> int:
    """How many items of a shard need not be read, since their fingerprints are kept."""
    if kept is None:
        return 0
    # Of a whole shard all, however many rows its tables have.
    return sys.maxsize if kept.complete else max(kept.row_count - found.total("items"), 0)


def _opened(options: Options) -> list[Source | SourceUnreadable]:
    """Open the sources; one that exists and cannot be opened is a gap, and costs no other.

    Raises:
        SourceError: a source does not exist or is of no known kind, or none can be opened.
    """
    sources: list[Source | SourceUnreadable] = []
    for address in options.sources:
        try:
            sources.append(open_source(address, options.columns))
        except SourceUnreadable as error:
            sources.append(error)
    errors = [source for source in sources if isinstance(source, SourceUnreadable)]
    if len(errors) == len(sources):
        raise errors[0]
    return sources
