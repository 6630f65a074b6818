"""The messages between a decoding process and its parent, and the checks on answers.

The parent writes one message of settings, then one for each picture; the child answers each.
Numbers are big-endian; bytes are hexadecimal digits in the JSON of answers.

- settings: u32 length, then JSON `{"parent": pid, "limits": {…}}`
- request: `REQUEST`, then the file's bytes
- answer: u32 length, then JSON: `{"ready": true}` once, later `{"done": fingerprint}`,
  `{"failed": {"kind": error's class, "fields": {…}}}` or `{"mistake": exception's class}`

A hostile file could take over the decoder and answer anything. So the length of an answer is
limited, and every size and number in it is checked before it becomes a fingerprint.
"""

from __future__ import annotations

import json
import struct
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, NoReturn

from egide import errors
from egide.domain.model import (
    MAX_REGIONS,
    PDQ_BYTES,
    SIGNAL_BYTES,
    TRANSFORMS,
    AnchoredQuery,
    Fingerprint,
    Limits,
    Pdq,
    Rectangle,
    Region,
    Signal,
)
from egide.domain.video import MAX_VIDEO_FRAMES, MAX_VIDEO_REGIONS, Track
from egide.errors import EgideError, ItemError, Unexpected, VideoInvalid

if TYPE_CHECKING:
    from typing import BinaryIO

LENGTH = struct.Struct(">I")
REQUEST = struct.Struct(">???Q")
"""Whether to hash exactly, whether also as the file stores its samples, whether compiled modules
can be loaded, and the bytes that follow."""

_VARIANT_BYTES = PDQ_BYTES * len(TRANSFORMS)
_MAX_HASH_CHARS = 2 * _VARIANT_BYTES + 200
# One hash with its rectangle, as JSON.
_MAX_ANCHORED = 2 * 256
# As many regions as a byte can number, each as it is and mirrored.
_MAX_SETTINGS_BYTES = 1 << 16
_MAX_REASON_CHARS = 300
_MAX_NUMBER = 1 << 48


class BadAnswer(Exception):
    """A child sent an answer that breaks the protocol."""


def pack_settings(parent: int, limits: Limits) -> bytes:
    """Pack the first message to the child."""
    return _pack({"parent": parent, "limits": asdict(limits)})


def read_settings(stream: BinaryIO) -> tuple[int, Limits]:
    """Read the first message: the parent's process id, and the limits."""
    (size,) = LENGTH.unpack(stream.read(LENGTH.size))
    values = json.loads(stream.read(min(size, _MAX_SETTINGS_BYTES)))
    return values["parent"], Limits(**values["limits"])


def pack_answer(values: dict[str, Any]) -> bytes:
    """Pack a message to the parent."""
    return _pack(values)


def max_answer_bytes(limits: Limits) -> int:
    """The greatest length of a valid answer."""
    anchored_chars = _MAX_ANCHORED * 2 * (PDQ_BYTES + 1)
    hashes = max(limits.max_frames + MAX_REGIONS, MAX_VIDEO_FRAMES + MAX_VIDEO_REGIONS) + 1
    return 4096 + anchored_chars + hashes * _MAX_HASH_CHARS


def fingerprint_values(fingerprint: Fingerprint) -> dict[str, Any]:
    """A fingerprint as JSON values; keypoints are not sent."""
    anchored = fingerprint.anchored
    return {
        "frames": [_pdq_values(frame) for frame in fingerprint.frames],
        "sha256": _hex(fingerprint.sha256),
        "sha1": _hex(fingerprint.sha1),
        "md5": _hex(fingerprint.md5),
        "size": [fingerprint.width, fingerprint.height],
        "skipped": fingerprint.frames_skipped,
        "share": fingerprint.share_read,
        "regions": [
            {
                "frame": region.frame,
                "at": [
                    region.rectangle.left,
                    region.rectangle.top,
                    region.rectangle.width,
                    region.rectangle.height,
                ],
                "trimmed": region.trimmed,
                **_pdq_values(region.pdq),
            }
            for region in fingerprint.regions
        ],
        "anchored": None
        if anchored is None
        else [anchored.codes.hex(), anchored.regions.hex(), anchored.version],
        "as_stored": fingerprint.as_stored and _pdq_values(fingerprint.as_stored),
        "video": fingerprint.video
        and [fingerprint.video.packed().hex(), fingerprint.video.duration_ms],
    }


def read_answer(payload: bytes, *, name: str, limits: Limits) -> Fingerprint | EgideError:
    """Return the fingerprint in an answer, or the error to raise instead.

    Args:
        payload: an answer without its length.
        name: the picture's name in the error, whatever name the child used.
        limits: the child's limits.

    Raises:
        BadAnswer: the answer breaks the protocol.
    """
    try:
        values = json.loads(payload)
        if "done" in values:
            return _fingerprint(values["done"], limits)
        if "failed" in values:
            return _item_error(values["failed"], name)
        return Unexpected(reason=_text(values["mistake"]))
    except (
        ArithmeticError, AttributeError, LookupError, TypeError, ValueError, RecursionError
    ) as error:  # fmt: skip
        raise BadAnswer from error


def is_ready(payload: bytes) -> bool:
    """Whether an answer is the first one, which says that the child is ready."""
    return payload == pack_answer({"ready": True})[LENGTH.size :]


def _pack(values: dict[str, Any]) -> bytes:
    payload = json.dumps(values, separators=(",", ":")).encode()
    return LENGTH.pack(len(payload)) + payload


def _pdq_values(pdq: Pdq) -> dict[str, Any]:
    return {"variants": pdq.variants.hex(), "quality": pdq.quality}


def _hex(data: bytes | None) -> str | None:
    return None if data is None else data.hex()


def _fingerprint(values: dict[str, Any], limits: Limits) -> Fingerprint:
    frames = tuple(_pdq(frame) for frame in values["frames"])
    track = None if values["video"] is None else _track(len(frames), *values["video"])
    most, parts = (
        (limits.max_frames, MAX_REGIONS) if track is None else (MAX_VIDEO_FRAMES, MAX_VIDEO_REGIONS)
    )
    if not 1 <= len(frames) <= most or len(values["regions"]) > parts:
        _refuse()
    width, height = (_number(side) for side in values["size"])
    return Fingerprint(
        frames,
        sha256=_digest(values["sha256"], Signal.SHA256),
        sha1=_digest(values["sha1"], Signal.SHA1),
        md5=_digest(values["md5"], Signal.MD5),
        width=width,
        height=height,
        frames_skipped=_number(values["skipped"]),
        share_read=_share(values["share"]),
        regions=tuple(_region(region, len(frames)) for region in values["regions"]),
        anchored=None if values["anchored"] is None else _anchored(*values["anchored"]),
        as_stored=None if values["as_stored"] is None else _pdq(values["as_stored"]),
        video=track,
    )


def _track(frames: int, times: str, duration_ms: int) -> Track:
    try:
        track = Track.of_packed(bytes.fromhex(times), _number(duration_ms))
    except VideoInvalid as error:
        raise ValueError from error
    if len(track) != frames:
        _refuse()
    return track


def _share(value: Any) -> float:
    if not isinstance(value, int | float) or not 0 < value <= 1:
        _refuse()
    return float(value)


def _anchored(codes: str, regions: str, version: int) -> AnchoredQuery:
    query = AnchoredQuery(bytes.fromhex(codes), bytes.fromhex(regions), _number(version))
    if not 1 <= len(query.regions) <= _MAX_ANCHORED or (
        len(query.codes) != PDQ_BYTES * len(query.regions)
    ):
        _refuse()
    return query


def _region(values: dict[str, Any], frames: int) -> Region:
    left, top, width, height = (_number(side) for side in values["at"])
    return Region(
        _number(values["frame"], below=frames),
        Rectangle(left, top, width, height),
        _pdq(values),
        trimmed=bool(values["trimmed"]),
    )


def _pdq(values: dict[str, Any]) -> Pdq:
    variants = bytes.fromhex(values["variants"])
    if len(variants) != _VARIANT_BYTES:
        _refuse()
    return Pdq(variants[:PDQ_BYTES], _number(values["quality"], below=101), variants)


def _digest(text: str, signal: Signal) -> bytes:
    digest = bytes.fromhex(text)
    if len(digest) != SIGNAL_BYTES[signal]:
        _refuse()
    return digest


def _number(value: object, *, below: int = _MAX_NUMBER) -> int:
    if type(value) is not int or not 0 <= value < below:
        _refuse()
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        _refuse()
    return value[:_MAX_REASON_CHARS]


def _item_error(values: dict[str, Any], name: str) -> ItemError:
    kind = getattr(errors, _text(values["kind"]))
    if not (isinstance(kind, type) and issubclass(kind, ItemError)):
        _refuse()
    fields = {
        field: value if type(value) is int else _text(value)
        for field, value in values["fields"].items()
    }
    return kind(**{**fields, "name": name})


def _refuse() -> NoReturn:
    raise ValueError
