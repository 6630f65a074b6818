"""What the holder of a key registers: always under the key's name, never believed unseen."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from egide.domain.model import Trust
from egide.errors import RequestInvalid
from egide.hashlist.values import meaningless_in
from egide.store.changing import ChangingStore
from egide.usecases.approvals import TwoPeople
from egide.usecases.withdraw import settle_after_act

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from egide.domain.access import Key
    from egide.domain.model import Registered, Registration
    from egide.store import Store


def source_of(key: Key, within: str = "") -> str:
    """The source of what a key registers: `key:NAME`, or `key:NAME/…` with the holder's own word.

    No key can register as another, so that everything from one can be withdrawn by its source, and
    nobody takes back in what somebody else withdrew.
    """
    return f"key:{key.name}/{within}" if within else f"key:{key.name}"


@dataclass(frozen=True, slots=True)
class Batch:
    """What the holder of a key wants a bank to hold.

    Attributes:
        registrations: `source` is the holder's own word for it, or empty.
        again: also take back in what had been withdrawn from the same source.
        digest: of the request, 32 bytes, for a second person.
        approval_id: of that person's approval, if there is one.
    """

    registrations: Sequence[Registration]
    again: bool
    digest: bytes
    approval_id: int | None


def register_batch(
    store: Store, bank: str, batch: Batch, *, key: Key, bulk_limit: int
) -> Registered:
    """Register what the holder of a key sent, in one transaction: all of it or nothing.

    Args:
        store: an open store.
        bank: a bank's name.
        batch: what they sent.
        key: theirs.
        bulk_limit: fingerprints that one person may add in a day.

    Raises:
        BankMissing: the key does not reach the bank, or there is none.
        RequestInvalid: a fingerprint is no picture's.
        ApprovalNeeded, ApprovalInvalid: see `TwoPeople.check_bulk`.
    """
    key.require_bank(bank)
    store.banks.get(bank)
    registrations = list(_checked(batch.registrations, key))
    # By the codes, since one entry takes as many as an animation has frames.
    count = sum(max(1, len(registration.pdqs)) for registration in registrations)
    two_people = TwoPeople(store, bulk_limit)
    two_people.check_bulk(key, bank, count, batch.digest, batch.approval_id)
    registered = (
        ChangingStore.of(store)
        .acting_as(key.name)
        .entries.register(bank, registrations, again=batch.again, outcomes=True)
    )
    settle_after_act(store)  # what was overdue and is renewed may hold less than it did
    return registered


def _checked(registrations: Iterable[Registration], key: Key) -> Iterator[Registration]:
    for number, registration in enumerate(registrations):
        reason = meaningless_in(registration)
        if reason is not None:
            raise RequestInvalid(reason=f"entry {number} is {reason}")
        yield replace(
            registration,
            source=source_of(key, registration.source),
            trust=Trust.UNVERIFIED,
        )
