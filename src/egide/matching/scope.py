"""Which banks are searched: one rule, for every way of asking."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from egide.errors import BankMissing

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from egide.index.snapshot import SnapshotBank


@dataclass(frozen=True, slots=True)
class Scope:
    """What a question is about.

    Attributes:
        searched: the enabled banks among those that were asked for.
        disabled: the names of the others, which were asked for and are not searched; none where no
            bank was named.
    """

    searched: tuple[SnapshotBank, ...]
    disabled: tuple[str, ...]


def scope_of(banks: Sequence[SnapshotBank], names: Collection[str] | None) -> Scope:
    """Choose banks. A disabled bank is never searched, also where it is named.

    Args:
        banks: all there are.
        names: of those that are asked for; None for all enabled ones.

    Raises:
        BankMissing: no bank has that name.
    """
    if names is None:
        return Scope(tuple(bank for bank in banks if bank.enabled), ())
    known = {bank.name for bank in banks}
    for name in names:
        if name not in known:
            raise BankMissing(bank=name)
    asked = [bank for bank in banks if bank.name in set(names)]
    return Scope(
        tuple(bank for bank in asked if bank.enabled),
        tuple(bank.name for bank in asked if not bank.enabled),
    )
