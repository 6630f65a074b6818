"""Decode JPEG brightness at a fraction of its size, directly from the bytes.

libjpeg can decode the luma channel alone at 1/2, 1/4 or 1/8 of the size, where each sample is the
mean of a block of pixels. Pillow would parse every header segment in Python; this module reads only
the few fields that matter.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from egide.media.progressive import coarse_scans

if TYPE_CHECKING:
    from numpy.typing import NDArray

_START_OF_FRAME = {0xC0, 0xC1, 0xC2}
# Baseline, extended and progressive Huffman coding.
_PROGRESSIVE = 0xC2
_BEFORE_FRAME = {*range(0xE0, 0xF0), 0xFE, 0xDB, 0xC4, 0xDD}
# Application data, comments, quantisation and Huffman tables, restart interval.
_ANY_FRAME = {*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC}
# SOF0 to SOF15, without tables; JPEG-LS.
_RARE = {
    **dict.fromkeys((0xC3, 0xCB), "a lossless JPEG"),
    **dict.fromkeys((0xC5, 0xC6, 0xC7, 0xCD, 0xCE, 0xCF), "a hierarchical JPEG"),
    0xF7: "JPEG-LS",
}
_SCAN_OR_END = {0xD9, 0xDA}
_WITHOUT_LENGTH = {0x01, *range(0xD0, 0xD9)}
_MULTI_PICTURE = 0xE2
_BLOCK = 8
# Pixels along a block's side; at this scale only a block's mean is decoded.


@dataclass(frozen=True, slots=True)
class JpegHeader:
    """The header of a JPEG.

    Attributes:
        width, height: in pixels, not 0.
        progressive: coded in several scans, from coarse to fine.
        multi_picture: further pictures may follow this one in the file (MPO).
    """

    width: int
    height: int
    progressive: bool
    multi_picture: bool


@dataclass(frozen=True, slots=True)
class FrameHeader:
    """What the frame of any JPEG declares; zeros if there is none.

    Attributes:
        bits: of a sample.
        coding: a kind of coding that few decoders know, by its name in messages, or "".
    """

    width: int = 0
    height: int = 0
    bits: int = 0
    channels: int = 0
    coding: str = ""

    @property
    def is_ordinary(self) -> bool:
        """Whether it is one that Pillow decodes, or one that has no header to tell."""
        return not self.width or (self.bits == 8 and not self.coding)


def frame_header(data: bytes) -> FrameHeader:
    """Find the frame header of any JPEG, as lenient as decoders are."""
    at = 2
    while at + 10 <= len(data):
        if data[at] != 0xFF:
            at = data.find(b"\xff", at)
            if at < 0:
                break
            continue
        marker = data[at + 1]
        if marker in {0, 0xFF} or marker in _WITHOUT_LENGTH:
            at += 1 if marker == 0xFF else 2
            continue
        if marker in _ANY_FRAME:
            bits, height, width, channels = struct.unpack_from(">BHHB", data, at + 4)
            return FrameHeader(width, height, bits, channels, _RARE.get(marker, ""))
        if marker in _SCAN_OR_END:
            break
        at += 2 + max(data[at + 2] << 8 | data[at + 3], 2)
    return FrameHeader()


def read_header(data: bytes) -> JpegHeader | None:
    """Read the header of an ordinary 8-bit grey or three-channel JPEG.

    Strict, because the decoder is given the size that is read here. Returns None for anything
    unusual; the caller then decodes in full with Pillow's own parser.
    """
    at, multi_picture = 2, False
    while at + 4 <= len(data):
        if data[at] != 0xFF:
            return None
        marker = data[at + 1]
        length = data[at + 2] << 8 | data[at + 3]
        if marker in _START_OF_FRAME:
            if len(data) < at + 10:
                return None
            precision, height, width, channels = struct.unpack_from(">BHHB", data, at + 4)
            usual = precision == 8 and channels in (1, 3) and length == 8 + 3 * channels
            if not (usual and width and height):
                return None
            return JpegHeader(width, height, marker == _PROGRESSIVE, multi_picture)
        if marker not in _BEFORE_FRAME or length < 2:
            return None
        if marker == _MULTI_PICTURE and data.startswith(b"MPF\0", at + 4):
            multi_picture = True
        at += 2 + length
    return None


def decode_luma(data: bytes, header: JpegHeader, scale: int) -> NDArray[np.uint8]:
    """Decode brightness at 1/`scale` of the size.

    Args:
        data: the whole file.
        header: from `read_header` for these bytes.
        scale: 1, 2, 4 or 8.

    Returns:
        shape (⌈height/scale⌉, ⌈width/scale⌉), 0–255.

    Raises:
        ValueError, EOFError: the data are damaged or end too early.
    """
    if scale == _BLOCK and header.progressive:
        data = coarse_scans(data)
    size = (-(-header.width // scale), -(-header.height // scale))
    luma = np.zeros(size[::-1], np.uint8)
    # The image shares the array's memory, which halves the time of Image.frombytes and back.
    Image.frombuffer("L", size, luma, "raw", "L", 0, 1).frombytes(data, "jpeg", ("L", "", scale, 0))
    return luma
