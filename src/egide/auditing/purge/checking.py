"""Read a container again, and compare its items with those that the audit kept."""

from __future__ import annotations

import hashlib
from typing import IO, TYPE_CHECKING

from egide.auditing.purge.splice import digest_of
from egide.auditing.purge.tar import hash_members
from egide.auditing.sources import Columns, Item, Other, Rows, read_shard
from egide.auditing.sources.base import printable
from egide.auditing.sources.hashlist import HashListSource
from egide.auditing.sources.kept_rows import KeptRow
from egide.auditing.sources.location import stat, state_of
from egide.domain.coverage import Gap, GapKind
from egide.domain.model import Fingerprint
from egide.errors import ContainerChanged, ContainerMissing, SourceError, SourceMissing

if TYPE_CHECKING:
    from collections.abc import Iterable

    from egide.auditing.purge.plan import Work
    from egide.auditing.purge.tar import TarMember
    from egide.auditing.results import KeptItem, KeptItems
    from egide.auditing.sources import Read, Shard
    from egide.domain.model import Limits


def check(work: Work, audited: KeptItems, limits: Limits) -> int:
    """Compare a container with its audit; return how many items it has.

    Raises:
        ContainerChanged: it is not what was audited.
        ContainerMissing: it cannot be read.
    """
    return sum(
        check_shard(work.name, shard, audited.items(shard_id), limits)
        for shard_id, shard in work.shards
    )


def check_shard(name: str, shard: Shard, kept: Iterable[KeptItem], limits: Limits) -> int:
    """Compare a shard with what was kept of it; return how many items it has."""
    known = {one.number: one for one in kept}
    # Behind what ended the reading nothing was audited.
    last = max(known, default=-1)
    ended = last if last >= 0 and _ends(known[last]) else None
    items = 0
    try:
        for number, read in enumerate(read_shard(shard, limits)):
            if number == ended:
                return items
            items += _compare(name, read, known.pop(number, None))
    except SourceMissing as error:
        raise ContainerMissing(name=name, reason="it is not there") from error
    except SourceError as error:
        if ended is None:
            reason = str(error.fields.get("reason", error.code))
            raise ContainerMissing(name=name, reason=reason) from error
        return items
    if any(one.gap is None for one in known.values()):
        raise ContainerChanged(name=name, reason="it has fewer items")
    return items


def are_rows(kept: KeptItem, shard: Shard) -> bool:
    """Whether it is rows of a table, and no item: of items without bytes only lists have any."""
    return kept.gap is None and kept.sha256 is None and shard.kind != HashListSource.kind


def _ends(kept: KeptItem) -> bool:
    return kept.gap is not None and kept.gap.kind in {GapKind.SOURCE, GapKind.ARCHIVE}


def _compare(name: str, read: Read, kept: KeptItem | None) -> int:
    if isinstance(read, Other | Columns):
        if kept is not None:
            raise ContainerChanged(name=name, reason="an item is gone")
        return 0
    if kept is None:
        raise ContainerChanged(name=name, reason="an item is new")
    if printable(read.name) != kept.name:
        raise ContainerChanged(name=name, reason="an item has another name")
    count = isinstance(read, Item)
    if kept.gap is None:
        if isinstance(read, Item) and isinstance(read.content, bytes):
            same = hashlib.sha256(read.content).digest() == kept.sha256
        elif isinstance(read, Item) and isinstance(read.content, Fingerprint):
            same = KeptRow(0, read, read.content).proof == kept.proof
        elif isinstance(read, Rows):
            same = hashlib.sha256(read.proof()).digest() == kept.proof
            rows = set().union(*read.rows.values())
            return _counted(len(rows - read.beside), same=same, name=name)
        else:
            same = False
        _counted(0, same=same, name=name)
    return int(count or (isinstance(read, Gap) and read.kind is GapKind.ITEM))


def _counted(count: int, *, same: bool, name: str) -> int:
    if not same:
        raise ContainerChanged(name=name, reason="an item has other content")
    return count


def check_tar(
    work: Work, stream: IO[bytes], members: list[TarMember], audited: KeptItems, limits: Limits
) -> tuple[int, str]:
    """The same of a plain tar that was not touched since: its members are hashed as they stand.

    Where anything is unusual, such as an archive within, it is read as the audit read it.

    Returns:
        how many items it has, and its SHA-256.
    """
    state = state_of(stat(work.url))
    kept = [one for shard_id, _ in work.shards for one in audited.items(shard_id)]
    by_offset = {member.data: member for member in members if member.plain}
    compared = [one for one in kept if one.gap is None]
    if any(shard.state != state for _, shard in work.shards) or not all(
        one.offset in by_offset and printable(by_offset[one.offset].name) == one.name
        for one in compared
    ):
        return check(work, audited, limits), digest_of(stream)
    digests, whole = hash_members(stream, [by_offset[one.offset or 0] for one in compared])
    for one in compared:
        if one.sha256 is None or digests.get(one.offset or 0) != one.sha256.hex():
            raise ContainerChanged(name=work.name, reason="an item has other content")
    return sum(1 for one in kept if one.gap is None or one.gap.kind is GapKind.ITEM), whole
