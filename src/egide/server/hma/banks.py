"""`/c/banks` and `/c/bank/NAME`."""

from __future__ import annotations

import math
from typing import Annotated, Any

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from egide.domain.access import Key, Permission
from egide.domain.model import Bank
from egide.errors import BankExists
from egide.server.hma.answers import HmaRoute, as_bool, json_object
from egide.server.hma.callers import allowed
from egide.server.service import ServiceDep
from egide.usecases import banks

router = APIRouter(route_class=HmaRoute)
ReadKey = Annotated[Key, allowed(Permission.READ_BANKS)]
ManageKey = Annotated[Key, allowed(Permission.MANAGE_BANKS)]


def bank_shape(bank: Bank) -> dict[str, Any]:
    """A bank as HMA writes it."""
    return {"name": bank.name, "matching_enabled_ratio": 1.0 if bank.enabled else 0.0}


@router.get("/c/banks")
async def list_banks(service: ServiceDep, key: ReadKey) -> list[dict[str, Any]]:
    """List the banks that the key reaches."""
    found = await run_in_threadpool(service.store.banks.list)
    return [bank_shape(bank) for bank in found if key.reaches(bank.name)]


@router.post("/c/banks")
async def create_bank(request: Request, service: ServiceDep, key: ManageKey) -> JSONResponse:
    """Make an empty bank."""
    body = await json_object(request)
    name = body.get("name")
    if not isinstance(name, str):
        raise HTTPException(400, "name is required")
    key.require_bank(name)
    enabled = _enabled(body) is not False

    def create() -> Bank:
        return banks.create_bank(service.store, name, enabled=enabled, by=key)

    try:
        return JSONResponse(bank_shape(await run_in_threadpool(create)), 201)
    except BankExists as error:
        raise HTTPException(403, "Bank already exists") from error


@router.get("/c/bank/{name}")
async def show_bank(name: str, service: ServiceDep, key: ReadKey) -> dict[str, Any]:
    """Show a bank."""
    key.require_bank(name)
    return bank_shape(await run_in_threadpool(service.store.banks.get, name))


@router.put("/c/bank/{name}")
async def change_bank(
    name: str, request: Request, service: ServiceDep, key: ManageKey
) -> dict[str, Any]:
    """Enable or disable a bank."""
    key.require_bank(name)
    body = await json_object(request)
    await run_in_threadpool(service.store.banks.get, name)
    if body.get("name", name) != name:
        raise HTTPException(501, "Banks are not renamed: the log names them for ever")
    enabled = _enabled(body)

    def change() -> Bank:
        return banks.update_bank(service.store, name, enabled=enabled, by=key)

    return bank_shape(await run_in_threadpool(change))


@router.delete("/c/bank/{name}")
async def delete_bank(name: str, service: ServiceDep, key: ManageKey) -> dict[str, str]:
    """Withdraw all entries of a bank, and disable it; its name remains."""
    await run_in_threadpool(lambda: banks.empty_bank(service.store, name, by=key))
    return {"message": "Done"}


def _enabled(body: dict[str, Any]) -> bool | None:
    """Read `enabled_ratio`, or else `enabled`; any ratio above 0 enables all matches.

    Raises:
        HTTPException: 400, the value is not a ratio.
    """
    given = body.get("enabled_ratio")
    if given is None:
        enabled = body.get("enabled")
        return None if enabled is None else as_bool(enabled, "enabled")
    try:
        ratio = float(given)
    except (TypeError, ValueError):
        ratio = math.nan
    if not 0 <= ratio <= 1:
        raise HTTPException(400, "enabled_ratio has to be a number from 0 to 1")
    return ratio > 0
