"""Compare two states of a dataset by their kept fingerprints: what is new, gone or changed."""

from __future__ import annotations

import secrets
from array import array
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import TYPE_CHECKING

import numpy as np

from egide.auditing.results import Results
from egide.auditing.sources.kept_source import kept_rows
from egide.domain.coverage import gaps_within
from egide.domain.model import Fingerprint

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from egide.auditing.sources.kept_rows import KeptRow

_HASH_BYTES = 8
# With a secret key, so that nobody can make two items that look like one. Of ten million items, two
# differ by chance and look alike once in 300 000 times.


@dataclass(frozen=True, slots=True)
class Some:
    """Things of one kind: how many, and the names of the first ones."""

    count: int
    names: list[str]


@dataclass(frozen=True, slots=True)
class Comparison:
    """What two states of a dataset have in common, by the content of their items.

    Attributes:
        old_items, new_items: how many each has; things without content are not among them.
        same: items of the new one whose content is in the old one, under any name.
        new: items with a content that was not there.
        gone: items whose content is there no more.
        changed: items with another content than the one of this name had.
        old_gaps, new_gaps: what each could not look at: nothing can be said of it.
        now_match: items of the new audit that match, and did not in the old one; None if one of
            the two is no audit.
        match_no_more: the other way round.
    """

    old_items: int
    new_items: int
    same: int
    new: Some
    gone: Some
    changed: Some
    old_gaps: int
    new_gaps: int
    now_match: Some | None
    match_no_more: Some | None

    @property
    def differs(self) -> bool:
        """Whether anything does."""
        both = (self.new, self.gone, self.changed, self.now_match, self.match_no_more)
        return any(some is not None and some.count for some in both)


def compare(old: Path, new: Path, *, limit: int = 20) -> Comparison:
    """Compare two states of a dataset.

    Args:
        old: an audit's folder, or a file of kept fingerprints.
        new: the same of a later state.
        limit: the most names to give of each kind.

    Raises:
        OutputMismatch, OutputUnreadable, OutputBusy: one is no finished audit.
        SourceError: one is no file of kept fingerprints, or is damaged.
    """
    key = secrets.token_bytes(16)
    one, other = _Side(old, key), _Side(new, key)
    added = ~np.isin(other.contents, one.contents)
    gone = ~np.isin(one.contents, other.contents)
    changed = added & np.isin(other.names, one.names[gone])
    replaced = gone & np.isin(one.names, other.names[added])
    now, no_more = _matches(one, other, limit)
    return Comparison(
        old_items=len(one.names),
        new_items=len(other.names),
        same=int(np.count_nonzero(~added)),
        new=other.some(added & ~changed, limit),
        gone=one.some(gone & ~replaced, limit),
        changed=other.some(changed, limit),
        old_gaps=one.gaps,
        new_gaps=other.gaps,
        now_match=now,
        match_no_more=no_more,
    )


@dataclass(slots=True)
class _Side:
    """One of the two states: of each item a hash of its name, and one of its content."""

    path: Path
    key: bytes = field(repr=False)
    results: Results | None = field(init=False)
    gaps: int = field(init=False, default=0)
    names: NDArray[np.uint64] = field(init=False, repr=False)
    contents: NDArray[np.uint64] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.results = Results.open(self.path) if self.path.is_dir() else None
        names, contents = array("Q"), array("Q")
        for row in self._rows():
            if row.gap is not None:
                self.gaps += row.gap.count
            else:
                names.append(self._hash(row.name.encode()))
                contents.append(self._hash(row.proof))
                if isinstance(row.outcome, Fingerprint):
                    self.gaps += sum(gap.count for gap in gaps_within(row.name, row.outcome))
        self.names = np.frombuffer(names, np.uint64)
        self.contents = np.frombuffer(contents, np.uint64)
        if self.results is not None:
            self.gaps = sum(gap.count for gap in self.results.gaps())

    def _rows(self) -> Iterator[KeptRow]:
        return kept_rows(str(self.path)) if self.results is None else self.results.rows()

    def _hash(self, value: bytes) -> int:
        return int.from_bytes(blake2b(value, digest_size=_HASH_BYTES, key=self.key).digest())

    def some(self, which: NDArray[np.bool_], limit: int) -> Some:
        wanted = iter(np.flatnonzero(which)[:limit].tolist())
        names, at, left = [], next(wanted, None), 0
        for row in self._rows() if at is not None else ():
            if row.gap is not None:
                continue
            if left == at:
                names.append(f"{row.shard}/{row.name}" if row.shard else row.name)
                at = next(wanted, None)
                if at is None:
                    break
            left += 1
        return Some(int(np.count_nonzero(which)), names)


def _matches(one: _Side, other: _Side, limit: int) -> tuple[Some | None, Some | None]:
    if one.results is None or other.results is None:
        return None, None
    found = [
        {row.sha256 or row.item: f"{row.shard}/{row.item}" for row in side.matches()}
        for side in (one.results, other.results)
    ]
    before, after = found
    now = [after[key] for key in after if key not in before]
    no_more = [before[key] for key in before if key not in after]
    return Some(len(now), now[:limit]), Some(len(no_more), no_more[:limit])
