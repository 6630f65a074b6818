"""Acts that take two people: bulk additions, exports, other radii, keys for more than matching."""

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
"""Fingerprints that one person may add in a day, over all their keys and requests."""
APPROVAL_TTL_S = 7 * 24 * 3600
_DAY_S = 24 * 3600


class TwoPersonAct(StrEnum):
    """An act that one key alone cannot do."""

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
    """Permits an approved act, or files a request for a second person.

    An act without an approval raises `ApprovalNeeded`, which names the filed request. A second
    person decides on it. Then the act is repeated with the request's number, and the approval is
    spent, even if the act fails afterwards: a new one is then needed.

    The command line needs no key and no second person: its user has the database anyway.
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
        """Permit adding fingerprints, within the limit of the key's holder per UTC day.

        Args:
            key: of the person who adds them.
            bank: that they are added to.
            count: of fingerprints in the request, including those that the bank already has.
            digest: of the request: 32 bytes over everything it would add.
            approval_id: of its approval; approved additions do not count towards the limit.

        Raises:
            ApprovalNeeded: the limit would be exceeded.
            ApprovalInvalid: the approval is not for this request.
        """
        act = TwoPersonAct.BULK
        if approval_id is None and self._store.keys.add_within(
            key, int(time.time()) // _DAY_S, count, self._bulk_limit
        ):
            return
        self._check(act, key, bank, {"fingerprints": count}, digest, approval_id)

    def check_export(self, key: Key, bank: str, approval_id: int | None = None) -> None:
        """Permit exporting a bank, only with an approval.

        Raises:
            ApprovalNeeded: no approval was given.
            ApprovalInvalid: the approval is not for this request.
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
        """Permit changing the radius of a bank, only with an approval.

        Args:
            key: of the person who asks.
            bank: its name.
            radius_bits: the new radius.
            approval_id: of its approval.
            old_radius_bits: the present radius; None for a new bank.

        Raises:
            ApprovalNeeded: no approval was given.
            ApprovalInvalid: the approval is not for this request.
        """
        summary = {"radius_bits": radius_bits}
        if old_radius_bits is not None:
            summary["old_radius_bits"] = old_radius_bits
        # The digest leaves out the old radius: the approval is for the new one.
        new = "new" if old_radius_bits is None else "changed"
        digest = sha256(f"{bank}:{radius_bits}:{new}".encode()).digest()
        self._check(TwoPersonAct.RADIUS, key, bank, summary, digest, approval_id)

    def check_key(
        self, key: Key, asked: Mapping[str, str | int], bank: str | None, approval_id: int | None
    ) -> None:
        """Permit making a key that can do more than match, only with an approval.

        Args:
            key: of the person who makes it.
            asked: all properties of the new key, `key` being its name. The second person sees them.
            bank: the only bank that it reaches; None for several or all.
            approval_id: of its approval.

        Raises:
            ApprovalNeeded: no approval was given.
            ApprovalInvalid: the approval is not for this request.
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
