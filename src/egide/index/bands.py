"""Cut a code into bands and choose the probes for a radius: why multi-index hashing is exact.

A code is a ring of 256 bits, cut into bands. Let d(j) be the number of bits in which two codes
differ in band j. Give each band an allowance a(j) with Σ a(j) = radius + 1. If Σ d(j) ≤ radius,
then Σ (d(j) − a(j)) < 0. Start just after the place where the running sum last reaches its maximum
and go round the ring: every running sum is below 0 (the cycle lemma). So some band i has, at once,

    d(i) ≤ a(i) − 1,   d(i) + d(i+1) ≤ a(i) + a(i+1) − 1,   and so on for three bands.

So it is exact to look up, in every band, the values within a(i) − 1 bits, and to reject by the
other inequalities. Both hold for any part of the bits that they name: a list is ordered by the
first bits of its band, its *key*, and rejects by the bits that follow. Sources: Norouzi, Punjani
and Fleet, Fast Exact Search in Hamming Space with Multi-Index Hashing, 2014 (the bands); Qin and
Xiao, Pigeonring, VLDB 2018 (the chains).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from egide.index.kernel import check_radius

if TYPE_CHECKING:
    from numpy.typing import NDArray

CODE_BITS = 256
FILTER_BITS = 16
"""The bits after the key that stand in a list of their own, to be read fast."""
CHAIN = 3
"""Bands in a tested chain; key, filter and spare bits never reach beyond them."""
_ROW_WORD_BITS = 32
_MAX_SPARE_BITS = 16


@dataclass(frozen=True, slots=True)
class Layout:
    """How codes are cut.

    Attributes:
        bands: the number of bands, whose widths differ by at most one bit.
        key_bits: of each band's key, at most the width of the narrowest.
    """

    bands: int
    key_bits: int

    @property
    def starts(self) -> NDArray[np.int64]:
        """The first bit of each band, and 256 for the end of the last: int64[bands + 1]."""
        return np.arange(self.bands + 1) * CODE_BITS // self.bands

    @property
    def buckets(self) -> int:
        """The number of values of a key."""
        return 1 << self.key_bits


SMALL = Layout(16, 16)
LARGE = Layout(10, 22)
LARGE_ROWS = 24_000_000
"""From here on `LARGE` is used: 94 bytes a code instead of 128, and larger leaps of the cost where
a band's allowance grows; see docs/decisions/0022-anchored-search.md."""


def layout_for(rows: int) -> Layout:
    """The layout of the lists of that many codes."""
    return SMALL if rows < LARGE_ROWS else LARGE


def spare_bits(rows: int) -> int:
    """The bits of a row's 32-bit word that its number does not need: they hold more filter bits."""
    return min(_ROW_WORD_BITS - (rows - 1).bit_length(), _MAX_SPARE_BITS)


def ring_bits(
    words: NDArray[np.uint64], start: int | NDArray[np.int64], count: int
) -> NDArray[np.uint32]:
    """Cut count (0–32) bits from codes, from bit `start` on, round the ring.

    Args:
        words: shape (n, 4), the codes as little-endian words.
        start: 0 or more; or several.
        count: of bits.

    Returns:
        uint32[n], or uint32[n, s] for several starts.
    """
    place, shift = np.divmod(np.asarray(start, np.uint64), np.uint64(64))
    found = words[:, place % 4] >> shift
    # NumPy shifts a word by 64 to 0.
    found |= words[:, (place + 1) % 4] << (np.uint64(64) - shift)
    return (found & np.uint64((1 << count) - 1)).astype(np.uint32)


@dataclass(frozen=True, slots=True)
class ProbeGroup:
    """Bands that are probed with the same masks.

    Attributes:
        bands: intp[b], the bands.
        masks: uint32[m], to be XORed with a band's key.
        limits: uint8[b, 1, m], the most bits of the filter that may differ after each mask.
    """

    bands: NDArray[np.intp]
    masks: NDArray[np.uint32]
    limits: NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Plan:
    """The probes for one layout and radius.

    Attributes:
        allowances: int64[bands], a(j); a band of 0 is not probed.
        chains: int64[3, bands], a(j) − 1, a(j) + a(j+1) − 1, and so on: the most that may differ.
        masks: uint32, every value of at most max(a) − 1 set bits, those of fewer bits first.
        mask_counts: int64[max(a)], the number of masks of at most 0, 1 … set bits.
        groups: the probed bands; at most two groups, as allowances differ by at most one.
        probes: look-ups per query.
    """

    allowances: NDArray[np.int64]
    chains: NDArray[np.int64]
    masks: NDArray[np.uint32]
    mask_counts: NDArray[np.int64]
    groups: tuple[ProbeGroup, ...]
    probes: int


@lru_cache(maxsize=64)
def plan(layout: Layout, radius_bits: int) -> Plan:
    """Return the probes for radius_bits (0–63); with 16 bands 1 at 0, 16 at 15, 272 at 31.

    Raises:
        RadiusInvalid: the radius is outside 0–63.
    """
    check_radius(radius_bits)
    low, extra = divmod(radius_bits + 1, layout.bands)
    band = np.arange(layout.bands)
    # Spreading the larger allowances round the ring keeps the chain limits even.
    allowances = low + (band * extra % layout.bands < extra)
    steps = np.stack([np.roll(allowances, -step) for step in range(CHAIN)])
    chains = steps.cumsum(axis=0) - 1
    masks, counts = _masks(layout.key_bits, int(allowances.max()) - 1)
    groups = []
    for allowed in np.unique(allowances[allowances > 0]):
        bands = np.flatnonzero(allowances == allowed)
        some = masks[: counts[allowed - 1]]
        limits = chains[1, bands, None, None] - np.bitwise_count(some)
        groups.append(ProbeGroup(bands, some, limits.astype(np.uint8)))
    probes = sum(len(group.bands) * len(group.masks) for group in groups)
    return Plan(allowances, chains, masks, counts, tuple(groups), probes)


@lru_cache(maxsize=16)
def _masks(key_bits: int, bits: int) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
    by_bits = [
        [sum(1 << place for place in places) for places in combinations(range(key_bits), count)]
        for count in range(bits + 1)
    ]
    masks = np.array([mask for some in by_bits for mask in some], np.uint32)
    return masks, np.cumsum([len(some) for some in by_bits])
