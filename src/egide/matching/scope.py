"""Choose the banks to search: one rule for all callers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from egide.errors import BankMissing

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from egide.index.snapshot import SnapshotBank


@dataclass(frozen=True, slots=True)
class Scope:
    """The scope of a query.

    Attributes:
        searched: the enabled banks among the requested ones.
        disabled: the names of the other requested banks, which are not searched; empty if no bank
            was named.
    """

    searched: tuple[SnapshotBank, ...]
    disabled: tuple[str, ...]


def scope_of(banks: Sequence[SnapshotBank], names: Collection[str] | None) -> Scope:
    """Choose banks. A disabled bank is never searched, even if it is named.

    Args:
        banks: all banks.
        names: of the requested banks; None for all enabled ones.

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
