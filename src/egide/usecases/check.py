"""The one door to ask whether something matches: choose the banks, search, decide.

The same rules hold for the API, the HMA mount, the command line and Python:

- A disabled bank is never searched, even if it is named; a missing bank is an error.
- A query is *not matchable* (`Fingerprint.matchable`) if it has neither a PDQ nor anchored hashes
  to be searched by. Only identical files can then be found.
- If no bank holds an entry that can match, the answer says that nothing was compared.
- If the store has been silent for too long, the answer says so; `StaleAnswers` sets what else.
- Matches in negative banks veto others (`egide.domain.veto`); a query that names banks asks those
  alone.
- A decision rests on the banks' own radii; with a caller's radius there is no decision, and no
  anchored hash is searched for, as their rule knows no radius.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import inf
from typing import TYPE_CHECKING, Protocol, Self

from egide.domain.access import Permission
from egide.domain.model import Fingerprint
from egide.domain.policy import decide
from egide.domain.veto import weigh
from egide.errors import BankMissing, NothingToCompare, RegisterStale, StoreError, UsageError
from egide.live.searching import StoreSearch

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from egide.domain.access import Key
    from egide.domain.model import Match
    from egide.domain.origin import Origin
    from egide.domain.policy import Decision
    from egide.errors import KeypointsError
    from egide.matching import Found
    from egide.store import Store


class StaleAnswers(StrEnum):
    """How to answer once the store has been silent for too long."""

    SAY = "say"
    """As usual; the answer says that it is stale."""
    REVIEW = "review"
    """Also stale, and nothing is allowed: a query without a match asks for review."""
    REFUSE = "refuse"
    """Refuse the query."""


class Searcher(Protocol):
    """Something to search: a live register, or the present state of a store."""

    @property
    def bank_names(self) -> Collection[str]:
        """The names of all banks, the disabled ones too."""

    def require_bank(self, name: str) -> None:
        """Refuse the name of a bank that does not exist.

        Raises:
            BankMissing: there is no bank of that name.
            StoreError: the store cannot tell.
        """

    @property
    def age_s(self) -> float:
        """Seconds since every change of the store was last included."""

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
        """Match fingerprints; None means all enabled banks, and each bank's own radius.

        Raises:
            BankMissing: there is no bank of that name.
        """


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer for one fingerprint.

    Attributes:
        matchable: see `Fingerprint.matchable`.
        matches: those that stand, nearest first.
        decision: None if the caller chose the radius.
        vetoed: matches that do not stand, because of `vetoed_by`.
        vetoed_by: matches with entries of negative banks.
    """

    matchable: bool
    matches: tuple[Match, ...]
    decision: Decision | None
    vetoed: tuple[Match, ...] = ()
    vetoed_by: tuple[Match, ...] = ()


@dataclass(frozen=True, slots=True)
class Checked:
    """The answers to all fingerprints, and which banks they were compared with.

    Attributes:
        answers: one for each fingerprint, in order.
        revision: the store's revision that was searched.
        age_s: how many seconds of the store's changes may be missing.
        stale: whether the store has been silent for too long.
        searched: the names of the banks that were searched.
        nothing_to_compare: whether none of them holds an entry that can match.
        disabled: the names of requested banks that are disabled, hence not searched.
    """

    answers: tuple[Answer, ...]
    revision: int
    age_s: float
    stale: bool
    searched: tuple[str, ...]
    nothing_to_compare: bool
    disabled: tuple[str, ...]

    def require_compared(self) -> None:
        """Refuse to report 'no match' if nothing was compared.

        Raises:
            NothingToCompare: with the reason.
        """
        if not self.nothing_to_compare:
            return
        names = [f"the bank {name} is disabled" for name in self.disabled]
        names += [f"the bank {name} has no entry that can match" for name in self.searched]
        raise NothingToCompare(reason=", ".join(names) or "there is no enabled bank")


@dataclass(frozen=True, slots=True)
class Check:
    """Which banks to search, settled before any cost or decoding; `ask` as often as needed."""

    _searcher: Searcher
    _banks: tuple[str, ...] | None
    _radius_bits: int | None
    _stale_after_s: float
    _stale_answers: StaleAnswers
    _block_by_part: bool

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
        block_by_part: bool = False,
    ) -> Self:
        """Settle which banks to search.

        Args:
            searcher: that is searched.
            reach: the banks that the caller may know of; None for all.
            banks: the requested banks; None for all within reach.
            radius_bits: 0–63 instead of each bank's own; there is then no decision.
            stale_after_s: how long the store may be silent.
            stale_answers: how to answer after that.
            block_by_part: whether a confirmed entry blocks a picture of which only a part matched.

        Raises:
            BankMissing: a requested bank does not exist or is out of reach.
            RegisterStale: stale queries are refused, and the store is silent.
            NotReady: nothing can be searched yet.
            StoreError: the store cannot tell whether a bank exists.
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
        made = cls(searcher, names, radius_bits, stale_after_s, stale_answers, block_by_part)
        made._require_current()
        return made

    def ask(self, fingerprints: Sequence[Fingerprint]) -> Checked:
        """Search and decide.

        Args:
            fingerprints: any number.

        Raises:
            RegisterStale, NotReady: nothing can be answered at present.
            RadiusInvalid: the radius is outside 0–63.
            KeypointsError: keypoints were asked for and cannot be searched.
            UsageError: an argument is not a fingerprint.
        """
        _require_fingerprints(fingerprints)
        # Read before the search: an answer must not claim to be newer than it is.
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

    @property
    def names(self) -> tuple[str, ...] | None:
        """The banks that were asked for, the disabled ones too; None for all enabled ones."""
        return self._banks

    def find(self, fingerprints: Sequence[Fingerprint]) -> tuple[Found, bool]:
        """Search, and decide nothing: for an audit, whose decisions are not about uploads.

        Args:
            fingerprints: pieces, see `egide.matching.apart`; vetoes are left to who joins them.

        Returns:
            all matches, those of negative banks among them; and whether they are stale.

        Raises:
            RegisterStale, NotReady: nothing can be answered at present.
        """
        stale = self._require_current()
        return self._searcher.search(fingerprints, banks=self._banks), stale

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
                block_by_part=self._block_by_part,
            )
        weighed = weigh(matches)
        return Answer(
            fingerprint.matchable, weighed.standing, decision, weighed.vetoed, weighed.vetoes
        )

    def _require_current(self) -> bool:
        """Return whether answers are stale; raise if stale queries are refused."""
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
    """Search a store for fingerprints, also by keypoints if they have any, and decide.

    Args:
        store: an open store.
        fingerprints: from `fingerprint`, or made from hash values.
        banks: names; None for all enabled ones. A disabled one is never searched.
        radius_bits: 0–63 instead of each bank's own; there is then no decision.
        on_keypoints_error: called with an error that prevents the search by keypoints; the search
            continues without them. By default the error is raised.

    Returns:
        an answer for each fingerprint, and the banks it was compared with. Look at
        `nothing_to_compare` before you conclude 'no match'.

    Raises:
        BankMissing, RadiusInvalid: an argument is invalid.
        UsageError: an argument is not a fingerprint.
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
    """Search as `check` does, but return only the matches.

    Returns:
        the matches of each fingerprint, nearest first.

    Raises:
        NothingToCompare: no searched bank holds an entry that can match.
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


def origins(store: Store, key: Key, matches: Iterable[Match]) -> dict[int, Origin]:
    """Where matched entries came from, by their numbers, for a key that may read entries.

    Empty for other keys, and while the store is silent: a match is answered without its origin.
    """
    if not key.may(Permission.READ_ENTRIES):
        return {}
    wanted = {match.entry for match in matches}
    try:
        return store.entries.origins(wanted) if wanted else {}
    except StoreError:
        return {}


def _require_fingerprints(values: object) -> None:
    if isinstance(values, str | bytes) or not isinstance(values, Sequence):
        raise UsageError(reason="matching takes a list of fingerprints, even for a single one")
    for value in values:
        if not isinstance(value, Fingerprint):
            raise UsageError(
                reason=f"matching takes fingerprints, not {type(value).__name__}: "
                "make them with egide.fingerprint(path)"
            )
