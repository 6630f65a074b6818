"""Opening a store, and the snapshot in which it is searched."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from egide.errors import SnapshotNotRemoved, StoreError
from egide.live.forgetting import settle
from egide.live.keypoints import NO_KEYPOINTS, open_keypoints
from egide.live.snapshots import open_snapshot
from egide.matching import Holdings, Matcher, ThoroughMatcher
from egide.settings import DEFAULT_STORE

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from egide.domain.model import Fingerprint
    from egide.errors import KeypointsError
    from egide.matching import Found
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


class StoreSearch:
    """Searches a store as it is when it is asked, by its snapshot, and by keypoints.

    Attributes:
        stalled_s: 0, as nothing is searched but the present.
        age_s: alike.
    """

    stalled_s = 0.0
    age_s = 0.0

    def __init__(
        self, store: Store, *, on_keypoints_error: Callable[[KeypointsError], None] | None = None
    ) -> None:
        """Search an open store.

        Args:
            store: open for as long as it is searched.
            on_keypoints_error: called, if given, with what stands in the way of searching by
                keypoints, and the search goes on without; by default the error is raised.
        """
        self._store = store
        self._on_keypoints_error = on_keypoints_error

    @property
    def bank_names(self) -> frozenset[str]:
        """The names of all banks, the disabled ones too."""
        return frozenset(bank.name for bank in self._store.banks.list())

    def require_bank(self, name: str) -> None:
        """Refuse a bank that is none.

        Raises:
            BankMissing: there is no bank of that name.
        """
        self._store.banks.get(name)

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
            KeypointsError: keypoints were asked for and cannot be searched.
        """
        keypoints = NO_KEYPOINTS
        if any(fingerprint.keypoints for fingerprint in fingerprints):
            names = None if banks is None else tuple(banks)
            keypoints = open_keypoints(self._store, banks=names, on_error=self._on_keypoints_error)
        with keypoints, open_snapshot(self._store) as snapshot:
            matcher = Matcher(snapshot, banks=banks, radius_bits=radius_bits, now=datetime.now(UTC))
            tiers = (
                matcher if keypoints.index is None else ThoroughMatcher(matcher, keypoints.index)
            )
            return Holdings().found(matcher, tiers.match(fingerprints))
