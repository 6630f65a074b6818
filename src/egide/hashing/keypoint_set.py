"""The storage format of one frame's keypoints: fixed-size records that can be viewed in place.

A keypoint is six bytes and a descriptor of 32 bytes. Its position is a fraction of the frame, so
that the precision is the same for a thumbnail and a scan: 1/65535 of a side is under a tenth of a
pixel up to 6000 pixels. Sizes are accurate to 4 %, angles to 1.4°: ORB itself is not more exact.

The coarse grid stores, for each two neighbouring cells, which one is brighter and whether clearly
so: two bits. Together they show the picture: docs/explain/what-fingerprints-tell.md.
"""

from __future__ import annotations

import struct
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from egide.domain.model import KEYPOINT_BYTES, KeypointSet

if TYPE_CHECKING:
    from numpy.typing import NDArray

KEYPOINT = np.dtype([("x", "<u2"), ("y", "<u2"), ("size", "u1"), ("angle", "u1")])
"""Position as a fraction of each side, logarithm of the size, angle in 1/256 of a turn."""
MAX_KEYPOINTS = 4096
"""The most keypoints of one frame that are read. Extraction stays far below."""
SIGN_GRID = 24
"""Cells of the coarse grid in each direction, whatever the frame's shape."""
SIGN_BYTES = 4 * SIGN_GRID * SIGN_GRID // 8

_FULL = 65535.0
_SIZE_STEPS = 16
# Steps per octave: a byte holds sizes from 1 to 2¹⁶ pixels.

_FORMAT = 1
_HEADER = struct.Struct("<BxHII")
# Format, keypoints, width, height.


class KeypointView(NamedTuple):
    """The keypoints of one frame as arrays; `words` and `descriptors` share the set's memory.

    Attributes:
        points: x and y in stored pixels, shape (n, 2).
        sizes: diameter of the keypoint in stored pixels, shape (n,).
        angles: direction of the keypoint in degrees, clockwise from the x axis, shape (n,).
        descriptors: shape (n, 32).
        words: the same bits, shape (n, 4).
        brighter: whether brightness rises from a cell to its neighbour, shape (2, grid, grid): to
            the right, and below; the last column of the former and last row of the latter are 0.
        clear: whether the difference is reliably large, shaped like `brighter`.
    """

    points: NDArray[np.float32]
    sizes: NDArray[np.float32]
    angles: NDArray[np.float32]
    descriptors: NDArray[np.uint8]
    words: NDArray[np.uint64]
    brighter: NDArray[np.bool_]
    clear: NDArray[np.bool_]


def build(
    size: tuple[int, int],
    points: NDArray[np.float32],
    sizes: NDArray[np.float32],
    angles: NDArray[np.float32],
    descriptors: NDArray[np.uint8],
    brighter: NDArray[np.bool_],
    clear: NDArray[np.bool_],
) -> KeypointSet:
    """Round and pack keypoints; `view` returns them.

    Args:
        size: width and height of the frame, in stored pixels.
        points: as in `KeypointView`, like all further arguments.
        sizes: at least 1.
        angles: in degrees.
        descriptors: 32 bytes each.
        brighter: on the coarse grid.
        clear: on the coarse grid.
    """
    records = np.zeros(len(points), KEYPOINT)
    for axis, name in enumerate(("x", "y")):
        share = points[:, axis].astype(np.float64) / size[axis]
        records[name] = np.clip(np.rint(share * _FULL), 0, _FULL)
    steps = np.rint(np.log2(np.maximum(sizes, 1)) * _SIZE_STEPS)
    records["size"] = np.clip(steps, 0, 255)
    records["angle"] = np.rint(angles * (256 / 360)).astype(np.int64) % 256
    return KeypointSet(
        width=size[0],
        height=size[1],
        keypoints=records.tobytes(),
        descriptors=np.ascontiguousarray(descriptors, np.uint8).tobytes(),
        signs=np.packbits(np.stack([brighter, clear])).tobytes(),
    )


def view(keypoints: KeypointSet) -> KeypointView:
    """Return the keypoints as arrays."""
    records = np.frombuffer(keypoints.keypoints, KEYPOINT)
    descriptors = np.frombuffer(keypoints.descriptors, np.uint8).reshape(-1, KEYPOINT_BYTES)
    points = np.empty((len(records), 2), np.float32)
    points[:, 0] = records["x"] * np.float32(keypoints.width / _FULL)
    points[:, 1] = records["y"] * np.float32(keypoints.height / _FULL)
    bits = np.unpackbits(np.frombuffer(keypoints.signs, np.uint8))
    signs = bits.reshape(2, 2, SIGN_GRID, SIGN_GRID).view(np.bool_)
    return KeypointView(
        points=points,
        sizes=np.exp2(records["size"].astype(np.float32) / _SIZE_STEPS),
        angles=records["angle"].astype(np.float32) * np.float32(360 / 256),
        descriptors=descriptors,
        words=descriptors.view(np.uint64),
        brighter=signs[0],
        clear=signs[1],
    )


def first(keypoints: KeypointSet, count: int) -> KeypointSet:
    """The `count` most useful keypoints of a set, which come first in it."""
    return replace(
        keypoints,
        keypoints=keypoints.keypoints[: count * KEYPOINT.itemsize],
        descriptors=keypoints.descriptors[: count * KEYPOINT_BYTES],
    )


def pack(keypoints: KeypointSet) -> bytes:
    """Write a set as bytes: a header of 12, then its parts; `unpack` reads them.

    Raises:
        ValueError: `unpack` would not return the same set.
    """
    count = keypoints.count
    header = _HEADER.pack(_FORMAT, min(count, 65535), keypoints.width, keypoints.height)
    data = header + keypoints.keypoints + keypoints.descriptors + keypoints.signs
    if unpack(data) != keypoints:
        raise ValueError("the parts of the set do not belong together")
    return data


def unpack(data: bytes) -> KeypointSet:
    """Read a set written by `pack`.

    Raises:
        ValueError: the bytes have another format, are truncated or too many.
    """
    if len(data) < _HEADER.size:
        raise ValueError("the set is cut off")
    version, count, width, height = _HEADER.unpack_from(data)
    if version != _FORMAT or data[1]:
        raise ValueError(f"the set is of format {version}, known is {_FORMAT}")
    if count > MAX_KEYPOINTS:
        raise ValueError(f"the set has more than {MAX_KEYPOINTS} keypoints")
    if not width or not height:
        raise ValueError("the set is of a frame without pixels")
    keypoints = _HEADER.size + count * KEYPOINT.itemsize
    descriptors = keypoints + count * KEYPOINT_BYTES
    if len(data) != descriptors + SIGN_BYTES:
        raise ValueError("the length of the set is not what its header says")
    return KeypointSet(
        width=width,
        height=height,
        keypoints=data[_HEADER.size : keypoints],
        descriptors=data[keypoints:descriptors],
        signs=data[descriptors:],
    )
