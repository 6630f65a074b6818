"""Packed fingerprints: the body of `POST /v1/match/packed`, which audits send.

All records of a body have one shape and one length, so that neither the body's size nor a record
tells what a picture had: whoever packs fills what is missing with random bytes. docs/decisions/
0029-remote-matching.md has the reasons and the measurements.

A body is a header of 16 bytes and records. The header: `EGIDEFP` in ASCII, the version 1, the
shape as a byte, for anchored hashes the version of their definition as a byte (else 0), six zeros.
A record has its codes, then SHA-256, SHA-1, MD5 of a file, and SHA-256 and MD5 of an address. One
of anchored hashes has a count (2 bytes, little end first), 510 numbers of regions, and 510 codes;
zeros stand where there are fewer.
"""

from __future__ import annotations

import struct
from enum import IntEnum

import numpy as np

from egide.domain.model import (
    ANCHORED_VERSION,
    DIGEST_SIGNALS,
    MAX_ANCHORED_QUERY,
    PDQ_BYTES,
    SIGNAL_BYTES,
    AnchoredQuery,
    Fingerprint,
    Pdq,
)
from egide.errors import BatchTooLarge, RequestInvalid

_MAGIC = b"EGIDEFP\x01"
_HEADER = struct.Struct("<8sBB6x")
_COUNT = struct.Struct("<H")
_DIGEST_BYTES = sum(SIGNAL_BYTES[signal] for signal in DIGEST_SIGNALS)
_ONES = 128
HEADER_BYTES = _HEADER.size
MAX_ANCHORED_RECORDS = 32
"""Most records of anchored hashes in a body: in a register of ten million they take seconds."""


class Shape(IntEnum):
    """What each record of a body has."""

    DIGESTS = 0
    """Exact digests alone."""
    CODE = 1
    """A PDQ without its variants, as lists have it, and digests."""
    VARIANTS = 8
    """The PDQ of one frame or region in all variants, and digests."""
    ANCHORED = 255
    """The anchored hashes of one picture, without digests."""

    @property
    def record_bytes(self) -> int:
        """The length of a record."""
        if self is Shape.ANCHORED:
            return _COUNT.size + MAX_ANCHORED_QUERY * (1 + PDQ_BYTES)
        return self * PDQ_BYTES + _DIGEST_BYTES


def pack(shape: Shape, records: list[bytes]) -> bytes:
    """Make a body of records, each from `pack_record` or `pack_anchored` for this shape."""
    version = ANCHORED_VERSION if shape is Shape.ANCHORED else 0
    return b"".join([_HEADER.pack(_MAGIC, shape, version), *records])


def pack_record(codes: bytes, digests: list[bytes]) -> bytes:
    """Pack codes, and a digest for each of `DIGEST_SIGNALS` in order."""
    return b"".join([codes, *digests])


def pack_anchored(query: AnchoredQuery) -> bytes:
    """Pack the anchored hashes of one picture."""
    regions = query.regions.ljust(MAX_ANCHORED_QUERY, b"\0")
    codes = query.codes.ljust(MAX_ANCHORED_QUERY * PDQ_BYTES, b"\0")
    return _COUNT.pack(len(query.regions)) + regions + codes


def unpack(body: bytes, limit: int) -> list[Fingerprint]:
    """Read a body.

    Args:
        body: of any length.
        limit: the most records that are not of anchored hashes.

    Returns:
        a fingerprint for each record, with all that its shape has.

    Raises:
        RequestInvalid: the body is something else; the message names the place, not the value.
        BatchTooLarge: it has more than `limit` records, or `MAX_ANCHORED_RECORDS`.
    """
    if len(body) < HEADER_BYTES or not body.startswith(_MAGIC):
        raise RequestInvalid(reason="the body is no packed fingerprints of version 1")
    _, number, version = _HEADER.unpack_from(body)
    try:
        shape = Shape(number)
    except ValueError:
        raise RequestInvalid(reason="the shape of the records is unknown") from None
    if any(body[_HEADER.size - 6 : _HEADER.size]):
        raise RequestInvalid(reason="the last six bytes of the header are not zeros")
    if version != (ANCHORED_VERSION if shape is Shape.ANCHORED else 0):
        raise RequestInvalid(reason="the anchored hashes are of another version")
    count, rest = divmod(len(body) - HEADER_BYTES, shape.record_bytes)
    if rest or not count:
        raise RequestInvalid(reason=f"the body is not one or more records of {shape.record_bytes}")
    most = min(limit, MAX_ANCHORED_RECORDS) if shape is Shape.ANCHORED else limit
    if count > most:
        raise BatchTooLarge(count=count, limit=most)
    if shape is Shape.ANCHORED:
        starts = range(HEADER_BYTES, len(body), shape.record_bytes)
        return [_anchored(body, start, number) for number, start in enumerate(starts)]
    sizes = [shape * PDQ_BYTES, *(SIGNAL_BYTES[signal] for signal in DIGEST_SIGNALS)]
    layout = struct.Struct("".join(f"{size}s" for size in sizes))
    return [_record(*parts) for parts in layout.iter_unpack(body[HEADER_BYTES:])]


def _record(codes: bytes, *digests: bytes) -> Fingerprint:
    sha256, sha1, md5, url_sha256, url_md5 = digests
    frames: tuple[Pdq, ...] = ()
    if codes:
        code = codes[:PDQ_BYTES]
        frames = (Pdq(code, None, codes if len(codes) > PDQ_BYTES else b""),)
    return Fingerprint(
        frames,
        sha256=sha256,
        sha1=sha1,
        md5=md5,
        url_sha256=(url_sha256,),
        url_md5=(url_md5,),
    )


def _anchored(body: bytes, start: int, number: int) -> Fingerprint:
    (count,) = _COUNT.unpack_from(body, start)
    if not 1 <= count <= MAX_ANCHORED_QUERY:
        raise RequestInvalid(reason=f"record {number} has not 1 to {MAX_ANCHORED_QUERY} codes")
    first = start + _COUNT.size
    regions = body[first : first + MAX_ANCHORED_QUERY]
    first += MAX_ANCHORED_QUERY
    codes = body[first : first + MAX_ANCHORED_QUERY * PDQ_BYTES]
    if any(regions[count:]) or any(codes[count * PDQ_BYTES :]):
        raise RequestInvalid(reason=f"record {number} goes on after its last code")
    kept = codes[: count * PDQ_BYTES]
    ones = np.bitwise_count(np.frombuffer(kept, np.uint8).reshape(count, PDQ_BYTES)).sum(axis=1)
    if (ones != _ONES).any():
        raise RequestInvalid(reason=f"a code of record {number} is no hash of a region")
    return Fingerprint((), anchored=AnchoredQuery(kept, regions[:count]))
