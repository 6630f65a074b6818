"""What a container is worked on with, wherever that is; and how it is counted."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

from egide.auditing.purge.checking import are_rows
from egide.auditing.purge.journal import spooled, writing
from egide.auditing.purge.plan import Outcome
from egide.auditing.sources.location import is_local, open_binary, refusal
from egide.errors import (
    ContainerChanged,
    ContainerLeft,
    ContainerMissing,
    ContainerUnsupported,
    SourceError,
    TargetUnwritable,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from egide.auditing.purge.plan import Cut, Work
    from egide.auditing.purge.rewriting import Rewriting
    from egide.auditing.purge.target import Target
    from egide.auditing.results import KeptItems
    from egide.domain.model import Limits

_PIECE_BYTES = 4 * 1024 * 1024
_REASONS: dict[type[Exception], str] = {
    ContainerChanged: "changed",
    ContainerMissing: "missing",
    ContainerUnsupported: "unsupported",
}


@dataclass(frozen=True, slots=True)
class Site:
    """What a container is worked on with.

    Attributes:
        audited: what the audit kept of the items.
        spool: a private folder for what is fetched or unpacked, and removed again.
        target: of a clean copy; None in place.
        quarantine: in place, where what goes is to be kept; else None.
    """

    audited: KeptItems
    limits: Limits
    spool: Path
    target: Target | None = None
    quarantine: Path | None = None


@dataclass(frozen=True, slots=True)
class Made:
    """What came of work on a container.

    Attributes:
        size: of the copy of a file.
        record: in place, what is to be changed; whoever keeps the journal writes it there first.
        written: in place, the file that is to take the place of the container.
        standing: what tells that the container is still the one that was read.
    """

    outcome: Outcome
    size: int | None = None
    record: dict[str, Any] | None = None
    written: str | None = None
    standing: tuple[int, ...] = ()


@contextmanager
def fetched(url: str, site: Site) -> Iterator[IO[bytes]]:
    """Open a file; one that stands elsewhere is fetched first, into a private file.

    Raises:
        SourceError, ContainerMissing: it cannot be read.
        TargetUnwritable: there is no room for it here.
    """
    with open_binary(url) as stream:
        if is_local(url):
            yield stream
            return
        with spooled(site.spool) as found:
            try:
                while data := stream.read(_PIECE_BYTES):
                    with writing(site.spool):
                        found.write(data)
                        found.flush()
            except TargetUnwritable:
                raise
            except Exception as error:
                raise ContainerMissing(name=url, reason=refusal(error)) from error
            yield found


def begun(work: Work) -> Outcome:
    """The outcome of a container of which nothing is known yet."""
    return Outcome(work.name, work.kind)


def left(work: Work, outcome: Outcome, error: ContainerLeft | SourceError) -> Outcome:
    """Nothing went: count what should have gone, or the container if it is not copied."""
    reason = _REASONS.get(type(error), "left") if isinstance(error, ContainerLeft) else "missing"
    outcome.items_removed = 0
    outcome.with_them.clear()
    outcome.left.clear()
    outcome.leave(error.code, str(error), reason, max(len(work.doomed), 1))
    return outcome


def count_audited(work: Work, site: Site) -> int:
    """How much of a container the audit looked at."""
    return sum(1 for shard, _ in work.shards for _ in site.audited.items(shard))


def count_cut(work: Work, how: Rewriting, site: Site, outcome: Outcome) -> None:
    """Count what goes from a file."""
    outcome.items_removed = len(how.cut.gone) + how.cut.copies
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
        for one in site.audited.items(shard_id)
        if one.offset in how.rows and not are_rows(one, shard)
    ]
    if of_rows:
        outcome.items_removed = sum(one in matched for one in of_rows) or len(rows)
        outcome.with_them["sample-picture"] += max(len(of_rows) - outcome.items_removed, 0)
    else:
        outcome.items_removed = len(rows)


def takes_out(cut: Cut) -> bool:
    """Whether anything goes."""
    return bool(cut.gone or cut.with_them.total())
