"""Routes for audits elsewhere: what would be searched, and matching packed fingerprints.

Nothing of a query is kept: no decision is made, no webhook is told, and no log names more than the
route.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from egide.domain.access import Key, Permission
from egide.domain.model import Match
from egide.errors import BankMissing, BatchTooLarge, QuotaExceeded, RequestInvalid
from egide.partners.packed import HEADER_BYTES, MAX_ANCHORED_RECORDS, Shape, unpack
from egide.server.answering import Json, checking
from egide.server.api.schemas.common import Name
from egide.server.api.schemas.matching import MAX_BANKS
from egide.server.api.schemas.packed import PackedResponse, SearchedBank, SearchedBanks
from egide.server.http.auth import permitted
from egide.server.http.bodies import parse_in_turn
from egide.server.http.problems import problem_responses
from egide.server.service import Service, ServiceDep

router = APIRouter(tags=["matching"])
_MEDIA_TYPE = "application/octet-stream"
MAX_ANSWERED = 100_000
"""Most matches of an answer, 22 MB: a bank of near-equal entries must not fill the memory."""
_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            _MEDIA_TYPE: {
                "schema": {
                    "type": "string",
                    "format": "binary",
                    "minLength": HEADER_BYTES + Shape.DIGESTS.record_bytes,
                }
            }
        },
    }
}
Matcher = Annotated[Key, permitted(Permission.MATCH)]
Banks = Annotated[
    list[Name] | None,
    Query(max_length=MAX_BANKS, description="Search only this bank; repeat for more."),
]


@router.get(
    "/match/banks",
    summary="What a match is compared with",
    response_model=SearchedBanks,
    responses=problem_responses(BankMissing, QuotaExceeded),
)
def match_banks(service: ServiceDep, key: Matcher, bank: Banks = None) -> Response:
    """Show the banks that are searched for this key, what they hold, and what the key may ask."""
    check = checking(service, key, bank)
    service.allowances.spend(key, 1)
    asked = check.names
    banks = [one for one in service.store.banks.list() if asked is None or one.name in asked]
    names = [one.name for one in banks if one.enabled]
    revision = service.live.revision
    return Json(
        SearchedBanks(
            store_id=service.store.id,
            revision=revision,
            revision_at=service.store.revision_info(revision).at,
            banks=[
                SearchedBank(
                    name=one.name,
                    kind=one.kind,
                    radius_bits=one.radius_bits,
                    entries=service.counts.active(one.name),
                    anchored=service.counts.anchored(one.name),
                )
                for one in banks
                if one.enabled
            ],
            disabled_banks=[] if asked is None else sorted({*asked} - {*names}),
            signals=sorted(service.live.signals_held(names)),
            keypoints=bool(names) and service.store.keypoints.held(names),
            max_records=service.settings.max_batch,
            max_anchored_records=min(MAX_ANCHORED_RECORDS, service.settings.max_batch),
            per_second=key.per_second,
            per_day=key.per_day,
        ).model_dump(mode="json")
    )


@router.post(
    "/match/packed",
    summary="Match packed fingerprints, for audits",
    response_model=PackedResponse,
    responses=problem_responses(BankMissing, BatchTooLarge, QuotaExceeded),
    openapi_extra=_BODY,
)
async def match_packed(
    request: Request, service: ServiceDep, key: Matcher, bank: Banks = None
) -> Response:
    """Match what `egide audit --matcher` sends: records of one length, as reference/api.md has it.

    There is no decision: whoever asks joins the matches of a picture's records. Each record counts
    towards the key's rate and quota. Nothing of them is kept, and no webhook is told. Of more
    than 100,000 matches none is answered: ask about less at a time.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _MEDIA_TYPE:
        raise RequestInvalid(reason=f"the content type has to be {_MEDIA_TYPE}")
    body = await request.body()
    return Json(await run_in_threadpool(_answer, service, key, body, bank))


def _answer(service: Service, key: Key, body: bytes, banks: list[str] | None) -> dict[str, Any]:
    records = parse_in_turn(lambda: unpack(body, service.settings.max_batch))
    check = checking(service, key, banks)
    service.allowances.spend(key, len(records))
    found, stale = check.find(records)
    count = sum(map(len, found.matches))
    if count > MAX_ANSWERED:
        raise BatchTooLarge(count=count, limit=MAX_ANSWERED)
    return {
        "count": len(records),
        "store_id": service.store.id,
        "revision": found.revision,
        "stale": stale,
        "banks": sorted(found.searched),
        "disabled_banks": sorted(found.disabled),
        "matches": [
            _shown(query, match) for query, each in enumerate(found.matches) for match in each
        ],
    }


def _shown(query: int, match: Match) -> dict[str, Any]:
    anchored = match.anchored
    return {
        "query": query,
        "bank": match.bank,
        "entry": match.entry,
        "signal": match.signal,
        "distance": match.distance,
        "transform": match.transform,
        "trust": match.trust,
        "anchored": None
        if anchored is None
        else {"met": anchored.met, "registered": anchored.registered},
    }
