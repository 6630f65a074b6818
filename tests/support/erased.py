"""Files searched for what was erased: no file below a folder may hold it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa

from egide.domain.model import DIGEST_SIGNALS, Registration, State
from egide.store.changing import ChangingStore
from egide.store.tables.register import anchored as anchored_table
from egide.store.tables.register import entries as entry_table
from egide.store.tables.register import videos as video_table
from store_samples import picture

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from egide.domain.cases import NewImage


@dataclass(frozen=True, slots=True)
class Sought:
    """What must be in no file: fingerprints, as bytes and as digits.

    Attributes:
        values: as bytes.
    """

    values: tuple[bytes, ...]

    @classmethod
    def of(cls, *given: Registration | NewImage) -> Sought:
        """All fingerprints of registrations, or of a case's images."""
        values: list[bytes | None] = []
        for one in given:
            codes = one.pdqs if hasattr(one, "pdqs") else (one.pdq,)
            digests = (getattr(one, signal, None) for signal in DIGEST_SIGNALS)
            values += [*codes, *digests]
            values += getattr(one, "anchored", None) or ()
        return cls(tuple(value for value in values if value))

    def patterns(self) -> list[bytes]:
        """What a file is searched for."""
        digits = [value.hex().encode() for value in self.values]
        return [*self.values, *digits, *(text.upper() for text in digits)]

    def held_by(self, *folders: Path) -> list[str]:
        """The files below folders that hold any of it, and how many of the values.

        A file that vanishes meanwhile holds nothing.
        """
        found = []
        for path in files_below(folders):
            try:
                content = path.read_bytes()
            except FileNotFoundError:
                continue
            count = sum(pattern in content for pattern in self.patterns())
            if count:
                found.append(f"{path.name}: {count}")
        return sorted(found)


def files_below(folders: Iterable[Path]) -> list[Path]:
    """All files of folders and of those in them."""
    return [path for folder in folders for path in folder.rglob("*") if path.is_file()]


def sought_of(numbers: Sequence[int]) -> Sought:
    """The fingerprints of `store_samples.picture`."""
    return Sought.of(*map(picture, numbers))


def ended_with_fingerprints(store: ChangingStore) -> int:
    """How many entries are not active and hold a fingerprint."""
    held = sa.or_(
        entry_table.c.pdqs.is_not(None),
        *(entry_table.c[signal].is_not(None) for signal in DIGEST_SIGNALS),
        entry_table.c.note != "",
        entry_table.c.id.in_(sa.select(anchored_table.c.entry_id)),
        entry_table.c.id.in_(sa.select(video_table.c.entry_id)),
    )
    with store._database.read() as connection:
        return connection.execute(
            sa.select(sa.func.count()).where(entry_table.c.state != State.ACTIVE.value, held)
        ).scalar_one()
