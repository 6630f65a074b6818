"""Sources of items: one module per kind, and one function that picks it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egide.auditing.sources.base import (
    IMAGE_SUFFIXES,
    SNIFF_BYTES,
    TAR_SUFFIXES,
    Item,
    Other,
    Read,
    Shard,
    Source,
    is_archive,
    is_candidate,
    suffix_of,
)
from egide.auditing.sources.folder import FileSource, FolderSource
from egide.auditing.sources.hashlist import HashListSource
from egide.auditing.sources.location import (
    access,
    endpoints,
    is_prefix,
    open_binary,
    open_filesystem,
    stat,
    variables_for,
)
from egide.auditing.sources.parquet import ParquetSource
from egide.auditing.sources.tar import TarSource
from egide.auditing.sources.zip import ZipSource
from egide.errors import SourceUnsupported

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from egide.domain.model import Limits

__all__ = [
    "Item",
    "Other",
    "Read",
    "Shard",
    "Source",
    "access",
    "endpoints",
    "open_source",
    "read_shard",
    "variables_for",
]

_KINDS: dict[str, type[Source]] = {
    kind.kind: kind
    for kind in (FolderSource, FileSource, TarSource, ZipSource, ParquetSource, HashListSource)
}
_HASH_LIST_SUFFIXES = (".csv", ".txt", ".hashes")


def open_source(address: str, columns: Sequence[str] = ()) -> Source:
    """Return the source for a path or URL, chosen by its type, then by its name.

    Raises:
        SourceMissing, SourceUnreadable, SourceUnsupported, ProtocolUnsupported.
    """
    name = address.rstrip("/") or address
    open_filesystem(address)
    if is_prefix(address) or stat(address)["type"] == "directory":
        return FolderSource(address, name, lambda url, label: _archive(url, label, columns))
    if is_archive(address):
        return _archive(address, name, columns)
    if address.lower().endswith(_HASH_LIST_SUFFIXES):
        return HashListSource(address, name)
    if suffix_of(address) in IMAGE_SUFFIXES or _sniffs(address):
        return FileSource(address, name)
    raise SourceUnsupported(name=address, reason="its name has none of their suffixes")


def read_shard(shard: Shard, limits: Limits) -> Iterator[Read]:
    """Read a shard with the source of its kind."""
    return _KINDS[shard.kind].read(shard, limits)


def _archive(address: str, name: str, columns: Sequence[str]) -> Source:
    lower = address.lower()
    if lower.endswith(TAR_SUFFIXES):
        return TarSource(address, name)
    if lower.endswith(".zip"):
        return ZipSource(address, name)
    return ParquetSource(address, name, columns)


def _sniffs(address: str) -> bool:
    with open_binary(address) as stream:
        return is_candidate("", stream.read(SNIFF_BYTES))
