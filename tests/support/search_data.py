"""Codes and entries for the tests of search, drawn from a seeded generator."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

import numpy as np

from egide.domain.model import AnchoredHashes, AnchoredQuery, Bank, Entry, State, Trust
from egide.domain.video import Track

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def bank(
    name: str = "helpline", number: int = 1, radius: int = 31, *, enabled: bool = True
) -> Bank:
    return Bank(id=number, name=name, radius_bits=radius, description="", enabled=enabled)


def entry(
    number: int,
    *codes: bytes,
    bank: str = "helpline",
    sha256: bytes | None = None,
    md5: bytes | None = None,
    trust: Trust = Trust.UNVERIFIED,
    state: State = State.ACTIVE,
    expires: datetime | None = None,
    anchored: Iterable[bytes] = (),
    video: Track | None = None,
) -> Entry:
    return Entry(
        id=number,
        bank=bank,
        pdqs=codes,
        sha256=sha256,
        md5=md5,
        quality=None,
        trust=trust,
        state=state,
        source="test",
        note="",
        added=NOW,
        changed=NOW,
        expires=expires,
        revision=1,
        anchored=AnchoredHashes.of(kept) if (kept := list(anchored)) else None,
        video=video,
    )


def region_codes(count: int, seed: int = 1) -> list[bytes]:
    """Return unrelated hashes of regions: 128 bits are ones, half of them in every second row.

    So they are hashes of regions mirrored as well, where every second row is inverted.
    """
    rng = np.random.default_rng(seed)
    half = np.arange(128) < 64
    bits = np.empty((count, 8, 2, 16), bool)
    for each in bits:
        each[:, 0], each[:, 1] = (rng.permutation(half).reshape(8, 16) for _ in range(2))
    return [code.tobytes() for code in np.packbits(bits.reshape(count, 256), axis=1)]


def moved(code: bytes, distance: int, seed: int = 2) -> bytes:
    """Return a hash of a region at an even distance from another one."""
    rng = np.random.default_rng([seed, *code])
    bits = np.unpackbits(np.frombuffer(code, np.uint8))
    ones, zeros = np.flatnonzero(bits == 1), np.flatnonzero(bits == 0)
    for places in (ones, zeros):
        bits[rng.choice(places, distance // 2, replace=False)] ^= 1
    return np.packbits(bits).tobytes()


def shown(*codes: bytes, regions: Iterable[int] | None = None) -> AnchoredQuery:
    """Return a query of codes, each its own region unless said otherwise."""
    numbers = range(len(codes)) if regions is None else regions
    return AnchoredQuery(b"".join(codes), bytes(numbers))
