"""What is done with one container, by name: the same in this process, in a worker, on a cluster.

No act changes what stands in its place, nor writes to the journal. A copy takes its place in the
target, which another run of the same act writes again to the byte.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from egide.auditing.purge.file import copy_file, write_replacement
from egide.auditing.purge.folder import copy_run, count_files, listing_of, plan_moves
from egide.auditing.purge.plan import Outcome, Work
from egide.auditing.purge.rewriting import rewriting
from egide.auditing.purge.site import (
    Made,
    Site,
    begun,
    count_audited,
    count_cut,
    fetched,
    left,
)
from egide.auditing.results import KeptItems
from egide.errors import ContainerLeft, SourceError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def look(work: Work, site: Site) -> Made:
    """Say what would go from a container; nothing is written."""
    outcome = begun(work)
    outcome.items_before = count_audited(work, site)
    if not work.changes:
        return Made(outcome)
    try:
        if work.is_run:
            count_files(work, outcome)
            for name, names in work.listed:
                one = listing_of(work, name, names)
                with (
                    fetched(one.url, site) as stream,
                    rewriting(one, stream, site.limits, site.spool) as how,
                ):
                    outcome.with_them.update(how.cut.with_them)
        else:
            with (
                fetched(work.url, site) as stream,
                rewriting(work, stream, site.limits, site.spool) as how,
            ):
                count_cut(work, how, site, outcome)
    except (ContainerLeft, SourceError) as error:
        return Made(left(work, outcome, error))
    return Made(outcome)


def copy(work: Work, site: Site) -> Made:
    """Write the clean copy of a container."""
    return copy_run(work, site) if work.is_run else copy_file(work, site)


def prepare(work: Work, site: Site) -> Made:
    """Say what is to be moved out of a run of files."""
    return plan_moves(work, site)


def replacement(work: Work, site: Site) -> Made:
    """Write what is to take a file's place; of a run of files there is nothing to write."""
    if work.is_run:
        outcome = begun(work)
        outcome.items_before = count_audited(work, site)
        return Made(outcome)
    return write_replacement(work, site)


ACTS: dict[str, Callable[[Work, Site], Made]] = {
    act.__name__: act for act in (look, copy, prepare, replacement)
}


def do(act: str, work: Work, site: Site) -> Made:
    """Do an act with a container, or say why it was left as it is.

    Raises:
        TargetUnwritable: nothing can be written: others would fare no better.
    """
    try:
        return ACTS[act](work, site)
    except (ContainerLeft, SourceError) as error:
        return Made(left(work, begun(work), error))


# --- as plain values --------------------------------------------------------------------------


def told(act: str, work: Work, kept_ids: Mapping[str, str]) -> dict[str, Any]:
    """An act as plain values."""
    return {"act": act, "work": work.to_json(), "kept": dict(kept_ids)}


def do_told(values: dict[str, Any], site: Site) -> dict[str, Any]:
    """Do an act that `told` wrote; return what came of it as plain values."""
    audited = KeptItems(site.audited.folder, values["kept"])
    made = do(values["act"], Work.from_json(values["work"]), replace(site, audited=audited))
    return {
        "outcome": made.outcome.to_json(),
        "size": made.size,
        "record": made.record,
        "written": made.written,
        "standing": made.standing,
    }


def made_of(values: dict[str, Any]) -> Made:
    """What came of an act, from the values of `do_told`."""
    return Made(
        Outcome.from_json(values["outcome"]),
        values["size"],
        values["record"],
        values["written"],
        tuple(values["standing"]),
    )
