"""Keys of a served register: make, find, count, revoke. Their secrets are not stored."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from egide.domain.access import DEFAULT_RATES, Key, Role, new_token, same_person
from egide.domain.names import check_name
from egide.domain.times import moment, unix_seconds
from egide.errors import KeyExists, KeyMissing, UsageError
from egide.store.entries.banks import get_bank
from egide.store.log import log
from egide.store.tables.register import banks as bank_table
from egide.store.tables.service import key_banks, key_usage, keys

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from egide.store.database.interface import Database

MAX_HOLDER_CHARS = 200
MAX_PER_SECOND = 1_000_000
MAX_PER_DAY = 10**12
KEPT_DAYS = 31
"""Older daily counts are deleted."""
_COLUMNS = (
    keys.c.id,
    keys.c.name,
    keys.c.handle,
    keys.c.role,
    keys.c.holder,
    keys.c.all_banks,
    keys.c.per_second,
    keys.c.per_day,
    keys.c.created,
    keys.c.created_by,
    keys.c.expires,
    keys.c.revoked,
)


class Keys:
    """The keys of a store. A revoked key keeps its name, since the log uses it."""

    def __init__(self, database: Database, actor: str) -> None:
        self._database = database
        self._actor = actor

    def create(
        self,
        name: str,
        role: Role,
        holder: str,
        *,
        banks: Collection[str] | None = None,
        per_second: int | None = None,
        per_day: int | None = None,
        expires: datetime | None = None,
    ) -> tuple[Key, str]:
        """Make a key.

        Args:
            name: the user's name in the log; never reused.
            role: decides the key's permissions.
            holder: the person who gets it; all keys of a holder count as one person.
            banks: names of the banks within its scope; None for all, including later ones.
            per_second: fingerprints that it may query per second; by default its role's rate.
            per_day: the same per UTC day.
            expires: when the key stops working.

        Returns:
            the key, and its token, which is not stored and cannot be shown again.

        Raises:
            NameInvalid, KeyExists, BankMissing: the name or a bank is not acceptable.
            UsageError: the holder or a rate is invalid, or the list of banks is empty.
        """
        check_name(name)
        holder = _checked_holder(holder)
        usual = DEFAULT_RATES[role]
        rate = _checked_rate(
            usual.per_second if per_second is None else per_second,
            usual.per_day if per_day is None else per_day,
        )
        if banks is not None and not banks:
            raise UsageError(reason="a key that is kept to some banks needs at least one")
        handle, secret_hash, token = new_token()
        with self._database.write() as connection:
            if _find(connection, keys.c.name == name) is not None:
                raise KeyExists(key=name)
            scope = None if banks is None else [get_bank(connection, one) for one in banks]
            at = unix_seconds(datetime.now(UTC))
            ends = None if expires is None else unix_seconds(expires)
            result = connection.execute(
                sa.insert(keys).values(
                    name=name,
                    handle=handle,
                    secret_hash=secret_hash,
                    role=role.value,
                    holder=holder,
                    all_banks=scope is None,
                    per_second=rate[0],
                    per_day=rate[1],
                    created=at,
                    created_by=self._actor,
                    expires=ends,
                )
            )
            made = result.inserted_primary_key
            assert made is not None
            names = None
            if scope is not None:
                numbers = {bank.id: bank.name for bank in scope}
                names = tuple(numbers[number] for number in sorted(numbers))
                connection.execute(
                    sa.insert(key_banks),
                    [{"key_id": int(made[0]), "bank_id": number} for number in numbers],
                )
            detail: dict[str, str | int] = {
                "key": name,
                "role": role.value,
                "holder": holder,
                "banks": "all" if names is None else ",".join(names),
                "per_second": rate[0],
                "per_day": rate[1],
            }
            if ends is not None:
                detail["expires"] = ends
            log.append(connection, at=at, actor=self._actor, action="create-key", detail=detail)
            created, _ = _one(connection, keys.c.id == int(made[0]), name)
        return created, token

    def find(self, handle: str) -> tuple[Key, bytes] | None:
        """The key with that handle, even if expired or revoked, and the SHA-256 of its secret."""
        with self._database.read() as connection:
            return _find(connection, keys.c.handle == handle)

    def get(self, name: str) -> Key:
        """The key with that name.

        Raises:
            KeyMissing: no key has that name.
        """
        with self._database.read() as connection:
            return _one(connection, keys.c.name == name, name)[0]

    def list(self) -> list[Key]:
        """All keys, including expired and revoked ones, oldest first."""
        with self._database.read() as connection:
            scopes = _scopes(connection)
            rows = connection.execute(sa.select(*_COLUMNS).order_by(keys.c.id))
            return [_key_of(row, scopes.get(row.id, ())) for row in rows]

    def revoke(self, name: str) -> Key:
        """Revoke a key; a revoked key stays as it is.

        Raises:
            KeyMissing: no key has that name.
        """
        with self._database.write() as connection:
            key, _ = _one(connection, keys.c.name == name, name)
            if key.revoked is not None:
                return key
            at = unix_seconds(datetime.now(UTC))
            connection.execute(sa.update(keys).where(keys.c.id == key.id).values(revoked=at))
            detail: dict[str, str | int] = {
                "key": name,
                "role": key.role.value,
                "holder": key.holder,
            }
            log.append(connection, at=at, actor=self._actor, action="revoke-key", detail=detail)
            return _one(connection, keys.c.id == key.id, name)[0]

    def has_admin(self) -> bool:
        """Whether any admin key is neither expired nor revoked."""
        now = datetime.now(UTC)
        return any(key.role is Role.ADMIN and key.live(now) for key in self.list())

    def use(self, key_id: int, day: int, count: int) -> int:
        """Count fingerprints that a key queried.

        Args:
            key_id: of the key.
            day: in UTC, counted from 1970.
            count: of fingerprints; 0 reads only.

        Returns:
            the key's total on that day.
        """
        used = (
            sa.select(key_usage.c.used)
            .where(key_usage.c.key_id == key_id)
            .where(key_usage.c.day == day)
        )
        if not count:
            with self._database.read() as connection:
                return int(connection.execute(used).scalar() or 0)
        with self._database.write() as connection:
            _count(connection, key_id, day, used=count)
            return int(connection.execute(used).scalar_one())

    def add_within(self, key: Key, day: int, count: int, limit: int) -> bool:
        """Count fingerprints that a key is about to add, if its holder may add them alone.

        All keys of one holder, and all requests of a day, share the limit, so neither a second key
        nor many small requests evade it. The count stays even if the adding fails.

        Args:
            key: the key that adds.
            day: in UTC, counted from 1970.
            count: of fingerprints.
            limit: per day.

        Returns:
            whether the total is within the limit; if not, nothing was counted.
        """
        person = same_person(key.holder)
        with self._database.write() as connection:
            rows = connection.execute(sa.select(keys.c.id, keys.c.holder))
            own = [row.id for row in rows if same_person(row.holder) == person]
            before = connection.execute(
                sa.select(sa.func.coalesce(sa.func.sum(key_usage.c.added), 0))
                .where(key_usage.c.key_id.in_(own))
                .where(key_usage.c.day == day)
            ).scalar_one()
            if int(before) + count > limit:
                return False
            _count(connection, key.id, day, added=count)
        return True


def _count(
    connection: sa.Connection, key_id: int, day: int, *, used: int = 0, added: int = 0
) -> None:
    changed = connection.execute(
        sa.update(key_usage)
        .where(key_usage.c.key_id == key_id)
        .where(key_usage.c.day == day)
        .values(used=key_usage.c.used + used, added=key_usage.c.added + added)
    ).rowcount
    if changed:
        return
    connection.execute(
        sa.delete(key_usage)
        .where(key_usage.c.key_id == key_id)
        .where(key_usage.c.day < day - KEPT_DAYS)
    )
    connection.execute(sa.insert(key_usage).values(key_id=key_id, day=day, used=used, added=added))


def _checked_holder(holder: str) -> str:
    holder = " ".join(holder.split())
    if not holder or not holder.isprintable() or len(holder) > MAX_HOLDER_CHARS:
        raise UsageError(
            reason=f"a holder is a name of 1 to {MAX_HOLDER_CHARS} printable characters"
        )
    return holder


def _checked_rate(per_second: int, per_day: int) -> tuple[int, int]:
    if not 1 <= per_second <= MAX_PER_SECOND:
        raise UsageError(reason=f"a key's rate is 1 to {MAX_PER_SECOND} fingerprints a second")
    if not 1 <= per_day <= MAX_PER_DAY:
        raise UsageError(reason=f"a key's quota is 1 to {MAX_PER_DAY} fingerprints a day")
    return per_second, per_day


def _find(connection: sa.Connection, which: sa.ColumnElement[bool]) -> tuple[Key, bytes] | None:
    row = connection.execute(sa.select(*_COLUMNS, keys.c.secret_hash).where(which)).one_or_none()
    if row is None:
        return None
    scope = () if row.all_banks else _scopes(connection, row.id).get(row.id, ())
    return _key_of(row, scope), bytes(row.secret_hash)


def _one(connection: sa.Connection, which: sa.ColumnElement[bool], name: str) -> tuple[Key, bytes]:
    found = _find(connection, which)
    if found is None:
        raise KeyMissing(key=name)
    return found


def _scopes(connection: sa.Connection, key_id: int | None = None) -> dict[int, list[str]]:
    """The names of the banks in each key's scope, in the order of the banks' creation."""
    query = (
        sa.select(key_banks.c.key_id, bank_table.c.name)
        .join(bank_table, bank_table.c.id == key_banks.c.bank_id)
        .order_by(key_banks.c.key_id, bank_table.c.id)
    )
    if key_id is not None:
        query = query.where(key_banks.c.key_id == key_id)
    scopes: dict[int, list[str]] = {}
    for row in connection.execute(query):
        scopes.setdefault(row.key_id, []).append(row.name)
    return scopes


def _key_of(row: Any, scope: Iterable[str]) -> Key:
    return Key(
        id=row.id,
        name=row.name,
        handle=row.handle,
        role=Role(row.role),
        holder=row.holder,
        banks=None if row.all_banks else tuple(scope),
        per_second=row.per_second,
        per_day=row.per_day,
        created=moment(row.created),
        created_by=row.created_by,
        expires=None if row.expires is None else moment(row.expires),
        revoked=None if row.revoked is None else moment(row.revoked),
    )
