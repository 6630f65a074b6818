"""The state of a run: what is planned, done and measured."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from egide.auditing.executors.base import Job
    from egide.auditing.parts import Kept
    from egide.auditing.sources import Shard

_SAMPLES = 200


@dataclass(frozen=True, slots=True)
class Progress:
    """Progress of an audit. Bytes are an estimate, from what the sources declare.

    Attributes:
        phase: `preparing` (opening the index), `listing`, `scanning` or `merging`.
        shards_kept, bytes_kept: from an earlier run; included in `shards_done`, `bytes_done`.
        items: read in this run.
        seconds: of scanning, in this run.
    """

    phase: str
    shards_done: int = 0
    shards_total: int = 0
    shards_kept: int = 0
    bytes_done: int = 0
    bytes_total: int = 0
    bytes_kept: int = 0
    items: int = 0
    matched_items: int = 0
    unreadable: int = 0
    seconds: float = 0.0


class Running:
    """One run of an audit.

    Attributes:
        started: when; entries that have expired by then do not match.
        workers: how many processes scan.
        shards: planned, of each source.
        source_ends: the number of the first shard after each source.
        scanned: items that were read in this run.
        rematched: items that were compared again by their kept fingerprints.
        kept_items: items that an earlier run of the same audit had compared.
        samples: of (seconds of scanning, items scanned).
    """

    def __init__(self, workers: int, report: Callable[[Progress], None]) -> None:
        """Start the clock."""
        self.started = datetime.now(UTC)
        self.workers = workers
        self.shards: Counter[int] = Counter()
        self.source_ends: list[int] = []
        self.kept = self.kept_items = 0
        self.scanned = self.rematched = 0
        self.scan_seconds = 0.0
        self.samples: list[tuple[float, int]] = []
        self._report = report
        self._began = time.monotonic()
        self._scan_began: float | None = None
        self._done = self._bytes_done = self._bytes_total = self._bytes_kept = 0
        self._matched = self._unreadable = 0

    @property
    def seconds(self) -> float:
        """Since the start."""
        return time.monotonic() - self._began

    def report(self, phase: str, flying_bytes: int = 0, flying_items: int = 0) -> None:
        """Say how far the run is, with what is read of unfinished shards."""
        self._report(
            Progress(
                phase=phase,
                shards_done=self._done,
                shards_total=self.source_ends[-1] if self.source_ends else 0,
                shards_kept=self.kept,
                bytes_done=self._bytes_done + flying_bytes,
                bytes_total=self._bytes_total,
                bytes_kept=self._bytes_kept,
                items=self.scanned + flying_items,
                matched_items=self._matched,
                unreadable=self._unreadable,
                seconds=self._scanning_s,
            )
        )

    def plan(self, source: int, shard: Shard) -> None:
        """Count a planned shard."""
        self.shards[source] += 1
        self._bytes_total += shard.weight
        if self.shards.total() % 100 == 0:
            self.report("listing")

    def end_source(self) -> None:
        """Note that all shards of a source are planned."""
        self.source_ends.append(self.shards.total())

    def begin_scan(self) -> None:
        """Start the clock of scanning."""
        self._scan_began = time.monotonic()
        self._sample(0)

    def take_over(self, shard: Shard, found: Kept) -> None:
        """Count what an earlier run left of a shard."""
        self.kept_items += found.total("items")
        taken_over = shard.weight if found.complete else found.total("bytes")
        self._bytes_done += taken_over
        self._bytes_kept += taken_over
        self.kept += found.complete

    def finish(self, found: Kept) -> None:
        """Count a shard whose parts are all there."""
        self._done += 1
        self._matched += found.total("matched_items")
        self._unreadable += found.total("unreadable")

    def scan(self, job: Job, after: Kept) -> None:
        """Count what this run read of a shard, and what it only compared again."""
        items = after.total("items") - job.kept.total("items")
        rematched = min(job.at_hand, items)
        self.rematched += rematched
        self.scanned += items - rematched
        self._bytes_done += job.shard.weight - job.kept.total("bytes")

    def tick(self, flying_bytes: int, flying_items: int) -> None:
        """Measure, and say how far the run is."""
        self._sample(flying_items)
        self.report("scanning", flying_bytes, flying_items)

    def end_scan(self) -> None:
        """Stop the clock of scanning."""
        self.scan_seconds = round(self._scanning_s, 3)
        # The last sample is the total, so that a chart of the samples has the same average.
        while len(self.samples) > 1 and self.samples[-1][0] >= self.scan_seconds:
            self.samples.pop()
        self.samples.append((self.scan_seconds, self.scanned))

    @property
    def _scanning_s(self) -> float:
        return 0.0 if self._scan_began is None else time.monotonic() - self._scan_began

    def _sample(self, flying_items: int) -> None:
        if len(self.samples) >= _SAMPLES:
            del self.samples[1::2]
        self.samples.append((round(self._scanning_s, 3), self.scanned + flying_items))
