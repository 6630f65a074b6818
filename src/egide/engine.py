"""The use cases: register, withdraw, check, import, export. What front ends call."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, TextIO

from egide.errors import (
    ItemError,
    SnapshotError,
    SnapshotMissing,
    SnapshotNotRemoved,
    SnapshotUnwritable,
)
from egide.hashing import fingerprint
from egide.hashlist import BadLine, HashListFormat, read_hash_list, write_hash_list
from egide.index.snapshot import Snapshot
from egide.index.snapshot_build import build_snapshot
from egide.matching import Matcher
from egide.model import DEFAULT_LIMITS, Registration, Signal, State, Trust
from egide.settings import DEFAULT_STORE, snapshot_dir

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from egide.model import Fingerprint, Limits, Match
    from egide.store import Store

_REGISTER_CHUNK = 64
_BUILD_ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class RegisteredFile:
    """What became of one file that was to be registered.

    Attributes:
        file: as it was named.
        entry: the entry's id, or None where there is an error.
        outcome: `added`, `renewed` (it had expired or been withdrawn), `known` (it was there
            already), `refused` (withdrawn or found false before, and it stays so), or `failed`.
        matchable: False where the picture has too little detail: only identical files will match.
    """

    file: str
    entry: int | None
    outcome: str
    matchable: bool
    error: ItemError | None = None


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What became of the lines of a hash list."""

    added: int
    renewed: int
    known: int
    refused: int
    bad_lines: int
    revision: int


def open_store(url: str = DEFAULT_STORE, *, create: bool = False) -> Store:
    """Open the store at `url`, an SQLAlchemy URL such as `sqlite:///folder/egide.db`.

    Args:
        url: of the database.
        create: make it where there is none.

    Raises:
        StoreError: StoreMissing, StoreTooOld, StoreTooNew and others, each with its remedy.
    """
    from egide.store import Store  # 0.3 s to import

    return Store.open(url, create=create)


def register(
    store: Store,
    bank: str,
    files: Iterable[str | Path],
    *,
    source: str = "local",
    note: str = "",
    expires: datetime | None = None,
    again: bool = False,
    limits: Limits = DEFAULT_LIMITS,
) -> Iterator[RegisteredFile]:
    """Fingerprint pictures and put the fingerprints into a bank; the pictures stay where they are.

    Yields an outcome for each file, in order. A file that cannot be read costs no other one.

    Args:
        store: an open store.
        bank: a bank's name.
        files: pictures, or folders of pictures.
        source: who they come from: the same picture of another source is another entry.
        note: free text, erased with the fingerprint on withdrawal.
        expires: when the entries end by themselves.
        again: also take back in what was withdrawn before.
        limits: what one file may ask of this machine.

    Raises:
        BankMissing, StoreError: nothing of the chunk in hand was registered.
    """
    store.bank(bank)
    waiting: list[tuple[str, Fingerprint | ItemError]] = []
    for path in picture_files(files):
        try:
            outcome: Fingerprint | ItemError = fingerprint(path, name=str(path), limits=limits)
        except ItemError as error:
            outcome = error
        waiting.append((str(path), outcome))
        if len(waiting) >= _REGISTER_CHUNK:
            yield from _register(store, bank, waiting, source, note, expires, again)
            waiting = []
    yield from _register(store, bank, waiting, source, note, expires, again)


def _register(
    store: Store,
    bank: str,
    files: Sequence[tuple[str, Fingerprint | ItemError]],
    source: str,
    note: str,
    expires: datetime | None,
    again: bool,
) -> Iterator[RegisteredFile]:
    registrations = [
        registration_of(outcome, source=source, note=note, expires=expires)
        for _, outcome in files
        if not isinstance(outcome, ItemError)
    ]
    registered = store.register(bank, registrations, again=again, outcomes=True)
    outcomes = iter(registered.outcomes)
    for file, outcome in files:
        if isinstance(outcome, ItemError):
            yield RegisteredFile(file, None, "failed", matchable=False, error=outcome)
        else:
            made = next(outcomes)
            yield RegisteredFile(file, made.entry, made.kind.value, outcome.matchable)


def registration_of(
    print_: Fingerprint, *, source: str, note: str = "", expires: datetime | None = None
) -> Registration:
    """Return what a bank keeps of a picture: digests, and the PDQ of frames with enough detail."""
    return Registration(
        pdqs=tuple(dict.fromkeys(frame.code for frame in print_.frames if frame.matchable)),
        sha256=print_.sha256,
        md5=print_.md5,
        quality=print_.pdq.quality if print_.pdq else None,
        source=source,
        note=note,
        expires=expires,
    )


def picture_files(paths: Iterable[str | Path]) -> Iterator[Path]:
    """Yield the files named, and those in the folders named, in path order.

    Links to folders are not followed. What cannot be looked at is yielded too: opening it says why.
    """
    for path in map(Path, paths):
        if not os.path.isdir(path):  # noqa: PTH112 - a Path raises on names that are too long
            yield path
            continue
        waiting = [path]
        while waiting:
            found = waiting.pop()
            if found is path or (os.path.isdir(found) and not found.is_symlink()):  # noqa: PTH112
                try:
                    waiting.extend(sorted(found.iterdir(), reverse=True))
                except OSError:
                    yield found  # opening it says what is wrong
            elif os.path.isfile(found) or not os.path.exists(found):  # noqa: PTH110, PTH113
                yield found


def withdraw(store: Store, bank: str, entries: Sequence[int]) -> int:
    """End the consent of entries: their fingerprints are erased, here and in the search snapshot.

    Returns:
        the revision from which on they no longer match.

    Raises:
        EntryMissing: one is not in the bank; none was withdrawn.
        SnapshotNotRemoved: withdrawn, but the snapshot has to be deleted by hand.
    """
    revision = store.withdraw(bank, entries)
    forget_snapshot(store)
    return revision


def withdraw_source(store: Store, bank: str, source: str) -> int:
    """Withdraw everything that one source registered; return the revision afterwards."""
    revision = store.withdraw_source(bank, source)
    forget_snapshot(store)
    return revision


def expire(store: Store, bank: str | None = None, now: datetime | None = None) -> int:
    """End the entries whose time is over and erase their fingerprints; return how many."""
    count = store.expire(now or datetime.now(UTC), bank=bank)
    if count:
        forget_snapshot(store)
    return count


def import_hashes(
    store: Store,
    bank: str,
    stream: BinaryIO,
    *,
    name: str,
    signal: Signal | None = None,
    source: str | None = None,
    trust: Trust = Trust.UNVERIFIED,
    on_bad_line: Callable[[BadLine], None] | None = None,
) -> ImportReport:
    """Register the lines of a hash list in one transaction; a bad line costs no other.

    Args:
        store: an open store.
        bank: a bank's name.
        stream: the list; see docs/hash-lists.md for its formats.
        name: what messages call the list, and the entries' source unless `source` says another or
            the list names its own.
        signal: what plain lines of digits are, where their length does not tell.
        source: overrides every source in the list.
        trust: what to think of the entries; a list's own claim is not believed.
        on_bad_line: called with each line that was left out.

    Raises:
        BankMissing, SchemaTooNew, StoreError: nothing was imported.
    """
    bad = 0

    def registrations() -> Iterator[Registration]:
        nonlocal bad
        for line in read_hash_list(stream, name=name, signal=signal):
            if isinstance(line, BadLine):
                bad += 1
                if on_bad_line is not None:
                    on_bad_line(line)
            else:
                registration = line.registration(default_source=name, trust=trust)
                yield replace(registration, source=source) if source else registration

    registered = store.register(bank, registrations())
    return ImportReport(
        added=registered.added,
        renewed=registered.renewed,
        known=registered.known,
        refused=registered.refused,
        bad_lines=bad,
        revision=registered.revision,
    )


def export_hashes(
    store: Store, bank: str, out: TextIO, hash_list_format: HashListFormat = HashListFormat.CSV
) -> int:
    """Write the active entries of a bank as a hash list; return how many."""
    return write_hash_list(store.entries(bank, state=State.ACTIVE), out, hash_list_format)


def match(
    store: Store,
    fingerprints: Sequence[Fingerprint],
    *,
    banks: Sequence[str] | None = None,
    radius_bits: int | None = None,
) -> list[list[Match]]:
    """Search the store for fingerprints.

    Args:
        store: an open store.
        fingerprints: of `fingerprint`, or made of hash values.
        banks: names; None for all enabled ones.
        radius_bits: 0–63 instead of each bank's own.

    Returns:
        for each fingerprint its matches, nearest first.

    Raises:
        BankMissing, RadiusInvalid: of the arguments.
    """
    with open_snapshot(store) as snapshot:
        matcher = Matcher(snapshot, banks=banks, radius_bits=radius_bits, now=datetime.now(UTC))
        return matcher.match(fingerprints)


def open_snapshot(store: Store, *, verify: bool = False) -> Snapshot:
    """Open the search snapshot of a store at its present revision, building it where needed.

    Args:
        store: an open store.
        verify: also check every section's checksum, which takes a second for ten million entries.

    Raises:
        SnapshotUnwritable: it cannot be written; EGIDE_SNAPSHOT_DIR names another folder.
    """
    path = snapshot_path(store)
    try:
        snapshot = Snapshot.open(path, verify=verify)
    except SnapshotError:
        pass  # absent, damaged or of another version: it is only a copy
    else:
        if snapshot.store_id == store.id and snapshot.revision == store.revision():
            return snapshot
        snapshot.close()
    for _ in range(_BUILD_ATTEMPTS - 1):
        try:
            _build_snapshot(store, path)
            snapshot = Snapshot.open(path, verify=verify)
        except (SnapshotMissing, SnapshotUnwritable) as error:
            if isinstance(error, SnapshotMissing) or isinstance(error.__cause__, FileNotFoundError):
                continue  # a withdrawal in another process has just removed it
            raise
        # A file of an earlier revision may hold what has been erased since.
        if snapshot.revision == store.revision():
            return snapshot
        snapshot.close()
    _build_snapshot(store, path)
    return Snapshot.open(path, verify=verify)


def _build_snapshot(store: Store, path: Path) -> None:
    with store.read_active() as active:
        build_snapshot(
            path,
            store_id=store.id,
            revision=active.revision,
            banks=active.banks,
            entries=active.entries,
            created=datetime.now(UTC),
        )


def forget_snapshot(store: Store) -> None:
    """Remove the snapshot, which may hold fingerprints that were erased from the store.

    Raises:
        SnapshotNotRemoved: it is still there, and has to be deleted by hand.
    """
    path = snapshot_path(store)
    try:
        path.unlink(missing_ok=True)
        for unfinished in path.parent.glob(f".{path.name}.*.tmp"):  # of a build that was killed
            unfinished.unlink(missing_ok=True)
    except OSError as error:
        raise SnapshotNotRemoved(name=path, reason=(error.strerror or "").lower()) from error


def snapshot_path(store: Store) -> Path:
    """Return where the snapshot of a store stands: beside its file, or in EGIDE_SNAPSHOT_DIR."""
    folder = snapshot_dir()
    if folder is not None or store.path is None:
        return (folder or Path()) / f"{store.id}.snapshot"
    return store.path.with_name(f"{store.path.name}.snapshot")
