"""A file of kept fingerprints: audit what was computed before, without the pictures."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from egide.auditing.sources.base import Columns, Expansion, Item, Other, Rows, Shard
from egide.auditing.sources.kept_checks import require_head
from egide.auditing.sources.kept_rows import from_table, kept_schema
from egide.auditing.sources.location import open_binary, stat, state_of
from egide.domain.coverage import Gap
from egide.errors import SourceTruncated, SourceUnreadable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from egide.auditing.sources.base import Read
    from egide.auditing.sources.kept_rows import KeptRow
    from egide.domain.model import Limits

HEAD = b"egide.kept"
KEPT_SCHEMA = 1
_RUN_ROWS = 8192
_BATCH_ROWS = 512


class KeptSource:
    """Runs of row groups; a row is an item. What was not looked at then is not looked at now."""

    kind = "fingerprints"

    def __init__(self, url: str, name: str) -> None:
        self.url = url
        self.name = name

    def shards(self) -> Iterator[Shard]:
        """Plan runs of row groups. Only the footer is read here.

        Raises:
            SourceUnreadable: it is damaged.
        """
        info = stat(self.url)
        with open_binary(self.url) as stream:
            file = _opened(stream, self.name)
            groups = file.metadata.num_row_groups
            per_run = max(1, _RUN_ROWS * groups // max(file.metadata.num_rows, 1))
        starts = range(0, max(groups, 1), per_run)
        for number, start in enumerate(starts):
            yield Shard(
                kind=self.kind,
                url=self.url,
                name=self.name if len(starts) == 1 else f"{self.name}#{number}",
                start=start,
                stop=min(start + per_run, groups) if len(starts) > 1 else 0,
                state=state_of(info),
                weight=int(info.get("size") or 0) // len(starts),
                share=len(starts),
            )

    @staticmethod
    def read(shard: Shard, limits: Limits) -> Iterator[Read]:
        """Yield what each row stands for.

        Raises:
            SourceUnreadable: it is damaged, or of another version of Egide.
            SourceTruncated: a row is wrong; those before it are valid.
        """
        import pyarrow as pa

        expansion = Expansion(shard, limits)
        with open_binary(shard.url) as stream:
            file = _opened(stream, shard.name)
            if not shard.start:
                yield from _counted(file.schema_arrow.metadata)
            groups = list(range(shard.start, shard.stop or file.metadata.num_row_groups))
            try:
                batches = file.iter_batches(_BATCH_ROWS, row_groups=groups) if groups else ()
                for batch in batches:
                    expansion.take(batch.nbytes)
                    for row in from_table(batch):
                        yield _thing(row)
                        expansion.items += 1
            except (pa.ArrowException, OSError, ValueError, KeyError, TypeError) as error:
                raise SourceTruncated(
                    name=shard.name, items=expansion.items, reason="its rows are damaged"
                ) from error


def kept_rows(url: str) -> Iterator[KeptRow]:
    """Yield the rows of a file of kept fingerprints.

    Raises:
        SourceMissing: there is none.
        SourceUnreadable: it is damaged, or another kind of file.
    """
    import pyarrow as pa

    with open_binary(url) as stream:
        file = _opened(stream, url)
        try:
            for batch in file.iter_batches(_BATCH_ROWS):
                yield from from_table(batch)
        except (pa.ArrowException, OSError, ValueError, KeyError, TypeError) as error:
            raise SourceUnreadable(name=url, reason="its rows are damaged") from error


def is_kept(url: str) -> bool:
    """Whether a file says that it is one of kept fingerprints."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not url.lower().endswith((".parquet", ".pq")):
        return False
    with open_binary(url) as stream:
        try:
            return HEAD in (pq.read_schema(stream).metadata or {})
        except (pa.ArrowException, OSError, ValueError):
            return False


def head_of(
    metadata: Mapping[bytes, bytes] | None, *, of_a_shard: bool = False
) -> dict[str, Any] | None:
    """Return what a file of kept fingerprints says of itself; None if it says nothing that can be.

    Args:
        metadata: of its schema.
        of_a_shard: see `require_head`.
    """
    try:
        head = json.loads((metadata or {}).get(HEAD, b""))
        if not isinstance(head, dict) or "schema_version" not in head:
            return None
        if head["schema_version"] == KEPT_SCHEMA:
            require_head(head, of_a_shard=of_a_shard)
    except (ValueError, RecursionError):
        return None
    return head


def _opened(stream: Any, name: str) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(stream, page_checksum_verification=True)
        schema = file.schema_arrow
    except (pa.ArrowException, OSError, ValueError) as error:
        raise SourceUnreadable(name=name, reason="it is cut off or damaged") from error
    head = head_of(schema.metadata)
    if head is None:
        raise SourceUnreadable(name=name, reason="it is no file of kept fingerprints")
    if head["schema_version"] != KEPT_SCHEMA:
        raise SourceUnreadable(name=name, reason="another version of Egide wrote it: hash anew")
    if not schema.equals(kept_schema()):
        raise SourceUnreadable(name=name, reason="its columns are not those of fingerprints")
    return file


def _counted(metadata: Mapping[bytes, bytes]) -> Iterator[Read]:
    """Files that were no pictures, and columns, which have no rows."""
    head = head_of(metadata) or {}
    for suffix, count in head.get("others", {}).items():
        yield Other(suffix, count)
    for columns in head.get("columns", ()):
        yield Columns(columns["taken"], tuple(columns["empty"]), tuple(columns["left"]))


def _thing(row: KeptRow) -> Read:
    """What a row stands for, by its name in the dataset that it is from."""
    within = f"{row.shard}/" if row.shard else ""
    if row.gap is not None:
        return replace(row.gap, name=within + row.gap.name)
    if isinstance(row.thing, Rows):
        return replace(row.thing, prefix=within + row.thing.prefix)
    assert isinstance(row.thing, Item)  # a row is nothing else
    assert not isinstance(row.outcome, Gap | None)
    return replace(row.thing, name=within + row.thing.name, content=row.outcome)
