"""Write hash lists: the active entries of a bank, for Egide and for others."""

from __future__ import annotations

import csv
import io
from itertools import islice
from typing import TYPE_CHECKING, TextIO

from egide.domain.model import BankKind, Signal, State, digests_of
from egide.hashlist.values import (
    CLASSES,
    OWN_COLUMNS,
    SCHEMA_VERSION,
    THREATEXCHANGE_COLUMNS,
    VIDEO_TIMES,
    HashListFormat,
    neutralise,
    times_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from egide.domain.model import Entry

_PIECE_ENTRIES = 500


def write_hash_list(
    entries: Iterable[Entry],
    out: TextIO,
    format: HashListFormat,  # noqa: A002
    kind: BankKind = BankKind.POSITIVE,
) -> int:
    """Write the active ones among `entries`.

    Args:
        entries: read once.
        out: opened as UTF-8 with `newline=""`.
        format: CSV keeps everything that importing needs; the others are for other programs, and
            leave out anchored hashes, a video's times, and the kind.
        kind: of the bank.

    Returns:
        the number of entries written; the plain format leaves out entries without a PDQ.
    """
    active = (entry for entry in entries if entry.state is State.ACTIVE)
    if format is HashListFormat.CSV:
        return _write_csv(active, out, kind)
    count = 0
    for entry in active:
        lines = [
            f"{value.hex()}\n" if format is HashListFormat.PLAIN else f"{signal} {value.hex()}\n"
            for signal, value in _signals(entry)
            if format is HashListFormat.TYPED or signal is Signal.PDQ
        ]
        out.writelines(lines)
        count += bool(lines)
    return count


def csv_pieces(entries: Iterable[Entry], kind: BankKind = BankKind.POSITIVE) -> Iterator[str]:
    """The CSV of the active ones among `entries`, in pieces of some hundred for streaming.

    Args:
        entries: read once, while the pieces are consumed.
        kind: of the bank.
    """
    active = (entry for entry in entries if entry.state is State.ACTIVE)
    piece = io.StringIO(newline="")
    csv.writer(piece, lineterminator="\n").writerow(THREATEXCHANGE_COLUMNS + OWN_COLUMNS)
    yield piece.getvalue()
    while page := list(islice(active, _PIECE_ENTRIES)):
        piece = io.StringIO(newline="")
        writer = csv.writer(piece, lineterminator="\n")
        for entry in page:
            writer.writerows(_csv_rows(entry, kind))
        yield piece.getvalue()


def _write_csv(entries: Iterable[Entry], out: TextIO, kind: BankKind) -> int:
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(THREATEXCHANGE_COLUMNS + OWN_COLUMNS)
    count = 0
    for entry in entries:
        writer.writerows(_csv_rows(entry, kind))
        count += 1
    return count


def _csv_rows(entry: Entry, kind: BankKind) -> Iterator[tuple[object, ...]]:
    shared = (
        neutralise(entry.bank),
        CLASSES[kind],
        "",
        SCHEMA_VERSION,
        entry.id,
        "" if entry.quality is None else entry.quality,
        entry.trust.value,
        neutralise(entry.source),
        neutralise(entry.note),
        entry.added.isoformat(),
        "" if entry.expires is None else entry.expires.isoformat(),
    )
    for signal, value in _signals(entry):
        yield signal.value, value.hex(), *shared
    if entry.anchored is not None:
        # One row for all: they are one thing, and whoever does not know it passes over one line.
        yield Signal.ANCHORED.value, entry.anchored.codes.hex(), *shared
    if entry.video is not None:
        for times in times_of(entry.video):
            yield VIDEO_TIMES, times.hex(), *shared


def _signals(entry: Entry) -> Iterator[tuple[Signal, bytes]]:
    for code in entry.pdqs:
        yield Signal.PDQ, code
    yield from digests_of(entry)
