"""Scan one shard: items → fingerprints → matches. The same on a laptop and on a cluster."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from egide.auditing.rows import GapRow, MatchRow, gap_row, match_row, printable
from egide.auditing.sources import Columns, Item, Other, Rows, read_shard
from egide.compiled import count_picture
from egide.domain.coverage import Gap, GapKind, gaps_within
from egide.domain.model import DIGEST_SIGNALS, PDQ_BYTES, Fingerprint, Signal
from egide.domain.veto import weigh
from egide.errors import DecodeFailed, ItemError, SourceError, SourceTruncated, ValueMissing
from egide.hashing import fingerprint
from egide.matching import Matcher

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

    from egide.auditing.sources import Read, Shard
    from egide.domain.model import Limits, Mode
    from egide.matching import ThoroughMatcher

Outcome = Fingerprint | Gap | None
"""A fingerprint, what was not looked at instead, or None for a file that is not a picture."""
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
    matches: list[MatchRow] = field(default_factory=list)
    vetoed: list[MatchRow] = field(default_factory=list)
    gap_rows: list[GapRow] = field(default_factory=list)

    @property
    def full(self) -> bool:
        """Whether the next item belongs to the next part."""
        return self.hashed + len(self.gap_rows) >= PART_ITEMS

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
        }


@dataclass(frozen=True, slots=True)
class Scanner:
    """Scans the shards of one audit.

    Attributes:
        held: the signals of which the searched banks hold any.
        anchored: also compute anchored hashes.
        keypoints: also compute keypoints; `matcher` must be able to search them.
        on_item: called before each item is read, with its number in the shard and the bytes so
            far; and with -1 while the scanner does other work.
    """

    matcher: Matcher | ThoroughMatcher
    mode: Mode
    limits: Limits
    held: Collection[Signal]
    anchored: bool = False
    keypoints: bool = False
    on_item: Callable[[int, int], None] = lambda _number, _bytes: None

    def scan(
        self,
        shard: Shard,
        poisoned: Mapping[int, type[ItemError]] | None = None,
        stop_at: int | None = None,
        start: int = 0,
    ) -> Iterator[Part]:
        """Scan one shard and yield its parts, the same ones wherever an earlier scan stopped.

        Args:
            shard: what to read.
            poisoned: errors, by number, of items that crashed a worker before; they become
                gaps without being decoded again.
            stop_at: stop before this item, because reading it crashed a worker.
            start: the `position` of the last existing part.

        Yields:
            counts and rows; what was not looked at is a row.
        """
        part, digest = Part(), hashlib.sha256()
        batch: list[tuple[Item, Fingerprint]] = []
        incomparable = 0
        for number, item, outcome in self._read(shard, poisoned or {}, stop_at, start):
            if isinstance(item, Other):
                part.others[item.suffix] += 1
                continue
            if isinstance(item, Columns):
                part.columns.append(item)
                continue
            if part.full:
                self._match(batch, shard, part)
                part.position, part.digest = number, digest.hexdigest()
                yield part
                part, digest = Part(), hashlib.sha256()
            if isinstance(item, Rows):
                incomparable += self._join(item, batch, part)
                digest.update(item.proof())
                continue
            if isinstance(item, Item) and isinstance(item.content, Fingerprint):
                part.compared.update(
                    signal.value for signal in DIGEST_SIGNALS if item.content.digests(signal)
                )
                part.compared[Signal.PDQ.value] += bool(item.content.frames)
            if isinstance(item, Item) and isinstance(item.content, bytes):
                part.bytes += len(item.content)
            if isinstance(outcome, Fingerprint):
                assert isinstance(item, Item)  # of nothing else is one made
                part.items += 1
                part.hashed += 1
                part.not_matchable += not outcome.matchable and bool(outcome.frames)
                part.without_anchored += self.anchored and outcome.anchored is None
                keypoints = outcome.keypoints
                part.not_enough_detail += (
                    keypoints is not None and not keypoints.straight.searchable
                )
                proof = _proof(outcome)
                batch.append((item, outcome))
                for gap in gaps_within(item.name, outcome):
                    part.add_gap(gap, shard.name)
            else:
                assert outcome is not None  # only of an Other
                part.add_gap(outcome, shard.name)
                proof = outcome.code.encode()
            digest.update(printable(item.name).encode() + b"\0" + proof + b"\n")
            if self.keypoints and len(batch) >= BATCH_ITEMS_WITH_KEYPOINTS:
                self._match(batch, shard, part)
        if incomparable:
            missing = ValueMissing(name=f"{shard.name}, {incomparable:,} rows", reason=_NONE_HOLDS)
            part.add_gap(Gap.of(shard.name, missing, GapKind.ROW, count=incomparable), shard.name)
        self._match(batch, shard, part)
        part.last, part.digest = True, digest.hexdigest()
        yield part

    def _read(
        self,
        shard: Shard,
        poisoned: Mapping[int, type[ItemError]],
        stop_at: int | None,
        start: int,
    ) -> Iterator[tuple[int, Read, Outcome]]:
        """Yield number, item and outcome of each item from `start` on."""
        number = bytes_read = 0
        try:
            items = read_shard(shard, self.limits)
            while True:
                if number == stop_at:
                    reason = "reading further crashed or took too long"
                    raise SourceTruncated(name=shard.name, items=number, reason=reason)
                self.on_item(number, bytes_read)
                item = next(items, None)
                if item is None:
                    return
                if isinstance(item, Item) and isinstance(item.content, bytes):
                    bytes_read += len(item.content)
                if number < start:
                    pass  # an existing part holds it
                elif isinstance(item, Other | Columns | Rows):
                    yield number, item, None
                elif isinstance(item, Gap):
                    yield number, item, item
                elif number in poisoned:
                    kind = poisoned[number]
                    error = kind(name=item.name, limit_s=self.limits.item_timeout_s)
                    yield number, item, Gap.of(item.name, error)
                else:
                    yield number, item, self._fingerprint(item)
                number += 1
        except SourceError as error:
            ended: SourceError = error
        except MemoryError:
            reason = "reading it needs more memory than EGIDE_WORKER_MEMORY_BYTES"
            ended = SourceTruncated(name=shard.name, items=number, reason=reason)
        except Exception as error:  # noqa: BLE001 - hostile archives make readers raise anything
            reason = f"reading cannot continue, {type(error).__name__}"
            ended = SourceTruncated(name=shard.name, items=number, reason=reason)
        named_and_unread = not (shard.within or shard.start or number)
        gap = Gap.of(shard.name, ended, GapKind.SOURCE if named_and_unread else None)
        yield number, gap, gap

    def _fingerprint(self, item: Item) -> Fingerprint | Gap:
        if isinstance(item.content, Fingerprint):
            return item.content
        if isinstance(item.content, ItemError):
            return Gap.of(item.name, item.content)
        if self.anchored:
            count_picture()
        try:
            return fingerprint(
                item.content,
                name=item.name,
                mode=self.mode,
                limits=self.limits,
                md5=Signal.MD5 in self.held,
                sha1=Signal.SHA1 in self.held,
                keypoints=self.keypoints,
                anchored=self.anchored,
            )
        except ItemError as error:
            failed = error
        except MemoryError:
            reason = "it needs more memory than EGIDE_WORKER_MEMORY_BYTES"
            failed = DecodeFailed(name=item.name, reason=reason)
        except Exception as error:  # noqa: BLE001 - one item must not end the audit
            failed = DecodeFailed(name=item.name, reason=f"unexpectedly, {type(error).__name__}")
        return Gap.of(item.name, failed)

    def _join(self, rows: Rows, batch: list[tuple[Item, Fingerprint]], part: Part) -> int:
        """Look up the rows of a table, and add those that are found to a batch.

        Returns:
            how many rows no entry can match, of those that are no picture's.
        """
        first = self.matcher if isinstance(self.matcher, Matcher) else self.matcher.matcher
        searched = first.searched
        compared: set[int] = set()
        hits: set[int] = set()
        for signal, places in rows.rows.items():
            values = rows.values[signal]
            if signal not in self.held:
                continue
            if signal is Signal.PDQ:
                queries = np.frombuffer(b"".join(values), np.uint8).reshape(-1, PDQ_BYTES)
                found = searched.search(queries, first.radius_bits).query
            else:
                found = searched.find_digests(signal, values).query
            held = set(places)
            part.compared[signal.value] += len(held)
            compared |= held
            hits.update(places[at] for at in found.tolist())
        part.items += len(compared - rows.beside)
        part.hashed += len(compared - rows.beside)
        batch += [
            (item, item.content)
            for row in sorted(hits)
            for item in rows.item(row)
            if isinstance(item.content, Fingerprint)
        ]
        if rows.aside:
            return 0
        return len(set().union(*rows.rows.values()) - compared - rows.beside)

    def _match(self, batch: list[tuple[Item, Fingerprint]], shard: Shard, part: Part) -> None:
        self.on_item(-1, 0)
        found = self.matcher.match([print_ for _, print_ in batch])
        weighed = [
            (item, print_, weigh(matches))
            for (item, print_), matches in zip(batch, found, strict=True)
        ]
        matched = {
            item.offset for item, _, each in weighed if each.standing and item.beside is None
        }
        for item, print_, each in weighed:
            alone = item.beside is None
            part.matched_items += bool(each.standing) and (alone or item.beside not in matched)
            part.vetoed_items += alone and bool(each.vetoed and not each.standing)
            part.matches.extend(
                match_row(item, shard.name, print_, match) for match in each.standing
            )
            part.vetoed.extend(
                match_row(item, shard.name, print_, match, each.vetoes) for match in each.vetoed
            )
        batch.clear()


def _proof(print_: Fingerprint) -> bytes:
    """What of an item goes into the digest of a dataset: that of its bytes, if it is known."""
    if print_.sha256 or print_.frames:
        return print_.sha256 or b"".join(frame.code for frame in print_.frames)
    return b"".join(digest for signal in DIGEST_SIGNALS for digest in print_.digests(signal))
