"""Decode a JPEG that ends too early, as viewers show it, and say how much of it was there.

libjpeg fills what is missing with mid-grey. It only needs an end mark to do so.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_END = b"\xff\xd9"
_SCAN, _END_MARKER = 0xDA, 0xD9
_WITHOUT_LENGTH = {0x01, *range(0xD0, 0xD9)}
_AFTER_SCAN = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")
# Coded data contain FF only in FF 00 and in restart markers, FF D0 to FF D7.
_TILE_PIXELS = 16
"""Side of the units that libjpeg decodes, or of two of them."""
_MISSING_LEVELS = (127, 128)
# 128, or 127 where Adobe's inverted channels were turned round.


def is_cut(error: Exception) -> bool:
    """Whether Pillow says that a JPEG's data end too early."""
    said = str(error).lower()
    return isinstance(error, EOFError) or "truncated" in said or "not enough image data" in said


def with_end(data: bytes) -> bytes | None:
    """Add an end mark after the last complete part of a file that has none.

    Returns:
        None if no pixels are there, or the file has its end.
    """
    at, scans = 2, 0
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:
            at += 1
            continue
        if marker == _END_MARKER:
            return None
        if marker in _WITHOUT_LENGTH:
            at += 2
            continue
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        if end > len(data):
            break
        if marker == _SCAN:
            scans += 1
            found = _AFTER_SCAN.search(data, end)
            if found is None:
                return data + _END
            end = found.start()
        at = end
    return data[:at] + _END if scans else None


def share_read(samples: NDArray[np.uint8], scale: int = 1) -> float:
    """Estimate the share of a picture that was decoded before its data ended.

    Args:
        samples: one channel as decoded, missing parts in mid-grey.
        scale: pixels along a sample's side.

    Returns:
        0 if nothing was, else below 1: the last part that was decoded may be incomplete.
    """
    side = max(_TILE_PIXELS // scale, 1)
    rows, columns = (-(-length // side) for length in samples.shape)
    padding = [
        (0, n * side - length) for n, length in zip((rows, columns), samples.shape, strict=True)
    ]
    missing = np.pad(np.isin(samples, _MISSING_LEVELS), padding, constant_values=True)
    tiles = missing.reshape(rows, side, columns, side).all(axis=(1, 3)).ravel()
    decoded = np.flatnonzero(~tiles)
    return 0.0 if not len(decoded) else max(int(decoded[-1]), 0.5) / tiles.size
