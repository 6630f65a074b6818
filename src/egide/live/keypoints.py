"""Prepare the keypoints of a store for searching, or say why they cannot be searched."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from egide.errors import KeypointsDamaged, KeypointsError
from egide.hashing.keypoints import require_opencv
from egide.index.keypoints import KeypointIndex
from egide.security.sealing import KeypointKey, require_cryptography

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from egide.store import Store


@dataclass(frozen=True, slots=True)
class OpenKeypoints:
    """Result of `open_keypoints`.

    Attributes:
        index: the search index; None if the store has no keypoints or on `error`.
        revision: the store's revision that was read.
        damaged: entries with unreadable keypoints; their pictures must be registered again.
    """

    index: KeypointIndex | None
    revision: int
    error: KeypointsError | None = None
    damaged: tuple[int, ...] = ()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        """Close the index."""
        if self.index is not None:
            self.index.close()


NO_KEYPOINTS = OpenKeypoints(None, 0)


def can_search_keypoints(
    store: Store,
    *,
    banks: Sequence[str] | None = None,
    on_error: Callable[[KeypointsError], None] | None = None,
) -> bool:
    """Whether keypoints can be searched: the store has some, and their key is available.

    Args:
        store: an open store.
        banks: names; None for all.
        on_error: called with the error instead of raising it.

    Raises:
        KeypointsError: the store has keypoints that cannot be searched.
    """
    if not store.keypoints.held(banks):
        return False
    try:
        require_opencv()
        require_cryptography()
        KeypointKey.load()
    except KeypointsError as error:
        _tell(error, on_error)
        return False
    return True


def open_keypoints(
    store: Store,
    *,
    banks: Sequence[str] | None = None,
    on_error: Callable[[KeypointsError], None] | None = None,
) -> OpenKeypoints:
    """Unseal the keypoints of a store into a search index, in memory only.

    The key comes from the environment, see `egide.security.sealing`.

    Args:
        store: an open store.
        banks: names; None for all.
        on_error: called with the error instead of raising it.

    Raises:
        KeypointsError: the key is missing or wrong, or the extra is not installed.
    """
    revision = store.revision()
    if not store.keypoints.held(banks):
        return OpenKeypoints(None, revision)
    try:
        require_opencv()
        require_cryptography()
        with store.keypoints.read(KeypointKey.load(), banks=banks) as sealed:
            index = KeypointIndex.build(sealed)
        damaged = tuple(sealed.damaged)
        for entry in damaged:
            _tell(KeypointsDamaged(entry=entry), on_error)
        return OpenKeypoints(index, sealed.revision, damaged=damaged)
    except KeypointsError as error:
        _tell(error, on_error)
        return OpenKeypoints(None, revision, error)


def _tell(error: KeypointsError, on_error: Callable[[KeypointsError], None] | None) -> None:
    if on_error is None:
        raise error
    on_error(error)
