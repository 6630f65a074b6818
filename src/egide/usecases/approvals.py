"""What takes two people: many additions, exports, other radii, keys that can do more than match."""

from __future__ import annotations

import time
from enum import StrEnum
from hashlib import sha256
from typing import TYPE_CHECKING

from egide.domain.access import CREATE_KEY
from egide.errors import ApprovalNeeded
from egide.store.log.records import canonical

if TYPE_CHECKING:
    from collections.abc import Mapping

    from egide.domain.access import Key
    from egide.store import Store

DEFAULT_BULK_LIMIT = 1000
"""Fingerprints that one person may add in a day, with all their keys and requests together."""
APPROVAL_TTL_S = 7 * 24 * 3600
_DAY_S = 24 * 3600


class TwoPersonAct(StrEnum):
    """What a key alone is not enough for."""

    BULK = "bulk-register"
    EXPORT = "export"
    RADIUS = "change-radius"
    KEY = CREATE_KEY


_SPOKEN = {
    TwoPersonAct.BULK: "Adding so many fingerprints",
    TwoPersonAct.EXPORT: "An export",
    TwoPersonAct.RADIUS: "Another radius",
    TwoPersonAct.KEY: "A key that can do more than match",
}


class TwoPeople:
    """Lets an act pass, or files the request for a second person.

    An act without an approval raises `ApprovalNeeded`, which names the request that was filed. The
    second person decides it; then the same request is repeated with its number, and the approval
    is spent. It is spent too if what it was for fails afterwards: a new one is then needed.

    On the command line there is no key and no second person: whoever has the database has all.
    """

    def __init__(
        self,
        store: Store,
        bulk_limit: int = DEFAULT_BULK_LIMIT,
        *,
        approval_ttl_s: int = APPROVAL_TTL_S,
    ) -> None:
        self._store = store
        self._bulk_limit = bulk_limit
        self._approval_ttl_s = approval_ttl_s

    def check_bulk(
        self, key: Key, bank: str, count: int, digest: bytes, approval_id: int | None = None
    ) -> None:
        """Let fingerprints be added, up to the limit of their key's holder for a day of UTC.

        Args:
            key: that adds them.
            bank: to which.
            count: of fingerprints in the request, whether or not the bank has them already.
            digest: of the request: 32 bytes over all that it would add.
            approval_id: of an approval for it. Such additions do not count towards the limit.

        Raises:
            ApprovalNeeded: they go beyond the limit.
            ApprovalInvalid: the approval does not serve here.
        """
        act = TwoPersonAct.BULK
        if approval_id is None and self._store.keys.add_within(
            key, int(time.time()) // _DAY_S, count, self._bulk_limit
        ):
            return
        self._check(act, key, bank, {"fingerprints": count}, digest, approval_id)

    def check_export(self, key: Key, bank: str, approval_id: int | None = None) -> None:
        """Let a bank be exported, with an approval only.

        Raises:
            ApprovalNeeded: there is none.
            ApprovalInvalid: it does not serve here.
        """
        self._check(TwoPersonAct.EXPORT, key, bank, {}, sha256(bank.encode()).digest(), approval_id)

    def check_radius(
        self,
        key: Key,
        bank: str,
        radius_bits: int,
        approval_id: int | None = None,
        *,
        old_radius_bits: int | None,
    ) -> None:
        """Let a bank have another radius, with an approval only.

        Args:
            key: of whoever wants it.
            bank: its name.
            radius_bits: to be.
            approval_id: of an approval for it.
            old_radius_bits: that the bank has; None for one that is to be made.

        Raises:
            ApprovalNeeded: there is no approval.
            ApprovalInvalid: it does not serve here.
        """
        summary = {"radius_bits": radius_bits}
        if old_radius_bits is not None:
            summary["old_radius_bits"] = old_radius_bits
        # The old one is no part of it: what was agreed to is the radius that the bank will have.
        new = "new" if old_radius_bits is None else "changed"
        digest = sha256(f"{bank}:{radius_bits}:{new}".encode()).digest()
        self._check(TwoPersonAct.RADIUS, key, bank, summary, digest, approval_id)

    def check_key(
        self, key: Key, asked: Mapping[str, str | int], bank: str | None, approval_id: int | None
    ) -> None:
        """Let a key be made that can do more than match, with an approval only.

        Args:
            key: of whoever makes it.
            asked: all that is asked of the new one; `key` is its name. The second person sees it.
            bank: the only one that it reaches; None for several or all.
            approval_id: of an approval for it.

        Raises:
            ApprovalNeeded: there is none.
            ApprovalInvalid: it does not serve here.
        """
        digest = sha256(canonical(dict(asked)).encode()).digest()
        self._check(TwoPersonAct.KEY, key, bank, asked, digest, approval_id)

    def _check(
        self,
        act: TwoPersonAct,
        key: Key,
        bank: str | None,
        summary: Mapping[str, str | int],
        digest: bytes,
        approval_id: int | None,
    ) -> None:
        approvals = self._store.acting_as(key.name).approvals
        if approval_id is not None:
            approvals.use(approval_id, act.value, bank, digest, by=key)
            return
        asked = approvals.request(
            act.value, bank, summary, digest, by=key, ttl_s=self._approval_ttl_s
        )
        raise ApprovalNeeded(action=_SPOKEN[act], approval=asked.id)
