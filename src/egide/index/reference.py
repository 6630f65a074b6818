"""Brute-force search: the reference for tests, and faster for small banks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from egide.index.kernel import Hits, check_codes, check_radius

if TYPE_CHECKING:
    from numpy.typing import NDArray

# 11 B a pair while one word is compared: a step fits in a 512 KiB second-level cache.
_PAIRS_PER_STEP = 32768


def search(codes: NDArray[np.uint8], queries: NDArray[np.uint8], radius_bits: int) -> Hits:
    """Find every code within radius_bits of each query by comparing all pairs.

    Memory beyond the result stays under 1 MiB.

    Args:
        codes: shape (n, 32).
        queries: shape (q, 32).
        radius_bits: 0–63.

    Raises:
        RadiusInvalid: the radius is outside 0–63.
    """
    check_radius(radius_bits)
    code_words = np.ascontiguousarray(check_codes(codes).view("<u8").T)
    query_words = check_codes(queries).view("<u8").T
    rows_per_step = min(max(len(codes), 1), _PAIRS_PER_STEP)
    queries_per_step = _PAIRS_PER_STEP // rows_per_step
    pieces = []
    for first_query in range(0, len(queries), queries_per_step):
        some_queries = query_words[:, first_query : first_query + queries_per_step, None]
        for first_row in range(0, len(codes), rows_per_step):
            some_codes = code_words[:, first_row : first_row + rows_per_step]
            # Wider than uint8: a code and its complement are 256 bits apart, not 0.
            distance = np.zeros((some_queries.shape[1], some_codes.shape[1]), np.uint16)
            for query_word, code_word in zip(some_queries, some_codes, strict=True):
                distance += np.bitwise_count(query_word ^ code_word)
            query, row = np.nonzero(distance <= radius_bits)
            if len(query):
                found = distance[query, row].astype(np.uint8)
                pieces.append((query + first_query, row + first_row, found))
    return Hits.of(pieces)


class Reference:
    """The brute-force kernel over a fixed set of codes."""

    name = "reference"

    def __init__(self, codes: NDArray[np.uint8]) -> None:
        self.codes = check_codes(codes)

    def search(self, queries: NDArray[np.uint8], radius_bits: int) -> Hits:
        """Find every code within radius_bits of each query; see `search`."""
        return search(self.codes, queries, radius_bits)
