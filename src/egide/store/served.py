"""What a store holds beside its banks, for a register that is served."""

from __future__ import annotations

from hashlib import blake2b

from egide.store.access.approvals import Approvals
from egide.store.access.idempotency import Idempotency
from egide.store.access.keys import Keys
from egide.store.access.sessions import Sessions
from egide.store.access.staff import StaffAccounts
from egide.store.cases.attempts import Attempts
from egide.store.cases.cases import Cases
from egide.store.log.log import Log
from egide.store.opened import OpenedStore
from egide.store.partners.feed import Feed
from egide.store.partners.feedback import FeedbackRecords
from egide.store.partners.given import Given
from egide.store.partners.outbox import Outbox
from egide.store.partners.reads import PartnerReads
from egide.store.partners.upstreams import Upstreams
from egide.store.partners.webhooks import Webhooks


class ServedStore(OpenedStore):
    """An open store and its tables of service, each behind a class of its own.

    What they write is logged as done by the store's `actor`, in the same transaction.
    """

    def derived_key(self, purpose: str) -> bytes:
        """A secret of this store, 32 bytes, for one purpose; its processes all have the same.

        Args:
            purpose: at most 16 characters of ASCII; another purpose has an unrelated key.
        """
        return blake2b(digest_size=32, key=self._identity_key, person=purpose.encode()).digest()

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
    def given(self) -> Given:
        """What is handed out, written down before it is."""
        return Given(self._database, self._identity_key, self.actor)

    @property
    def log(self) -> Log:
        """Who did what, when."""
        return Log(self._database, self._identity_key, self.actor)

    @property
    def upstreams(self) -> Upstreams:
        """Registers that this one follows."""
        return Upstreams(self._database, self.actor)

    @property
    def webhooks(self) -> Webhooks:
        """Who is told of what."""
        return Webhooks(self._database, self.actor)

    @property
    def outbox(self) -> Outbox:
        """What they are still to be told."""
        return Outbox(self._database, self.actor)

    @property
    def staff(self) -> StaffAccounts:
        """Accounts of a helpline's workers."""
        return StaffAccounts(self._database, self.actor)

    @property
    def sessions(self) -> Sessions:
        """Who is signed in."""
        return Sessions(self._database)

    @property
    def cases(self) -> Cases:
        """What people have registered of themselves."""
        return Cases(self._database, self._identity_key)

    @property
    def attempts(self) -> Attempts:
        """Who has tried to sign in to a case, counted."""
        return Attempts(self._database, self._identity_key)

    @property
    def partner_reads(self) -> PartnerReads:
        """What partners were given of cases."""
        return PartnerReads(self._database)
