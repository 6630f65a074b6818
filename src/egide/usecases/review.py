"""The cases of a bank as a helpline's workers meet them: by number and date, to be vouched for.

What a worker does is logged as done by `staff:NAME`. Nothing here gives a fingerprint or a PIN.
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
        older: what to give as `before` for the next page; None where this is the last.
    """

    cases: tuple[CaseSummary, ...]
    older: int | None


class CaseReview:
    """What workers may do with the cases of one bank."""

    def __init__(self, store: Store, bank: str, rules: CaseRules) -> None:
        """Take a store, the bank that people register in, and what holds for every case."""
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
        """Some cases in short.

        Args:
            limit: at most so many.
            before: `older` of the page before, None for the first page.
            state: only those in this state.
            trust: only those with an active image of this trust.
        """
        found = self._store.cases.page(
            self._bank, before=before, limit=limit + 1, state=state, trust=trust
        )
        shown = tuple(found[:limit])
        return CaseList(shown, shown[-1].id if len(found) > limit else None)

    def find(self, number: str) -> int:
        """The id of the case with this number, as somebody read it out.

        Raises:
            CaseNumberInvalid: it can be no case number.
            CaseNotFound: there is no such case, or no longer.
        """
        found = self._store.cases.find(self._bank, parse_number(number))
        if found is None:
            raise CaseNotFound
        return found[0]

    def get(self, case_id: int) -> Case:
        """A case with its images.

        Raises:
            CaseNotFound: there is none of that id in the bank.
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
        """Vouch for an open case: its unverified images are confirmed from now on.

        What a reviewer disputes stays disputed.

        Args:
            case_id: of the case.
            reason: how the worker knows; it is logged.
            staff: who vouches.
            image_id: of the one image that they vouch for, None for all.

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
            staff: who does it.

        Raises:
            CaseNotFound, CaseEnded: there is no such case, or it is over already.
            UsageError: the authority is the person's own, and a worker acts for others.
        """
        if authority is Authority.SELF:
            raise UsageError(reason="a worker withdraws for somebody else: say how they asked")
        case = self.get(case_id)
        if case.state is not CaseState.OPEN:
            raise CaseEnded(state=case.state.value)
        return self._casework.withdraw(case_id, authority=authority, staff=staff.name)
