"""What one record of a list holds, be it JSON or XML: an object with hashes and a status.

Two shapes are known. Either the record names the kind of its one value (StopNCII, Tech Against
Terrorism, ThreatExchange), or its fields are kinds (Project VIC, NCMEC, `egide hash`).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from egide.domain.model import MIN_MATCHABLE_QUALITY, BankKind, Signal
from egide.errors import HashInvalid, LineError
from egide.hashlist.addresses import canonical_address
from egide.hashlist.values import (
    ADDRESS_COLUMNS,
    ADDRESS_TYPES,
    CLOSED_KINDS,
    HASH_COLUMNS,
    SIGNAL_TYPES,
    UNTOLD_HASH_COLUMNS,
    BadLine,
    NotTaken,
    Untold,
    is_ended,
    key_of,
    kind_of,
    line_with,
    meaningless,
    parse_any,
    parse_value,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from egide.hashlist.values import Read

UNIT = "record"

_TYPE_KEYS = ("signaltype", "hashtype", "algorithm", "indicatortype", "hashname", "type", "kind")
_VALUE_KEYS = ("signalstr", "signalvalue", "hashvalue", "hashdigest", "indicator", "value", "hash")
_BY_KEY = {key_of(name): signal for name, signal in SIGNAL_TYPES.items()}
_ADDRESSES = frozenset(map(key_of, ADDRESS_TYPES))
_HARMLESS = frozenset({"nonmalicious", "negativeclass"})
_CATEGORIES_TAKEN = frozenset({"1", "2", "3"})
"""Of Project VIC: 1 illegal, 2 exploitive, 3 drawn or computed; 0 is not yet sorted, and the others
are for comparison or are no match."""
_NOTHING = "no hash of a kind that Egide knows"


@dataclass(slots=True)
class _Found:
    """The values of one record so far."""

    held: list[tuple[Signal, bytes]] = field(default_factory=list, repr=False)
    untold: list[bytes] = field(default_factory=list, repr=False)
    closed: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def take(self, signal: Signal, text: object) -> None:
        """Take a value of a known kind, if it is one."""
        if text is None or text == "":
            return
        try:
            value = parse_value(str(text), signal)
        except HashInvalid as error:
            self.wrong.append(str(error))
            return
        reason = meaningless(value, signal)
        if reason is not None:
            self.wrong.append(reason)
        else:
            self.held.append((signal, value))

    def take_untold(self, text: object) -> None:
        """Take a value of which only the length tells its kind."""
        value = parse_any(str(text))
        if value is None:
            self.wrong.append("not a value of 32, 40 or 64 hexadecimal digits")
        elif (signal := kind_of(value)) is None:
            self.untold.append(value)
        else:
            self.take(signal, text)

    def take_address(self, text: object) -> None:
        """Take the digest of an address."""
        address = canonical_address(str(text))
        if address is None:
            self.wrong.append("not the address of something on the web: http:// or https://")
        else:
            self.held.append((Signal.URL_SHA256, sha256(address.encode()).digest()))

    def take_kind(self, kind: str, text: object) -> bool:
        """Take a value whose kind is named; return whether the name is known."""
        if (signal := _BY_KEY.get(kind)) is not None and signal is not Signal.ANCHORED:
            self.take(signal, text)
        elif (closed := CLOSED_KINDS.get(kind)) is not None:
            self.closed.append(closed)
        elif kind in _ADDRESSES:
            self.take_address(text)
        else:
            return False
        return True


def read_record(
    number: int, record: Mapping[str, Any], *, signal: Signal | None = None, unit: str = UNIT
) -> Iterator[Read | Untold]:
    """What a record holds: a line, what was not taken beside it, or why it is left out.

    Args:
        number: of the record, from 1.
        record: with strings, numbers, lists and records as values.
        signal: the kind of a value whose kind the record does not tell.
        unit: `record`, or `line` where each line is one.
    """
    values = {key_of(name): value for name, value in record.items()}
    found = _Found()
    reason = _left_out(values) or _take_all(values, found, signal)
    harmless = any(
        key_of(str(values.get(key, ""))) in _HARMLESS
        for key in ("status", "category", "signalcategory")
    )
    said = BankKind.NEGATIVE if harmless else None
    ended = is_ended(values) or _all_cases_ended(values.get("casenumbers"))
    for closed in found.closed:
        yield NotTaken(number, closed, not (found.held or found.untold), unit)
    if reason is None:
        reason = _too_plain(values, found)
    if reason is None and found.held:
        quality = _quality(values.get("quality"))
        line = line_with(number, found.held, unit=unit, quality=quality, ended=ended)
        yield replace(line, said=said)
    elif reason is None and found.untold:
        for value in found.untold:
            line = line_with(number, (), unit=unit, ended=ended)
            yield Untold(replace(line, said=said), value)
    elif reason is not None or not found.closed:
        # The values of a record are never quoted; its first fault is.
        why = reason or next(iter(found.wrong), _NOTHING)
        code = HashInvalid.code if found.wrong else LineError.code
        yield BadLine(number, why, code, unit)
        return
    for why in found.wrong:
        yield BadLine(number, why, HashInvalid.code, unit)


def _take_all(values: Mapping[str, Any], found: _Found, signal: Signal | None) -> str | None:
    """Take every value of a record; return why the record is left out, if it is."""
    kind = next((values[key] for key in _TYPE_KEYS if isinstance(values.get(key), str)), None)
    text = next((values[key] for key in _VALUE_KEYS if isinstance(values.get(key), str)), None)
    if kind is not None and text is not None and not any(key in HASH_COLUMNS for key in values):
        if not found.take_kind(key_of(kind), text):
            return f"{_NOTHING}: its type is another"
        return None
    for key, value in values.items():
        if key in {"hashes", "fingerprints", "frames"} and isinstance(value, list):
            _take_list(key, value, found, signal)
        elif isinstance(value, dict) and key in {"hashes", "fingerprint", "fingerprints"}:
            for name, each in value.items():
                _take_field(key_of(name), each, found)
        else:
            _take_field(key, value, found)
    untold = [values[key] for key in UNTOLD_HASH_COLUMNS if isinstance(values.get(key), str)]
    if not found.held and len(untold) == 1:
        if signal is not None:
            found.take(signal, untold[0])
        else:
            found.take_untold(untold[0])
    if not (found.held or found.untold or found.closed or found.wrong):
        for key in ADDRESS_COLUMNS:
            if isinstance(values.get(key), str):
                found.take_address(values[key])
                break
    return None


def _take_field(key: str, value: object, found: _Found) -> None:
    if (signal := HASH_COLUMNS.get(key)) is not None:
        for each in value if isinstance(value, list) else [value]:
            if isinstance(each, str):
                found.take(signal, each)
    elif key in CLOSED_KINDS and isinstance(value, str) and value:
        found.closed.append(CLOSED_KINDS[key])


def _take_list(key: str, items: list[Any], found: _Found, signal: Signal | None) -> None:
    for item in items:
        if isinstance(item, str):
            if signal is not None:
                found.take(signal, item)
            else:
                found.take_untold(item)
        if not isinstance(item, dict):
            continue
        named = {key_of(name): value for name, value in item.items()}
        if key == "frames":
            quality = _quality(named.get("quality"))
            if quality is None or quality >= MIN_MATCHABLE_QUALITY:
                found.take(Signal.PDQ, named.get("pdq"))
            continue
        kind = next((named[one] for one in _TYPE_KEYS if isinstance(named.get(one), str)), None)
        text = next((named[one] for one in _VALUE_KEYS if isinstance(named.get(one), str)), None)
        if kind is None or text is None or not found.take_kind(key_of(kind), text):
            found.wrong.append(f"{_NOTHING} in its list of hashes")


def _left_out(values: Mapping[str, Any]) -> str | None:
    """Why a record is no statement that its hashes are to be found, or None if it is."""
    if "error" in values and not values.get("sha256"):
        return "its file could not be hashed"
    category = values.get("category")
    is_vic = "mediaid" in values or "mediasize" in values
    if is_vic and category is not None and str(category) not in _CATEGORIES_TAKEN:
        return "its category says that it is not sorted yet, for comparison, or no match"
    return None


def _too_plain(values: Mapping[str, Any], found: _Found) -> str | None:
    """Drop a PDQ of too little detail; return why the record is left out if that was all."""
    quality = _quality(values.get("quality"))
    if quality is None or quality >= MIN_MATCHABLE_QUALITY or "frames" in values:
        return None
    kept = [one for one in found.held if one[0] is not Signal.PDQ]
    if len(kept) == len(found.held):
        return None
    found.held = kept
    return None if kept else f"quality under {MIN_MATCHABLE_QUALITY}: not matchable"


def _all_cases_ended(cases: object) -> bool:
    """Whether StopNCII says of each case that a hash belongs to that it has ended."""
    if not isinstance(cases, dict) or not cases:
        return False
    return all(is_ended({"status": status}) for status in cases.values())


def _quality(value: object) -> int | None:
    try:
        quality = int(str(value))
    except ValueError:
        return None
    return quality if 0 <= quality <= 100 else None
