"""Which of very many codes are near any of a few: the other way round than a search of a register.

A register that has grown by a thousand entries is compared with the kept codes of a whole dataset.
An index of a register has one place for each code, and a query looks at all places near its own.
Here a code stands in all places near its own, and a query looks at one place a band: of a thousand
random codes it meets four, where it would have to be compared with all of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from egide.domain.model import PDQ_BYTES
from egide.index.kernel import check_codes, check_radius

if TYPE_CHECKING:
    from numpy.typing import NDArray

_BANDS = 16
_VALUES = 1 << 16
"""Of a band of 16 bits."""
_QUERIES_PER_STEP = 4096
_PAIRS_PER_STEP = 1 << 20
"""Many codes may be alike in a band: so many pairs are compared at a time, whatever is asked."""


class FewCodes:
    """Some codes, in all places where a code within the radius may look for them.

    The bands' radii are such that Σ(radius + 1) is one more than the radius of all: two codes
    within it are within the radius of some band.
    """

    def __init__(self, codes: NDArray[np.uint8], radius_bits: int) -> None:
        """Place codes of shape (n, 32).

        Raises:
            RadiusInvalid: the radius is outside 0–63.
        """
        check_radius(radius_bits)
        codes = np.unique(check_codes(codes), axis=0)
        self._radius_bits = radius_bits
        self._words = codes.view("<u8")
        radii = _radii(radius_bits)
        held, counts = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
        for band, radius in enumerate(radii):
            near = codes.view("<u2")[:, band, None] ^ _within(radius)
            held.append(np.argsort(near.ravel(), kind="stable") // near.shape[1])
            counts.append(np.bincount(near.ravel(), minlength=_VALUES))
        self._held = np.concatenate(held).astype(np.int32)
        self._counts = np.concatenate(counts)
        self._firsts = np.cumsum(self._counts) - self._counts
        # Most places are empty: a byte tells, and a megabyte of them stays in the cache.
        self._taken = self._counts > 0
        self._offsets = np.arange(len(radii)) * _VALUES

    def any_near(self, queries: NDArray[np.uint8]) -> NDArray[np.bool_]:
        """Tell for each query, of shape (q, 32), whether a code is within the radius of it."""
        near = np.zeros(len(queries), np.bool_)
        if len(self._words):
            queries = check_codes(queries)
            for first in range(0, len(queries), _QUERIES_PER_STEP):
                step = slice(first, first + _QUERIES_PER_STEP)
                self._mark(queries[step], near[step])
        return near

    def _mark(self, queries: NDArray[np.uint8], near: NDArray[np.bool_]) -> None:
        places = (queries.view("<u2")[:, : len(self._offsets)] + self._offsets).ravel()
        met = np.flatnonzero(self._taken.take(places, mode="wrap"))  # none is outside
        places = places[met]
        counts = self._counts[places]
        total = int(counts.sum(dtype=np.int64))
        if total > _PAIRS_PER_STEP and len(queries) > 1:
            half = len(queries) // 2
            self._mark(queries[:half], near[:half])
            self._mark(queries[half:], near[half:])
            return
        query = np.repeat(met // len(self._offsets), counts)
        starts = self._firsts[places] - (np.cumsum(counts) - counts)
        code = self._held[np.repeat(starts, counts) + np.arange(total)]
        asked = queries.view("<u8")
        distance = np.zeros(total, np.uint16)
        for word in range(PDQ_BYTES // 8):
            apart = np.bitwise_count(asked[query, word] ^ self._words[code, word])
            distance += apart
            left = np.flatnonzero(distance <= self._radius_bits)
            query, code, distance = query[left], code[left], distance[left]
        near[query] = True


def places_taken(codes: int, radius_bits: int) -> int:
    """How many places `FewCodes` of so many codes have: four bytes each."""
    return codes * sum(len(_within(radius)) for radius in _radii(radius_bits))


def _radii(radius_bits: int) -> list[int]:
    """Of each band that is looked at."""
    each, more = divmod(radius_bits + 1, _BANDS)
    return [each] * more + [each - 1] * (_BANDS - more if each else 0)


def _within(radius: int) -> NDArray[np.uint16]:
    """The differences of so many bits in a band."""
    values = np.arange(_VALUES, dtype=np.uint16)
    return values[np.bitwise_count(values) <= radius]
