"""The pictures: one half to develop on, the other to report on.

All picture files of four folders of ../shared/corpus are sorted by the SHA-256 of their bytes; even
positions are for development, odd ones for the report. Of pictures that show the same, the first
alone is kept, so that no picture is in both halves. The last of each half are *fillers*: what edits
put beside or into a picture. They are never registered, so that finding one is never right.
"""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

from egide.domain.model import Pdq
from egide.errors import ItemError
from egide.hashing import fingerprint

CORPUS = Path(__file__).parents[3] / "shared" / "corpus"
FOLDERS = ("photos", "kodak", "albums", "pdq")
SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}
FILLERS = 24
MIN_SIDE_PIXELS = 200
"""Smaller pictures leave too little for an edit to be an edit and not a ruin."""
MAX_SIDE_PIXELS = 1024
"""What is edited is at most so long, as on a platform; what is registered is the whole file."""
SAME_BITS = 60
"""Pictures so near by PDQ, in any of the eight variants, are taken to show the same."""
SERIES = ("bridge-mods", "dih", "exif-rotn", "modes")
"""Folders of one picture many times, by what their names and read-me files say."""
HALVES = ("dev", "report")


@dataclass(frozen=True, slots=True)
class Photo:
    """One picture of the corpus.

    Attributes:
        key: its path in the corpus, which seeds its edits.
        data: the file's bytes, as registered.
    """

    key: str
    data: bytes

    def image(self) -> Image.Image:
        """What is edited: RGB, on white where it is transparent, at most `MAX_SIDE_PIXELS`."""
        return rgb(Image.open(io.BytesIO(self.data)))


@dataclass(frozen=True, slots=True)
class Half:
    """One half of the corpus.

    Attributes:
        photos: to register and to edit.
        fillers: to use in edits.
    """

    photos: tuple[Photo, ...]
    fillers: tuple[Photo, ...]


def rgb(image: Image.Image) -> Image.Image:
    """RGB on white, at most `MAX_SIDE_PIXELS`."""
    image = image.convert("RGBA") if image.mode in {"P", "LA", "PA", "RGBA"} else image
    if image.mode == "RGBA":
        ground = Image.new("RGB", image.size, "white")
        ground.paste(image, mask=image.getchannel("A"))
        image = ground
    image = image.convert("RGB")
    image.thumbnail((MAX_SIDE_PIXELS, MAX_SIDE_PIXELS), Image.Resampling.LANCZOS)
    return image


@cache
def half(name: str) -> Half:
    """One half, `dev` or `report`.

    Raises:
        SystemExit: the shared test pictures are absent.
    """
    kept = [photo for position, photo in _distinct() if position % 2 == HALVES.index(name)]
    return Half(tuple(kept[:-FILLERS]), tuple(kept[-FILLERS:]))


@cache
def _distinct() -> tuple[tuple[int, Photo], ...]:
    """Each picture that shows something else than those before it, with its position."""
    kept: list[tuple[int, Photo]] = []
    codes: list[bytes] = []
    series: set[str] = set()
    for position, (path, data) in enumerate(_files()):
        try:
            found = fingerprint(data, md5=False, regions=False)
        except ItemError:
            continue
        pdq = found.pdq
        same = {name for name in SERIES if name in path.parts}
        if pdq is None or not pdq.matchable or same & series:
            continue  # no method can tell a blank picture from others
        if min(found.width, found.height) < MIN_SIDE_PIXELS:
            continue
        series |= same
        if _nearest_bits(pdq, codes) > SAME_BITS:
            kept.append((position, Photo(str(path.relative_to(CORPUS)), data)))
        codes.append(pdq.code)
    return tuple(kept)


def _nearest_bits(pdq: Pdq, codes: list[bytes]) -> int:
    if not codes:
        return 256
    known = np.frombuffer(b"".join(codes), np.uint64).reshape(-1, 1, 4)
    variants = np.frombuffer(pdq.variants, np.uint64).reshape(1, 8, 4)
    return int(np.bitwise_count(known ^ variants).sum(2, dtype=np.int64).min())


def _files() -> list[tuple[Path, bytes]]:
    """Every picture file, in the order of its digest."""
    found = [
        (path, path.read_bytes())
        for folder in FOLDERS
        for path in (CORPUS / folder).rglob("*")
        if path.suffix.lower() in SUFFIXES
    ]
    if not found:
        raise SystemExit("the benchmark of edits needs the shared test pictures beside the project")
    return sorted(found, key=lambda each: hashlib.sha256(each[1]).digest())
