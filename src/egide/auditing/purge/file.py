"""Purge a container that is one file: write it anew without what goes, and read it back."""

from __future__ import annotations

import os
import stat as stat_flags
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from egide.auditing.purge.disk import Like, sweep, unfinished
from egide.auditing.purge.journal import writing
from egide.auditing.purge.rewriting import rewriting
from egide.auditing.purge.site import Made, begun, count_audited, count_cut, fetched, takes_out
from egide.auditing.sources.location import is_local
from egide.errors import ContainerChanged, ContainerLeft

if TYPE_CHECKING:
    from egide.auditing.purge.plan import Outcome, Work
    from egide.auditing.purge.rewriting import Rewriting
    from egide.auditing.purge.site import Site


def copy_file(work: Work, site: Site) -> Made:
    """Write a file's clean copy into the target.

    Raises:
        ContainerLeft, SourceError: it cannot be.
        TargetUnwritable: nothing can be written there.
    """
    assert site.target is not None
    outcome = begun(work)
    with (
        fetched(work.url, site) as stream,
        rewriting(work, stream, site.limits, site.spool) as how,
    ):
        count_cut(work, how, site, outcome)
        like = Like.of(stream, times=not takes_out(how.cut))
        site.target.sweep(work.target, work.id)
        with site.target.new_file(work.target, work.id, like) as written:
            _write(work, how, stream, written, site, outcome)
            size = os.fstat(written.fileno()).st_size
    return Made(outcome, size)


def write_replacement(work: Work, site: Site) -> Made:
    """Write beside a file what is to take its place. Nothing is changed yet.

    Raises:
        ContainerLeft, SourceError: it cannot be.
        TargetUnwritable: nothing can be written there.
    """
    outcome = begun(work)
    if not work.changes:  # it stays as it is, unread
        outcome.items_before = count_audited(work, site)
        return Made(outcome)
    if is_local(work.url) and Path(work.url).is_symlink():
        reason = "it is a link: purge where it leads, or into a copy with --to"
        raise ContainerLeft(name=work.name, reason=reason)
    with (
        fetched(work.url, site) as stream,
        rewriting(work, stream, site.limits, site.spool) as how,
    ):
        count_cut(work, how, site, outcome)
        if not takes_out(how.cut):
            return Made(outcome)  # all that matched stands in something else inside
        path = Path(work.url).absolute()
        with writing(path):
            sweep(path.parent, work.id)
            with unfinished(path.parent, work.id) as (written, written_path):
                _write(work, how, stream, written, site, outcome)
        status = os.fstat(stream.fileno())
        return Made(
            outcome,
            record=_record(work, site, path, status.st_mode, outcome),
            written=str(written_path),
            standing=(status.st_ino, status.st_size, status.st_mtime_ns),
        )


def _write(
    work: Work,
    how: Rewriting,
    stream: IO[bytes],
    written: IO[bytes],
    site: Site,
    outcome: Outcome,
) -> None:
    """Write and read back, while the original is compared with its audit.

    Threads hash and copy side by side: each lets go of the interpreter meanwhile.
    """
    before = os.fstat(stream.fileno())
    with ThreadPoolExecutor(3) as threads, writing(work.target or work.name):
        audited = threads.submit(how.check_audit, site.audited)
        following = threads.submit(how.check_written, written) if how.followed else None
        how.write(written)
        synced = threads.submit(os.fsync, written.fileno())
        outcome.sha256_after = following.result() if following else how.check_written(written)
        outcome.items_before, outcome.sha256_before = audited.result()
        synced.result()
    after = os.fstat(stream.fileno())
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        raise ContainerChanged(name=work.name, reason="it was written to meanwhile")
    outcome.bytes = after.st_size


def _record(work: Work, site: Site, path: Path, mode: int, outcome: Outcome) -> dict[str, Any]:
    assert site.quarantine is not None
    replaced = {
        "path": str(path),
        "kept": str((site.quarantine / work.id / "original").absolute()),
        "mode": stat_flags.S_IMODE(mode),
        "before": outcome.sha256_before,
        "after": outcome.sha256_after,
    }
    return {"goes": sorted(work.goes), "replaced": [replaced], "outcome": outcome.to_json()}
