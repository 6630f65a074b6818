"""Drawn pictures as files, for tests: small, so that a test takes milliseconds."""

from __future__ import annotations

import io
import tarfile
from itertools import islice
from typing import TYPE_CHECKING, Any

from PIL import Image

from drawings import drawings

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


_DRAWN: list[Image.Image] = []
_PENDING = drawings(10_000, size=(384, 256))


def pictures(count: int = 8) -> tuple[Image.Image, ...]:
    """Return drawn pictures of 384×256 pixels, all different; each is drawn once."""
    _DRAWN.extend(image for _, image in islice(_PENDING, max(count - len(_DRAWN), 0)))
    return tuple(_DRAWN[:count])


def encoded(image: Image.Image, kind: str = "JPEG", **options: Any) -> bytes:
    """Return an image file's bytes."""
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def write_tar(path: Path, members: Mapping[str, bytes], mode: str = "w") -> Path:
    """Write a tar of regular members."""
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path
