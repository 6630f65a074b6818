"""The result of a search, including what was and was not compared."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

import numpy as np

from egide.domain.model import BankKind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from egide.domain.model import Match
    from egide.matching.fingerprints import Matcher

_FIRST_LOOK = 1024
_LONGEST_LOOK = 1 << 20


@dataclass(frozen=True, slots=True)
class Found:
    """The matches of some fingerprints, all searched in one revision.

    Attributes:
        matches: for each fingerprint, nearest first.
        revision: the store's revision that was searched.
        searched: the names of the banks that were searched.
        compared: whether one of them holds an entry that can match.
        disabled: the names of requested banks that were not searched.
    """

    matches: Sequence[list[Match]]
    revision: int
    searched: tuple[str, ...]
    compared: bool
    disabled: tuple[str, ...]

    def part(self, first: int, count: int) -> Self:
        """The result for `count` of the fingerprints, from position `first` on."""
        return replace(self, matches=self.matches[first : first + count])


class Holdings:
    """Tells whether banks hold an entry that can match, and caches what it learns.

    For each bank it remembers one such entry, which it checks again each time, or the entry up to
    which there is none. An entry that cannot match now never will, so only later ones are checked.
    """

    def __init__(self) -> None:
        self._lineage: object = None
        self._owner: dict[str, int] = {}
        self._none_before: dict[str, int] = {}

    def found(self, matcher: Matcher, matches: Sequence[list[Match]]) -> Found:
        """Add to `matches` what was searched and compared.

        Raises:
            SnapshotError: the snapshot was closed.
        """
        names = tuple(bank.name for bank in matcher.banks)
        positive = [bank.name for bank in matcher.banks if bank.kind is BankKind.POSITIVE]
        # A bank's last entry may have ended since it matched.
        compared = any(
            match.kind is BankKind.POSITIVE for each in matches for match in each
        ) or self._any(matcher, positive)
        return Found(matches, matcher.revision, names, compared, matcher.disabled)

    def _any(self, matcher: Matcher, names: Sequence[str]) -> bool:
        searched = matcher.searched
        if self._lineage is not searched.lineage:
            self._lineage, self._owner, self._none_before = searched.lineage, {}, {}
        if any(self._still_holds(matcher, name) for name in names):
            return True
        wanted = [at for at, bank in enumerate(searched.banks) if bank.name in names]
        none_before = self._none_before
        first = min((none_before.get(name, 0) for name in names), default=searched.owner_count)
        length = _FIRST_LOOK
        while first < searched.owner_count:
            end = min(first + length, searched.owner_count)
            owners = np.arange(first, end)
            owners = owners[matcher.searches(owners)]
            owners = owners[np.isin(searched.columns(owners).bank, wanted)]
            if len(owners):
                bank = int(searched.columns(owners[:1]).bank[0])
                self._owner[searched.banks[bank].name] = int(owners[0])
                return True
            none_before |= dict.fromkeys(names, end)
            first, length = end, min(2 * length, _LONGEST_LOOK)
        return False

    def _still_holds(self, matcher: Matcher, name: str) -> bool:
        owner = self._owner.get(name)
        if owner is None or owner >= matcher.searched.owner_count:
            return False
        return bool(matcher.searches(np.array([owner]))[0])
