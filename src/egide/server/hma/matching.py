"""`/h` and `/m`: hash, look up, compare."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from egide.domain.access import Key, Permission
from egide.domain.model import Fingerprint, Match, Signal
from egide.server.answering import ask, checking
from egide.server.hma.answers import HmaRoute, as_bool, json_object
from egide.server.hma.callers import allowed
from egide.server.hma.lots import Lots, lot_of
from egide.server.hma.media import (
    PDQ,
    SIGNAL_TYPES,
    VIDEO_MD5,
    check_signal_type,
    fingerprint_of,
    fingerprint_or_digests,
    receive,
    signal_of,
    signal_type_of,
    signals_of,
)
from egide.server.service import ServiceDep, service_of
from egide.usecases import compare as comparing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from egide.domain.policy import Decision
    from egide.server.service import Service
    from egide.usecases.check import Checked

router = APIRouter(route_class=HmaRoute)
MatchKey = Annotated[Key, allowed(Permission.MATCH)]
ACTION_HEADER = "Egide-Action"
"""The policy's decision. HMA's format has no field for it, nor for the following headers."""
NOTHING_HEADER = "Egide-Nothing-To-Compare"
"""`true` if no searched bank holds an entry that can match."""
STALE_HEADER = "Egide-Stale"
"""`true` if the store has been silent for too long."""
LEFT_OUT_HEADER = "Egide-Left-Out"
"""How many enabled banks were not searched because of their share of look-ups."""
NOT_MATCHABLE_HEADER = "Egide-Not-Matchable"
"""`true` if there was nothing to look up: the picture has too little detail for a hash."""
AGE_HEADER = "Egide-Age"
"""Seconds of the store's changes that may be missing."""


@router.get("/h/hash")
@router.post("/h/hash")
async def hash_file(
    request: Request, service: ServiceDep, key: Annotated[Key, allowed(Permission.COMPARE)]
) -> dict[str, str]:
    """Hash a file: `{"pdq": hex}`, empty for a picture with too little detail; or `video_md5`."""
    sent = await receive(request, service, key)
    fingerprint = await fingerprint_or_digests(service, sent)
    return signals_of(fingerprint) or {signal_type_of(fingerprint): ""}


@router.get("/m/lookup")
@router.post("/m/lookup")
async def look_up(
    request: Request, response: Response, service: ServiceDep, key: MatchKey
) -> dict[str, Any]:
    """Look up a hash, or a file by all its fingerprints.

    A hash gives `{BANK: [{"bank_content_id", "distance"}]}`; a file, the same by signal type.
    What only anchored hashes found has a type of its own, and is left out where `pdq` was asked
    for: their distances are no PDQ's.
    """
    asked = request.query_params
    wanted = asked.get("signal_type")
    if request.method == "POST" or asked.get("url"):
        if wanted is not None:
            check_signal_type(wanted)
        sent = await receive(request, service, key)
        own_hash = service.settings.hma_own_hash
        fingerprint = await fingerprint_or_digests(service, sent, own_hash=own_hash)
        name = signal_type_of(fingerprint)
        elided = wanted is not None and request.method == "GET"
    else:
        given = await _hash_asked(request, service, key)
        if given is None:
            response.headers[NOT_MATCHABLE_HEADER] = "true"
            return {}
        name, fingerprint = given
        elided = True
    matches = await _search(request, service, key, fingerprint, response, by_lot=True)
    by_type: dict[str, dict[str, list[dict[str, Any]]]] = {name: {}}
    for match in matches:
        found = match.signal.value if match.signal is Signal.ANCHORED else name
        by_type.setdefault(found, {}).setdefault(match.bank, []).append(_with_distance(match))
    if wanted is None:
        return by_type
    return by_type.get(wanted, {}) if elided else {name: by_type[name]}


@router.get("/m/raw_lookup")
async def look_up_raw(
    request: Request, response: Response, service: ServiceDep, key: MatchKey
) -> dict[str, Any]:
    """Look up a hash: `{"matches": [id]}`; with `include_distance` also the distances."""
    with_distance = as_bool(
        request.query_params.get("include_distance", "false"), "include_distance"
    )
    given = await _hash_asked(request, service, key)
    if given is None:
        response.headers[NOT_MATCHABLE_HEADER] = "true"
        return {"matches": []}
    _, fingerprint = given
    matches = await _search(request, service, key, fingerprint, response)
    return {
        "matches": [_with_distance(match) if with_distance else match.entry for match in matches]
    }


@router.post("/m/compare")
async def compare(
    request: Request, service: ServiceDep, key: Annotated[Key, allowed(Permission.COMPARE)]
) -> dict[str, Any]:
    """Compare two hashes: `{"pdq": [match, {"distance": bits}]}`."""
    compared: dict[str, Any] = {}
    for name, pair in (await json_object(request)).items():
        check_signal_type(name)
        if not isinstance(pair, list) or len(pair) != 2:
            raise HTTPException(400, "Comparison hash list length must be exactly 2")
        first, second = (signal_of(text, name) for text in pair)
        await run_in_threadpool(service.allowances.spend, key, 2)
        if name == VIDEO_MD5:
            compared[name] = [first == second, {}]
            continue
        found = comparing.compare(fingerprint_of(first, name), fingerprint_of(second, name))
        compared[name] = [found.within_default_radius, {"distance": found.distance}]
    return compared


@router.get("/m/index/status")
async def show_index(
    request: Request, service: ServiceDep, _key: Annotated[Key, allowed(Permission.STATUS)]
) -> dict[str, Any]:
    """Show the size of the index, and up to which second it is current."""
    wanted = request.query_params.get("signal_type")
    if wanted is not None:
        check_signal_type(wanted)
    status: dict[str, Any] = {"present": False, "built_to": -1, "size": 0}
    if service.live.ready:
        status = {
            "present": True,
            "built_to": current_to_unix_s(service),
            "size": service.live.entry_count,
        }
    return dict.fromkeys([wanted] if wanted else SIGNAL_TYPES, status)


def current_to_unix_s(service: Service) -> int:
    """The last second (Unix time) up to which answers include all changes."""
    return int(time.time() - service.live.age_s)


async def _hash_asked(
    request: Request, service: Service, key: Key
) -> tuple[str, Fingerprint] | None:
    """The signal type and the hash that a request asks for; None for an empty PDQ.

    `/h/hash` gives an empty PDQ for a picture with too little detail, and clients look it up.
    """
    asked = request.query_params
    if asked.get("signal") is None or not asked.get("signal_type"):
        raise HTTPException(400, "Either url or both signal and signal_type are required")
    name = check_signal_type(asked["signal_type"])
    if name == PDQ and not asked["signal"]:
        return None
    value = signal_of(asked["signal"], name)
    await run_in_threadpool(service.allowances.spend, key, 1)
    return name, fingerprint_of(value, name)


async def _search(
    request: Request,
    service: Service,
    key: Key,
    fingerprint: Fingerprint,
    response: Response,
    *,
    by_lot: bool = False,
) -> Sequence[Match]:
    """Search the enabled banks that the key reaches, or only those named by `banks=`.

    With `by_lot`, banks take part by their share, see `egide.server.hma.lots`.
    """
    asked = request.query_params
    given = asked.get("banks")
    named = [name for part in given.split(",") if (name := part.strip())] if given else None
    by_lot = by_lot and asked.get("bypass_coinflip", "").lower() != "true"
    lot = lot_of(fingerprint, asked.get("seed")) if by_lot else 0.0

    def search() -> tuple[Checked, Decision, int]:
        checking(service, key, named)  # refuses names before the lot is drawn
        banks, left_out = _lots(request).chosen(key, named, lot)
        checked, (decision,) = ask(service, key, checking(service, key, banks), [fingerprint])
        return checked, decision, left_out

    checked, decision, left_out = await run_in_threadpool(search)
    if left_out:
        response.headers[LEFT_OUT_HEADER] = str(left_out)
    response.headers[ACTION_HEADER] = decision.action.value
    response.headers[AGE_HEADER] = f"{checked.age_s:.3f}"
    if checked.stale:
        response.headers[STALE_HEADER] = "true"
    if checked.nothing_to_compare:
        response.headers[NOTHING_HEADER] = "true"
    return decision.matches


def _lots(request: Request) -> Lots:
    state = request.app.state
    if not hasattr(state, "hma_lots"):
        state.hma_lots = Lots(service_of(request))
    lots: Lots = state.hma_lots
    return lots


def _with_distance(match: Match) -> dict[str, Any]:
    return {"bank_content_id": match.entry, "distance": str(match.distance)}
