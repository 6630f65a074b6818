"""Files as people have them on their phones, drawn: with places, names and small pictures inside.

What is in them beside pixels is told apart by words that stand nowhere else, so that a search for
them finds a leak and nothing but a leak.
"""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass
from pathlib import Path

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from pictures import encoded, pictures

HEIC = Path(__file__).parents[1] / "vectors" / "drawing.heic"
FOLDER = "summer with Imogen Zahradnik"
EXIF_WORDS = ("QuillCam 9000", "Imogen's telephone", "back garden, Kvarnby")
PNG_WORDS = "drawn for Imogen Zahradnik on a Tuesday"
_PROBE_BYTES = 24


@dataclass(frozen=True, slots=True)
class Chosen:
    """One file that is chosen.

    Attributes:
        state: what the page says of it.
        kind: as which it is sent, None if it is not.
    """

    path: Path
    state: str
    kind: str | None


def twelve_files(folder: Path) -> list[Chosen]:
    """Write twelve files: of every kind that is read, and of those that cannot be."""
    drawn = pictures(9)
    own = folder / FOLDER
    own.mkdir()
    with_place = encoded(drawn[0], "JPEG", quality=85, exif=exif(drawn[0]))
    comment = PngInfo()
    comment.add_text("Comment", PNG_WORDS)
    contents: list[tuple[str, bytes, str, str | None]] = [
        ("IMG_4711 Imogen beach.jpg", with_place, "done", "still"),
        ("Imogen screenshot.png", encoded(drawn[1], "PNG", pnginfo=comment), "done", "still"),
        ("Imogen sent.webp", encoded(drawn[2], "WEBP", quality=80), "done", "still"),
        ("Imogen dancing.gif", _animation(drawn[3], drawn[4]), "done", "first-frame"),
        ("Imogen new phone.avif", encoded(drawn[5], "AVIF", quality=70), "done", "still"),
        ("IMG_4712 Imogen.heic", HEIC.read_bytes(), "done", "still"),
        ("Imogen at the party.mp4", _video(), "done", "digest-only"),
        ("Imogen broken.jpg", encoded(drawn[6])[:900], "failed", None),
        ("Imogen letter.jpg", b"Dear Imogen, this is a letter and no picture.", "failed", None),
        ("Imogen beach copy.jpg", with_place, "duplicate", None),
        ("Imogen plain.png", encoded(Image.new("RGB", (300, 300), "#7799bb"), "PNG"),
         "done", "digest-only"),
        ("Imogen café d’été.jpg", encoded(drawn[7], "JPEG", progressive=True), "done", "still"),
    ]  # fmt: skip
    chosen = []
    for name, content, state, kind in contents:
        path = own / name
        path.write_bytes(content)
        chosen.append(Chosen(path, state, kind))
    return chosen


def probes(content: bytes) -> list[bytes]:
    """Bytes of a file that nothing but the file has: a few from its middle and near its end."""
    places = (len(content) // 3, len(content) // 2, len(content) - _PROBE_BYTES - 2)
    return [content[at : at + _PROBE_BYTES] for at in places if at > 0]


def exif(picture: Image.Image) -> bytes:
    """EXIF with a camera's name, a place with its latitude and longitude, and a thumbnail."""
    small = io.BytesIO()
    picture.resize((96, 64)).save(small, "JPEG", quality=70)
    camera, owner, place = (word.encode() + b"\0" for word in EXIF_WORDS)
    latitude = struct.pack(">6I", 55, 1, 36, 1, 2291, 100)
    longitude = struct.pack(">6I", 13, 1, 0, 1, 4477, 100)
    # IFD0, the GPS IFD, IFD1, and behind them the values that do not fit into an entry.
    offsets = [8, 8 + 2 + 12 * 4 + 4, 0, 0]
    offsets[2] = offsets[1] + 2 + 12 * 4 + 4
    offsets[3] = offsets[2] + 2 + 12 * 3 + 4
    values = bytearray()

    def put(value: bytes) -> int:
        at = offsets[3] + len(values)
        values.extend(value + b"\0" * (len(value) % 2))
        return at

    first = _ifd(
        [
            (0x010E, 2, len(place), put(place)),
            (0x0110, 2, len(camera), put(camera)),
            (0x013B, 2, len(owner), put(owner)),
            (0x8825, 4, 1, offsets[1]),
        ],
        offsets[2],
    )
    gps = _ifd(
        [
            (0x0001, 2, 2, int.from_bytes(b"N\0\0\0")),
            (0x0002, 5, 3, put(latitude)),
            (0x0003, 2, 2, int.from_bytes(b"E\0\0\0")),
            (0x0004, 5, 3, put(longitude)),
        ],
        0,
    )
    thumbnail = small.getvalue()
    second = _ifd(
        [
            (0x0103, 3, 1, 6 << 16),
            (0x0201, 4, 1, put(thumbnail)),
            (0x0202, 4, 1, len(thumbnail)),
        ],
        0,
    )
    header = b"Exif\0\0MM\0*" + struct.pack(">I", 8)
    return header + first + gps + second + bytes(values)


def _ifd(entries: list[tuple[int, int, int, int]], following: int) -> bytes:
    packed = b"".join(struct.pack(">HHII", *entry) for entry in entries)
    return struct.pack(">H", len(entries)) + packed + struct.pack(">I", following)


def _animation(first: Image.Image, second: Image.Image) -> bytes:
    return encoded(first, "GIF", save_all=True, append_images=[second], duration=200)


def _video() -> bytes:
    """The beginning of an MP4, and bytes that stand for a film."""
    brands = b"isom" + struct.pack(">I", 512) + b"isomiso2avc1mp41"
    film = bytes((at * at * 31 + at * 7) % 251 for at in range(40_000))
    return (
        struct.pack(">I4s", 8 + len(brands), b"ftyp")
        + brands
        + struct.pack(">I4s", 8 + len(film), b"mdat")
        + film
    )
