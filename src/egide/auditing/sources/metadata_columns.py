"""Tell what the columns of a table without pictures hold: by their names, and by first values."""

from __future__ import annotations

import csv
import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from egide.domain.model import SIGNAL_BYTES, Signal
from egide.hashlist.telling import kind_told
from egide.hashlist.values import (
    ADDRESS_COLUMNS,
    CLOSED_KINDS,
    HASH_COLUMNS,
    UNTOLD_HASH_COLUMNS,
    key_of,
    kind_of,
    parse_any,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

_SAMPLE = 1000
_MOST = 0.5
"""Of the first values that have to be alike, so that a column holds such values."""
_ONES = 128
_WORDS = "text"
_NO_HASHES = "its name says that it holds hashes or addresses, and its values are none"
_NUMBERS = "its name says that it holds hashes or addresses, and it holds numbers or other values"
_UNSURE = (
    "its values of 64 digits may be PDQ or SHA-256: name the column `pdq` or `sha256`, as they are"
)
_JSON_NAME = re.compile(r'"([^"\\]{1,200})"\s*:')


@dataclass(frozen=True, slots=True)
class Told:
    """What a column holds.

    Attributes:
        signal: of its values; None for addresses and for other values.
        size: bytes of a value.
        named: whether its name says that it holds hashes or addresses.
        undecided: it has no value yet.
        closed: the closed kind that its name tells.
        unsure: whether its values may be of two kinds.
        numbers: whether its values are no texts.
    """

    signal: Signal | None = None
    size: int = 0
    is_address: bool = False
    named: bool = False
    undecided: bool = False
    closed: str = ""
    unsure: bool = False
    numbers: bool = False

    @property
    def may_change(self) -> bool:
        """Whether later values may tell more: those so far are of no kind."""
        return self.signal is None and not (self.is_address or self.closed or self.numbers)

    @property
    def reason(self) -> str:
        """Why it is not compared, though its name or its values promise something; or empty."""
        if self.signal is not None or self.is_address:
            return ""
        if self.closed:
            return f"it holds {self.closed}, which Egide cannot search"
        if self.numbers:
            return _NUMBERS
        if self.unsure:
            return _UNSURE
        return _NO_HASHES if self.named else ""


def tell(values: Sequence[str | bytes], path: str) -> Told:
    """Tell what a column holds.

    Args:
        values: the first that are neither null nor empty.
        path: of the column; its last part is its name.
    """
    key = key_of(path.replace("[]", "").rpartition(".")[2])
    by_name = HASH_COLUMNS.get(key)
    named = by_name is not None or key in UNTOLD_HASH_COLUMNS or key in ADDRESS_COLUMNS
    if not values:
        return Told(named=named, undecided=True)
    if CLOSED_KINDS.get(key, _WORDS) != _WORDS:  # a caption is no hash
        return Told(closed=CLOSED_KINDS[key], named=True)
    sample = values[:_SAMPLE]
    enough = _MOST * len(sample)
    addresses = sum(isinstance(value, str) and _is_address(value) for value in sample)
    if addresses >= enough:
        return Told(is_address=True, named=named)
    parsed = [value if isinstance(value, bytes) else parse_any(value) for value in sample]
    sizes = Counter(len(value) for value in parsed if value is not None)
    size, count = sizes.most_common(1)[0] if sizes else (0, 0)
    if count < enough or (by_name is None and not named and _are_uuids(sample)):
        return Told(named=named)
    if by_name is not None and SIGNAL_BYTES[by_name] == size:
        return Told(by_name, size, named=True)
    signal = kind_of(bytes(size))
    if signal is None:
        held = [value for value in parsed if value is not None and len(value) == size]
        ones = sum(int.from_bytes(value).bit_count() == _ONES for value in held)
        signal = kind_told(ones, len(held))
    return Told(signal, size, named=named, unsure=signal is None)


def _is_address(text: str) -> bool:
    return text.lstrip()[:8].lower().startswith(("http://", "https://"))


def _are_uuids(sample: Sequence[str | bytes]) -> bool:
    """Whether all values are random UUIDs without hyphens, which are no hashes."""
    return all(
        isinstance(value, str)
        and len(value) == 32
        and value[12] in "47"
        and value[16].lower() in "89ab"
        for value in sample
    )


def names_of_hashes(head: str, *, json_lines: bool) -> list[str]:
    """The columns that are named as hashes or addresses.

    Args:
        head: the first line of a CSV, or of JSON lines.
        json_lines: which of the two.
    """
    names = _JSON_NAME.findall(head) if json_lines else fields_of(head, delimiter_of(head))
    return [name for each in names if tell([], name := each.strip()).named]


def delimiter_of(head: str) -> str:
    """What stands between the fields of a line."""
    counts = Counter({delimiter: head.count(delimiter) for delimiter in ("\t", ";", "|", ",")})
    return counts.most_common(1)[0][0] if counts.total() else ","


def fields_of(line: str, delimiter: str) -> list[str]:
    """The fields of a line; one empty field if it is no such line."""
    try:
        return next(csv.reader([line.rstrip("\r\n")], delimiter=delimiter), [""])
    except csv.Error:
        return [""]
