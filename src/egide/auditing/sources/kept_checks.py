"""Whether what a file of kept fingerprints says can be: it may come from anybody.

A row that says something impossible would change what is said of the whole set: rows that nobody
compared would count as compared, or fewer than none would be missing.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from egide.domain.model import (
    ANCHORED_VERSION,
    DIGEST_SIGNALS,
    MAX_ANCHORED_QUERY,
    MAX_REGIONS,
    PDQ_BYTES,
    SIGNAL_BYTES,
    Signal,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

_MOST = 2**48
"""More of anything is in no set."""
_ROW_BYTES = 4
_CODE = re.compile(r"[a-z0-9-]{1,64}")
_OF_ROWS = {signal.value for signal in (*DIGEST_SIGNALS, Signal.PDQ)}
_TEXTS = ("paths", "prefix")
_POSITIONS = ("first", "position", "rows")


def require_row(values: Mapping[str, Any]) -> None:
    """Check the columns of a row.

    Raises:
        ValueError: they cannot be; the message says which.
    """
    _require(_counts(values["number"]), "number")
    _require(values["size"] is None or _counts(values["size"]), "size")
    kind, code = values["gap_kind"], values["gap_code"]
    _require((kind is None) == (code is None), "gap")
    if kind is not None:
        count = values["gap_count"]
        _require(bool(_CODE.fullmatch(code)) and isinstance(values["gap_message"], str), "gap")
        _require(_counts(count) and count > 0, "gap_count")
    elif values["table"] is not None:
        _require(_counts(values["offset"]), "offset")
        _require_table(values["table"])
    elif values["is_item"]:
        _require_print(values)


def require_head(head: Mapping[str, Any], *, of_a_shard: bool) -> None:
    """Check what a file says of itself.

    Args:
        head: as JSON gave it.
        of_a_shard: it is one of the files of a shard, in an audit's folder.

    Raises:
        ValueError: it cannot be; the message says what.
    """
    _require(_counted(head.get("others", {})), "others")
    columns = head.get("columns", [])
    _require(isinstance(columns, list), "columns")
    for each in columns:
        _require(isinstance(each, dict) and _counted(each.get("taken")), "columns")
        _require(_are_texts(each.get("empty")) and _are_texts(each.get("left")), "columns")
    if of_a_shard:
        _require(all(_counts(head.get(name)) for name in _POSITIONS), "position")
        flags = (head.get("last"), head.get("transient"))
        _require(all(isinstance(flag, bool) for flag in flags), "flags")


def _require_print(values: Mapping[str, Any]) -> None:
    sizes = ("width", "height", "frames_skipped")
    _require(all(_counts(values[name]) for name in sizes), "frames_skipped")
    share = values["share_read"]
    _require(isinstance(share, float) and 0 <= share <= 1, "share_read")  # NaN is neither
    regions = values["regions"] or ()
    _require(len(regions) <= MAX_REGIONS, "regions")
    for each in regions:
        _require(all(_counts(each[name]) for name in ("frame", "left", "top")), "regions")
        _require(min(each["width"], each["height"]) > 0, "regions")
    if (anchored := values["anchored"]) is not None:
        most = MAX_ANCHORED_QUERY * PDQ_BYTES
        _require(values["anchored_version"] == ANCHORED_VERSION, "anchored_version")
        _require(0 < len(anchored) <= most, "anchored")


def _require_table(table: Mapping[str, Any]) -> None:
    _require(all(isinstance(table[name], str) for name in _TEXTS), "table")
    _require(isinstance(table["aside"], bool), "table")
    _require(all(map(_counts, table["beside"])), "table")
    names = [each["signal"] for each in table["signals"]]
    _require(len(set(names)) == len(names) and set(names) <= _OF_ROWS, "signal")
    for each in table["signals"]:
        rows, values = each["rows"], each["values"]
        size = SIGNAL_BYTES[Signal(each["signal"])]
        whole = not (len(rows) % _ROW_BYTES or len(values) % size)
        _require(whole and len(rows) // _ROW_BYTES == len(values) // size, "values")
        # Little-endian and signed: the highest bit of the last byte is that of a negative number.
        _require(all(byte < 0x80 for byte in rows[_ROW_BYTES - 1 :: _ROW_BYTES]), "rows")


def _require(holds: bool, what: str) -> None:
    if not holds:
        raise ValueError(f"{what} cannot be")


def _counts(value: object) -> bool:
    return type(value) is int and 0 <= value <= _MOST


def _counted(values: object) -> bool:
    return isinstance(values, dict) and all(map(_counts, values.values()))


def _are_texts(values: object) -> bool:
    return isinstance(values, list) and all(isinstance(value, str) for value in values)
