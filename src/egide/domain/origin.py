"""Where an entry came from: who added it, when, and through which list or partner."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Self

from egide.domain.names import FOLLOWED, KEYED, PERSON_SOURCE

if TYPE_CHECKING:
    from datetime import datetime


class OriginKind(StrEnum):
    """The way by which an entry came into the register."""

    KEY = "key"
    """A program or person with a key, or without one from a network that needs none."""
    PARTNER = "partner"
    """Another register that this one follows."""
    PERSON = "person"
    """A person, or the helpline for them, on the pages."""
    LOCAL = "local"
    """The command line, on the register's own machine."""


@dataclass(frozen=True, slots=True)
class Origin:
    """The origin of an entry.

    Attributes:
        kind: the way that it came.
        source: as the entry has it.
        added: UTC.
        by: the name of the key that added it, or of the partner; None for the other ways.
        through: the list, case or folder that the sender named; None if they named none, and for
            people, whose cases are not named.
    """

    kind: OriginKind
    source: str
    added: datetime
    by: str | None = None
    through: str | None = None

    @classmethod
    def of(cls, source: str, added: datetime) -> Self:
        """Read an entry's source; see `egide.domain.names` for how it is made."""
        if source.startswith(KEYED):
            key, _, within = source.removeprefix(KEYED).partition("/")
            return cls(OriginKind.KEY, source, added, key, within or None)
        if source.startswith(FOLLOWED):
            return cls(OriginKind.PARTNER, source, added, source.removeprefix(FOLLOWED))
        if source.startswith(PERSON_SOURCE):
            return cls(OriginKind.PERSON, source, added)
        return cls(OriginKind.LOCAL, source, added, through=source)
