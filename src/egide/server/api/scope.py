"""Permissions within the bank in the path."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from fastapi import Depends, Header

from egide.domain.access import Key
from egide.server.api.schemas.common import MAX_NUMBER, BankPath
from egide.server.http.auth import permitted

if TYPE_CHECKING:
    from egide.domain.access import Permission


def permitted_in_bank(permission: Permission) -> Any:
    """Return a dependency that gives the key of a request, as `permitted` does.

    A bank outside the key's scope is answered as if it did not exist.
    """
    permitted_key = permitted(permission)

    async def key_in_scope(bank: BankPath, key: Key = permitted_key) -> Key:
        key.require_bank(bank)
        return key

    return Depends(key_in_scope)


ApprovalHeader = Annotated[
    int | None,
    Header(
        alias="Egide-Approval",
        ge=1,
        le=MAX_NUMBER,
        description="The number of a second person's approval.",
    ),
]
