"""Read the queries of a request; errors name the place, never the value."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from egide.domain.model import (
    DIGEST_SIGNALS,
    FILE_SIGNALS,
    MAX_ANCHORED_QUERY,
    SIGNAL_BYTES,
    URL_SIGNALS,
    AnchoredQuery,
    Fingerprint,
    Pdq,
    Signal,
)
from egide.errors import AnchoredInvalid, BatchTooLarge, RequestInvalid
from egide.server.api.schemas.matching import MAX_BANKS
from egide.server.http.kinds import MAX_BATCH_ANCHORED

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

_OF_PICTURES = (Signal.PDQ, *FILE_SIGNALS)
_SIGNALS = (Signal.PDQ, *DIGEST_SIGNALS)
_ANCHORED = "anchored"


def read_object(body: Any, fields: Collection[str], required: Collection[str]) -> dict[str, Any]:
    """Return a JSON object that has only allowed fields and all required ones.

    Raises:
        RequestInvalid: the body is something else.
    """
    if not isinstance(body, dict):
        raise RequestInvalid(reason="the body has to be a JSON object")
    unknown = sum(name not in fields for name in body)
    if unknown:
        raise RequestInvalid(
            reason=f"{unknown} unknown fields; there are {', '.join(sorted(fields))}"
        )
    for name in required:
        if name not in body:
            raise RequestInvalid(reason=f"{name} is missing")
    return body


def read_fingerprints(values: Any, limit: int) -> list[Fingerprint]:
    """Return the fingerprints of a batch.

    Raises:
        BatchTooLarge: there are more than `limit`, or more than `MAX_BATCH_ANCHORED` anchored
            hashes in all.
        RequestInvalid: it names the position of the first invalid one.
    """
    if not isinstance(values, list) or not values:
        raise RequestInvalid(reason="fingerprints has to be a list of at least one")
    if len(values) > limit:
        raise BatchTooLarge(count=len(values), limit=limit)
    read = [
        read_fingerprint(value, ("fingerprints", position), anchored=True)
        for position, value in enumerate(values)
    ]
    codes = sum(len(one.anchored.regions) for one in read if one.anchored is not None)
    if codes > MAX_BATCH_ANCHORED:
        raise BatchTooLarge(count=codes, limit=MAX_BATCH_ANCHORED)
    return read


def read_fingerprint(
    value: Any, place: tuple[str | int, ...], *, anchored: bool = False
) -> Fingerprint:
    """Read a fingerprint from a JSON object of hexadecimal digits.

    Args:
        value: has some of `pdq` and the names of digests.
        place: of the value in the body, for the error.
        anchored: whether it may have `anchored`, and digests of an address.

    Raises:
        RequestInvalid: it names the place.
    """
    if not isinstance(value, dict):
        raise _invalid(place, "has to be an object")
    signals = _SIGNALS if anchored else _OF_PICTURES
    held = {signal: _read_hex(value, signal, place) for signal in signals}
    query = _read_anchored(value, place) if anchored else None
    known = sum(one is not None for one in (*held.values(), query))
    fields = (*signals, *([_ANCHORED] * anchored))
    if not known:
        raise _invalid(place, f"has none of {', '.join(fields)}")
    if len(value) > known and any(name not in fields for name in value):
        raise _invalid(place, f"has unknown fields; there are {', '.join(fields)}")
    pdq = held[Signal.PDQ]
    url_sha256, url_md5 = (
        () if (digest := held.get(signal)) is None else (digest,) for signal in URL_SIGNALS
    )
    return Fingerprint(
        () if pdq is None else (Pdq(pdq, None),),
        sha256=held[Signal.SHA256],
        sha1=held[Signal.SHA1],
        md5=held[Signal.MD5],
        anchored=query,
        url_sha256=url_sha256,
        url_md5=url_md5,
    )


def _read_anchored(value: Mapping[str, Any], place: tuple[str | int, ...]) -> AnchoredQuery | None:
    given = value.get(_ANCHORED)
    if given is None:
        return None
    here = (*place, _ANCHORED)
    if not isinstance(given, list):
        raise _invalid(here, "has to be a list")
    # Counted before they are read: the most of a body would take a while.
    if len(given) > MAX_ANCHORED_QUERY:
        raise _invalid(here, f"has to be a list of 1 to {MAX_ANCHORED_QUERY}")
    codes = [_from_hex(text, Signal.PDQ, (*here, at)) for at, text in enumerate(given)]
    try:
        return AnchoredQuery.of(codes)
    except AnchoredInvalid as error:
        raise _invalid(here, f"has no anchored hashes: {error.fields['reason']}") from error


def _read_hex(
    value: Mapping[str, Any], signal: Signal, place: tuple[str | int, ...]
) -> bytes | None:
    text = value.get(signal)
    return None if text is None else _from_hex(text, signal, (*place, signal))


def _from_hex(text: object, signal: Signal, place: tuple[str | int, ...]) -> bytes:
    digits = 2 * SIGNAL_BYTES[signal]
    # The length is checked first, because `fromhex` skips spaces.
    if isinstance(text, str) and len(text) == digits:
        try:
            code = bytes.fromhex(text)
        except ValueError:
            code = b""
        if len(code) == SIGNAL_BYTES[signal]:
            return code
    raise _invalid(place, f"has to be {digits} hexadecimal digits")


def read_banks(value: Any) -> tuple[str, ...] | None:
    """Return names of banks; None if none are given.

    Raises:
        RequestInvalid: the value is not a list of names.
    """
    if value is None:
        return None
    if (
        not isinstance(value, list)
        or not 1 <= len(value) <= MAX_BANKS
        or not all(isinstance(name, str) for name in value)
    ):
        raise RequestInvalid(reason=f"banks has to be a list of 1 to {MAX_BANKS} names")
    return tuple(dict.fromkeys(value))


def _invalid(place: tuple[str | int, ...], problem: str) -> RequestInvalid:
    return RequestInvalid(reason=f"{'.'.join(str(step) for step in place)} {problem}")
