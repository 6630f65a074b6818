"""Who takes part: the partners that look for what people register, by the names they go by."""

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
        names: in public, each once, in the order of the alphabet.
        unnamed: how many more there are, whose names whoever runs the register has not given.
        asks_here: whether one of them asks this register at each look, so that what was registered
            a second ago is found; the others look once they have fetched it.
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
    """Find the partners of a bank: whoever has a key to follow it, or to ask it about uploads.

    Keys with one public name are one partner. Of keys without one, those of one holder are; and
    where the holder has another key with a name, it is that one's.

    Args:
        store: that holds the keys.
        bank: that people register in; a missing one has no partners.
        public_names: by the name of a key, which is not for the public itself.
        without: names of keys that nobody can use.
        now: the time that counts, by default the present.
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
    """Whether a key is a partner's: one that fetches entries, or, if they are searched, asks."""
    return key.role is Role.PARTNER or (searched and key.role is Role.MATCHER)
