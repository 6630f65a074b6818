"""Second stage of an audit: compare the rows of a shard with the register, and count."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from egide.auditing.rows import GapRow, MatchRow, gap_row, match_row
from egide.auditing.sources import Columns, Item, Other, Rows
from egide.domain.coverage import Gap, GapKind, gaps_within
from egide.domain.model import DIGEST_SIGNALS, PDQ_BYTES, Fingerprint, Signal
from egide.domain.veto import weigh
from egide.errors import ValueMissing
from egide.matching import Matcher

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

    from egide.auditing.sources.kept_rows import KeptRow
    from egide.domain.model import Match
    from egide.matching import ThoroughMatcher

PART_ITEMS = 512
"""Items per part file: a killed audit repeats at most this many per worker, and rows do not fill
memory. A part is searched at once: 8 codes an item are enough to spread the cost of a search."""
BATCH_ITEMS_WITH_KEYPOINTS = 64
"""Smaller with keypoints: they take up to a third of a megabyte an item, searched one by one."""

_NONE_HOLDS = (
    "no bank that is searched holds hashes or addresses of the kinds that they have: fetch the "
    "pictures and audit those, or import a list that has them"
)


@dataclass(slots=True)
class Part:
    """The result of up to `PART_ITEMS` items of a shard.

    Attributes:
        position: where it ends in the shard, in items and other files.
        last: whether it is the last part of the shard.
        items: all files that are or claim to be pictures: `hashed`, and gaps of that kind.
        not_matchable: hashed, but of too low a quality for PDQ; only exact digests were compared.
        not_enough_detail: hashed, but with too few keypoints for a search by keypoints.
        without_anchored: hashed, but without anchored hashes, where they were to be searched for.
        vetoed_items: items of which a negative bank vetoes every match.
        compared: rows of tables and lists, counted by each signal that they were compared by.
        others: files that are not pictures, counted by suffix.
        gaps: what was not looked at, counted by kind in its own unit; `gap_rows` say it.
        columns: what came of those of the tables that were read to their end.
        digest: SHA-256 over name and content digest of each item in order.
        hits: the numbers of items that any entry meets, of negative banks too.
        tables: whether it has rows of tables, which are counted by what the banks hold.
        incomparable: rows of them that no entry can match; the last part has a gap for all.
        asked: what is to be compared, and was not yet.
    """

    position: int = 0
    last: bool = False
    items: int = 0
    hashed: int = 0
    not_matchable: int = 0
    not_enough_detail: int = 0
    without_anchored: int = 0
    matched_items: int = 0
    vetoed_items: int = 0
    compared: Counter[str] = field(default_factory=Counter)
    bytes: int = 0
    others: Counter[str] = field(default_factory=Counter)
    gaps: Counter[str] = field(default_factory=Counter)
    columns: list[Columns] = field(default_factory=list)
    digest: str = ""
    hits: list[int] = field(default_factory=list)
    tables: bool = False
    incomparable: int = 0
    matches: list[MatchRow] = field(default_factory=list)
    vetoed: list[MatchRow] = field(default_factory=list)
    gap_rows: list[GapRow] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)

    @property
    def full(self) -> bool:
        """Whether the next item belongs to the next part."""
        return self.hashed + len(self.gap_rows) >= PART_ITEMS

    def conclude(self, found: Sequence[list[Match]], shard: str) -> None:
        """Take in what was found for `asked`, in its order.

        Args:
            found: the matches of each.
            shard: its name in reports.
        """
        weighed = [(asked, weigh(each)) for asked, each in zip(self.asked, found, strict=True)]
        self.hits += [asked.number for asked, each in zip(self.asked, found, strict=True) if each]
        matched = {
            asked.item.offset
            for asked, each in weighed
            if each.standing and asked.item.beside is None
        }
        for asked, each in weighed:
            item, print_ = asked.item, asked.print_
            alone = item.beside is None
            self.matched_items += bool(each.standing) and (alone or item.beside not in matched)
            self.vetoed_items += alone and bool(each.vetoed and not each.standing)
            self.matches.extend(match_row(item, shard, print_, match) for match in each.standing)
            self.vetoed.extend(
                match_row(item, shard, print_, match, each.vetoes) for match in each.vetoed
            )
        self.asked.clear()

    def add_gap(self, gap: Gap, shard: str) -> None:
        """Count a gap, and keep its row."""
        self.items += gap.count if gap.kind is GapKind.ITEM else 0
        self.gaps[gap.kind.value] += gap.count
        self.gap_rows.append(gap_row(gap, shard))

    def counts(self) -> dict[str, Any]:
        """Return the numbers without the rows, as plain values."""
        return {
            "position": self.position,
            "last": self.last,
            "items": self.items,
            "hashed": self.hashed,
            "unreadable": self.items - self.hashed,
            "rows": len(self.matches) + len(self.vetoed) + len(self.gap_rows),
            "not_matchable": self.not_matchable,
            "not_enough_detail": self.not_enough_detail,
            "without_anchored": self.without_anchored,
            "matched_items": self.matched_items,
            "vetoed_items": self.vetoed_items,
            "compared": dict(self.compared),
            "matches": len(self.matches),
            "bytes": self.bytes,
            "others": dict(self.others),
            "gaps": dict(self.gaps),
            "columns": [asdict(columns) for columns in self.columns],
            "digest": self.digest,
            "hits": self.hits,
            "tables": self.tables,
            "incomparable": self.incomparable,
        }


class Lookup(Protocol):
    """What rows are compared with: the banks of a register, here or elsewhere."""

    @property
    def held(self) -> Collection[Signal]:
        """The signals of which the searched banks hold any."""
        ...

    def match(self, fingerprints: Sequence[Fingerprint]) -> list[list[Match]]:
        """Match some fingerprints, as `egide.matching.Matcher.match` does."""
        ...

    def find(self, signal: Signal, values: Sequence[bytes]) -> Collection[int]:
        """Return the positions of values that some entry may have; the others match nothing."""
        ...


@dataclass(frozen=True, slots=True)
class Banks:
    """The banks of a snapshot."""

    matcher: Matcher | ThoroughMatcher
    held: Collection[Signal]

    def match(self, fingerprints: Sequence[Fingerprint]) -> list[list[Match]]:
        """Match some fingerprints."""
        return self.matcher.match(fingerprints)

    def find(self, signal: Signal, values: Sequence[bytes]) -> Collection[int]:
        """Return the positions of values that some entry may have."""
        first = self.matcher if isinstance(self.matcher, Matcher) else self.matcher.matcher
        if signal is not Signal.PDQ:
            found = first.searched.find_digests(signal, values).query
        else:
            queries = np.frombuffer(b"".join(values), np.uint8).reshape(-1, PDQ_BYTES)
            found = first.searched.search(queries, first.radius_bits).query
        return set(found.tolist())


@dataclass(frozen=True, slots=True)
class Scanner:
    """Turns the rows of shards into parts: second stage of an audit.

    Attributes:
        lookup: what rows are compared with.
        anchored: whether anchored hashes were computed.
        keypoints: whether keypoints were computed; `lookup` must be able to search them.
        on_match: called before rows are compared.
    """

    lookup: Lookup
    anchored: bool = False
    keypoints: bool = False
    on_match: Callable[[], None] = lambda: None

    def parts(self, shard: str, rows: Iterable[KeptRow], incomparable: int = 0) -> Iterator[Part]:
        """Yield the parts of one shard, the same ones wherever an earlier scan stopped.

        Args:
            shard: its name in reports.
            rows: of the shard, from the `position` of the last existing part on.
            incomparable: what the existing parts count of it.

        Yields:
            counts and rows; what was not looked at is a row. What is `asked` is left to `match`.
        """
        part, digest = Part(), hashlib.sha256()
        for row in rows:
            thing, outcome = row.thing, row.outcome
            if isinstance(thing, Other):
                part.others[thing.suffix] += row.count
                continue
            if isinstance(thing, Columns):
                part.columns.append(thing)
                continue
            if part.full:
                part.position, part.digest = row.number, digest.hexdigest()
                yield part
                part, digest = Part(), hashlib.sha256()
            if isinstance(thing, Rows):
                none = self._join(row.number, thing, part)
                part.incomparable += none
                incomparable += none
                digest.update(row.proof)
                continue
            part.bytes += row.size or 0
            if isinstance(outcome, Fingerprint):
                assert isinstance(thing, Item)  # of nothing else is one made
                self._count(part, row.size, outcome)
                part.asked.append(Asked(row.number, thing, outcome))
                for gap in gaps_within(row.name, outcome):
                    part.add_gap(gap, shard)
            else:
                assert row.gap is not None  # only of an Other
                part.add_gap(row.gap, shard)
            digest.update(row.name.encode() + b"\0" + row.proof + b"\n")
            if self.keypoints and len(part.asked) >= BATCH_ITEMS_WITH_KEYPOINTS:
                self.match(part, shard)
        if incomparable:
            missing = ValueMissing(name=f"{shard}, {incomparable:,} rows", reason=_NONE_HOLDS)
            part.add_gap(Gap.of(shard, missing, GapKind.ROW, count=incomparable), shard)
        part.last, part.digest = True, digest.hexdigest()
        yield part

    def compare(self, shard: str, rows: Iterable[KeptRow]) -> Part:
        """Compare some items of a part, and nothing else of it.

        Args:
            shard: its name in reports.
            rows: of items with a fingerprint.

        Returns:
            matches and their counts; all other counts are 0.
        """
        part = Part()
        for row in rows:
            assert isinstance(row.thing, Item)
            assert isinstance(row.outcome, Fingerprint)
            part.asked.append(Asked(row.number, row.thing, row.outcome))
        self.match(part, shard)
        return part

    def _count(self, part: Part, size: int | None, print_: Fingerprint) -> None:
        if size is None:  # of a list: it says by what it was compared
            for signal in DIGEST_SIGNALS:
                if print_.digests(signal):
                    part.compared[signal.value] += 1
            part.compared[Signal.PDQ.value] += bool(print_.frames)
        part.items += 1
        part.hashed += 1
        part.not_matchable += not print_.matchable and bool(print_.frames)
        part.without_anchored += self.anchored and print_.anchored is None
        keypoints = print_.keypoints
        part.not_enough_detail += keypoints is not None and not keypoints.straight.searchable

    def match(self, part: Part, shard: str) -> None:
        """Compare what a part has to be compared."""
        self.on_match()
        part.conclude(self.lookup.match([asked.print_ for asked in part.asked]), shard)

    def _join(self, number: int, rows: Rows, part: Part) -> int:
        """Look up the rows of a table, and add those that are found to what is to be compared.

        Returns:
            how many rows no entry can match, of those that are no picture's.
        """
        part.tables = True
        compared: set[int] = set()
        hits: set[int] = set()
        for signal, places in rows.rows.items():
            if signal not in self.lookup.held:
                continue
            held = set(places)
            part.compared[signal.value] += len(held)
            compared |= held
            hits.update(places[at] for at in self.lookup.find(signal, rows.values[signal]))
        part.items += len(compared - rows.beside)
        part.hashed += len(compared - rows.beside)
        part.asked += [
            Asked(number, item, item.content)
            for row in sorted(hits)
            for item in rows.item(row)
            if isinstance(item.content, Fingerprint)
        ]
        if rows.aside:
            return 0
        return len(set().union(*rows.rows.values()) - compared - rows.beside)


@dataclass(frozen=True, slots=True)
class Asked:
    """An item that waits to be matched, with its number in the shard."""

    number: int
    item: Item
    print_: Fingerprint
