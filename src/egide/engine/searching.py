"""Opening a store and searching it."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from egide.engine.erasing import settle
from egide.engine.patches import NO_PATCHES, open_patches
from egide.engine.snapshots import open_snapshot
from egide.errors import SnapshotNotRemoved, StoreError
from egide.matching import Matcher, ThoroughMatcher
from egide.settings import DEFAULT_STORE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from egide.errors import PatchesError
    from egide.model import Fingerprint, Match
    from egide.store import Store


def open_store(url: str = DEFAULT_STORE, *, create: bool = False) -> Store:
    """Open the store at `url`, an SQLAlchemy URL such as `sqlite:///folder/egide.db`.

    Where a process was killed, what it left of erased fingerprints in files is removed first.

    Args:
        url: of the database.
        create: make it where there is none.

    Raises:
        StoreError: StoreMissing, StoreTooOld, StoreTooNew and others, each with its remedy.
    """
    from egide.store import Store  # 0.3 s to import

    store = Store.open(url, create=create)
    # A store that is only read, or busy, is settled by whoever can; withdrawing says what is left.
    with suppress(StoreError, SnapshotNotRemoved):
        settle(store)
    return store


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
