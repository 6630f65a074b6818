"""PDQ by matrix products: fast, and for all mirror images.

Both passes of the reference's box filter and the choice of 64×64 pixels are linear, and rows and
columns commute. So they are one product `A·X·Bᵀ`, where A and B depend only on the image's size and
are zero outside a narrow band. If a decoder has already averaged blocks of pixels, the weights are
built for the original size and folded onto the blocks, so that the result is still that of the
original picture.

The reference's filter is off centre by up to a pixel and a half, so it filters a mirrored picture
differently. Stacking the weights for the mirrored picture under A and B gives the coefficients of
all four mirror images in the same products. docs/decisions/0002-fast-pdq.md has the numbers.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from egide.hashing.pdq import (
    COSINES,
    FREQUENCIES,
    GRID,
    filter_window,
    luma,
    quality,
    sample_positions,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from egide.hashing.pdq import Pixels

_LINES = 4
_BAND = 2 * _LINES
_BANDS = GRID // _LINES
# Four neighbouring output lines and the mirrored picture's four at the same place share most of
# their inputs. Bands of 2 lines are as fast, bands of 8 a tenth slower.

_CACHED_LENGTH = 2048
_CACHED_SIDES = 256
# 256 sides of at most 2048 samples take under 30 MB. Longer sides are rare, and their weights take
# little time compared with decoding such a picture.

_STRIP_SAMPLES = 1 << 18
# Samples, about, in the columns filtered together: bounds the working memory at some 8 MB for usual
# shapes. At 12 megapixels 2¹⁸ and 2²⁰ take 55 to 90 ms, and differ less than two runs do; 2²² takes
# 95 to 105.


class Bands(NamedTuple):
    """The weights of all output lines of one side, in bands of neighbours.

    Attributes:
        samples: the samples that each band needs, shape (bands, span).
        weights: shape (bands, 8, span); a band's first four lines are the picture's, the other four
            the mirrored picture's at the same place.
    """

    samples: NDArray[np.int64]
    weights: NDArray[np.float32]


def mirror_coefficients(
    pixels: Pixels, size: tuple[int, int], scale: int
) -> tuple[NDArray[np.float32], int]:
    """Transform a picture and its mirror images.

    Args:
        pixels: shape (rows, columns) or (rows, columns, 3), where each sample is the mean of
            `scale` × `scale` pixels of the original; the last of a line may be the mean of fewer.
        size: rows and columns of the original.
        scale: 1, 2, 4 or 8.

    Returns:
        coefficients of shape (4, 16, 16), of the picture unchanged, mirrored left to right, upside
        down, and both; and its quality 0–100. Within rounding of the reference if scale is 1.
    """
    down, across = _bands(size[0], scale), _bands(size[1], scale)
    columns = pixels.shape[1]
    narrow = np.empty((columns, _BANDS * _BAND), np.float32)
    width = max(_STRIP_SAMPLES // pixels.shape[0], GRID)
    for start in range(0, columns, width):
        strip = pixels[:, start : start + width]
        narrow[start : start + width] = _filter(down, luma(strip.take(down.samples.ravel(), 0))).T
    lines = _filter(across, narrow.take(across.samples.ravel(), 0))
    # `lines` has columns first, and bands hold the mirrored picture's lines beside the plain ones.
    banded = lines.reshape(_BANDS, 2, _LINES, _BANDS, 2, _LINES)
    grids = banded.transpose(4, 1, 3, 5, 0, 2).reshape(2, 2, GRID, GRID)
    halves = np.matmul(_BOTH_COSINES[:, None], grids)
    every = np.matmul(halves, _BOTH_COSINES.swapaxes(1, 2))
    return every.reshape(4, FREQUENCIES, FREQUENCIES), quality(grids[0, 0])


def _filter(bands: Bands, samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Filter along the first axis, from the samples of all bands to shape (128, lines)."""
    lines = samples.shape[1]
    stacked = samples.reshape(_BANDS, -1, lines)
    filtered: NDArray[np.float32] = np.matmul(bands.weights, stacked)
    return filtered.reshape(_BANDS * _BAND, lines)


_BOTH_COSINES = np.array([COSINES, COSINES[:, ::-1]])
# The mirrored picture's lines are stored by the place that they cover, so in reverse order.


def _bands(length: int, scale: int) -> Bands:
    if length <= _CACHED_LENGTH * scale:
        return _cached_bands(length, scale)
    return filter_bands(length, scale)


def filter_bands(length: int, scale: int) -> Bands:
    """The weights of the reference's filter along one side, folded onto blocks of `scale` pixels.

    Returns:
        sixteen bands; band k has output lines 4k to 4k + 3 and, in reverse, the mirrored picture's
        lines over the same pixels.
    """
    line, pixel, weight = _pixel_weights(length)
    line = np.concatenate([line, GRID - 1 - line])
    slot = (line // _LINES) * _BAND + line % _LINES
    slot[len(pixel) :] += _LINES
    pixel = np.concatenate([pixel, length - 1 - pixel])
    slot, block, weight = _fold(slot, pixel, np.tile(weight, 2), length, scale)
    samples = -(-length // scale)
    band = slot // _BAND
    starts = np.full(_BANDS, samples)
    np.minimum.at(starts, band, block)
    span = min(int((block - starts[band]).max()) + 1, samples)
    starts = np.minimum(starts, samples - span)
    flat = np.bincount(slot * span + block - starts[band], weight, _BANDS * _BAND * span)
    weights = flat.astype(np.float32).reshape(_BANDS, _BAND, span)
    return Bands(starts[:, None] + np.arange(span), weights)


_cached_bands = lru_cache(maxsize=_CACHED_SIDES)(filter_bands)


def _pixel_weights(
    length: int,
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """The weight of each pixel in each output line, as triples of line, pixel and weight."""
    window = filter_window(length)
    ahead = (window + 2) // 2 - 1
    back = window - 1 - ahead
    centre = sample_positions(length)[:, None]
    # The second pass averages these results of the first pass, each the mean from low to high.
    first = centre + np.arange(-back, ahead + 1)
    inside = (first >= 0) & (first < length)
    low = np.maximum(first - back, 0)
    high = np.minimum(first + ahead, length - 1) + 1
    share = np.where(inside, 1.0 / (inside.sum(1, keepdims=True) * np.maximum(high - low, 1)), 0.0)
    starts = np.maximum(centre - 2 * back, 0)
    width = 2 * window
    at = np.arange(GRID)[:, None] * width - starts
    rise = np.bincount(np.where(inside, low + at, 0).ravel(), share.ravel(), GRID * width)
    fall = np.bincount(np.where(inside, high + at, 0).ravel(), share.ravel(), GRID * width)
    weights = (rise - fall).reshape(GRID, width).cumsum(1)
    pixels = starts + np.arange(width)
    # Rounding leaves 1e-18 where the weight is 0.
    used = (weights > 1e-12) & (pixels < length)
    return np.nonzero(used)[0], pixels[used], weights[used]


def _fold(
    slot: NDArray[np.int64],
    pixel: NDArray[np.int64],
    weight: NDArray[np.float64],
    length: int,
    scale: int,
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Fold pixel weights onto blocks, as triples of output line, block and weight.

    Brightness is assumed to change evenly inside a block, at the slope between the two neighbouring
    blocks. So the off-centre part of a weight goes to those two blocks.
    Measured: 1.8 bits become 1.1 if the scaled short side is 192 to 256.
    """
    block = pixel // scale
    if scale == 1:
        return slot, block, weight
    last = (length - 1) // scale
    lean = weight * ((pixel % scale) - (scale - 1) / 2) / (2 * scale)
    after, before = np.minimum(block + 1, last), np.maximum(block - 1, 0)
    return (
        np.tile(slot, 3),
        np.concatenate([block, after, before]),
        np.concatenate([weight, lean, -lean]),
    )
