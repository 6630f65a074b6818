"""Purge what an audit found: choose, look, do, and write down what was done."""

from __future__ import annotations

import json
from collections import Counter
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from egide.auditing.executors.local import LocalExecutor
from egide.auditing.purge.chosen import Register, Rules, choose, of_audit
from egide.auditing.purge.containers import (
    absolute,
    count_unknown,
    place_of,
    plan_containers,
)
from egide.auditing.purge.in_place import add_missed, go_on, put_in_place, take_out
from egide.auditing.purge.journal import Journal, writing
from egide.auditing.purge.manifest import write_manifest
from egide.auditing.purge.plan import Outcome, Work
from egide.auditing.purge.report import PurgeReport
from egide.auditing.purge.site import Made, Site, left
from egide.auditing.purge.target import Target
from egide.auditing.purge.worker import by_workers, in_this_process
from egide.auditing.results import Results
from egide.auditing.sources.location import is_local
from egide.auditing.summary import PURGE
from egide.domain.model import DEFAULT_LIMITS, Limits
from egide.errors import ContainerLeft, PurgeDone, PurgeInvalid, PurgeUnfinished, TargetWithin
from egide.files import make_private_folder, written_whole

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from egide.auditing.executors.base import Executor, Setup
    from egide.auditing.purge.chosen import Chosen
    from egide.auditing.purge.containers import Plan
    from egide.auditing.purge.worker import Acting
    from egide.store import Store

QUARANTINE = "quarantine"
_WORTH_BYTES = 32 * 1024 * 1024
"""To be read, for each worker: less is done sooner than a process has started."""


@dataclass(frozen=True, slots=True)
class PurgeProgress:
    """Progress of a purge. Bytes are those that the audit knew of."""

    containers_done: int
    containers: int
    bytes_done: int
    bytes: int


class Purge:
    """One purge of what an audit found. `look` says what would go; `run` does it.

    An interrupted purge loses nothing: the same call goes on.

    Args:
        audit: the folder of a finished audit.
        store: an open store, the one of the audit: what it says of an entry now decides. None
            takes the audit's word, though entries may have been withdrawn since.
        to: folder or fsspec URL for a clean copy; it must be empty.
        in_place: change the set itself; what goes is kept in the quarantine.
        quarantine: folder for it, outside of the set; by default in the audit's.
        include_review: also what only a person can decide on: matches of entries that are not
            confirmed, and matches by a part of a picture.
        limits: as in the audit.
        workers: processes, at least 1; as many as there is work for. With 1, this process works.
        executor: makes what runs the containers; processes on this machine by default.
        on_progress: called as containers are done.

    Raises:
        PurgeInvalid: not exactly one of `to` and `in_place`, or a set that cannot be changed there.
        OutputMismatch, OutputUnreadable, OutputBusy: there is no finished audit.
        PurgeOtherStore: the audit was made with another store.
        SourcesOverlap, TargetWithin: places that stand within one another.
    """

    def __init__(
        self,
        audit: str | Path,
        store: Store | None,
        *,
        to: str | Path | None = None,
        in_place: bool = False,
        quarantine: str | Path | None = None,
        include_review: bool = False,
        limits: Limits = DEFAULT_LIMITS,
        workers: int = 1,
        executor: Callable[[Setup], Executor] | None = None,
        on_progress: Callable[[PurgeProgress], None] | None = None,
    ) -> None:
        if to == "" or (to is not None and in_place):
            raise PurgeInvalid(reason="name one of a folder for the copy, and in place")
        if workers < 1:
            raise PurgeInvalid(reason="it needs at least one worker")
        if quarantine is not None and not in_place:
            raise PurgeInvalid(reason="a quarantine is for a purge in place alone")
        self._folder = Path(audit)
        self._results = Results.open(self._folder)
        self._to = None if to is None else str(to)
        self._in_place = in_place
        self._quarantine = Path(quarantine) if quarantine else self._folder / QUARANTINE
        self._rules = Rules(include_review)
        self._store = store
        self._limits = limits
        self._workers = workers
        self._executor = executor
        self._report = on_progress or (lambda _progress: None)
        self._journal = Journal(self._folder)
        self._started = datetime.now(UTC)
        self._refuse_places()

    def look(self) -> PurgeReport:
        """Say what would go; nothing of the set or the target is written.

        Raises:
            PurgeDone: it was purged in place already.
            TargetNotEmpty, TargetUnwritable: it could not be done.
        """
        with self._journal.opened():
            if self._to is None and not self._in_place:
                raise PurgeInvalid(reason="name a folder with --to, or choose --in-place")
            site = self._site()
            if self._begun() is None and site.target is not None:
                site.target.require_empty()
            chosen, plan = self._plan()
            with self._working(plan, site) as acting:
                found = {work.id: made.outcome for work, made in acting("look", plan.works)}
            outcomes = [found[work.id] for work in plan.works]
            return self._said(chosen, plan, outcomes, dry=True)

    def run(self) -> PurgeReport:
        """Do it, and leave `purge.json` in the audit's folder.

        Raises:
            PurgeUnfinished: another purge from this audit was begun and has not ended.
            PurgeDone: it was purged in place already, otherwise.
            TargetNotEmpty, TargetUnwritable: it cannot be done, or not go on.
        """
        with self._journal.opened() as journal:
            if self._to is None and not self._in_place:
                raise PurgeInvalid(reason="name a folder with --to, or choose --in-place")
            site = self._site()
            if self._begun() is None:
                if site.target is not None:
                    site.target.require_empty()
                    site.target.make()
                journal.begin(self._state())
            if site.quarantine is not None:
                with writing(site.quarantine):
                    make_private_folder(site.quarantine)
            chosen, plan = self._plan()
            found = self._done(plan, site)
            outcomes = [found[work.id] for work in plan.works]
            report = self._said(chosen, plan, outcomes, dry=False)
            with writing(self._folder), written_whole(self._folder / PURGE) as stream:
                stream.write(json.dumps(report.to_json(), indent=1).encode() + b"\n")
            journal.end(self._state())
            return report

    def manifest(self, path: str | Path, *, plain: bool = False) -> PurgeReport:
        """Write the list of what to drop, for a set that is not changed here.

        Args:
            path: of a new file.
            plain: without neutral rows: such a list points at the images.

        Raises:
            ManifestExists: there is such a file.
            ManifestMismatch: the set changed since the audit.
            TargetUnwritable: the file cannot be written.
        """
        with self._journal.opened():
            chosen, plan = self._plan()
            outcomes, neutral = write_manifest(
                Path(path), plan.works, self._results, self._limits, self._journal, plain=plain
            )
            report = self._said(
                chosen, plan, outcomes, dry=False, mode="manifest", place=str(path), neutral=neutral
            )
            with writing(self._folder), written_whole(self._folder / PURGE) as stream:
                stream.write(json.dumps(report.to_json(), indent=1).encode() + b"\n")
            return report

    def _done(self, plan: Plan, site: Site) -> dict[str, Outcome]:
        """Do what is missing; return what came of each container, by its id."""
        weights = {work.id: work.weight for work in plan.works}
        total, bytes_done = sum(weights.values()), 0
        found: dict[str, Outcome] = {}

        def note(work: Work, outcome: Outcome) -> None:
            nonlocal bytes_done
            found[work.id] = outcome
            bytes_done += weights[work.id]
            self._report(PurgeProgress(len(found), len(weights), bytes_done, total))

        self._report(PurgeProgress(0, len(weights), 0, total))
        with self._working(plan, site) as acting:
            if site.target is None:
                for work, made in acting("prepare", filter(self._unprepared, plan.works)):
                    if made.record is None:
                        note(work, made.outcome)
                    else:
                        self._journal.intend(work.id, made.record)

            def missing() -> Iterator[Work]:
                for work in plan.works:
                    if work.id in found:
                        continue
                    if (outcome := self._settled(work, site)) is not None:
                        note(work, outcome)
                    else:
                        yield work

            act = "copy" if site.target is not None else "replacement"
            for work, made in acting(act, missing()):
                note(work, self._finished(work, made, site))
        return found

    def _working(self, plan: Plan, site: Site) -> AbstractContextManager[Acting]:
        executor, workers = self._executor, self._workers
        if executor is None:
            worth = 1 + sum(work.weight for work in plan.works) // _WORTH_BYTES
            workers = min(workers, len(plan.works), worth)
            if workers <= 1:
                return nullcontext(in_this_process(site))
        return by_workers(
            site,
            executor or LocalExecutor,
            workers=workers,
            sources=self._results.sources,
            lock=self._journal.lock,
        )

    def _unprepared(self, work: Work) -> bool:
        known = self._journal.done(work.id) or self._journal.doing(work.id)
        return work.is_run and work.changes and known is None

    def _settled(self, work: Work, site: Site) -> Outcome | None:
        """What came of a container, if it is done, or can be without being read."""
        record = self._journal.done(work.id)
        if site.target is not None:
            if (
                record is None
                or work.goes != set(record["goes"])
                or not self._still_there(work, record, site.target)
            ):
                return None
            return Outcome.from_json(record["outcome"])
        if record is not None:
            return add_missed(Outcome.from_json(record["outcome"]), work, record)
        if (begun := self._journal.doing(work.id)) is None:
            return None
        if work.is_run:
            outcome = take_out(work, begun, site, self._journal)
        elif (finished := go_on(work, begun, self._journal)) is None:
            return None
        else:
            outcome = finished
        return self._noted(work, outcome, begun)

    def _finished(self, work: Work, made: Made, site: Site) -> Outcome:
        """Have what was made in its place, and note it; what was left is tried again next time."""
        if made.written is not None:
            try:
                outcome = put_in_place(work, made, self._journal)
            except ContainerLeft as error:
                return left(work, made.outcome, error)
            return self._noted(work, outcome, made.record or {})
        if site.target is None or made.outcome.said:
            return made.outcome
        return self._noted(work, made.outcome, {"size": made.size})

    def _noted(self, work: Work, outcome: Outcome, record: dict[str, Any]) -> Outcome:
        values = {"goes": sorted(work.goes), **record, "outcome": outcome.to_json()}
        self._journal.finish(work.id, values)
        return add_missed(outcome, work, values)

    @staticmethod
    def _still_there(work: Work, record: dict[str, Any], target: Target) -> bool:
        size = record.get("size")
        return size is None or target.size(work.target) == size

    def _site(self) -> Site:
        spool = self._journal.spool
        target = None if self._to is None else Target(self._to, spool)
        quarantine = self._quarantine if self._in_place else None
        return Site(self._results.kept, self._limits, spool, target, quarantine)

    def _state(self) -> dict[str, Any]:
        return {
            "to": None if self._to is None else absolute(self._to),
            "quarantine": str(self._quarantine.absolute()) if self._in_place else None,
            "include_review": self._rules.include_review,
            "audit": self._audit(),
        }

    def _begun(self) -> dict[str, Any] | None:
        """Return the state of this purge if it was begun before.

        Raises:
            PurgeUnfinished, PurgeDone: another was.
        """
        state = self._journal.state
        if state is None:
            return None
        complete = state.pop("complete", False)
        if state == self._state():
            return state
        if not complete and any(True for _ in self._journal.records()):
            how = f"--to {state['to']}" if state["to"] else "--in-place"
            raise PurgeUnfinished(name=self._folder, how=how)
        if state["quarantine"] is not None and any(True for _ in self._journal.records()):
            raise PurgeDone(name=self._folder)
        return None

    def _audit(self) -> dict[str, Any]:
        summary = self._results.summary
        return {name: summary[name] for name in ("store_id", "store_revision", "dataset_sha256")}

    def _plan(self) -> tuple[Chosen, Plan]:
        standing = (
            of_audit
            if self._store is None
            else Register(self._store, self._results.summary["store_id"], self._folder)
        )
        chosen = choose(self._results.matches(), self._rules, standing)
        return chosen, plan_containers(self._results, chosen)

    def _said(
        self,
        chosen: Chosen,
        plan: Plan,
        outcomes: list[Outcome],
        *,
        dry: bool,
        mode: str = "",
        place: str = "",
        neutral: int = 0,
    ) -> PurgeReport:
        left = Counter(chosen.left)
        left.update(plan.left)
        for outcome in outcomes:
            left.update(outcome.left)
        if not mode:
            left["not-audited"] += count_unknown(self._results, self._folder)
            # What the audit could not look at stays, and stands in a copy too.
            gaps = sum(gap["count"] for gap in self._results.summary["gaps"])
            left["not-compared"] += max(gaps - left["not-listed"], 0)
        return PurgeReport(
            mode=mode or ("copy" if self._to is not None else "in-place"),
            dry=dry,
            trusts=tuple(trust.value for trust in self._rules.trusts),
            by_part=self._rules.include_review,
            audit=self._audit(),
            outcomes=tuple(outcomes),
            left=+left,
            started_at=self._started.isoformat(timespec="seconds"),
            finished_at=datetime.now(UTC).isoformat(timespec="seconds"),
            place=place or self._to or str(self._quarantine),
            neutral=neutral,
        )

    def _refuse_places(self) -> None:
        """Make sure that neither the copy nor the quarantine stands in the set, or around it.

        Nor in the audit's folder, whose files are no part of any set.
        """
        own = place_of(str(self._folder))
        sources = [place_of(source) for source in self._results.sources]
        if self._in_place:
            if any(not is_local(source) for source in self._results.sources):
                reason = "a set in an object store is not changed in place: make a copy with --to"
                raise PurgeInvalid(reason=reason)
            quarantine = place_of(str(self._quarantine))
            for source in sources:
                _refuse_within(quarantine, source)
            if quarantine != f"{own}/{QUARANTINE}":
                _refuse_within(quarantine, own)
        if self._to is not None:
            place = place_of(self._to)
            _refuse_within(place, own)
            for source in sources:
                _refuse_within(place, source)
                _refuse_within(source, place)


def _refuse_within(place: str, other: str) -> None:
    if (place.rstrip("/") + "/").startswith(other.rstrip("/") + "/"):
        raise TargetWithin(name=place, other=other)
