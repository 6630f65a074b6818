"""Open a store, and search it through its snapshot."""

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

    Erased fingerprints that a killed process left in files are removed first.

    Args:
        url: of the database.
        create: create the database if it does not exist.

    Raises:
        StoreError: StoreMissing, StoreTooOld, StoreTooNew and others, each naming its remedy.
    """
    from egide.store import Store  # 0.3 s to import

    store = Store.open(url, create=create)
    # Another process settles a store that is read-only or busy here; withdrawing reports the rest.
    with suppress(StoreError, SnapshotNotRemoved):
        settle(store)
    return store


class StoreSearch:
    """Searches the present state of a store, by its snapshot and by keypoints.

    Attributes:
        stalled_s: 0, as only the present is searched.
        age_s: 0, likewise.
    """

    stalled_s = 0.0
    age_s = 0.0

    def __init__(
        self, store: Store, *, on_keypoints_error: Callable[[KeypointsError], None] | None = None
    ) -> None:
        """Search an open store.

        Args:
            store: stays open while it is searched.
            on_keypoints_error: called with an error that prevents the search by keypoints; the
                search continues without them. By default the error is raised.
        """
        self._store = store
        self._on_keypoints_error = on_keypoints_error

    @property
    def bank_names(self) -> frozenset[str]:
        """The names of all banks, the disabled ones too."""
        return frozenset(bank.name for bank in self._store.banks.list())

    def require_bank(self, name: str) -> None:
        """Refuse the name of a bank that does not exist.

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
        """Match fingerprints; those with keypoints also by keypoints.

        Args:
            fingerprints: any number.
            banks: names; None for all enabled ones.
            radius_bits: 0–63 instead of each bank's own.

        Returns:
            the matches of each fingerprint, nearest first, and the banks that were searched.

        Raises:
            BankMissing, RadiusInvalid: an argument is invalid.
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
