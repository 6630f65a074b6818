"""The file of a request, posted or named by a URL, and its hashes as HMA writes them."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from egide.domain.model import PDQ_BYTES, SIGNAL_BYTES, Fingerprint, Pdq, Signal
from egide.errors import BatchTooLarge, ImageTooSmall, NotAnImage
from egide.media.video import video_kind
from egide.server.http.bodies import is_multipart, read_json, read_parts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request

    from egide.domain.access import Key
    from egide.server.service import Service

PDQ = "pdq"
VIDEO_MD5 = "video_md5"
SIGNAL_TYPES = (PDQ, VIDEO_MD5)
PHOTO = "photo"
VIDEO = "video"
CONTENT_TYPES = (PHOTO, VIDEO)
_DIGITS = {
    PDQ: re.compile(f"[0-9a-fA-F]{{{2 * PDQ_BYTES}}}"),
    VIDEO_MD5: re.compile(f"[0-9a-fA-F]{{{2 * SIGNAL_BYTES[Signal.MD5]}}}"),
}
_ONE_FILE = "Only one file allowed per request"
_VIDEO_START = re.compile(
    rb".{4}ftyp|\x1aE\xdf\xa3|RIFF.{4}AVI |\x00\x00\x01[\xb3\xba]|FLV\x01|OggS|\x30\x26\xb2\x75",
    re.DOTALL,
)
"""First bytes of MP4 and MOV, Matroska and WebM, AVI, MPEG, Flash, Ogg, ASF."""


@dataclass(frozen=True, slots=True)
class Sent:
    """What a request sends.

    Attributes:
        data: of the file.
        content_type: `photo` or `video`; None for a URL's file whose type nobody named.
        fields: other fields, of the form, of a JSON body or of the query; values of a JSON body
            are of any type.
        strict: whether the fields are of a JSON body, which HMA checks.
    """

    data: bytes = field(repr=False)
    content_type: str | None
    fields: Mapping[str, Any] = field(repr=False)
    strict: bool = False


async def receive(request: Request, service: Service, key: Key) -> Sent:
    """Read the file that a request posts as `photo` or `video`, or names with `url=`.

    Args:
        request: its body is read here.
        service: fetches from allowed hosts.
        key: charged for one file.

    Raises:
        HTTPException: 400, there is no file, or a type that is not offered was asked for.
        EgideError: the file cannot be fetched, or the key's rate or quota is used up.
    """
    check_types(request)
    url = request.query_params.get("url")
    if url:
        content_type = request.query_params.get("content_type") or None
        if content_type is not None:
            check_content_type(content_type)
        said = await _beside_url(request)
        await run_in_threadpool(service.allowances.spend, key, 1)
        data = await run_in_threadpool(service.fetch, url)
        if said is None:
            return Sent(data, content_type, request.query_params)
        return Sent(data, content_type, said, strict=True)
    if request.method == "POST" and is_multipart(request.headers):
        sent = await _posted(request)
        await run_in_threadpool(service.allowances.spend, key, 1)
        return sent
    raise HTTPException(400, "Neither `url` nor multipart file upload was received")


async def _beside_url(request: Request) -> dict[str, Any] | None:
    """Read the JSON object that may come beside a URL."""
    if request.method != "POST" or "json" not in request.headers.get("content-type", "").lower():
        return None
    body = await read_json(request)
    if not isinstance(body, dict):
        raise HTTPException(400, "the body has to be a JSON object")
    return body


async def _posted(request: Request) -> Sent:
    try:
        parts = await read_parts(request, max_files=1, file_fields=CONTENT_TYPES)
    except BatchTooLarge as error:
        raise HTTPException(400, _ONE_FILE) from error
    files = [(part.name, part.content) for part in parts if isinstance(part.content, bytes)]
    if not files:
        raise HTTPException(400, "Missing multipart/form-data file upload")
    if len(files) > 1:
        raise HTTPException(400, _ONE_FILE)
    name, data = files[0]
    check_content_type(name)
    fields = {part.name: part.content for part in parts if isinstance(part.content, str)}
    return Sent(data, name, fields)


async def fingerprint_sent(service: Service, sent: Sent, *, own_hash: bool = False) -> Fingerprint:
    """Fingerprint a file: a photo by the reference's hash, bit for bit; a video by its digests.

    Args:
        service: decodes.
        sent: the file.
        own_hash: whether to add HMA's own hash where it differs, see `Fingerprint.as_stored`.

    Raises:
        EgideError: the file cannot be used as what it is said to be.
    """
    if sent.content_type == VIDEO:
        return await run_in_threadpool(digests_of, sent.data)

    def fingerprint() -> Fingerprint:
        if video_kind(sent.data) is not None:
            if sent.content_type is None:
                return digests_of(sent.data)
            raise NotAnImage(name="the upload")
        try:
            return service.decoding.fingerprint(sent.data, exact=True, as_stored=own_hash)
        except NotAnImage:
            if sent.content_type is None and _VIDEO_START.match(sent.data):
                return digests_of(sent.data)
            raise

    made = await run_in_threadpool(fingerprint)
    if made.as_stored is None or not made.as_stored.matchable:
        return made
    return replace(made, frames=(*made.frames, made.as_stored))


async def fingerprint_or_digests(
    service: Service, sent: Sent, *, own_hash: bool = False
) -> Fingerprint:
    """Fingerprint a file as `fingerprint_sent` does; of one too small for PDQ give its digests."""
    try:
        return await fingerprint_sent(service, sent, own_hash=own_hash)
    except ImageTooSmall:
        return await run_in_threadpool(digests_of, sent.data, still=True)


def digests_of(data: bytes, *, still: bool = False) -> Fingerprint:
    """A fingerprint of a file's digests alone.

    Args:
        data: of the file.
        still: whether it is a picture; then its frame has no detail, which is told apart from a
            video's having none.
    """
    return Fingerprint(
        (Pdq(bytes(PDQ_BYTES), 0),) if still else (),
        sha256=hashlib.sha256(data).digest(),
        md5=hashlib.md5(data, usedforsecurity=False).digest(),
    )


def check_content_type(name: str) -> None:
    """Refuse content types that are not offered.

    Raises:
        HTTPException: 400.
    """
    if name not in CONTENT_TYPES:
        raise HTTPException(400, "no such content_type: use photo or video")


def check_types(request: Request) -> None:
    """Refuse signal types that are not offered in `types=`.

    Raises:
        HTTPException: 400.
    """
    given = request.query_params.get("types")
    if given is None:
        return
    named = {name.strip() for name in given.split(",")} - {""}
    if not named or not named <= set(SIGNAL_TYPES):
        raise HTTPException(400, "a signal type doesn't exist or is disabled: use pdq or video_md5")


def check_signal_type(name: str | None) -> str:
    """Refuse signal types that are not offered; return the type.

    Raises:
        HTTPException: 400.
    """
    if name not in SIGNAL_TYPES:
        raise HTTPException(400, "No such SignalType: use pdq or video_md5")
    return name


def signal_of(text: object, signal_type: str) -> bytes:
    """Read a hash.

    Raises:
        HTTPException: 400, the text is no such hash; the message does not repeat it.
    """
    pattern = _DIGITS[signal_type]
    if not isinstance(text, str) or not pattern.fullmatch(text):
        digits = 2 * (PDQ_BYTES if signal_type == PDQ else SIGNAL_BYTES[Signal.MD5])
        raise HTTPException(
            400, f"invalid signal: a {signal_type} hash is {digits} hexadecimal digits"
        )
    return bytes.fromhex(text)


def fingerprint_of(value: bytes, signal_type: str) -> Fingerprint:
    """Make a fingerprint of only one hash."""
    if signal_type == VIDEO_MD5:
        return Fingerprint((), md5=value)
    return Fingerprint((Pdq(value, None),))


def signal_type_of(fingerprint: Fingerprint) -> str:
    """The signal type of a file's fingerprint."""
    return PDQ if fingerprint.frames else VIDEO_MD5


def signals_of(fingerprint: Fingerprint) -> dict[str, str]:
    """The hashes by signal type; of a picture with too little detail none."""
    pdq = fingerprint.pdq
    if pdq is not None:
        return {PDQ: pdq.code.hex()} if pdq.matchable else {}
    return {VIDEO_MD5: fingerprint.md5.hex()} if fingerprint.md5 else {}
