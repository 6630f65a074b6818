"""`/c/bank/NAME/content` and `/signal`: the entries of a bank."""

from __future__ import annotations

import time
from dataclasses import asdict, replace
from hashlib import sha256
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Path, Request
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from egide.domain.access import Key, Permission
from egide.domain.model import Entry, Registration, State, digests_of
from egide.domain.origin import Origin
from egide.errors import EntryMissing
from egide.server.api.scope import ApprovalHeader
from egide.server.hma.answers import HmaRoute, as_bool, json_object
from egide.server.hma.banks import bank_shape
from egide.server.hma.callers import allowed
from egide.server.hma.media import (
    PDQ,
    VIDEO_MD5,
    check_signal_type,
    fingerprint_sent,
    receive,
    signal_of,
    signals_of,
)
from egide.server.hma.notes import Said, checked_note, metadata_shown, said_of
from egide.server.service import ServiceDep
from egide.store import OutcomeKind
from egide.usecases.banks import annotate, require_within
from egide.usecases.export import give_entry
from egide.usecases.register import registration_of, require_whole
from egide.usecases.register_by_key import Batch, register_batch
from egide.usecases.withdraw import withdraw

if TYPE_CHECKING:
    from egide.server.service import Service
    from egide.store import Store

router = APIRouter(prefix="/c/bank/{name}", route_class=HmaRoute)
RegisterKey = Annotated[Key, allowed(Permission.REGISTER, Permission.KEEP_BANKS)]
WithdrawKey = Annotated[Key, allowed(Permission.WITHDRAW, Permission.KEEP_BANKS)]
ReadKey = Annotated[Key, allowed(Permission.READ_BANKS, Permission.KEEP_BANKS)]
ContentId = Annotated[int, Path(ge=0, lt=1 << 63)]
_ENABLED, _DISABLED = 1, 0
"""Special values of HMA's `disable_until_ts`, which is a time otherwise."""
_LATEST_S = 5 * 366 * 86_400
_GONE = {State.WITHDRAWN, State.EXPIRED}


@router.post("/content")
async def add_content(
    name: str,
    request: Request,
    service: ServiceDep,
    key: RegisterKey,
    approval: ApprovalHeader = None,
) -> dict[str, Any]:
    """Register a picture or video, posted or named by a URL; it is not kept, what is said is."""
    await run_in_threadpool(require_within, service.store, key, Permission.REGISTER, name)
    sent = await receive(request, service, key)
    said = said_of(sent)
    fingerprint = await fingerprint_sent(service, sent)
    require_whole(fingerprint, name="the upload")
    registration = registration_of(fingerprint, source="")
    entry = await run_in_threadpool(_register, service, key, name, registration, said, approval)
    return {"id": entry, "signals": signals_of(fingerprint)}


@router.post("/signal")
async def add_signal(
    name: str,
    request: Request,
    service: ServiceDep,
    key: RegisterKey,
    approval: ApprovalHeader = None,
) -> dict[str, Any]:
    """Register a hash of each type that is given, with a note beside them."""
    await run_in_threadpool(require_within, service.store, key, Permission.REGISTER, name)
    signals = await json_object(request)
    said = Said(checked_note(signals.pop("note", None)))
    if not signals:
        raise HTTPException(400, "No signals given")
    values = {check_signal_type(kind): signal_of(text, kind) for kind, text in signals.items()}
    code = values.get(PDQ)
    registration = Registration(
        pdqs=() if code is None else (code,), md5=values.get(VIDEO_MD5), source=""
    )
    entry = await run_in_threadpool(_register, service, key, name, registration, said, approval)
    return {"id": entry, "signals": {kind: value.hex() for kind, value in values.items()}}


@router.get("/content/{content_id}")
async def show_content(
    name: str, content_id: ContentId, request: Request, service: ServiceDep, key: ReadKey
) -> dict[str, Any]:
    """Show an entry; its hash only to partners, and the log records that."""
    key.require_bank(name)
    asked = request.query_params
    with_signals = as_bool(asked.get("include_signals", "false"), "include_signals")
    with_metadata = as_bool(asked.get("include_metadata", "true"), "include_metadata")

    def read() -> dict[str, Any]:
        if with_signals and key.may(Permission.READ_CHANGES):
            entry = give_entry(service.store, key, name, content_id)
            return _shown(service.store, name, entry) | {"signals": _signals(entry)}
        if with_signals and key.may(Permission.READ_ENTRIES):
            key.require(Permission.READ_CHANGES)
        require_within(service.store, key, Permission.READ_ENTRIES, name)
        entry = service.store.entries.get(name, content_id)
        # A keeper may ask for the signals as HMA's clients do; they are left out.
        return _shown(service.store, name, entry) | _told(
            service.store, entry, with_metadata=with_metadata
        )

    return await run_in_threadpool(read)


@router.put("/content/{content_id}")
async def change_content(
    name: str, content_id: ContentId, request: Request, service: ServiceDep, key: WithdrawKey
) -> dict[str, Any]:
    """Set or clear the note of an active entry; refuse a pause, and name the alternatives."""
    await run_in_threadpool(require_within, service.store, key, Permission.WITHDRAW, name)
    body = await json_object(request)
    note = checked_note(body["note"]) if "note" in body else None
    until = _until(body)
    entry = _held(await run_in_threadpool(service.store.entries.get, name, content_id))
    if entry.state is not State.ACTIVE or until != _ENABLED:
        raise HTTPException(
            501, "Entries are not paused: withdraw with DELETE, or dispute or tombstone by API v1"
        )
    if note is not None:
        await run_in_threadpool(annotate, service.acting(key.name), name, content_id, note)
    return await show_content(name, content_id, request, service, key)


@router.delete("/content/{content_id}")
async def delete_content(
    name: str, content_id: ContentId, service: ServiceDep, key: WithdrawKey
) -> dict[str, int]:
    """Withdraw an entry: it no longer matches, and its fingerprint is erased."""

    def delete() -> int:
        require_within(service.store, key, Permission.WITHDRAW, name)
        return _withdraw(service.acting(key.name), name, content_id)

    return {"deleted": await run_in_threadpool(delete)}


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


def _shown(store: Store, bank: str, entry: Entry) -> dict[str, Any]:
    entry = _held(entry)
    return {
        "id": entry.id,
        "disable_until_ts": _ENABLED if entry.state is State.ACTIVE else _DISABLED,
        "collab_metadata": {},
        "original_media_uri": None,
        "bank": bank_shape(store.banks.get(bank)),
    }


def _told(store: Store, entry: Entry, *, with_metadata: bool) -> dict[str, Any]:
    """What was said of an entry, and where it came from, for those who may read entries."""
    origin = asdict(Origin.of(entry.source, entry.added))
    told: dict[str, Any] = {"origin": origin | {"added": int(entry.added.timestamp())}}
    if with_metadata:
        told |= metadata_shown(store.entries.metadata(entry.id))
    return told | ({"note": entry.note} if entry.note else {})


def _signals(entry: Entry) -> dict[str, str]:
    if entry.pdqs:
        return {PDQ: entry.pdqs[0].hex()}
    return {VIDEO_MD5: entry.md5.hex()} if entry.md5 else {}


def _until(body: dict[str, Any]) -> int:
    """Read `disable_until_ts`, within HMA's bounds.

    Raises:
        HTTPException: 400.
    """
    given = body.get("disable_until_ts", _ENABLED)
    try:
        until = int(given)
    except (OverflowError, TypeError, ValueError):
        until = -1
    if not 0 <= until <= time.time() + _LATEST_S:
        raise HTTPException(
            400, "disable_until_ts must be a time in seconds, at most 5 years in the future"
        )
    return until


def _register(
    service: Service,
    key: Key,
    bank: str,
    registration: Registration,
    said: Said,
    approval: int | None,
) -> int:
    digest = sha256(b"hma\0" + bank.encode() + b"\0" + b"".join(_values(registration))).digest()
    registration = replace(registration, note=said.note, metadata=said.metadata)
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
    return [*registration.pdqs, *(value for _, value in digests_of(registration))]
