"""Find the pictures in a sample of somebody's own pipeline, and fingerprint them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from egide.domain.coverage import Gap, GapKind, gaps_within
from egide.errors import ArchiveUnsupported, ItemError, ValueMissing
from egide.hashing import fingerprint_or_error
from egide.media import is_image
from egide.media.containers import HEAD_BYTES, IMAGE_SUFFIXES, kind_of, named, suffix_of
from egide.media.formats import sniff

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egide.domain.model import Fingerprint

_PICTURE_KEYS = frozenset({"image", "img", "picture", "photo", "image_bytes", "img_bytes"})
"""Bytes under these keys claim to be a picture, as those under a suffix such as `jpg` do."""
_FILE_KEYS = frozenset({"bytes", "path"})
"""A file as Hugging Face's `Image(decode=False)` gives it."""
_NONE_FOUND = (
    "there is no image file, path of one or Pillow image in it. Tell with get= where it is; "
    "PIL.Image.fromarray makes an image of an array"
)
_ADDRESS = "there is only its address, and nothing is fetched"


@dataclass(slots=True)
class Found:
    """What a sample holds.

    Attributes:
        pictures: a file's bytes, a path or a Pillow image each.
        unopened: what else holds pictures, in words, such as a video or an archive.
        size: bytes that the sample takes in memory, as far as this sees.
    """

    pictures: list[Any] = field(default_factory=list)
    unopened: list[str] = field(default_factory=list)
    size: int = 0


@dataclass(frozen=True, slots=True)
class Looked:
    """What came of the pictures of a sample.

    Attributes:
        gaps: what was not looked at.
        size: as in `Found`.
    """

    prints: tuple[Fingerprint, ...]
    gaps: tuple[Gap, ...]
    size: int = 0


def pictures_in(value: object) -> Found:
    """Find the pictures in a sample.

    Bytes, a path or a Pillow image are the picture themselves. Mappings and sequences are searched,
    however deep, for these:

    - Pillow images;
    - bytes that begin as a picture, or stand under a key that claims one: `jpg`, `left.png`,
      `image`;
    - mappings of `bytes` and `path`, as Hugging Face's `Image(decode=False)` gives them;
    - where there is nothing of these, bytes in a sequence, else paths that end in a picture's
      suffix.
    """
    found = Found()
    if _take(value, found):
        return found
    others = _Others()
    if not _take_file(value, found, others):
        _search(value, found, others)
    if not found.pictures:
        found.pictures = others.unknown or others.paths or others.addresses
    return found


@dataclass(slots=True)
class _Others:
    """What may be pictures where nothing else is: bytes without a key, paths, addresses."""

    unknown: list[Any] = field(default_factory=list)
    paths: list[Any] = field(default_factory=list)
    addresses: list[Any] = field(default_factory=list)

    def add_path(self, path: str | PathLike[str]) -> None:
        (self.addresses if _is_address(path) else self.paths).append(path)


def _search(value: object, found: Found, others: _Others) -> None:
    """Search mappings and sequences, in order, without recursion: a sample may be any data."""
    seen = {id(value)}
    waiting = [_parts(value)]
    while waiting:
        key, part = next(waiting[-1], (None, None))
        if key is None:
            waiting.pop()
        elif isinstance(part, bytes | bytearray | memoryview):
            _take_bytes(key, part, found, others)
        elif isinstance(part, str | PathLike):
            if suffix_of(str(part)) in IMAGE_SUFFIXES and not key.startswith("__"):
                others.add_path(part)
        elif isinstance(part, Mapping | list | tuple):
            if not _take_file(part, found, others) and id(part) not in seen:
                seen.add(id(part))  # it may hold itself
                waiting.append(_parts(part))
        else:
            _take(part, found)


def look_at(name: str, found: Found, **settings: Any) -> Looked:
    """Fingerprint the pictures that were found; whatever is wrong with one is a gap.

    Args:
        name: of the sample, for messages; it tells nothing of its files.
        found: from `pictures_in`.
        settings: of `fingerprint`.
    """
    prints: list[Fingerprint] = []
    gaps = [
        Gap.of(name, ArchiveUnsupported(name=name, format=words), GapKind.ARCHIVE)
        for words in found.unopened
    ]
    if not found.pictures and not gaps:
        gaps.append(Gap.of(name, ValueMissing(name=name, reason=_NONE_FOUND)))
    for number, picture in enumerate(found.pictures):
        label = name if len(found.pictures) == 1 else f"{name}, picture {number}"
        outcome = _fingerprinted(label, picture, settings)
        if isinstance(outcome, Gap):
            gaps.append(outcome)
        else:
            prints.append(outcome)
            gaps += gaps_within(label, outcome)
    return Looked(tuple(prints), tuple(gaps), found.size)


def _fingerprinted(name: str, picture: Any, settings: dict[str, Any]) -> Fingerprint | Gap:
    try:
        if _is_address(picture):
            return Gap.of(name, ValueMissing(name=name, reason=_ADDRESS))
        source = Path(os.fsdecode(picture)) if isinstance(picture, PathLike) else picture
    except Exception as error:  # noqa: BLE001 - a path of somebody's own type
        reason = f"looking for it failed, {type(error).__name__}"
        return Gap.of(name, ValueMissing(name=name, reason=reason))
    made = fingerprint_or_error(source, name=name, **settings)
    return Gap.of(name, made) if isinstance(made, ItemError) else made


def _take(value: object, found: Found) -> bool:
    """Take what is a picture by itself; say whether it is one."""
    if isinstance(value, bytes | bytearray | memoryview):
        found.pictures.append(bytes(value))
        found.size += len(found.pictures[-1])
    elif isinstance(value, str | PathLike):
        found.pictures.append(value)
    elif is_image(value):
        found.pictures.append(value)
        found.size += value.width * value.height * len(value.getbands())
    else:
        return False
    return True


def _take_bytes(
    key: str, part: bytes | bytearray | memoryview, found: Found, others: _Others
) -> None:
    content = bytes(part)
    found.size += len(content)
    head = content[:HEAD_BYTES]
    claims = key.lower() in _PICTURE_KEYS or suffix_of(f"a.{key}") in IMAGE_SUFFIXES
    if claims or sniff(head) is not None:
        found.pictures.append(content)
    elif words := named(key, head):
        found.unopened.append(words)
    elif (kind := kind_of(head)) is not None:
        found.unopened.append(f"a {kind.value} file")
    elif not key:
        others.unknown.append(content)


def _take_file(part: object, found: Found, others: _Others) -> bool:
    """Take a mapping of bytes and path; say whether it is one."""
    if not (isinstance(part, Mapping) and part and part.keys() <= _FILE_KEYS):
        return False
    content, path = part.get("bytes"), part.get("path")
    suffix = suffix_of(path) if isinstance(path, str) else ""
    claims = not suffix or suffix in IMAGE_SUFFIXES  # sounds have the same shape, and a name
    if isinstance(content, bytes | bytearray | memoryview):
        _take_bytes("image" if claims else "bytes", content, found, others)
    elif isinstance(path, str) and claims:
        others.add_path(path)
    return True


def _parts(held: object) -> Iterator[tuple[str, object]]:
    if isinstance(held, Mapping):
        yield from ((str(key), part) for key, part in held.items())
    elif isinstance(held, list | tuple):
        yield from (("", part) for part in held)


def _is_address(path: object) -> bool:
    return isinstance(path, str) and "://" in path
