"""Codes and entries for the tests of search, drawn from a seeded generator."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np

from egide.domain.model import Bank, Entry, State, Trust

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from egide.index.kernel import Hits

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def random_codes(count: int, seed: int = 1) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (count, 32), dtype=np.uint8)


def flip_bits(codes: NDArray[np.uint8], distances: list[int], seed: int = 2) -> NDArray[np.uint8]:
    """Return each code with that many random bits of it changed."""
    rng = np.random.default_rng(seed)
    bits = np.unpackbits(codes, axis=1)
    for row, distance in enumerate(distances):
        bits[row, rng.permutation(256)[:distance]] ^= 1
    return np.packbits(bits, axis=1)


def clustered_codes(count: int, spread_bits: int, seed: int = 3) -> NDArray[np.uint8]:
    """Return codes that differ from one centre in up to spread_bits places."""
    rng = np.random.default_rng(seed)
    bits = np.repeat(np.unpackbits(random_codes(1, seed), axis=1), count, axis=0)
    changed = rng.integers(0, 256, (count, spread_bits))
    kept = rng.random((count, spread_bits)) < rng.random((count, 1))
    rows, places = np.nonzero(kept)
    bits[rows, changed[rows, places]] ^= 1
    return np.packbits(bits, axis=1)


def by_hand(
    codes: NDArray[np.uint8], queries: NDArray[np.uint8], radius_bits: int
) -> list[tuple[int, int, int]]:
    """Search in plain Python integers: (query, distance, row), sorted."""
    numbers = [int.from_bytes(code.tobytes(), "big") for code in codes]
    wanted = [int.from_bytes(query.tobytes(), "big") for query in queries]
    return sorted(
        (q, (query ^ code).bit_count(), row)
        for q, query in enumerate(wanted)
        for row, code in enumerate(numbers)
        if (query ^ code).bit_count() <= radius_bits
    )


def as_tuples(hits: Hits) -> list[tuple[int, int, int]]:
    columns = (hits.query.tolist(), hits.distance.tolist(), hits.row.tolist())
    return list(zip(*columns, strict=True))


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
    )
