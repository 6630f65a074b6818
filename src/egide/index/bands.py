"""Choose the bands to probe for a radius: the arithmetic that makes multi-index hashing exact.

A code is a ring of 16 bands of 16 bits. Let d(j) be the number of bits in which two codes differ in
band j. Give each band an allowance a(j) with Σ a(j) = radius + 1. If Σ d(j) ≤ radius, then
Σ (d(j) − a(j)) < 0. Start just after the place where the running sum last reaches its maximum and
go round the ring: every running sum is below 0 (the cycle lemma). So some band i has, at once,

    d(i) ≤ a(i) − 1   and   d(i) + d(i+1) + d(i+2) ≤ a(i) + a(i+1) + a(i+2) − 1.

So it is exact to look up, in every band, the values within a(i) − 1 bits, and to reject by the
second inequality. Sources: Norouzi, Punjani and Fleet, Fast Exact Search in Hamming Space with
Multi-Index Hashing, 2014 (the bands); Qin and Xiao, Pigeonring, VLDB 2018 (the chains).
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

BANDS = 16
BAND_BITS = 16
BUCKETS = 1 << BAND_BITS
CHAIN = 3
"""Bands in a tested chain: the probed band and the next two, whose 32 bits are the filter word."""


@dataclass(frozen=True, slots=True)
class ProbeGroup:
    """Bands that are probed with the same masks.

    Attributes:
        bands: intp[b], the bands.
        masks: uint32[m], every value with at most a(j) − 1 set bits, to be XORed with a query band.
    """

    bands: NDArray[np.intp]
    masks: NDArray[np.uint32]


@dataclass(frozen=True, slots=True)
class Plan:
    """The probes for one radius.

    Attributes:
        groups: at most two, as allowances differ by at most one; bands without an allowance are in
            no group.
        band_limit: int16[16], a(j) − 1.
        chain_limit: int16[16], a(j) + a(j+1) + a(j+2) − 1.
        filter_limit: the largest chain_limit of a probed band, and so a bound for the filter word.
        probes: look-ups per query.
    """

    groups: tuple[ProbeGroup, ...]
    band_limit: NDArray[np.int16]
    chain_limit: NDArray[np.int16]
    filter_limit: int
    probes: int


@lru_cache(maxsize=64)
def plan(radius_bits: int) -> Plan:
    """Return the probes for radius_bits (0–63): 1 at 0, 16 at 15, 272 at 31, 11 152 at 63.

    Raises:
        RadiusInvalid: the radius is outside 0–63.
    """
    check_radius(radius_bits)
    low, extra = divmod(radius_bits + 1, BANDS)
    band = np.arange(BANDS)
    # Spreading the larger allowances round the ring keeps the chain limits even.
    allowance = low + (band * extra % BANDS < extra)
    chain = np.sum([np.roll(allowance, -step) for step in range(CHAIN)], axis=0)
    groups = tuple(
        ProbeGroup(bands=np.flatnonzero(allowance == bits), masks=_masks(int(bits) - 1))
        for bits in np.unique(allowance[allowance > 0])
    )
    return Plan(
        groups=groups,
        band_limit=(allowance - 1).astype(np.int16),
        chain_limit=(chain - 1).astype(np.int16),
        filter_limit=int(chain[allowance > 0].max()) - 1,
        probes=sum(len(group.bands) * len(group.masks) for group in groups),
    )


def _masks(bits: int) -> NDArray[np.uint32]:
    return np.array(
        [
            sum(1 << position for position in positions)
            for count in range(bits + 1)
            for positions in combinations(range(BAND_BITS), count)
        ],
        np.uint32,
    )
