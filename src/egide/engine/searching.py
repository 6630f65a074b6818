"""Opening a store and searching it."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from egide.engine.patches import NO_PATCHES, open_patches
from egide.errors import SnapshotError, SnapshotMissing, SnapshotNotRemoved, SnapshotUnwritable
from egide.index.snapshot import Snapshot
from egide.index.snapshot_build import build_snapshot
from egide.matching import Matcher, ThoroughMatcher
from egide.settings import DEFAULT_STORE, cache_dir, snapshot_dir

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from egide.errors import PatchesError
    from egide.model import Fingerprint, Match
    from egide.store import Store

_BUILD_ATTEMPTS = 3


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


def match(
    store: Store,
    fingerprints: Sequence[Fingerprint],
    *,
    banks: Sequence[str] | None = None,
    radius_bits: int | None = None,
    on_patches_error: Callable[[PatchesError], None] | None = None,
) -> list[list[Match]]:
    """Search the store for fingerprints, and by keypoints for those that have any.

    Args:
        store: an open store.
        fingerprints: of `fingerprint`, or made of hash values.
        banks: names; None for all enabled ones.
        radius_bits: 0–63 instead of each bank's own.
        on_patches_error: called, if given, with what stands in the way of searching by keypoints,
            and the search goes on without; by default the error is raised.

    Returns:
        for each fingerprint its matches, nearest first.

    Raises:
        BankMissing, RadiusInvalid: of the arguments.
        PatchesError: keypoints were asked for and cannot be searched.
    """
    patches = NO_PATCHES
    if any(fingerprint.patches for fingerprint in fingerprints):
        patches = open_patches(store, banks=banks, on_error=on_patches_error)
    with patches, open_snapshot(store) as snapshot:
        matcher = Matcher(snapshot, banks=banks, radius_bits=radius_bits, now=datetime.now(UTC))
        if patches.index is None:
            return matcher.match(fingerprints)
        return ThoroughMatcher(matcher, patches.index).match(fingerprints)


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
            build_store_snapshot(store, path)
            snapshot = Snapshot.open(path, verify=verify)
        except (SnapshotMissing, SnapshotUnwritable) as error:
            if isinstance(error, SnapshotMissing) or isinstance(error.__cause__, FileNotFoundError):
                continue  # a withdrawal in another process has just removed it
            raise
        # A file of an earlier revision may hold what has been erased since.
        if snapshot.revision == store.revision():
            return snapshot
        snapshot.close()
    build_store_snapshot(store, path)
    return Snapshot.open(path, verify=verify)


def build_store_snapshot(store: Store, path: Path) -> None:
    """Write the search snapshot of a store at its present revision.

    Raises:
        SnapshotUnwritable: it cannot be written; nothing is left behind.
    """
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
    """Return where the snapshot of a store stands.

    In EGIDE_SNAPSHOT_DIR, else beside the store's file, else, as for a backup on a read-only disk,
    in a private cache of the user's.
    """
    folder = snapshot_dir()
    file = store.path
    if folder is None and file is not None and os.access(file.parent, os.W_OK):
        return file.with_name(f"{file.name}.snapshot")
    if folder is None:
        folder = cache_dir()
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise SnapshotUnwritable(
                name=str(folder), reason=(error.strerror or "").lower()
            ) from error
    return folder / f"{store.id}.snapshot"
