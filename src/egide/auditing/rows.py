"""What an audit finds, as values and as table schemas: matches and unreadable items."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from egide.errors import EgideError


@dataclass(frozen=True, slots=True)
class MatchRow:
    """An item of the dataset met an entry of a bank: one row of `matches.parquet`.

    Attributes:
        item, shard: names, as the source gives them.
        key: webdataset key or Parquet column; `offset`: of the bytes in a tar, or the row.
        signal, transform, trust: values of the enumerations of those names in `egide.model`.
        distance: in bits; 0 for an exact digest, None for keypoints.
        frame: which frame of the item, 0 for a still picture.
        sha256: of the item's bytes, hexadecimal; None where only a hash list was audited.
    """

    item: str
    shard: str
    key: str | None
    offset: int | None
    entry: int
    bank: str
    signal: str
    distance: int | None
    transform: str
    frame: int
    trust: str
    sha256: str | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class UnreadableRow:
    """An item that could not be compared, and why: one row of `unreadable.parquet`."""

    item: str
    shard: str
    code: str
    message: str


Finding = MatchRow | UnreadableRow


def unreadable_row(item: str, shard: str, error: EgideError) -> UnreadableRow:
    """Turn an error into its row."""
    return UnreadableRow(
        item=printable(item), shard=printable(shard), code=error.code, message=printable(str(error))
    )


def printable(name: str) -> str:
    """Return a name that every table can hold: undecodable bytes of a path become escapes."""
    return name.encode("utf-8", "backslashreplace").decode("utf-8")


def match_schema() -> Any:
    """Return the Arrow schema of `matches.parquet`."""
    import pyarrow as pa

    return pa.schema(
        [
            pa.field("item", pa.string(), nullable=False),
            pa.field("shard", pa.string(), nullable=False),
            pa.field("key", pa.string()),
            pa.field("offset", pa.int64()),
            pa.field("entry", pa.int64(), nullable=False),
            pa.field("bank", pa.string(), nullable=False),
            pa.field("signal", pa.string(), nullable=False),
            pa.field("distance", pa.int16()),
            pa.field("transform", pa.string(), nullable=False),
            pa.field("frame", pa.int32(), nullable=False),
            pa.field("trust", pa.string(), nullable=False),
            pa.field("sha256", pa.string()),
        ]
    )


def unreadable_schema() -> Any:
    """Return the Arrow schema of `unreadable.parquet`."""
    import pyarrow as pa

    return pa.schema(
        [
            pa.field(name, pa.string(), nullable=False)
            for name in ("item", "shard", "code", "message")
        ]
    )
