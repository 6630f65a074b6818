"""Remove the scans from a progressive JPEG that a decode at 1/8 does not use.

At 1/8 each block of 8×8 pixels becomes its mean. Progressive files code the means in separate scans
(Ss = 0), apart from the detail (Ss > 0). libjpeg still decodes every scan, and detail is nearly all
of that work. docs/decisions/0002-fast-pdq.md has the numbers.

Source: ITU-T T.81, annexes B.2 (segments) and G (progressive mode).
"""

from __future__ import annotations

import re

_HUFFMAN_TABLES, _RESTART_INTERVAL = 0xC4, 0xDD
_ADOBE = 0xEE
_FRAME, _END, _SCAN, _QUANTISATION = 0xC2, 0xD9, 0xDA, 0xDB
_KEPT = {*range(0xE0, 0xF0), 0xFE, _HUFFMAN_TABLES, _RESTART_INTERVAL}

_AFTER_SCAN = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")
# Coded data contain FF only in FF 00 and in restart markers, FF D0 to FF D7. A search takes 0.4 ms
# a megabyte.


def coarse_scans(data: bytes) -> bytes:
    """Remove the scans of detail.

    The quantisation steps of detail, which no longer apply to anything, are set to 0. Otherwise
    libjpeg-turbo would estimate the missing detail from neighbouring blocks and so change the means
    by up to 79 levels; it cannot do that with a step of 0.

    Args:
        data: a progressive file. Everything after its first picture is left out too.

    Returns:
        a file with the same brightness at 1/8; or `data` itself if its structure is unusual, or
        brightness is not its first and finest channel.

    Raises:
        EOFError: the file ends before its picture does.
    """
    kept, at = [data[:2]], 2
    while at + 4 <= len(data) or data[at : at + 2] == b"\xff\xd9":
        if data[at] != 0xFF:
            return data
        marker = data[at + 1]
        if marker == _END:
            return b"".join([*kept, data[at : at + 2]])
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        segment = data[at:end]
        if marker == _SCAN:
            found = _AFTER_SCAN.search(data, end)
            if found is None:
                break
            if len(segment) < 8 or len(segment) != 8 + 2 * segment[4]:
                return data
            if segment[-3] == 0:
                kept.append(data[at : found.start()])
            end = found.start()
        elif marker == _QUANTISATION:
            kept.append(_without_detail(segment))
        elif marker in _KEPT or (marker == _FRAME and _brightness_is_finest(segment)):
            if marker == _ADOBE and segment[15:16] == b"\0":
                return data  # red, green and blue
            kept.append(segment)
        else:
            return data
        at = end
    raise EOFError("the file ends before its picture does")


def _without_detail(segment: bytes) -> bytes:
    """Set all but the first of the 64 steps of each table to 0."""
    tables, at = bytearray(segment), 4
    while at < len(tables):
        width = 2 if tables[at] >> 4 else 1
        first, end = at + 1 + width, at + 1 + 64 * width
        if end > len(tables):
            break
        tables[first:end] = bytes(end - first)
        at = end
    return bytes(tables)


def _brightness_is_finest(frame: bytes) -> bool:
    """Whether the first channel is brightness and none has more samples; means need that."""
    factors = frame[11::3]
    return frame[10::3] != b"RGB" and all(
        f >> 4 <= factors[0] >> 4 and f & 15 <= factors[0] & 15 for f in factors
    )
