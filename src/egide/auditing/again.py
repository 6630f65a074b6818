"""Audit again after a register has changed: compare only what the changes can touch.

An item that no entry met can only meet one that is new or has changed. An item that one met is
compared again in full. So the parts of the last audit are carried over, and only the matches in
them are found anew. The result is that of a full comparison; a property test holds it to that.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from egide.auditing.kept_files import kept_path
from egide.auditing.parts import part_path, read_findings, read_kept, write_counts
from egide.auditing.rows import GapRow
from egide.auditing.sources.kept_rows import from_table
from egide.domain.model import SIGNAL_BYTES, Fingerprint, Signal
from egide.errors import OutputUnreadable, OutputUnwritable
from egide.files import written_whole
from egide.index.few import FewCodes, places_taken
from egide.index.snapshot import digest_prefix

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from egide.auditing.kept_files import KeptFiles
    from egide.auditing.rows import Finding
    from egide.auditing.scan import Scanner
    from egide.auditing.sources.kept_rows import KeptRow
    from egide.index.snapshot import Snapshot, SomeEntries

MAX_ENTRIES = 20_000
_MAX_PLACES = 1 << 24
_EVERYTHING = 1 << 62


def few_enough(entries: int, codes: int, radius_bits: int) -> bool:
    """Whether rows are sooner compared with so many recent entries than with all, in the index."""
    return entries <= MAX_ENTRIES and places_taken(codes, radius_bits) <= _MAX_PLACES


def recent_owners(snapshot: Snapshot, recent: dict[str, Any]) -> NDArray[np.bool_]:
    """Which entries of a snapshot are among those that are new or changed.

    Args:
        snapshot: the present one.
        recent: numbers of entries, and positions of banks.
    """
    found: NDArray[np.bool_] = np.isin(snapshot.entries.id, recent["entries"])
    found |= np.isin(snapshot.entries.bank, recent["banks"])
    return found


class Recent:
    """What of a register is new or changed since the last audit."""

    def __init__(self, some: SomeEntries, radius_bits: int) -> None:
        """Prepare to compare rows with it.

        Args:
            some: what its entries are found by.
            radius_bits: the widest one of the banks that are searched.
        """
        self._codes = FewCodes(some.codes, radius_bits) if len(some.codes) else None
        self._digests = {
            signal: np.unique(digest_prefix(_values_of(b"".join(digests), signal)))
            for signal, digests in some.digests.items()
            if digests
        }
        self._columns = [signal.value for signal in self._digests]
        self._columns += ["codes"] if self._codes is not None else []

    def touched(self, path: Path) -> NDArray[np.int64]:
        """The numbers of the rows in a kept file that one of them may match, sorted.

        Raises:
            OutputUnreadable: the file is damaged.
        """
        if not self._columns:
            return np.zeros(0, np.int64)
        with _reading(path, ["number", *self._columns]) as table:
            touched = np.zeros(len(table), np.bool_)
            for signal, prefixes in self._digests.items():
                places, digests = _values(table[signal.value], signal)
                touched[places[np.isin(digest_prefix(digests), prefixes)]] = True
            if self._codes is not None:
                places, codes = _values(table["codes"], Signal.PDQ)
                touched[places[self._codes.any_near(codes)]] = True
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
    paths = [kept_path(kept.folder, kept.id, file) for file in range(len(kept.heads))]
    hits = (np.array(part["hits"], np.int64) for part in before.parts)
    suspects = np.unique(np.concatenate([*map(recent.touched, paths), *hits]))
    ends = [0, *(part["position"] for part in before.parts[:-1]), _EVERYTHING]
    starts = np.array([head["first"] for head in kept.heads])
    for number, limits in enumerate(pairwise(ends)):
        if number < done:
            continue
        own = suspects[slice(*np.searchsorted(suspects, limits))]
        old, new = part_path(parts, before_id, number), part_path(parts, shard_id, number)
        if not len(own):
            _link(old, new)
            continue
        files = np.unique(np.searchsorted(starts, own, "right") - 1)
        found = scanner.compare(shard, _rows([paths[file] for file in files], own))
        gaps = [row for row in read_findings(old) if isinstance(row, GapRow)]
        fresh = found.counts()
        counts = before.parts[number] | {
            name: fresh[name] for name in ("matched_items", "vetoed_items", "matches", "hits")
        }
        rows: list[Finding] = [*found.matches, *found.vetoed, *gaps]
        write_counts(parts, shard_id, number, counts | {"rows": len(rows)}, rows)
    return True


def _rows(paths: Iterable[Path], numbers: NDArray[np.int64]) -> Iterator[KeptRow]:
    """The rows of these numbers, in these files, that have a fingerprint."""
    for path in paths:
        with _reading(path) as table:
            places = np.flatnonzero(np.isin(table["number"].to_numpy(), numbers))
            for row in from_table(table.take(places)):
                if isinstance(row.outcome, Fingerprint):
                    yield row


def _values(column: Any, signal: Signal) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    """The values of a signal in a column, and of each the place where it stands.

    A place may have several, side by side. One that is null may have any: it is met for nothing.
    """
    import pyarrow as pa

    column, size = column.combine_chunks(), SIGNAL_BYTES[signal]
    held, first = column.buffers(), column.offset
    if pa.types.is_fixed_size_binary(column.type):
        data = held[1] and held[1][first * size : (first + len(column)) * size]
        values = _values_of(data or b"", signal)
        return np.arange(len(values)), values
    ends = np.frombuffer(held[1], np.int32)[first : first + len(column) + 1]
    values = _values_of(held[2][ends[0] : ends[-1]] if held[2] else b"", signal)
    return np.repeat(np.arange(len(column)), np.diff(ends) // size), values


def _values_of(data: Any, signal: Signal) -> NDArray[np.uint8]:
    return np.frombuffer(data, np.uint8).reshape(-1, SIGNAL_BYTES[signal])


@contextmanager
def _reading(path: Path, columns: list[str] | None = None) -> Iterator[Any]:
    """Read a kept file; whatever is wrong with what stands there makes it a damaged one."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        yield pq.ParquetFile(path, page_checksum_verification=True).read(columns, use_threads=False)
    except (pa.ArrowException, OSError, ValueError, KeyError, TypeError) as error:
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
