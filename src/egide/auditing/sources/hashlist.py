"""A hash list: audit files that somebody else has hashed, without the files."""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO, cast

from egide.auditing.sources.base import Item, Other, Shard
from egide.auditing.sources.location import open_binary, whole_file
from egide.errors import (
    HashKindUnsure,
    LineError,
    ListUnreadable,
    SchemaTooNew,
    SourceTruncated,
    SourceUnreadable,
)
from egide.hashlist import BadLine, Cut, HashLine, read_hash_list

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egide.domain.model import Limits


class HashListSource:
    """One list is one shard; each line is an item. Without pixels there are no transforms."""

    kind = "hashlist"

    def __init__(self, url: str, name: str) -> None:
        self.url = url
        self.name = name

    def shards(self) -> Iterator[Shard]:
        """Plan the list as one shard."""
        yield whole_file(self.kind, self.url, self.name)

    @staticmethod
    def read(shard: Shard, limits: Limits) -> Iterator[Item | Other]:  # noqa: ARG004 - no files
        """Yield each line.

        Raises:
            SourceUnreadable: a newer Egide wrote the list, or it is no list.
            SourceTruncated: it ends too early.
        """
        with open_binary(shard.url) as stream:
            try:
                for line in read_hash_list(cast("BinaryIO", stream), name=shard.name):
                    name = f"{line.unit} {line.line}"
                    if isinstance(line, HashLine):
                        yield Item(name, line.fingerprint())
                    elif isinstance(line, Cut):
                        raise SourceTruncated(name=shard.name, items=line.line, reason=line.reason)
                    elif isinstance(line, BadLine):
                        yield Item(name, LineError(line=line.line, reason=line.reason))
                    elif line.alone:
                        reason = f"a {line.kind}, which Egide cannot search"
                        yield Item(name, LineError(line=line.line, reason=reason))
            except (SchemaTooNew, HashKindUnsure, ListUnreadable) as error:
                raise SourceUnreadable(name=shard.name, reason=str(error)) from error
