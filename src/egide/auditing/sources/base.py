"""What all sources share: shards, items, and the protocol of a source."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from egide.domain.coverage import Gap
from egide.domain.model import FILE_SIGNALS, URL_SIGNALS, Fingerprint, Pdq, Signal
from egide.errors import SourceExpands

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from egide.domain.model import Limits
    from egide.errors import ItemError


@dataclass(frozen=True, slots=True)
class Shard:
    """A unit of work: an archive, a run of its members, or a run of files. Plain data, as JSON.

    Attributes:
        kind: of the source that reads it.
        url: of the archive, or of the folder that holds `files`.
        name: in reports.
        start, stop: a run of members or row groups, or of a tar's bytes; 0 and 0 for the whole. The
            last run of a tar has a `stop` of 0.
        files: paths below `url`, for a run of a folder's files.
        columns: of a table; empty to look at all of them.
        state: a digest of sizes and times, so that a changed shard is another shard.
        weight: bytes to read, as far as known beforehand.
        share: number of shards that its file was cut into.
        within: its file stands in a folder that was named, and was not named itself.
    """

    kind: str
    url: str
    name: str
    start: int = 0
    stop: int = 0
    files: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    state: str = ""
    weight: int = 0
    share: int = 1
    within: bool = False

    def id(self, salt: str) -> str:
        """Return the id that names the part files; it depends on the shard and `salt` only."""
        text = json.dumps([salt, asdict(self)], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:32]

    def to_json(self) -> dict[str, Any]:
        """Return the shard as plain values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Shard:
        """Make a shard from the values of `to_json`."""
        return cls(
            **{**values, "files": tuple(values["files"]), "columns": tuple(values["columns"])}
        )


class Expansion:
    """Limits how far an archive or table may expand: a zip bomb must not hold up an audit.

    Attributes:
        items: read so far, for the error.
    """

    def __init__(self, shard: Shard, limits: Limits) -> None:
        """Set the limit by the shard's size, and by its share of what any file may expand to."""
        self.items = 0
        self._name = shard.name
        self._limit = max(
            limits.max_expansion * shard.weight, limits.expansion_floor_bytes // shard.share
        )
        self._taken = 0

    def take(self, size: int) -> None:
        """Count bytes that were unpacked, or that unpacking needed.

        Raises:
            SourceExpands: the limit is exceeded.
        """
        self._taken += size
        if self._taken > self._limit:
            raise SourceExpands(name=self._name, items=self.items, limit=self._limit)


@dataclass(frozen=True, slots=True)
class Reading:
    """How a container is read.

    Attributes:
        name: of the container, as reports show it.
        columns: of a table; empty to look at all.
        start, stop: the run of members or row groups, or of a tar's bytes; 0 and 0 for all.
        depth: how many containers stand around it.
        whole: whether this run is all of the container.
        within: stands before the names of what is in a container inside another.
    """

    name: str
    limits: Limits
    expansion: Expansion
    columns: tuple[str, ...] = ()
    start: int = 0
    stop: int = 0
    depth: int = 0
    whole: bool = True
    within: str = ""

    def label(self, name: str) -> str:
        """The name of something in the container, as reports show it."""
        return self.within + name


@dataclass(frozen=True, slots=True)
class Member:
    """One file in a container.

    Attributes:
        name: as reports show it.
        stream: its bytes, from the start.
        key, offset: of an item, see `Item`.
        size: as far as the container tells.
        seekable: whether the stream can be read in any order.
        counts: whether unpacking it counts towards the expansion.
    """

    name: str
    stream: Any
    key: str | None = None
    offset: int | None = None
    size: int | None = None
    seekable: bool = False
    counts: bool = False


@dataclass(frozen=True, slots=True)
class Item:
    """One thing that may be a picture.

    Attributes:
        name: path, member name or row, as reports show it.
        content: the file's bytes; a fingerprint, from a hash list; or the error on reading it.
        key: webdataset key, or the path of a table's column.
        offset: of the member's bytes in a tar, or the row in a table.
        beside: the fingerprint is what stands beside a picture, which is an item of its own, in
            this row.
    """

    name: str
    content: bytes | Fingerprint | ItemError = field(repr=False)
    key: str | None = None
    offset: int | None = None
    beside: int | None = None


@dataclass(frozen=True, slots=True)
class Other:
    """Files that neither are nor claim to be pictures: counted by suffix, not compared."""

    suffix: str
    count: int = 1


@dataclass(frozen=True, slots=True)
class Rows:
    """Hashes and addresses in the rows of a table, as columns: most of a million match nothing.

    Attributes:
        name: of the table.
        first: the number of the first row.
        rows: of each value of a signal, from 0 in these rows; an address may have several.
        values: of each signal, in the order of `rows`.
        paths: of the columns that they are from.
        prefix: stands before `row` and its number in names.
        beside: rows whose pictures are items of their own: they count as no others.
        aside: it is no gap here if no bank holds what they have: they describe pictures, and a
            picture that is missing is a gap of its own.
    """

    name: str
    first: int
    rows: dict[Signal, list[int]]
    values: dict[Signal, list[bytes]] = field(repr=False)
    paths: str
    prefix: str = ""
    beside: frozenset[int] = frozenset()
    aside: bool = False

    def proof(self) -> bytes:
        """What goes into the digest of a dataset for them."""
        parts = [f"{self.first} {self.paths}\n".encode()]
        for signal, rows in self.rows.items():
            parts += [signal.encode(), repr(rows[-1:]).encode(), *self.values[signal]]
        return b"".join(parts)

    def item(self, row: int) -> Iterator[Item]:
        """The fingerprints of one row; several where it has digests of several files."""
        held = {
            signal: [
                value for at, value in zip(rows, self.values[signal], strict=True) if at == row
            ]
            for signal, rows in self.rows.items()
        }
        count = max(1, *(len(held.get(signal, ())) for signal in FILE_SIGNALS))
        for number in range(count):
            one: dict[str, Any] = {
                signal: values[number]
                for signal in FILE_SIGNALS
                if number < len(values := held.get(signal, []))
            }
            if not number:
                one |= {signal: tuple(held.get(signal, ())) for signal in URL_SIGNALS}
            codes = held.get(Signal.PDQ, []) if not number else []
            fingerprint = Fingerprint(tuple(Pdq(code, None) for code in codes), **one)
            at = self.first + row
            beside = at if row in self.beside else None
            yield Item(f"{self.prefix}row {at}", fingerprint, self.paths, at, beside)


@dataclass(frozen=True, slots=True)
class Columns:
    """What came of the columns of a table, once it was read.

    Attributes:
        taken: by column, how many pictures, or rows with a hash or an address.
        empty: looked at, and none of their values is one of these.
        left: not looked at: of a type that holds none, or others were named instead.
    """

    taken: Mapping[str, int]
    empty: tuple[str, ...] = ()
    left: tuple[str, ...] = ()


Read = Item | Other | Gap | Columns | Rows
"""What a source yields. A gap is something in the shard that was not looked at."""


class Source(Protocol):
    """A source of items. `read` needs only the shard, so that any process can call it."""

    kind: str
    name: str

    def shards(self) -> Iterator[Shard]:
        """Plan the work, cheaply; the same state of the source gives the same shards in order.

        Raises:
            SourceError: the source as a whole cannot be listed.
        """
        ...

    @staticmethod
    def read(shard: Shard, limits: Limits) -> Iterator[Read]:
        """Yield the items of one shard, in a fixed order; at most one item's bytes in memory.

        Raises:
            SourceError: reading cannot continue; the items already yielded are valid.
        """
        ...


def printable(name: str) -> str:
    """Return a name that any table can hold: undecodable bytes become escapes."""
    if name.isascii():
        return name
    return name.encode("utf-8", "backslashreplace").decode("utf-8")
