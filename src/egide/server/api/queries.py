"""Read the queries of a request; errors name the place, never the value."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from egide.domain.model import SIGNAL_BYTES, Fingerprint, Pdq, Signal
from egide.errors import BatchTooLarge, RequestInvalid

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

_SIGNALS = (Signal.PDQ, Signal.SHA256, Signal.MD5)
_MAX_BANKS = 100


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
        BatchTooLarge: there are more than `limit`.
        RequestInvalid: it names the position of the first invalid one.
    """
    if not isinstance(values, list) or not values:
        raise RequestInvalid(reason="fingerprints has to be a list of at least one")
    if len(values) > limit:
        raise BatchTooLarge(count=len(values), limit=limit)
    return [
        read_fingerprint(value, ("fingerprints", position)) for position, value in enumerate(values)
    ]


def read_fingerprint(value: Any, place: tuple[str | int, ...]) -> Fingerprint:
    """Read a fingerprint from a JSON object of hexadecimal digits.

    Args:
        value: has some of `pdq`, `sha256`, `md5`.
        place: of the value in the body, for the error.

    Raises:
        RequestInvalid: it names the place.
    """
    if not isinstance(value, dict):
        raise _invalid(place, "has to be an object")
    pdq, sha256, md5 = (_read_hex(value, signal, place) for signal in _SIGNALS)
    known = (pdq is not None) + (sha256 is not None) + (md5 is not None)
    if not known:
        raise _invalid(place, "has none of pdq, sha256, md5")
    if len(value) > known and any(name not in _SIGNALS for name in value):
        raise _invalid(place, "has unknown fields; there are pdq, sha256, md5")
    frames = () if pdq is None else (Pdq(pdq, None),)
    return Fingerprint(frames, sha256=sha256, md5=md5)


def _read_hex(
    value: Mapping[str, Any], signal: Signal, place: tuple[str | int, ...]
) -> bytes | None:
    text = value.get(signal)
    if text is None:
        return None
    digits = 2 * SIGNAL_BYTES[signal]
    # The length is checked first, because `fromhex` skips spaces.
    if isinstance(text, str) and len(text) == digits:
        try:
            code = bytes.fromhex(text)
        except ValueError:
            code = b""
        if len(code) == SIGNAL_BYTES[signal]:
            return code
    raise _invalid((*place, signal), f"has to be {digits} hexadecimal digits")


def read_banks(value: Any) -> tuple[str, ...] | None:
    """Return names of banks; None if none are given.

    Raises:
        RequestInvalid: the value is not a list of names.
    """
    if value is None:
        return None
    if (
        not isinstance(value, list)
        or not 1 <= len(value) <= _MAX_BANKS
        or not all(isinstance(name, str) for name in value)
    ):
        raise RequestInvalid(reason=f"banks has to be a list of 1 to {_MAX_BANKS} names")
    return tuple(dict.fromkeys(value))


def _invalid(place: tuple[str | int, ...], problem: str) -> RequestInvalid:
    return RequestInvalid(reason=f"{'.'.join(str(step) for step in place)} {problem}")
