"""What a search found, and in what: also what it was not compared with."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from egide.index.searched import Searched
    from egide.matching.fingerprints import Matcher
    from egide.model import Match

_FIRST_LOOK = 1024
_LONGEST_LOOK = 1 << 20


@dataclass(frozen=True, slots=True)
class Found:
    """The matches of some fingerprints, all searched in one revision.

    Attributes:
        matches: for each fingerprint, nearest first.
        revision: the store's revision that was searched.
        compared: the names of the banks that hold an entry that can match.
        empty: those of banks that were searched and hold none.
        disabled: those of banks that were asked for and are not searched.
    """

    matches: Sequence[list[Match]]
    revision: int
    compared: tuple[str, ...]
    empty: tuple[str, ...]
    disabled: tuple[str, ...]

    def part(self, first: int, count: int) -> Self:
        """The same for `count` of the fingerprints, from the position `first` on."""
        return replace(self, matches=self.matches[first : first + count])


class Holdings:
    """Tells which banks hold an entry that can match, quickly where it was asked before.

    Of each bank one such entry is remembered, and looked at anew each time. That a bank holds none
    is remembered as long as the same view is searched, by matchers of the present.
    """

    def __init__(self) -> None:
        self._owners: dict[str, int] = {}
        self._none_in: Searched | None = None
        self._without: frozenset[str] = frozenset()

    def found(self, matcher: Matcher, matches: Sequence[list[Match]]) -> Found:
        """Say what `matches` were found in.

        Raises:
            SnapshotError: the snapshot was closed.
        """
        names = [bank.name for bank in matcher.banks]
        holding = self._holding(matcher, names)
        if len(holding) < len(names):  # the last entry of a bank may have ended since it matched
            holding |= {match.bank for each in matches for match in each}
        return Found(
            matches,
            matcher.revision,
            tuple(name for name in names if name in holding),
            tuple(name for name in names if name not in holding),
            matcher.disabled,
        )

    def _holding(self, matcher: Matcher, names: Sequence[str]) -> set[str]:
        without = self._without if self._none_in is matcher.searched else frozenset()
        sought = {name for name in names if name not in without}
        holding = {name for name in sought if self._still_holds(matcher, name)}
        sought -= holding
        if sought:
            looked_for = frozenset(sought)
            self._look(matcher, sought)
            holding |= looked_for - sought
            self._none_in, self._without = matcher.searched, without | sought
        return holding

    def _still_holds(self, matcher: Matcher, name: str) -> bool:
        owner = self._owners.get(name)
        if owner is None or owner >= matcher.searched.owner_count:
            return False
        place = np.array([owner])
        bank = int(matcher.searched.columns(place).bank[0])
        return matcher.searched.banks[bank].name == name and bool(matcher.searches(place)[0])

    def _look(self, matcher: Matcher, sought: set[str]) -> None:
        """Look through the entries for one of each bank; leave in `sought` those that have none."""
        searched = matcher.searched
        first, length = 0, _FIRST_LOOK
        while sought and first < searched.owner_count:
            owners = np.arange(first, min(first + length, searched.owner_count))
            owners = owners[matcher.searches(owners)]
            banks, places = np.unique(searched.columns(owners).bank, return_index=True)
            for bank, place in zip(banks.tolist(), places.tolist(), strict=True):
                name = searched.banks[bank].name
                if name in sought:
                    self._owners[name] = int(owners[place])
                    sought.discard(name)
            first, length = first + length, min(2 * length, _LONGEST_LOOK)
