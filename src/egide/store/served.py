"""What a store holds beside its banks, for a register that is served."""

from __future__ import annotations

from egide.store.approvals import Approvals
from egide.store.feed import Feed
from egide.store.feedback import FeedbackRecords
from egide.store.idempotency import Idempotency
from egide.store.keys import Keys
from egide.store.log import Log
from egide.store.opened import OpenedStore
from egide.store.outbox import Outbox
from egide.store.upstreams import Upstreams
from egide.store.webhooks import Webhooks


class ServedStore(OpenedStore):
    """An open store and its tables of service, each behind a class of its own.

    What they write is logged as done by the store's `actor`, in the same transaction.
    """

    @property
    def keys(self) -> Keys:
        """Who may ask for what."""
        return Keys(self._database, self.actor)

    @property
    def approvals(self) -> Approvals:
        """What needs a second person."""
        return Approvals(self._database, self.actor)

    @property
    def idempotency(self) -> Idempotency:
        """Answers to writes that may be repeated."""
        return Idempotency(self._database)

    @property
    def feedback(self) -> FeedbackRecords:
        """What partners say became of matches."""
        return FeedbackRecords(self._database, self._identity_key, self.actor)

    @property
    def feed(self) -> Feed:
        """What changed, for other registers to follow."""
        return Feed(self._database)

    @property
    def log(self) -> Log:
        """Who did what, when."""
        return Log(self._database, self._identity_key, self.actor)

    @property
    def upstreams(self) -> Upstreams:
        """Registers that this one follows."""
        return Upstreams(self._database, self._identity_key, self.actor, self._changing)

    @property
    def webhooks(self) -> Webhooks:
        """Who is told of what."""
        return Webhooks(self._database, self.actor)

    @property
    def outbox(self) -> Outbox:
        """What they are still to be told."""
        return Outbox(self._database, self.actor)
