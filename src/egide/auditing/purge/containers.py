"""Plan a purge: group the shards of an audit into containers, and say where each is to stand."""

from __future__ import annotations

import hashlib
import os
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

from egide.auditing.purge.disk import is_unfinished
from egide.auditing.purge.plan import Doomed, Work
from egide.auditing.purge.samples import LISTINGS, sidecars
from egide.auditing.sources.base import printable
from egide.auditing.sources.folder import GAP_MARK, FolderSource
from egide.auditing.sources.location import is_local
from egide.auditing.sources.packed import unpacked_name
from egide.errors import SourcesOverlap
from egide.media.containers import Kind, kind_by_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from egide.auditing.purge.chosen import Chosen
    from egide.auditing.results import PlannedShard, Results
    from egide.auditing.sources import Shard


_FILES = frozenset({"file", "local"})
_ALIASES = {"s3a": "s3", "gcs": "gs"}


@dataclass(slots=True)
class Plan:
    """All containers of an audit.

    Attributes:
        works: in the order of the audit.
        left: what stays, by the reason: items and files that cannot be taken out at all.
    """

    works: list[Work] = field(default_factory=list)
    left: Counter[str] = field(default_factory=Counter)


def plan_containers(results: Results, chosen: Chosen) -> Plan:
    """Group the shards, and give each container what goes from it.

    Raises:
        SourcesOverlap: two sources hold the same files.
    """
    sources = [absolute(address) for address in results.sources]
    _refuse_overlap(sources)
    planned = list(results.shards())
    runs: dict[int, list[PlannedShard]] = defaultdict(list)
    for one in planned:
        if one.shard.files:
            runs[one.source].append(one)
    plan = Plan()
    base = _common(sources, folder=len(sources) == 1 and _is_folder(planned, sources[0]))
    beside = {source: _beside(some, chosen) for source, some in runs.items()}
    files: dict[str, list[PlannedShard]] = defaultdict(list)
    order: list[tuple[str, PlannedShard]] = []
    for one in planned:
        place = one.id if one.shard.files else absolute(one.shard.url)
        if place not in files:
            order.append((place, one))
        files[place].append(one)
    for place, first in order:
        shards = files[place]
        doomed = {
            one for each in shards for one in chosen.doomed.get(printable(each.shard.name), ())
        }
        side, listed = beside.get(first.source, (frozenset(), {}))
        if first.shard.files:
            work = _run(first, doomed, side, listed, base)
            plan.left["nested"] += len(doomed) - len(work.doomed)
        else:
            work = _file(shards, doomed, listed, base)
        plan.works.append(work)
    return plan


def _file(
    shards: Sequence[PlannedShard],
    doomed: set[Doomed],
    listed: dict[str, tuple[str, ...]],
    base: str,
) -> Work:
    first = shards[0].shard
    url = absolute(first.url)
    names = listed.get(url, ()) if url.rpartition("/")[2] in LISTINGS else ()
    name = first.name.rpartition("#")[0] if len(shards) > 1 else first.name
    return Work(
        id=_id(url, shards),
        name=name or first.name,
        kind=first.kind,
        url=first.url,
        shards=tuple((one.id, one.shard) for one in shards),
        target=_below(url, base),
        doomed=_sorted(doomed),
        listed=((("", names),) if names else ()),
    )


def _run(
    planned: PlannedShard,
    doomed: set[Doomed],
    side: frozenset[str],
    listed: dict[str, tuple[str, ...]],
    base: str,
) -> Work:
    shard = planned.shard
    files = files_by_label(shard)
    here = set(files.values())
    url = absolute(shard.url)
    tables = {
        name: listed[f"{url.rstrip('/')}/{name}"]
        for name in shard.files
        if f"{url.rstrip('/')}/{name}" in listed
    }
    return Work(
        id=_id(url, [planned]),
        # The name of a picture that was named itself is an item's.
        name=shard.name if shard.kind == FolderSource.kind else "file",
        kind=shard.kind,
        url=shard.url,
        shards=((planned.id, shard),),
        target=_below(url, base),
        doomed=_sorted({one for one in doomed if file_of(one.item, files) is not None}),
        sidecars=tuple(sorted(side & here)),
        listed=tuple(sorted(tables.items())),
    )


def files_by_label(shard: Shard) -> dict[str, str]:
    """Return the files of a run by their names in reports."""
    return {printable(name): name for name in shard.files if not name.startswith(GAP_MARK)}


def file_of(item: str, files: Mapping[str, str]) -> str | None:
    """Return the file of a folder that an item is; None if it only stands within one.

    Args:
        item: its name.
        files: of `files_by_label`.
    """
    return next((files[name] for name in _candidates(item) if name in files), None)


def _candidates(item: str) -> Iterator[str]:
    yield item
    folder, _, inner = item.rpartition("/")
    # The one picture in a packed file: the file is the picture.
    if folder and kind_by_name(folder) is Kind.PACKED and unpacked_name(folder) == inner:
        yield folder


def _beside(
    runs: Sequence[PlannedShard], chosen: Chosen
) -> tuple[frozenset[str], dict[str, tuple[str, ...]]]:
    """What goes with the pictures of a folder: sidecars, and rows of its listings.

    Returns:
        the sidecars; and by the address of each listing, the files that it may name.
    """
    gone: set[str] = set()
    for run in runs:
        doomed = chosen.doomed.get(printable(run.shard.name))
        files = files_by_label(run.shard) if doomed else {}
        found = (file_of(one.item, files) for one in doomed or ())
        gone.update(file for file in found if file is not None)
    if not gone:
        return frozenset(), {}
    root = absolute(runs[0].shard.url).rstrip("/")
    names = (name for run in runs for name in run.shard.files if not name.startswith(GAP_MARK))
    more = sidecars(names, gone)
    listed: dict[str, set[str]] = defaultdict(set)
    for name in gone:
        parts = name.split("/")
        for depth in range(len(parts)):
            folder = "/".join([root, *parts[:depth]])
            for listing in LISTINGS:
                listed[f"{folder}/{listing}"].add("/".join(parts[depth:]))
    return frozenset(more), {place: tuple(sorted(some)) for place, some in listed.items()}


def _sorted(doomed: set[Doomed]) -> tuple[Doomed, ...]:
    return tuple(sorted(doomed, key=lambda one: (one.item, one.key or "", one.offset or 0)))


def _id(url: str, shards: Sequence[PlannedShard]) -> str:
    text = "\0".join([url, *(one.id for one in shards)])
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:32]


def _is_folder(planned: Sequence[PlannedShard], source: str) -> bool:
    """Whether a source is a folder, and no file or picture that was named itself."""
    return any(
        one.shard.kind == "folder" or one.shard.within or absolute(one.shard.url) != source
        for one in planned
        if one.shard.kind != "file"
    )


def absolute(address: str) -> str:
    """Return an address that means the same from any folder."""
    if not is_local(address):
        return address.rstrip("/") or address
    return os.path.abspath(address)  # noqa: PTH100 - a name, not a Path


def place_of(address: str) -> str:
    """Return where an address leads: two that lead to the same place are the same."""
    protocol, mark, path = address.partition("://")
    if not mark:
        return os.path.realpath(address)
    if protocol in _FILES:
        return os.path.realpath(path)
    return f"{_ALIASES.get(protocol, protocol)}://{path}".rstrip("/")


def count_unknown(results: Results, audit: Path) -> int:
    """Return how many files stand in the folders of a set that were not there at its audit.

    Args:
        results: of the audit.
        audit: its own folder, which may stand there.
    """
    known: set[str] = set()
    folders: set[int] = set()
    for one in results.shards():
        url = absolute(one.shard.url).rstrip("/")
        known.update(f"{url}/{name}" for name in one.shard.files)
        if not one.shard.files:
            known.add(url)
        if one.shard.kind == FolderSource.kind or one.shard.within:
            folders.add(one.source)
    own, count = absolute(str(audit)) + "/", 0
    for number in folders:
        address = results.sources[number]
        root = absolute(address).rstrip("/")
        for shard in FolderSource(address, address, lambda _url, _label: None).shards():
            for name in shard.files:
                path = f"{root}/{name}"
                new = path not in known and not path.startswith(own)
                count += new and not name.startswith(GAP_MARK) and not is_unfinished(name)
    return count


def _refuse_overlap(sources: Sequence[str]) -> None:
    ordered = sorted(source.rstrip("/") + "/" for source in sources)
    for before, after in pairwise(ordered):
        if after.startswith(before):
            raise SourcesOverlap(name=after.rstrip("/"), other=before.rstrip("/"))


def _common(sources: Sequence[str], *, folder: bool) -> str:
    """The folder that stands around all sources: what is below it keeps its place."""
    if folder:
        return sources[0]
    parents = [source.rpartition("/")[0].split("/") for source in sources]
    shared = []
    for parts in zip(*parents, strict=False):
        if len(set(parts)) > 1:
            break
        shared.append(parts[0])
    return "/".join(shared)


def _below(url: str, base: str) -> str:
    return url.removeprefix(base).lstrip("/")
