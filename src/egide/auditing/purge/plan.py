"""What a purge works on, as plain values: the unit of work, what goes from it, what came of it."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import asdict, dataclass, field, fields
from typing import Any, NamedTuple

from egide.auditing.sources import Shard


@dataclass(frozen=True, slots=True)
class Doomed:
    """An item that goes, as a match names it.

    Attributes:
        item: its name; `key`, `offset`: as in a `MatchRow`.
        sha256: of its bytes, hexadecimal; None for a row of hashes or addresses.
    """

    item: str
    key: str | None
    offset: int | None
    sha256: str | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class Work:
    """One container: a file that holds items, or a run of a folder's files.

    Attributes:
        id: names its records; it depends on where the container is, and on its shards.
        name: for people. It names no item, unless an item was named to the audit itself.
        kind: of the source that reads it.
        url: of the file, or of the folder with the files.
        shards: with their ids in the audit, in order.
        target: path below the target, of the file or of the folder.
        doomed: what goes from it.
        sidecars: files of a folder that go with what goes.
        listed: by table in a folder that lists its files, the names of those that go; of a table
            that is the container itself under an empty name.
    """

    id: str
    name: str
    kind: str
    url: str
    shards: tuple[tuple[str, Shard], ...]
    target: str
    doomed: tuple[Doomed, ...] = ()
    sidecars: tuple[str, ...] = ()
    listed: tuple[tuple[str, tuple[str, ...]], ...] = ()

    @property
    def weight(self) -> int:
        """Bytes to read."""
        return sum(shard.weight for _, shard in self.shards)

    @property
    def goes(self) -> frozenset[str]:
        """Digests of what goes from it: a later run of the purge may want something else."""
        going: list[tuple[object, ...]] = [
            *((one.item, one.key, one.offset) for one in self.doomed),
            *(("sidecar", name) for name in self.sidecars),
            *(("listed", place, name) for place, names in self.listed for name in names),
        ]
        return frozenset(hashlib.sha256(json.dumps(one).encode()).hexdigest() for one in going)

    @property
    def changes(self) -> bool:
        """Whether anything goes from it."""
        return bool(self.doomed or self.sidecars or self.listed)

    @property
    def is_run(self) -> bool:
        """Whether it is a run of a folder's files, and no file of its own."""
        return bool(self.shards[0][1].files)

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Work:
        """Make a work from the values of `to_json`."""
        return cls(
            **{
                **values,
                "shards": tuple((name, Shard.from_json(one)) for name, one in values["shards"]),
                "doomed": tuple(Doomed(**one) for one in values["doomed"]),
                "sidecars": tuple(values["sidecars"]),
                "listed": tuple((name, tuple(names)) for name, names in values["listed"]),
            }
        )


@dataclass(slots=True)
class Outcome:
    """What came of a container, or would.

    Attributes:
        items_before: items that the audit compared in it.
        items_removed: of these, what goes.
        with_them: what goes besides, by what it is: `sample-picture`, `sidecar`,
            `link`, `listed-row`.
        left: what stays though it matched, or was not looked at, by the reason.
        said: the errors behind what stays, as (code, message).
        sha256_before, sha256_after: of the file; of a folder's run, over its files in order.
    """

    name: str
    kind: str
    items_before: int = 0
    items_removed: int = 0
    with_them: Counter[str] = field(default_factory=Counter)
    left: Counter[str] = field(default_factory=Counter)
    said: list[tuple[str, str]] = field(default_factory=list)
    sha256_before: str | None = None
    sha256_after: str | None = None
    bytes: int = 0

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        return values | {"with_them": dict(self.with_them), "left": dict(self.left)}

    def leave(self, code: str, message: str, reason: str, count: int = 1) -> None:
        """Say why something of it stays."""
        self.left[reason] += count
        self.said.append((code, message))

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Outcome:
        """Make an outcome from the values of `to_json`."""
        return cls(
            **{
                **values,
                "with_them": Counter(values["with_them"]),
                "left": Counter(values["left"]),
                "said": [(code, message) for code, message in values["said"]],
            }
        )


@dataclass(frozen=True, slots=True)
class Cut:
    """What goes from one container, found in it.

    Attributes:
        gone: the items that go, of the doomed: the others stand in something else inside.
        with_them: what goes besides, by what it is.
        copies: how many more there are of them: members of a zip with the same name and bytes.
    """

    gone: frozenset[Doomed]
    with_them: Counter[str] = field(default_factory=Counter)
    copies: int = 0


class TableCut(NamedTuple):
    """What goes from a table: the cut, and the rows by their number in the file."""

    cut: Cut
    rows: frozenset[int]
