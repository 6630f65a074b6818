"""`/c/banks` and `/c/bank/NAME`."""

from __future__ import annotations

import math
import re
from typing import Annotated, Any

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from egide.domain.access import Key, Permission
from egide.domain.model import Bank
from egide.errors import BankExists, BankMissing
from egide.server.hma.answers import HmaRoute, as_bool, json_object
from egide.server.hma.callers import allowed
from egide.server.service import ServiceDep
from egide.usecases import banks

router = APIRouter(route_class=HmaRoute)
ReadKey = Annotated[Key, allowed(Permission.READ_BANKS, Permission.KEEP_BANKS)]
ManageKey = Annotated[Key, allowed(Permission.MANAGE_BANKS, Permission.KEEP_BANKS)]
_NAME = re.compile("[A-Z_][A-Z0-9_]{0,63}", re.ASCII)
"""HMA's rule, and our length."""


def bank_shape(bank: Bank) -> dict[str, Any]:
    """A bank as HMA writes it."""
    ratio = bank.enabled_ratio if bank.enabled else 0.0
    return {"name": bank.name, "matching_enabled_ratio": ratio}


@router.get("/c/banks")
async def list_banks(service: ServiceDep, key: ReadKey) -> list[dict[str, Any]]:
    """List the banks that the key reaches."""
    found = await run_in_threadpool(banks.banks_within, service.store, key, Permission.READ_BANKS)
    return [bank_shape(bank) for bank in found]


@router.post("/c/banks")
async def create_bank(request: Request, service: ServiceDep, key: ManageKey) -> JSONResponse:
    """Make an empty bank."""
    body = await json_object(request)
    name = _checked_name(body.get("name"))
    ratio = _ratio(body)

    def create() -> Bank:
        return banks.create_bank(
            service.store, name, enabled=ratio != 0, enabled_ratio=ratio or 1.0, kept=True, by=key
        )

    return JSONResponse(bank_shape(await _named(create)), 201)


@router.get("/c/bank/{name}")
async def show_bank(name: str, service: ServiceDep, key: ReadKey) -> dict[str, Any]:
    """Show a bank."""
    return bank_shape(
        await run_in_threadpool(
            banks.require_within, service.store, key, Permission.READ_BANKS, name
        )
    )


@router.put("/c/bank/{name}")
async def change_bank(
    name: str, request: Request, service: ServiceDep, key: ManageKey
) -> dict[str, Any]:
    """Rename a bank, enable or disable it, or set the share of look-ups that it takes part in."""
    key.require_bank(name)
    body = await json_object(request)
    new_name = _checked_name(body["name"]) if body.get("name") not in {None, name} else name
    ratio = _ratio(body)

    def change() -> Bank:
        if new_name != name:
            banks.rename_bank(service.store, name, new_name, by=key)
        return banks.update_bank(
            service.store,
            new_name,
            enabled=None if ratio is None else ratio > 0,
            enabled_ratio=ratio or None,
            by=key,
        )

    return bank_shape(await _named(change))


@router.delete("/c/bank/{name}")
async def delete_bank(name: str, service: ServiceDep, key: ManageKey) -> dict[str, str]:
    """Withdraw all entries of a bank, and free its name; a missing bank is deleted already."""

    def delete() -> None:
        try:
            banks.delete_bank(service.store, name, by=key)
        except BankMissing:
            return

    await run_in_threadpool(delete)
    return {"message": "Done"}


async def _named(act: Any) -> Bank:
    """Carry out an act that gives a bank a name."""
    try:
        bank: Bank = await run_in_threadpool(act)
    except BankExists as error:
        raise HTTPException(403, "Bank already exists") from error
    return bank


def _checked_name(name: object) -> str:
    """Require a name that HMA accepts.

    Raises:
        HTTPException: 400.
    """
    if not isinstance(name, str):
        raise HTTPException(400, "name is required")
    if not _NAME.fullmatch(name):
        raise HTTPException(
            400, "a bank's name has up to 64 of A-Z, 0-9 and _, and begins with no digit"
        )
    return name


def _ratio(body: dict[str, Any]) -> float | None:
    """Read `enabled_ratio`, a number or its text, or else `enabled`; None without either.

    Raises:
        HTTPException: 400, the value is not a ratio.
    """
    given = body.get("enabled_ratio")
    if given is None:
        enabled = body.get("enabled")
        return None if enabled is None else float(as_bool(enabled, "enabled"))
    try:
        ratio = math.nan if isinstance(given, bool) else float(given)
    except (OverflowError, TypeError, ValueError):
        ratio = math.nan
    if not 0 <= ratio <= 1:
        raise HTTPException(400, "enabled_ratio has to be a number from 0 to 1")
    return ratio
