"""`/c/bank/NAME/content` and `/signal`: the entries of a bank."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Path, Request
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from egide.domain.access import Key, Permission
from egide.domain.model import Entry, Registration, State
from egide.errors import EntryMissing
from egide.server.api.scope import ApprovalHeader
from egide.server.hma.answers import HmaRoute, as_bool, json_object
from egide.server.hma.banks import bank_shape
from egide.server.hma.callers import allowed
from egide.server.hma.media import PDQ, check_signal_type, pdq_of, picture_of, signals_of
from egide.server.service import ServiceDep
from egide.store import OutcomeKind
from egide.usecases.export import give_entry
from egide.usecases.register import registration_of, require_whole
from egide.usecases.register_by_key import Batch, register_batch
from egide.usecases.withdraw import withdraw

if TYPE_CHECKING:
    from egide.server.service import Service
    from egide.store import Store

router = APIRouter(prefix="/c/bank/{name}", route_class=HmaRoute)
RegisterKey = Annotated[Key, allowed(Permission.REGISTER)]
ContentId = Annotated[int, Path(ge=0, lt=1 << 63)]
_ENABLED, _DISABLED = 1, 0
"""Special values of HMA's `disable_until_ts`, which is a time otherwise."""
_GONE = {State.WITHDRAWN, State.EXPIRED}


@router.post("/content")
async def add_content(
    name: str,
    request: Request,
    service: ServiceDep,
    key: RegisterKey,
    approval: ApprovalHeader = None,
) -> dict[str, Any]:
    """Register a picture, posted or named by a URL; it is not kept."""
    key.require_bank(name)
    await run_in_threadpool(service.store.banks.get, name)
    fingerprint = await picture_of(request, service, key, exact=True)
    require_whole(fingerprint, name="the upload")
    registration = registration_of(fingerprint, source="")
    entry = await run_in_threadpool(_register, service, key, name, registration, approval)
    return {"id": entry, "signals": signals_of(fingerprint)}


@router.post("/signal")
async def add_signal(
    name: str,
    request: Request,
    service: ServiceDep,
    key: RegisterKey,
    approval: ApprovalHeader = None,
) -> dict[str, Any]:
    """Register a hash."""
    key.require_bank(name)
    signals = await json_object(request)
    if not signals:
        raise HTTPException(400, "No signals given")
    for signal_type in signals:
        check_signal_type(signal_type)
    code = pdq_of(signals[PDQ])
    registration = Registration(pdqs=(code,), source="")
    entry = await run_in_threadpool(_register, service, key, name, registration, approval)
    return {"id": entry, "signals": {PDQ: code.hex()}}


@router.get("/content/{content_id}")
async def show_content(
    name: str,
    content_id: ContentId,
    request: Request,
    service: ServiceDep,
    key: Annotated[Key, allowed(Permission.READ_BANKS)],
) -> dict[str, Any]:
    """Show an entry; its hash only to partners, and the log records that."""
    key.require_bank(name)
    with_signals = as_bool(request.query_params.get("include_signals", "false"), "include_signals")
    if with_signals:
        entry = await run_in_threadpool(give_entry, service.store, key, name, content_id)
    else:
        key.require(Permission.READ_ENTRIES)
        entry = await run_in_threadpool(service.store.entries.get, name, content_id)
    entry = _held(entry)
    bank = await run_in_threadpool(service.store.banks.get, name)
    shown = {
        "id": entry.id,
        "disable_until_ts": _ENABLED if entry.state is State.ACTIVE else _DISABLED,
        "collab_metadata": {},
        "original_media_uri": None,
        "bank": bank_shape(bank),
    }
    if with_signals:
        shown["signals"] = {PDQ: entry.pdqs[0].hex()} if entry.pdqs else {}
    return shown


@router.put("/content/{content_id}")
async def change_content(
    name: str,
    content_id: ContentId,
    request: Request,
    service: ServiceDep,
    key: Annotated[Key, allowed(Permission.WITHDRAW)],
) -> dict[str, Any]:
    """Accept `enabled` for an active entry; refuse a pause, and name the alternatives."""
    key.require_bank(name)
    body = await json_object(request)
    entry = _held(await run_in_threadpool(service.store.entries.get, name, content_id))
    if entry.state is not State.ACTIVE or body.get("disable_until_ts", _ENABLED) != _ENABLED:
        raise HTTPException(
            501, "Entries are not paused: withdraw with DELETE, or dispute or tombstone by API v1"
        )
    return await show_content(name, content_id, request, service, key)


@router.delete("/content/{content_id}")
async def delete_content(
    name: str,
    content_id: ContentId,
    service: ServiceDep,
    key: Annotated[Key, allowed(Permission.WITHDRAW)],
) -> dict[str, int]:
    """Withdraw an entry: it no longer matches, and its fingerprint is erased."""
    key.require_bank(name)
    return {
        "deleted": await run_in_threadpool(_withdraw, service.acting(key.name), name, content_id)
    }


def _withdraw(store: Store, bank: str, content_id: int) -> int:
    try:
        state = store.entries.get(bank, content_id).state
    except EntryMissing:
        return 0
    if state is State.WITHDRAWN:
        return 0
    withdraw(store, bank, [content_id])  # even an expired one: else an import may renew it
    return 1


def _held(entry: Entry) -> Entry:
    """Refuse an entry that has ended: HMA does not show deleted content."""
    if entry.state in _GONE:
        raise EntryMissing(entry=entry.id, bank=entry.bank)
    return entry


def _register(
    service: Service, key: Key, bank: str, registration: Registration, approval: int | None
) -> int:
    digest = sha256(b"hma\0" + bank.encode() + b"\0" + b"".join(_values(registration))).digest()
    batch = Batch([registration], again=False, digest=digest, approval_id=approval)
    limit = service.settings.bulk_limit
    done = register_batch(service.store, bank, batch, key=key, bulk_limit=limit)
    outcome = done.outcomes[0]
    if outcome.kind is OutcomeKind.REFUSED:
        raise HTTPException(
            409,
            f"Content {outcome.entry} was withdrawn, or found to be false: API v1 takes it back in "
            "with `again`, if the person in it wants that",
        )
    return outcome.entry


def _values(registration: Registration) -> list[bytes]:
    return [*registration.pdqs, registration.sha256 or b"", registration.md5 or b""]
