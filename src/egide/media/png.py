"""Copy a PNG without what its picture does not need.

Text, profiles and times cost memory and may be damaged while the picture is sound. Every viewer
shows such a picture, and Pillow's reader refuses it. So its reader is given the picture alone.

Source: PNG (third edition), sections 5, 11 and 13.
"""

from __future__ import annotations

import zlib

_PALETTE_COLOUR = 3
_TRANSPARENCY_BYTES = {0: {2}, 2: {6}, 3: set(range(1, 257))}
# By colour type; the others have alpha in their pixels.
_ANIMATION = {b"acTL", b"fcTL", b"fdAT"}
_APPLE = b"CgBI"


def is_apples(data: bytes) -> bool:
    """Whether it is Apple's own kind of PNG, which only Apple's readers show."""
    return data[12:16] == _APPLE


def picture_alone(data: bytes) -> tuple[bytes, int]:
    """Copy the chunks of the picture, and of an animation whose sequence is sound.

    A chunk with a wrong checksum is left out unless the picture needs it. Pixels have a checksum
    of their own, so that of their chunks is not looked at.

    Returns:
        the file, and how many frames its broken animation declares beside the still picture.
    """
    kept: list[tuple[bytes, bytes]] = []
    colour = data[25] if len(data) > 25 else 0
    seen_pixels = seen_transparency = False
    at = 8
    while at + 12 <= len(data):
        end = at + 12 + int.from_bytes(data[at : at + 4], "big")
        kind = data[at + 4 : at + 8]
        if end > len(data):
            break
        if kind == b"IDAT":
            seen_pixels = True
            kept.append((kind, data[at:end]))
        elif kind == b"IHDR" or (kind == b"PLTE" and colour == _PALETTE_COLOUR):
            kept.append((kind, data[at:end]))
        elif kind in _ANIMATION or (
            kind == b"tRNS"
            and not (seen_pixels or seen_transparency)
            and end - at - 12 in _TRANSPARENCY_BYTES.get(colour, ())
            and _is_sound(data, at, end)
        ):
            seen_transparency = seen_transparency or kind == b"tRNS"
            kept.append((kind, data[at:end]))
        elif kind == b"IEND":
            kept.append((kind, data[at:end]))
            at = len(data)
            break
        at = end
    rest = data[at:]  # of a cut file, for the reader to tell what is missing
    if seen_pixels and rest[4:8] not in {b"IDAT", *(b"IDAT"[:n] for n in range(4))}:
        rest = b""
    if any(kind in _ANIMATION for kind, _ in kept):
        lost = _lost_frames(kept)
        if lost is not None:
            kept = [(kind, chunk) for kind, chunk in kept if kind not in _ANIMATION]
            return b"".join([data[:8], *(chunk for _, chunk in kept), rest]), lost
    return b"".join([data[:8], *(chunk for _, chunk in kept), rest]), 0


def _is_sound(data: bytes, at: int, end: int) -> bool:
    return zlib.crc32(data[at + 4 : end - 4]) == int.from_bytes(data[end - 4 : end], "big")


def _lost_frames(chunks: list[tuple[bytes, bytes]]) -> int | None:
    """Count the frames of a broken animation beside the still picture; None if it is sound."""
    declared, frames, sequence, sound, still_is_first = 0, 0, 0, True, False
    for kind, chunk in chunks:
        if kind == b"IDAT":
            still_is_first = still_is_first or frames == 1
        if kind not in _ANIMATION:
            continue
        sound = sound and _is_sound(chunk, 0, len(chunk))
        if kind == b"acTL":
            declared = int.from_bytes(chunk[8:12], "big")
            continue
        sound = sound and int.from_bytes(chunk[8:12], "big") == sequence
        sequence += 1
        frames += kind == b"fcTL"
    if sound and 0 < declared == frames:
        return None
    return frames - still_is_first
