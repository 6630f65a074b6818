"""The one door for asking whether something matches: where to look, search, decide.

The rules, for the API, the HMA mount, the command line and Python alike:

- A disabled bank is never searched, also where it is named; a bank that is missing is an error.
- `Fingerprint.matchable` says which query is *not matchable*: no PDQ of it may be searched for,
  since it has too little detail or none is known. Only identical files could be found.
- Where no bank holds an entry that can match, nothing was compared, and that is said.
- Where the store has been silent for too long, that is said too, and `StaleAnswers` says what is
  answered then.
- A decision rests on the banks' own radii; with a radius of the caller there is none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import inf
from typing import TYPE_CHECKING, Protocol, Self

from egide.domain.model import Fingerprint
from egide.domain.policy import decide
from egide.errors import BankMissing, NothingToCompare, RegisterStale, UsageError
from egide.live.searching import StoreSearch

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from egide.domain.model import Match
    from egide.domain.policy import Decision
    from egide.errors import KeypointsError
    from egide.matching import Found
    from egide.store import Store


class StaleAnswers(StrEnum):
    """What is answered once the store has been silent for too long."""

    SAY = "say"
    """The same as ever; the answer says that it is stale."""
    REVIEW = "review"
    """And nothing is allowed: what did not match asks for review."""
    REFUSE = "refuse"
    """Nothing: the question is refused."""


class Searcher(Protocol):
    """What is searched: a live register, or a store as it is now."""

    @property
    def bank_names(self) -> Collection[str]:
        """The names of all banks, the disabled ones too."""

    def require_bank(self, name: str) -> None:
        """Refuse a bank that is none.

        Raises:
            BankMissing: there is no bank of that name.
            StoreError: the store cannot tell.
        """

    @property
    def age_s(self) -> float:
        """Seconds since the last moment when no change of the store was missing."""

    @property
    def stalled_s(self) -> float:
        """Seconds since the store was last heard."""

    def search(
        self,
        fingerprints: Sequence[Fingerprint],
        *,
        banks: Collection[str] | None = None,
        radius_bits: int | None = None,
    ) -> Found:
        """Match fingerprints; None is for all enabled banks, and for each bank's own radius.

        Raises:
            BankMissing: there is no bank of that name.
        """


@dataclass(frozen=True, slots=True)
class Answer:
    """What is known of one fingerprint.

    Attributes:
        matchable: see `Fingerprint.matchable`.
        matches: nearest first.
        decision: None where the caller chose the radius.
    """

    matchable: bool
    matches: tuple[Match, ...]
    decision: Decision | None


@dataclass(frozen=True, slots=True)
class Checked:
    """What is known of all that was asked about, and what it was not compared with.

    Attributes:
        answers: one for each fingerprint, in order.
        revision: the store's revision that was searched.
        age_s: seconds for which changes of the store may be missing.
        stale: whether the store was silent for longer than it may be.
        searched: the names of the banks that were searched.
        nothing_to_compare: whether none of them holds an entry that can match.
        disabled: the names of banks that were asked for and are not searched.
    """

    answers: tuple[Answer, ...]
    revision: int
    age_s: float
    stale: bool
    searched: tuple[str, ...]
    nothing_to_compare: bool
    disabled: tuple[str, ...]

    def require_compared(self) -> None:
        """Refuse to take for 'no match' what was not compared.

        Raises:
            NothingToCompare: saying why.
        """
        if not self.nothing_to_compare:
            return
        names = [f"the bank {name} is disabled" for name in self.disabled]
        names += [f"the bank {name} has no entry that can match" for name in self.searched]
        raise NothingToCompare(reason=", ".join(names) or "there is no enabled bank")


@dataclass(frozen=True, slots=True)
class Check:
    """Where to look, settled before anything is paid for or decoded; `ask` as often as needed."""

    _searcher: Searcher
    _banks: tuple[str, ...] | None
    _radius_bits: int | None
    _stale_after_s: float
    _stale_answers: StaleAnswers

    @classmethod
    def within(
        cls,
        searcher: Searcher,
        *,
        reach: Collection[str] | None = None,
        banks: Collection[str] | None = None,
        radius_bits: int | None = None,
        stale_after_s: float = inf,
        stale_answers: StaleAnswers = StaleAnswers.REVIEW,
    ) -> Self:
        """Settle where to look.

        Args:
            searcher: that is asked.
            reach: the banks that whoever asks may learn of; None for all.
            banks: those that are asked for; None for all within reach.
            radius_bits: 0–63 instead of each bank's own; there is no decision then.
            stale_after_s: for so long the store may be silent.
            stale_answers: what is answered after that.

        Raises:
            BankMissing: one that is asked for is none; or out of reach, as if there were none.
            RegisterStale: nothing is to be answered at present.
            NotReady: nothing can be searched yet.
            StoreError: the store cannot tell whether there is a bank.
        """
        names: tuple[str, ...] | None = None
        if banks is not None:
            names = tuple(dict.fromkeys(banks))
            for name in names:
                if reach is not None and name not in reach:
                    raise BankMissing(bank=name)
            for name in names:
                searcher.require_bank(name)
        elif reach is not None:
            names = tuple(sorted(set(reach) & set(searcher.bank_names)))
        made = cls(searcher, names, radius_bits, stale_after_s, stale_answers)
        made._require_current()
        return made

    def ask(self, fingerprints: Sequence[Fingerprint]) -> Checked:
        """Search and decide.

        Args:
            fingerprints: any number.

        Raises:
            RegisterStale, NotReady: nothing can be answered at present.
            RadiusInvalid: it is outside 0–63.
            KeypointsError: keypoints were asked for and cannot be searched.
            UsageError: something else than fingerprints was given.
        """
        _require_fingerprints(fingerprints)
        # Before the search: an answer is never newer than it says.
        stale, age_s = self._require_current(), self._searcher.age_s
        found = self._searcher.search(
            fingerprints, banks=self._banks, radius_bits=self._radius_bits
        )
        return Checked(
            answers=tuple(
                self._answer(fingerprint, matches, found, stale=stale)
                for fingerprint, matches in zip(fingerprints, found.matches, strict=True)
            ),
            revision=found.revision,
            age_s=age_s,
            stale=stale,
            searched=found.searched,
            nothing_to_compare=not found.compared,
            disabled=found.disabled,
        )

    def _answer(
        self, fingerprint: Fingerprint, matches: Sequence[Match], found: Found, *, stale: bool
    ) -> Answer:
        decision = None
        if self._radius_bits is None:
            decision = decide(
                fingerprint.matchable,
                matches,
                found.revision,
                compared=found.compared,
                review_stale=stale and self._stale_answers is StaleAnswers.REVIEW,
            )
        return Answer(fingerprint.matchable, tuple(matches), decision)

    def _require_current(self) -> bool:
        """Say whether answers are stale, unless they are refused then."""
        stalled_s = self._searcher.stalled_s
        stale = stalled_s > self._stale_after_s
        if stale and self._stale_answers is StaleAnswers.REFUSE:
            raise RegisterStale(stalled_s=round(stalled_s))
        return stale


def check(
    store: Store,
    fingerprints: Sequence[Fingerprint],
    *,
    banks: Collection[str] | None = None,
    radius_bits: int | None = None,
    on_keypoints_error: Callable[[KeypointsError], None] | None = None,
) -> Checked:
    """Search a store for fingerprints, and by keypoints for those that have any; decide.

    Args:
        store: an open store.
        fingerprints: of `fingerprint`, or made of hash values.
        banks: names; None for all enabled ones. A disabled one is never searched.
        radius_bits: 0–63 instead of each bank's own; there is no decision then.
        on_keypoints_error: called, if given, with what stands in the way of searching by keypoints,
            and the search goes on without; by default the error is raised.

    Returns:
        an answer for each fingerprint, and what it was compared with: look at `nothing_to_compare`
        before taking it for 'no match'.

    Raises:
        BankMissing, RadiusInvalid: of the arguments.
        UsageError: something else than fingerprints was given.
        KeypointsError: keypoints were asked for and cannot be searched.
    """
    searcher = StoreSearch(store, on_keypoints_error=on_keypoints_error)
    return Check.within(searcher, banks=banks, radius_bits=radius_bits).ask(fingerprints)


def match(
    store: Store,
    fingerprints: Sequence[Fingerprint],
    *,
    banks: Collection[str] | None = None,
    radius_bits: int | None = None,
    on_keypoints_error: Callable[[KeypointsError], None] | None = None,
) -> list[list[Match]]:
    """Search as `check` does, for the matches alone.

    Returns:
        for each fingerprint its matches, nearest first.

    Raises:
        NothingToCompare: no bank that is searched holds an entry that can match.
        BankMissing, RadiusInvalid, UsageError, KeypointsError: as for `check`.
    """
    checked = check(
        store,
        fingerprints,
        banks=banks,
        radius_bits=radius_bits,
        on_keypoints_error=on_keypoints_error,
    )
    checked.require_compared()
    return [list(answer.matches) for answer in checked.answers]


def _require_fingerprints(values: object) -> None:
    if isinstance(values, str | bytes) or not isinstance(values, Sequence):
        raise UsageError(reason="matching takes a list of fingerprints, also for one alone")
    for value in values:
        if not isinstance(value, Fingerprint):
            raise UsageError(
                reason=f"matching takes fingerprints, not {type(value).__name__}: "
                "make them with egide.fingerprint(path)"
            )
