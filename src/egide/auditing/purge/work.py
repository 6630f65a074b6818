"""Purge one container: the same wherever it runs. It needs the audit's folder and plain values."""

from __future__ import annotations

import hashlib
import os
import stat as stat_flags
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from egide.auditing.purge.checking import are_rows, check
from egide.auditing.purge.containers import file_of, files_by_label
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
from egide.auditing.purge.journal import writing
from egide.auditing.purge.plan import Outcome, Work
from egide.auditing.purge.rewriting import copying, rewriting
from egide.auditing.purge.splice import digest_of
from egide.auditing.sources import Shard
from egide.auditing.sources.folder import GAP_MARK
from egide.auditing.sources.location import is_local, open_binary
from egide.errors import (
    ContainerChanged,
    ContainerLeft,
    ContainerMissing,
    ContainerUnsupported,
    SourceError,
)
from egide.files import make_private_folder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egide.auditing.purge.journal import Journal
    from egide.auditing.purge.rewriting import Rewriting
    from egide.auditing.purge.target import Target
    from egide.auditing.results import Results
    from egide.domain.model import Limits

_PIECE_BYTES = 4 * 1024 * 1024
_REASONS: dict[type[Exception], str] = {
    ContainerChanged: "changed",
    ContainerMissing: "missing",
    ContainerUnsupported: "unsupported",
}


@dataclass(frozen=True, slots=True)
class Site:
    """What a container is purged with.

    Attributes:
        target: of a clean copy; None in place.
        quarantine: in place, where what goes is kept; else None.
    """

    results: Results
    journal: Journal
    limits: Limits
    target: Target | None = None
    quarantine: Path | None = None


def look(work: Work, site: Site) -> Outcome:
    """Say what would go from a container; nothing is written."""
    outcome = _begun(work)
    outcome.items_before = sum(1 for shard, _ in work.shards for _ in site.results.items(shard))
    if not work.changes:
        return outcome
    try:
        if work.shards[0][1].files:
            _count_files(work, outcome)
            for name, names in work.listed:
                one = _listing(work, name, names)
                with (
                    _local(one.url, site) as stream,
                    rewriting(one, stream, site.limits, site.journal.spool) as how,
                ):
                    outcome.with_them.update(how.cut.with_them)
        else:
            with (
                _local(work.url, site) as stream,
                rewriting(work, stream, site.limits, site.journal.spool) as how,
            ):
                _count(work, how, site, outcome)
    except (ContainerLeft, SourceError) as error:
        return _left(work, outcome, error)
    return outcome


def purge_container(work: Work, site: Site) -> Outcome:
    """Purge a container, or say why it was left as it is.

    Raises:
        TargetUnwritable: nothing can be written: others would fare no better.
    """
    try:
        if work.shards[0][1].files:
            return _purge_files(work, site)
        return _purge_file(work, site)
    except (ContainerLeft, SourceError) as error:
        return _left(work, _begun(work), error)


def add_missed(outcome: Outcome, work: Work, record: dict[str, Any]) -> Outcome:
    """Count what goes now, and did not when the container was changed in place."""
    if missed := work.goes - set(record["goes"]):
        error = ContainerChanged(name=work.name, reason="an earlier purge changed it")
        outcome.left["changed"] += len(missed)
        outcome.said.append((error.code, str(error)))
    return outcome


def _begun(work: Work) -> Outcome:
    return Outcome(work.name, work.kind)


def _left(work: Work, outcome: Outcome, error: ContainerLeft | SourceError) -> Outcome:
    """Nothing went: count what should have gone, or the container if it is not copied."""
    left = isinstance(error, ContainerLeft)
    reason = _REASONS.get(type(error), "left") if left else "missing"
    outcome.items_removed = 0
    outcome.with_them.clear()
    outcome.left.clear()
    outcome.left[reason] += max(len(work.doomed), 1)
    outcome.said.append((error.code, str(error)))
    return outcome


def _count(work: Work, how: Rewriting, site: Site, outcome: Outcome) -> None:
    outcome.items_removed = len(how.cut.gone)
    outcome.with_them.update(how.cut.with_them)
    if nested := len(work.doomed) - len(how.cut.gone):
        outcome.left["nested"] += nested
    if not how.rows:
        return
    # With a row all of its pictures go, and a hash beside a picture is no item of its own.
    matched = {(one.key, one.offset) for one in how.cut.gone}
    rows = {one.offset for one in how.cut.gone}
    of_rows = [
        (one.key, one.offset)
        for shard_id, shard in work.shards
        for one in site.results.items(shard_id)
        if one.offset in how.rows and not are_rows(one, shard)
    ]
    if of_rows:
        outcome.items_removed = sum(one in matched for one in of_rows) or len(rows)
        outcome.with_them["sample-picture"] += max(len(of_rows) - outcome.items_removed, 0)
    else:
        outcome.items_removed = len(rows)


@contextmanager
def _local(url: str, site: Site) -> Iterator[IO[bytes]]:
    """Open a file; one that stands elsewhere is fetched first, into a private file."""
    with open_binary(url) as stream:
        if is_local(url):
            yield stream
            return
        with tempfile.TemporaryFile(dir=site.journal.spool) as fetched:
            try:
                while data := stream.read(_PIECE_BYTES):
                    fetched.write(data)
            except OSError as error:
                raise ContainerMissing(name=url, reason=type(error).__name__) from error
            fetched.flush()
            yield fetched


# --- a file -----------------------------------------------------------------------------------


def _purge_file(work: Work, site: Site) -> Outcome:
    outcome = _begun(work)
    if site.target is None:
        if (record := site.journal.doing(work.id)) is not None:
            return _go_on(work, site, record)
        if not work.changes:  # it stays as it is, unread
            outcome.items_before = sum(
                1 for shard, _ in work.shards for _ in site.results.items(shard)
            )
            return outcome
        if is_local(work.url) and Path(work.url).is_symlink():
            reason = "it is a link: purge where it leads, or into a copy with --to"
            raise ContainerLeft(name=work.name, reason=reason)
    with (
        _local(work.url, site) as stream,
        rewriting(work, stream, site.limits, site.journal.spool) as how,
    ):
        _count(work, how, site, outcome)
        if site.target is not None:
            like = Like.of(stream, times=not _is_cut(how))
            with site.target.new_file(work.target, work.id, like) as written:
                _write(work, how, stream, written, site, outcome)
        elif not _is_cut(how):
            return outcome  # all that matched stands in something else inside
        else:
            _replace(work, how, stream, site, outcome)
    return outcome


def _is_cut(how: Rewriting) -> bool:
    return bool(how.cut.gone or how.cut.with_them.total())


def _write(
    work: Work,
    how: Rewriting,
    stream: IO[bytes],
    written: IO[bytes],
    site: Site,
    outcome: Outcome,
) -> None:
    """Write and read back, while the original is compared with its audit."""
    begun = os.fstat(stream.fileno())
    with ThreadPoolExecutor(3) as threads, writing(work.target or work.name):
        before = threads.submit(digest_of, stream)
        how.write(written)
        # While the disk writes, there is time to read.
        synced = threads.submit(os.fsync, written.fileno())
        outcome.items_before = how.check_audit(site.results)
        after = threads.submit(digest_of, written)
        how.check_written(written)
        outcome.sha256_before, outcome.sha256_after = before.result(), after.result()
        synced.result()
    ended = os.fstat(stream.fileno())
    if (begun.st_size, begun.st_mtime_ns) != (ended.st_size, ended.st_mtime_ns):
        raise ContainerChanged(name=work.name, reason="it was written to meanwhile")
    outcome.bytes = ended.st_size


def _replace(work: Work, how: Rewriting, stream: IO[bytes], site: Site, outcome: Outcome) -> None:
    assert site.quarantine is not None
    path, kept = Path(work.url), site.quarantine / work.id / "original"
    with writing(path):
        sweep(path.parent, work.id)
        with unfinished(path.parent, work.id) as (written, unfinished_path):
            _write(work, how, stream, written, site, outcome)
            if not os.path.samestat(path.lstat(), os.fstat(stream.fileno())):
                raise ContainerChanged(name=work.name, reason="another file took its place")
            record = {
                "goes": sorted(work.goes),
                "replaced": [_replaced(path, kept, Like.of(stream).mode, outcome)],
                "outcome": outcome.to_json(),
            }
            site.journal.intend(work.id, record)
            keep_in_quarantine(path, kept)
            take_place(unfinished_path, path, Like.of(stream))
            make_private(kept)


def _replaced(path: Path, kept: Path, mode: int, outcome: Outcome) -> dict[str, Any]:
    return {
        "path": str(path.absolute()),
        "kept": str(kept.absolute()),
        "mode": mode,
        "before": outcome.sha256_before,
        "after": outcome.sha256_after,
    }


def _go_on(work: Work, site: Site, record: dict[str, Any]) -> Outcome:
    """Finish what a killed run had begun in place; or begin again if nothing was changed."""
    (replaced,) = record["replaced"]
    path, kept = Path(replaced["path"]), Path(replaced["kept"])
    sweep(path.parent, work.id)
    if digest_at(path) != replaced["after"]:
        site.journal.drop(work.id)
        return _purge_file(work, site)
    make_private(kept)
    return Outcome.from_json(record["outcome"])


# --- files of a folder ------------------------------------------------------------------------


def _count_files(work: Work, outcome: Outcome) -> set[str]:
    """Count what goes from a run of files, and return it."""
    files = files_by_label(work.shards[0][1])
    gone = {name for one in work.doomed if (name := file_of(one.item, files)) is not None}
    outcome.items_removed = len(gone)
    outcome.with_them["sidecar"] += len(work.sidecars)
    return gone | set(work.sidecars)


def _listing(work: Work, name: str, names: tuple[str, ...]) -> Work:
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


def _purge_files(work: Work, site: Site) -> Outcome:
    outcome = _begun(work)
    if site.target is None:
        return _take_out(work, site, outcome)
    outcome.items_before = check(work, site.results, site.limits)
    gone = _count_files(work, outcome)
    listed = dict(work.listed)
    before, after = hashlib.sha256(), hashlib.sha256()
    for name in work.shards[0][1].files:
        if name.startswith(GAP_MARK):
            outcome.left["not-listed"] += 1
            continue
        relative = f"{work.target}/{name}" if work.target else name
        one = _listing(work, name, listed.get(name, ()))
        try:
            if (
                name in gone
            ):  # an earlier run, when the register did not doom it, may have copied it
                site.target.remove(relative)
            digests = _copy(one, relative, site, outcome, goes=name in gone)
        except SourceError as error:
            if name in gone:
                continue
            outcome.left["unreadable"] += 1
            outcome.said.append((error.code, error.code))
            continue
        except ContainerLeft as error:
            outcome.left["left"] += 1
            outcome.said.append((error.code, str(error)))
            continue
        label = name.encode("utf-8", "surrogateescape")
        before.update(label + b"\0" + digests[0].encode() + b"\n")
        if name not in gone:
            after.update(label + b"\0" + digests[1].encode() + b"\n")
    outcome.sha256_before, outcome.sha256_after = before.hexdigest(), after.hexdigest()
    return outcome


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
    with _local(one.url, site) as stream:
        if goes:
            return digest_of(stream), ""
        if one.changes and one.listed[0][1]:
            with rewriting(one, stream, site.limits, site.journal.spool) as how:
                outcome.with_them.update(how.cut.with_them)
                return _copied(how, relative, stream, site)
        plain = copying(replace(one, listed=()), stream, site.limits)
        return _copied(plain, relative, stream, site)


def _copied(how: Rewriting, relative: str, stream: IO[bytes], site: Site) -> tuple[str, str]:
    assert site.target is not None
    cut = _is_cut(how)
    like = Like.of(stream, times=not cut)
    with site.target.new_file(relative, "files", like) as written:
        with writing(site.target.address):
            how.write(written)
            os.fsync(written.fileno())
        how.check_written(written)
        after = digest_of(written)
    return (digest_of(stream) if cut else after), after


def _is_within(path: Path, folder: Path) -> bool:
    return folder == path or folder in path.parents


def prepare(work: Work, site: Site) -> Outcome | None:
    """Check a run of files, and write down what goes from it, before any other run is changed.

    A link in one run may lead to a picture in another: once that has gone, the link is checked no
    more.

    Returns:
        why the run is left as it is; None if it is prepared, or needs none of this.
    """
    if not work.shards[0][1].files or not work.changes or site.quarantine is None:
        return None
    if site.journal.done(work.id) is not None or site.journal.doing(work.id) is not None:
        return None
    outcome = _begun(work)
    try:
        outcome.items_before = check(work, site.results, site.limits)
        site.journal.intend(work.id, _intended(work, site, outcome))
    except (ContainerLeft, SourceError) as error:
        return _left(work, _begun(work), error)
    return None


def _take_out(work: Work, site: Site, outcome: Outcome) -> Outcome:
    """Move what goes into the quarantine, as `prepare` wrote it down."""
    record = site.journal.doing(work.id)
    if record is None:
        outcome.items_before = sum(1 for shard, _ in work.shards for _ in site.results.items(shard))
        return outcome
    outcome = Outcome.from_json(record["outcome"])
    with writing(work.url):
        for one in record["replaced"]:
            if not _replace_listing(work, one, record, site):
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
    outcome.left["changed"] += 1
    outcome.said.append((error.code, str(error)))


def _intended(work: Work, site: Site, outcome: Outcome) -> dict[str, Any]:
    assert site.quarantine is not None
    gone, moved, replaced = _count_files(work, outcome), [], []
    folder = site.quarantine / work.id
    with writing(site.quarantine):
        make_private_folder(folder, own=True)
    shard = work.shards[0][1]
    removed = {file_of(one.item, files_by_label(shard)) for one in work.doomed}
    for number, name in enumerate(name for name in shard.files if name in gone):
        path = Path(f"{shard.url.rstrip('/')}/{name}").absolute()
        digest = digest_at(path)
        if digest is None:
            continue
        if path.is_symlink() and not _stands_in(path, Path(shard.url)):
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
        one = _listing(work, name, names)
        with (
            _local(one.url, site) as stream,
            rewriting(one, stream, site.limits, site.journal.spool) as how,
        ):
            if not _is_cut(how):
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


def _stands_in(link: Path, folder: Path) -> bool:
    """Whether a link leads to a file of the set: that goes as well."""
    return _is_within(link.resolve(), folder.resolve())


def _replace_listing(work: Work, one: dict[str, Any], record: dict[str, Any], site: Site) -> bool:
    """Replace a listing, or say False: somebody changed it meanwhile."""
    path, kept = Path(one["path"]), Path(one["kept"])
    sweep(path.parent, work.id)
    if (there := digest_at(path)) != one["before"]:
        return there == one.get("after")  # an earlier run replaced it
    listing = _listing(work, one["name"], tuple(one["names"]))
    with (
        _local(listing.url, site) as stream,
        rewriting(listing, stream, site.limits, site.journal.spool) as how,
        unfinished(path.parent, work.id) as (written, unfinished_path),
    ):
        how.write(written)
        os.fsync(written.fileno())
        how.check_written(written)
        one["after"] = digest_of(written)
        site.journal.intend(work.id, record)
        keep_in_quarantine(path, kept)
        take_place(unfinished_path, path, Like.of(stream))
        make_private(kept)
    return True
