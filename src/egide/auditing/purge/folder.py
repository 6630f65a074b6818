"""Purge a run of a folder's files: copy those that stay, or say what is moved out of it."""

from __future__ import annotations

import hashlib
import os
import stat as stat_flags
from dataclasses import replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from egide.auditing.purge.checking import check
from egide.auditing.purge.containers import file_of, files_by_label
from egide.auditing.purge.disk import Like, digest_at
from egide.auditing.purge.journal import writing
from egide.auditing.purge.rewriting import copying, rewriting
from egide.auditing.purge.site import Made, begun, fetched, takes_out
from egide.auditing.purge.splice import digest_of
from egide.auditing.sources import Shard
from egide.auditing.sources.folder import GAP_MARK
from egide.auditing.sources.location import is_local
from egide.errors import ContainerLeft, SourceError

if TYPE_CHECKING:
    from egide.auditing.purge.plan import Outcome, Work
    from egide.auditing.purge.rewriting import Rewriting
    from egide.auditing.purge.site import Site


def count_files(work: Work, outcome: Outcome) -> set[str]:
    """Count what goes from a run of files, and return it."""
    files = files_by_label(work.shards[0][1])
    gone = {name for one in work.doomed if (name := file_of(one.item, files)) is not None}
    outcome.items_removed = len(gone)
    outcome.with_them["sidecar"] += len(work.sidecars)
    return gone | set(work.sidecars)


def listing_of(work: Work, name: str, names: tuple[str, ...]) -> Work:
    """A listing in a folder, as a work of its own."""
    shard = Shard("", f"{work.url.rstrip('/')}/{name}", work.name)
    return replace(
        work,
        url=shard.url,
        shards=(("", shard),),
        doomed=(),
        sidecars=(),
        listed=(("", names),),
    )


def copy_run(work: Work, site: Site) -> Made:
    """Copy the files of a run that stay into the target.

    Raises:
        ContainerLeft, SourceError: the run is not what was audited.
        TargetUnwritable: nothing can be written there.
    """
    assert site.target is not None
    outcome = begun(work)
    outcome.items_before = check(work, site.audited, site.limits)
    gone = count_files(work, outcome)
    listed = dict(work.listed)
    before, after = hashlib.sha256(), hashlib.sha256()
    swept: set[str] = set()
    for name in work.shards[0][1].files:
        if name.startswith(GAP_MARK):
            outcome.left["not-listed"] += 1
            continue
        relative = f"{work.target}/{name}" if work.target else name
        one = listing_of(work, name, listed.get(name, ()))
        try:
            if relative.rpartition("/")[0] not in swept:
                site.target.sweep(relative, work.id)
                swept.add(relative.rpartition("/")[0])
            if name in gone:
                # An earlier run, when the register did not doom it, may have copied it.
                site.target.remove(relative)
            digests = _copy(one, relative, site, outcome, goes=name in gone)
        except SourceError as error:
            if name not in gone:
                outcome.leave(error.code, error.code, "unreadable")
            continue
        except ContainerLeft as error:
            outcome.leave(error.code, str(error), "left")
            continue
        label = name.encode("utf-8", "surrogateescape")
        before.update(label + b"\0" + digests[0].encode() + b"\n")
        if name not in gone:
            after.update(label + b"\0" + digests[1].encode() + b"\n")
    outcome.sha256_before, outcome.sha256_after = before.hexdigest(), after.hexdigest()
    return Made(outcome)


def _copy(one: Work, relative: str, site: Site, outcome: Outcome, *, goes: bool) -> tuple[str, str]:
    """Copy a file of a folder, without the rows of a listing that go; return both digests."""
    assert site.target is not None
    path = Path(one.url)
    if is_local(one.url) and path.is_symlink() and not goes and site.target.local:
        leads = path.readlink()
        folder = Path(one.url.removesuffix(relative))
        inside = not leads.is_absolute() and _is_within(path.resolve(), folder.resolve())
        if inside and path.exists():
            site.target.link(relative, str(leads))
            return f"link:{leads}", f"link:{leads}"
    with fetched(one.url, site) as stream:
        if goes:
            return digest_of(stream), ""
        if one.changes and one.listed[0][1]:
            with rewriting(one, stream, site.limits, site.spool) as how:
                outcome.with_them.update(how.cut.with_them)
                return _copied(how, relative, stream, site, one.id)
        plain = copying(replace(one, listed=()), stream, site.limits)
        return _copied(plain, relative, stream, site, one.id)


def _copied(
    how: Rewriting, relative: str, stream: IO[bytes], site: Site, mark: str
) -> tuple[str, str]:
    assert site.target is not None
    cut = takes_out(how.cut)
    like = Like.of(stream, times=not cut)
    with site.target.new_file(relative, mark, like) as written:
        with writing(site.target.address):
            how.write(written)
            os.fsync(written.fileno())
        after = how.check_written(written)
    return (digest_of(stream) if cut else after), after


def _is_within(path: Path, folder: Path) -> bool:
    return folder == path or folder in path.parents


def plan_moves(work: Work, site: Site) -> Made:
    """Check a run of files that is to change in place, and say what goes from it.

    This comes before any other run is changed: a link in one may lead to a picture in another, and
    once that has gone, the link is checked no more.

    Raises:
        ContainerLeft, SourceError: the run is not what was audited.
    """
    outcome = begun(work)
    outcome.items_before = check(work, site.audited, site.limits)
    return Made(outcome, record=_record(work, site, outcome))


def _record(work: Work, site: Site, outcome: Outcome) -> dict[str, Any]:
    assert site.quarantine is not None
    gone, moved, replaced = count_files(work, outcome), [], []
    folder = site.quarantine / work.id
    shard = work.shards[0][1]
    removed = {file_of(one.item, files_by_label(shard)) for one in work.doomed}
    for number, name in enumerate(name for name in shard.files if name in gone):
        path = Path(f"{shard.url.rstrip('/')}/{name}").absolute()
        digest = digest_at(path)
        if digest is None:
            continue
        if path.is_symlink() and not _is_within(path.resolve(), Path(shard.url).resolve()):
            # Of what a link leads to, only a file of the set goes as well.
            outcome.left["link"] += 1
            outcome.items_removed -= name in removed
            outcome.with_them["sidecar"] -= name not in removed
            continue
        moved.append(
            {
                "path": str(path),
                "kept": str((folder / str(number)).absolute()),
                "mode": stat_flags.S_IMODE(path.lstat().st_mode),
                "before": digest,
            }
        )
    for number, (name, names) in enumerate(work.listed):
        one = listing_of(work, name, names)
        with (
            fetched(one.url, site) as stream,
            rewriting(one, stream, site.limits, site.spool) as how,
        ):
            if not takes_out(how.cut):
                continue
            outcome.with_them.update(how.cut.with_them)
            replaced.append(
                {
                    "path": str(Path(one.url).absolute()),
                    "kept": str((folder / f"listing-{number}").absolute()),
                    "mode": stat_flags.S_IMODE(os.fstat(stream.fileno()).st_mode),
                    "before": digest_of(stream),
                    "name": name,
                    "names": list(names),
                }
            )
    values = {"moved": moved, "replaced": replaced, "outcome": outcome.to_json()}
    return values | {"goes": sorted(work.goes)}
