"""Do the work on one shard, in both stages: the same in a worker and on a cluster."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from egide.auditing.again import carry_over
from egide.auditing.kept_files import KeptFiles, KeptWriter
from egide.auditing.parts import Kept, read_kept, write_part
from egide.auditing.reading import Fingerprinter
from egide.auditing.scan import Scanner
from egide.domain.model import Limits, Mode, Signal
from egide.errors import OutputUnreadable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from egide.auditing.again import Recent
    from egide.auditing.scan import Lookup, Part
    from egide.auditing.sources import Shard
    from egide.auditing.sources.kept_rows import KeptRow
    from egide.errors import ItemError


@dataclass(frozen=True, slots=True)
class ShardWork:
    """How the shards of one audit are read, and where their files are. Plain data, as JSON.

    Attributes:
        parts: folder of the parts.
        fingerprints: folder of the kept fingerprints; None to keep none.
        digests: computed of each file besides SHA-256.
        anchored: also compute anchored hashes.
        keypoints: also compute keypoints. They are not kept, so that what has no part yet is read
            again.
    """

    parts: Path
    fingerprints: Path | None
    mode: Mode
    limits: Limits
    digests: tuple[Signal, ...]
    anchored: bool
    keypoints: bool

    def to_json(self) -> dict[str, Any]:
        """Return the work as plain values."""
        fingerprints = None if self.fingerprints is None else str(self.fingerprints)
        return asdict(self) | {"parts": str(self.parts), "fingerprints": fingerprints}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> ShardWork:
        """Make the work from the values of `to_json`."""
        fingerprints = values["fingerprints"]
        return cls(
            parts=Path(values["parts"]),
            fingerprints=None if fingerprints is None else Path(fingerprints),
            mode=Mode(values["mode"]),
            limits=Limits(**values["limits"]),
            digests=tuple(map(Signal, values["digests"])),
            anchored=values["anchored"],
            keypoints=values["keypoints"],
        )

    def scan(
        self,
        shard_id: str,
        shard: Shard,
        kept_id: str,
        lookup: Lookup | None,
        *,
        on_item: Callable[[int, int], None],
        poisoned: Mapping[int, type[ItemError]],
        stop_at: int | None,
    ) -> None:
        """Write what is missing of a shard's kept fingerprints and parts.

        Args:
            shard_id: of its parts.
            shard: to read.
            kept_id: of its kept fingerprints.
            lookup: what to compare with; None leaves it to `gather`.
            on_item: called before each item is read, and with -1 while rows are compared.
            poisoned: see `Fingerprinter.rows`.
            stop_at: see there.

        Raises:
            OutputUnwritable: the disk is full, or a folder cannot be written.
        """
        found, kept = resume(self, shard_id, kept_id)
        if found.complete and (kept is None or kept.complete):
            return
        reader = Fingerprinter(
            mode=self.mode,
            limits=self.limits,
            digests=self.digests,
            anchored=self.anchored,
            keypoints=self.keypoints,
            on_item=on_item,
        )
        start = found.position if self.keypoints or kept is None else kept.position
        rows = reader.rows(shard, poisoned, stop_at, start)
        if lookup is None:
            assert kept is not None  # else nothing would come of it
            if kept.complete:
                return
            writer = KeptWriter(kept, shard.name)
            for _ in writer.keeping(rows):
                if writer.full:
                    writer.flush()
            writer.flush()
            return
        if kept is None:
            self._write(shard_id, shard, found, rows, lookup, on_item)
            return
        if not self.keypoints:
            rows = chain(kept.rows(found.position), () if kept.complete else rows)
        try:
            self._write(shard_id, shard, found, rows, lookup, on_item, KeptWriter(kept, shard.name))
        except OutputUnreadable:  # they are only a copy: read the shard again
            kept.discard()
            self.scan(
                shard_id,
                shard,
                kept_id,
                lookup,
                on_item=on_item,
                poisoned=poisoned,
                stop_at=stop_at,
            )

    def carry_over(
        self,
        before_id: str,
        shard_id: str,
        shard: Shard,
        kept_id: str,
        lookup: Lookup,
        recent: Recent,
    ) -> bool:
        """Make the parts of an unchanged shard from those of the last audit, where that is enough.

        Returns:
            whether they are all there now; else `scan` makes what is missing.

        Raises:
            OutputUnwritable: the disk is full, or a folder cannot be written.
        """
        _, kept = resume(self, shard_id, kept_id)
        if kept is not None and kept.complete:
            scanner = Scanner(lookup, self.anchored, self.keypoints)
            with suppress(OutputUnreadable):  # `scan` finds it so, and reads the shard again
                return carry_over(
                    self.parts, before_id, shard_id, shard.name, kept, scanner, recent
                )
        return False

    def gather(
        self, shard_id: str, shard: Shard, kept_id: str, lookup: Lookup
    ) -> Iterator[tuple[int, Part]]:
        """Yield the missing parts of a shard, all of whose fingerprints are kept, with numbers.

        They are not compared yet, and not written: see `Part.conclude` and `write_part`.

        Raises:
            OutputUnreadable: a kept file is damaged.
        """
        found, kept = resume(self, shard_id, kept_id)
        assert kept is not None
        if not found.complete:
            scanner = Scanner(lookup, self.anchored)
            parts = scanner.parts(
                shard.name, kept.rows(found.position), found.total("incomparable")
            )
            yield from enumerate(parts, len(found.parts))

    def _write(
        self,
        shard_id: str,
        shard: Shard,
        found: Kept,
        rows: Iterable[KeptRow],
        lookup: Lookup,
        on_item: Callable[[int, int], None],
        writer: KeptWriter | None = None,
    ) -> None:
        scanner = Scanner(lookup, self.anchored, self.keypoints, lambda: on_item(-1, 0))
        if writer is not None:
            rows = writer.keeping(rows)
        parts = scanner.parts(shard.name, rows, found.total("incomparable"))
        for number, part in enumerate(parts, len(found.parts)):
            scanner.match(part, shard.name)
            if writer is not None:
                writer.flush()  # first: a part that exists is done
            write_part(self.parts, shard_id, number, part)


def resume(work: ShardWork, shard_id: str, kept_id: str) -> tuple[Kept, KeptFiles | None]:
    """Find what is on disk of a shard: parts, and fingerprints if any are kept.

    Parts that go further than the kept fingerprints do not count.
    """
    found = read_kept(work.parts, shard_id)
    if work.fingerprints is None:
        return found, None
    kept = KeptFiles.find(work.fingerprints, kept_id)
    if kept.position < found.position or (found.complete and not kept.complete):
        found = Kept(())
    return found, kept
