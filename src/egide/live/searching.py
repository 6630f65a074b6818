"""Open a store, and search it through its snapshot."""

from __future__ import annotations

from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from time import monotonic
from typing import TYPE_CHECKING, Self

from egide.errors import BankMissing, SnapshotNotRemoved, StoreError
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
        with HeldSearch(
            self._store,
            keypoints=any(fingerprint.keypoints for fingerprint in fingerprints),
            banks=banks,
            on_keypoints_error=self._on_keypoints_error,
        ) as held:
            return held.search(fingerprints, banks=banks, radius_bits=radius_bits)


class HeldSearch:
    """Searches the state that a store had when this was opened, or last renewed.

    Attributes:
        snapshot: that is searched; another one after `renew`.
    """

    def __init__(
        self,
        store: Store,
        *,
        keypoints: bool = False,
        banks: Collection[str] | None = None,
        on_keypoints_error: Callable[[KeypointsError], None] | None = None,
    ) -> None:
        """Open the snapshot of the store's present state.

        Args:
            store: stays open while it is searched.
            keypoints: search by them too.
            banks: whose keypoints to search; None for all.
            on_keypoints_error: as for `StoreSearch`.

        Raises:
            SnapshotUnwritable, SnapshotNotRemoved: as for `open_snapshot`.
            KeypointsError: keypoints cannot be searched.
        """
        self._store = store
        self._searches_keypoints = keypoints
        self._banks = None if banks is None else tuple(banks)
        self._on_keypoints_error = on_keypoints_error
        self._holdings = Holdings()
        self._open()

    def _open(self) -> None:
        with ExitStack() as opened:
            self._present_at_s = monotonic()
            keypoints = NO_KEYPOINTS
            if self._searches_keypoints:
                keypoints = opened.enter_context(
                    open_keypoints(
                        self._store, banks=self._banks, on_error=self._on_keypoints_error
                    )
                )
            self.snapshot = opened.enter_context(open_snapshot(self._store))
            self._index = keypoints.index
            self._opened = opened.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._opened.close()

    def renew(self) -> None:
        """Go on to the store's present state; on an error the former one stays searched.

        Raises:
            StoreError: the store cannot be read.
            SnapshotError, KeypointsError: as when it was opened.
        """
        at_s = monotonic()
        if self._store.revision() != self.snapshot.revision:
            former = self._opened
            self._open()
            former.close()
        self._present_at_s = at_s

    @property
    def searches_keypoints(self) -> bool:
        """Whether there are any to search by."""
        return self._index is not None

    @property
    def age_s(self) -> float:
        """Seconds since what is searched was last known to be the store's present state."""
        return monotonic() - self._present_at_s

    @property
    def stalled_s(self) -> float:
        """The same: nobody asks the store but `renew`."""
        return self.age_s

    @property
    def bank_names(self) -> frozenset[str]:
        """The names of all banks, the disabled ones too."""
        return frozenset(bank.name for bank in self.snapshot.banks)

    def require_bank(self, name: str) -> None:
        """Refuse the name of a bank that does not exist.

        Raises:
            BankMissing: there is no bank of that name.
        """
        if name not in self.bank_names:
            raise BankMissing(bank=name)

    def search(
        self,
        fingerprints: Sequence[Fingerprint],
        *,
        banks: Collection[str] | None = None,
        radius_bits: int | None = None,
    ) -> Found:
        """Match fingerprints, as `StoreSearch.search` does."""
        matcher = Matcher(
            self.snapshot, banks=banks, radius_bits=radius_bits, now=datetime.now(UTC)
        )
        tiers = matcher if self._index is None else ThoroughMatcher(matcher, self._index)
        return self._holdings.found(matcher, tiers.match(fingerprints))
