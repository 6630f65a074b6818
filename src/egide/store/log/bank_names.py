"""The names of banks by their numbers, now and at earlier revisions: the log knows names alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from egide.store.tables.register import banks, former_names

if TYPE_CHECKING:
    from collections.abc import Sequence

DELETED = "#"
"""A deleted bank's name is this and its number: no bank can be called so, and another may have the
name that it had."""


def bank_names(connection: sa.Connection) -> dict[int, str]:
    """The name of each bank by its number; of a deleted one the last that it had."""
    rows = connection.execute(sa.select(banks.c.id, banks.c.name))
    names: dict[int, str] = {row.id: row.name for row in rows}
    deleted = [bank for bank, name in names.items() if name.startswith(DELETED)]
    if deleted:
        before = former_bank_names(connection)
        names |= {bank: before[bank][-1][1] for bank in deleted}
    return names


def former_bank_names(connection: sa.Connection) -> dict[int, list[tuple[int, str]]]:
    """The names that banks had, each with the last revision that knows it, by the bank's number."""
    found: dict[int, list[tuple[int, str]]] = {}
    columns = (former_names.c.bank_id, former_names.c.until, former_names.c.name)
    for bank, until, name in connection.execute(sa.select(*columns).order_by(former_names.c.id)):
        found.setdefault(bank, []).append((until, name))
    return found


def name_at(connection: sa.Connection, bank_id: int, revision: int) -> str:
    """The name that a bank had at a revision."""
    earlier = name_among(former_bank_names(connection).get(bank_id, []), revision)
    if earlier is not None:
        return earlier
    name: str = connection.execute(
        sa.select(banks.c.name).where(banks.c.id == bank_id)
    ).scalar_one()
    return name


def name_among(before: Sequence[tuple[int, str]], revision: int) -> str | None:
    """The name at a revision among a bank's former ones; None if it has its present name since."""
    return next((name for until, name in before if revision <= until), None)
