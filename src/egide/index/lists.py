"""The lists of bands, each in the order of its key: their form, and how they are built."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from egide.index.bands import FILTER_BITS, Layout, ring_bits, spare_bits

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAX_ROWS = (1 << 28) - 1
"""Leaves each row's word four spare bits."""
LINE_WORDS = 32
"""Filter words in a line of 64 bytes."""
_LINE_U32 = 16
_DIGIT_BITS = 16


class BandLists:
    """The lists of all bands. A *place* is a position in a band's list.

    Attributes:
        layout: how the codes are cut.
        words: uint32[bands, b], the list of each band: its filter words as lines of 64 bytes, zeros
            after the last; then the row at each place, whose highest bits are more filter bits;
            then where each bucket starts, the next being its end. Each part begins with a line.
        lines: uint16[bands × b / 16, 32], the words as lines of filter words.
        lines_per_band: b / 16.
        rows_at: where the rows begin in b.
        offsets_at: where the offsets begin in b.
    """

    def __init__(self, layout: Layout, rows: int, words: NDArray[np.uint32]) -> None:
        """Use words as the lists of that many rows.

        Raises:
            ValueError: they have another shape.
        """
        if words.dtype != np.uint32 or words.shape != lists_shape(layout, rows):
            raise ValueError("band lists")
        self.layout = layout
        self.words = words
        self.lines = words.reshape(-1).view(np.uint16).reshape(-1, LINE_WORDS)
        self.lines_per_band = words.shape[1] // _LINE_U32
        self.rows_at, self.offsets_at = _parts(rows)


def lists_shape(layout: Layout, rows: int) -> tuple[int, int]:
    """The shape of `BandLists.words`."""
    return layout.bands, _parts(rows)[1] + _whole_lines(layout.buckets + 1)


def _parts(rows: int) -> tuple[int, int]:
    """Where rows and offsets begin in a band's words."""
    rows_at = -(-rows // LINE_WORDS) * _LINE_U32
    return rows_at, rows_at + _whole_lines(rows)


def _whole_lines(words: int) -> int:
    return -(-words // _LINE_U32) * _LINE_U32


def band_list(codes: NDArray[np.uint8], layout: Layout, band: int) -> NDArray[np.uint32]:
    """Build one band's row of `BandLists.words`.

    Args:
        codes: shape (n, 32), n over 0.
        layout: how they are cut.
        band: its number.
    """
    code_words = codes.view("<u8")
    start = int(layout.starts[band])
    key = ring_bits(code_words, start, layout.key_bits)
    order = _sorting(key, layout.key_bits)
    words = np.zeros(lists_shape(layout, len(codes))[1], np.uint32)
    rows_at, offsets_at = _parts(len(codes))
    filters = ring_bits(code_words, start + layout.key_bits, FILTER_BITS).astype(np.uint16)
    words.view(np.uint16)[: len(codes)] = filters[order]
    rows = words[rows_at : rows_at + len(codes)]
    spare = spare_bits(len(codes))
    rows[:] = ring_bits(code_words, start + layout.key_bits + FILTER_BITS, spare)[order]
    rows <<= np.uint32(32 - spare)
    rows |= order.astype(np.uint32)
    offsets = words[offsets_at : offsets_at + layout.buckets + 1]
    np.cumsum(np.bincount(key, minlength=layout.buckets), out=offsets[1:])
    return words


def _sorting(key: NDArray[np.uint32], bits: int) -> NDArray[np.intp]:
    """Sort stably by 16 bits at a time, for which NumPy has a radix sort."""
    order = np.argsort(key.astype(np.uint16), kind="stable")
    if bits > _DIGIT_BITS:
        high = (key >> np.uint32(_DIGIT_BITS)).astype(np.uint16)
        order = order[np.argsort(high[order], kind="stable")]
    return order
