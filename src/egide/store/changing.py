"""A store for changing; only `egide.usecases` may import this, which import-linter checks."""

from __future__ import annotations

from typing import Self

from egide.store.cases.changes import CaseChanges
from egide.store.entries.changes import BankChanges, EntryChanges, KeypointChanges
from egide.store.partners.upstream_changes import UpstreamChanges
from egide.store.store import Store


class ChangingStore(Store):
    """An open store whose rooms also change what they hold.

    Every method that changes something is one transaction and makes at most one revision.
    """

    @classmethod
    def of(cls, store: Store) -> Self:
        """The same open store, for changing; close only the original."""
        changing = cls.__new__(cls)
        changing.__dict__.update(store.__dict__)
        return changing

    @property
    def banks(self) -> BankChanges:
        """Banks."""
        return BankChanges(self._database, self._changing)

    @property
    def entries(self) -> EntryChanges:
        """Entries."""
        return EntryChanges(self._database, self.id, self.url, self._identity_key, self._changing)

    @property
    def keypoints(self) -> KeypointChanges:
        """Keypoints of entries."""
        return KeypointChanges(self._database, self.id, self.url, self._changing)

    @property
    def cases(self) -> CaseChanges:
        """Cases."""
        return CaseChanges(self._database, self._identity_key, self._changing, self.actor)

    @property
    def upstreams(self) -> UpstreamChanges:
        """Upstream registers, and applying their changes."""
        return UpstreamChanges(self._database, self._identity_key, self.actor, self._changing)
