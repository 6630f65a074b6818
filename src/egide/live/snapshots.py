"""The search snapshot of a store: where it is, who builds it, and when it must be removed."""

from __future__ import annotations

import fcntl
import os
import tempfile
import time
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from egide.errors import SnapshotError, SnapshotMissing, SnapshotNotRemoved, SnapshotUnwritable
from egide.files import unfinished_files
from egide.index.snapshot import Snapshot
from egide.index.snapshot_build import build_snapshot
from egide.settings import cache_dir, snapshot_dir

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from egide.store import Store

_BUILD_ATTEMPTS = 3


def open_snapshot(store: Store, *, verify: bool = False) -> Snapshot:
    """Open the search snapshot of a store at its present revision; build it if needed.

    If the store changes constantly, the snapshot is a moment old. Its file is then already unlinked
    if something was erased meanwhile.

    Args:
        store: an open store.
        verify: also check every section's checksum, which takes a second for ten million entries.

    Raises:
        SnapshotUnwritable: it cannot be written; EGIDE_SNAPSHOT_DIR names another folder.
        SnapshotNotRemoved: it may hold erased fingerprints and must be deleted by hand.
    """
    path = snapshot_path(store)
    snapshot = _current(store, path, verify=verify)
    if snapshot is not None:
        store.erasure.note_snapshot(path)
        return snapshot
    with building(path, wait=True):
        # The process before us may have built it. A snapshot of an earlier revision may hold
        # erased fingerprints, and a withdrawal in another process may just have removed it.
        attempts = 0
        while (snapshot := _current(store, path, verify=verify)) is None:
            build_store_snapshot(store, path)
            attempts += 1
            if attempts >= _BUILD_ATTEMPTS:
                with suppress(SnapshotMissing):
                    snapshot = Snapshot.open(path, verify=verify)
                    break
    if attempts:  # a withdrawal during the build found no file to remove
        forget_snapshot(store)
    return snapshot


def _current(store: Store, path: Path, *, verify: bool) -> Snapshot | None:
    """The snapshot, if it is intact and of the store's present revision."""
    try:
        snapshot = Snapshot.open(path, verify=verify)
    except SnapshotError:
        return None  # missing, damaged or of another version: it is only a copy
    if snapshot.store_id == store.id and snapshot.revision == store.revision():
        return snapshot
    snapshot.close()
    return None


def codes_at_hand(store: Store) -> int:
    """How many codes the search snapshot of a store has, of whatever revision; 0 without one."""
    try:
        with Snapshot.open(snapshot_path(store)) as snapshot:
            return snapshot.code_count
    except SnapshotError:
        return 0


def build_store_snapshot(store: Store, path: Path) -> None:
    """Write the search snapshot of a store at its present revision.

    Raises:
        SnapshotUnwritable: it cannot be written; nothing is left behind.
        StoreError: the store cannot be read, or cannot record where the snapshot is.
    """
    store.erasure.note_snapshot(path)
    with store.entries.active() as active:
        build_snapshot(
            path,
            store_id=store.id,
            revision=active.revision,
            banks=active.banks,
            entries=active.entries,
            created=datetime.now(UTC),
        )


@contextmanager
def building(path: Path, *, wait: bool) -> Iterator[bool]:
    """Hold the lock to build a snapshot on this machine; the system frees it if the process dies.

    The holder first removes the unfinished files of a killed build.

    Args:
        path: of the snapshot.
        wait: until another process has finished its build.

    Yields:
        whether this process holds the lock; always True with `wait`.

    Raises:
        SnapshotUnwritable: no permission, or no such folder.
    """
    lock = path.with_name(f"{path.name}.lock")
    try:
        handle = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        reason = os.strerror(error.errno or 0)
        raise SnapshotUnwritable(name=str(path), reason=reason) from error
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            yield False
        else:
            for unfinished in unfinished_files(path):  # of a build that was killed
                unfinished.unlink(missing_ok=True)
            yield True
    finally:
        os.close(handle)


def require_folder(path: Path) -> None:
    """Check that a snapshot can be written in its folder.

    Raises:
        SnapshotUnwritable: the folder does not exist or is not writable.
    """
    try:
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise SnapshotUnwritable(name=str(path), reason=reason) from error


def forget_snapshot(store: Store) -> None:
    """Remove snapshots that may hold erased fingerprints, and the files of killed builds.

    Raises:
        SnapshotNotRemoved: one remains and must be deleted by hand.
        StoreError: the store cannot say what it has erased.
    """
    for path in _places(store):
        _forget(store, path)


def forget_other_snapshots(store: Store, *, after_s: float) -> None:
    """Remove old snapshots that a served register does not search, as `forget_snapshot` does.

    They come from commands, or from another server with other settings.

    Args:
        store: that is served.
        after_s: the age at which such a snapshot is removed.

    Raises:
        SnapshotNotRemoved, StoreError: as for `forget_snapshot`.
    """
    own = snapshot_path(store).resolve()
    for path in _places(store):
        with suppress(OSError):  # most do not exist
            # A file time in the future comes from a clock that was ahead.
            if path != own and not 0 <= time.time() - path.stat().st_mtime < after_s:
                _forget(store, path)


def _forget(store: Store, path: Path) -> None:
    try:
        if may_hold_erased(store, path):
            path.unlink(missing_ok=True)
        if any(unfinished_files(path)):
            with building(path, wait=False):
                pass
    except (OSError, SnapshotUnwritable) as error:
        reason = getattr(error, "strerror", None) or "no permission"
        raise SnapshotNotRemoved(name=path, reason=str(reason).lower()) from error


def may_hold_erased(store: Store, path: Path) -> bool:
    """Whether a snapshot's file may hold a fingerprint that the store has erased.

    It may if it was built before the last erasure. It also may if it belongs to another store, or
    to a later state of a store that was restored: their revisions cannot be compared.
    """
    try:
        with Snapshot.open(path) as snapshot:
            # Read in this order: a snapshot built meanwhile is of a revision that exists already.
            revision, erased = snapshot.revision, store.erasure.get().revision
            return snapshot.store_id != store.id or not erased <= revision <= store.revision()
    except SnapshotMissing:
        return False
    except SnapshotError:
        return True  # unknown, and it is only a copy


def snapshot_path(store: Store) -> Path:
    """Return the path of a store's snapshot.

    The folder is EGIDE_SNAPSHOT_DIR, else that of the store's file if it is writable, else the
    user's private cache.
    """
    folder = snapshot_dir()
    file = store.path
    if folder is None and file is not None and os.access(file.parent, os.W_OK):
        return _beside(file)
    if folder is None:
        folder = cache_dir()
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise SnapshotUnwritable(
                name=str(folder), reason=(error.strerror or "").lower()
            ) from error
    return folder / f"{store.id}.snapshot"


def _places(store: Store) -> list[Path]:
    """All paths where a snapshot of a store may be, whatever the settings were."""
    usual = [] if store.path is None else [_beside(store.path)]
    folders = (folder for folder in (snapshot_dir(), cache_dir()) if folder is not None)
    usual += [folder / f"{store.id}.snapshot" for folder in folders]
    noted = (
        path
        for path in store.erasure.snapshots()
        # Another user removes their own; the place that a store was moved from may hold another's.
        if os.access(path.parent, os.W_OK) and not _of_another(store, path)
    )
    return list(dict.fromkeys([*(path.resolve() for path in usual), *noted]))


def _of_another(store: Store, path: Path) -> bool:
    try:
        with Snapshot.open(path) as snapshot:
            return snapshot.store_id != store.id
    except SnapshotError:
        return False


def _beside(file: Path) -> Path:
    return file.with_name(f"{file.name}.snapshot")
