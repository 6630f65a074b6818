"""Keys made and revoked with a key: nobody gives out more than they have."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egide.access import Permission
from egide.errors import KeyMissing

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    from egide.access import Key, Role
    from egide.store import Store


def create_key(
    store: Store,
    by: Key,
    name: str,
    role: Role,
    holder: str,
    *,
    banks: Collection[str] | None = None,
    per_second: int | None = None,
    per_day: int | None = None,
    expires: datetime | None = None,
) -> tuple[Key, str]:
    """Make a key with a key; for the arguments and what is returned see `Keys.create`.

    The new one reaches no bank that the old one does not: with a key that is kept to some banks,
    leaving out `banks` means all of those.

    Raises:
        Forbidden: the key's role is not for this.
        BankMissing: a bank is not there, or out of the key's scope.
        NameInvalid, KeyExists, UsageError: as for `Keys.create`.
    """
    by.require(Permission.MANAGE_KEYS)
    return store.acting_as(by.name).keys.create(
        name,
        role,
        holder,
        banks=by.scoped(banks),
        per_second=per_second,
        per_day=per_day,
        expires=expires,
    )


def list_keys(store: Store, by: Key) -> list[Key]:
    """The keys that a key may revoke, in the order of their making.

    Raises:
        Forbidden: its role is not for this.
    """
    by.require(Permission.MANAGE_KEYS)
    return [key for key in store.keys.list() if _within(key, by)]


def revoke_key(store: Store, by: Key, name: str) -> Key:
    """Revoke a key with a key; for a revoked one nothing happens.

    Raises:
        Forbidden: the key's role is not for this.
        KeyMissing: there is none of that name, or it reaches banks that `by` does not.
    """
    by.require(Permission.MANAGE_KEYS)
    if not _within(store.keys.get(name), by):
        raise KeyMissing(key=name)
    return store.acting_as(by.name).keys.revoke(name)


def _within(key: Key, by: Key) -> bool:
    return by.banks is None or (key.banks is not None and set(key.banks) <= set(by.banks))
