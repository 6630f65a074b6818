"""Sources of items: one module per kind, and one function that picks it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egide.auditing.sources.arrow import ArrowSource
from egide.auditing.sources.base import Columns, Item, Other, Read, Rows, Shard, Source
from egide.auditing.sources.encoded import begins_picture
from egide.auditing.sources.folder import FileSource, FolderSource
from egide.auditing.sources.hashlist import HashListSource
from egide.auditing.sources.kept_source import KeptSource, is_kept
from egide.auditing.sources.location import (
    access,
    endpoints,
    is_local,
    is_prefix,
    open_binary,
    open_filesystem,
    stat,
    variables_for,
)
from egide.auditing.sources.metadata import (
    TABLE_SUFFIXES,
    MetadataSource,
    is_metadata,
    names_hashes,
)
from egide.auditing.sources.nested import look_beside
from egide.auditing.sources.packed import PackedSource
from egide.auditing.sources.parquet import ParquetSource
from egide.auditing.sources.records import RecordSource
from egide.auditing.sources.tar import TarSource
from egide.auditing.sources.within import PIECE_BYTES, TEXT_SUFFIXES
from egide.auditing.sources.zip import ZipSource
from egide.errors import SourceUnsupported
from egide.media.containers import (
    HEAD_BYTES,
    IMAGE_SUFFIXES,
    Kind,
    kind_by_name,
    kind_of,
    named,
    named_by_suffix,
    suffix_of,
)
from egide.media.formats import sniff

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from egide.domain.model import Limits

__all__ = [
    "Columns",
    "Item",
    "Other",
    "Read",
    "Rows",
    "Shard",
    "Source",
    "access",
    "endpoints",
    "is_local",
    "look_beside",
    "open_source",
    "read_shard",
    "variables_for",
]

_KINDS: dict[str, type[Source]] = {
    kind.kind: kind
    for kind in (
        *(FolderSource, FileSource, HashListSource, MetadataSource, KeptSource),
        *(TarSource, ZipSource, PackedSource, ParquetSource, ArrowSource, RecordSource),
    )
}
_HASH_LIST_SUFFIXES = (
    ".csv",
    ".tsv",
    ".txt",
    ".hashes",
    ".json",
    ".xml",
    ".csv.gz",
    ".txt.gz",
    ".json.gz",
    ".xml.gz",
)


def open_source(address: str, columns: Sequence[str] = ()) -> Source:
    """Return the source for a path or URL, chosen by its type, then by its name and first bytes.

    Raises:
        SourceMissing, SourceUnreadable, SourceUnsupported, ProtocolUnsupported.
    """
    name = address.rstrip("/") or address
    open_filesystem(address)
    if is_prefix(address) or stat(address)["type"] == "directory":
        return FolderSource(address, name, lambda url, label: _in_folder(url, label, columns))
    if is_kept(address):
        return KeptSource(address, name)
    if not columns and is_metadata(address):
        return MetadataSource(address, name)
    if (source := _archive(address, name, columns)) is not None:
        return source
    if address.lower().endswith(_HASH_LIST_SUFFIXES) and not _begins_pictures(address):
        return HashListSource(address, name)
    if suffix_of(address) in IMAGE_SUFFIXES:
        return FileSource(address, name)
    with open_binary(address) as stream:
        head = stream.read(HEAD_BYTES)
    if (kind := kind_of(head)) is not None and named(address, head) is None:
        return _of_kind(kind, address, name, columns)
    if sniff(head) is not None or named(address, head) or named_by_suffix(address):
        return FileSource(address, name)
    if suffix_of(address) in TEXT_SUFFIXES or address.lower().endswith(_HASH_LIST_SUFFIXES):
        return FileSource(address, name)
    raise SourceUnsupported(name=address, reason="its name has none of their suffixes")


def read_shard(shard: Shard, limits: Limits) -> Iterator[Read]:
    """Read a shard with the source of its kind."""
    return _KINDS[shard.kind].read(shard, limits)


def _in_folder(address: str, name: str, columns: Sequence[str]) -> Source | None:
    """The same of a file in a folder, and of a table of hashes or addresses there."""
    if is_kept(address):
        return KeptSource(address, name)
    if not columns and address.lower().endswith(TABLE_SUFFIXES):
        return MetadataSource(address, name) if names_hashes(address) else None
    return _archive(address, name, columns)


def _archive(address: str, name: str, columns: Sequence[str]) -> Source | None:
    """The source of a file whose name is an archive's or a table's; None for another."""
    kind = kind_by_name(address)
    return None if kind is None else _of_kind(kind, address, name, columns)


def _begins_pictures(address: str) -> bool:
    """Whether a text has pictures in it, and is no list of hashes."""
    with open_binary(address) as stream:
        return begins_picture(stream.read(PIECE_BYTES).replace(b"\0", b""))


def _of_kind(kind: Kind, address: str, name: str, columns: Sequence[str]) -> Source:
    if kind is Kind.PARQUET and not columns and is_metadata(address):
        return MetadataSource(address, name)
    if kind is Kind.PARQUET:
        return ParquetSource(address, name, columns)
    if kind is Kind.ARROW:
        return ArrowSource(address, name, columns)
    if kind is Kind.RECORDS:
        return RecordSource(address, name)
    if kind is Kind.ZIP:
        return ZipSource(address, name)
    return TarSource(address, name) if kind is Kind.TAR else PackedSource(address, name)
