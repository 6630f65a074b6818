"""Routes about keys."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Response

from egide.domain.access import Key, Permission
from egide.errors import ApprovalInvalid, ApprovalNeeded, BankMissing, KeyExists, KeyMissing
from egide.server.api.idempotency import WriteDep, write_responses
from egide.server.api.schemas.common import NAME_PATTERN
from egide.server.api.schemas.people import KeyMade, KeyShown, KeysShown, NewKey
from egide.server.api.scope import ApprovalHeader
from egide.server.http.auth import permitted
from egide.server.service import ServiceDep
from egide.usecases.keys import create_key, list_keys, revoke_key

router = APIRouter(prefix="/keys", tags=["keys"])


@router.get("", response_model=KeysShown)
def show_keys(
    service: ServiceDep, key: Annotated[Key, permitted(Permission.MANAGE_KEYS)]
) -> KeysShown:
    """List keys, without their secrets."""
    return KeysShown(keys=[KeyShown.of(one) for one in list_keys(service.store, key)])


@router.post(
    "",
    status_code=201,
    response_model=KeyMade,
    responses=write_responses(BankMissing, KeyExists, ApprovalNeeded, ApprovalInvalid),
)
def make_key(
    body: NewKey,
    service: ServiceDep,
    key: Annotated[Key, permitted(Permission.MANAGE_KEYS)],
    write: WriteDep,
    approval: ApprovalHeader = None,
) -> Response:
    """Make a key; any role but `matcher` needs a second person.

    The answer holds its token, this once. It reaches only banks that your key reaches.
    """

    def make() -> KeyMade:
        made, token = create_key(
            service.store,
            key,
            body.name,
            body.role,
            body.holder,
            banks=body.banks,
            per_second=body.per_second,
            per_day=body.per_day,
            expires=body.expires,
            approval_id=approval,
        )
        return KeyMade(key=KeyShown.of(made), token=token)

    return write.once(key, make, status=201, kept=KeyMade.without_token)


@router.post("/{name}/revoke", response_model=KeyShown, responses=write_responses(KeyMissing))
def end_key(
    name: Annotated[
        str, Path(pattern=NAME_PATTERN, description="The key's name.", examples=["uploads"])
    ],
    service: ServiceDep,
    key: Annotated[Key, permitted(Permission.MANAGE_KEYS)],
    write: WriteDep,
) -> Response:
    """Revoke a key: within a second it opens nothing in any process."""
    return write.once(key, lambda: KeyShown.of(revoke_key(service.store, key, name)))
