"""The interface of search kernels: the `Kernel` protocol and its result."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from egide.domain.model import MAX_RADIUS_BITS, PDQ_BYTES
from egide.errors import RadiusInvalid

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Piece = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.uint8]]


@dataclass(frozen=True, slots=True)
class Hits:
    """Every code within the radius of each query, sorted by (query, distance, row), each once.

    Attributes:
        query: int64[k], the position of the query in its batch.
        row: int64[k], the position of the found code.
        distance: uint8[k], the number of bits in which the two differ.
    """

    query: NDArray[np.int64]
    row: NDArray[np.int64]
    distance: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.query)

    @classmethod
    def of(cls, pieces: Sequence[Piece]) -> Hits:
        """Join and sort (query, row, distance) pieces in any order."""
        if not pieces:
            empty = np.zeros(0, np.int64)
            return cls(empty, empty, np.zeros(0, np.uint8))
        if len(pieces) == 1:
            query, row, distance = pieces[0]
        else:
            columns = zip(*pieces, strict=True)
            query, row, distance = (np.concatenate(column) for column in columns)
        if len(query) < 2:
            return cls(query, row, distance)
        order = np.lexsort((row, distance, query))
        return cls(query[order], row[order], distance[order])


class Kernel(Protocol):
    """A way to search a fixed set of codes; all kernels give identical answers."""

    @property
    def name(self) -> str:
        """The kernel's name in reports: `numpy` or `reference`."""

    def search(self, queries: NDArray[np.uint8], radius_bits: int) -> Hits:
        """Find every code within radius_bits of each query.

        Args:
            queries: shape (q, 32).
            radius_bits: 0–63.

        Raises:
            RadiusInvalid: the radius is outside 0–63.
        """


def check_radius(radius_bits: int) -> None:
    """Raise RadiusInvalid unless radius_bits is 0–63."""
    if not 0 <= radius_bits <= MAX_RADIUS_BITS:
        raise RadiusInvalid(radius=radius_bits)


def check_codes(codes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return codes, shape (n, 32), contiguous so that they can be viewed as words."""
    if codes.ndim != 2 or codes.shape[1] != PDQ_BYTES or codes.dtype != np.uint8:
        reason = f"expected uint8 codes of shape (n, {PDQ_BYTES}), got {codes.dtype} {codes.shape}"
        raise ValueError(reason)
    return np.ascontiguousarray(codes)
