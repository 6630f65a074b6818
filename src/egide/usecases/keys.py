"""Make and revoke keys with a key: nobody gives more rights than they have, or invents a person."""

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
    """Make a key with a key; see `Keys.create` for what is returned.

    The new key reaches only banks that `by` reaches; without `banks`, all of those. A key that can
    do more than match takes two people.

    Args:
        store: an open store.
        by: the key of the person who makes it.
        name: of the new key.
        role: of the new key.
        holder: the person who gets it.
        banks: that it reaches.
        per_second: fingerprints that it may ask about per second.
        per_day: … and per UTC day.
        expires: when it ends.
        approval_id: of a second person's approval, if there is one.

    Raises:
        Forbidden: the role of `by` does not permit it.
        BankMissing: a bank does not exist, or `by` does not reach it.
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
    """The keys that `by` may revoke, oldest first.

    Raises:
        Forbidden: the role of `by` does not permit it.
    """
    by.require(Permission.MANAGE_KEYS)
    return [key for key in store.keys.list() if _within(key, by)]


def revoke_key(store: Store, by: Key, name: str) -> Key:
    """Revoke a key with a key; a revoked key does not change.

    Raises:
        Forbidden: the role of `by` does not permit it.
        KeyMissing: there is no such key, or it reaches banks that `by` does not.
    """
    by.require(Permission.MANAGE_KEYS)
    if not _within(store.keys.get(name), by):
        raise KeyMissing(key=name)
    return store.acting_as(by.name).keys.revoke(name)


def _require_possible(store: Store, name: str, banks: Collection[str] | None) -> None:
    """Fail before a second person is asked, and before an approval is spent."""
    for bank in banks or ():
        store.banks.get(bank)
    try:
        store.keys.get(name)
    except KeyMissing:
        return
    raise KeyExists(key=name)


def _within(key: Key, by: Key) -> bool:
    return by.banks is None or (key.banks is not None and set(key.banks) <= set(by.banks))
