"""Routes that match pictures, or compare two of them."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from egide.domain.access import Key, Permission
from egide.errors import (
    BankMissing,
    BatchTooLarge,
    FetchDisabled,
    FetchError,
    FetchTimeout,
    ItemError,
    QuotaExceeded,
    RequestInvalid,
)
from egide.server.answering import (
    Json,
    answer_file,
    answer_files,
    answer_fingerprints,
    checking,
)
from egide.server.api.queries import read_banks, read_fingerprint, read_fingerprints, read_object
from egide.server.api.schemas.matching import (
    BatchResponse,
    CompareQuery,
    CompareResponse,
    FilesResponse,
    FingerprintsQuery,
    MatchResponse,
    UrlQuery,
    body_of,
)
from egide.server.http.auth import permitted
from egide.server.http.bodies import is_multipart, read_form, read_json
from egide.server.http.forms import Form
from egide.server.http.problems import problem_responses
from egide.server.service import ServiceDep
from egide.usecases import compare as comparing

router = APIRouter(tags=["matching"])
Matcher = Annotated[Key, permitted(Permission.MATCH)]
_COMMON = problem_responses(BankMissing, BatchTooLarge, QuotaExceeded, ItemError)


@router.post(
    "/match",
    summary="Match one picture",
    response_model=MatchResponse,
    responses=_COMMON | problem_responses(FetchDisabled, FetchError, FetchTimeout),
    openapi_extra=body_of(UrlQuery, files=1),
)
async def match(request: Request, service: ServiceDep, key: Matcher) -> Response:
    """Match a file, or the picture at a URL; the picture is not kept.

    A form has one `file`, and may name a `bank`. A URL is fetched only from allowed hosts.
    """
    if is_multipart(request.headers):
        form = await read_form(request, max_files=1)
        data = form.files[0]
        check = await run_in_threadpool(checking, service, key, _banks(form))
    else:
        asked = read_object(await read_json(request), ("url", "banks"), ("url",))
        if not isinstance(asked["url"], str):
            raise RequestInvalid(reason="url has to be a text")
        banks = read_banks(asked.get("banks"))
        check = await run_in_threadpool(checking, service, key, banks)
        data = await run_in_threadpool(service.fetch, asked["url"])
    return Json(await run_in_threadpool(answer_file, service, key, check, data))


@router.post(
    "/match/files",
    summary="Match several pictures",
    response_model=FilesResponse,
    responses=_COMMON,
    openapi_extra=body_of(None, files=32),
)
async def match_files(request: Request, service: ServiceDep, key: Matcher) -> Response:
    """Match each `file` of a form; an unusable one gets a `problem` and does not affect others."""
    form = await read_form(request, max_files=service.settings.max_batch_files)
    return Json(await run_in_threadpool(answer_files, service, key, form.files, _banks(form)))


@router.post(
    "/match/fingerprints",
    summary="Match fingerprints",
    response_model=BatchResponse,
    responses=_COMMON,
    openapi_extra=body_of(FingerprintsQuery),
)
async def match_fingerprints(request: Request, service: ServiceDep, key: Matcher) -> Response:
    """Match up to 10,000 fingerprints that were computed elsewhere.

    A PDQ does not find mirrored or rotated copies, or copies within borders and collages. Anchored
    hashes do, or post the picture itself.
    """
    asked = await read_json(request)

    def answer() -> Response:
        fields = read_object(asked, ("fingerprints", "banks"), ("fingerprints",))
        fingerprints = read_fingerprints(fields["fingerprints"], service.settings.max_batch)
        banks = read_banks(fields.get("banks"))
        return Json(answer_fingerprints(service, key, fingerprints, banks))

    return await run_in_threadpool(answer)


@router.post(
    "/compare",
    summary="Compare two pictures",
    response_model=CompareResponse,
    responses=problem_responses(BatchTooLarge, QuotaExceeded, ItemError),
    openapi_extra=body_of(CompareQuery, files=2, min_files=2, banks=False),
)
async def compare(
    request: Request,
    service: ServiceDep,
    key: Annotated[Key, permitted(Permission.COMPARE)],
) -> Response:
    """Compare two fingerprints, or two files of a form; no bank is searched."""
    if is_multipart(request.headers):
        form = await read_form(request, max_files=2)
        files = form.files
        if len(files) != 2 or form.fields:
            raise RequestInvalid(reason="two files in fields named `file` are needed, and no more")
        await run_in_threadpool(service.allowances.spend, key, 2)
        a, b = [await run_in_threadpool(service.decoding.fingerprint, data) for data in files]
    else:
        asked: dict[str, Any] = read_object(await read_json(request), ("a", "b"), ("a", "b"))
        a, b = (read_fingerprint(asked[name], (name,)) for name in ("a", "b"))
    return Json(asdict(comparing.compare(a, b)))


def _banks(form: Form) -> tuple[str, ...] | None:
    """Return the bank that a form names; None without one."""
    unknown = sum(name != "bank" for name in form.fields)
    if unknown:
        raise RequestInvalid(reason=f"{unknown} unknown fields; a form has `file` and `bank`")
    return (form.fields["bank"],) if "bank" in form.fields else None
