"""The cases of a bank as a helpline's workers see them: by number and date, to be confirmed.

The log names the worker as `staff:NAME`. Nothing here returns a fingerprint or a PIN.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from egide.domain.cases import Authority, CaseState, parse_number
from egide.domain.model import Trust
from egide.errors import CaseEnded, CaseNotFound, UsageError
from egide.store.changing import ChangingStore
from egide.usecases.cases import Casework

if TYPE_CHECKING:
    from egide.domain.cases import Case, CaseRules, CaseSummary, ConfirmReason, PartnerStatus
    from egide.domain.staff import Staff
    from egide.store import Store


@dataclass(frozen=True, slots=True)
class CaseList:
    """A page of cases, the newest first.

    Attributes:
        older: the value of `before` for the next page; None on the last page.
    """

    cases: tuple[CaseSummary, ...]
    older: int | None


class CaseReview:
    """The acts of workers on the cases of one bank."""

    def __init__(self, store: Store, bank: str, rules: CaseRules) -> None:
        """Take a store, the bank that people register in, and the rules of its cases."""
        self._store = ChangingStore.of(store)
        self._bank = bank
        self._casework = Casework(store, bank, rules)

    def cases(
        self,
        *,
        limit: int,
        before: int | None = None,
        state: CaseState | None = None,
        trust: Trust | None = None,
    ) -> CaseList:
        """Summaries of cases, one page.

        Args:
            limit: of cases in the page.
            before: `older` of the previous page; None for the first page.
            state: only those in this state.
            trust: only those with an active image of this trust.
        """
        found = self._store.cases.page(
            self._bank, before=before, limit=limit + 1, state=state, trust=trust
        )
        shown = tuple(found[:limit])
        return CaseList(shown, shown[-1].id if len(found) > limit else None)

    def find(self, number: str) -> int:
        """Find the id of a case by its number, as somebody read it out.

        Raises:
            CaseNumberInvalid: this cannot be a case number.
            CaseNotFound: there is no such case, or no longer.
        """
        found = self._store.cases.find(self._bank, parse_number(number))
        if found is None:
            raise CaseNotFound
        return found[0]

    def get(self, case_id: int) -> Case:
        """A case with its images.

        Raises:
            CaseNotFound: the bank has no case with that id.
        """
        return self._casework.get(case_id)

    def partners(self, case: Case) -> dict[int, list[PartnerStatus]]:
        """What happened at each partner to each image, by the image's id."""
        return self._casework.partners(case)

    def unconfirmed(self) -> int:
        """How many open cases have an image that nobody has confirmed or disputed yet."""
        return self._store.cases.count_with_active(self._bank, Trust.UNVERIFIED)

    def confirm(
        self,
        case_id: int,
        reason: ConfirmReason,
        *,
        staff: Staff,
        image_id: int | None = None,
    ) -> Case:
        """Confirm the unverified images of an open case; disputed images stay disputed.

        Args:
            case_id: of the case.
            reason: how the worker knows; it is logged.
            staff: the worker.
            image_id: of one image to confirm; None for all.

        Raises:
            CaseNotFound, CaseEnded: there is no such case, or it is not open.
            ImageMissing: there is no such image in it.
        """
        self.get(case_id)
        self._store.acting_as(staff.actor).cases.confirm(case_id, reason, image_id=image_id)
        return self.get(case_id)

    def withdraw(self, case_id: int, authority: Authority, *, staff: Staff) -> Case:
        """Withdraw an open case for its person, who asked for it.

        Args:
            case_id: of the case.
            authority: how they asked; it is logged.
            staff: the worker.

        Raises:
            CaseNotFound, CaseEnded: there is no such case, or it has ended already.
            UsageError: the authority is the person's own, but a worker acts for others.
        """
        if authority is Authority.SELF:
            raise UsageError(reason="a worker withdraws for somebody else: say how they asked")
        case = self.get(case_id)
        if case.state is not CaseState.OPEN:
            raise CaseEnded(state=case.state.value)
        return self._casework.withdraw(case_id, authority=authority, staff=staff.name)
