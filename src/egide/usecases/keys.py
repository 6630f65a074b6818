"""Keys made and revoked with a key: nobody gives out more than they have, or makes up a person."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING

from egide.domain.access import MADE_ALONE, Permission
from egide.errors import KeyExists, KeyMissing
from egide.usecases.approvals import TwoPeople

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    from egide.domain.access import Key, Role
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
    approval_id: int | None = None,
) -> tuple[Key, str]:
    """Make a key with a key; for the other arguments and what is returned see `Keys.create`.

    The new one reaches no bank that the old one does not: with a key that is kept to some banks,
    leaving out `banks` means all of those. One that can do more than match takes two people.

    Args:
        store: an open store.
        by: the key of whoever makes it.
        name: of the new one.
        role: what it is for.
        holder: the person who gets it.
        banks: that it reaches.
        per_second: fingerprints that it may ask about in a second.
        per_day: … and in a day of UTC.
        expires: when it ends.
        approval_id: of a second person's approval, if there is one.

    Raises:
        Forbidden: the key's role is not for this.
        BankMissing: a bank is not there, or out of the key's scope.
        NameInvalid, KeyExists, UsageError: as for `Keys.create`.
        ApprovalNeeded, ApprovalInvalid: see `TwoPeople.check_key`.
    """
    by.require(Permission.MANAGE_KEYS)
    scope = by.scoped(banks)
    if role not in MADE_ALONE:
        _require_possible(store, name, scope)
        asked: dict[str, str | int] = {
            "key": name,
            "role": role.value,
            "holder": holder,
            "banks": "all" if scope is None else ",".join(sorted(set(scope))),
        }
        if per_second is not None:
            asked["per_second"] = per_second
        if per_day is not None:
            asked["per_day"] = per_day
        if expires is not None:
            asked["expires"] = expires.astimezone(UTC).isoformat()
        only = scope[0] if scope is not None and len(set(scope)) == 1 else None
        TwoPeople(store).check_key(by, asked, only, approval_id)
    return store.acting_as(by.name).keys.create(
        name,
        role,
        holder,
        banks=scope,
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


def _require_possible(store: Store, name: str, banks: Collection[str] | None) -> None:
    """Find what stands in the way before anybody is asked, and before their approval is spent."""
    for bank in banks or ():
        store.banks.get(bank)
    try:
        store.keys.get(name)
    except KeyMissing:
        return
    raise KeyExists(key=name)


def _within(key: Key, by: Key) -> bool:
    return by.banks is None or (key.banks is not None and set(key.banks) <= set(by.banks))
