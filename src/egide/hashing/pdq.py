"""PDQ exactly as in the reference implementation: the hash that is registered.

The reference accumulates running sums in single precision, so the order of its additions is part of
the hash. Here each step of that order is one NumPy operation over all rows, or all columns.

Source: ThreatExchange, pdq/cpp/hashing/pdqhashing.cpp and pdq/cpp/downscaling/downscaling.cpp.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from egide.domain.model import PDQ_BYTES, Pdq

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Pixels = NDArray[np.uint8] | NDArray[np.float32]
    """Shape (rows, columns) of grey levels 0–255, or (rows, columns, 3) of red, green and blue."""

GRID = 64
"""Rows and columns of the picture that is cosine-transformed."""
FREQUENCIES = 16
"""Frequencies kept in each direction, from 1."""

_STRIP = 1024
# Lines filtered together, each with one running sum. Wider strips do not fit the cache, narrower
# ones need more NumPy calls; 256 takes twice the time of 1024 at 12 megapixels.


def luma(pixels: Pixels) -> NDArray[np.float32]:
    """The brightness of each pixel, 0–255, in single precision.

    Computes 0.299 R + 0.587 G + 0.114 B in whole thousandths: the sums are exact, only the division
    rounds. Equals `pdqhash` for each of the 2²⁴ colours.
    """
    levels = pixels.astype(np.float32)
    return levels if levels.ndim == 2 else levels @ _THOUSANDTHS / np.float32(1000)


def reference_coefficients(pixels: Pixels) -> tuple[NDArray[np.float32], int]:
    """Transform a picture exactly as the reference does, bit for bit.

    Args:
        pixels: both sides at least 5 pixels.

    Returns:
        the 16×16 cosine coefficients, and the quality 0–100.

    Source: ThreatExchange, pdq/cpp/hashing/pdqhashing.cpp, pdqFloat256FromFloatLuma.
    """
    grid = luma(pixels) if pixels.shape[:2] == (GRID, GRID) else _shrink(pixels)
    return _transform(grid), quality(grid)


def quality(grid: NDArray[np.float32]) -> int:
    """The detail of a 64×64 picture: the reference's sum of gradients, scaled to 0–100."""
    half = (GRID - 1) * GRID
    steps = np.empty(2 * half, np.float32)
    np.subtract(grid[:-1], grid[1:], out=steps[:half].reshape(GRID - 1, GRID))
    np.subtract(grid[:, :-1], grid[:, 1:], out=steps[half:].reshape(GRID, GRID - 1))
    steps *= np.float32(100)
    steps /= np.float32(255)
    # The reference truncates each step. Their sum is under 2²⁴, so exact in single precision.
    np.trunc(steps, out=steps)
    np.abs(steps, out=steps)
    return min(int(steps.sum()) // 90, 100)


def hash_coefficients(mirrors: NDArray[np.float32], quality: int) -> Pdq:
    """Threshold cosine coefficients at their median: the hash and its eight variants.

    Args:
        mirrors: shape (4, 16, 16), row frequencies first: of the picture unchanged, mirrored left
            to right, mirrored upside down, and both. A quarter turn transposes one of these.
        quality: of the unchanged picture, 0–100.
    """
    flat = mirrors.reshape(4, -1)
    # The reference's median of 256 values is the 128th smallest.
    median = np.partition(flat, 127, axis=1)[:, 127:128]
    variants = np.packbits((flat > median).take(_VARIANT_BITS)).tobytes()
    return Pdq(code=variants[:PDQ_BYTES], quality=quality, variants=variants)


def filter_window(length: int) -> int:
    """The width in pixels of the box filter for a side of `length` pixels."""
    return (length + 2 * GRID - 1) // (2 * GRID)


def sample_positions(length: int) -> NDArray[np.int64]:
    """The 64 pixels of a filtered side that are kept: the centres of 64 equal parts."""
    return (2 * np.arange(GRID, dtype=np.int64) + 1) * length // (2 * GRID)


def _cosines() -> NDArray[np.float32]:
    """The used rows of the cosine transform, shape (16, 64)."""
    scale = float(np.float32(math.sqrt(2.0 / GRID)))
    step = math.pi / 2.0 / GRID
    return np.array(
        [
            [scale * math.cos(step * (row + 1) * (2 * column + 1)) for column in range(GRID)]
            for row in range(FREQUENCIES)
        ],
        np.float32,
    )


def _variant_bits() -> NDArray[np.intp]:
    """For each bit of the eight variants, its index in the four mirror images, shape (2048,)."""
    bits = np.arange(4 * FREQUENCIES * FREQUENCIES).reshape(4, FREQUENCIES, FREQUENCIES)
    plain, mirrored, upended, turned = bits
    every = [plain, mirrored.T, turned, upended.T, mirrored, upended, plain.T, turned.T]
    # The last coefficient gives the most significant bit.
    return np.array(every).reshape(8, -1)[:, ::-1].ravel()


_VARIANT_BITS = _variant_bits()
_THOUSANDTHS = np.array([299, 587, 114], np.float32)
COSINES = _cosines()


def _transform(grid: NDArray[np.float32]) -> NDArray[np.float32]:
    """The 16×16 cosine coefficients, summed in the reference's order."""
    half = np.zeros((FREQUENCIES, GRID), np.float32)
    for k in range(GRID):
        half += COSINES[:, k, None] * grid[k]
    full = np.zeros((FREQUENCIES, FREQUENCIES), np.float32)
    for k in range(GRID):
        full += half[:, k, None] * COSINES[:, k]
    return full


def _shrink(pixels: Pixels) -> NDArray[np.float32]:
    """Filter twice along rows and columns, and keep 64×64 pixels.

    Needs memory for one more array of the image's size in single precision.
    """
    rows, columns = pixels.shape[:2]
    along_row, along_column = filter_window(columns), filter_window(rows)
    kept_rows, kept_columns = sample_positions(rows), sample_positions(columns)

    filtered = np.empty((rows, columns), np.float32)
    for strip in _strips(rows):
        source = np.ascontiguousarray(luma(pixels[strip]).T)
        filtered[strip] = _box(source, along_row, np.arange(columns)).T
    for strip in _strips(columns):
        source = np.ascontiguousarray(filtered[:, strip])
        filtered[:, strip] = _box(source, along_column, np.arange(rows))
    narrow = np.empty((rows, GRID), np.float32)
    for strip in _strips(rows):
        narrow[strip] = _box(np.ascontiguousarray(filtered[strip].T), along_row, kept_columns).T
    return _box(narrow, along_column, kept_rows)


def _strips(length: int) -> list[slice]:
    return [slice(start, start + _STRIP) for start in range(0, length, _STRIP)]


def _box(source: NDArray[np.float32], window: int, kept: NDArray[np.int64]) -> NDArray[np.float32]:
    """One pass of the box filter along the first axis, as running sums in single precision.

    Args:
        source: shape (length, lines).
        window: width of the filter; it shrinks at the ends.
        kept: the positions to return, ascending, repeats allowed.

    Returns:
        shape (len(kept), lines).
    """
    length, lines = source.shape
    slots = np.full(length, -1)
    wanted, inverse = np.unique(kept, return_inverse=True)
    slots[wanted] = np.arange(len(wanted))
    slot_of = slots.tolist()
    out = np.empty((len(wanted), lines), np.float32)
    total = np.zeros(lines, np.float32)
    ahead = (window + 2) // 2 - 1
    count = 0
    for position in range(-ahead, length):
        entering, leaving = position + ahead, position + ahead - window
        if entering < length:
            total += source[entering]
            count += 1
        if leaving >= 0:
            total -= source[leaving]
            count -= 1
        if position >= 0 and slot_of[position] >= 0:
            np.divide(total, count, out=out[slot_of[position]])
    return out if len(wanted) == len(kept) else out[inverse]
