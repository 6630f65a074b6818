"""What an audit keeps of each item: a row, as a value and as columns of a table.

Its fingerprint, or what was not looked at instead. What becomes of a row depends on the register
alone; so an audit that goes on after this stage needs neither the item nor its pixels again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from egide.auditing.sources.base import Item, Rows, printable
from egide.auditing.sources.kept_checks import require_row
from egide.domain.coverage import Gap, GapKind
from egide.domain.model import (
    DIGEST_SIGNALS,
    FILE_SIGNALS,
    PDQ_BYTES,
    SIGNAL_BYTES,
    TRANSFORMS,
    URL_SIGNALS,
    AnchoredQuery,
    Fingerprint,
    Pdq,
    Rectangle,
    Region,
    Signal,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from egide.auditing.sources.base import Read


@dataclass(frozen=True, slots=True)
class KeptRow:
    """What became of one thing that a source yielded.

    Attributes:
        number: its position in the shard.
        thing: what was read; an item without its bytes.
        outcome: of an item, its fingerprint or the gap that it left; else None.
        size: bytes of an item that were read; None of a fingerprint from a list.
        count: how many of the kind, for files that are no pictures.
        shard: its name in reports, of a row that was kept.
        unread_sha256: of an item whose bytes were there, and gave no fingerprint.
    """

    number: int
    thing: Read
    outcome: Fingerprint | Gap | None = None
    size: int | None = None
    count: int = 1
    shard: str = ""
    unread_sha256: bytes | None = None

    @property
    def gap(self) -> Gap | None:
        """What was not looked at, if it is that."""
        found = self.thing if isinstance(self.thing, Gap) else self.outcome
        return found if isinstance(found, Gap) else None

    @property
    def sha256(self) -> bytes | None:
        """Of its bytes, or as a list gives it; None if it is not known."""
        return self.outcome.sha256 if isinstance(self.outcome, Fingerprint) else self.unread_sha256

    @property
    def name(self) -> str:
        """Of the item, gap or table, as any table can hold it."""
        assert isinstance(self.thing, Item | Gap | Rows)  # the others have none
        return printable(self.thing.name)

    @property
    def proof(self) -> bytes:
        """What of it goes into the digest of a dataset: that of its bytes, if it is known."""
        if isinstance(self.thing, Rows):
            return self.thing.proof()
        if (gap := self.gap) is not None:
            return gap.code.encode()
        assert isinstance(self.outcome, Fingerprint)
        print_ = self.outcome
        if print_.sha256 or print_.frames:
            return print_.sha256 or b"".join(frame.code for frame in print_.frames)
        return b"".join(digest for signal in DIGEST_SIGNALS for digest in print_.digests(signal))


def to_table(rows: Sequence[KeptRow], shard: str, metadata: dict[bytes, bytes]) -> Any:
    """Return rows as an Arrow table.

    Args:
        rows: of items, gaps and tables; files that are no pictures have none.
        shard: its name in reports.
        metadata: to go with it.
    """
    import pyarrow as pa

    shown = printable(shard)
    values = [_values(row) | {"shard": shown} for row in rows]
    schema = kept_schema()
    columns = [
        pa.array([each.get(name) for each in values], kind)
        for name, kind in zip(schema.names, schema.types, strict=True)
    ]
    return pa.table(columns, schema=schema.with_metadata(metadata))


def from_table(table: Any) -> Iterator[KeptRow]:
    """Yield the rows that an Arrow table of `kept_schema` holds.

    Raises:
        ValueError, KeyError, TypeError: what stands there is no such row.
    """
    for values in table.to_pylist():
        require_row(values)
        yield _row(values)


def _values(row: KeptRow) -> dict[str, Any]:
    values: dict[str, Any] = {"number": row.number, "item": row.name, "size": row.size}
    if isinstance(row.thing, Rows):
        return values | {"offset": row.thing.first, "table": _table_values(row.thing)}
    if isinstance(row.thing, Item):
        item = row.thing
        values |= {
            "is_item": True,
            "key": None if item.key is None else printable(item.key),
            "offset": item.offset,
            "beside": item.beside,
        }
    if (gap := row.gap) is not None:
        return values | {
            "gap_kind": gap.kind.value,
            "gap_code": gap.code,
            "gap_message": printable(gap.message),
            "gap_count": gap.count,
            "sha256": row.unread_sha256,
        }
    assert isinstance(row.outcome, Fingerprint)
    return values | _print_values(row.outcome)


def _print_values(print_: Fingerprint) -> dict[str, Any]:
    values: dict[str, Any] = {signal.value: getattr(print_, signal) for signal in FILE_SIGNALS}
    values |= {signal.value: b"".join(getattr(print_, signal)) or None for signal in URL_SIGNALS}
    pdqs = [*print_.frames, *(region.pdq for region in print_.regions)]
    values |= {
        "width": print_.width,
        "height": print_.height,
        "frames_skipped": print_.frames_skipped,
        "share_read": print_.share_read,
        "codes": b"".join(pdq.variants or pdq.code for pdq in pdqs),
        "frames": [_pdq_values(frame) for frame in print_.frames],
    }
    if print_.regions:
        values["regions"] = [
            _pdq_values(region.pdq)
            | {
                "frame": region.frame,
                "trimmed": region.trimmed,
                "left": region.rectangle.left,
                "top": region.rectangle.top,
                "width": region.rectangle.width,
                "height": region.rectangle.height,
            }
            for region in print_.regions
        ]
    if (anchored := print_.anchored) is not None:
        values["anchored"] = anchored.codes
        values["anchored_regions"] = anchored.regions
        values["anchored_version"] = anchored.version
    return values


def _pdq_values(pdq: Pdq) -> dict[str, Any]:
    return {"quality": pdq.quality, "codes": len(pdq.variants or pdq.code) // PDQ_BYTES}


def _table_values(rows: Rows) -> dict[str, Any]:
    return {
        "paths": rows.paths,
        "prefix": rows.prefix,
        "aside": rows.aside,
        "beside": sorted(rows.beside),
        "signals": [
            {
                "signal": signal.value,
                "rows": np.array(places, "<i4").tobytes(),
                "values": b"".join(rows.values[signal]),
            }
            for signal, places in rows.rows.items()
        ],
    }


def _row(values: dict[str, Any]) -> KeptRow:
    number, name, shard = values["number"], values["item"], values["shard"]
    if values["table"] is not None:
        table = _rows(name, values["offset"], values["table"])
        return KeptRow(number, table, shard=shard)
    gap = None
    if values["gap_kind"] is not None:
        kind = GapKind(values["gap_kind"])
        gap = Gap(kind, name, values["gap_code"], values["gap_message"], values["gap_count"])
    if not values["is_item"]:
        if gap is None:
            raise ValueError("a row is neither an item nor a gap")
        return KeptRow(number, gap, shard=shard)
    item = Item(name, b"", values["key"], values["offset"], values["beside"])
    if gap is not None:
        unread = values["sha256"]
        return KeptRow(number, item, gap, values["size"], shard=shard, unread_sha256=unread)
    return KeptRow(number, item, _print(values), values["size"], shard=shard)


def _print(values: dict[str, Any]) -> Fingerprint:
    codes = _Codes(values["codes"])
    frames = tuple(codes.take(frame) for frame in values["frames"])
    regions = tuple(
        Region(
            region["frame"],
            Rectangle(region["left"], region["top"], region["width"], region["height"]),
            codes.take(region),
            region["trimmed"],
        )
        for region in values["regions"] or ()
    )
    codes.end()
    anchored = None
    if values["anchored"] is not None:
        if len(values["anchored"]) != PDQ_BYTES * len(values["anchored_regions"]):
            raise ValueError("anchored hashes do not fit their regions")
        anchored = AnchoredQuery(
            values["anchored"], values["anchored_regions"], values["anchored_version"]
        )
    return Fingerprint(
        frames,
        sha256=values["sha256"],
        sha1=values["sha1"],
        md5=values["md5"],
        url_sha256=_split(values["url_sha256"] or b"", Signal.URL_SHA256),
        url_md5=_split(values["url_md5"] or b"", Signal.URL_MD5),
        width=values["width"],
        height=values["height"],
        frames_skipped=values["frames_skipped"],
        share_read=values["share_read"],
        regions=regions,
        anchored=anchored,
    )


class _Codes:
    """Codes side by side, taken one by one."""

    def __init__(self, codes: bytes) -> None:
        self._codes = codes
        self._at = 0

    def take(self, values: dict[str, Any]) -> Pdq:
        size = values["codes"] * PDQ_BYTES
        taken = self._codes[self._at : self._at + size]
        if len(taken) != size or values["codes"] not in {1, len(TRANSFORMS)}:
            raise ValueError("codes do not fit their frames")
        self._at += size
        variants = taken if values["codes"] > 1 else b""
        return Pdq(taken[:PDQ_BYTES], values["quality"], variants)

    def end(self) -> None:
        """Check that all were taken."""
        if self._at != len(self._codes):
            raise ValueError("there are more codes than frames")


def _rows(name: str, first: int, table: dict[str, Any]) -> Rows:
    signals = {Signal(each["signal"]): each for each in table["signals"]}
    return Rows(
        name,
        first,
        {signal: np.frombuffer(each["rows"], "<i4").tolist() for signal, each in signals.items()},
        {signal: [*_split(each["values"], signal)] for signal, each in signals.items()},
        table["paths"],
        table["prefix"],
        frozenset(table["beside"]),
        table["aside"],
    )


def _split(values: bytes, signal: Signal) -> tuple[bytes, ...]:
    size = SIGNAL_BYTES[signal]
    if len(values) % size:
        raise ValueError("a digest is cut off")
    return tuple(values[at : at + size] for at in range(0, len(values), size))


def kept_schema() -> Any:
    """Return the Arrow schema of a file of kept fingerprints: one row an item."""
    import pyarrow as pa

    pdq = [pa.field("quality", pa.int16()), pa.field("codes", pa.int8())]
    place = [pa.field(name, pa.int32()) for name in ("left", "top", "width", "height")]
    region = [*pdq, pa.field("frame", pa.int32()), pa.field("trimmed", pa.bool_()), *place]
    signal = [
        pa.field("signal", pa.string()),
        pa.field("rows", pa.binary()),
        pa.field("values", pa.binary()),
    ]
    table = [
        pa.field("paths", pa.string()),
        pa.field("prefix", pa.string()),
        pa.field("aside", pa.bool_()),
        pa.field("beside", pa.list_(pa.int64())),
        pa.field("signals", pa.list_(pa.struct(signal))),
    ]
    return pa.schema(
        [
            pa.field("shard", pa.string(), nullable=False),
            pa.field("number", pa.int64(), nullable=False),
            pa.field("item", pa.string(), nullable=False),
            pa.field("is_item", pa.bool_()),
            pa.field("key", pa.string()),
            pa.field("offset", pa.int64()),
            pa.field("beside", pa.int64()),
            pa.field("size", pa.int64()),
            *(pa.field(signal.value, pa.binary(SIGNAL_BYTES[signal])) for signal in FILE_SIGNALS),
            *(pa.field(signal.value, pa.binary()) for signal in URL_SIGNALS),
            pa.field("width", pa.int32()),
            pa.field("height", pa.int32()),
            pa.field("frames_skipped", pa.int32()),
            pa.field("share_read", pa.float64()),
            pa.field("codes", pa.binary()),
            pa.field("frames", pa.list_(pa.struct(pdq))),
            pa.field("regions", pa.list_(pa.struct(region))),
            pa.field("anchored", pa.binary()),
            pa.field("anchored_regions", pa.binary()),
            pa.field("anchored_version", pa.int16()),
            pa.field("gap_kind", pa.string()),
            pa.field("gap_code", pa.string()),
            pa.field("gap_message", pa.string()),
            pa.field("gap_count", pa.int64()),
            pa.field("table", pa.struct(table)),
        ]
    )
