"""First stage of an audit: read the items of a shard, and compute their fingerprints."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from egide.auditing.sources import Columns, Item, Other, Rows, read_shard
from egide.auditing.sources.kept_rows import KeptRow
from egide.compiled import count_picture
from egide.domain.coverage import Gap, GapKind
from egide.domain.model import Fingerprint, Signal
from egide.errors import ItemError, SourceError, SourceTruncated
from egide.hashing import fingerprint_or_error

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

    from egide.auditing.sources import Read, Shard
    from egide.domain.model import Limits, Mode


@dataclass(frozen=True, slots=True)
class Fingerprinter:
    """Turns the items of shards into rows. The same on a laptop and on a cluster.

    Attributes:
        digests: which digests of a file to compute besides SHA-256.
        anchored: also compute anchored hashes.
        keypoints: also compute keypoints.
        on_item: called before each item is read, with its number in the shard and the bytes so
            far.
    """

    mode: Mode
    limits: Limits
    digests: Collection[Signal]
    anchored: bool = False
    keypoints: bool = False
    on_item: Callable[[int, int], None] = lambda _number, _bytes: None

    def rows(
        self,
        shard: Shard,
        poisoned: Mapping[int, type[ItemError]] | None = None,
        stop_at: int | None = None,
        start: int = 0,
    ) -> Iterator[KeptRow]:
        """Yield a row for each item from `start` on.

        Args:
            shard: what to read.
            poisoned: errors, by number, of items that crashed a worker before; they become
                gaps without being decoded again.
            stop_at: stop before this item, because reading it crashed a worker.
            start: the number of the first item that no row exists of.
        """
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
                if number >= start:
                    yield self._row(number, item, (poisoned or {}).get(number))
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
        yield KeptRow(number, gap)

    def _row(self, number: int, item: Read, poison: type[ItemError] | None) -> KeptRow:
        if isinstance(item, Other):
            return KeptRow(number, item, count=item.count)
        if isinstance(item, Columns | Rows | Gap):
            return KeptRow(number, item)
        if poison is not None:
            error = poison(name=item.name, limit_s=self.limits.item_timeout_s)
            outcome: Fingerprint | Gap = Gap.of(item.name, error)
        else:
            outcome = self._fingerprint(item)
        size = unread = None
        if isinstance(item.content, bytes):
            size = len(item.content)
            if isinstance(outcome, Gap):  # a proof of the set counts it by its bytes
                unread = hashlib.sha256(item.content).digest()
        # The bytes are not needed any more: hundreds of rows stand in memory.
        bare = Item(item.name, b"", item.key, item.offset, item.beside)
        return KeptRow(number, bare, outcome, size, unread_sha256=unread)

    def _fingerprint(self, item: Item) -> Fingerprint | Gap:
        if isinstance(item.content, Fingerprint):
            # A file of kept fingerprints may have more than is asked for.
            if self.anchored or item.content.anchored is None:
                return item.content
            return replace(item.content, anchored=None)
        if isinstance(item.content, ItemError):
            return Gap.of(item.name, item.content)
        if self.anchored:
            count_picture()
        made = fingerprint_or_error(
            item.content,
            name=item.name,
            mode=self.mode,
            limits=self.limits,
            md5=Signal.MD5 in self.digests,
            sha1=Signal.SHA1 in self.digests,
            keypoints=self.keypoints,
            anchored=self.anchored,
        )
        return made if isinstance(made, Fingerprint) else Gap.of(item.name, made)
