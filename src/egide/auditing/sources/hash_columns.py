"""The hashes and addresses in the columns of a table: which columns hold them, and their values."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from egide.auditing.sources.base import Columns, Rows
from egide.auditing.sources.metadata_columns import Told, tell
from egide.domain.coverage import Gap, GapKind
from egide.domain.model import FILE_SIGNALS, SIGNAL_BYTES, Signal
from egide.errors import ColumnUnread
from egide.hashlist.addresses import address_digests
from egide.hashlist.values import parse_any

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

DIGEST_BYTES = frozenset(SIGNAL_BYTES[signal] for signal in FILE_SIGNALS)
"""The lengths of digests; no picture is as short."""
MAX_VALUE_BYTES = 4096
"""A longer text is no hash, and no address that is worth a comparison."""
_SETTLING_ROWS = 4096
"""A column that holds none in these first rows is not asked again."""

Column = tuple[Any, Any]
"""The rows of a column's values in a batch, and the values: texts, bytes, or something else."""
Values = dict[Signal, tuple[list[int], list[bytes]]]
"""The rows of the values of each signal, and the values."""


class HashColumns:
    """Tells the columns of one table, and turns batches of it into rows to compare.

    Attributes:
        taken: rows by column of which something was compared.
        tried: rows of the last batch that have any value in such a column.
        has: those of them that can be compared.
    """

    def __init__(self, *, only_named: bool = False) -> None:
        """Tell by names and values; of a text that is no table only by both."""
        self.taken: Counter[str] = Counter()
        self.tried: set[int] = set()
        self.has: set[int] = set()
        self._told: dict[str, Told] = {}
        self._only_named = only_named
        self._seen = 0

    @property
    def found(self) -> bool:
        """Whether a column holds hashes or addresses."""
        return any(map(_is_compared, self._told.values()))

    def wants(self, path: str) -> bool:
        """Whether a column's values have to be looked at."""
        told = self._told.get(path)
        return told is None or _is_compared(told) or self._settling(told)

    def holds(self, path: str) -> bool:
        """Whether a column holds hashes or addresses."""
        return path in self._told and _is_compared(self._told[path])

    def has_numbers(self, path: str) -> None:
        """Note a column that holds no texts: its name may have promised hashes."""
        if tell([], path).named:
            self._told.setdefault(path, Told(named=True, numbers=True))

    def rows(
        self,
        columns: Mapping[str, Column],
        count: int,
        *,
        name: str,
        first: int,
        prefix: str = "",
    ) -> Iterator[Rows]:
        """Yield what the rows of a batch are compared by, if they have anything.

        Args:
            columns: by their paths.
            count: rows in the batch.
            name: of the table.
            first: the number of the batch's first row.
            prefix: stands before `row` and its number in names.
        """
        found: Values = {}
        self.has, self.tried, paths = set(), set(), []
        for path, (rows, values) in columns.items():
            told = self._tell(path, values)
            if not _is_compared(told):
                continue
            places, given = given_in(rows, values)
            read = (
                addresses_of(places, given) if told.is_address else hashes_of(places, given, told)
            )
            at_all: set[int] = set()
            for signal, (at, held) in read.items():
                into = found.setdefault(signal, ([], []))
                into[0].extend(at)
                into[1].extend(held)
                at_all.update(at)
            self.tried.update(places)
            self.has |= at_all
            if at_all:
                paths.append(path)
                self.taken[path] += len(at_all)
        self._seen += count
        if self.has:
            yield Rows(
                name,
                first,
                {signal: rows for signal, (rows, _) in found.items()},
                {signal: values for signal, (_, values) in found.items()},
                ", ".join(paths),
                prefix,
            )

    def gaps(self, name: str, *, named: bool = True) -> Iterator[Gap]:
        """Yield the columns of hashes or addresses that were not compared.

        Args:
            name: of the table.
            named: also those whose names alone promise such values.
        """
        for path, told in sorted(self._told.items()):
            if told.reason and (named or told.closed or told.unsure):
                label = f"{name}, column {path}"
                error = ColumnUnread(name=label, reason=told.reason)
                yield Gap.of(label, error, GapKind.COLUMN)

    def columns(self, pictures: Collection[str] = ()) -> Columns:
        """Say which columns were compared, and which of those looked at held nothing."""
        left = {path for path, told in self._told.items() if told.numbers}
        empty = self._told.keys() - self.taken.keys() - left - set(pictures)
        return Columns(dict(self.taken), tuple(sorted(empty)), tuple(sorted(left)))

    def _tell(self, path: str, values: Iterable[Any]) -> Told:
        told = self._told.get(path)
        if told is None or self._settling(told):
            told = tell([value for value in values if value], path)
            if self._only_named and not told.named:
                told = Told()
            if not told.undecided or path not in self._told:
                self._told[path] = told
        return told

    def _settling(self, told: Told) -> bool:
        return not _is_compared(told) and (told.undecided or self._seen < _SETTLING_ROWS)


def _is_compared(told: Told) -> bool:
    return told.signal is not None or told.is_address


def given_in(rows: Sequence[int], values: Sequence[Any]) -> tuple[Sequence[int], Sequence[Any]]:
    """The values of a column that are neither null nor empty, with their rows."""
    if all(values):
        return rows, values
    kept = [at for at, value in enumerate(values) if value]
    return [rows[at] for at in kept], [values[at] for at in kept]


def addresses_of(rows: Sequence[int], values: Sequence[Any]) -> Values:
    """The digests of the addresses in a column; others have none."""
    whole_rows: list[int] = []
    whole: list[bytes] = []
    field_rows: list[int] = []
    field: list[bytes] = []
    for row, value in zip(rows, values, strict=True):
        digests = address_digests(value) if isinstance(value, str) else None
        if digests is not None:
            for_whole, for_field = digests
            whole += for_whole
            field += for_field
            whole_rows += [row] * len(for_whole)
            field_rows += [row] * len(for_field)
    return {Signal.URL_SHA256: (whole_rows, whole), Signal.URL_MD5: (field_rows, field)}


def hashes_of(rows: Sequence[int], texts: Sequence[Any], told: Told) -> Values:
    """The hashes in a column; what is none of its kind is left out."""
    size, signal = told.size, told.signal
    assert signal is not None
    # A column of digits throughout, as most are, is read at once.
    if set(map(type, texts)) == {str} and set(map(len, texts)) == {2 * size}:
        try:
            whole = bytes.fromhex("".join(texts))
        except ValueError:
            whole = b""
        if len(whole) == size * len(texts):
            held = [whole[at : at + size] for at in range(0, len(whole), size)]
            return {signal: (list(rows), held)}
    kept = [
        (row, parsed)
        for row, value in zip(rows, texts, strict=True)
        if (parsed := value if isinstance(value, bytes) else parse_any(value)) is not None
        and len(parsed) == size
    ]
    return {signal: ([row for row, _ in kept], [parsed for _, parsed in kept])}


def value_of(content: bytes, *, binary: bool = False) -> str | bytes | None:
    """A value that may be a hash or an address: a text, or the bytes of a digest; else None.

    Args:
        content: of the value.
        binary: whether its column holds bytes, so that it is a text only if it is digits.
    """
    if len(content) > MAX_VALUE_BYTES:
        return None
    text = content.decode("utf-8", "replace")
    if binary and len(content) in DIGEST_BYTES and parse_any(text) is None:
        return content
    return text
