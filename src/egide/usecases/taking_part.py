"""The partners that look for what people register, under their public names."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from egide.domain.access import Role, same_person
from egide.errors import BankMissing

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from egide.domain.access import Key
    from egide.store import Store


@dataclass(frozen=True, slots=True)
class TakingPart:
    """The partners of a bank at one moment.

    Attributes:
        names: public names, each once, in alphabetical order.
        unnamed: how many partners have no public name.
        asks_here: whether a partner sends its queries to this register, so that it finds an image
            registered a second ago. The others first fetch the entries.
    """

    names: tuple[str, ...]
    unnamed: int
    asks_here: bool

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self.names) + self.unnamed


def taking_part(
    store: Store,
    bank: str,
    public_names: Mapping[str, str],
    *,
    without: Collection[str] = (),
    now: datetime | None = None,
) -> TakingPart:
    """Find the partners of a bank: those with a key to follow it, or to check uploads with it.

    Keys with the same public name are one partner. Keys without a public name are one partner per
    holder; if the holder also has a named key, they belong to that partner.

    Args:
        store: that holds the keys.
        bank: that people register in; a missing bank has no partners.
        public_names: by key name, which is not public itself.
        without: names of keys that nobody can use.
        now: the reference time; by default the present.
    """
    try:
        searched = store.banks.get(bank).enabled
    except BankMissing:
        return TakingPart((), 0, asks_here=False)
    at = now or datetime.now(UTC)
    found = [
        key
        for key in store.keys.list()
        if _looks(key, searched=searched)
        and key.live(at)
        and key.reaches(bank)
        and key.name not in without
    ]
    named = [key for key in found if key.name in public_names]
    known = {same_person(key.holder) for key in named}
    return TakingPart(
        tuple(sorted({public_names[key.name] for key in named}, key=str.casefold)),
        len({same_person(key.holder) for key in found} - known),
        asks_here=any(key.role is Role.MATCHER for key in found),
    )


def _looks(key: Key, *, searched: bool) -> bool:
    """Whether a key is a partner's: it fetches entries, or queries a bank that is searched."""
    return key.role is Role.PARTNER or (searched and key.role is Role.MATCHER)
