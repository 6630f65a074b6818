"""Order the 256 bits of an ORB descriptor so that they make good bands.

There are eight bands, each a word of 32 bits. The first 22 bits of a band were chosen one by one.
Each choice best reduces the chance that unrelated descriptors agree in the band so far, relative to
the chance that descriptors of the same keypoint, before and after an edit, still agree. No bit is
in two bands; the last 10 bits of each are the remaining ones, in no order. ORB's sampling pattern
is fixed, so the choice holds for all pictures. `benchmarks/keypoint_bits.py` made it on the
development half of the corpus; docs/decisions/0008-patch-search.md has the gain.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from egide.domain.model import KEYPOINT_BYTES

if TYPE_CHECKING:
    from numpy.typing import NDArray

WORDS = 8
KEY_BITS = 22
"""The number of bits of a band that are in order of merit."""

# fmt: off
_ORDER = np.array([
    75, 66, 24, 160, 137, 102, 57, 51, 172, 202, 246, 237, 199, 37, 213, 206,
    85, 2, 177, 3, 126, 249, 165, 20, 63, 221, 171, 33, 217, 119, 64, 35,
    32, 94, 40, 121, 204, 54, 6, 236, 36, 181, 255, 44, 151, 164, 18, 169,
    106, 82, 53, 73, 96, 215, 41, 168, 27, 220, 50, 239, 242, 17, 152, 74,
    145, 229, 143, 135, 234, 129, 225, 99, 86, 194, 104, 251, 197, 178, 180, 245,
    149, 200, 71, 176, 47, 138, 155, 248, 87, 140, 98, 222, 34, 188, 117, 9,
    14, 114, 184, 166, 170, 92, 59, 189, 19, 148, 62, 144, 134, 196, 162, 186,
    195, 11, 233, 111, 60, 123, 205, 127, 116, 52, 201, 90, 167, 61, 207, 12,
    15, 214, 115, 113, 183, 187, 158, 100, 80, 25, 253, 146, 142, 89, 132, 109,
    105, 38, 69, 56, 76, 110, 7, 136, 78, 65, 1, 23, 153, 72, 84, 120,
    175, 212, 218, 150, 243, 97, 124, 216, 227, 254, 8, 43, 68, 45, 130, 49,
    10, 235, 55, 67, 240, 192, 230, 223, 244, 179, 232, 128, 39, 46, 161, 103,
    241, 208, 141, 70, 81, 108, 210, 139, 185, 58, 91, 5, 31, 118, 147, 13,
    88, 4, 163, 209, 122, 93, 247, 79, 154, 190, 42, 125, 226, 101, 228, 159,
    22, 231, 156, 28, 83, 16, 29, 48, 203, 157, 238, 219, 193, 133, 174, 252,
    77, 30, 107, 0, 198, 21, 26, 211, 224, 191, 173, 95, 131, 182, 112, 250,
])
# fmt: on
_BACK = np.argsort(_ORDER)


def reorder(descriptors: NDArray[np.uint8]) -> NDArray[np.uint32]:
    """Reorder descriptors, shape (n, 32), as words, shape (n, 8); Hamming distances stay."""
    bits = np.take(np.unpackbits(descriptors, axis=1), _ORDER, axis=1)
    return np.packbits(bits, axis=1).view(">u4").astype(np.uint32)


def restore(words: NDArray[np.uint32]) -> NDArray[np.uint8]:
    """Undo `reorder`."""
    bits = np.unpackbits(words.astype(">u4").view(np.uint8).reshape(-1, KEYPOINT_BYTES), axis=1)
    return np.packbits(np.take(bits, _BACK, axis=1), axis=1)
