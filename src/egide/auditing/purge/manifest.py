"""Write the list of what to drop from a set, padded so that it does not point at the images.

Which neutral rows stand in it, and in which order, a secret of the audit decides: written twice,
the list is the same. If each had other neutral rows, what two of them share would be the images.
"""

from __future__ import annotations

import heapq
import hmac
import json
import os
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from egide._version import __version__
from egide.auditing.purge.cells import cells_at
from egide.auditing.purge.checking import are_rows, check_shard
from egide.auditing.purge.journal import writing
from egide.auditing.purge.plan import Doomed, Outcome
from egide.auditing.sources import Rows, read_shard
from egide.auditing.sources.base import printable
from egide.errors import (
    ContainerLeft,
    ManifestExists,
    ManifestMismatch,
    SourceError,
    TargetUnwritable,
)
from egide.files import written_whole

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from egide.auditing.purge.journal import Journal
    from egide.auditing.purge.plan import Work
    from egide.auditing.results import Results
    from egide.domain.model import Limits

MANIFEST_SCHEMA = 1
NEUTRAL_FOR_EACH = 10
NEUTRAL_AT_LEAST = 1000
_KEY = "padding.key"


@dataclass(slots=True)
class _Line:
    """One row of a manifest.

    Attributes:
        work: the number of its container.
        row: of a table; `columns`: by which it was compared, and `digests` what stood there.
    """

    work: int
    name: str
    row: int | None
    value: str | None
    columns: str = ""
    digests: frozenset[bytes] = field(default=frozenset(), repr=False)

    @property
    def identity(self) -> bytes:
        values = [self.work, self.name, self.row, self.value]
        return json.dumps(values).encode()


def write_manifest(
    path: Path,
    works: Sequence[Work],
    results: Results,
    limits: Limits,
    journal: Journal,
    *,
    plain: bool,
) -> tuple[list[Outcome], int]:
    """Write what to drop: JSON lines, of which the first says what the list is.

    Args:
        path: of a new file.
        works: all containers, with what goes from each.
        results: of the audit.
        limits: on reading.
        journal: keeps the secret.
        plain: without neutral rows.

    Returns:
        what would go from each container, and the number of neutral rows.

    Raises:
        ManifestExists: there is such a file.
        ManifestMismatch: the set is not what was audited.
        TargetUnwritable: the file cannot be written.
    """
    digest = results.summary["dataset_sha256"]
    if os.path.lexists(path):  # said before the set is read
        raise ManifestExists(name=path)
    key = _secret(journal)
    count = sum(len(work.doomed) for work in works)
    wanted = 0 if plain or not count else max(NEUTRAL_FOR_EACH * count, NEUTRAL_AT_LEAST)
    matched: list[_Line] = []
    # The lowest by a keyed hash are a fair draw: nobody without the secret can tell which.
    neutral: list[tuple[int, bytes, _Line]] = []
    outcomes = []
    for number, work in enumerate(works):
        outcome = Outcome(work.name, work.kind)
        outcomes.append(outcome)
        for line, goes in _lines(number, work, results, limits):
            outcome.items_before += 1
            if goes:
                outcome.items_removed += 1
                matched.append(line)
            elif wanted:
                rank = int.from_bytes(_keyed(key, b"draw", line))
                entry = (-rank, line.identity, line)
                if len(neutral) < wanted:
                    heapq.heappush(neutral, entry)
                else:
                    heapq.heappushpop(neutral, entry)
        if missed := len(work.doomed) - outcome.items_removed:
            outcome.left["nested"] += max(missed, 0)
    lines = [*matched, *(line for _, _, line in neutral)]
    lines.sort(key=lambda line: _keyed(key, b"order", line))
    _fill_values(lines, works)
    head = {
        "egide_manifest": MANIFEST_SCHEMA,
        "egide_version": __version__,
        "dataset_sha256": digest,
        "rows": len(lines),
        "padded": not plain,
        "neutral_for_each": 0 if plain else NEUTRAL_FOR_EACH,
        "neutral_at_least": 0 if plain else NEUTRAL_AT_LEAST,
    }
    try:
        with writing(path), written_whole(path, replacing=False) as stream:
            stream.write(json.dumps(head).encode() + b"\n")
            for line in lines:
                values: dict[str, Any] = {"source": works[line.work].name, "name": line.name}
                values |= {"row": line.row, "value": line.value}
                stream.write(json.dumps(values).encode() + b"\n")
    except TargetUnwritable as error:
        if isinstance(error.__cause__, FileExistsError):
            raise ManifestExists(name=path) from error
        raise
    return outcomes, len(neutral)


def _secret(journal: Journal) -> bytes:
    path = journal.path / _KEY
    with writing(path):
        if not path.exists():
            with written_whole(path) as stream:
                stream.write(secrets.token_bytes(32))
        return path.read_bytes()


def _keyed(key: bytes, purpose: bytes, line: _Line) -> bytes:
    return hmac.digest(key, purpose + b"\0" + line.identity, "sha256")


def _lines(
    number: int, work: Work, results: Results, limits: Limits
) -> Iterator[tuple[_Line, bool]]:
    """Yield each item and each row of a container, and whether it goes."""
    doomed = set(work.doomed)
    places = {(one.item, one.offset) for one in doomed if one.offset is not None}
    for shard_id, shard in work.shards:
        kept = list(results.items(shard_id))
        compared = [one for one in kept if one.gap is None]
        items = [one for one in compared if not are_rows(one, shard)]
        for one in items:
            sha256 = one.sha256.hex() if one.sha256 else None
            line = _Line(number, one.name, one.offset, sha256 or one.proof.hex())
            whole = Doomed(one.name, one.key, one.offset, sha256)
            yield line, whole in doomed or (one.name, one.offset) in places
        if len(items) == len(compared):
            continue
        try:
            check_shard(work.name, shard, kept, limits)
            for read in read_shard(shard, limits):
                if isinstance(read, Rows):
                    for line in _of_rows(number, read):
                        yield line, (line.name, line.row) in places
        except (ContainerLeft, SourceError) as error:
            raise ManifestMismatch(name=work.name, reason=error.code) from error


def _of_rows(number: int, rows: Rows) -> Iterator[_Line]:
    held: dict[int, set[bytes]] = {}
    for signal, places in rows.rows.items():
        for place, value in zip(places, rows.values[signal], strict=True):
            held.setdefault(place, set()).add(value)
    for place in sorted(held.keys() - rows.beside):
        row = rows.first + place
        name = f"{printable(rows.prefix)}row {row}"
        yield _Line(number, name, row, None, rows.paths, frozenset(held[place]))


def _fill_values(lines: Sequence[_Line], works: Sequence[Work]) -> None:
    """Read the addresses and hashes of the rows that are listed."""
    by_work: dict[int, dict[int, list[_Line]]] = {}
    for line in lines:
        if line.value is None and line.row is not None:
            by_work.setdefault(line.work, {}).setdefault(line.row, []).append(line)
    for number, wanted in by_work.items():
        columns = {
            path for some in wanted.values() for one in some for path in one.columns.split(", ")
        }
        for row, text, digests in cells_at(works[number].url, set(wanted), columns):
            for line in wanted.get(row, ()):
                if line.value is None and not line.digests.isdisjoint(digests):
                    line.value = text
