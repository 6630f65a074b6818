"""The worker that purges containers, and how one is told to."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from egide.auditing.executors.base import Done, Job, Setup
from egide.auditing.executors.serving import failed, serve
from egide.auditing.purge.acts import do, do_told, made_of, told
from egide.auditing.purge.disk import sweep
from egide.auditing.purge.site import Made, Site
from egide.auditing.purge.target import Target
from egide.auditing.results import KeptItems
from egide.auditing.sources.location import variables_for
from egide.domain.model import Limits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from egide.auditing.executors.base import Executor
    from egide.auditing.executors.serving import Note, Run
    from egide.auditing.purge.plan import Work

    Acting = Callable[[str, Iterable[Work]], Iterator[tuple[Work, Made]]]

MODULE = "egide.auditing.purge.worker"


def main() -> None:
    """Serve jobs from standard input until it ends."""
    serve(_purging)


@contextmanager
def _purging(settings: dict[str, Any], _note: Note) -> Iterator[Run]:
    places = settings["work"]
    spool = Path(places["spool"])
    target = None if settings["target"] is None else Target(settings["target"], spool)
    quarantine = None if settings["quarantine"] is None else Path(settings["quarantine"])
    audited = KeptItems(Path(places["fingerprints"]), {})
    site = Site(audited, Limits(**settings["limits"]), spool, target, quarantine)

    def run(job: dict[str, Any]) -> dict[str, Any]:
        try:
            if target is not None:
                target.require_shared(settings["shown"])
            return {"done": True, **do_told(job["told"], site)}
        except Exception as error:  # noqa: BLE001 - a bug must reach the parent as an error
            return failed(error, job["shard"]["name"])

    yield run


# --- in the process that keeps the journal ----------------------------------------------------


def in_this_process(site: Site) -> Acting:
    """Do an act with containers one after another, without any worker."""

    def acting(act: str, works: Iterable[Work]) -> Iterator[tuple[Work, Made]]:
        for work in works:
            yield work, do(act, work, site)

    return acting


@contextmanager
def by_workers(
    site: Site,
    executor: Callable[[Setup], Executor],
    *,
    workers: int,
    sources: Iterable[str],
    lock: int,
) -> Iterator[Acting]:
    """Do an act with containers by workers of an executor; what came of each comes in any order.

    Args:
        site: as here.
        executor: runs them.
        workers: how many.
        sources: of the set: they tell which variables a worker needs.
        lock: a descriptor that workers on this machine hold as long as they live.

    Raises:
        WorkerFailed: workers end over and over.
        TargetNotShared, SourceNotShared: a node of a cluster does not have a folder.
    """
    target = None if site.target is None else site.target.absolute
    flying: dict[str, Work] = {}
    with ExitStack() as stack:
        stack.callback(_sweep, flying, site)
        settings = {
            "work": {
                "parts": None,
                "fingerprints": str(site.audited.folder.absolute()),
                "spool": str(site.spool.absolute()),
            },
            "search": None,
            "limits": asdict(site.limits),
            "target": target,
            "quarantine": None if site.quarantine is None else str(site.quarantine.absolute()),
            "shown": stack.enter_context(site.target.shown()) if site.target else "",
        }
        setup = Setup(
            settings,
            workers=workers,
            item_timeout_s=site.limits.item_timeout_s,
            inherit=(lock,),
            environment=variables_for([*sources, *([target] if target else [])]),
            module=MODULE,
        )
        running = stack.enter_context(executor(setup))

        def jobs(act: str, works: Iterable[Work]) -> Iterator[Job]:
            for work in works:
                flying[work.id] = work
                ids = {shard: site.audited.ids[shard] for shard, _ in work.shards}
                borrowed = tuple(dict.fromkeys(ids.values()))
                told_it = told(act, work, ids)
                yield Job(work.id, work.shards[0][1], borrowed=borrowed, told=told_it)

        def acting(act: str, works: Iterable[Work]) -> Iterator[tuple[Work, Made]]:
            for event in running.run(jobs(act, works)):
                if isinstance(event, Done):
                    yield flying.pop(event.job.id), made_of(event.reply)

        yield acting


def _sweep(flying: Mapping[str, Work], site: Site) -> None:
    """Remove what workers that were ended left unfinished."""
    for work in flying.values():
        if site.target is None:
            sweep(Path(work.url).absolute().parent, work.id)
            continue
        files = work.shards[0][1].files
        below = [f"{work.target}/{name}".lstrip("/") for name in files] or [work.target]
        for relative in {one.rpartition("/")[0]: one for one in below}.values():
            site.target.sweep(relative, work.id)
    for left in site.spool.iterdir():
        left.unlink(missing_ok=True)


if __name__ == "__main__":
    main()
