"""A store as what an audit searches: one state, held open even if the store changes meanwhile."""

from __future__ import annotations

import os
from contextlib import ExitStack, contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from egide.auditing.again import MAX_ENTRIES, few_enough, recent_owners
from egide.auditing.summary import AnchoredSummary, BankSummary, KeypointsSummary, Searched
from egide.index.snapshot import Snapshot
from egide.live.keypoints import NO_KEYPOINTS, open_keypoints
from egide.live.snapshots import open_snapshot
from egide.matching import Matcher

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from egide.auditing.options import Options
    from egide.auditing.summary import Totals
    from egide.domain.model import Signal
    from egide.errors import KeypointsError
    from egide.index.snapshot import SnapshotBank
    from egide.live.keypoints import OpenKeypoints
    from egide.store import Store

_ATTEMPTS = 3


class StoreRegister:
    """An open store, for an audit."""

    def __init__(
        self, store: Store, on_keypoints_error: Callable[[KeypointsError], None] | None = None
    ) -> None:
        """Use a store.

        Args:
            store: kept open by the caller.
            on_keypoints_error: called with what prevents a search by keypoints; by default it is
                raised.
        """
        self._store = store
        self._on_keypoints_error = on_keypoints_error

    @contextmanager
    def open(self, options: Options, as_of: datetime) -> Iterator[Pinned]:
        """Hold the store's present state.

        Raises:
            BankMissing, RadiusInvalid: an option is invalid.
            KeypointsError: keypoints cannot be searched, and there is no `on_keypoints_error`.
        """
        with Pinned(self._store, options, as_of, self._on_keypoints_error) as pinned:
            yield pinned


class Pinned:
    """A snapshot and, on request, a keypoint index of the same revision of the store.

    Workers inherit both as open file descriptors. So workers that start later search the same
    revision, even if another process has replaced the snapshot; and the index needs no named file.

    Attributes:
        snapshot: open and verified.
        matcher: for the banks that are searched; workers make their own.
        inherit: the file descriptors that workers need.
    """

    lookup = None

    def __init__(
        self,
        store: Store,
        options: Options,
        as_of: datetime,
        on_keypoints_error: Callable[[KeypointsError], None] | None,
    ) -> None:
        """Open both.

        Raises:
            BankMissing, RadiusInvalid: an option is invalid.
            KeypointsError: keypoints cannot be searched, and there is no `on_keypoints_error`.
        """
        self._store, self._options, self._as_of = store, options, as_of
        for attempt in range(1, _ATTEMPTS + 1):
            self._keypoints: OpenKeypoints = NO_KEYPOINTS
            with ExitStack() as opened:
                if options.thorough:
                    self._keypoints = open_keypoints(
                        store, banks=options.banks, on_error=on_keypoints_error
                    )
                descriptor = _pin_snapshot(store)
                opened.callback(os.close, descriptor)
                path = Path(f"/dev/fd/{descriptor}")
                self.snapshot = opened.enter_context(Snapshot.open(path, verify=True))
                self.inherit: tuple[int, ...] = (descriptor,)
                if self._keypoints.index is not None:
                    opened.callback(self._keypoints.index.close)
                    self.inherit += (self._keypoints.index.fileno(),)
                same = self._keypoints.revision == self.snapshot.revision
                # If the store changes constantly, entries added in between have only one tier.
                if not options.thorough or same or attempt == _ATTEMPTS:
                    self.matcher = Matcher(
                        self.snapshot,
                        banks=options.banks,
                        radius_bits=options.radius_bits,
                        now=as_of,
                    )
                    self._resources = opened.pop_all()
                    return

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._resources.close()

    @property
    def held(self) -> frozenset[Signal]:
        """The signals of which the searched banks hold any."""
        return self.snapshot.signals_held(self.matcher.banks)

    @property
    def keypoints(self) -> bool:
        """Whether there is a second tier to search."""
        return self._keypoints.index is not None

    def begin(self, parts: Path) -> None:
        """Nothing to do: a part of another revision has another name."""

    def identity(self) -> list[Any]:
        """Store, revision, and what changes without a revision."""
        snapshot = self.snapshot
        expired = snapshot.count_expired(self._as_of)
        return [snapshot.store_id, snapshot.revision, expired, self.keypoints]

    def state(self) -> dict[str, Any]:
        """The revision, its date, and what is set of banks."""
        snapshot = self.snapshot
        return {
            "store_id": snapshot.store_id,
            "revision": snapshot.revision,
            "revision_at": self._store.revision_info(snapshot.revision).at.isoformat(),
            "as_of": self._as_of.isoformat(),
            "banks": {str(bank.id): _set_of(bank) for bank in snapshot.banks},
        }

    def since(self, state: dict[str, Any]) -> dict[str, Any] | None:
        """Tell which entries and banks are new or changed, unless they are many.

        With anchored hashes, an entry's match depends on others; so nothing can be told of one.
        """
        snapshot, store = self.snapshot, self._store
        if self._options.searches_anchored or self.keypoints:
            return None
        if state["store_id"] != snapshot.store_id or "revision" not in state:
            return None  # of another register, or of this one as it was asked over the network
        if state["revision"] > snapshot.revision:
            return None
        # A store that was restored counts the same revisions again.
        at = store.revision_info(state["revision"]).at.isoformat()
        if at != state["revision_at"] or state["as_of"] > self._as_of.isoformat():
            return None
        banks = [
            place
            for place, bank in enumerate(snapshot.banks)
            if state["banks"].get(str(bank.id)) != _set_of(bank)
        ]
        changed = store.entries.changes(state["revision"])
        entries = [entry.id for entry in islice(changed, MAX_ENTRIES + 1)]
        recent = {"entries": entries, "banks": banks}
        codes = len(snapshot.some(recent_owners(snapshot, recent)).codes)
        return recent if few_enough(len(entries), codes, self.matcher.radius_bits) else None

    def worker_settings(self) -> dict[str, Any]:
        """The paths of both, for workers that inherit the descriptors; and how to search."""
        index = self._keypoints.index
        return {
            "snapshot": str(self.snapshot.path),
            "patches": None if index is None else f"/dev/fd/{index.fileno()}",
            "banks": self._options.banks,
            "radius_bits": self._options.radius_bits,
            "as_of": self._as_of.isoformat(),
        }

    def searched(self, totals: Totals) -> Searched:
        """What was searched, for the summary."""
        snapshot, matcher = self.snapshot, self.matcher
        radius_bits, entries = self._options.radius_bits, snapshot.count_entries()
        index, error = self._keypoints.index, self._keypoints.error
        return Searched(
            anchored=AnchoredSummary(
                searched=self._options.searches_anchored,
                entries=int(matcher.searches(snapshot.anchored_entries()).sum()),
                items_without=totals.without_anchored,
            ),
            patches=KeypointsSummary(
                searched=self._options.thorough and error is None,
                code=None if error is None else error.code,
                pictures=0 if index is None else len(index),
                damaged=len(self._keypoints.damaged),
                not_enough_detail=totals.not_enough_detail,
            ),
            banks=[
                BankSummary(
                    name=bank.name,
                    radius_bits=bank.radius_bits if radius_bits is None else radius_bits,
                    entries=entries[bank.id],
                )
                for bank in matcher.banks
            ],
            banks_disabled=list(matcher.disabled),
            not_compared=self._not_compared(totals),
            store_id=snapshot.store_id,
            store_revision=snapshot.revision,
            store_revision_at=self._store.revision_info(snapshot.revision).at.isoformat(),
            kernel=snapshot.kernel,
            matcher=None,
        )

    def _not_compared(self, totals: Totals) -> str | None:
        """Why no entry was compared; None if some were."""
        if not self.snapshot.banks:
            return "no-bank"
        if not self.matcher.banks:
            return "bank-disabled"
        if not self.matcher.searches(np.arange(self.snapshot.entry_count)).any():
            return "bank-empty"
        return None if totals.hashed else "no-picture"


def _set_of(bank: SnapshotBank) -> list[Any]:
    """What of a bank decides whether its entries match."""
    return [bank.radius_bits, bank.enabled, bank.kind.value]


def _pin_snapshot(store: Store) -> int:
    while True:
        with open_snapshot(store) as snapshot, suppress(FileNotFoundError):
            return os.open(snapshot.path, os.O_RDONLY)
        # A withdrawal in another process just removed the snapshot; the next one omits its entries.
