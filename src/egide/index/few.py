"""Which of very many codes are near any of a few: the other way round than a search of a register.

A register that has grown by a thousand entries is compared with the kept codes of a whole dataset.
An index does not help: there are too few codes for it. So all pairs are compared, by their first
128 bits: of random codes none in a hundred million is left.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from egide.compiled import FEW, compiled_module, count_pairs
from egide.index import reference
from egide.index.kernel import check_codes, check_radius

if TYPE_CHECKING:
    from numpy.typing import NDArray

_WORDS = 2
_PAIRS_PER_STEP = 65536


def any_near(
    queries: NDArray[np.uint8], codes: NDArray[np.uint8], radius_bits: int
) -> NDArray[np.bool_]:
    """Tell for each query whether a code is within the radius of it.

    Args:
        queries: shape (q, 32).
        codes: shape (n, 32).
        radius_bits: 0–63.

    Raises:
        RadiusInvalid: the radius is outside 0–63.
    """
    check_radius(radius_bits)
    words = check_codes(queries).view("<u8")
    planes = np.ascontiguousarray(check_codes(codes).view("<u8").T[:_WORDS])
    near = np.zeros(len(queries), np.bool_)
    if len(codes):
        count_pairs(len(queries) * len(codes))
        compiled = compiled_module(FEW)
        if compiled is not None:
            compiled.mark(words, planes, radius_bits, near)
        else:
            _mark(words, planes, radius_bits, near)
    left = np.flatnonzero(near)
    hits = reference.search(codes, queries[left], radius_bits)
    near[left] = False
    near[left[np.unique(hits.query)]] = True
    return near


def _mark(
    words: NDArray[np.uint64], planes: NDArray[np.uint64], radius_bits: int, near: NDArray[np.bool_]
) -> None:
    """Mark the queries that are near a code in the bits of these planes."""
    step = max(_PAIRS_PER_STEP // planes.shape[1], 1)
    for first in range(0, len(words), step):
        some = words[first : first + step]
        distance = np.zeros((len(some), planes.shape[1]), np.uint8)
        for word, plane in enumerate(planes):
            distance += np.bitwise_count(some[:, word, None] ^ plane)
        near[first : first + step] = distance.min(axis=1) <= radius_bits
