"""Audit again after a register has changed: compare only what the changes can touch.

An item that no entry met can only meet one that is new or has changed. An item that one met is
compared again in full. So the parts of the last audit are carried over, and only the matches in
them are found anew. The result is that of a full comparison; a property test holds it to that.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from egide.auditing.kept_files import kept_path
from egide.auditing.parts import part_path, read_findings, read_kept, write_counts
from egide.auditing.rows import GapRow
from egide.auditing.sources.kept_rows import from_table
from egide.domain.model import DIGEST_SIGNALS, PDQ_BYTES, Fingerprint
from egide.errors import OutputUnreadable, OutputUnwritable
from egide.files import written_whole
from egide.index.few import any_near

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from egide.auditing.kept_files import KeptFiles
    from egide.auditing.rows import Finding
    from egide.auditing.scan import Scanner
    from egide.auditing.sources.kept_rows import KeptRow
    from egide.index.snapshot import Snapshot, SomeEntries

MAX_RECENT = 20_000
"""More entries or codes than these are sooner compared through the index of all."""
_EVERYTHING = 1 << 62


def recent_owners(snapshot: Snapshot, recent: dict[str, Any]) -> NDArray[np.bool_]:
    """Which entries of a snapshot are among those that are new or changed.

    Args:
        snapshot: the present one.
        recent: numbers of entries, and positions of banks.
    """
    found: NDArray[np.bool_] = np.isin(snapshot.entries.id, recent["entries"])
    found |= np.isin(snapshot.entries.bank, recent["banks"])
    return found


@dataclass(frozen=True, slots=True)
class Recent:
    """What of a register is new or changed since the last audit.

    Attributes:
        some: what its entries are found by.
        radius_bits: the widest one of the banks that are searched.
    """

    some: SomeEntries
    radius_bits: int

    def touched(self, path: Path) -> NDArray[np.int64]:
        """The numbers of the rows in a kept file that one of them may match, sorted.

        Raises:
            OutputUnreadable: the file is damaged.
        """
        digests = [signal for signal in DIGEST_SIGNALS if self.some.digests[signal]]
        codes = ["codes"] if len(self.some.codes) else []
        if not digests and not codes:
            return np.zeros(0, np.int64)
        table = _read(path, ["number", *codes, *(signal.value for signal in digests)])
        touched = np.zeros(len(table), np.bool_)
        for signal in digests:
            touched |= _holding(table[signal.value], self.some.digests[signal])
        if codes:
            places, held_codes = _codes(table["codes"].combine_chunks())
            near = any_near(held_codes, self.some.codes, self.radius_bits)
            touched[places[near]] = True
        numbers: NDArray[np.int64] = table["number"].to_numpy()[touched]
        return numbers


def carry_over(
    parts: Path, before_id: str, shard_id: str, shard: str, kept: KeptFiles, scanner: Scanner,
    recent: Recent,
) -> bool:  # fmt: skip
    """Make the parts of a shard from those of the last audit.

    Args:
        parts: folder of the parts.
        before_id: of the shard's parts in the last audit.
        shard_id: of those to make; what exists of them stays.
        shard: its name in reports.
        kept: all of its fingerprints.
        scanner: compares with the present register.
        recent: what has changed since.

    Returns:
        whether they were made. They cannot be if one is missing, or has rows of tables.

    Raises:
        OutputUnreadable: a kept file or a part is damaged.
        OutputUnwritable: the disk is full, or the folder cannot be written.
    """
    before = read_kept(parts, before_id)
    if not before.complete or any(counts["tables"] for counts in before.parts):
        return False
    done = len(read_kept(parts, shard_id).parts)
    touched = [
        recent.touched(kept_path(kept.folder, kept.id, file)) for file in range(len(kept.heads))
    ]
    suspects = np.unique(np.concatenate([*touched, *(part["hits"] for part in before.parts)]))
    ends = [0, *(part["position"] for part in before.parts[:-1]), _EVERYTHING]
    for number, (first, end) in enumerate(pairwise(ends)):
        if number < done:
            continue
        own = suspects[(suspects >= first) & (suspects < end)].astype(np.int64)
        old, new = part_path(parts, before_id, number), part_path(parts, shard_id, number)
        if not len(own):
            _link(old, new)
            continue
        found = scanner.compare(shard, _rows(kept, own))
        gaps = [row for row in read_findings(old) if isinstance(row, GapRow)]
        fresh = found.counts()
        counts = before.parts[number] | {
            name: fresh[name] for name in ("matched_items", "vetoed_items", "matches", "hits")
        }
        rows: list[Finding] = [*found.matches, *found.vetoed, *gaps]
        write_counts(parts, shard_id, number, counts | {"rows": len(rows)}, rows)
    return True


def _rows(kept: KeptFiles, numbers: NDArray[np.int64]) -> Iterator[KeptRow]:
    """The rows of these numbers that have a fingerprint."""
    for file, head in enumerate(kept.heads):
        if not ((numbers >= head["first"]) & (numbers < head["position"])).any():
            continue
        table = _read(kept_path(kept.folder, kept.id, file))
        places = np.flatnonzero(np.isin(table["number"].to_numpy(), numbers))
        for row in from_table(table.take(places)):
            if isinstance(row.outcome, Fingerprint):
                yield row


def _holding(column: Any, wanted: frozenset[bytes]) -> NDArray[np.bool_]:
    """Which values are one of these digests, or several of which one is."""
    import pyarrow as pa
    import pyarrow.compute as pc

    size = len(next(iter(wanted)))
    if pa.types.is_fixed_size_binary(column.type):
        found: NDArray[np.bool_] = pc.is_in(column, pa.array([*wanted], column.type)).to_numpy()
        return found
    return np.array(
        [
            held is not None
            and any(held[at : at + size] in wanted for at in range(0, len(held), size))
            for held in column.to_pylist()
        ],
        bool,
    )


def _codes(column: Any) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    """The codes in a column of binary values, and of each the place of its value."""
    _, offsets, data = column.buffers()
    ends = np.frombuffer(offsets, np.int32)[column.offset : column.offset + len(column) + 1]
    if data is None or ends[-1] == ends[0]:
        return np.zeros(0, np.int64), np.zeros((0, PDQ_BYTES), np.uint8)
    codes = np.frombuffer(data, np.uint8)[ends[0] : ends[-1]].reshape(-1, PDQ_BYTES)
    return np.repeat(np.arange(len(column)), np.diff(ends) // PDQ_BYTES), codes


def _read(path: Path, columns: list[str] | None = None) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.ParquetFile(path).read(columns)
    except (pa.ArrowException, OSError, ValueError) as error:
        name = path.parent.parent
        raise OutputUnreadable(name=name, reason="kept fingerprints are damaged") from error


def _link(old: Path, new: Path) -> None:
    """Give a part, which stays as it is, its name in this audit."""
    try:
        new.unlink(missing_ok=True)
        try:
            os.link(old, new)
        except OSError:  # a file system without links
            with written_whole(new) as stream:
                stream.write(old.read_bytes())
    except OSError as error:
        raise OutputUnwritable(name=new.parent.parent.parent, reason=error.strerror) from error
