"""Pictures to entries."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from egide.domain.model import DEFAULT_LIMITS, Registration
from egide.errors import ItemError, KeypointKeyWrong, UsageError
from egide.hashing import fingerprint
from egide.hashing.keypoints import registered as registered_keypoints
from egide.hashing.keypoints import require_opencv
from egide.security.sealing import KeypointKey, require_cryptography
from egide.store.changing import ChangingStore
from egide.usecases.withdraw import settle_after_act

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime

    from egide.domain.model import Fingerprint, Limits
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
        keypoints: where they were asked for: `stored`, or `not-enough-detail`, which means that
            the entry has none; empty where they were not asked for or there is no active entry.
    """

    file: str
    entry: int | None
    outcome: str
    matchable: bool
    error: ItemError | None = None
    keypoints: str = ""


def register(
    store: Store,
    bank: str,
    files: Iterable[str | Path],
    *,
    source: str = "local",
    note: str = "",
    expires: datetime | None = None,
    again: bool = False,
    keypoints: bool = False,
    keypoint_key: KeypointKey | None = None,
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
        keypoints: also keep the keypoints of each picture, sealed, so that heavily edited copies
            are found. They tell far more of the picture than the other fingerprints do.
        keypoint_key: seals them; by default that of the environment, see `KeypointKey.load`.
        limits: what one file may ask of this machine.

    Raises:
        BankMissing, StoreError: nothing of the chunk in hand was registered.
        KeypointsError: keypoints cannot be found or sealed, or are sealed with another key; raised
            before any file is read.
    """
    store.banks.get(bank)
    key = _ready_for_keypoints(store, keypoint_key) if keypoints else None
    waiting: list[tuple[str, Fingerprint | ItemError]] = []
    for path in picture_files(files):
        try:
            outcome: Fingerprint | ItemError = fingerprint(
                path, name=str(path), limits=limits, keypoints=keypoints
            )
        except ItemError as error:
            outcome = error
        waiting.append((str(path), outcome))
        if len(waiting) >= _REGISTER_CHUNK:
            yield from _register(store, bank, waiting, source, note, expires, again, key)
            waiting = []
    yield from _register(store, bank, waiting, source, note, expires, again, key)


def _register(
    store: Store,
    bank: str,
    files: Sequence[tuple[str, Fingerprint | ItemError]],
    source: str,
    note: str,
    expires: datetime | None,
    again: bool,
    key: KeypointKey | None,
) -> Iterator[RegisteredFile]:
    from egide.store import OutcomeKind

    registrations = [
        registration_of(outcome, source=source, note=note, expires=expires)
        for _, outcome in files
        if not isinstance(outcome, ItemError)
    ]
    registered = ChangingStore.of(store).entries.register(
        bank, registrations, again=again, outcomes=True, keypoint_key=key
    )
    settle_after_act(store)  # what was overdue and is renewed may hold less than it did
    outcomes = zip(registered.outcomes, registrations, strict=True)
    for file, outcome in files:
        if isinstance(outcome, ItemError):
            yield RegisteredFile(file, None, "failed", matchable=False, error=outcome)
        else:
            made, registration = next(outcomes)
            matchable = bool(registration.pdqs or registration.trimmed_pdqs)
            kept = (
                "" if made.kind is OutcomeKind.REFUSED else _keypoints_word(outcome, registration)
            )
            yield RegisteredFile(file, made.entry, made.kind.value, matchable, keypoints=kept)


def _ready_for_keypoints(store: Store, key: KeypointKey | None) -> KeypointKey:
    """Find what stands in the way of keeping keypoints, before any picture is read."""
    require_opencv()
    require_cryptography()
    key = key or KeypointKey.load()
    if store.keypoints.key_id() not in {None, key.key_id}:
        raise KeypointKeyWrong(store=store.url)
    return key


def _keypoints_word(print_: Fingerprint, registration: Registration) -> str:
    if print_.keypoints is None:
        return ""
    return "not-enough-detail" if registration.keypoints is None else "stored"


def registration_of(
    print_: Fingerprint, *, source: str, note: str = "", expires: datetime | None = None
) -> Registration:
    """Return what a bank keeps of a picture: digests, and the PDQ of frames with enough detail.

    Keypoints are kept if they were asked for and are enough to tell the picture from others.
    """
    keypoints = None if print_.keypoints is None else registered_keypoints(print_.keypoints)
    return Registration(
        pdqs=tuple(dict.fromkeys(frame.code for frame in print_.frames if frame.matchable)),
        trimmed_pdqs=tuple(
            dict.fromkeys(region.pdq.code for region in print_.regions if region.trimmed)
        ),
        sha256=print_.sha256,
        md5=print_.md5,
        quality=print_.pdq.quality if print_.pdq else None,
        source=source,
        note=note,
        expires=expires,
        keypoints=keypoints if keypoints is not None and keypoints.searchable else None,
    )


def picture_files(paths: Iterable[str | Path]) -> Iterator[Path]:
    """Yield the files named, and those in the folders named, in path order.

    Links to folders are not followed. What cannot be looked at is yielded too: opening it says why.

    Raises:
        UsageError: an address is named, or an empty name; before any file is.
    """
    named = list(paths)
    for name in named:
        if name == "":  # to `Path` it is the folder one stands in
            raise UsageError(reason="a name of a file is empty: name the current folder as .")
        # A path would lose a slash of it, and be a file that is missing.
        if isinstance(name, str) and "://" in name and not os.path.exists(name):  # noqa: PTH110
            raise UsageError(
                reason=f"{name} is an address, and files are taken here: fetch it first, "
                "or send it to a served register as the `url` of POST /v1/match"
            )
    return _files_in(named)


def _files_in(paths: Iterable[str | Path]) -> Iterator[Path]:
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
