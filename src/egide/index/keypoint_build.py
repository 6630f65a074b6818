"""Lay out the keypoints of many pictures for searching: sections of a container."""

from __future__ import annotations

import hashlib
from array import array
from typing import TYPE_CHECKING

import numpy as np

from egide.domain.model import KEYPOINT_BYTES
from egide.hashing.keypoint_set import KEYPOINT, SIGN_BYTES
from egide.index.container import Section, array_section
from egide.index.keypoint_bits import KEY_BITS, WORDS, reorder

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from egide.domain.model import KeypointSet

BANDS = 6
"""Of the eight in `keypoint_bits`; the other two would find 2 % more for a third more memory."""
LINE_WORDS = 16
"""Filter words are read by whole lines of 64 bytes."""
_MIN_KEY_BITS = 8
_BUCKET_ROWS = 2
# Target rows per bucket. Fewer would need more offsets, more would be read in vain.


class KeypointColumns:
    """The pictures so far, as growing columns. Equal sets of several entries are stored once."""

    def __init__(self) -> None:
        self.entry_id = array("q")
        self.entry_picture = array("I")
        self.size = array("I")
        self.start = array("q", [0])
        self.signs = bytearray()
        self.keypoints = bytearray()
        self.words = bytearray()
        self._known: dict[bytes, int] = {}

    def add(self, entry: int, keypoints: KeypointSet) -> None:
        """Add one entry, unless its keypoints have too little detail to be matched."""
        if not keypoints.searchable:
            return
        parts = (keypoints.keypoints, keypoints.descriptors, keypoints.signs)
        head = f"{keypoints.width} {keypoints.height} {keypoints.count} ".encode()
        digest = hashlib.blake2b(head + b"".join(parts), digest_size=16).digest()
        picture = self._known.setdefault(digest, len(self.start) - 1)
        self.entry_id.append(entry)
        self.entry_picture.append(picture)
        if picture < len(self.start) - 1:
            return
        descriptors = np.frombuffer(keypoints.descriptors, np.uint8).reshape(-1, KEYPOINT_BYTES)
        self.words += reorder(descriptors).tobytes()
        self.keypoints += keypoints.keypoints
        self.signs += keypoints.signs
        self.size.extend((keypoints.width, keypoints.height))
        self.start.append(self.start[-1] + keypoints.count)

    @property
    def key_bits(self) -> int:
        """The number of a band's bits that make a bucket's number."""
        buckets = self.start[-1] // _BUCKET_ROWS
        return min(max(buckets.bit_length(), _MIN_KEY_BITS), KEY_BITS - 1)

    def sections(self) -> dict[str, Section]:
        """Describe the container; a band's lists are built when they are written."""
        words = np.frombuffer(self.words, np.uint32).reshape(-1, WORDS)
        rows = len(words)
        bits = self.key_bits
        order = np.argsort(np.array(self.entry_picture, np.uint32), kind="stable")
        lines = -(-rows // LINE_WORDS)
        return {
            "entry_id": array_section(np.array(self.entry_id, np.int64)[order]),
            "entry_picture": array_section(np.array(self.entry_picture, np.uint32)[order]),
            "size": array_section(np.array(self.size, np.uint32).reshape(-1, 2)),
            "start": array_section(np.array(self.start, np.int64)),
            "signs": array_section(np.frombuffer(self.signs, np.uint8).reshape(-1, SIGN_BYTES)),
            "keypoint": array_section(
                np.frombuffer(self.keypoints, np.uint8).reshape(-1, KEYPOINT.itemsize)
            ),
            "word": array_section(words),
            "band": Section(
                "<u4",
                (BANDS, (1 << bits) + 1 + rows + lines * LINE_WORDS),
                lambda: _bands(words, bits),
            ),
        }


def _bands(words: NDArray[np.uint32], bits: int) -> Iterator[NDArray[np.uint32]]:
    for band in range(BANDS):
        yield from _band(words, band, bits)


def _band(words: NDArray[np.uint32], band: int, bits: int) -> Iterable[NDArray[np.uint32]]:
    """Make one band's list: bucket offsets, rows in bucket order, and the rows' next-band words.

    The words, which act as a filter, are padded to whole lines with zeros.
    """
    keys = words[:, band].astype(np.uint64) >> np.uint64(32 - bits)
    # Sorting one number that holds both is several times faster than argsort.
    keys = np.sort((keys << np.uint64(32)) | np.arange(len(words), dtype=np.uint64))
    rows = keys.astype(np.uint32)
    counts = np.bincount((keys >> np.uint64(32)).astype(np.int64), minlength=1 << bits)
    offsets = np.zeros((1 << bits) + 1, np.uint32)
    np.cumsum(counts, out=offsets[1:])
    filters = np.zeros(-(-len(words) // LINE_WORDS) * LINE_WORDS, np.uint32)
    filters[: len(words)] = words[:, band + 1][rows]
    return offsets, rows, filters
