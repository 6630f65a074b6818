"""Add up the parts of an audit: counts and digests."""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from egide.auditing.rows import WAYS, MatchRow
from egide.domain.coverage import GapKind

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from egide.auditing.rows import Finding

SUMMARY_SCHEMA = 5
PURGE = "purge.json"
"""Left in an audit's folder by a purge of what it found."""
PURGE_SCHEMA = 1
MAX_COLUMNS = 100


@dataclass(frozen=True, slots=True)
class BankSummary:
    """A bank that was searched, at the revision of the audit."""

    name: str
    radius_bits: int
    entries: int


@dataclass(frozen=True, slots=True)
class SourceSummary:
    """A source as the caller named it."""

    name: str
    kind: str
    shards: int
    items: int


@dataclass(slots=True)
class GapSummary:
    """What was not looked at for one reason.

    Attributes:
        kind: a value of `egide.GapKind`, the unit of `count`.
        code: of the error.
        name, message: of the first one: why, and the remedy.
    """

    kind: str
    code: str
    count: int
    name: str
    message: str


@dataclass(frozen=True, slots=True)
class AnchoredSummary:
    """The search for parts of pictures by anchored hashes.

    Attributes:
        searched: whether it was asked for (`--thorough`), and not ruled out by a radius.
        entries: registered pictures that have anchored hashes, in the banks that were searched.
        items_without: items that have none: too little detail, or from a hash list.
    """

    searched: bool
    entries: int
    items_without: int


@dataclass(frozen=True, slots=True)
class KeypointsSummary:
    """The search for edited copies by keypoints.

    Attributes:
        searched: whether it was asked for (`--thorough`) and possible.
        code: of the error that prevented it, or None.
        pictures: registered pictures whose keypoints were searched.
        damaged: registered pictures whose keypoints could not be read.
        not_enough_detail: items with too few keypoints for the search.
    """

    searched: bool
    code: str | None
    pictures: int
    damaged: int
    not_enough_detail: int


@dataclass(frozen=True, slots=True)
class MatcherSummary:
    """The register elsewhere that compared the fingerprints, and kept its banks.

    Attributes:
        address: its URL.
        first_revision, last_revision: the earliest and the latest that it searched. Every item was
            compared with what was registered at the first, and some with what came after it.
    """

    address: str
    first_revision: int
    last_revision: int


@dataclass(frozen=True, slots=True)
class Searched:
    """What of a register was searched; its fields are fields of `AuditSummary` too."""

    anchored: AnchoredSummary
    patches: KeypointsSummary
    banks: list[BankSummary]
    banks_disabled: list[str]
    not_compared: str | None
    store_id: str
    store_revision: int
    store_revision_at: str
    kernel: str
    matcher: MatcherSummary | None


@dataclass(frozen=True, slots=True)
class AuditSummary:
    """The content of `summary.json`.

    Attributes:
        sentence: the result in words, with what was compared and what was not.
        items: all files that are or claim to be pictures: `hashed + unreadable`.
        vetoed_items: items of which a negative bank vetoes every match; see
            docs/decisions/0024-negative-banks.md.
        compared: rows of tables and lists, by each signal that they were compared by.
        not_matchable: hashed, of too low a PDQ quality; only exact digests were compared.
        ways: matches by the way they were found: see `egide.auditing.rows.WAYS`.
        distances: matches of digests and PDQ by distance in bits.
        radius_bits: the radius given for this audit, or None if each bank's own was used.
        gaps: what was not looked at, by kind and code, in the order of `GapKind`;
            `not_compared.parquet` has each.
        others: files that are not pictures, counted by suffix; they were not compared.
        columns: which columns of tables were compared, and which were not.
        dataset_sha256: over name and content digest of every item, in order.
        not_compared: why no entry was compared: `no-bank`, `bank-disabled`, `bank-empty` or
            `no-picture`; None if some were.
        banks_disabled: banks that were named for this audit but not searched.
        matcher: the register that was asked, with `--matcher`; None for a store on this machine.
        scanned_items: items that this run read itself; an earlier run read the others (`resumed`).
        scan_seconds: time of scanning alone; `items_per_s`: `scanned_items` per second of it.
        seconds: wall time of this run, with listing and merging.
        throughput: samples of (seconds of scanning, items scanned).
    """

    schema_version: int
    egide_version: str
    sentence: str
    items: int
    hashed: int
    unreadable: int
    not_matchable: int
    matched_items: int
    vetoed_items: int
    compared: dict[str, int]
    matches: int
    gaps: list[GapSummary]
    ways: dict[str, int]
    anchored: AnchoredSummary
    patches: KeypointsSummary
    radius_bits: int | None
    banks: list[BankSummary]
    banks_disabled: list[str]
    not_compared: str | None
    store_id: str
    store_revision: int
    store_revision_at: str
    kernel: str
    matcher: MatcherSummary | None
    mode: str
    workers: int
    seconds: float
    started_at: str
    finished_at: str
    sources: list[SourceSummary]
    dataset_sha256: str
    bytes: int
    others: dict[str, int]
    columns: ColumnsSummary
    versions: dict[str, str]
    distances: dict[str, int]
    throughput: list[tuple[float, int]]
    scanned_items: int
    scan_seconds: float
    items_per_s: float
    resumed: bool
    limits: dict[str, Any]

    def to_json(self) -> dict[str, Any]:
        """Return the summary as plain values."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class ColumnsSummary:
    """What came of the columns of all tables, by their paths, such as `images[].bytes`.

    Attributes:
        taken: by column, how many pictures, or rows with a hash or an address.
        empty: looked at, and none of their values is one of these.
        left: not looked at: of a type that holds none, or others were named with `--column`.
    """

    taken: dict[str, int]
    empty: list[str]
    left: list[str]


@dataclass(slots=True)
class Totals:
    """The sum of the parts so far.

    Attributes:
        source_ends: the number of the first shard after each source, in the order of the plan.
    """

    source_ends: list[int]
    source_items: Counter[int] = field(default_factory=Counter)
    items: int = 0
    hashed: int = 0
    unreadable: int = 0
    not_matchable: int = 0
    not_enough_detail: int = 0
    without_anchored: int = 0
    matched_items: int = 0
    vetoed_items: int = 0
    compared: Counter[str] = field(default_factory=Counter)
    matches: int = 0
    bytes: int = 0
    others: Counter[str] = field(default_factory=Counter)
    gaps: dict[tuple[str, str], GapSummary] = field(default_factory=dict)
    distances: Counter[int] = field(default_factory=Counter)
    ways: Counter[str] = field(default_factory=lambda: Counter(dict.fromkeys(WAYS, 0)))
    _taken: Counter[str] = field(default_factory=Counter)
    _empty: set[str] = field(default_factory=set)
    _left: set[str] = field(default_factory=set)
    _digest: Any = field(default_factory=hashlib.sha256, repr=False)
    _shards: int = 0

    def add_shard(self, parts: Sequence[Mapping[str, Any]]) -> None:
        """Add the counts of a shard's parts; shards come in the order of the plan."""
        source = bisect_right(self.source_ends, self._shards)
        self._shards += 1
        for counts in parts:
            self.source_items[source] += counts["items"]
            self.items += counts["items"]
            self.hashed += counts["hashed"]
            self.unreadable += counts["unreadable"]
            self.not_matchable += counts["not_matchable"]
            self.not_enough_detail += counts["not_enough_detail"]
            self.without_anchored += counts["without_anchored"]
            self.matched_items += counts["matched_items"]
            self.vetoed_items += counts["vetoed_items"]
            self.compared.update(counts["compared"])
            self.matches += counts["matches"]
            self.bytes += counts["bytes"]
            self.others.update(counts["others"])
            for columns in counts["columns"]:
                self._taken.update(columns["taken"])
                self._empty.update(columns["empty"])
                self._left.update(columns["left"])
            self._digest.update(bytes.fromhex(counts["digest"]))

    def add_finding(self, finding: Finding) -> None:
        """Count a match by its distance and the way it was found, a gap by its kind and code."""
        if isinstance(finding, MatchRow):
            self.ways[finding.way] += 1
            if finding.tier == 0 and finding.distance is not None:
                self.distances[finding.distance] += 1
            return
        gap = self.gaps.setdefault(
            (finding.kind, finding.code),
            GapSummary(finding.kind, finding.code, 0, finding.name, finding.message),
        )
        gap.count += finding.count

    def gaps_in_order(self) -> list[GapSummary]:
        """The gaps in the order of their kinds, the most frequent reason first."""
        order = list(GapKind)
        return sorted(
            self.gaps.values(), key=lambda gap: (order.index(GapKind(gap.kind)), -gap.count)
        )

    @property
    def dataset_sha256(self) -> str:
        """The digest over the parts' digests, hexadecimal."""
        return str(self._digest.hexdigest())

    @property
    def columns(self) -> ColumnsSummary:
        """What came of the columns; one that gave a picture anywhere was taken."""
        return ColumnsSummary(
            taken=dict(self._taken.most_common(MAX_COLUMNS)),
            empty=sorted(self._empty - self._taken.keys())[:MAX_COLUMNS],
            left=sorted(self._left)[:MAX_COLUMNS],
        )
