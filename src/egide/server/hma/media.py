"""The picture of a request, posted or named by a URL, and its hashes as HMA writes them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from egide.domain.model import Fingerprint, Pdq
from egide.errors import BatchTooLarge
from egide.server.http.bodies import is_multipart, read_parts

if TYPE_CHECKING:
    from starlette.requests import Request

    from egide.domain.access import Key
    from egide.server.service import Service

PDQ = "pdq"
"""The only signal type."""
PHOTO = "photo"
"""The only content type."""
_DIGITS = re.compile("[0-9a-fA-F]{64}")
_ONE_FILE = "Only one file allowed per request"


async def picture_of(request: Request, service: Service, key: Key, *, exact: bool) -> Fingerprint:
    """Fingerprint the picture that a request posts in the field `photo`, or names with `url=`.

    Args:
        request: its body is read here.
        service: decodes, and fetches from allowed hosts.
        key: charged for one picture.
        exact: whether the hash equals the reference's in every bit; else the fast one.

    Raises:
        HTTPException: 400, there is no picture, or another type was asked for.
        EgideError: the picture cannot be fetched or used, or the key's rate or quota is used up.
    """
    check_types(request)
    url = request.query_params.get("url")
    if url:
        check_content_type(request.query_params.get("content_type") or PHOTO)
        await run_in_threadpool(service.allowances.spend, key, 1)
        data = await run_in_threadpool(service.fetch, url)
    elif request.method == "POST" and is_multipart(request.headers):
        data = await _posted(request)
        await run_in_threadpool(service.allowances.spend, key, 1)
    else:
        raise HTTPException(400, "Neither `url` nor multipart file upload was received")
    return await run_in_threadpool(service.decoding.fingerprint, data, exact=exact)


async def _posted(request: Request) -> bytes:
    try:
        parts = await read_parts(request, max_files=1, file_fields=(PHOTO, "video"))
    except BatchTooLarge as error:
        raise HTTPException(400, _ONE_FILE) from error
    files = [(part.name, part.content) for part in parts if isinstance(part.content, bytes)]
    if not files:
        raise HTTPException(400, "Missing multipart/form-data file upload")
    if len(files) > 1:
        raise HTTPException(400, _ONE_FILE)
    name, data = files[0]
    check_content_type(name)
    return data


def check_content_type(name: str) -> None:
    """Refuse content types other than photo.

    Raises:
        HTTPException: 400.
    """
    if name == "video":
        raise HTTPException(400, "content_type video is disabled")
    if name != PHOTO:
        raise HTTPException(400, "no such content_type: use photo")


def check_types(request: Request) -> None:
    """Refuse signal types other than PDQ in `types=`.

    Raises:
        HTTPException: 400.
    """
    given = request.query_params.get("types")
    if given is not None and {name.strip() for name in given.split(",")} - {""} != {PDQ}:
        raise HTTPException(400, "a signal type doesn't exist or is disabled: use pdq")


def check_signal_type(name: str | None) -> None:
    """Refuse signal types other than PDQ.

    Raises:
        HTTPException: 400.
    """
    if name != PDQ:
        raise HTTPException(400, "No such SignalType: use pdq")


def pdq_of(text: object) -> bytes:
    """Read a PDQ hash.

    Raises:
        HTTPException: 400, the text is not a PDQ hash; the message does not repeat it.
    """
    if not isinstance(text, str) or not _DIGITS.fullmatch(text):
        raise HTTPException(400, "invalid signal: a PDQ hash is 64 hexadecimal digits")
    return bytes.fromhex(text)


def fingerprint_of(code: bytes) -> Fingerprint:
    """Make a fingerprint of only a PDQ hash."""
    return Fingerprint((Pdq(code, None),))


def signals_of(fingerprint: Fingerprint) -> dict[str, str]:
    """The hashes by signal type; empty for a picture with too little detail."""
    pdq = fingerprint.pdq
    return {} if pdq is None or not pdq.matchable else {PDQ: pdq.code.hex()}
