"""Register with a key: always under the key's name, always unverified."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from egide.domain.model import Trust
from egide.domain.names import KEYED
from egide.errors import RequestInvalid
from egide.hashlist.values import meaningless_in
from egide.store.changing import ChangingStore
from egide.usecases.approvals import TwoPeople
from egide.usecases.withdraw import settle_after_act

_FRAMES_COUNTED_AS_ONE = 64

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from egide.domain.access import Key
    from egide.domain.model import Registered, Registration
    from egide.store import Store


def source_of(key: Key, within: str = "") -> str:
    """The source of a key's entries: `key:NAME`, or `key:NAME/…` with the holder's own name for it.

    No key can register as another. So all entries of one key can be withdrawn by source, and nobody
    can renew what somebody else withdrew.
    """
    return f"{KEYED}{key.name}/{within}" if within else f"{KEYED}{key.name}"


@dataclass(frozen=True, slots=True)
class Batch:
    """A request to register entries with a key.

    Attributes:
        registrations: `source` is the holder's own name for it, or empty.
        again: also renew what was withdrawn from the same source.
        digest: of the request, 32 bytes; the approval is bound to it.
        approval_id: of a second person's approval, if there is one.
    """

    registrations: Sequence[Registration]
    again: bool
    digest: bytes
    approval_id: int | None


def register_batch(
    store: Store, bank: str, batch: Batch, *, key: Key, bulk_limit: int
) -> Registered:
    """Register a batch in one transaction: all of it or nothing.

    Args:
        store: an open store.
        bank: a bank's name.
        batch: the request.
        key: of the sender.
        bulk_limit: fingerprints that one person may add in a day.

    Raises:
        BankMissing: there is no such bank, or the key does not reach it.
        RequestInvalid: a fingerprint is not of a picture.
        ApprovalNeeded, ApprovalInvalid: see `TwoPeople.check_bulk`.
    """
    key.require_bank(bank)
    store.banks.get(bank)
    registrations = list(_checked(batch.registrations, key))
    count = sum(map(_counted, registrations))
    two_people = TwoPeople(store, bulk_limit)
    two_people.check_bulk(key, bank, count, batch.digest, batch.approval_id)
    registered = (
        ChangingStore.of(store)
        .acting_as(key.name)
        .entries.register(bank, registrations, again=batch.again, outcomes=True)
    )
    settle_after_act(store)  # renewing an overdue entry may have erased some of it
    return registered


def _counted(registration: Registration) -> int:
    """What an entry counts for the limit: its codes; of a video one for each so many frames."""
    codes = len(registration.pdqs)
    return max(1, codes if registration.video is None else -(-codes // _FRAMES_COUNTED_AS_ONE))


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
