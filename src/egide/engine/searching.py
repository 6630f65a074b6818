"""Opening a store, and the snapshot in which it is searched."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from egide.engine.patches import NO_PATCHES, open_patches
from egide.errors import SnapshotError, SnapshotMissing, SnapshotNotRemoved, SnapshotUnwritable
from egide.index.snapshot import Snapshot
from egide.index.snapshot_build import build_snapshot
from egide.matching import Holdings, Matcher, ThoroughMatcher
from egide.settings import DEFAULT_STORE, cache_dir, snapshot_dir

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from pathlib import Path

    from egide.errors import PatchesError
    from egide.matching import Found
    from egide.model import Fingerprint
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


class StoreSearch:
    """Searches a store as it is when it is asked, by its snapshot, and by keypoints.

    Attributes:
        stalled_s: 0, as nothing is searched but the present.
        age_s: alike.
    """

    stalled_s = 0.0
    age_s = 0.0

    def __init__(
        self, store: Store, *, on_patches_error: Callable[[PatchesError], None] | None = None
    ) -> None:
        """Search an open store.

        Args:
            store: open for as long as it is searched.
            on_patches_error: called, if given, with what stands in the way of searching by
                keypoints, and the search goes on without; by default the error is raised.
        """
        self._store = store
        self._on_patches_error = on_patches_error

    @property
    def bank_names(self) -> frozenset[str]:
        """The names of all banks, the disabled ones too."""
        return frozenset(bank.name for bank in self._store.banks())

    def require_bank(self, name: str) -> None:
        """Refuse a bank that is none.

        Raises:
            BankMissing: there is no bank of that name.
        """
        self._store.bank(name)

    def search(
        self,
        fingerprints: Sequence[Fingerprint],
        *,
        banks: Collection[str] | None = None,
        radius_bits: int | None = None,
    ) -> Found:
        """Match fingerprints, and by keypoints those that have any.

        Args:
            fingerprints: any number.
            banks: names; None for all enabled ones.
            radius_bits: 0–63 instead of each bank's own.

        Returns:
            for each fingerprint its matches, nearest first; and in which banks.

        Raises:
            BankMissing, RadiusInvalid: of the arguments.
            PatchesError: keypoints were asked for and cannot be searched.
        """
        patches = NO_PATCHES
        if any(fingerprint.patches for fingerprint in fingerprints):
            names = None if banks is None else tuple(banks)
            patches = open_patches(self._store, banks=names, on_error=self._on_patches_error)
        with patches, open_snapshot(self._store) as snapshot:
            matcher = Matcher(snapshot, banks=banks, radius_bits=radius_bits, now=datetime.now(UTC))
            tiers = matcher if patches.index is None else ThoroughMatcher(matcher, patches.index)
            return Holdings().found(matcher, tiers.match(fingerprints))


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

    In EGIDE_SNAPSHOT_DIR, else beside the store's file, else in a private cache of the user's.
    """
    folder = snapshot_dir()
    if folder is None and store.path is not None:
        return store.path.with_name(f"{store.path.name}.snapshot")
    if folder is None:
        folder = cache_dir()
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise SnapshotUnwritable(
                name=str(folder), reason=(error.strerror or "").lower()
            ) from error
    return folder / f"{store.id}.snapshot"
