"""Change a set in place: each change is written down before it is made, by one process alone."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from egide.auditing.purge.disk import (
    Like,
    digest_at,
    keep_in_quarantine,
    make_private,
    move,
    sweep,
    take_place,
    unfinished,
)
from egide.auditing.purge.folder import listing_of
from egide.auditing.purge.journal import writing
from egide.auditing.purge.plan import Outcome
from egide.auditing.purge.rewriting import rewriting
from egide.auditing.purge.site import Made, fetched
from egide.errors import ContainerChanged, ContainerNotVerified
from egide.files import make_private_folder

if TYPE_CHECKING:
    from egide.auditing.purge.journal import Journal
    from egide.auditing.purge.plan import Work
    from egide.auditing.purge.site import Site


def put_in_place(work: Work, made: Made, journal: Journal) -> Outcome:
    """Have a file take the place of the container that it was made from.

    Raises:
        ContainerChanged: another container stands there by now.
        ContainerNotVerified: the file is not there, as on a cluster whose nodes share no folder.
        TargetUnwritable: no space for the quarantine, no permission.
    """
    assert made.record is not None
    assert made.written is not None
    (one,) = made.record["replaced"]
    path, kept, written = Path(one["path"]), Path(one["kept"]), Path(made.written)
    with writing(path):
        try:
            if not written.exists():
                raise ContainerNotVerified(name=work.name, reason="it does not stand here")
            if _standing(path) != made.standing:
                raise ContainerChanged(name=work.name, reason="another file took its place")
            journal.intend(work.id, made.record)
            keep_in_quarantine(path, kept)
            take_place(written, path, Like(one["mode"]))
            make_private(kept)
        finally:
            written.unlink(missing_ok=True)
    return made.outcome


def _standing(path: Path) -> tuple[int, ...]:
    try:
        status = path.lstat()
    except FileNotFoundError:
        return ()
    return status.st_ino, status.st_size, status.st_mtime_ns


def go_on(work: Work, record: dict[str, Any], journal: Journal) -> Outcome | None:
    """Finish what a killed run had begun; None if nothing was changed, and it begins again."""
    (replaced,) = record["replaced"]
    path, kept = Path(replaced["path"]), Path(replaced["kept"])
    sweep(path.parent, work.id)
    if digest_at(path) != replaced["after"]:
        journal.drop(work.id)
        return None
    make_private(kept)
    return Outcome.from_json(record["outcome"])


def take_out(work: Work, record: dict[str, Any], site: Site, journal: Journal) -> Outcome:
    """Move what goes from a run of files into the quarantine, as `plan_moves` said.

    Raises:
        TargetUnwritable: no space for the quarantine, no permission.
    """
    assert site.quarantine is not None
    outcome = Outcome.from_json(record["outcome"])
    with writing(work.url):
        make_private_folder(site.quarantine / work.id, own=True)
        for one in record["replaced"]:
            if not _replace_listing(work, one, record, site, journal):
                _leave_new(work, outcome)
        for one in record["moved"]:
            path, kept = Path(one["path"]), Path(one["kept"])
            sweep(kept.parent, "copy")
            there = digest_at(path)
            if there is None:
                continue
            if there != one["before"]:
                _leave_new(work, outcome)
                continue
            if os.path.lexists(kept):  # killed between a copy to another disk and this
                path.unlink()
                continue
            move(path, kept)
            make_private(kept)
    return outcome


def _leave_new(work: Work, outcome: Outcome) -> None:
    """A file was put in the place of one that goes, while an interrupted purge rested."""
    error = ContainerChanged(name=work.name, reason="a file has other content")
    outcome.leave(error.code, str(error), "changed")


def _replace_listing(
    work: Work, one: dict[str, Any], record: dict[str, Any], site: Site, journal: Journal
) -> bool:
    """Replace a listing, or say False: somebody changed it meanwhile."""
    path, kept = Path(one["path"]), Path(one["kept"])
    sweep(path.parent, work.id)
    if (there := digest_at(path)) != one["before"]:
        return there == one.get("after")  # an earlier run replaced it
    listing = listing_of(work, one["name"], tuple(one["names"]))
    with (
        fetched(listing.url, site) as stream,
        rewriting(listing, stream, site.limits, site.spool) as how,
        unfinished(path.parent, work.id) as (written, unfinished_path),
    ):
        how.write(written)
        os.fsync(written.fileno())
        one["after"] = how.check_written(written)
        journal.intend(work.id, record)
        keep_in_quarantine(path, kept)
        take_place(unfinished_path, path, Like.of(stream))
        make_private(kept)
    return True


def add_missed(outcome: Outcome, work: Work, record: dict[str, Any]) -> Outcome:
    """Count what goes now, and did not when the container was changed in place."""
    if missed := work.goes - set(record["goes"]):
        error = ContainerChanged(name=work.name, reason="an earlier purge changed it")
        outcome.leave(error.code, str(error), "changed", len(missed))
    return outcome
