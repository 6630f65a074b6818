"""What one audit searches, held open until its end, even if the store changes meanwhile."""

from __future__ import annotations

import os
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Self

from egide.auditing.summary import KeypointsSummary
from egide.index.snapshot import Snapshot
from egide.live.keypoints import NO_KEYPOINTS, open_keypoints
from egide.live.snapshots import open_snapshot

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from egide.errors import KeypointsError
    from egide.live.keypoints import OpenKeypoints
    from egide.store import Store

_ATTEMPTS = 3


class Pinned:
    """A snapshot and, on request, a keypoint index of the same revision of the store.

    Workers inherit both as open file descriptors. So workers that start later search the same
    revision, even if another process has replaced the snapshot; and the index needs no named file.

    Attributes:
        snapshot: open and verified.
        inherit: the file descriptors that workers need.
    """

    def __init__(
        self,
        store: Store,
        *,
        thorough: bool,
        banks: Sequence[str] | None,
        on_keypoints_error: Callable[[KeypointsError], None] | None,
    ) -> None:
        """Open both.

        Raises:
            KeypointsError: keypoints cannot be searched, and there is no `on_keypoints_error`.
        """
        for attempt in range(1, _ATTEMPTS + 1):
            self._keypoints: OpenKeypoints = NO_KEYPOINTS
            with ExitStack() as opened:
                if thorough:
                    self._keypoints = open_keypoints(
                        store, banks=banks, on_error=on_keypoints_error
                    )
                descriptor = _pin_snapshot(store)
                opened.callback(os.close, descriptor)
                path = Path(f"/dev/fd/{descriptor}")
                self.snapshot = opened.enter_context(Snapshot.open(path, verify=True))
                self.inherit: tuple[int, ...] = (descriptor,)
                if self._keypoints.index is not None:
                    opened.callback(self._keypoints.index.close)
                    self.inherit += (self._keypoints.index.fileno(),)
                same = self._keypoints.revision == self.snapshot.revision
                # If the store changes constantly, entries added in between have only one tier.
                if not thorough or same or attempt == _ATTEMPTS:
                    self._resources = opened.pop_all()
                    return

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._resources.close()

    @property
    def searches_keypoints(self) -> bool:
        """Whether there is a second tier to search."""
        return self._keypoints.index is not None

    def paths(self) -> dict[str, str | None]:
        """Paths of both, for workers that inherit the descriptors."""
        index = self._keypoints.index
        keypoints = None if index is None else f"/dev/fd/{index.fileno()}"
        return {"snapshot": str(self.snapshot.path), "patches": keypoints}

    def summary(self, *, thorough: bool, not_enough_detail: int) -> KeypointsSummary:
        """Summarize the search by keypoints."""
        index, error = self._keypoints.index, self._keypoints.error
        return KeypointsSummary(
            searched=thorough and error is None,
            code=None if error is None else error.code,
            pictures=0 if index is None else len(index),
            damaged=len(self._keypoints.damaged),
            not_enough_detail=not_enough_detail,
        )


def _pin_snapshot(store: Store) -> int:
    while True:
        with open_snapshot(store) as snapshot, suppress(FileNotFoundError):
            return os.open(snapshot.path, os.O_RDONLY)
        # A withdrawal in another process just removed the snapshot; the next one omits its entries.
