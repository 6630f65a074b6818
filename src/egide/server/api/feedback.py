"""The route for feedback on matches."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Response

from egide.domain.access import Key, Permission
from egide.errors import BankMissing, EntryMissing
from egide.server.api.idempotency import WriteDep, write_responses
from egide.server.api.schemas.register import FeedbackTaken, NewFeedbacks
from egide.server.http.auth import permitted
from egide.server.service import ServiceDep

if TYPE_CHECKING:
    from datetime import datetime

    from egide.domain.model import FeedbackKind

router = APIRouter(prefix="/feedback", tags=["feedback"])


@router.post("", response_model=FeedbackTaken, responses=write_responses(BankMissing, EntryMissing))
def give_feedback(
    body: NewFeedbacks,
    service: ServiceDep,
    key: Annotated[Key, permitted(Permission.FEEDBACK)],
    write: WriteDep,
) -> Response:
    """Say what became of matches: seen, removed, left, or false. The key's name is kept with it.

    The feedback on one bank is taken as a whole or not at all. Repeated feedback is kept once.
    """

    def give() -> FeedbackTaken:
        by_bank: dict[str, list[tuple[int, FeedbackKind, datetime]]] = defaultdict(list)
        for one in body.feedback:
            key.require_bank(one.bank)
            by_bank[one.bank].append((one.entry, one.kind, one.at))
        records = service.acting(key.name).feedback
        for bank, items in by_bank.items():
            records.add_all(bank, items, partner=key.name)
        return FeedbackTaken(taken=len(body.feedback))

    return write.once(key, give)
