"""Read what a TIFF declares of its pages, to choose who can decode them surely.

Pillow decodes many kinds of TIFF, some of them wrongly without a word. So only kinds that were
compared with another decoder go to it; docs/decisions/0003-optional-decoders.md lists them.

Source: TIFF 6.0; BigTIFF; Adobe's DNG 1.7.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_PAGES = 10_000
_MAX_ENTRIES = 400_000
_MAX_VALUES = 16
_MAX_PARENTS = 64
_SIZES = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}
_VALUE_BYTES = {1: 1, 3: 2, 4: 4, 13: 4, 16: 8, 18: 8}

WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC = 256, 257, 258, 259, 262
_FILL_ORDER, _SAMPLES, _PLANAR, _SUB_DIRECTORIES = 266, 277, 284, 330
_EXTRA_SAMPLES, _SAMPLE_FORMAT, _SUBSAMPLING, _DNG_VERSION = 338, 339, 530, 50706
_READ = {
    *(WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, _FILL_ORDER, _SAMPLES, _PLANAR),
    *(_SUB_DIRECTORIES, _EXTRA_SAMPLES, _SAMPLE_FORMAT, _SUBSAMPLING, _DNG_VERSION),
}

WHITE_IS_0, BLACK_IS_0, RGB, PALETTE, CMYK, YCBCR, LAB = 0, 1, 2, 3, 5, 6, 8
_SENSOR = {32803, 34892}
"""Colour filter array, and linear raw: what a camera's sensor saw."""
_NONE, _JPEG = 1, 7
_OF_PILLOW = {_NONE, 2, 3, 4, 5, _JPEG, 8, 32773, 32946}
"""None, CCITT, LZW, JPEG, Deflate and PackBits."""
_UNSIGNED, _SIGNED, _FLOAT = 1, 2, 3


@dataclass(frozen=True, slots=True)
class Page:
    """What one directory declares.

    Attributes:
        tags: the values of numbers that matter here.
        big_from_big: in a BigTIFF whose numbers begin with the highest byte.
    """

    tags: dict[int, tuple[int, ...]]
    big_from_big: bool = False

    def one(self, tag: int, default: int) -> int:
        """The first value of a tag."""
        return self.tags.get(tag, (default,))[0]

    @property
    def is_sensor_data(self) -> bool:
        """Whether its pixels are a camera's sensor data, no picture yet."""
        return self.one(PHOTOMETRIC, 1) in _SENSOR or _DNG_VERSION in self.tags

    @property
    def is_pillows(self) -> bool:
        """Whether Pillow decodes it surely."""
        compression = self.one(COMPRESSION, _NONE)
        photometric = self.one(PHOTOMETRIC, BLACK_IS_0)
        samples = self.one(_SAMPLES, 1)
        bits = set(self.tags.get(BITS, (1,)))
        formats = set(self.tags.get(_SAMPLE_FORMAT, (_UNSIGNED,)))
        planar = self.one(_PLANAR, 1) != 1 and samples > 1
        if self.big_from_big or compression not in _OF_PILLOW:
            return False
        if len(bits) > 1 or len(formats) > 1:
            return False
        (depth,), (kind,) = bits, formats
        if compression == _JPEG:
            return depth == 8 and not planar and samples in {1, 3}
        if kind in {_SIGNED, _FLOAT}:
            # Compressed ones from the highest byte come out with their bytes exchanged.
            plain = compression == _NONE and samples == 1 and photometric == BLACK_IS_0
            return plain and depth in ({16, 32} if kind == _SIGNED else {32})
        if kind != _UNSIGNED:
            return False
        if depth == 16:
            grey = samples == 1 and photometric == BLACK_IS_0
            # Of associated alpha, its reader rounds to 8 bits first.
            return not planar and (grey or (samples == 3 and photometric == RGB))
        if photometric in {WHITE_IS_0, BLACK_IS_0}:
            return samples == 1 and depth in {1, 2, 4, 8}
        if photometric == PALETTE:
            return samples == 1 and depth in {1, 2, 4, 8}
        if depth != 8:
            return False
        return (photometric, samples) in {(RGB, 3), (CMYK, 4), (LAB, 3)} or (
            (photometric, samples) == (RGB, 4) and not planar
        )


def read_pages(data: bytes) -> tuple[list[Page], list[Page]]:
    """Read the directories of a file as far as it is sound.

    Returns:
        the pages in order, at most `MAX_PAGES`; and the directories below them, such as a raw
        photo's sensor data.
    """
    order = "<" if data[:2] == b"II" else ">"
    big = 43 in data[2:4]
    pages: list[Page] = []
    below: list[Page] = []
    seen: set[int] = set()
    at = _number(data, order, 8 if big else 4, "Q" if big else "I")
    entries = 0
    while at and at not in seen and len(pages) < MAX_PAGES and entries < _MAX_ENTRIES:
        seen.add(at)
        entries += _number(data, order, at, "Q" if big else "H")
        page, at = _read_page(data, at, order, big=big)
        if page is None:
            break
        pages.append(page)
        if len(pages) > _MAX_PARENTS:
            continue
        for start in page.tags.get(_SUB_DIRECTORIES, ()):
            child, _ = _read_page(data, start, order, big=big)
            if child is not None:
                below.append(child)
    return pages, below


def _read_page(data: bytes, at: int, order: str, *, big: bool) -> tuple[Page | None, int]:
    """Read one directory; also the place of the next, 0 if there is none."""
    count = _number(data, order, at, "Q" if big else "H")
    first, entry_bytes = at + (8 if big else 2), 20 if big else 12
    if not count or count > 4096 or first + count * entry_bytes > len(data):
        return None, 0
    tags = dict(_entries(data, order, range(first, first + count * entry_bytes, entry_bytes), big))
    return Page(tags, big and order == ">"), _number(
        data, order, first + count * entry_bytes, "Q" if big else "I"
    )


def _entries(
    data: bytes, order: str, places: range, big: bool
) -> Iterator[tuple[int, tuple[int, ...]]]:
    for at in places:
        tag, kind = struct.unpack_from(f"{order}HH", data, at)
        if tag not in _READ or kind not in _SIZES:
            continue
        count = _number(data, order, at + 4, "Q" if big else "I")
        value, room = (at + 12, 8) if big else (at + 8, 4)
        if count * _VALUE_BYTES[kind] > room:
            value = _number(data, order, value, "Q" if big else "I")
        layout = f"{order}{min(count, _MAX_VALUES)}{_SIZES[kind]}"
        if count and value + struct.calcsize(layout) <= len(data):
            yield tag, struct.unpack_from(layout, data, value)


def _number(data: bytes, order: str, at: int, kind: str) -> int:
    layout = f"{order}{kind}"
    if at + struct.calcsize(layout) > len(data):
        return 0
    (found,) = struct.unpack_from(layout, data, at)
    return int(found)
