"""Pictures to entries, and the end of their consent."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from egide.engine.searching import forget_snapshot
from egide.errors import ItemError
from egide.hashing import fingerprint
from egide.model import DEFAULT_LIMITS, Registration

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from egide.model import Fingerprint, Limits
    from egide.store import Store

_REGISTER_CHUNK = 64


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
