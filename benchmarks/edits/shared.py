"""Copies and strangers under the same overlay."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from PIL import Image, ImageOps

from edits.corpus import Photo
from edits.geometric import cropped
from edits.photometric import encoded, jpeg, warm_filter
from edits.shared_overlays import OVERLAYS

COPIES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "compressed": lambda image: jpeg(image, 30),
    "cropped": lambda image: cropped(image, 0.85, 0.3, 0.7),
    "mirrored, filtered": lambda image: warm_filter(ImageOps.mirror(image)),
}
"""What is done to a picture before the overlay is laid over its copy too."""


def registered(overlay: str, photos: Sequence[Photo]) -> list[tuple[str, bytes]]:
    """Pictures as they are registered: under the overlay."""
    lay = OVERLAYS[overlay]
    return [(photo.key, encoded(lay(photo.image()))) for photo in photos]


def copies(overlay: str, photo: Photo) -> Iterator[tuple[str, bytes]]:
    """Queries, each with its name: an edited copy under the overlay."""
    for name, edit in COPIES.items():
        yield f"{overlay}: {name}", encoded(OVERLAYS[overlay](edit(photo.image())))
