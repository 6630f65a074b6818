"""Register pictures as entries."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from egide.compiled import count_picture
from egide.domain.coverage import Gap, GapKind
from egide.domain.model import DEFAULT_LIMITS, Fingerprint, Registration
from egide.domain.video import MAX_VIDEO_FRAMES, Track
from egide.errors import (
    FileMissing,
    FileUnreadable,
    ImageTruncated,
    ItemError,
    KeypointKeyWrong,
    LinkNotFollowed,
    UsageError,
)
from egide.hashing import fingerprint_or_error
from egide.hashing.keypoints import registered as registered_keypoints
from egide.hashing.keypoints import require_opencv
from egide.security.sealing import KeypointKey, require_cryptography
from egide.store.changing import ChangingStore
from egide.usecases.withdraw import settle_after_act

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime

    from egide.domain.model import Limits
    from egide.store import Store

LEAST_SHARE_REGISTERED = 0.95
"""Of a picture that ends early; at 0.95, its hash is 26 to 36 bits from that of the whole."""
_REGISTER_CHUNK = 64


@dataclass(frozen=True, slots=True)
class PictureFile:
    """A file to read, or a folder that cannot be.

    Attributes:
        path: as named, or below the folder that was named.
        named: it was named itself.
        error: why a folder is not looked into; None of a file.
    """

    path: Path
    named: bool
    error: ItemError | None = None

    def gap(self, error: ItemError) -> Gap:
        """What is not looked at because of an error."""
        unread = isinstance(error, FileMissing | FileUnreadable)
        kind = GapKind.LISTING if self.error else None
        return Gap.of(str(self.path), error, GapKind.SOURCE if self.named and unread else kind)


@dataclass(frozen=True, slots=True)
class RegisteredFile:
    """What became of one file to register.

    Attributes:
        file: its path as given.
        entry: the entry's id; None on error.
        outcome: `added`, `renewed` (it had expired or been withdrawn), `known` (it was registered
            already), `refused` (it stays withdrawn or a false positive), or `failed`.
        matchable: False if the picture has too little detail: only identical files will match.
        keypoints: `stored`, or `not-enough-detail` if the entry has none; empty if they were not
            asked for or there is no active entry.
        anchored_count: how many anchored hashes the entry has.
    """

    file: str
    entry: int | None
    outcome: str
    matchable: bool
    error: ItemError | None = None
    keypoints: str = ""
    anchored_count: int = 0


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
    """Register the fingerprints of pictures in a bank; the pictures stay where they are.

    A picture that was registered without anchored hashes gets them when it is registered again.
    Yields an outcome for each file, in order. An unreadable file does not affect the others.

    Args:
        store: an open store.
        bank: a bank's name.
        files: pictures, or folders of pictures.
        source: of the pictures; the same picture from another source is another entry.
        note: free text, erased with the fingerprint on withdrawal.
        expires: when the entries expire.
        again: also register what was withdrawn before.
        keypoints: also keep each picture's keypoints, sealed, to find heavily edited copies. They
            reveal far more of the picture than the other fingerprints do.
        keypoint_key: seals them; by default the key of the environment, see `KeypointKey.load`.
        limits: on what one file may ask of this machine.

    Raises:
        BankMissing, StoreError: nothing of the current chunk was registered.
        KeypointsError: keypoints cannot be computed or sealed, or the store uses another key;
            raised before any file is read.
    """
    store.banks.get(bank)
    key = _ready_for_keypoints(store, keypoint_key) if keypoints else None
    waiting: list[tuple[str, Fingerprint | ItemError]] = []
    for file in picture_files(files):
        count_picture()
        name = str(file.path)
        outcome: Fingerprint | ItemError
        try:
            if file.error is not None:
                raise file.error
            outcome = fingerprint_or_error(
                file.path, name=name, limits=limits, anchored=True, keypoints=keypoints
            )
            if isinstance(outcome, Fingerprint):
                require_whole(outcome, name=name)
        except ItemError as error:
            outcome = error
        waiting.append((name, outcome))
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
    settle_after_act(store)  # renewing an overdue entry may have erased some of it
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
            yield RegisteredFile(
                file,
                made.entry,
                made.kind.value,
                matchable,
                keypoints=kept,
                anchored_count=made.anchored_count,
            )


def _ready_for_keypoints(store: Store, key: KeypointKey | None) -> KeypointKey:
    """Return the keypoint key; fail before any picture is read if keypoints cannot be kept."""
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


def require_whole(print_: Fingerprint, *, name: str) -> None:
    """Refuse to register a picture of which much is missing: its hash is of a grey surface.

    Raises:
        ImageTruncated: less than `LEAST_SHARE_REGISTERED` was read.
    """
    if print_.share_read < LEAST_SHARE_REGISTERED:
        raise ImageTruncated(name=name)


def registration_of(
    print_: Fingerprint, *, source: str, note: str = "", expires: datetime | None = None
) -> Registration:
    """Return what a bank keeps of a picture: digests, and the PDQ of frames with enough detail.

    Of a video it keeps the frames in order, with their times; a frame without its borders is one
    more. Anchored hashes are kept if they were computed.
    Keypoints are kept if they were computed and suffice to tell the picture from others.
    """
    keypoints = None if print_.keypoints is None else registered_keypoints(print_.keypoints)
    pdqs = tuple(dict.fromkeys(frame.code for frame in print_.frames if frame.matchable))
    trimmed = tuple(dict.fromkeys(region.pdq.code for region in print_.regions if region.trimmed))
    video = None
    if print_.video is not None:
        trimmed = ()
        pdqs, video = _frames_of_video(print_, print_.video)
    return Registration(
        pdqs=pdqs,
        trimmed_pdqs=trimmed,
        sha256=print_.sha256,
        md5=print_.md5,
        quality=print_.pdq.quality if print_.pdq else None,
        source=source,
        note=note,
        expires=expires,
        keypoints=keypoints if keypoints is not None and keypoints.searchable else None,
        anchored=None if print_.anchored is None else print_.anchored.registered(),
        video=video,
    )


def _frames_of_video(print_: Fingerprint, track: Track) -> tuple[tuple[bytes, ...], Track | None]:
    """The codes of a video in order, and their times; at most `MAX_VIDEO_FRAMES`.

    Frames without their borders come after the whole ones, and are the first to be left out.
    """
    whole = [(at, 0, frame.code) for at, frame in enumerate(print_.frames) if frame.matchable]
    trimmed = [(one.frame, 1, one.pdq.code) for one in print_.regions if one.trimmed]
    room = max(MAX_VIDEO_FRAMES - len(whole), 0)
    if len(trimmed) > room:
        trimmed = [trimmed[at * len(trimmed) // room] for at in range(room)]
    kept = sorted(whole + trimmed)
    if not kept:
        return (), None
    return tuple(code for _, _, code in kept), Track(
        tuple(track.starts[at] for at, _, _ in kept),
        tuple(track.ends[at] for at, _, _ in kept),
        track.duration_ms,
        track.version,
    )


def picture_files(paths: Iterable[str | Path]) -> Iterator[PictureFile]:
    """Yield the named files and the files in the named folders, in path order.

    A link to a folder, which is not followed, and an unreadable folder are yielded with an error.

    Raises:
        UsageError: a name is a URL or empty; raised before any file is yielded.
    """
    named = list(paths)
    for name in named:
        if name == "":  # `Path` takes it for the current folder
            raise UsageError(reason="a file name is empty: write `.` for the current folder")
        # As a `Path`, it would lose a slash and be reported as a missing file.
        if isinstance(name, str) and "://" in name and not os.path.exists(name):  # noqa: PTH110
            raise UsageError(
                reason=f"{name} is a URL, but only files are accepted here: fetch it first, "
                "or send it to a served register as the `url` of POST /v1/match"
            )
    return _files_in(named)


def _files_in(paths: Iterable[str | Path]) -> Iterator[PictureFile]:
    for path in map(Path, paths):
        if not os.path.isdir(path):  # noqa: PTH112 - a Path raises on names that are too long
            yield PictureFile(path, named=True)
            continue
        waiting = [path]
        while waiting:
            found = waiting.pop()
            named = found is path
            if named or os.path.isdir(found):  # noqa: PTH112
                if not named and found.is_symlink():
                    yield PictureFile(found, named, LinkNotFollowed(name=found))
                    continue
                try:
                    waiting.extend(sorted(found.iterdir(), reverse=True))
                except OSError as error:
                    reason = (error.strerror or "it cannot be listed").lower()
                    yield PictureFile(found, named, FileUnreadable(name=found, reason=reason))
            elif os.path.isfile(found) or not os.path.exists(found):  # noqa: PTH110, PTH113
                yield PictureFile(found, named)
