"""What an audit left in its folder, for all that is done after it."""

from __future__ import annotations

import fcntl
import hashlib
import json
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

from egide._version import __version__
from egide.auditing.kept_files import KeptFiles, kept_path, read_rows
from egide.auditing.output import (
    MATCHES,
    NOT_COMPARED,
    SUMMARY,
    Output,
    PlannedShard,
)
from egide.auditing.rows import GapRow, MatchRow
from egide.auditing.sources import Columns, Other, Rows
from egide.auditing.summary import SUMMARY_SCHEMA
from egide.domain.coverage import Gap, GapKind
from egide.errors import OutputBusy, OutputMismatch, OutputUnreadable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from egide.auditing.sources.kept_rows import KeptRow

__all__ = ["KeptItem", "KeptItems", "PlannedShard", "Results"]


@dataclass(frozen=True, slots=True)
class KeptItem:
    """One thing in a shard that was compared or left out: an item, or some rows of a table.

    Attributes:
        number: its position in the shard.
        key, offset: see `egide.auditing.sources.Item`; of rows of a table the first row.
        sha256: of its bytes; None if they are not known.
        proof: what of it goes into the digest of the dataset; of rows of a table a digest of that.
        gap: why it was not compared, or None.
    """

    number: int
    name: str
    key: str | None
    offset: int | None
    sha256: bytes | None = field(repr=False)
    proof: bytes = field(repr=False)
    gap: Gap | None


class KeptItems:
    """What an audit kept of its items.

    Args:
        folder: of the kept fingerprints.
        ids: of those of each shard, by the shard's id.
    """

    def __init__(self, folder: Path, ids: Mapping[str, str]) -> None:
        self.folder = folder
        self.ids = ids

    def items(self, shard_id: str) -> Iterator[KeptItem]:
        """Yield what was found in a shard, in its order. Files that are no pictures are left out.

        Raises:
            KeyError: there is no such shard.
            OutputUnreadable: its kept fingerprints are missing or damaged.
        """
        kept = self.files(shard_id)
        for number, head in enumerate(kept.heads):
            yield from _items_in(kept_path(kept.folder, kept.id, number), head)

    def files(self, shard_id: str) -> KeptFiles:
        """Find the kept fingerprints of a shard.

        Raises:
            KeyError, OutputUnreadable: as `items`.
        """
        kept = KeptFiles.find(self.folder, self.ids[shard_id])
        if not kept.complete:
            raise OutputUnreadable(
                name=self.folder.parent, reason="kept fingerprints are missing or damaged"
            )
        return kept


class Results:
    """The results of a finished audit.

    Attributes:
        folder: the audit's.
        summary: the content of `summary.json`.
        kept: what it kept of its items.
    """

    kept: KeptItems

    def __init__(self, folder: Path, summary: dict[str, Any]) -> None:
        """Use `Results.open`."""
        self.folder = folder
        self.summary = summary
        self._output = Output(folder)

    @classmethod
    def open(cls, folder: Path) -> Results:
        """Open an audit's folder.

        Raises:
            OutputBusy: an audit is writing to it.
            OutputMismatch: it is not a finished audit of this version of Egide.
            OutputUnreadable: it cannot be read, or is damaged.
        """
        found = cls(folder, _read_summary(folder))
        output = found._output
        output.read_options()
        try:
            with output.lock_path.open("rb") as lock:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            plan = list(output.read_plan())
        except BlockingIOError:
            raise OutputBusy(name=folder) from None
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise OutputUnreadable(name=folder, reason="its plan is damaged") from error
        if not all(output.kept(planned.id).complete for planned in plan):
            raise OutputMismatch(name=folder, reason="one that has not ended")
        ids = {planned.id: planned.kept_id for planned in plan}
        found.kept = KeptItems(output.fingerprints, ids)
        return found

    @property
    def sources(self) -> list[str]:
        """The addresses that were audited, as given."""
        return [source["name"] for source in self.summary["sources"]]

    def shards(self) -> Iterator[PlannedShard]:
        """Yield the shards in the order of the plan."""
        yield from self._output.read_plan()

    def items(self, shard_id: str) -> Iterator[KeptItem]:
        """Yield what was found in a shard: see `KeptItems.items`."""
        return self.kept.items(shard_id)

    def rows(self) -> Iterator[KeptRow]:
        """Yield what was kept of all shards, without files that are no pictures.

        Raises:
            OutputUnreadable: kept fingerprints are missing or damaged.
        """
        for planned in self.shards():
            for row in self.kept.files(planned.id).rows():
                if not isinstance(row.thing, Other | Columns):
                    yield row

    def matches(self) -> Iterator[MatchRow]:
        """Yield the rows of `matches.parquet`.

        Raises:
            OutputUnreadable: it is missing or damaged.
        """
        names = [each.name for each in fields(MatchRow) if each.name != "vetoed_by"]
        for row in self._rows(MATCHES):
            yield MatchRow(**{name: row[name] for name in names})

    def gaps(self) -> Iterator[GapRow]:
        """Yield the rows of `not_compared.parquet`.

        Raises:
            OutputUnreadable: it is missing or damaged.
        """
        for row in self._rows(NOT_COMPARED):
            yield GapRow(**{each.name: row[each.name] for each in fields(GapRow)})

    def _rows(self, name: str) -> Iterator[dict[str, Any]]:
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            for batch in pq.ParquetFile(self.folder / name).iter_batches(batch_size=4096):
                yield from batch.to_pylist()
        except (pa.ArrowException, OSError) as error:
            raise OutputUnreadable(name=self.folder, reason=f"{name} is damaged") from error


def _read_summary(folder: Path) -> dict[str, Any]:
    try:
        summary: dict[str, Any] = json.loads((folder / SUMMARY).read_text("utf-8"))
        schema, version = summary["schema_version"], summary["egide_version"]
    except FileNotFoundError:
        raise OutputMismatch(name=folder, reason="none that has ended") from None
    except OSError as error:
        raise OutputUnreadable(name=folder, reason=error.strerror) from error
    except (ValueError, KeyError, TypeError) as error:
        raise OutputUnreadable(name=folder, reason="its summary is damaged") from error
    if (schema, version) != (SUMMARY_SCHEMA, __version__):
        raise OutputMismatch(name=folder, reason="made by another version of Egide")
    return summary


def _items_in(path: Path, head: dict[str, Any]) -> Iterator[KeptItem]:
    """Yield what a file of kept fingerprints holds.

    Most items are told by a few columns: reading the codes too takes thirty times as long.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    names = ["number", "item", "key", "offset", "sha256"]
    names += ["gap_kind", "gap_code", "gap_message", "gap_count"]
    rows: dict[int, KeptRow] = {}
    try:
        found = (
            pq.ParquetFile(path, page_checksum_verification=True).read(columns=names).to_pylist()
        )
    except (pa.ArrowException, OSError, ValueError) as error:
        name = path.parent.parent
        raise OutputUnreadable(name=name, reason="kept fingerprints are damaged") from error
    for values in found:
        gap, sha256 = _gap(values), values["sha256"]
        proof = gap.code.encode() if gap else sha256
        if proof is None:  # of a list or a table: what it has stands in other columns
            rows = rows or {row.number: row for row in read_rows(path, head)}
            row = rows[values["number"]]
            proof = row.proof
            if isinstance(row.thing, Rows):
                proof = hashlib.sha256(proof).digest()
        yield KeptItem(
            number=values["number"],
            name=values["item"],
            key=values["key"],
            offset=values["offset"],
            sha256=sha256,
            proof=proof,
            gap=gap,
        )


def _gap(values: dict[str, Any]) -> Gap | None:
    if values["gap_code"] is None:
        return None
    kind = GapKind(values["gap_kind"])
    return Gap(kind, values["item"], values["gap_code"], values["gap_message"], values["gap_count"])
