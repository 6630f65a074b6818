"""Banks, and how many entries they hold."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import sqlalchemy as sa

from egide.domain.model import MAX_RADIUS_BITS, Bank, BankCounts, BankKind, State, Trust
from egide.domain.names import NAME
from egide.errors import BankExists, BankInUse, BankMissing, BankNameInvalid, RadiusInvalid
from egide.store.entries.records import BANK_COLUMNS, bank_of
from egide.store.log.bank_names import DELETED
from egide.store.tables.cases import cases
from egide.store.tables.register import banks, entries, former_names
from egide.store.tables.service import upstreams

if TYPE_CHECKING:
    from egide.store.database.interface import Database
    from egide.store.entries.revisions import Change


class Banks:
    """The banks of a store."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, name: str) -> Bank:
        """The bank with that name.

        Raises:
            BankMissing: no bank has that name.
        """
        with self._database.read() as connection:
            return get_bank(connection, name)

    def list(self) -> list[Bank]:
        """All banks that were not deleted, in the order of their creation."""
        with self._database.read() as connection:
            return list_banks(connection)

    def counts(self, name: str) -> BankCounts:
        """How many entries a bank holds, by state and trust.

        Raises:
            BankMissing: no bank has that name.
        """
        with self._database.read(long=True) as connection:
            return count_entries(connection, get_bank(connection, name))


def create_bank(
    change: Change,
    name: str,
    *,
    radius_bits: int,
    description: str,
    kind: BankKind,
    kept: bool,
) -> Bank:
    """Add a bank; see `BankChanges.create`."""
    _check_radius(radius_bits)
    _require_free(change.connection, name)
    result = change.connection.execute(
        sa.insert(banks).values(
            name=name,
            radius_bits=radius_bits,
            description=description,
            enabled=True,
            kind=kind.value,
            created=change.at,
            revision=change.revision(),
            kept=kept,
        )
    )
    key = result.inserted_primary_key
    assert key is not None
    change.bank_id = int(key[0])
    return Bank(change.bank_id, name, radius_bits, description, enabled=True, kind=kind, kept=kept)


def update_bank(
    change: Change,
    name: str,
    *,
    radius_bits: int | None,
    description: str | None,
    enabled: bool | None,
    enabled_ratio: float | None = None,
    kept: bool | None = None,
) -> Bank:
    """Change the given properties of a bank; see `BankChanges.update`."""
    if radius_bits is not None:
        _check_radius(radius_bits)
    old = get_bank(change.connection, name)
    new = replace(
        old,
        radius_bits=old.radius_bits if radius_bits is None else radius_bits,
        description=old.description if description is None else description,
        enabled=old.enabled if enabled is None else enabled,
        enabled_ratio=old.enabled_ratio if enabled_ratio is None else enabled_ratio,
        kept=old.kept if kept is None else kept,
    )
    if new != old:
        change.bank_id = old.id
        change.connection.execute(
            sa.update(banks)
            .where(banks.c.id == old.id)
            .values(
                radius_bits=new.radius_bits,
                description=new.description,
                enabled=new.enabled,
                enabled_ratio=new.enabled_ratio,
                kept=new.kept,
                revision=change.revision(),
            )
        )
    return new


def rename_bank(change: Change, name: str, new_name: str) -> Bank:
    """Give a bank another name; see `BankChanges.rename`."""
    bank = get_bank(change.connection, name)
    if new_name == name:
        return bank
    _require_free(change.connection, new_name)
    change.detail["from"] = name
    _set_name(change, bank, new_name, until=change.revision() - 1)
    return replace(bank, name=new_name)


def free_name(change: Change, bank: Bank) -> None:
    """Take a deleted bank's name from it, for another bank to have.

    Its row stays: ended entries and the log refer to it.

    Raises:
        BankInUse: people registered in the bank, or a partner's entries go into it.
    """
    for table, what in ((cases, "cases of people"), (upstreams, "a partner's entries")):
        held = sa.select(table.c.id).where(table.c.bank_id == bank.id).limit(1)
        if change.connection.execute(held).scalar() is not None:
            raise BankInUse(bank=bank.name, reason=what)
    _set_name(change, bank, f"{DELETED}{bank.id}", until=change.revision())


def _set_name(change: Change, bank: Bank, name: str, *, until: int) -> None:
    change.bank_id = bank.id
    change.connection.execute(
        sa.insert(former_names).values(bank_id=bank.id, name=bank.name, until=until)
    )
    change.connection.execute(
        sa.update(banks).where(banks.c.id == bank.id).values(name=name, revision=change.revision())
    )


def get_bank(connection: sa.Connection, name: str) -> Bank:
    """The bank with that name.

    Raises:
        BankMissing: no bank has that name.
    """
    bank = _find(connection, name)
    if bank is None:
        raise BankMissing(bank=name)
    return bank


def list_banks(connection: sa.Connection) -> list[Bank]:
    """All banks that were not deleted, in the order of their creation."""
    rows = connection.execute(
        sa.select(*BANK_COLUMNS).where(banks.c.name.not_like(f"{DELETED}%")).order_by(banks.c.id)
    )
    return [bank_of(row) for row in rows]


def count_entries(connection: sa.Connection, bank: Bank) -> BankCounts:
    """How many entries the bank holds, by state and trust."""
    rows = connection.execute(
        sa.select(entries.c.state, entries.c.trust, sa.func.count())
        .where(entries.c.bank_id == bank.id)
        .group_by(entries.c.state, entries.c.trust)
    )
    return BankCounts({(State(state), Trust(trust)): count for state, trust, count in rows})


def _find(connection: sa.Connection, name: str) -> Bank | None:
    if name.startswith(DELETED):
        return None
    row = connection.execute(sa.select(*BANK_COLUMNS).where(banks.c.name == name)).one_or_none()
    return None if row is None else bank_of(row)


def _require_free(connection: sa.Connection, name: str) -> None:
    if not NAME.fullmatch(name):
        raise BankNameInvalid(bank=name)
    if _find(connection, name) is not None:
        raise BankExists(bank=name)


def _check_radius(radius_bits: int) -> None:
    if not 0 <= radius_bits <= MAX_RADIUS_BITS:
        raise RadiusInvalid(radius=radius_bits)
