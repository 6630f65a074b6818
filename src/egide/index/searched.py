"""The interface that matching searches: a snapshot, or a snapshot with later changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from egide.domain.model import Signal, Trust
    from egide.index.kernel import Hits
    from egide.index.snapshot import DigestHits, Entries, SnapshotBank, VideoFrames


class Searched(Protocol):
    """Entries of one revision, found by code or digest; an *owner* is the position of an entry."""

    @property
    def revision(self) -> int:
        """The searched revision of the store."""

    @property
    def banks(self) -> tuple[SnapshotBank, ...]:
        """All banks, including disabled ones."""

    @property
    def trusts(self) -> tuple[Trust, ...]:
        """The levels of trust, in the order of `Entries.trust`."""

    @property
    def lineage(self) -> object:
        """Identical for all views in which an owner means the same state of the same entry."""

    @property
    def owner_count(self) -> int:
        """The number of owners, including those of entries that are gone."""

    def search(self, queries: NDArray[np.uint8], radius_bits: int) -> Hits:
        """Find every row within radius_bits (0–63) of each query, shape (q, 32)."""

    def owners(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """The entries that hold the codes in these rows."""

    def are_videos(self, owners: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which of these entries are videos."""

    def video_places(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """The positions of these rows among the codes of their videos; of a picture any."""

    def video_of(self, row: int) -> VideoFrames | None:
        """The video that holds the code in this row; None if it is a picture's, or has ended."""

    def search_anchored(self, queries: NDArray[np.uint8], radius_bits: int) -> Hits:
        """Find every row of the anchored codes within radius_bits (0–63) of each query.

        Its rows are numbered by themselves. A picture's queries belong in one call: together they
        cost less.
        """

    def anchored_owners(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """The entries that hold the anchored codes in these rows."""

    def anchored_codes(self, row: int) -> NDArray[np.uint8]:
        """All anchored codes of the entry that holds the one in this row, shape (k, 32)."""

    def find_digests(self, signal: Signal, digests: Sequence[bytes]) -> DigestHits:
        """Find the entries that hold each digest of a kind."""

    def columns(self, owners: NDArray[np.int64]) -> Entries:
        """The columns of these entries, in their order."""

    def present(self, owners: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which of these entries have neither ended nor been replaced."""
