"""Routes about entries: register, list, show, end, judge."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Query, Response

from egide.domain.access import Key, Permission
from egide.domain.model import State, Trust
from egide.errors import (
    ApprovalInvalid,
    ApprovalNeeded,
    BankMissing,
    EntryMissing,
    ItemError,
    StateConflict,
)
from egide.hashlist.values import MAX_SOURCE_CHARS
from egide.server.api.idempotency import WriteDep, write_responses
from egide.server.api.registering import REGISTER_BODY, batch_of
from egide.server.api.schemas.common import MAX_NUMBER, BankPath, EntryPath, LimitQuery
from egide.server.api.schemas.register import (
    EntriesShown,
    EntryShown,
    FeedbackShown,
    FeedbacksShown,
    OutcomeShown,
    Registered,
)
from egide.server.api.scope import ApprovalHeader, permitted_in_bank
from egide.server.http.problems import problem_responses
from egide.server.service import ServiceDep
from egide.usecases.register_by_key import register_batch
from egide.usecases.withdraw import confirm, dispute, tombstone, withdraw

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from egide.server.api.idempotency import Write
    from egide.store import Store

router = APIRouter(prefix="/banks/{bank}/entries", tags=["entries"])
_READERS = permitted_in_bank(Permission.READ_ENTRIES)
_MISSING = problem_responses(BankMissing, EntryMissing)
_JUDGED = write_responses(BankMissing, EntryMissing, StateConflict)


@router.post(
    "",
    status_code=201,
    response_model=Registered,
    responses=write_responses(BankMissing, ApprovalNeeded, ApprovalInvalid, ItemError),
    openapi_extra=REGISTER_BODY,
)
def register_entries(
    bank: BankPath,
    service: ServiceDep,
    key: Annotated[Key, permitted_in_bank(Permission.REGISTER)],
    write: WriteDep,
    approval: ApprovalHeader = None,
) -> Response:
    """Register up to 10,000 fingerprints, or one picture, of which only the fingerprint is kept.

    All are registered or none. They are `unverified`, and their source is the key's name. Withdrawn
    entries stay withdrawn unless `again` is true. Beyond the daily limit of one person, a second
    person is needed.
    """

    def register() -> Registered:
        done = register_batch(
            service.store,
            bank,
            batch_of(write, service, approval),
            key=key,
            bulk_limit=service.settings.bulk_limit,
        )
        return Registered(
            outcomes=[
                OutcomeShown(entry=one.entry, outcome=one.kind, anchored_count=one.anchored_count)
                for one in done.outcomes
            ],
            revision=done.revision,
        )

    return write.once(key, register, status=201)


@router.get(
    "",
    response_model=EntriesShown,
    responses=problem_responses(BankMissing),
    dependencies=[_READERS],
)
def list_entries(
    bank: BankPath,
    service: ServiceDep,
    state: State | None = None,
    trust: Trust | None = None,
    source: Annotated[
        str | None,
        Query(
            max_length=MAX_SOURCE_CHARS,
            pattern=r"^[^\x00]*$",
            description="Only entries of this source.",
            examples=["key:uploads/case-17"],
        ),
    ] = None,
    cursor: Annotated[
        int, Query(ge=0, le=MAX_NUMBER, description="`next` of the previous page.")
    ] = 0,
    limit: LimitQuery = 100,
) -> EntriesShown:
    """List entries by number, without their fingerprints."""
    found = list(
        service.store.entries.list(
            bank, state=state, trust=trust, source=source, after=cursor, limit=limit + 1
        )
    )
    page = found[:limit]
    return EntriesShown(
        entries=[EntryShown.of(entry) for entry in page],
        next=page[-1].id if len(found) > limit else None,
    )


@router.get("/{entry}", response_model=EntryShown, responses=_MISSING, dependencies=[_READERS])
def show_entry(
    bank: BankPath,
    entry: EntryPath,
    service: ServiceDep,
) -> EntryShown:
    """Show an entry without its fingerprint."""
    return EntryShown.of(service.store.entries.get(bank, entry))


@router.get(
    "/{entry}/feedback",
    response_model=FeedbacksShown,
    responses=_MISSING,
    dependencies=[_READERS],
)
def show_feedback(
    bank: BankPath,
    entry: EntryPath,
    service: ServiceDep,
) -> FeedbacksShown:
    """Show the feedback of partners and platforms on matches with an entry."""
    return FeedbacksShown(
        feedback=[
            FeedbackShown(partner=one.partner, kind=one.kind, at=one.at)
            for one in service.store.feedback.of_entry(bank, entry)
        ]
    )


@router.post("/{entry}/withdraw", response_model=EntryShown, responses=_JUDGED)
def withdraw_entry(
    bank: BankPath,
    entry: EntryPath,
    service: ServiceDep,
    key: Annotated[Key, permitted_in_bank(Permission.WITHDRAW)],
    write: WriteDep,
) -> Response:
    """Withdraw an entry: it no longer matches, and its fingerprint is erased."""
    return _change(write, key, service.acting(key.name), withdraw, bank, entry)


@router.post("/{entry}/confirm", response_model=EntryShown, responses=_JUDGED)
def confirm_entry(
    bank: BankPath,
    entry: EntryPath,
    service: ServiceDep,
    key: Annotated[Key, permitted_in_bank(Permission.JUDGE)],
    write: WriteDep,
) -> Response:
    """Record that a reviewer confirmed an entry: its matches may block by themselves."""
    return _change(write, key, service.acting(key.name), confirm, bank, entry)


@router.post("/{entry}/dispute", response_model=EntryShown, responses=_JUDGED)
def dispute_entry(
    bank: BankPath,
    entry: EntryPath,
    service: ServiceDep,
    key: Annotated[Key, permitted_in_bank(Permission.JUDGE)],
    write: WriteDep,
) -> Response:
    """Record that a reviewer disputes an entry: its matches ask for review."""
    return _change(write, key, service.acting(key.name), dispute, bank, entry)


@router.post("/{entry}/tombstone", response_model=EntryShown, responses=_JUDGED)
def tombstone_entry(
    bank: BankPath,
    entry: EntryPath,
    service: ServiceDep,
    key: Annotated[Key, permitted_in_bank(Permission.JUDGE)],
    write: WriteDep,
) -> Response:
    """Mark an entry as a confirmed false positive: it never matches again."""
    return _change(write, key, service.acting(key.name), tombstone, bank, entry)


def _change(
    write: Write,
    key: Key,
    store: Store,
    act: Callable[[Store, str, Sequence[int]], int],
    bank: str,
    entry: int,
) -> Response:
    """Change the state or trust of one entry, and show the result."""

    def change() -> EntryShown:
        act(store, bank, [entry])
        return EntryShown.of(store.entries.get(bank, entry))

    return write.once(key, change, kept=EntryShown.without_note)
