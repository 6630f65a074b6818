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
from egide.server.hma.media import (
    PDQ,
    check_signal_type,
    fingerprint_of,
    pdq_of,
    picture_of,
    signals_of,
)
from egide.server.service import ServiceDep
from egide.usecases import compare as comparing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from egide.server.service import Service

router = APIRouter(route_class=HmaRoute)
MatchKey = Annotated[Key, allowed(Permission.MATCH)]
ACTION_HEADER = "Egide-Action"
"""The policy's decision. HMA's format has no field for it, nor for the following headers."""
NOTHING_HEADER = "Egide-Nothing-To-Compare"
"""`true` if no searched bank holds an entry that can match."""
STALE_HEADER = "Egide-Stale"
"""`true` if the store has been silent for too long."""
AGE_HEADER = "Egide-Age"
"""Seconds of the store's changes that may be missing."""


@router.api_route("/h/hash", methods=["GET", "POST"])
async def hash_picture(
    request: Request, service: ServiceDep, key: Annotated[Key, allowed(Permission.COMPARE)]
) -> dict[str, str]:
    """Hash a picture: `{"pdq": hex}`, or `{}` if it has too little detail for PDQ."""
    return signals_of(await picture_of(request, service, key, exact=True))


@router.api_route("/m/lookup", methods=["GET", "POST"])
async def look_up(
    request: Request, response: Response, service: ServiceDep, key: MatchKey
) -> dict[str, Any]:
    """Look up a hash, or a picture by all its fingerprints.

    A hash gives `{BANK: [{"bank_content_id", "distance"}]}`; a picture, the same by signal type.
    What only anchored hashes found has a type of its own, and is left out where `pdq` was asked
    for: their distances are no PDQ's.
    """
    asked = request.query_params
    elided = asked.get("signal_type") is not None
    if request.method == "POST" or asked.get("url"):
        if elided:
            check_signal_type(asked.get("signal_type"))
        fingerprint = await picture_of(request, service, key, exact=False)
        elided = elided and request.method == "GET"
    else:
        fingerprint = await _hash_asked(request, service, key)
    matches = await _search(request, service, key, fingerprint, response)
    by_type: dict[str, dict[str, list[dict[str, Any]]]] = {PDQ: {}}
    for match in matches:
        name = match.signal.value if match.signal is Signal.ANCHORED else PDQ
        by_type.setdefault(name, {}).setdefault(match.bank, []).append(_with_distance(match))
    if asked.get("signal_type") is None:
        return by_type
    return by_type[PDQ] if elided else {PDQ: by_type[PDQ]}


@router.get("/m/raw_lookup")
async def look_up_raw(
    request: Request, response: Response, service: ServiceDep, key: MatchKey
) -> dict[str, Any]:
    """Look up a hash: `{"matches": [id]}`; with `include_distance` also the distances."""
    with_distance = as_bool(
        request.query_params.get("include_distance", "false"), "include_distance"
    )
    fingerprint = await _hash_asked(request, service, key)
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
        a, b = (fingerprint_of(pdq_of(text)) for text in pair)
        await run_in_threadpool(service.allowances.spend, key, 2)
        found = comparing.compare(a, b)
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
    if not service.live.ready:
        return {PDQ: {"present": False, "built_to": -1, "size": 0}}
    return {
        PDQ: {
            "present": True,
            "built_to": current_to_unix_s(service),
            "size": service.live.entry_count,
        }
    }


def current_to_unix_s(service: Service) -> int:
    """The last second (Unix time) up to which answers include all changes."""
    return int(time.time() - service.live.age_s)


async def _hash_asked(request: Request, service: Service, key: Key) -> Fingerprint:
    asked = request.query_params
    if not asked.get("signal") or not asked.get("signal_type"):
        raise HTTPException(400, "Either url or both signal and signal_type are required")
    check_signal_type(asked["signal_type"])
    code = pdq_of(asked["signal"])
    await run_in_threadpool(service.allowances.spend, key, 1)
    return fingerprint_of(code)


async def _search(
    request: Request, service: Service, key: Key, fingerprint: Fingerprint, response: Response
) -> Sequence[Match]:
    """Search the enabled banks that the key reaches, or only those named by `banks=`."""
    given = request.query_params.get("banks")
    banks = [name for part in given.split(",") if (name := part.strip())] if given else None
    checked, (decision,) = await run_in_threadpool(
        lambda: ask(service, key, checking(service, key, banks), [fingerprint])
    )
    response.headers[ACTION_HEADER] = decision.action.value
    response.headers[AGE_HEADER] = f"{checked.age_s:.3f}"
    if checked.stale:
        response.headers[STALE_HEADER] = "true"
    if checked.nothing_to_compare:
        response.headers[NOTHING_HEADER] = "true"
    return decision.matches


def _with_distance(match: Match) -> dict[str, Any]:
    return {"bank_content_id": match.entry, "distance": str(match.distance)}
