"""Routes about banks."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Response

from egide.domain.access import Key, Permission
from egide.errors import ApprovalInvalid, ApprovalNeeded, BankExists, BankMissing
from egide.server.api.idempotency import WriteDep, write_responses
from egide.server.api.schemas.common import BankPath
from egide.server.api.schemas.register import BankChange, BankShown, BanksShown, NewBank
from egide.server.api.scope import ApprovalHeader, permitted_in_bank
from egide.server.http.auth import permitted
from egide.server.http.problems import problem_responses
from egide.server.service import ServiceDep
from egide.store import Store
from egide.usecases import banks

router = APIRouter(prefix="/banks", tags=["banks"])


@router.get("", response_model=BanksShown)
def list_banks(
    service: ServiceDep, key: Annotated[Key, permitted(Permission.READ_BANKS)]
) -> BanksShown:
    """List the banks that the key reaches, with how many entries they hold."""
    found = [bank for bank in service.store.banks.list() if key.reaches(bank.name)]
    return BanksShown(
        banks=[BankShown.of(bank, service.store.banks.counts(bank.name)) for bank in found]
    )


@router.post(
    "",
    status_code=201,
    response_model=BankShown,
    responses=write_responses(BankExists, ApprovalNeeded, ApprovalInvalid),
)
def create_bank(
    body: NewBank,
    service: ServiceDep,
    key: Annotated[Key, permitted(Permission.MANAGE_BANKS)],
    write: WriteDep,
    approval: ApprovalHeader = None,
) -> Response:
    """Make an empty, enabled bank; any radius but the default needs a second person."""
    key.require_bank(body.name)

    def create() -> BankShown:
        banks.create_bank(
            service.store,
            body.name,
            radius_bits=body.radius_bits,
            description=body.description,
            kind=body.kind,
            by=key,
            approval_id=approval,
        )
        return _shown(service.store, body.name)

    return write.once(key, create, status=201)


@router.get(
    "/{bank}",
    response_model=BankShown,
    responses=problem_responses(BankMissing),
    dependencies=[permitted_in_bank(Permission.READ_BANKS)],
)
def show_bank(
    bank: BankPath,
    service: ServiceDep,
) -> BankShown:
    """Show a bank and how many entries it holds."""
    return _shown(service.store, bank)


@router.patch(
    "/{bank}",
    response_model=BankShown,
    responses=write_responses(BankMissing, ApprovalNeeded, ApprovalInvalid),
)
def change_bank(
    bank: BankPath,
    body: BankChange,
    service: ServiceDep,
    key: Annotated[Key, permitted_in_bank(Permission.MANAGE_BANKS)],
    write: WriteDep,
    approval: ApprovalHeader = None,
) -> Response:
    """Change a bank's radius (with a second person), description, or whether searches use it."""

    def change() -> BankShown:
        banks.update_bank(
            service.store,
            bank,
            radius_bits=body.radius_bits,
            description=body.description,
            enabled=body.enabled,
            by=key,
            approval_id=approval,
        )
        return _shown(service.store, bank)

    return write.once(key, change)


def _shown(store: Store, bank: str) -> BankShown:
    return BankShown.of(store.banks.get(bank), store.banks.counts(bank))
